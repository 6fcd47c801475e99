#include "system/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "chip/random_program.h"

namespace presil::system {
namespace {

using namespace chip::testing;
using ::testing::HasSubstr;
constexpr uint32_t kElements = 128 * 32;

// out = relu(x + c), loaded by two transfers, added, activated, stored.
Assembler program(bool with_constant_bytes = true) {
  Assembler a;
  int64_t x = a.tensor("x", isa::TensorRole::input, kElements);
  int64_t c = a.tensor("c", isa::TensorRole::constant, kElements);
  int64_t out = a.tensor("out", isa::TensorRole::output, kElements);
  if (with_constant_bytes) {
    std::vector<float> values(kElements);
    for (uint32_t i = 0; i < kElements; ++i) values[i] = static_cast<float>(i % 7) - 3;
    a.exe.tensors[1].data.resize(kElements * 4);
    std::memcpy(a.exe.tensors[1].data.data(), values.data(), kElements * 4);
  }
  a.dma(EngineKind::sync, sbuf(128, 0, 32), hbm(x, kElements)).signal(0);
  a.dma(EngineKind::gpsimd, sbuf(128, 4096, 32), hbm(c, kElements), 1).signal(1);
  a.add(EngineKind::vector, sbuf(128, 8192, 32), sbuf(128, 0, 32), sbuf(128, 4096, 32)).wait(0, 4).wait(1, 4).signal(2);
  a.activation(Activation::relu, sbuf(128, 12288, 32), sbuf(128, 8192, 32)).wait(2, 1).signal(3);
  a.dma(EngineKind::sync, hbm(out, kElements), sbuf(128, 12288, 32)).wait(3, 1);
  return a;
}

std::vector<std::byte> input_bytes(uint32_t elements = kElements) {
  std::vector<float> values(elements);
  for (uint32_t i = 0; i < elements; ++i) values[i] = 0.5f * static_cast<float>(i % 11) - 2;
  std::vector<std::byte> bytes(elements * 4);
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

TEST(Run, ComputesWhatTheProgramSays) {
  std::vector<std::byte> x = input_bytes();
  Result<RunResult> r = run(program().exe, round_chip(), {.data = true, .check = true}, {{"x", x}});
  ASSERT_TRUE(r) << r.error().text();
  EXPECT_TRUE(r->outcome.ok()) << chip::outcome_text(r->outcome);
  ASSERT_EQ(r->outputs.size(), 1u);
  EXPECT_EQ(r->outputs[0].name, "out");
  std::vector<float> out(kElements);
  ASSERT_EQ(r->outputs[0].bytes.size(), kElements * 4);
  std::memcpy(out.data(), r->outputs[0].bytes.data(), kElements * 4);
  for (uint32_t i = 0; i < kElements; ++i) {
    float sum = 0.5f * static_cast<float>(i % 11) - 2 + static_cast<float>(i % 7) - 3;
    ASSERT_EQ(out[i], sum > 0 ? sum : 0) << i;
  }
}

TEST(Run, DataAndCheckerChangeNoTime) {
  std::vector<std::byte> x = input_bytes();
  RunResult timed = *run(program().exe, round_chip());
  RunResult checked = *run(program().exe, round_chip(), {.check = true});
  RunResult with_data = *run(program().exe, round_chip(), {.data = true}, {{"x", x}});
  EXPECT_EQ(timed.trace_hash, checked.trace_hash);
  EXPECT_EQ(timed.trace_hash, with_data.trace_hash);
  EXPECT_EQ(timed.elapsed, with_data.elapsed);
  EXPECT_TRUE(timed.outputs.empty());
}

TEST(Run, ThreadsChangeNothing) {
  std::vector<std::byte> x = input_bytes(128 * 4096);
  for (uint64_t seed = 0; seed < 10; ++seed) {
    isa::Executable exe = random_program(seed, {.instructions = 300, .ordered = true}).exe;
    RunResult one = *run(exe, round_chip(), {.data = true, .check = true}, {{"x", x}});
    RunResult two = *run(exe, round_chip(), {.data = true, .check = true, .threads = 2}, {{"x", x}});
    EXPECT_EQ(one.trace_hash, two.trace_hash) << seed;
    EXPECT_EQ(one.elapsed, two.elapsed) << seed;
    EXPECT_EQ(one.outputs[0].bytes, two.outputs[0].bytes) << seed;
    EXPECT_EQ(one.findings.size(), two.findings.size()) << seed;
  }
}

// Chains of matmuls beside other work, with operands packed from windows and from bf16.
TEST(Run, ChainsOfMatmulsAreTheSameWithThreads) {
  Assembler a;
  int64_t x = a.tensor("x", isa::TensorRole::input, 128 * 2048);
  int64_t out = a.tensor("out", isa::TensorRole::output, 128 * 512);
  a.dma(EngineKind::sync, sbuf(128, 0, 2048), hbm(x, 128 * 2048)).signal(0);
  a.copy(EngineKind::vector, view(Memory::sbuf, 0, 128, 16384, {{1, 1024}}, DType::bf16), sbuf(128, 0, 1024))
      .wait(0, 4)
      .signal(1);
  const View window = view(Memory::sbuf, 0, 128, 16384, {{60, 16}, {1, 32}}, DType::bf16);
  const View narrow = view(Memory::sbuf, 0, 128, 16384, {{40, 10}, {2, 10}}, DType::bf16);
  for (int i = 0; i < 40; ++i) {
    auto first = a.matmul(psum(128, 0, 512), sbuf(128, 4 * i, 128), sbuf(128, 2048, 512), i > 0);
    if (i == 0) first.wait(0, 4).wait(1, 1);
    a.matmul(psum(128, 0, 512), view(Memory::sbuf, 0, 128, 16384 + 2 * i, {{1, 128}}, DType::bf16), window, true);
    auto last = a.matmul(psum(128, 0, 100), view(Memory::sbuf, 0, 128, 16384, {{1, 128}}, DType::bf16), narrow, true);
    if (i == 39) last.signal(2);
  }
  a.copy(EngineKind::vector, sbuf(128, 32768, 512), psum(128, 0, 512)).wait(2, 1).signal(3);
  a.dma(EngineKind::sync, hbm(out, 128 * 512), sbuf(128, 32768, 512)).wait(3, 1);
  std::vector<std::byte> input = input_bytes(128 * 2048);
  RunResult one = *run(a.exe, round_chip(), {.data = true}, {{"x", input}});
  ASSERT_TRUE(one.outcome.ok()) << chip::outcome_text(one.outcome);
  for (uint32_t threads : {2u, 4u}) {
    RunResult more = *run(a.exe, round_chip(), {.data = true, .threads = threads}, {{"x", input}});
    EXPECT_EQ(one.outputs[0].bytes, more.outputs[0].bytes) << threads;
    EXPECT_EQ(one.trace_hash, more.trace_hash) << threads;
  }
}

// A fault that only the data shows: an index outside of its table. It stops the core where it happens.
TEST(Run, AFaultOfTheDataIsTheSameWithThreads) {
  Assembler a = program();
  View indices = view(Memory::sbuf, 0, 128, 8192, {{1, 32}}, DType::uint32);
  a.append(EngineKind::gpsimd, Opcode::nc_n_gather)
      .operand(0, sbuf(128, 16384, 32))
      .operand(1, sbuf(128, 0, 32))
      .operand(2, indices)
      .wait(2, 1);
  a.memset(EngineKind::gpsimd, sbuf(128, 20480, 32));
  std::vector<std::byte> x = input_bytes();
  RunResult one = *run(a.exe, round_chip(), {.data = true}, {{"x", x}});
  RunResult two = *run(a.exe, round_chip(), {.data = true, .threads = 2}, {{"x", x}});
  EXPECT_EQ(one.outcome.kind, chip::Outcome::Kind::fault);
  EXPECT_EQ(one.outcome.engine, "gpsimd");
  EXPECT_EQ(one.outcome.instruction, 1u);
  EXPECT_THAT(one.outcome.detail, HasSubstr("nc_n_gather"));
  EXPECT_EQ(chip::outcome_text(one.outcome), chip::outcome_text(two.outcome));
  EXPECT_EQ(one.trace_hash, two.trace_hash);
  EXPECT_EQ(one.elapsed, two.elapsed);
}

TEST(Run, SaysWhichDataIsMissing) {
  std::vector<std::byte> x = input_bytes(), small = input_bytes(5);
  auto message = [](const Assembler& a, const std::vector<Input>& inputs) {
    Result<RunResult> r = run(a.exe, round_chip(), {.data = true}, inputs);
    return r ? std::string("ran") : r.error().text();
  };
  EXPECT_EQ(message(program(), {}), "input 'x': no data given");
  EXPECT_EQ(message(program(), {{"x", small}}), "input 'x': 20 bytes, expected 16384");
  EXPECT_EQ(message(program(), {{"x", x}, {"x", x}}), "input 'x': given twice");
  EXPECT_EQ(message(program(), {{"xx", x}}), "input 'xx': the executable has no such input (did you mean 'x'?)");
  EXPECT_EQ(message(program(false), {{"x", x}}),
            "tensor 'c': weights were not read: 0 of 16384 bytes (compile with data, or run without)");
  Assembler outside = program();
  outside.exe.tensors[2].address += 4;
  EXPECT_EQ(message(outside, {{"x", x}}),
            "tensor 'out': 16384 bytes at 32772 are outside of the executable's 49152 bytes of HBM");
}

TEST(Run, WhatTheCheckerFindsIsTheOutcome) {
  Assembler a = program();
  a.exe.queues[1].waits[1].value = 3;
  Result<RunResult> r = run(a.exe, round_chip(), {.check = true});
  EXPECT_EQ(r->outcome.kind, chip::Outcome::Kind::race);
  EXPECT_EQ(r->outcome.engine, "vector");
  EXPECT_THAT(r->outcome.detail, HasSubstr("no semaphore orders it after gpsimd instruction 0 (dma_copy)"));
  EXPECT_EQ(r->findings.size(), 1u);
}

TEST(Run, AnExecutableThatDoesNotHoldTogetherIsAnError) {
  auto message = [](auto&& change) {
    Assembler a = program();
    change(a.exe);
    Result<RunResult> r = run(a.exe, round_chip());
    return r ? std::string("ran") : r.error().text();
  };
  EXPECT_EQ(message([](isa::Executable& e) { e.queues[1].waits[0].semaphore = 9; }),
            "queue 1 instruction 0: waits for semaphore 9, the executable has 4");
  EXPECT_EQ(message([](isa::Executable& e) { e.queues[1].code[0].signal = 4; }),
            "queue 1 instruction 0: signals semaphore 4, the executable has 4");
  EXPECT_EQ(message([](isa::Executable& e) { e.queues[3].code[0].dma_queue = 4; }),
            "queue 3 instruction 0: DMA queue 4, chip round has 4");
  EXPECT_EQ(message([](isa::Executable& e) { e.semaphores = 257; }), "257 semaphores used, chip round has 256");
  EXPECT_EQ(message([](isa::Executable& e) {
              e.queues[1].repeats.push_back({0, 2, 3});
            }),
            "queue 1: repeat 0 covers instructions [0, 2) of 1");
  EXPECT_EQ(message([](isa::Executable& e) {
              e.queues[1].repeats.push_back({0, 1, 0});
            }),
            "queue 1: repeat 0 runs 0 times, expected at least once");
  EXPECT_EQ(message([](isa::Executable& e) { e.sources[0].layer = 3; }),
            "queue 1 instruction 0: belongs to layer 3, the executable has 1");
}

TEST(Run, ACancelledRunIsAnErrorWhateverItWasDoing) {
  std::vector<std::byte> x = input_bytes();
  Cancel cancel;
  cancel.request();
  for (uint32_t threads : {1u, 2u}) {
    auto r = run(program().exe, round_chip(), {.data = true, .threads = threads, .cancel = &cancel}, {{"x", x}});
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().code, ErrorCode::cancelled);
    EXPECT_EQ(r.error().text(), "interrupted");
  }
}

// A program that would run for hours ends when another thread says so; in time only, and with data in either thread.
TEST(Run, ARunIsCancelledFromAnotherThread) {
  Assembler a;
  a.activation(Activation::exp, sbuf(128, 4096, 1024), sbuf(128, 0, 1024));
  for (isa::Program& queue : a.exe.queues) {
    if (!queue.code.empty()) queue.repeats.push_back({0, 1, 1'000'000'000});
  }
  for (Options options : {Options{}, Options{.data = true}, Options{.data = true, .threads = 2}}) {
    Cancel cancel;
    options.cancel = &cancel;
    std::thread other([&cancel] { cancel.request(); });
    Result<RunResult> r = run(a.exe, round_chip(), options);
    other.join();
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().code, ErrorCode::cancelled);
  }
}

// Everything waits for everything: data is the same whatever the machine's timing.
TEST(Run, DataDoesNotDependOnTime) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    RandomOptions options;
    options.ordered = true;
    options.instructions = 60;
    isa::Executable exe = random_program(seed, options).exe;
    std::vector<std::byte> x = input_bytes(128 * 4096);
    spec::ChipSpec fast = round_chip(), slow = round_chip();
    fast.vector.clock_hz *= 7;
    slow.dma.start_latency_from_hbm *= 5;
    RunResult a = *run(exe, fast, {.data = true}, {{"x", x}}), b = *run(exe, slow, {.data = true}, {{"x", x}});
    EXPECT_NE(a.elapsed, b.elapsed);
    EXPECT_EQ(a.outputs[0].bytes, b.outputs[0].bytes) << "seed " << seed;
  }
}

}  // namespace
}  // namespace presil::system
