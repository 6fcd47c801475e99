// Operators about shapes and constants; most of them vanish once the inputs' shapes are known.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "graph/shape.h"
#include "onnx/converters.h"
#include "onnx/tensor_data.h"

namespace presil::onnx {
namespace {

constexpr int64_t kRangeMax = 1 << 22;

Result<Tensors> reshaped(Conversion& c, Shape shape) {
  return Tensors{TRY(c.builder.reshape(c.inputs[0], std::move(shape)))};
}

// Resolves ONNX's 0 (copy the input's dimension) and -1 (whatever is left).
Result<Shape> resolve_reshape(Conversion& c, Shape wanted, bool allow_zero) {
  const Shape& x = c.shape(0);
  int64_t open = -1, known = 1;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == 0 && !allow_zero) {
      if (i >= x.size())
        return c.error(fmt::format("dimension {} of the shape is 0, the input has rank {}", i, x.size()));
      wanted[i] = x[i];
    }
    if (wanted[i] < -1 || (wanted[i] == -1 && open >= 0)) {
      return c.error(fmt::format("shape {} is not valid", graph::shape_text(wanted)));
    }
    if (wanted[i] == -1) {
      open = static_cast<int64_t>(i);
      continue;
    }
    if (wanted[i] > graph::kElementsMax || known > graph::kElementsMax / std::max<int64_t>(wanted[i], 1)) {
      return c.error(fmt::format("shape {} is too large", graph::shape_text(wanted)));
    }
    known *= wanted[i];
  }
  if (open < 0) return wanted;
  int64_t count = graph::element_count(x);
  if (known == 0 || count % known != 0) {
    return c.error(fmt::format("{} does not fit into {}", graph::shape_text(x), graph::shape_text(wanted)));
  }
  wanted[open] = count / known;
  return wanted;
}

}  // namespace

Result<Tensors> convert_concat(Conversion& c) {
  TRY(c.want_inputs(std::max<size_t>(c.inputs.size(), 1), SIZE_MAX));
  if (!c.has_attribute("axis")) return c.error("attribute 'axis' is missing");
  int64_t axis = TRY(c.axis(TRY(c.integer("axis", 0)), c.rank(0)));
  return Tensors{TRY(c.builder.concat(c.inputs, axis))};
}

Result<Tensors> convert_constant(Conversion& c) {
  if (const AttributeValue* a = c.attribute("value")) {
    if (a->kind != AttributeKind::tensor) return c.error("attribute 'value' is not a tensor");
    TensorValue t = a->t;
    t.name = c.node.outputs.empty() ? c.node.title() : c.node.outputs[0];
    return Tensors{TRY(add_tensor(c.builder, t, c.options))};
  }
  if (c.has_attribute("value_float")) return Tensors{c.builder.scalar(DType::fp32, TRY(c.real("value_float", 0)))};
  if (c.has_attribute("value_int")) {
    return Tensors{c.builder.constant_integers(DType::int64, {}, {TRY(c.integer("value_int", 0))})};
  }
  if (c.has_attribute("value_floats")) {
    std::vector<float> values = TRY(c.reals("value_floats"));
    return Tensors{
        c.builder.constant_floats(DType::fp32, {static_cast<int64_t>(values.size())}, {values.begin(), values.end()})};
  }
  if (c.has_attribute("value_ints")) {
    std::vector<int64_t> values = TRY(c.integers("value_ints"));
    return Tensors{c.builder.constant_integers(DType::int64, {static_cast<int64_t>(values.size())}, values)};
  }
  return c.refuse("has none of value, value_float, value_floats, value_int, value_ints");
}

Result<Tensors> convert_constant_of_shape(Conversion& c) {
  TRY(c.want_inputs(1, 1));
  Shape shape = TRY(c.constant_integers(0, "shape"));
  if (!graph::checked_count(shape)) return c.error(fmt::format("shape {} is not valid", graph::shape_text(shape)));
  TensorId value;
  if (const AttributeValue* a = c.attribute("value")) {
    if (a->kind != AttributeKind::tensor) return c.error("attribute 'value' is not a tensor");
    value = TRY(c.builder.reshape(TRY(add_tensor(c.builder, a->t, c.options)), {}));
  } else {
    value = c.builder.scalar(DType::fp32, 0);
  }
  return Tensors{TRY(c.builder.expand(value, shape))};
}

