// Convolutions and pooling: auto_pad, ceil_mode and friends become explicit strides and pads.
#include <fmt/format.h>

#include <algorithm>

#include "graph/shape.h"
#include "onnx/converters.h"

namespace presil::onnx {
namespace {

Result<std::vector<int64_t>> per_axis(Conversion& c, const std::string& name, size_t size, int64_t otherwise) {
  std::vector<int64_t> values = TRY(c.integers(name));
  if (values.empty()) values.assign(size, otherwise);
  if (values.size() != size)
    return c.error(
        fmt::format("{} has {} entries for {} spatial axes", name, values.size(), size / (name == "pads" ? 2 : 1)));
  return values;
}

Result<void> want_spatial(const Conversion& c) {
  if (c.rank(0) < 3) return c.error(fmt::format("input of rank {} has no spatial axes", c.rank(0)));
  if (c.rank(0) > 4) return c.refuse(fmt::format("{} spatial axes are not supported, only 1 and 2", c.rank(0) - 2));
  return {};
}

// strides, dilations and explicit pads, with attrs.kernel set before.
Result<void> window_attributes(Conversion& c, Attributes& attrs) {
  size_t spatial = attrs.kernel.size();
  attrs.strides = TRY(per_axis(c, "strides", spatial, 1));
  attrs.dilations = TRY(per_axis(c, "dilations", spatial, 1));
  attrs.pads = TRY(per_axis(c, "pads", 2 * spatial, 0));
  for (size_t i = 0; i < spatial; ++i) {
    for (int64_t v : {attrs.kernel[i], attrs.strides[i], attrs.dilations[i]}) {
      if (v >= 1 && v <= graph::kWindowMax) continue;
      return c.error(fmt::format("kernel {}, stride {} and dilation {} of spatial axis {} must be from 1 to {}",
                                 attrs.kernel[i], attrs.strides[i], attrs.dilations[i], i, graph::kWindowMax));
    }
  }
  for (int64_t pad : attrs.pads) {
    if (pad < 0 || pad > graph::kWindowMax)
      return c.error(fmt::format("pad {} must be from 0 to {}", pad, graph::kWindowMax));
  }
  return {};
}

// Splits `total` into pads of axis i; the odd one goes to the end for SAME_UPPER.
void split_pads(Attributes& attrs, size_t i, int64_t total, bool upper) {
  total = std::max<int64_t>(total, 0);
  int64_t less = total / 2;
  attrs.pads[i] = upper ? less : total - less;
  attrs.pads[i + attrs.kernel.size()] = total - attrs.pads[i];
}

Result<void> apply_auto_pad(Conversion& c, Attributes& attrs) {
  std::string mode = TRY(c.text("auto_pad", "NOTSET"));
  if (mode == "NOTSET" || mode.empty()) return {};
  if (mode != "SAME_UPPER" && mode != "SAME_LOWER" && mode != "VALID") {
    return c.error(fmt::format("auto_pad='{}' is not one of NOTSET, SAME_UPPER, SAME_LOWER, VALID", mode));
  }
  attrs.pads.assign(attrs.pads.size(), 0);
  for (size_t i = 0; mode != "VALID" && i < attrs.kernel.size(); ++i) {
    int64_t in = c.shape(0)[i + 2], window = (attrs.kernel[i] - 1) * attrs.dilations[i] + 1;
    int64_t out = (in + attrs.strides[i] - 1) / attrs.strides[i];
    split_pads(attrs, i, (out - 1) * attrs.strides[i] + window - in, mode == "SAME_UPPER");
  }
  return {};
}

Result<void> take_weight_kernel(Conversion& c, size_t weight, Attributes& attrs) {
  TRY(want_spatial(c));
  const Shape& w = c.shape(weight);
  if (w.size() != c.rank(0))
    return c.error(fmt::format("weight of rank {} for an input of rank {}", w.size(), c.rank(0)));
  attrs.kernel.assign(w.begin() + 2, w.end());
  std::vector<int64_t> given = TRY(c.integers("kernel_shape", attrs.kernel));
  if (given != attrs.kernel) return c.error("kernel_shape differs from the weight's shape");
  attrs.group = TRY(c.integer("group", 1));
  return {};
}

Tensors present(const Conversion& c) {
  Tensors out = c.inputs;
  while (!out.empty() && !out.back().valid()) out.pop_back();
  return out;
}

// Extra end padding that makes the last, partial window of ceil_mode a full one. Windows that would start in the end
// padding are dropped. Source: ONNX AveragePool and MaxPool, ceil_mode.
std::vector<int64_t> ceil_padding(const Shape& x, const Attributes& a) {
  size_t spatial = a.kernel.size();
  std::vector<int64_t> extra(spatial, 0);
  for (size_t i = 0; i < spatial; ++i) {
    int64_t window = (a.kernel[i] - 1) * a.dilations[i] + 1, in = x[i + 2];
    int64_t span = in + a.pads[i] + a.pads[i + spatial] - window;
    if (span < 0) continue;
    int64_t last = (span + a.strides[i] - 1) / a.strides[i];
    if (last * a.strides[i] >= in + a.pads[i]) --last;
    extra[i] = std::max<int64_t>(last * a.strides[i] - span, 0);
  }
  return extra;
}

Result<Tensors> convert_pool(Conversion& c, graph::PoolKind kind) {
  TRY(c.want_inputs(1, 1));
  TRY(c.want_outputs(1));
  TRY(want_spatial(c));
  Attributes attrs{.kernel = TRY(c.integers("kernel_shape")), .pool = kind};
  if (attrs.kernel.size() + 2 != c.rank(0)) {
    return c.error(fmt::format("kernel_shape has {} entries for {} spatial axes", attrs.kernel.size(), c.rank(0) - 2));
  }
  TRY(window_attributes(c, attrs));
  TRY(apply_auto_pad(c, attrs));
  TRY(c.want_integer("storage_order", 0));
  attrs.count_include_pad = kind == graph::PoolKind::average && TRY(c.flag("count_include_pad", false));
  TensorId x = c.inputs[0];
  if (TRY(c.flag("ceil_mode", false))) {
    std::vector<int64_t> extra = ceil_padding(c.shape(0), attrs);
    bool partial = std::ranges::any_of(extra, [](int64_t e) { return e > 0; });
    if (partial && attrs.count_include_pad) {
      // The explicit padding counts, the extra one does not: make the former part of the input.
      size_t spatial = attrs.kernel.size();
      Attributes pad{.pads = std::vector<int64_t>(2 * c.rank(0), 0)};
      for (size_t i = 0; i < spatial; ++i) {
        pad.pads[i + 2] = attrs.pads[i];
        pad.pads[i + 2 + c.rank(0)] = attrs.pads[i + spatial];
      }
      x = TRY(c.builder.add(Op::pad, {x}, pad));
      attrs.pads.assign(attrs.pads.size(), 0);
      attrs.count_include_pad = false;
    }
    for (size_t i = 0; i < extra.size(); ++i) attrs.pads[i + extra.size()] += extra[i];
  }
  return Tensors{TRY(c.builder.add(Op::pool, {x}, attrs))};
}

Result<Tensors> global_pool(Conversion& c, graph::ReduceKind kind) {
  TRY(c.want_inputs(1, 1));
  std::vector<int64_t> axes;
  for (size_t i = 2; i < c.rank(0); ++i) axes.push_back(static_cast<int64_t>(i));
  return Tensors{TRY(c.builder.reduce(kind, c.inputs[0], axes, true))};
}

}  // namespace

Result<Attributes> conv_attributes(Conversion& c, size_t weight) {
  Attributes attrs;
  TRY(take_weight_kernel(c, weight, attrs));
  TRY(window_attributes(c, attrs));
  TRY(apply_auto_pad(c, attrs));
  return attrs;
}

Result<Tensors> convert_conv(Conversion& c) {
  TRY(c.want_inputs(2, 3));
  return Tensors{TRY(c.builder.add(Op::conv, present(c), TRY(conv_attributes(c, 1))))};
}

Result<Tensors> convert_conv_transpose(Conversion& c) {
  TRY(c.want_inputs(2, 3));
  Attributes attrs;
  TRY(take_weight_kernel(c, 1, attrs));
  TRY(window_attributes(c, attrs));
  size_t spatial = attrs.kernel.size();
  attrs.output_padding = TRY(per_axis(c, "output_padding", spatial, 0));
  std::string mode = TRY(c.text("auto_pad", "NOTSET"));
  std::vector<int64_t> wanted = TRY(c.integers("output_shape"));
  if (!wanted.empty() && wanted.size() != spatial)
    return c.error("output_shape does not have one entry per spatial axis");
  if (mode == "VALID") attrs.pads.assign(2 * spatial, 0);
  bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
  for (size_t i = 0; (same || !wanted.empty()) && i < spatial; ++i) {
    int64_t in = c.shape(0)[i + 2], window = (attrs.kernel[i] - 1) * attrs.dilations[i] + 1;
    int64_t out = wanted.empty() ? in * attrs.strides[i] : wanted[i];
    if (out < 1 || out > graph::kElementsMax || attrs.output_padding[i] < 0 ||
        attrs.output_padding[i] > graph::kWindowMax) {
      return c.error(fmt::format("output size {} or padding {} of spatial axis {} is out of range", out,
                                 attrs.output_padding[i], i));
    }
    int64_t total = (in - 1) * attrs.strides[i] + attrs.output_padding[i] + window - out;
    if (total < 0)
      return c.refuse(fmt::format("output size {} of spatial axis {} is larger than its windows reach", out, i));
    split_pads(attrs, i, total, mode == "SAME_UPPER");
  }
  return Tensors{TRY(c.builder.add(Op::conv_transpose, present(c), attrs))};
}

Result<Tensors> convert_average_pool(Conversion& c) { return convert_pool(c, graph::PoolKind::average); }
Result<Tensors> convert_max_pool(Conversion& c) { return convert_pool(c, graph::PoolKind::max); }
Result<Tensors> convert_global_average_pool(Conversion& c) { return global_pool(c, graph::ReduceKind::mean); }
Result<Tensors> convert_global_max_pool(Conversion& c) { return global_pool(c, graph::ReduceKind::max); }

}  // namespace presil::onnx
