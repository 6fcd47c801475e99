// Writes a saved trace of any size, as if some program had run: what the tests of the report's page measure with.
//   synthetic_trace EVENTS FILE.trace
#include <fmt/format.h>

#include <cstdlib>
#include <fstream>

#include "base/prng.h"
#include "trace/save.h"

namespace {

using namespace presil;
using trace::Event;
using trace::Release;

constexpr uint32_t kEngines = 5, kDmaEngines = 16, kLayers = 60;
constexpr const char* kKinds[kEngines] = {"tensor", "vector", "scalar", "gpsimd", "sync"};

// Engines work and wait in turn; an instruction waits for one before it, mostly of its own queue.
trace::Trace synthetic(uint64_t count) {
  Prng prng(1);
  trace::Trace t;
  for (const char* kind : kKinds) t.lane_list.push_back({fmt::format("core0.{}", kind), trace::Lane::Kind::engine});
  for (uint32_t d = 0; d < kDmaEngines; ++d)
    t.lane_list.push_back({fmt::format("core0.dma{}", d), trace::Lane::Kind::dma});
  std::vector<Time> free(t.lane_list.size());
  std::vector<uint32_t> last(t.lane_list.size(), trace::kNoEvent);
  for (uint32_t k = 0; k < count; ++k) {
    Event e;
    e.lane = static_cast<uint32_t>(prng.below(t.lane_list.size()));
    e.source = static_cast<uint32_t>(uint64_t{k} * kLayers / count);
    e.instruction = e.lane < kEngines ? static_cast<uint32_t>(prng.below(1000)) : trace::kNoInstruction;
    if (e.lane >= kEngines) e.dma_queue = static_cast<uint8_t>(prng.below(4)), e.alone = kNanosecond;
    e.release = last[e.lane] == trace::kNoEvent ? Release::start : Release::queue;
    e.cause = last[e.lane];
    e.start = free[e.lane];
    const auto other = static_cast<uint32_t>(prng.below(kEngines));
    if (prng.below(3) == 0 && last[other] != trace::kNoEvent && t.events[last[other]].end > e.start) {
      e.start = t.events[last[other]].end, e.cause = last[other], e.release = Release::semaphore;
      e.semaphore = static_cast<uint16_t>(other);
    }
    e.busy_until =
        e.start + static_cast<Time>(20 + prng.below(400)) * kNanosecond + static_cast<Time>(prng.below(1000));
    e.end = e.busy_until + (e.lane < kEngines ? 100 * kNanosecond : 0);
    e.amount = 1 + prng.below(100'000);
    free[e.lane] = e.busy_until;
    t.about.elapsed = std::max(t.about.elapsed, e.end);
    last[e.lane] = t.event(e);
  }
  return t;
}

void describe(trace::Trace& t) {
  trace::About& a = t.about;
  a.model = "synthetic", a.chip = "none", a.precision = "bf16", a.confidence = "assumed";
  a.peak_macs_per_s = a.bf16_macs_per_s = 1'000'000'000'000, a.hbm_bound_bytes_per_s = 1'000'000'000, a.macs = 1;
  for (uint32_t l = 0; l < kLayers; ++l) {
    a.layers.push_back({.name = fmt::format("layer{}", l), .kind = "test", .time = a.elapsed / kLayers});
    a.sources.push_back({l, fmt::format("work {}", l), fmt::format("node{}", l)});
  }
  a.texts = {"nc_matmul psum.fp32[128 x 512] <- sbuf.bf16[128 x 128], sbuf.bf16[128 x 512]"};
  for (const trace::Lane& lane : t.lane_list) {
    const bool dma = lane.kind == trace::Lane::Kind::dma;
    trace::Unit unit{.name = lane.name.substr(6), .kind = dma ? "dma" : lane.name.substr(6)};
    unit.waits = {{dma ? "idle" : "finished", a.elapsed}};
    if (!dma) unit.instruction_texts.resize(1000);
    a.units.push_back(std::move(unit));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return fmt::print(stderr, "synthetic_trace EVENTS FILE.trace\n"), 2;
  trace::Trace t = synthetic(std::strtoull(argv[1], nullptr, 10));
  describe(t);
  const std::vector<std::byte> bytes = trace::save(t);
  std::ofstream(argv[2], std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return 0;
}
