// Operators that pick or repeat elements: slices, gathers, padding, resizing.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "graph/shape.h"
#include "onnx/converters.h"

namespace presil::onnx {
namespace {

// numpy's rules for start:end:step over a dimension.
struct Range {
  int64_t start = 0, end = 0;
};
Range clamp_range(int64_t start, int64_t end, int64_t step, int64_t dim) {
  auto from_end = [&](int64_t i) { return i < 0 && i >= INT64_MIN + dim ? i + dim : i; };
  int64_t low = step > 0 ? 0 : -1, high = step > 0 ? dim : dim - 1;
  start = start < 0 ? from_end(start) : start;
  end = end < 0 ? from_end(end) : end;
  return {std::clamp(start, std::min(low, high), high), std::clamp(end, std::min(low, high), high)};
}

// A gather of constant indices in steps is a slice, which costs nothing or less than an indexed copy.
Result<std::optional<TensorId>> gather_as_slice(Conversion& c, int64_t axis) {
  auto indices = c.builder.integer_values(c.inputs[1]);
  if (!indices || indices->empty()) return std::optional<TensorId>();
  int64_t dim = c.shape(0)[axis];
  for (int64_t& i : *indices) {
    if (i < -dim || i >= dim) return c.error(fmt::format("index {} is outside a dimension of {}", i, dim));
    if (i < 0) i += dim;
  }
  int64_t step = indices->size() > 1 ? (*indices)[1] - (*indices)[0] : 1;
  for (size_t i = 1; i < indices->size(); ++i) {
    if ((*indices)[i] - (*indices)[i - 1] != step) return std::optional<TensorId>();
  }
  if (step <= 0) return std::optional<TensorId>();
  Attributes attrs{.axes = {axis}, .starts = {indices->front()}, .ends = {indices->back() + 1}, .steps = {step}};
  TensorId part = TRY(c.builder.add(Op::slice, {c.inputs[0]}, attrs));
  Shape shape(c.shape(0).begin(), c.shape(0).begin() + axis);
  shape.insert(shape.end(), c.shape(1).begin(), c.shape(1).end());
  shape.insert(shape.end(), c.shape(0).begin() + axis + 1, c.shape(0).end());
  return std::optional(TRY(c.builder.reshape(part, shape)));
}

struct SliceArguments {
  std::vector<int64_t> starts, ends, axes, steps;
};

Result<SliceArguments> slice_arguments(Conversion& c) {
  SliceArguments a;
  if (c.opset < 10) {
    TRY(c.want_inputs(1, 1));
    a.starts = TRY(c.integers("starts"));
    a.ends = TRY(c.integers("ends"));
    a.axes = TRY(c.integers("axes"));
  } else {
    TRY(c.want_inputs(3, 5));
    a.starts = TRY(c.constant_integers(1, "starts"));
    a.ends = TRY(c.constant_integers(2, "ends"));
    if (c.has(3)) a.axes = TRY(c.constant_integers(3, "axes"));
    if (c.has(4)) a.steps = TRY(c.constant_integers(4, "steps"));
  }
  if (a.axes.empty()) {
    for (size_t i = 0; i < a.starts.size(); ++i) a.axes.push_back(static_cast<int64_t>(i));
  }
  if (a.steps.empty()) a.steps.assign(a.starts.size(), 1);
  if (a.ends.size() != a.starts.size() || a.axes.size() != a.starts.size() || a.steps.size() != a.starts.size()) {
    return c.error("starts, ends, axes and steps differ in length");
  }
  for (int64_t& axis : a.axes) axis = TRY(c.axis(axis, c.rank(0)));
  return a;
}

Result<std::vector<int64_t>> pad_amounts(Conversion& c) {
  if (c.opset < 11) return c.integers("pads");
  std::vector<int64_t> given = TRY(c.constant_integers(1, "pads"));
  if (!c.has(3)) return given;
  std::vector<int64_t> axes = TRY(c.constant_integers(3, "axes"));
  if (given.size() != 2 * axes.size())
    return c.error(fmt::format("has {} pads for {} axes", given.size(), axes.size()));
  std::vector<int64_t> pads(2 * c.rank(0), 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    int64_t axis = TRY(c.axis(axes[i], c.rank(0)));
    pads[axis] = given[i];
    pads[axis + c.rank(0)] = given[i + axes.size()];
  }
  return pads;
}

// Negative pads crop.
Result<TensorId> crop(Conversion& c, std::vector<int64_t>& pads) {
  TensorId x = c.inputs[0];
  size_t rank = c.rank(0);
  for (size_t i = 0; i < rank; ++i) {
    if (pads[i] >= 0 && pads[i + rank] >= 0) continue;
    int64_t dim = c.shape(0)[i], before = 0, after = 0;
    bool inside = pads[i] >= -dim && pads[i + rank] >= -dim;
    if (inside) {
      before = std::max<int64_t>(-pads[i], 0);
      after = std::max<int64_t>(-pads[i + rank], 0);
    }
    if (!inside || before + after > dim) {
      return c.error(
          fmt::format("pads {} and {} of axis {} remove more than its {} elements", pads[i], pads[i + rank], i, dim));
    }
    x = TRY(c.builder.slice(x, static_cast<int64_t>(i), before, dim - after));
    pads[i] = std::max<int64_t>(pads[i], 0);
    pads[i + rank] = std::max<int64_t>(pads[i + rank], 0);
  }
  return x;
}

Result<graph::ResizeMode> resize_mode(Conversion& c) {
  static constexpr Choice<graph::ResizeMode> kModes[] = {{"nearest", graph::ResizeMode::nearest},
                                                         {"linear", graph::ResizeMode::linear},
                                                         {"bilinear", graph::ResizeMode::linear}};
  return choose(c, "mode", "nearest", kModes);
}

// Checks scales and adds the node; `sizes` are the output's, or empty to follow from the scales.
Result<Tensors> resized(Conversion& c, Attributes attrs, const std::vector<double>& scales, Shape sizes) {
  const Shape& x = c.shape(0);
  if (sizes.empty() && scales.size() != x.size()) {
    return c.error(fmt::format("has {} scales for rank {}", scales.size(), x.size()));
  }
  for (size_t i = 0; i < x.size(); ++i) {
    if (scales.size() == x.size()) {
      attrs.scales.push_back(static_cast<float>(scales[i]));
    } else {
      if (x[i] == 0) return c.error("cannot resize an empty tensor to given sizes");
      attrs.scales.push_back(static_cast<float>(sizes[i]) / static_cast<float>(x[i]));
    }
    float size = std::floor(attrs.scales[i] * static_cast<float>(x[i]));
    if (!(attrs.scales[i] > 0) || !(size < 0x1p40f))
      return c.error(fmt::format("scale {} of axis {} is out of range", attrs.scales[i], i));
    if (scales.size() == x.size()) sizes.push_back(static_cast<int64_t>(size));
  }
  return Tensors{TRY(c.builder.add(Op::resize, {c.inputs[0]}, attrs, {c.dtype(0), sizes}))};
}

// Opset 10 and Upsample: asymmetric coordinates; nearest takes the floor when it enlarges and the ceiling otherwise, as
// onnxruntime does.
Result<Tensors> resized_asymmetric(Conversion& c, const std::vector<double>& scales) {
  bool down = std::ranges::any_of(scales, [](double s) { return s < 1; });
  bool up = std::ranges::any_of(scales, [](double s) { return s > 1; });
  Attributes attrs{.resize = TRY(resize_mode(c)), .coordinates = graph::ResizeCoordinates::asymmetric};
  if (down && up && attrs.resize == graph::ResizeMode::nearest) {
    return c.refuse("enlarging one axis and reducing another is not supported in this opset");
  }
  attrs.rounding = down ? graph::ResizeRounding::ceil : graph::ResizeRounding::floor;
  return resized(c, attrs, scales, {});
}

Result<Shape> resize_sizes(Conversion& c, const std::vector<int64_t>& axes, size_t input) {
  std::vector<int64_t> given = TRY(c.constant_integers(input, "sizes"));
  if (given.size() != axes.size()) return c.error(fmt::format("has {} sizes for {} axes", given.size(), axes.size()));
  Shape sizes = c.shape(0);
  for (size_t i = 0; i < axes.size(); ++i) sizes[axes[i]] = given[i];
  if (!graph::checked_count(sizes)) return c.error(fmt::format("sizes {} are out of range", graph::shape_text(sizes)));
  return sizes;
}

}  // namespace

Result<Tensors> convert_gather(Conversion& c) {
  TRY(c.want_inputs(2, 2));
  int64_t axis = TRY(c.axis(TRY(c.integer("axis", 0)), c.rank(0)));
  if (std::optional<TensorId> slice = TRY(gather_as_slice(c, axis))) return Tensors{*slice};
  return Tensors{TRY(c.builder.add(Op::gather, {c.inputs[0], c.inputs[1]}, {.axes = {axis}}))};
}

Result<Tensors> convert_slice(Conversion& c) {
  SliceArguments a = TRY(slice_arguments(c));
  for (size_t i = 0; i < a.starts.size(); ++i) {
    if (a.steps[i] == 0 || a.steps[i] == INT64_MIN) return c.error(fmt::format("step {} is not valid", a.steps[i]));
    Range range = clamp_range(a.starts[i], a.ends[i], a.steps[i], c.shape(0)[a.axes[i]]);
    a.starts[i] = range.start;
    a.ends[i] = range.end;
  }
  Attributes attrs{.axes = a.axes, .starts = a.starts, .ends = a.ends, .steps = a.steps};
  return Tensors{TRY(c.builder.add(Op::slice, {c.inputs[0]}, attrs))};
}

Result<Tensors> convert_split(Conversion& c) {
  TRY(c.want_inputs(1, c.opset >= 13 ? 2 : 1));
  int64_t axis = TRY(c.axis(TRY(c.integer("axis", 0)), c.rank(0))), dim = c.shape(0)[axis];
  auto sizes = TRY(c.moved_integers("split", 1, 13));
  int64_t parts = static_cast<int64_t>(c.node.outputs.size());
  if (c.opset >= 18) parts = TRY(c.integer("num_outputs", parts));
  if (parts < 1 || parts != static_cast<int64_t>(c.node.outputs.size())) {
    return c.error(fmt::format("has {} outputs, num_outputs is {}", c.node.outputs.size(), parts));
  }
  if (!sizes) {
    int64_t chunk = (dim + parts - 1) / parts;
    if (c.opset < 18 && dim % parts != 0)
      return c.error(fmt::format("{} does not split into {} equal parts", dim, parts));
    sizes.emplace();
    for (int64_t i = 0; i < parts; ++i) sizes->push_back(std::clamp<int64_t>(dim - i * chunk, 0, chunk));
  }
  int64_t left = dim;
  bool fits = sizes->size() == c.node.outputs.size();
  for (int64_t size : *sizes) {
    fits &= size >= 0 && size <= left;
    if (fits) left -= size;
  }
  if (!fits || left != 0) return c.error(fmt::format("sizes {} do not split {}", graph::shape_text(*sizes), dim));
  Tensors outputs;
  int64_t start = 0;
  for (int64_t size : *sizes) {
    outputs.push_back(TRY(c.builder.slice(c.inputs[0], axis, start, start + size)));
    start += size;
  }
  return outputs;
}

Result<Tensors> convert_pad(Conversion& c) {
  TRY(c.want_inputs(c.opset >= 11 ? 2 : 1, c.opset >= 11 ? 4 : 1));
  static constexpr Choice<graph::PadMode> kModes[] = {
      {"constant", graph::PadMode::constant}, {"reflect", graph::PadMode::reflect}, {"edge", graph::PadMode::edge}};
  graph::PadMode mode = TRY(choose(c, "mode", "constant", kModes));
  Attributes attrs{.pads = TRY(pad_amounts(c)), .pad_mode = mode};
  if (attrs.pads.size() != 2 * c.rank(0))
    return c.error(fmt::format("has {} pads for rank {}", attrs.pads.size(), c.rank(0)));
  if (c.opset < 11) attrs.pad_value = TRY(c.real("value", 0));
  if (c.has(2)) {
    attrs.pad_value = is_float(c.dtype(2)) ? static_cast<float>(TRY(c.constant_float(2, "constant_value")))
                                           : static_cast<float>(TRY(c.constant_integer(2, "constant_value")));
  }
  TensorId x = TRY(crop(c, attrs.pads));
  return Tensors{TRY(c.builder.add(Op::pad, {x}, attrs))};
}

Result<Tensors> convert_upsample(Conversion& c) {
  TRY(c.want_inputs(c.opset >= 9 ? 2 : 1, c.opset >= 9 ? 2 : 1));
  if (c.opset >= 9) return resized_asymmetric(c, TRY(c.constant_floats(1, "scales")));
  std::vector<float> scales = TRY(c.reals("scales"));
  return resized_asymmetric(c, {scales.begin(), scales.end()});
}

Result<Tensors> convert_resize(Conversion& c) {
  TRY(c.want_inputs(1, c.opset >= 11 ? 4 : 2));
  if (c.opset < 11) return resized_asymmetric(c, TRY(c.constant_floats(1, "scales")));
  using graph::ResizeCoordinates;
  using graph::ResizeRounding;
  static constexpr Choice<ResizeCoordinates> kCoordinates[] = {
      {"half_pixel", ResizeCoordinates::half_pixel},
      {"pytorch_half_pixel", ResizeCoordinates::pytorch_half_pixel},
      {"asymmetric", ResizeCoordinates::asymmetric},
      {"align_corners", ResizeCoordinates::align_corners}};
  static constexpr Choice<ResizeRounding> kRoundings[] = {{"round_prefer_floor", ResizeRounding::round_prefer_floor},
                                                          {"round_prefer_ceil", ResizeRounding::round_prefer_ceil},
                                                          {"floor", ResizeRounding::floor},
                                                          {"ceil", ResizeRounding::ceil}};
  Attributes attrs{.resize = TRY(resize_mode(c))};
  attrs.coordinates = TRY(choose(c, "coordinate_transformation_mode", "half_pixel", kCoordinates));
  attrs.rounding = TRY(choose(c, "nearest_mode", "round_prefer_floor", kRoundings));
  for (const char* name : {"cubic_coeff_a", "exclude_outside", "extrapolation_value"}) c.ignore(name);
  TRY(c.want_integer("antialias", 0));
  if (std::string policy = TRY(c.text("keep_aspect_ratio_policy", "stretch")); policy != "stretch") {
    return c.refuse(fmt::format("keep_aspect_ratio_policy='{}' is not supported, only 'stretch'", policy));
  }
  std::vector<int64_t> all(c.rank(0));
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
  std::vector<int64_t> axes = TRY(c.integers("axes", all));
  for (int64_t& axis : axes) axis = TRY(c.axis(axis, c.rank(0)));
  // An empty scales tensor stands for an omitted one.
  bool has_scales = c.has(2) && graph::element_count(c.shape(2)) > 0;
  if (has_scales == (c.has(3) && graph::element_count(c.shape(3)) > 0)) return c.error("needs either scales or sizes");
  if (!has_scales) return resized(c, attrs, {}, TRY(resize_sizes(c, axes, 3)));
  std::vector<double> given = TRY(c.constant_floats(2, "scales")), scales(c.rank(0), 1.0);
  if (given.size() != axes.size()) return c.error(fmt::format("has {} scales for {} axes", given.size(), axes.size()));
  for (size_t i = 0; i < axes.size(); ++i) scales[axes[i]] = given[i];
  return resized(c, attrs, scales, {});
}

}  // namespace presil::onnx
