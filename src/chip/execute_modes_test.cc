// Stochastic rounding, cFP8 with another bias, and functions that a program brings: what instructions then compute.
#include "chip/execute_fixture.h"
#include "numerics/float_format.h"

namespace presil::chip {
namespace {

using namespace testing;
namespace slots = isa::slots;

isa::Executable with(isa::Modes modes) {
  isa::Executable e;
  e.modes = modes;
  return e;
}

// A row-wide copy from fp32 under `modes`, as the execution-th instruction.
std::vector<uint64_t> copied(const isa::Modes& modes, DType to, const std::vector<float>& values, uint64_t execution) {
  const isa::Executable exe = with(modes);
  CoreMemory memory(small_spec(), kHbmBytes);
  ExecuteState state(small_spec(), exe);
  isa::Program p;
  const isa::Instruction& i = p.append(Opcode::tensor_copy, EngineKind::vector);
  const auto view = [&](DType t, int64_t offset) {
    View v{.memory = Memory::sbuf, .dtype = t, .rank = 1, .offset = offset};
    v.dims[0] = {1, static_cast<uint32_t>(values.size())};
    return v;
  };
  p.views = {view(to, 0), view(DType::fp32, 8192)};
  std::memcpy(memory.partition(Memory::sbuf, 0).data() + 8192, values.data(), values.size() * sizeof(float));
  execute(p, i, {}, memory, state, execution);
  EXPECT_EQ(state.fault, "");
  std::vector<uint64_t> out;
  for (size_t k = 0; k < values.size(); ++k) {
    uint64_t bits = 0;
    std::memcpy(&bits, memory.partition(Memory::sbuf, 0).data() + k * dtype_bytes(to), dtype_bytes(to));
    out.push_back(bits);
  }
  return out;
}

// Ten million conversions: the mean of what is stored is the value.
TEST(Modes, StochasticRoundingIsUnbiased) {
  constexpr size_t kRow = 2000;
  constexpr double kDraws = 1e7;
  for (const auto& [dtype, value, below, above] :
       {std::tuple(DType::bf16, 1.001f, 1.0f, 1.0078125f), {DType::fp8_e4m3, -3.05f, -3.0f, -3.25f}}) {
    const std::vector<float> row(kRow, value);
    double up = 0;
    for (uint64_t n = 0; n < static_cast<uint64_t>(kDraws / 2) / kRow; ++n) {
      for (uint64_t bits : copied({.stochastic_rounding = true, .rounding_seed = 5}, dtype, row, n)) {
        const float stored = numerics::to_fp32(dtype, bits);
        ASSERT_TRUE(stored == below || stored == above) << stored;
        up += stored == above;
      }
    }
    const double n = kDraws / 2, p = (value - below) / (above - below);
    EXPECT_NEAR(up / n, p, 4 * std::sqrt(p * (1 - p) / n)) << dtype_name(dtype);
  }
}

TEST(Modes, StochasticRoundingRepeatsAndDependsOnSeedAndInstructionAlone) {
  const std::vector<float> row(500, 1.003f);
  const isa::Modes a{.stochastic_rounding = true, .rounding_seed = 5},
      b{.stochastic_rounding = true, .rounding_seed = 6};
  EXPECT_EQ(copied(a, DType::bf16, row, 9), copied(a, DType::bf16, row, 9));
  EXPECT_NE(copied(a, DType::bf16, row, 9), copied(a, DType::bf16, row, 10));
  EXPECT_NE(copied(a, DType::bf16, row, 9), copied(b, DType::bf16, row, 9));
  EXPECT_NE(execution_number(0, 7), execution_number(1, 7));
  // What a format holds stays; integers and fp32 round to nearest.
  EXPECT_EQ(copied(a, DType::bf16, {1.5f, -2.0f}, 0), (std::vector<uint64_t>{0x3fc0, 0xc000}));
  EXPECT_EQ(copied(a, DType::int8, {1.4f, -1.6f}, 0), (std::vector<uint64_t>{1, 0xfe}));
}

// The documented demonstration: 1024 + 0.5, 2048 times in fp16, stays at 1024 to nearest and grows to about 2048
// stochastically.
TEST(Modes, SmallAdditionsArriveOnAverage) {
  float sum = 1024, nearest = 1024;
  for (uint64_t n = 0; n < 2048; ++n) {
    const auto step = [&](const isa::Modes& m, float x) {
      return numerics::to_fp32(DType::fp16, copied(m, DType::fp16, {x + 0.5f}, n)[0]);
    };
    sum = step({.stochastic_rounding = true}, sum), nearest = step({}, nearest);
  }
  EXPECT_EQ(nearest, 1024.0f);
  EXPECT_NEAR(sum, 2048, 4 * std::sqrt(2048 * 0.25));
}

TEST(Modes, Cfp8WithAnotherBiasIsTheFormatWithThatBias) {
  Prng random(3);
  std::vector<float> row;
  for (int i = 0; i < 2000; ++i) row.push_back(std::ldexp(random.normal(), static_cast<int>(random.between(-16, 12))));
  for (uint8_t bias : {0, 1, 3, 7, 15}) {
    const numerics::FloatFormat format{3, 4, bias};
    const auto stored = copied({.cfp8_bias = bias}, DType::fp8_e3m4, row, 0);
    for (size_t i = 0; i < row.size(); ++i) ASSERT_EQ(stored[i], numerics::encode(format, row[i])) << row[i];
  }
}

TEST(Modes, InstructionsReadCfp8UnderItsBias) {
  const isa::Executable exe = with({.cfp8_bias = 5});
  CoreMemory memory(small_spec(), kHbmBytes);
  ExecuteState state(small_spec(), exe);
  isa::Program p;
  const isa::Instruction& i = p.append(Opcode::tensor_tensor, EngineKind::vector);
  View in{.memory = Memory::sbuf, .dtype = DType::fp8_e3m4, .rank = 1}, out = in;
  in.dims[0] = out.dims[0] = {1, 2};
  out.dtype = DType::fp32, out.offset = 64;
  p.views = {out, in, in};
  const numerics::FloatFormat format{3, 4, 5};
  for (size_t k = 0; k < 2; ++k)
    memory.partition(Memory::sbuf, 0)[k] = static_cast<std::byte>(numerics::encode(format, k == 0 ? 0.75f : -2.5f));
  execute(p, i, {}, memory, state);
  float sums[2];
  std::memcpy(sums, memory.partition(Memory::sbuf, 0).data() + 64, sizeof sums);
  EXPECT_EQ(sums[0], 1.5f);
  EXPECT_EQ(sums[1], -5.0f);
}

// Random instructions under stochastic rounding store what the plain reference computes in fp32, rounded to one of the
// two neighbours.
TEST(Modes, InstructionsRoundTheirFp32Results) {
  const isa::Executable exe = with({.stochastic_rounding = true, .rounding_seed = 1});
  Fixture b(51);
  for (int n = 0; n < 200; ++n) {
    const Shape s = b.shape(100);
    const DType t = b.pick({DType::bf16, DType::fp16, DType::fp8_e5m2});
    const View dst = b.row_view(Memory::sbuf, t, s, 0, true), data = b.row_view(Memory::sbuf, DType::fp32, s, 1, false),
               wide = b.view(Memory::psum, DType::fp32, s.partitions, s.start, {s.row}, 2, true);
    b.start(Opcode::activation, EngineKind::scalar, {dst, data, View{}, View{}, View{}});
    b.set(slots::activation::op, static_cast<uint32_t>(Activation::tanh));
    ExecuteState state(small_spec(), exe);
    execute(b.program, b.program.code[0], {}, b.memory, state, static_cast<uint64_t>(n));
    isa::Program exact = b.program;
    exact.views[0] = wide;
    reference::Run(exact, exact.code[0], b.machine).execute();
    const auto values = reference::read_floats(b.machine, wide);
    reference::Machine seen = b.machine;
    for (uint32_t p = 0; p < s.partitions; ++p)
      std::memcpy(seen.sbuf[s.start + p].data(), b.memory.partition(Memory::sbuf, s.start + p).data(),
                  seen.sbuf[0].size());
    const auto words = reference::read_words(seen, dst);
    for (size_t k = 0; k < words.size(); ++k) {
      const uint64_t low = numerics::from_fp32_stochastic(t, values[k], 0),
                     high = numerics::from_fp32_stochastic(t, values[k], UINT32_MAX);
      ASSERT_TRUE(words[k] == low || words[k] == high) << values[k];
    }
    for (uint32_t p = 0; p < s.partitions; ++p)
      std::memcpy(b.machine.sbuf[s.start + p].data(), seen.sbuf[s.start + p].data(), seen.sbuf[0].size());
  }
}

TEST(CustomActivations, AreTablesOfTheProgram) {
  isa::Executable exe;
  exe.activations = {{"line", {{-numerics::kInfinity, 0, {3, 2}}}}};
  CoreMemory memory(small_spec(), kHbmBytes);
  for (const Opcode opcode : {Opcode::activation, Opcode::activation_reduce, Opcode::activate2}) {
    ExecuteState state(small_spec(), exe);
    isa::Program p;
    const isa::Instruction& i = p.append(opcode, EngineKind::scalar);
    View v{.memory = Memory::sbuf, .dtype = DType::fp32, .rank = 1}, column = v;
    v.dims[0] = {1, 4}, column.dims[0] = {1, 1}, column.offset = 64;
    p.views[0] = p.views[1] = v;
    if (opcode == Opcode::activation_reduce) p.views[slots::activation_reduce::reduce_res] = column;
    p.attributes[slots::activation::op] = static_cast<uint32_t>(Activation::custom0);
    const float in[] = {0, 1, -2, 0.5f};
    std::memcpy(memory.partition(Memory::sbuf, 0).data(), in, sizeof in);
    execute(p, i, {}, memory, state);
    ASSERT_EQ(state.fault, "");
    float out[4];
    std::memcpy(out, memory.partition(Memory::sbuf, 0).data(), sizeof out);
    EXPECT_EQ(std::vector<float>(out, out + 4), (std::vector<float>{3, 5, -1, 4}));
    p.attributes[slots::activation::op] = static_cast<uint32_t>(Activation::custom1);
    execute(p, i, {}, memory, state);
    EXPECT_EQ(state.fault, std::string(isa::row(opcode).name) + ": the program has no such function");
  }
}

}  // namespace
}  // namespace presil::chip
