// Test support: a chip like trn2, and a TileProgram of copies.
#pragma once
#include "tile/builder.h"

namespace presil::backend::testing {

// One element per nanosecond everywhere.
inline void set_rates(spec::ChipSpec& s) {
  for (spec::EngineSpec* e :
       std::initializer_list<spec::EngineSpec*>{&s.tensor, &s.vector, &s.scalar, &s.gpsimd, &s.sync}) {
    e->clock_hz = 1'000'000'000;
    e->latency = 100 * kNanosecond;
  }
  s.dma.engine_bytes_per_s = s.dma.queue_bytes_per_s = s.hbm.bytes_per_s = 1'000'000'000;
  s.dma.descriptor_bytes_max = 4096;
}

inline spec::ChipSpec chip() {
  spec::ChipSpec s;
  s.name = "test";
  s.generation = 3;
  s.tensor.reads = {"sbuf"}, s.tensor.writes = {"psum"};
  s.vector.reads = s.vector.writes = s.scalar.reads = s.scalar.writes = {"sbuf", "psum"};
  s.gpsimd.reads = s.gpsimd.writes = {"sbuf"};
  s.sbuf = {.partitions = 128, .bytes_per_partition = 196608};
  s.psum = {.partitions = 128, .bytes_per_partition = 16384, .banks = 8};
  s.hbm.bytes = 24ull << 30;
  s.dma.engines = s.dma.queues = 16;
  s.semaphores.count = 256;
  set_rates(s);
  return s;
}

}  // namespace presil::backend::testing
