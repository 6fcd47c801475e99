#include "cli/bench_graphs.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text.h"
#include "graph/builder.h"
#include "graph/host_tensor.h"
#include "graph/shape.h"
#include "runtime/inputs.h"
#include "spec/quantity.h"

namespace presil::cli {
namespace {

using graph::Builder;
using graph::Op;
using graph::Shape;

// Elements of a row of the element-wise bench's tensor; the rows make up the rest.
constexpr int64_t kRowElements = 16384;
// Beyond, products of sizes would not fit their type.
constexpr double kElementsMax = 0x1p40;

Result<void> check_elements(const char* name, const Shape& shape) {
  double elements = 1;
  for (int64_t extent : shape) elements *= static_cast<double>(extent);
  if (elements <= kElementsMax) return {};
  return bad_input(fmt::format("{} {} has more than {:.0f} elements", name, graph::shape_text(shape), kElementsMax));
}

bool needs_values(const BenchOptions& o, DType dtype, const Shape& shape) {
  return !o.simulation.no_data ||
         graph::element_count(shape) * static_cast<int64_t>(dtype_bytes(dtype)) <= graph::kSmallConstantBytes;
}

Result<graph::Graph> finish(Builder& b, graph::TensorId out, std::string name) {
  b.graph().outputs = {out};
  b.graph().name = std::move(name);
  return std::move(b.graph());
}

Result<graph::Graph> gemm(const BenchOptions& o, DType dtype) {
  Builder b;
  b.set_source("gemm");
  auto x = b.input("a", {dtype, {o.m, o.k}}), y = b.input("b", {dtype, {o.k, o.n}});
  return finish(b, TRY(b.add(Op::matmul, {x, y})), fmt::format("gemm {}x{}x{}", o.m, o.k, o.n));
}

// relu(x / 2 + 1)
Result<graph::Graph> elementwise(const BenchOptions& o, DType dtype) {
  auto parsed = spec::parse_quantity(o.bytes, spec::Unit::bytes);
  if (!parsed) return bad_input(parsed.error().text(), "--bytes");
  const uint64_t bytes = *parsed;
  const auto rows = static_cast<int64_t>(bytes / dtype_bytes(dtype)) / kRowElements;
  if (rows < 1)
    return bad_input(fmt::format("{} is less than one row of {} elements", o.bytes, kRowElements), "--bytes");
  Builder b;
  b.set_source("elementwise");
  auto x = b.input("x", {dtype, {rows, kRowElements}});
  auto half = TRY(b.binary(graph::ElementwiseFn::mul, x, 0.5));
  auto sum = TRY(b.binary(graph::ElementwiseFn::add, half, 1.0));
  return finish(b, TRY(b.unary(graph::ElementwiseFn::relu, sum)), fmt::format("elementwise {}", bytes_text(bytes)));
}

Result<void> check_window(const char* option, int64_t value, int64_t least) {
  if (value >= least && value <= graph::kWindowMax) return {};
  return bad_input(fmt::format("{} is not from {} to {}", value, least, graph::kWindowMax), option);
}

Result<void> check_conv(const BenchOptions& o) {
  TRY(check_window("--r", o.r, 1));
  TRY(check_window("--s", o.s, 1));
  TRY(check_window("--stride", o.stride, 1));
  TRY(check_window("--pad", o.pad, 0));
  for (auto [name, channels] : {std::pair{"--c", o.c}, {"--k", o.k}}) {
    if (channels % o.groups != 0)
      return bad_input(fmt::format("{} {} is not a multiple of {}", name, channels, o.groups), "--groups");
  }
  for (auto [option, kernel, size] : {std::tuple{"--r", o.r, o.h}, {"--s", o.s, o.w}}) {
    if (kernel > size + 2 * o.pad)
      return bad_input(fmt::format("{} is more than the padded input's {}", kernel, size + 2 * o.pad), option);
  }
  return {};
}

// The given weight, or one that is drawn as inputs are. Weights are constants: their layout is the compiler's choice.
Result<graph::Bytes> weight_values(const BenchOptions& o, DType dtype, const Shape& shape, const std::string& given,
                                   const Cancel* cancel) {
  isa::Executable weights;
  weights.tensors.push_back({.name = "weight", .dtype = dtype, .shape = shape, .role = isa::TensorRole::input});
  std::vector<runtime::NamedArray> arrays;
  if (!given.empty()) arrays.push_back(TRY(runtime::read_named(given)));
  auto made = TRY(runtime::make_inputs(weights, std::move(arrays), o.simulation.seed, true, cancel));
  return std::make_shared<const std::vector<std::byte>>(std::move(made[0].array.bytes));
}

Result<graph::Graph> conv(const BenchOptions& o, DType dtype, const std::string& weight, const Cancel* cancel) {
  TRY(check_conv(o));
  const Shape input{o.batch, o.c, o.h, o.w}, shape{o.k, o.c / o.groups, o.r, o.s};
  TRY(check_elements("x", input));
  TRY(check_elements("weight", shape));
  Builder b;
  b.set_source("conv");
  auto x = b.input("x", {dtype, input});
  graph::Bytes values;
  if (needs_values(o, dtype, shape) || !weight.empty()) values = TRY(weight_values(o, dtype, shape, weight, cancel));
  auto w = b.constant("weight", {dtype, shape}, values);
  graph::Attributes attrs{.strides = {o.stride, o.stride},
                          .dilations = {1, 1},
                          .pads = {o.pad, o.pad, o.pad, o.pad},
                          .kernel = {o.r, o.s},
                          .group = o.groups};
  return finish(b, TRY(b.add(Op::conv, {x, w}, attrs)),
                fmt::format("conv {}x{}x{}x{}, {} of {}x{}", o.batch, o.c, o.h, o.w, o.k, o.r, o.s));
}

graph::Bytes causal_mask(const BenchOptions& o, DType dtype) {
  std::vector<double> values(static_cast<size_t>(o.seq * o.seq));
  for (int64_t row = 0; row < o.seq; ++row) {
    for (int64_t column = row + 1; column < o.seq; ++column)
      values[static_cast<size_t>(row * o.seq + column)] = graph::kMaskedMax;
  }
  return std::make_shared<const std::vector<std::byte>>(graph::store_floats(dtype, values));
}

// softmax(q k^T / sqrt(head_dim) + mask) v, heads side by side as projections leave them.
Result<graph::Graph> attention(const BenchOptions& o, DType dtype) {
  TRY(check_elements("q", {o.batch, o.seq, o.heads, o.head_dim}));
  if (o.causal) TRY(check_elements("mask", {o.seq, o.seq}));
  Builder b;
  b.set_source("attention");
  const int64_t features = o.heads * o.head_dim;
  auto heads = [&](const char* name, std::vector<int64_t> order) -> Result<graph::TensorId> {
    auto x = b.input(name, {dtype, {o.batch, o.seq, features}});
    return b.transpose(TRY(b.reshape(x, {o.batch, o.seq, o.heads, o.head_dim})), std::move(order));
  };
  auto q = TRY(heads("q", {0, 2, 1, 3})), k = TRY(heads("k", {0, 2, 3, 1})), v = TRY(heads("v", {0, 2, 1, 3}));
  auto scores = TRY(b.add(Op::matmul, {q, k}));
  scores = TRY(b.binary(graph::ElementwiseFn::mul, scores, 1 / std::sqrt(static_cast<double>(o.head_dim))));
  if (o.causal) {
    const Shape shape{o.seq, o.seq};
    auto mask = b.constant("mask", {dtype, shape}, needs_values(o, dtype, shape) ? causal_mask(o, dtype) : nullptr);
    b.graph().at(mask).causal = true;
    scores = TRY(b.binary(graph::ElementwiseFn::add, scores, mask));
  }
  auto weights = TRY(b.add(Op::softmax, {scores}, {.axes = {3}}));
  auto joined = TRY(b.transpose(TRY(b.add(Op::matmul, {weights, v})), {0, 2, 1, 3}));
  return finish(b, TRY(b.reshape(joined, {o.batch, o.seq, features})),
                fmt::format("{}attention {}x{}x{}x{}", o.causal ? "causal " : "", o.batch, o.heads, o.seq, o.head_dim));
}

Result<graph::Graph> graph_of(const BenchOptions& o, DType dtype, const std::string& weight, const Cancel* cancel) {
  switch (o.kind) {
    case BenchOptions::Kind::gemm:
      return gemm(o, dtype);
    case BenchOptions::Kind::elementwise:
      return elementwise(o, dtype);
    case BenchOptions::Kind::conv:
      return conv(o, dtype, weight, cancel);
    case BenchOptions::Kind::attention:
      return attention(o, dtype);
  }
  CHECK(false, "every kind has a graph");
}

}  // namespace

Result<BenchGraph> bench_graph(const BenchOptions& options, DType dtype, const Cancel* cancel) {
  BenchGraph out;
  std::string weight;
  for (const std::string& input : options.inputs) {
    const bool is_weight = options.kind == BenchOptions::Kind::conv && input.starts_with("weight=");
    is_weight ? weight = input : out.inputs.emplace_back(input);
  }
  out.graph = TRY(graph_of(options, dtype, weight, cancel));
  return out;
}

}  // namespace presil::cli
