#include "compiler/ranges.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "graph/host_tensor.h"

namespace presil::compiler {
namespace {

using graph::ElementwiseFn;
using graph::Graph;
using graph::Node;
using graph::Op;
using graph::Tensor;
using graph::TensorId;

constexpr Interval kInt32{std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()};
constexpr Interval kBoolean{0, 1};

Interval of_type(DType t) {
  switch (t) {
    case DType::boolean:
      return kBoolean;
    case DType::int8:
      return {-128, 127};
    case DType::uint8:
      return {0, 255};
    case DType::int16:
      return {-32768, 32767};
    case DType::uint16:
      return {0, 65535};
    case DType::uint32:
      return {0, std::numeric_limits<uint32_t>::max()};
    default:
      return kInt32;
  }
}

Interval of_constant(const Tensor& t) {
  if (is_float(t.dtype) || t.opaque || !t.data || graph::element_count(t.shape) == 0) return of_type(t.dtype);
  const std::vector<int64_t> values = graph::load_integers(t.dtype, *t.data);
  const auto [low, high] = std::ranges::minmax_element(values);
  return {*low, *high};
}

Interval hull(Interval a, Interval b) { return {std::min(a.low, b.low), std::max(a.high, b.high)}; }

// Bounds beyond int32 say only that they are beyond, so that products of bounds stay inside 64 bits.
Interval clamped(Interval a) {
  constexpr int64_t kBeyond = int64_t{1} << 33;
  return {std::clamp(a.low, -kBeyond, kBeyond), std::clamp(a.high, -kBeyond, kBeyond)};
}

Interval product(Interval a, Interval b) {
  a = {std::clamp(a.low, kInt32.low, kInt32.high), std::clamp(a.high, kInt32.low, kInt32.high)};
  b = {std::clamp(b.low, kInt32.low, kInt32.high), std::clamp(b.high, kInt32.low, kInt32.high)};
  const auto [low, high] = std::minmax({a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high});
  return {low, high};
}

bool is_comparison(ElementwiseFn fn) { return fn >= ElementwiseFn::equal && fn <= ElementwiseFn::less_equal; }

// What the engines compute of whole numbers without rounding, as long as nothing is too large.
bool is_whole(ElementwiseFn fn) {
  switch (fn) {
    case ElementwiseFn::identity:
    case ElementwiseFn::neg:
    case ElementwiseFn::abs:
    case ElementwiseFn::sign:
    case ElementwiseFn::square:
    case ElementwiseFn::relu:
    case ElementwiseFn::clip:
    case ElementwiseFn::add:
    case ElementwiseFn::sub:
    case ElementwiseFn::mul:
    case ElementwiseFn::max:
    case ElementwiseFn::min:
    case ElementwiseFn::where:
      return true;
    default:
      return is_comparison(fn);
  }
}

Interval of_elementwise(const Node& node, const std::vector<Interval>& x) {
  switch (node.attrs.fn) {
    case ElementwiseFn::identity:
      return x[0];
    case ElementwiseFn::neg:
      return {-x[0].high, -x[0].low};
    case ElementwiseFn::abs:
      return {0, std::max(std::abs(x[0].low), std::abs(x[0].high))};
    case ElementwiseFn::sign:
      return {-1, 1};
    case ElementwiseFn::square:
      return product(x[0], x[0]);
    case ElementwiseFn::relu:
      return {std::max<int64_t>(x[0].low, 0), std::max<int64_t>(x[0].high, 0)};
    case ElementwiseFn::add:
      return {x[0].low + x[1].low, x[0].high + x[1].high};
    case ElementwiseFn::sub:
      return {x[0].low - x[1].high, x[0].high - x[1].low};
    case ElementwiseFn::mul:
      return product(x[0], x[1]);
    case ElementwiseFn::max:
      return {std::max(x[0].low, x[1].low), std::max(x[0].high, x[1].high)};
    case ElementwiseFn::min:
      return {std::min(x[0].low, x[1].low), std::min(x[0].high, x[1].high)};
    case ElementwiseFn::where:
      return hull(x[1], x[2]);
    default:  // clip among them: its bounds may be infinite
      return x[0];
  }
}

Interval of_reduce(const Graph& graph, const Node& node, Interval x) {
  const int64_t count = graph::element_count(graph.at(node.inputs[0]).shape) /
                        std::max<int64_t>(1, graph::element_count(graph.at(node.output).shape));
  if (node.attrs.reduce == graph::ReduceKind::sum) return product(x, {count, count});
  if (node.attrs.reduce == graph::ReduceKind::prod) return x.low >= 0 && x.high <= 1 ? x : kInt32;
  return x;
}

Interval of_node(const Graph& graph, const Node& node, const std::vector<Interval>& ranges) {
  const DType to = graph.at(node.output).dtype;
  if (!is_integer(to)) return of_type(to);
  std::vector<Interval> x;
  for (TensorId t : node.inputs) x.push_back(t.valid() ? ranges[t.value] : Interval{});
  switch (node.op) {
    case Op::elementwise:
      return clamped(of_elementwise(node, x));
    case Op::cast:
      return is_float(graph.at(node.inputs[0]).dtype) ? of_type(to) : x[0];
    case Op::reduce:
      return clamped(of_reduce(graph, node, x[0]));
    case Op::concat: {
      Interval all = x[0];
      for (Interval i : x) all = hull(all, i);
      return all;
    }
    case Op::pad: {
      const auto value = static_cast<int64_t>(node.attrs.pad_value);
      return hull(x[0], {value, value});
    }
    case Op::reshape:
    case Op::transpose:
    case Op::slice:
    case Op::gather:
    case Op::expand:
      return x[0];
    case Op::select:
      return hull(x[1], x.back());
    default:
      return of_type(to);
  }
}

std::string text(Interval i) { return fmt::format("[{}, {}]", i.low, i.high); }

Error inexact(const Graph& graph, const Node& node, const std::vector<Interval>& ranges) {
  std::vector<std::string> operands;
  for (TensorId t : node.inputs) {
    if (is_integer(graph.at(t).dtype)) operands.push_back(text(ranges[t.value]));
  }
  return unsupported(
      fmt::format("{} arithmetic while the model runs on values in {} gives values in {}; the engines compute in fp32, "
                  "exact up to {}",
                  dtype_name(graph.at(node.inputs.back()).dtype), fmt::join(operands, " and "),
                  text(ranges[node.output.value]), kExactMax),
      node.source);
}

Result<void> check_cast(const Graph& graph, const Node& node, const std::vector<Interval>& ranges) {
  const DType from = graph.at(node.inputs[0]).dtype, to = graph.at(node.output).dtype;
  if (!is_integer(to)) return {};  // to float rounds as ONNX does, to boolean compares with zero
  const Interval values = ranges[node.inputs[0].value], room = of_type(to);
  const bool wide = to == DType::int32 || to == DType::int64;
  // Floats saturate at the ends of the type.
  const bool fits = is_float(from) || (values.exact() && values.low >= room.low && values.high <= room.high);
  const bool same_word = wide && (from == DType::int32 || from == DType::int64);
  if (fits || same_word) return {};
  return unsupported(fmt::format("cast from {} to {} while the model runs", dtype_name(from), dtype_name(to)),
                     node.source);
}

}  // namespace

std::vector<Interval> integer_ranges(const Graph& graph) {
  std::vector<Interval> ranges;
  for (const Tensor& t : graph.tensors) ranges.push_back(t.constant ? of_constant(t) : of_type(t.dtype));
  for (const Node& node : graph.nodes) ranges[node.output.value] = of_node(graph, node, ranges);
  return ranges;
}

Result<void> check_exact(const Graph& graph, const Node& node, const std::vector<Interval>& ranges) {
  if (node.op == Op::cast) return check_cast(graph, node, ranges);
  bool integers = false, exact = true;
  for (TensorId t : node.inputs) {
    if (!t.valid() || !is_integer(graph.at(t).dtype)) continue;
    integers = true;
    exact = exact && ranges[t.value].exact();
  }
  if (!integers) return {};
  const DType dtype = graph.at(node.inputs.back()).dtype;
  switch (node.op) {
    case Op::elementwise: {
      const ElementwiseFn fn = node.attrs.fn;
      if (!is_whole(fn))
        return unsupported(
            fmt::format("'{}' of {} while the model runs", graph::elementwise_name(fn), dtype_name(dtype)),
            node.source);
      // Rounding keeps order, and no other number rounds to one below 2^24: one small operand is enough.
      auto small = [&](TensorId t) { return -kExactMax < ranges[t.value].low && ranges[t.value].high < kExactMax; };
      if (is_comparison(fn) && (small(node.inputs[0]) || small(node.inputs[1]))) return {};
      break;
    }
    case Op::reduce:
      if (node.attrs.reduce == graph::ReduceKind::mean)
        return unsupported(fmt::format("mean of {} while the model runs", dtype_name(dtype)), node.source);
      break;
    case Op::reshape:
    case Op::transpose:
    case Op::slice:
    case Op::concat:
    case Op::gather:
    case Op::expand:
    case Op::select:
    case Op::enter:
    case Op::leave:
      return {};
    case Op::pad:
      break;
    default:
      return unsupported(fmt::format("{} of {} while the model runs", graph::op_name(node.op), dtype_name(dtype)),
                         node.source);
  }
  if (exact && (!is_integer(graph.at(node.output).dtype) || ranges[node.output.value].exact())) return {};
  return inexact(graph, node, ranges);
}

}  // namespace presil::compiler
