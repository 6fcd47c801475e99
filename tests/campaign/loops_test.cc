// Programs with device loops from the builder to results: trip counts and conditions that are computed, with data and
// without, on the default chip.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "backend/lower.h"
#include "isa/parse.h"
#include "isa/print.h"
#include "isa/slots.h"
#include "spec/chip_file.h"
#include "system/run.h"
#include "tile/builder.h"

namespace presil::campaign {
namespace {

using isa::TensorRole;
using isa::View;
using tile::Builder;
using tile::Register;

constexpr uint32_t kRows = 8, kWidth = 64;

const spec::ChipSpec& chip() {
  static const spec::ChipSpec spec = spec::load_chip("trn2").value();
  return spec;
}

// y[k] = 2 x[k] for the first n rows, and the sum of all those rows; node "rows" loops.
tile::TileProgram rows() {
  Builder b("rows");
  const uint32_t n = b.tensor("n", DType::int32, {1}, TensorRole::input);
  const uint32_t x = b.tensor("x", DType::fp32, {kRows, kWidth}, TensorRole::input);
  const uint32_t y = b.tensor("y", DType::fp32, {kRows, kWidth}, TensorRole::output);
  const uint32_t total = b.tensor("total", DType::fp32, {kWidth}, TensorRole::output);
  b.begin_layer("rows", "loop");
  b.set_source("rows", "rows");
  const View sum = b.tile_view(b.sbuf(1, 4 * kWidth, "sum"), DType::fp32);
  b.memset({.dst = sum, .value = 0.0f});
  b.loop(0, b.load_register(b.whole(n)), 1, [&](Register k) {
    const View in = b.tile_view(b.sbuf(1, 4 * kWidth, "in"), DType::fp32);
    const View out = b.tile_view(b.sbuf(1, 4 * kWidth, "out"), DType::fp32);
    b.dma(in, b.moving(b.hbm_view(x, 0, {{1, kWidth}}), k, 4 * kWidth));
    b.tensor_scalar({.dst = out, .data = in, .op0 = AluOp::multiply, .operand0 = 2.0f});
    b.tensor_tensor({.dst = sum, .data1 = sum, .data2 = out});
    b.dma(b.moving(b.hbm_view(y, 0, {{1, kWidth}}), k, 4 * kWidth), out);
  });
  b.dma(b.whole(total), sum);
  return b.take();
}

std::vector<float> floats(const std::vector<std::byte>& bytes) {
  std::vector<float> v(bytes.size() / 4);
  std::memcpy(v.data(), bytes.data(), bytes.size());
  return v;
}

std::vector<float> some_rows() {
  std::vector<float> x(kRows * kWidth);
  for (size_t k = 0; k < x.size(); ++k) x[k] = static_cast<float>(static_cast<int>(k * 37 % 101) - 50);
  return x;
}

TEST(Loops, RunAsOftenAsMemorySays) {
  const tile::TileProgram program = rows();
  EXPECT_EQ(isa::parse_program(isa::print(program.code)).value(), program.code);
  const isa::Executable exe = backend::lower(program, chip()).value();
  const std::vector<float> x = some_rows();
  Time one = 0;
  for (int32_t n : {0, 1, 7, 8}) {
    const std::vector<system::Input> inputs{{"n", std::as_bytes(std::span(&n, 1))}, {"x", std::as_bytes(std::span(x))}};
    const system::RunResult r = system::run(exe, chip(), {.data = true, .check = true}, inputs).value();
    ASSERT_TRUE(r.outcome.ok()) << n << ": " << chip::outcome_text(r.outcome);
    std::vector<float> total(kWidth);
    const std::vector<float> y = floats(r.outputs[0].bytes);
    for (uint32_t k = 0; k < kRows * kWidth; ++k) {
      const float expected = k < static_cast<uint32_t>(n) * kWidth ? 2 * x[k] : 0;
      EXPECT_EQ(y[k], expected) << n;
      total[k % kWidth] += expected;
    }
    EXPECT_EQ(floats(r.outputs[1].bytes), total) << n;
    EXPECT_EQ(system::run(exe, chip(), {}, {inputs[0]}).value().trace_hash, r.trace_hash) << n;
    const auto assumed = system::run(exe, chip(), {.assume = {{"rows", static_cast<uint32_t>(n)}}});
    ASSERT_TRUE(assumed) << assumed.error().text();
    EXPECT_EQ(assumed->trace_hash, r.trace_hash) << n;
    if (n == 1) one = r.elapsed;
    if (n == 8) {
      // Iterations overlap: eight of them take less time than eight alone.
      EXPECT_LT(r.elapsed, 5 * one);
    }
  }
}

// x doubles until it is above 1000, at most 50 times; what it was then, and how often.
TEST(Loops, EndWhereAComputedConditionFails) {
  Builder b("doubling");
  const uint32_t x = b.tensor("x", DType::fp32, {1}, TensorRole::input);
  const uint32_t y = b.tensor("y", DType::fp32, {1}, TensorRole::output);
  const uint32_t count = b.tensor("count", DType::int32, {1}, TensorRole::output);
  b.begin_layer("doubling", "loop");
  b.set_source("double", "doubling");
  const View value = b.tile_view(b.sbuf(1, 4, "value"), DType::fp32);
  const View small = b.tile_view(b.sbuf(1, 4, "small"), DType::int32);
  b.dma(value, b.whole(x));
  const Register go = b.make_register(1), times = b.make_register(0);
  b.while_loop(go, [&] {
    b.tensor_scalar({.dst = value, .data = value, .op0 = AluOp::multiply, .operand0 = 2.0f});
    b.tensor_scalar({.dst = small, .data = value, .op0 = AluOp::le, .operand0 = 1000.0f});
    b.load_register(go, small);
    b.compute(times, AluOp::add, times, 1);
  });
  b.dma(b.whole(y), value);
  b.store_register(b.whole(count), times);
  const isa::Executable exe = backend::lower(b.take(), chip()).value();
  for (float from : {600.0f, 3.0f, 0.001f}) {
    const system::RunResult r =
        system::run(exe, chip(), {.data = true, .check = true}, {{"x", std::as_bytes(std::span(&from, 1))}}).value();
    ASSERT_TRUE(r.outcome.ok()) << chip::outcome_text(r.outcome);
    uint32_t expected = 0, found = 0;
    float v = from;
    do {
      v *= 2, ++expected;
    } while (v <= 1000);
    std::memcpy(&found, r.outputs[1].bytes.data(), 4);
    EXPECT_EQ(floats(r.outputs[0].bytes)[0], v);
    EXPECT_EQ(found, expected);
    const auto assumed = system::run(exe, chip(), {.assume = {{"doubling", expected}}});
    ASSERT_TRUE(assumed) << assumed.error().text();
    EXPECT_EQ(assumed->trace_hash, r.trace_hash);
  }
  const float never = 0;
  const system::RunResult r =
      system::run(exe, chip(), {.data = true, .jumps_max = 1000}, {{"x", std::as_bytes(std::span(&never, 1))}}).value();
  EXPECT_EQ(r.outcome.kind, chip::Outcome::Kind::loop_limit);
  EXPECT_THAT(chip::outcome_text(r.outcome),
              ::testing::HasSubstr("jumps back for the 1001th time of all: more than the limit of 1000"));
}

// A tile that is stored for the last time on one side of a choice, and one loaded to the same place behind that.
TEST(Loops, TilesTakeOverMemoryOfThoseMadeEarlier) {
  Builder b("takeover");
  const uint32_t x = b.tensor("x", DType::fp32, {2, kWidth}, TensorRole::input);
  const uint32_t y = b.tensor("y", DType::fp32, {2, kWidth}, TensorRole::output);
  auto row = [&](uint32_t tensor, int64_t k) { return b.hbm_view(tensor, k * kWidth, {{1, kWidth}}); };
  const View first = b.tile_view(b.sbuf(1, 4 * kWidth, "first", {0, 0}), DType::fp32);
  const View second = b.tile_view(b.sbuf(1, 4 * kWidth, "second", {0, 0}), DType::fp32);
  b.dma(first, row(x, 0));
  b.begin_if(AluOp::eq, b.make_register(1), 1);
  b.dma(row(y, 0), first);
  b.dma(second, row(x, 1));
  b.dma(row(y, 1), second);
  b.end_if();
  const isa::Executable exe = backend::lower(b.take(), chip()).value();
  const std::vector<float> all = some_rows(), two(all.begin(), all.begin() + 2 * kWidth);
  const system::RunResult r =
      system::run(exe, chip(), {.data = true, .check = true}, {{"x", std::as_bytes(std::span(two))}}).value();
  EXPECT_TRUE(r.outcome.ok()) << chip::outcome_text(r.outcome);
  EXPECT_EQ(floats(r.outputs[0].bytes), two);
}

// A loop that counts in the register which bounds the loop inside: what that register was computed from is computed by
// whoever runs the loops, though nothing reads its result before the loop overwrites it.
TEST(Loops, CountInARegisterThatWasComputedBefore) {
  Builder b("reused");
  const uint32_t y = b.tensor("y", DType::fp32, {1}, TensorRole::output);
  b.begin_layer("reused", "loop");
  b.set_source("count");
  const View value = b.tile_view(b.sbuf(1, 4, "value"), DType::fp32);
  b.memset({.dst = value, .value = 0.0f});
  const Register bound = b.compute(AluOp::bit_and, b.compute(AluOp::bit_xor, b.make_register(2), 1), 3);
  const auto outer = static_cast<uint32_t>(b.program.code.code.size());
  b.loop(0, 3, 1, [&](Register) {
    b.loop(0, bound, 1,
           [&](Register) { b.tensor_scalar({.dst = value, .data = value, .op0 = AluOp::add, .operand0 = 1.0f}); });
  });
  b.dma(b.whole(y), value);
  tile::TileProgram program = b.take();
  const isa::Instruction& head = program.code.code[outer];
  program.code.attributes[head.attribute_begin + isa::slots::loop::counter] = bound.number;
  const isa::Executable exe = backend::lower(std::move(program), chip()).value();
  const system::RunResult r = system::run(exe, chip(), {.data = true, .check = true}).value();
  ASSERT_TRUE(r.outcome.ok()) << chip::outcome_text(r.outcome);
  EXPECT_EQ(floats(r.outputs[0].bytes)[0], 0.0f + 1.0f + 2.0f);
}

TEST(Loops, SayWhatTheyNeedAndTheCoreLacks) {
  spec::ChipSpec few = chip();
  few.sequencer.registers = 2;
  EXPECT_EQ(backend::lower(rows(), few).error().text(), "rows: loops need 4 registers of a sequencer, which has 2");
  few = chip();
  few.semaphores.count = 3;
  EXPECT_EQ(backend::lower(rows(), few).error().text(),
            "rows: 3 engines that run loops need 5 semaphores, the core has 3");
}

}  // namespace
}  // namespace presil::campaign
