// Operators that write some elements of a tensor, or read single ones, at places that are known while importing; and
// cumulative sums. All of them become gathers, concatenations and sums.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "graph/shape.h"
#include "onnx/converters.h"

namespace presil::onnx {
namespace {

// Elements of a map from results to sources, which is built while importing.
constexpr int64_t kMapMax = int64_t{1} << 24;
// Of a running sum's mask.
constexpr int64_t kSumLengthMax = 4096;

Result<int64_t> checked_index(const Conversion& c, int64_t index, int64_t dim) {
  if (index < -dim || index >= dim) return c.error(fmt::format("index {} is outside a dimension of {}", index, dim));
  return index < 0 ? index + dim : index;
}

// x with its first `axes` axes made one.
Result<TensorId> rows_of(Conversion& c, TensorId x, size_t axes) {
  const Shape& shape = c.builder.shape(x);
  Shape rows{graph::element_count({shape.begin(), shape.begin() + static_cast<int64_t>(axes)})};
  rows.insert(rows.end(), shape.begin() + static_cast<int64_t>(axes), shape.end());
  return c.builder.reshape(x, rows);
}

// data where row `at[k]` is row k of updates; the last one wins where several are equal.
Result<TensorId> with_rows(Conversion& c, TensorId data, TensorId updates, const std::vector<int64_t>& at) {
  const int64_t rows = c.builder.shape(data)[0];
  std::vector<int64_t> source(static_cast<size_t>(rows));
  std::iota(source.begin(), source.end(), int64_t{0});
  for (size_t k = 0; k < at.size(); ++k) source[static_cast<size_t>(at[k])] = rows + static_cast<int64_t>(k);
  TensorId both = TRY(c.builder.concat({data, updates}, 0));
  TensorId map = c.builder.constant_integers(DType::int64, {rows}, source);
  return c.builder.add(Op::gather, {both, map}, {.axes = {0}});
}

Result<void> want_plain_writes(Conversion& c) {
  if (std::string reduction = TRY(c.text("reduction", "none")); reduction != "none")
    return c.refuse(fmt::format("reduction='{}' is not supported, only 'none'", reduction));
  return {};
}

}  // namespace

// data [d0 .. dr], indices [i.., q] into its first q axes, updates [i.., dq .. dr].
Result<Tensors> convert_scatter_nd(Conversion& c) {
  TRY(c.want_inputs(3, 3));
  TRY(want_plain_writes(c));
  const Shape data = c.shape(0), indices = c.shape(1);
  if (indices.empty()) return c.error("indices have no dimensions");
  const auto depth = static_cast<size_t>(std::clamp<int64_t>(indices.back(), 0, static_cast<int64_t>(data.size()) + 1));
  if (depth > data.size())
    return c.error(fmt::format("{} coordinates index a tensor of rank {}", indices.back(), data.size()));
  Shape expected(indices.begin(), indices.end() - 1);
  expected.insert(expected.end(), data.begin() + static_cast<int64_t>(depth), data.end());
  if (c.shape(2) != expected)
    return c.error(
        fmt::format("updates are {}, expected {}", graph::shape_text(c.shape(2)), graph::shape_text(expected)));
  const std::vector<int64_t> values = TRY(c.constant_integers(1, "indices"));
  TensorId rows = TRY(rows_of(c, c.inputs[0], depth));
  if (c.builder.shape(rows)[0] > kMapMax)
    return c.refuse(fmt::format("{} places are more than {}", c.builder.shape(rows)[0], kMapMax));
  if (graph::element_count(c.shape(2)) == 0) return Tensors{c.inputs[0]};
  std::vector<int64_t> at;
  for (size_t k = 0; k < values.size(); k += depth) {
    int64_t row = 0;
    for (size_t i = 0; i < depth; ++i) row = row * data[i] + TRY(checked_index(c, values[k + i], data[i]));
    at.push_back(row);
  }
  if (depth == 0) at.assign(static_cast<size_t>(graph::element_count({indices.begin(), indices.end() - 1})), 0);
  TensorId updates = TRY(rows_of(c, c.inputs[2], indices.size() - 1));
  TensorId result = TRY(with_rows(c, rows, updates, at));
  return Tensors{TRY(c.builder.reshape(result, data))};
}

// result[i..] = updates[j..] where i is j with coordinate `axis` replaced by indices[j..].
Result<Tensors> convert_scatter_elements(Conversion& c) {
  TRY(c.want_inputs(3, 3));
  TRY(want_plain_writes(c));
  const Shape data = c.shape(0), indices = c.shape(1);
  const auto axis = static_cast<size_t>(TRY(c.axis(TRY(c.integer("axis", 0)), data.size())));
  bool fits = indices.size() == data.size() && c.shape(2) == indices;
  for (size_t i = 0; fits && i < data.size(); ++i) fits = i == axis || indices[i] <= data[i];
  if (!fits) {
    return c.error(fmt::format("indices {} and updates {} do not fit data {}", graph::shape_text(indices),
                               graph::shape_text(c.shape(2)), graph::shape_text(data)));
  }
  const std::vector<int64_t> values = TRY(c.constant_integers(1, "indices"));
  if (graph::element_count(data) > kMapMax)
    return c.refuse(fmt::format("{} places are more than {}", graph::element_count(data), kMapMax));
  if (values.empty()) return Tensors{c.inputs[0]};
  const Shape from = graph::row_major_strides(indices), to = graph::row_major_strides(data);
  std::vector<int64_t> at;
  for (size_t k = 0; k < values.size(); ++k) {
    int64_t place = 0;
    for (size_t i = 0; i < data.size(); ++i) {
      int64_t coordinate = static_cast<int64_t>(k) / from[i] % indices[i];
      if (i == axis) coordinate = TRY(checked_index(c, values[k], data[i]));
      place += coordinate * to[i];
    }
    at.push_back(place);
  }
  TensorId rows = TRY(rows_of(c, c.inputs[0], data.size()));
  TensorId updates = TRY(rows_of(c, c.inputs[2], indices.size()));
  TensorId result = TRY(with_rows(c, rows, updates, at));
  return Tensors{TRY(c.builder.reshape(result, data))};
}

// A sum over the products with a triangle of ones: [.., 1, n, ..] * [n, n] summed over the second of the two axes.
Result<Tensors> convert_cum_sum(Conversion& c) {
  TRY(c.want_inputs(2, 2));
  const int64_t axis = TRY(c.axis(TRY(c.constant_integer(1, "axis")), c.rank(0)));
  const bool exclusive = TRY(c.integer("exclusive", 0)) != 0, reverse = TRY(c.integer("reverse", 0)) != 0;
  const Shape x = c.shape(0);
  const int64_t n = x[static_cast<size_t>(axis)];
  if (n > kSumLengthMax) return c.refuse(fmt::format("a running sum over {} elements, at most {}", n, kSumLengthMax));
  std::vector<int64_t> ones(static_cast<size_t>(n * n));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      const int64_t before = reverse ? j - i : i - j;  // how far element j lies before result i
      ones[static_cast<size_t>(i * n + j)] = before > 0 || (before == 0 && !exclusive);
    }
  }
  Shape triangle{n, n}, spread = x;
  triangle.insert(triangle.end(), x.size() - static_cast<size_t>(axis) - 1, 1);
  spread.insert(spread.begin() + axis, 1);
  const DType dtype = c.dtype(0);
  TensorId mask = is_float(dtype)
                      ? c.builder.constant_floats(dtype, triangle, std::vector<double>(ones.begin(), ones.end()))
                      : c.builder.constant_integers(dtype, triangle, ones);
  TensorId parts = TRY(c.builder.binary(ElementwiseFn::mul, TRY(c.builder.reshape(c.inputs[0], spread)), mask));
  return Tensors{TRY(c.builder.reduce(graph::ReduceKind::sum, parts, {axis + 1}, false))};
}

}  // namespace presil::onnx
