#include "tests/campaign/random_chip.h"

#include <iterator>

#include "base/prng.h"
#include "spec/chip_file.h"
#include "spec/fields.h"

namespace presil::campaign {
namespace {

template <class T, size_t N>
T pick(Prng& random, const T (&values)[N]) {
  return values[random.below(N)];
}

Time nanoseconds(Prng& random, uint64_t most) {
  return random.below(4) == 0 ? 0 : static_cast<Time>(random.below(most)) * kNanosecond;
}

void vary_engine(Prng& random, spec::EngineSpec& e) {
  e.clock_hz = 100'000'000 + random.below(4'000'000'000);
  e.initiation_min_cycles = static_cast<uint32_t>(1 + random.below(100));
  e.issue_overhead_cycles = static_cast<uint32_t>(random.below(10));
  e.latency = nanoseconds(random, 500);
}

void vary_memories(Prng& random, spec::ChipSpec& s) {
  const uint32_t partitions = pick(random, {32u, 64u, 128u});
  s.sbuf.partitions = s.psum.partitions = s.tensor.rows = partitions;
  s.tensor.columns = 32 * static_cast<uint32_t>(1 + random.below(partitions / 32));
  s.tensor.moving_max = s.tensor.columns * static_cast<uint32_t>(1 + random.below(3));
  s.sbuf.bytes_per_partition = 1024 * (2 + random.below(random.below(2) ? 2 : 60));
  s.psum.banks = pick(random, {4u, 8u});
  s.psum.bytes_per_partition = s.psum.banks * pick(random, {1u, 2u}) * uint64_t{s.tensor.moving_max} * 4;
  s.hbm.bytes = 1 << 26;
}

void vary_dma(Prng& random, spec::DmaSpec& d) {
  d.engines = static_cast<uint32_t>(1 + random.below(16));
  d.queues = static_cast<uint32_t>(1 + random.below(16));
  d.engine_bytes_per_s = 100'000'000 + random.below(50'000'000'000);
  d.queue_bytes_per_s = d.engine_bytes_per_s / (1 + random.below(4));
  d.descriptor = nanoseconds(random, 100);
  d.transfer_floor = nanoseconds(random, 900);
  d.trigger_from_hbm = nanoseconds(random, 60), d.trigger_from_sbuf = nanoseconds(random, 60);
  d.start_latency_from_hbm = nanoseconds(random, 1500), d.start_latency_from_sbuf = nanoseconds(random, 1500);
  d.dispatch_per_descriptor = nanoseconds(random, 20), d.dispatch_max = nanoseconds(random, 500);
  d.software_descriptor = nanoseconds(random, 20), d.hardware_generation = nanoseconds(random, 900);
  d.class_ratio = static_cast<uint32_t>(1 + random.below(4));
  d.completion = nanoseconds(random, 300);
  d.access_bytes_min = static_cast<uint32_t>(1 + random.below(128));
  d.descriptor_bytes_max = pick(random, {64u, 512u, 4096u});
  d.descriptor_bytes_min = pick(random, {1u, 16u, 32u});
}

}  // namespace

spec::ChipSpec random_chip(uint64_t seed) {
  Prng random(seed);
  spec::ChipSpec s = spec::load_chip(pick(random, {"trn1", "trn2", "trn3"})).value();
  s.name = "random";
  for (spec::EngineSpec* e :
       std::initializer_list<spec::EngineSpec*>{&s.tensor, &s.vector, &s.scalar, &s.gpsimd, &s.sync}) {
    vary_engine(random, *e);
  }
  vary_memories(random, s);
  vary_dma(random, s.dma);
  s.vector.count = static_cast<uint32_t>(1 + random.below(2));
  s.scalar.table_load = nanoseconds(random, 2000);
  s.hbm.bytes_per_s = s.dma.engine_bytes_per_s * (1 + random.below(16));
  s.semaphores.count = static_cast<uint32_t>(32 + random.below(225));
  s.semaphores.wake = nanoseconds(random, 100);
  const auto findings = spec::check_geometry(s);
  CHECK(findings.empty(), findings.empty() ? "" : findings[0].message);
  return s;
}

}  // namespace presil::campaign
