// Do compiled programs compute what the graph says? Random networks on the simulated core against the interpreter, on
// chips of several shapes, small memories included so that stages split into bands and tiles spill.
#include <gtest/gtest.h>

#include <cmath>

#include "compiler/compile.h"
#include "graph/interpret.h"
#include "graph/simplify.h"
#include "graph/split_batch.h"
#include "isa/rules.h"
#include "random_graph.h"
#include "spec/chip_file.h"
#include "system/run.h"

namespace presil {
namespace {

struct Chip {
  const char* name;
  const char* based_on;
  uint32_t array;
  uint64_t sbuf_bytes_per_partition;
};
constexpr Chip kChips[] = {{"trn2", "trn2", 128, 224 << 10},
                           {"tiny SBUF", "trn2", 128, 8 << 10},
                           {"64 x 64", "trn2", 64, 96 << 10},
                           {"256 x 256", "trn2", 256, 96 << 10},
                           {"trn1", "trn1", 128, 192 << 10}};

spec::ChipSpec chip_spec(const Chip& chip) {
  spec::ChipSpec spec = spec::load_chip(chip.based_on).value();
  spec.name = chip.name;
  spec.tensor.rows = spec.tensor.columns = chip.array;
  spec.sbuf.partitions = spec.psum.partitions = chip.array;
  spec.sbuf.bytes_per_partition = chip.sbuf_bytes_per_partition;
  return spec;
}

std::vector<float> as_floats(DType dtype, const std::vector<std::byte>& bytes) {
  std::vector<double> wide = graph::load_floats(dtype, bytes);
  return {wide.begin(), wide.end()};
}

double relative_rms(const std::vector<float>& actual, const std::vector<float>& expected) {
  double error = 0, size = 1e-12;
  for (size_t i = 0; i < expected.size(); ++i) {
    double d = static_cast<double>(actual[i]) - static_cast<double>(expected[i]);
    error += d * d, size += static_cast<double>(expected[i]) * static_cast<double>(expected[i]);
  }
  return std::sqrt(error / size);
}

graph::HostTensor random_input(const graph::Tensor& in, uint64_t seed) {
  Prng prng(seed + 1000);
  const auto count = static_cast<size_t>(graph::element_count(in.shape));
  if (is_float(in.dtype)) {
    std::vector<double> values(count);
    for (double& v : values) v = static_cast<double>(prng.normal());
    return {in.dtype, in.shape, graph::store_floats(in.dtype, values)};
  }
  std::vector<int64_t> indices(count);
  for (int64_t& v : indices) v = prng.between(0, 2) == 0 ? 0 : prng.between(-kLookupRows, kLookupRows - 1);
  return {in.dtype, in.shape, graph::store_integers(in.dtype, indices)};
}

void check(const graph::Graph& graph, const Chip& chip, const std::string& precision, double tolerance, uint64_t seed) {
  SCOPED_TRACE(testing::Message() << "seed " << seed << " chip " << chip.name << " precision " << precision);
  spec::ChipSpec spec = chip_spec(chip);
  const graph::Tensor& in = graph.at(graph.inputs[0]);
  graph::HostTensor wide = random_input(in, seed), input = wide;
  if (!is_float(in.dtype))  // in HBM
    input.bytes = graph::store_integers(DType::int32, graph::load_integers(in.dtype, wide.bytes));
  auto expected = graph::interpret(graph, std::vector{wide});
  ASSERT_TRUE(expected) << expected.error().text();

  auto compiled = compiler::compile(graph, spec, {.precision = precision});
  ASSERT_TRUE(compiled) << compiled.error().text();
  for (const auto& finding : isa::verify(compiled->executable, spec)) ADD_FAILURE() << finding.text();
  auto run = system::run(compiled->executable, spec, {.data = true, .check = true}, {{in.name, input.bytes}});
  ASSERT_TRUE(run) << run.error().text();
  ASSERT_EQ(run->outcome.kind, chip::Outcome::Kind::done) << run->outcome.detail;
  for (const auto& finding : run->findings) ADD_FAILURE() << finding.text;
  double error = relative_rms(as_floats(DType::fp32, run->outputs.at(0).bytes),
                              as_floats((*expected)[0].dtype, (*expected)[0].bytes));
  EXPECT_LE(error, tolerance) << graph::print(graph);

  auto timed = system::run(compiled->executable, spec, {.data = false, .check = false});
  EXPECT_EQ(timed->elapsed, run->elapsed);
  EXPECT_EQ(timed->trace_hash, run->trace_hash);
}

TEST(Differential, ImageNetworksInFp32) {
  for (uint64_t seed = 0; seed < 150; ++seed) check(random_image_network(seed), kChips[seed % 5], "fp32", 1e-5, seed);
}
TEST(Differential, ImageNetworksInBf16) {
  for (uint64_t seed = 100; seed < 140; ++seed) check(random_image_network(seed), kChips[seed % 5], "bf16", 4e-2, seed);
}
TEST(Differential, TokenNetworksInFp32) {
  for (uint64_t seed = 0; seed < 80; ++seed) check(random_token_network(seed), kChips[seed % 5], "fp32", 1e-5, seed);
}
// A batch in parts is the same batch.
TEST(Differential, SplitBatchesKeepTheMeaning) {
  int split = 0;
  for (uint64_t seed = 0; seed < 120; ++seed) {
    graph::Graph graph = seed % 3 == 0   ? random_image_network(seed)
                         : seed % 3 == 1 ? random_token_network(seed)
                                         : random_lookup_network(seed);
    const int64_t batch = graph::batch_of(graph);
    std::optional<graph::Graph> parts = graph::split_batch(graph, batch);
    if (!parts) continue;
    ++split;
    for (const auto& finding : graph::verify(*parts)) ADD_FAILURE() << finding.where << ": " << finding.message;
    const graph::HostTensor input = random_input(graph.at(graph.inputs[0]), seed);
    auto before = graph::interpret(graph, std::vector{input}), after = graph::interpret(*parts, std::vector{input});
    ASSERT_TRUE(before && after);
    EXPECT_EQ((*before)[0].bytes, (*after)[0].bytes) << "seed " << seed;
  }
  EXPECT_GT(split, 40);
}

TEST(Differential, LookupNetworksInFp32) {
  for (uint64_t seed = 0; seed < 60; ++seed) check(random_lookup_network(seed), kChips[seed % 4], "fp32", 1e-5, seed);
}
TEST(Differential, TokenNetworksInBf16) {
  for (uint64_t seed = 100; seed < 130; ++seed) check(random_token_network(seed), kChips[seed % 5], "bf16", 4e-2, seed);
}

TEST(Differential, AttentionInFp32) {
  for (uint64_t seed = 0; seed < 60; ++seed)
    check(random_attention_network(seed), kChips[seed % 5], "fp32", 1e-5, seed);
}
TEST(Differential, AttentionInBf16) {
  for (uint64_t seed = 100; seed < 130; ++seed)
    check(random_attention_network(seed), kChips[seed % 5], "bf16", 4e-2, seed);
}

// Without it, the networks above would run as matmuls and softmaxes, and slowly.
TEST(Differential, AttentionIsOneStep) {
  int found = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    graph::Graph graph = graph::simplify(random_attention_network(seed)).value();
    compiler::Plan plan = compiler::make_plan(graph, chip_spec(kChips[0]), {}).value();
    for (const compiler::Step& step : plan.steps) {
      EXPECT_NE(step.kind, compiler::StepKind::softmax) << "seed " << seed;
      found += step.kind == compiler::StepKind::attention;
    }
  }
  EXPECT_GE(found, 60);
}

}  // namespace
}  // namespace presil
