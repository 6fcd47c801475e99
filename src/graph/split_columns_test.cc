// Do the parts of the columns, side by side, make the whole?
#include "graph/split_columns.h"

#include <gtest/gtest.h>

#include "graph/builder.h"

namespace presil::graph {
namespace {

Shape shape_of(const BatchPart& part, size_t output = 0) { return part.graph.at(part.graph.outputs[output]).shape; }

TEST(ColumnPart, WeightsOfTheLastProduct) {
  Builder b;
  TensorId x = b.input("x", {DType::fp32, {1, 8}}), w = b.input("w", {DType::fp32, {8, 12}});
  TensorId bias = b.input("bias", {DType::fp32, {12}});
  TensorId product = *b.add(Op::matmul, {x, w});
  b.graph().outputs = {*b.add(Op::elementwise, {product, bias}, {.fn = ElementwiseFn::add})};
  const auto part = column_part(b.graph(), 3, 1);
  ASSERT_TRUE(part);
  EXPECT_EQ(shape_of(*part), (Shape{1, 4}));
  EXPECT_EQ(part->input_axes, (std::vector<int>{BatchPart::kWhole, 1, 0}));
  EXPECT_EQ(part->output_axes, (std::vector<int>{1}));
  EXPECT_TRUE(verify(part->graph).empty());
  EXPECT_FALSE(column_part(b.graph(), 5, 0)) << "12 columns";
}

TEST(ColumnPart, ChannelsOfAnImage) {
  Builder b;
  TensorId x = b.input("x", {DType::fp32, {1, 3, 9, 7}}), w = b.input("w", {DType::fp32, {8, 3, 3, 3}});
  const Attributes window{.strides = {1, 1}, .dilations = {1, 1}, .pads = {1, 1, 1, 1}};
  TensorId image = *b.add(Op::conv, {x, w}, window);
  TensorId depthwise = b.input("d", {DType::fp32, {8, 1, 3, 3}});
  Attributes each = window;
  each.group = 8;
  b.graph().outputs = {*b.add(Op::conv, {image, depthwise}, each)};
  const auto part = column_part(b.graph(), 4, 0);
  ASSERT_TRUE(part);
  EXPECT_EQ(shape_of(*part), (Shape{1, 2, 9, 7}));
  EXPECT_EQ(part->input_axes, (std::vector<int>{BatchPart::kWhole, 0, 0}));
  EXPECT_EQ(part->output_axes, (std::vector<int>{1}));
  EXPECT_TRUE(verify(part->graph).empty());
}

// The second product needs what the first one made whole; only its own columns are shared out.
TEST(ColumnPart, WhatAllColumnsNeedStaysWhole) {
  Builder b;
  TensorId x = b.input("x", {DType::fp32, {2, 8}}), v = b.input("v", {DType::fp32, {8, 6}});
  TensorId w = b.input("w", {DType::fp32, {6, 4}});
  TensorId inner = *b.add(Op::matmul, {x, v});
  b.graph().outputs = {*b.add(Op::matmul, {inner, w})};
  const auto part = column_part(b.graph(), 2, 0);
  ASSERT_TRUE(part);
  EXPECT_EQ(part->input_axes, (std::vector<int>{BatchPart::kWhole, BatchPart::kWhole, 1}));
  b.graph().outputs.push_back(inner);
  EXPECT_FALSE(column_part(b.graph(), 2, 0)) << "whole and in parts";
}

TEST(ColumnPart, MixedColumnsAreRefused) {
  Builder b;
  TensorId x = b.input("x", {DType::fp32, {2, 8}});
  b.graph().outputs = {*b.add(Op::softmax, {x}, {.axes = {1}})};
  EXPECT_FALSE(column_part(b.graph(), 2, 0));
}

}  // namespace
}  // namespace presil::graph
