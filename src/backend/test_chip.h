// Test support: a chip like trn2, and a TileProgram of copies.
#pragma once
#include "tile/builder.h"

namespace presil::backend::testing {

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
  return s;
}

}  // namespace presil::backend::testing
