// What laws about machines are tried on: a machine with other times, and numbers to compute with.
#pragma once
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "base/prng.h"
#include "spec/chip_spec.h"

namespace presil::system::testing {

// The same machine but for its times, which vary over two orders of magnitude.
inline spec::ChipSpec jittered(spec::ChipSpec s, uint64_t seed) {
  Prng prng(seed);
  auto factor = [&] { return 1 + prng.below(prng.below(2) ? 100 : 4); };
  for (spec::EngineSpec* e : std::initializer_list<spec::EngineSpec*>{&s.tensor, &s.vector, &s.scalar, &s.gpsimd}) {
    e->clock_hz = 10'000'000'000 / factor();
    e->latency = static_cast<Time>(10 * factor()) * kNanosecond;
  }
  s.dma.engine_bytes_per_s = s.dma.queue_bytes_per_s = 100'000'000'000 / factor();
  s.dma.start_latency_from_hbm = static_cast<Time>(10 * factor()) * kNanosecond;
  s.dma.start_latency_from_sbuf = static_cast<Time>(10 * factor()) * kNanosecond;
  s.dma.completion = static_cast<Time>(5 * factor()) * kNanosecond;
  s.semaphores.wake = static_cast<Time>(factor()) * kNanosecond;
  s.semaphores.remote_wake = static_cast<Time>(5 * factor()) * kNanosecond;
  return s;
}

// fp32 numbers.
inline std::vector<std::byte> noise(size_t bytes) {
  Prng prng(77);
  std::vector<std::byte> out(bytes);
  for (size_t n = 0; n < bytes; n += 4) {
    const float value = prng.normal();
    std::memcpy(out.data() + n, &value, 4);
  }
  return out;
}

}  // namespace presil::system::testing
