// Is what lies in SBUF and PSUM what the program put there, from its write to its last use?
#include "system/residency.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "chip/random_program.h"
#include "system/record.h"

namespace presil::system {
namespace {

using namespace chip::testing;

constexpr uint32_t kElements = 128 * 32;
constexpr uint64_t kBytes = uint64_t{kElements} * 4;

struct Recorded {
  trace::Trace trace;
  RunResult run;
  explicit Recorded(const Assembler& a) { run = record(a.exe, round_chip(), {}, {}, trace).value(); }

  const trace::Event& instruction(EngineKind engine, uint32_t index) const {
    for (const trace::Event& e : trace.events) {
      if (e.lane == static_cast<uint32_t>(engine) && e.instruction == index) return e;
    }
    CHECK(false, "it ran");
  }
  Time end_of_transfer(const trace::Event& trigger) const {
    Time end = 0;
    for (const trace::Event& e : trace.events) {
      if (e.trigger == static_cast<uint32_t>(&trigger - trace.events.data())) end = std::max(end, e.end);
    }
    return end;
  }
  // Bytes x time of a row; what is lost to rounding is less than a byte per slice.
  double byte_time(size_t memory, const std::string& name) const {
    double sum = 0;
    for (const trace::Residency::Row& row : trace.about.memories[memory].rows) {
      if (row.name != name) continue;
      for (uint64_t bytes : row.bytes) sum += static_cast<double>(bytes);
    }
    return sum * static_cast<double>(trace.about.memories[memory].slice);
  }
  void expect(size_t memory, const std::string& name, double bytes_time) const {
    EXPECT_NEAR(byte_time(memory, name), bytes_time, static_cast<double>(run.elapsed) + 1) << name;
  }
};

double during(Time begin, Time end, uint64_t bytes = kBytes) {
  return static_cast<double>(end - begin) * static_cast<double>(bytes);
}

TEST(Residency, FromTheWriteToTheLastUse) {
  Assembler a;
  int64_t x = a.tensor("x", isa::TensorRole::input, kElements);
  int64_t c = a.tensor("c", isa::TensorRole::constant, kElements);
  int64_t out = a.tensor("out", isa::TensorRole::output, kElements);
  a.dma(EngineKind::sync, sbuf(128, 0, 32), hbm(x, kElements)).signal(0);
  a.dma(EngineKind::gpsimd, sbuf(128, 4096, 32), hbm(c, kElements), 1).signal(1);
  a.add(EngineKind::vector, sbuf(128, 8192, 32), sbuf(128, 0, 32), sbuf(128, 4096, 32)).wait(0, 4).wait(1, 4).signal(2);
  a.dma(EngineKind::sync, hbm(out, kElements), sbuf(128, 8192, 32)).wait(2, 1);
  Recorded r(a);
  const trace::Event& load = r.instruction(EngineKind::sync, 0);
  const trace::Event& load_c = r.instruction(EngineKind::gpsimd, 0);
  const trace::Event& sum = r.instruction(EngineKind::vector, 0);
  r.expect(0, "input x", during(load.start, sum.end));
  r.expect(0, "constant c", during(load_c.start, sum.end));
  r.expect(0, "result of layer0", during(sum.start, r.end_of_transfer(r.instruction(EngineKind::sync, 1))));
  EXPECT_EQ(r.trace.about.memories[0].memory, "SBUF");
  EXPECT_EQ(r.trace.about.memories[0].capacity_bytes, 24u << 20);
  EXPECT_EQ(r.trace.about.memories[0].peak_bytes, 3 * kBytes) << "both operands and the sum, while it is computed";
  EXPECT_TRUE(r.trace.about.memories[1].rows.empty()) << "nothing was in PSUM";
  EXPECT_EQ(r.trace.about.memories[1].peak_bytes, 0u);
}

// A place that is written again belongs to whoever wrote last; a repeat's loads to the tensor at their address.
TEST(Residency, APlaceChangesHands) {
  Assembler a;
  int64_t first = a.tensor("first", isa::TensorRole::input, kElements);
  int64_t second = a.tensor("second", isa::TensorRole::input, kElements);
  a.dma(EngineKind::sync, sbuf(128, 0, 32), hbm(first, kElements))
      .signal(0)
      .grow(isa::Delta::Target::operand, 1, 0, second - first);
  a.memset(EngineKind::vector, sbuf(64, 4096, 16)).wait(0, 8).signal(1);
  a.queue(EngineKind::sync).repeats.push_back({0, 1, 2});
  Recorded r(a);
  std::vector<Time> starts;
  Time end = 0;
  for (const trace::Event& e : r.trace.events) {
    if (e.lane == static_cast<uint32_t>(EngineKind::sync)) starts.push_back(e.start);
    if (e.trigger != trace::kNoEvent) end = std::max(end, e.end);
  }
  ASSERT_EQ(starts.size(), 2u);
  EXPECT_GT(r.byte_time(0, "input first"), 0);
  r.expect(0, "input first", during(starts[0], starts[0] + (starts[1] - starts[0])));
  r.expect(0, "input second", during(starts[1], end));
  const trace::Event& fill = r.instruction(EngineKind::vector, 0);
  r.expect(0, "result of layer0", during(fill.start, fill.end, 64 * 64));
}

}  // namespace
}  // namespace presil::system
