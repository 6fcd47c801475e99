// Programs for the two cores of a pair from the builder to results: do exchanges and shared tensors arrive, is the
// checker content with what the backend makes, and do random pairs of programs compute what their plain meaning is?
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "backend/lower_pair.h"
#include "isa/encode.h"
#include "isa/exchange.h"
#include "isa/rules.h"
#include "spec/chip_file.h"
#include "system/jittered.h"
#include "system/run.h"
#include "tests/campaign/judge.h"
#include "tests/campaign/long.h"
#include "tests/campaign/unroll.h"
#include "tile/builder.h"

namespace presil::campaign {
namespace {

using isa::TensorRole;
using isa::View;
using tile::Builder;
using Floats = std::vector<float>;

const spec::ChipSpec& chip() {
  static const spec::ChipSpec spec = spec::load_chip("trn2").value();
  return spec;
}

std::span<const std::byte> bytes_of(const Floats& x) { return std::as_bytes(std::span(x)); }
Floats floats(const std::vector<std::byte>& bytes) {
  Floats v(bytes.size() / 4);
  std::memcpy(v.data(), bytes.data(), bytes.size());
  return v;
}
Floats numbers(size_t count, uint64_t seed) {
  Prng random(seed);
  Floats x(count);
  for (float& v : x) v = static_cast<float>(random.between(-64, 64)) / 8;
  return x;
}

Floats run(const isa::Executable& exe, const spec::ChipSpec& spec, const std::vector<system::Input>& inputs) {
  const std::vector<isa::Finding> findings = isa::verify(exe, spec);
  EXPECT_TRUE(findings.empty()) << findings[0].text();
  Result<system::RunResult> r = system::run(exe, spec, {.data = true, .check = true}, inputs);
  EXPECT_TRUE(r) << r.error().text();
  EXPECT_TRUE(r->outcome.ok()) << chip::outcome_text(r->outcome);
  return floats(r->outputs[0].bytes);
}

// The softmax of rows whose columns lie half on either core: maxima and sums are exchanged.
constexpr uint32_t kRows = 96, kHalf = 40;
tile::TileProgram half_softmax(uint32_t core) {
  Builder b("softmax");
  const uint32_t x = b.tensor("x", DType::fp32, {kRows, 2 * kHalf}, TensorRole::input);
  const uint32_t y = b.tensor("y", DType::fp32, {kRows, 2 * kHalf}, TensorRole::output);
  b.begin_layer("softmax", "softmax", 0, 4 * kRows * kHalf);
  b.set_source("half");
  auto part = [&](uint32_t tensor) { return b.hbm_view(tensor, core * kHalf, {{2 * kHalf, kRows}, {1, kHalf}}); };
  auto column = [&](const char* name) { return b.tile_view(b.sbuf(kRows, 4, name), DType::fp32); };
  const View data = b.tile_view(b.sbuf(kRows, 4 * kHalf, "data"), DType::fp32);
  const View mine = column("maximum"), theirs = column("other maximum"), sum = column("sum"),
             rest = column("other sum");
  b.dma(data, part(x));
  b.tensor_reduce({.dst = mine, .data = data, .op = AluOp::max});
  b.sendrecv(theirs, mine, 1 - core);
  b.tensor_tensor({.dst = mine, .data1 = mine, .data2 = theirs, .op = AluOp::max});
  b.tensor_scalar({.dst = data, .data = data, .op0 = AluOp::subtract, .operand0 = mine});
  b.activation({.dst = data, .data = data, .op = Activation::exp});
  b.tensor_reduce({.dst = sum, .data = data, .op = AluOp::add});
  b.sendrecv(rest, sum, 1 - core);
  // In the same order on both cores.
  b.tensor_tensor({.dst = sum, .data1 = core == 0 ? sum : rest, .data2 = core == 0 ? rest : sum, .op = AluOp::add});
  b.tensor_scalar({.dst = data, .data = data, .op0 = AluOp::divide, .operand0 = sum});
  b.dma(part(y), data);
  return b.take();
}

TEST(Pairs, ASoftmaxOverBothCores) {
  const isa::Executable exe = backend::lower_pair({half_softmax(0), half_softmax(1)}, chip()).value();
  EXPECT_EQ(exe.lnc, 2u);
  ASSERT_EQ(exe.layers.size(), 1u);
  EXPECT_EQ(exe.layers[0].bytes, 8u * kRows * kHalf);
  EXPECT_EQ(exe.tensors.size(), 2u);
  EXPECT_EQ(isa::decode(isa::encode(exe).value(), "pair").value(), exe);
  const Floats x = numbers(kRows * 2 * kHalf, 5), y = run(exe, chip(), {{"x", bytes_of(x)}});
  for (uint32_t r = 0; r < kRows; ++r) {
    const float* row = x.data() + r * 2 * kHalf;
    double most = *std::max_element(row, row + 2 * kHalf), sum = 0;
    for (uint32_t c = 0; c < 2 * kHalf; ++c) sum += std::exp(row[c] - most);
    for (uint32_t c = 0; c < 2 * kHalf; ++c) ASSERT_NEAR(y[r * 2 * kHalf + c], std::exp(row[c] - most) / sum, 1e-6);
  }
}

// One step of a pair's program, on buffers of the cores and slots of a tensor that they share.
struct Step {
  enum Kind { fill, add, relu, move, exchange, post } kind = fill;
  uint32_t core = 0, dst = 0, a = 0, b = 0;
  float value = 0;
};
constexpr uint32_t kBuffers = 5, kPartitions = 16, kColumns = 12, kElements = kPartitions * kColumns;

std::vector<Step> random_steps(uint64_t seed, uint64_t count) {
  Prng random(seed);
  std::vector<Step> steps;
  auto buffer = [&] { return static_cast<uint32_t>(random.below(kBuffers)); };
  for (; count > 0; --count) {
    Step s{static_cast<Step::Kind>(random.below(6)), static_cast<uint32_t>(random.below(2)), buffer(), buffer(),
           buffer()};
    s.value = static_cast<float>(random.between(-8, 8));
    if (s.a == s.dst) s.a = (s.dst + 1) % kBuffers;  // what is sent does not lie where something arrives
    steps.push_back(s);
  }
  return steps;
}

using Memory = std::vector<std::vector<Floats>>;  // by core and buffer
Floats meaning(const std::vector<Step>& steps, const Floats& x) {
  Memory m(2, std::vector<Floats>(kBuffers));
  for (uint32_t n = 0; n < 2 * kBuffers; ++n)
    m[n / kBuffers][n % kBuffers] = Floats(x.begin() + n * kElements, x.begin() + (n + 1) * kElements);
  for (const Step& s : steps) {
    Floats &dst = m[s.core][s.dst], &a = m[s.core][s.a], &b = m[s.core][s.b], &far = m[1 - s.core][s.dst];
    for (uint32_t k = 0; k < kElements; ++k) {
      if (s.kind == Step::fill) dst[k] = s.value;
      if (s.kind == Step::add) dst[k] = a[k] + b[k];
      if (s.kind == Step::relu) dst[k] = std::max(a[k], 0.0f);
      if (s.kind == Step::move) dst[k] = a[k];
      if (s.kind == Step::exchange) dst[k] = m[1 - s.core][s.a][k], far[k] = a[k];
      if (s.kind == Step::post) far[k] = a[k];
    }
  }
  Floats out;
  for (const auto& core : m) {
    for (const Floats& buffer : core) out.insert(out.end(), buffer.begin(), buffer.end());
  }
  return out;
}

tile::TileProgram program_of(const std::vector<Step>& steps, uint32_t core) {
  Builder b("random");
  const uint32_t x = b.tensor("x", DType::fp32, {2 * kBuffers, kElements}, TensorRole::input);
  const uint32_t slot = b.tensor("slot", DType::fp32, {kElements}, TensorRole::scratch);
  const uint32_t y = b.tensor("y", DType::fp32, {2 * kBuffers, kElements}, TensorRole::output);
  b.begin_layer("layer", "random");
  b.set_source("step");
  std::vector<View> tiles;
  for (uint32_t n = 0; n < kBuffers; ++n) {
    tiles.push_back(b.tile_view(b.sbuf(kPartitions, 4 * kColumns, "buffer"), DType::fp32));
    b.dma(tiles[n], b.hbm_view(x, (core * kBuffers + n) * kElements, {{kColumns, kPartitions}, {1, kColumns}}));
  }
  const View shared = b.hbm_view(slot, 0, {{kColumns, kPartitions}, {1, kColumns}});
  for (const Step& s : steps) {
    if (s.kind == Step::exchange) {
      b.sendrecv(tiles[s.dst], tiles[s.a], 1 - core, {.pipe = static_cast<int32_t>(s.b)});
    } else if (s.kind == Step::post) {  // through HBM; the other core has read it before anybody writes it again
      if (core == s.core) b.dma(shared, tiles[s.a]);
      b.core_barrier(b.whole(slot));
      if (core != s.core) b.dma(tiles[s.dst], shared);
      b.core_barrier(b.whole(slot));
    } else if (core == s.core) {
      if (s.kind == Step::fill) b.memset({.dst = tiles[s.dst], .value = s.value});
      if (s.kind == Step::add) b.tensor_tensor({.dst = tiles[s.dst], .data1 = tiles[s.a], .data2 = tiles[s.b]});
      if (s.kind == Step::relu) b.activation({.dst = tiles[s.dst], .data = tiles[s.a], .op = Activation::relu});
      if (s.kind == Step::move) b.dma(tiles[s.dst], tiles[s.a]);
    }
  }
  for (uint32_t n = 0; n < kBuffers; ++n)
    b.dma(b.hbm_view(y, (core * kBuffers + n) * kElements, {{kColumns, kPartitions}, {1, kColumns}}), tiles[n]);
  return b.take();
}

// Whatever the machine's times are; the independent judge finds them in order, too. Half of them have to spill.
TEST(Pairs, RandomProgramsMeanTheSameOnAnyMachine) {
  uint32_t spilled = 0;
  for (uint64_t seed = 0; seed < (is_long() ? 300 : 25); ++seed) {
    const std::vector<Step> steps = random_steps(seed, 4 + seed % 30);
    spec::ChipSpec spec = system::testing::jittered(chip(), seed);
    if (seed % 2 == 0) spec.sbuf.bytes_per_partition = 64;  // four buffers
    const backend::Options options{.reorder_gain_percent = seed % 3 == 0 ? 0u : 2u};
    Result<isa::Executable> exe = backend::lower_pair({program_of(steps, 0), program_of(steps, 1)}, spec, options);
    ASSERT_TRUE(exe) << seed << ": " << exe.error().text();
    spilled += exe->tensors.size() > 3;
    const Floats x = numbers(2 * kBuffers * kElements, seed);
    const std::vector<system::Input> inputs{{"x", bytes_of(x)}};
    ASSERT_EQ(run(*exe, spec, inputs), meaning(steps, x)) << seed;
    const Unrolled plain = unroll(isa::expand_exchanges(*exe, spec.dma.engines).value(), spec, inputs, 0);
    ASSERT_EQ(plain.end, Unrolled::End::done) << seed << ": " << plain.why;
    EXPECT_EQ(floats(plain.outputs[0].bytes), meaning(steps, x)) << seed;
    const Judgement judgement = judge(plain.flat, spec);
    EXPECT_EQ(judgement.verdict, Verdict::ordered) << seed << ": " << judgement.why;
  }
  EXPECT_GT(spilled, 3u);
}

TEST(Pairs, SayWhatDoesNotFitTogether) {
  auto error = [](tile::TileProgram a, tile::TileProgram b, const spec::ChipSpec& spec) {
    Result<isa::Executable> r = backend::lower_pair({std::move(a), std::move(b)}, spec);
    return r ? std::string("none") : r.error().text();
  };
  EXPECT_EQ(error(half_softmax(0), half_softmax(1), spec::load_chip("trn1").value()),
            "softmax: a program for pairs of cores, chip trn1 has none");
  EXPECT_EQ(error(half_softmax(0), half_softmax(0), chip()),
            "queue 7 instruction 1: core 1 sends to core 1, which is itself");
  tile::TileProgram other = half_softmax(1);
  other.tensors[0].shape = {2 * kHalf, kRows};
  EXPECT_EQ(error(half_softmax(0), other, chip()),
            "tensor 'x': core 0 has it as input fp32[96, 80], core 1 as input fp32[80, 96]");
  Builder lonely("lonely");
  lonely.begin_layer("lonely", "none");
  EXPECT_EQ(error(half_softmax(0), lonely.take(), chip()),
            "queue 3 instruction 1: 2 instructions of core 0 meet 0 of core 1: sendrecv of pipe 0");
}

}  // namespace
}  // namespace presil::campaign
