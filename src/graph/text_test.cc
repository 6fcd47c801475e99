#include "graph/text.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/prng.h"
#include "graph/builder.h"

namespace presil::graph {
namespace {

// One node of every kind with every attribute off its default somewhere.
Graph everything() {
  Builder b;
  b.graph().name = "a \"quoted\" \\ name\n";
  b.set_source("src \"1\"");
  TensorId x = b.input("x", {DType::fp32, {2, 4, 6, 6}});
  TensorId w = b.constant("w", {DType::fp32, {4, 2, 3, 3}}, nullptr);
  Attributes window{.strides = {2, 1}, .dilations = {1, 1}, .pads = {1, 0, 1, 2}, .group = 2};
  TensorId y = *b.add(Op::conv, {x, w}, window);
  window.output_padding = {1, 0};
  y = *b.add(Op::conv_transpose, {y, w}, window);
  y = *b.add(Op::pool, {y},
             {.strides = {1, 1},
              .dilations = {1, 1},
              .pads = {0, 0, 0, 0},
              .kernel = {2, 2},
              .pool = PoolKind::average,
              .count_include_pad = true});
  y = *b.unary(ElementwiseFn::clip, y, -std::numeric_limits<float>::infinity(), 0.1f);
  y = *b.binary(ElementwiseFn::mul, y, 1.0f / 3.0f);
  y = *b.add(Op::pad, {y}, {.pads = {0, 0, 1, 0, 0, 0, 0, 1}, .pad_mode = PadMode::edge, .pad_value = 2.5f});
  Shape doubled = b.shape(y);
  doubled[2] *= 2;
  y = *b.add(Op::resize, {y},
             {.resize = ResizeMode::linear,
              .coordinates = ResizeCoordinates::align_corners,
              .rounding = ResizeRounding::ceil,
              .scales = {1, 1, 2, 1}},
             {DType::fp32, doubled});
  y = *b.reduce(ReduceKind::max, y, {3}, false);
  TensorId ones = *b.expand(b.scalar(DType::fp32, 1), {b.shape(y)[2]});
  y = *b.add(Op::layer_norm, {y, ones, ones}, {.axes = {2}, .epsilon = 1e-5f});
  y = *b.slice(y, 2, 1, 5);
  TensorId index = b.constant_integers(DType::int32, {2}, {1, -1});
  y = *b.add(Op::gather, {y, index}, {.axes = {1}});
  b.graph().outputs = {*b.cast(y, DType::bf16)};
  b.at(b.graph().outputs[0]).name = std::string("tab\there\x01", 9);
  return b.graph();
}

TEST(Text, RoundTrips) {
  std::string text = print(everything());
  Result<Graph> parsed = parse(text);
  ASSERT_TRUE(parsed) << parsed.error().text() << "\n" << text;
  EXPECT_EQ(print(*parsed), text);
  EXPECT_EQ(content_hash(*parsed), content_hash(everything()));
}

TEST(Text, HashSeesTheBytesOfConstants) {
  Graph a = everything(), b = everything();
  auto data = std::make_shared<std::vector<std::byte>>(4 * 2 * 3 * 3 * 4);
  a.at(TensorId(1)).data = data;
  EXPECT_NE(content_hash(a), content_hash(b));
  b.at(TensorId(1)).data = std::make_shared<std::vector<std::byte>>(*data);
  EXPECT_EQ(content_hash(a), content_hash(b));
  data->at(7) = std::byte{1};
  EXPECT_NE(content_hash(a), content_hash(b));
}

TEST(Text, ErrorsNameTheLine) {
  const std::pair<std::string, std::string> rows[] = {
      {"graph \"g", "line 1: expected '\"', found the end of the line"},
      {"graph \"g\"\ninput %0 fp33[2] \"x\"", "line 2: 'fp33' is no element type, found '[2] \"x\"'"},
      {"input %0 fp32[2, -1] \"x\"", "line 1: shape [2, -1] is negative or too large, found ' \"x\"'"},
      {"input %0 fp32[2] \"x\"\n%1 fp32[2] \"y\" = rellu(%0) from \"n\"",
       "line 2: there is no op 'rellu', found '(%0) from \"n\"' (did you mean 'relu'?)"},
      {"input %0 fp32[2] \"x\"\n%1 fp32[2] \"y\" = relu(%0) slope=2 from \"n\"",
       "line 2: there is no attribute 'slope', found '2 from \"n\"'"},
      {"input %0 fp32[2] \"x\"\ninput %0 fp32[2] \"x\"", "line 2: tensor %0 is declared twice, found ' fp32[2] \"x\"'"},
      {"input %0 fp32[2] \"x\" extra", "line 1: expected the end of the line, found 'extra'"},
      {"input %99999999 fp32[2] \"x\"", "line 1: tensor %99999999 is beyond %1048576, found ' fp32[2] \"x\"'"},
      {"input %0 fp32[2] \"x\"\n%1 fp32[3] \"y\" = relu(%0) from \"n\"",
       "n: output 'y' is fp32 [3], inferred fp32 [2]"},
      {"constant %0 fp32[2] \"c\" = [1]", "c: has 4 bytes of data, fp32 [2] needs 8"},
      {"input %0 fp32[2] \"x\"\noutput %4", "outputs: 4 does not exist"},
  };
  for (const auto& [text, message] : rows) {
    Result<Graph> parsed = parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().text(), message);
  }
}

TEST(Text, DamagedTextGivesErrorsOrSoundGraphs) {
  std::string good = print(everything());
  Prng random(5);
  for (int round = 0; round < 5000; ++round) {
    std::string bad = good;
    for (int i = 0; i < 3; ++i) {
      size_t at = random.below(bad.size());
      if (random.below(2) == 0) {
        bad[at] = good[random.below(good.size())];
      } else {
        bad.erase(at, random.below(5));
      }
    }
    Result<Graph> parsed = parse(bad);
    if (parsed) {
      EXPECT_TRUE(verify(*parsed).empty());
    }
  }
}

}  // namespace
}  // namespace presil::graph