Result<Tensors> convert_expand(Conversion& c) {
  TRY(c.want_inputs(2, 2));
  Shape wanted = TRY(c.constant_integers(1, "shape"));
  std::optional<Shape> shape = graph::broadcast(c.shape(0), wanted);
  if (!shape || !graph::checked_count(*shape)) {
    return c.error(fmt::format("{} does not expand to {}", graph::shape_text(c.shape(0)), graph::shape_text(wanted)));
  }
  return Tensors{TRY(c.builder.expand(c.inputs[0], *shape))};
}

Result<Tensors> convert_flatten(Conversion& c) {
  TRY(c.want_inputs(1, 1));
  int64_t rank = static_cast<int64_t>(c.rank(0)), axis = TRY(c.integer("axis", 1));
  if (axis < -rank || axis > rank) return c.error(fmt::format("axis {} is outside a tensor of rank {}", axis, rank));
  if (axis < 0) axis += rank;
  const Shape& x = c.shape(0);
  return reshaped(
      c, {graph::element_count({x.begin(), x.begin() + axis}), graph::element_count({x.begin() + axis, x.end()})});
}

Result<Tensors> convert_range(Conversion& c) {
  TRY(c.want_inputs(3, 3));
  DType dtype = c.dtype(0);
  auto too_long = [&](double count) { return c.error(fmt::format("{} elements are more than {}", count, kRangeMax)); };
  if (is_float(dtype)) {
    double start = TRY(c.constant_float(0, "start")), limit = TRY(c.constant_float(1, "limit"));
    double delta = TRY(c.constant_float(2, "delta"));
    double count = std::max(std::ceil((limit - start) / delta), 0.0);
    if (!(count <= kRangeMax)) return too_long(count);
    std::vector<double> values(static_cast<size_t>(count));
    for (size_t i = 0; i < values.size(); ++i) values[i] = start + static_cast<double>(i) * delta;
    return Tensors{c.builder.constant_floats(dtype, {static_cast<int64_t>(values.size())}, values)};
  }
  int64_t start = TRY(c.constant_integer(0, "start")), limit = TRY(c.constant_integer(1, "limit"));
  int64_t delta = TRY(c.constant_integer(2, "delta"));
  if (delta == 0) return c.error("delta is 0");
  double count =
      std::max(std::ceil((static_cast<double>(limit) - static_cast<double>(start)) / static_cast<double>(delta)), 0.0);
  if (count > kRangeMax) return too_long(count);
  std::vector<int64_t> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = start + static_cast<int64_t>(i) * delta;
  return Tensors{c.builder.constant_integers(dtype, {static_cast<int64_t>(values.size())}, values)};
}

Result<Tensors> convert_reshape(Conversion& c) {
  TRY(c.want_inputs(2, 2));
  bool allow_zero = TRY(c.flag("allowzero", false));
  Shape wanted = TRY(c.constant_integers(1, "shape"));
  return reshaped(c, TRY(resolve_reshape(c, std::move(wanted), allow_zero)));
}

Result<Tensors> convert_shape(Conversion& c) {
  TRY(c.want_inputs(1, 1));
  int64_t rank = static_cast<int64_t>(c.rank(0));
  auto clamped = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank); };
  int64_t start = clamped(TRY(c.integer("start", 0))), end = clamped(TRY(c.integer("end", rank)));
  const Shape& x = c.shape(0);
  std::vector<int64_t> part(x.begin() + start, x.begin() + std::max(start, end));
  return Tensors{c.builder.constant_integers(DType::int64, {static_cast<int64_t>(part.size())}, part)};
}

Result<Tensors> convert_size(Conversion& c) {
  TRY(c.want_inputs(1, 1));
  return Tensors{c.builder.constant_integers(DType::int64, {}, {graph::element_count(c.shape(0))})};
}

Result<Tensors> convert_squeeze(Conversion& c) {
  TRY(c.want_inputs(1, c.opset >= 13 ? 2 : 1));
  auto given = TRY(c.moved_integers("axes", 1, 13));
  std::vector<int64_t> axes = given ? TRY(c.axes(*given, c.rank(0))) : std::vector<int64_t>{};
  Shape shape;
  for (size_t i = 0; i < c.rank(0); ++i) {
    bool listed = given ? std::ranges::count(axes, static_cast<int64_t>(i)) > 0 : c.shape(0)[i] == 1;
    if (listed && c.shape(0)[i] != 1) {
      return c.error(fmt::format("axis {} of {} is not 1", i, graph::shape_text(c.shape(0))));
    }
    if (!listed) shape.push_back(c.shape(0)[i]);
  }
  return reshaped(c, shape);
}

Result<Tensors> convert_unsqueeze(Conversion& c) {
  TRY(c.want_inputs(1, c.opset >= 13 ? 2 : 1));
  auto given = TRY(c.moved_integers("axes", 1, 13));
  if (!given) return c.error("axes are missing");
  size_t rank = c.rank(0) + given->size();
  std::vector<int64_t> axes = TRY(c.axes(*given, rank));
  Shape shape = c.shape(0);
  for (int64_t axis : axes) shape.insert(shape.begin() + axis, 1);
  return reshaped(c, shape);
}

// Repeats as a broadcast: [d0, d1] -> [1, d0, 1, d1] -> [r0, d0, r1, d1] -> [r0 d0, r1 d1].
Result<Tensors> convert_tile(Conversion& c) {
  TRY(c.want_inputs(2, 2));
  std::vector<int64_t> repeats = TRY(c.constant_integers(1, "repeats"));
  if (repeats.size() != c.rank(0)) return c.error(fmt::format("has {} repeats for rank {}", repeats.size(), c.rank(0)));
  Shape split, repeated, out;
  for (size_t i = 0; i < repeats.size(); ++i) {
    int64_t dim = c.shape(0)[i];
    if (repeats[i] < 0 || repeats[i] > graph::kElementsMax)
      return c.error(fmt::format("repeat {} is out of range", repeats[i]));
    if (repeats[i] != 1) {
      split.push_back(1);
      repeated.push_back(repeats[i]);
    }
    split.push_back(dim);
    repeated.push_back(dim);
  }
  if (!graph::checked_count(repeated)) return c.error(fmt::format("{} is too large", graph::shape_text(repeated)));
  for (size_t i = 0; i < repeats.size(); ++i) out.push_back(repeats[i] * c.shape(0)[i]);
  TensorId x = TRY(c.builder.reshape(c.inputs[0], split));
  x = TRY(c.builder.expand(x, repeated));
  return Tensors{TRY(c.builder.reshape(x, out))};
}

Result<Tensors> convert_transpose(Conversion& c) {
  TRY(c.want_inputs(1, 1));
  std::vector<int64_t> reversed(c.rank(0));
  for (size_t i = 0; i < reversed.size(); ++i) reversed[i] = static_cast<int64_t>(reversed.size() - 1 - i);
  return Tensors{TRY(c.builder.transpose(c.inputs[0], TRY(c.integers("perm", reversed))))};
}

// where(mask, x, 0) with the mask of the triangle that stays.
Result<Tensors> convert_trilu(Conversion& c) {
  TRY(c.want_inputs(1, 2));
  bool upper = TRY(c.flag("upper", true));
  if (c.rank(0) < 2) return c.error("needs at least two dimensions");
  int64_t k = c.has(1) ? TRY(c.constant_integer(1, "k")) : 0;
  int64_t rows = c.shape(0)[c.rank(0) - 2], columns = c.shape(0).back();
  if (rows * columns > kRangeMax) return c.refuse(fmt::format("a mask of {} x {} is too large", rows, columns));
  std::vector<int64_t> mask(rows * columns);
  k = std::clamp<int64_t>(k, -rows, columns);
  for (int64_t i = 0; i < rows * columns; ++i) {
    int64_t diagonal = i % columns - i / columns;
    mask[i] = upper ? diagonal >= k : diagonal <= k;
  }
  TensorId keep = c.builder.constant_integers(DType::boolean, {rows, columns}, mask);
  TensorId zero = c.builder.scalar(c.dtype(0), 0);
  return Tensors{TRY(c.builder.add(Op::elementwise, {keep, c.inputs[0], zero}, {.fn = ElementwiseFn::where}))};
}

}  // namespace presil::onnx
