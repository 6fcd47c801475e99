// Anchors that only move elements: views where possible, copies where not.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/emitter.h"
#include "graph/host_tensor.h"

namespace presil::compiler {

using graph::Op;
using graph::TensorId;
using kernels::Block;
using kernels::HbmView;
using kernels::Range;

// Whether a convolution reads a tensor once per tap, so that channels spread over few partitions cost it most.
bool Emitter::multiplied_by_taps(TensorId t) const {
  return std::ranges::any_of(graph_.nodes, [&](const graph::Node& node) {
    bool reads = node.op == Op::conv && node.inputs[0] == t && node.attrs.group == 1;
    return reads && graph::element_count(node.attrs.kernel) > 1;
  });
}

Result<Block> Emitter::concat(const Step& step, Scope& scope, DType dtype) {
  const graph::Node& node = graph_.nodes[step.anchor];
  int axis = static_cast<int>(node.attrs.axes[0]);
  int on_partitions = values_.is_image(node.output) ? 1 : values_.natural_axis(node.inputs[0]);
  std::vector<Block> parts;
  for (TensorId t : node.inputs) {
    Block block = scope.banded ? channels(t, scope) : values_.block(t, on_partitions);
    if (scope.banded) {
      Rows rows = scope.rows.needed[node.output.value];
      int64_t begin = block.row_begin;
      block = *sliced(block, 2, Range{rows.begin - begin, rows.end - rows.begin, 1});
    }
    if (block.dtype != dtype || !is_dense(block)) {
      Block dense = allocate_cut(context_, dtype, block.shape, on_partitions, cut_of(block), graph_.at(t).name);
      copy_block(context_, block, dense);
      block = dense;
    }
    parts.push_back(block);
  }
  Block out;
  if (axis == on_partitions) {
    out = *joined(parts);
    if (multiplied_by_taps(node.output) &&
        static_cast<int64_t>(out.groups.size() - 1) * kernels::group_partitions(spec_) >=
            out.shape[static_cast<size_t>(axis)]) {
      Block packed = allocate(context_, dtype, out.shape, axis, graph_.at(node.output).name);
      relayout(context_, out, packed);
      out = packed;
    }
  } else {
    graph::Shape shape = graph_.at(node.output).shape;
    out = allocate_cut(context_, dtype, shape, on_partitions, cut_of(parts[0]), graph_.at(node.output).name);
    int64_t begin = 0;
    for (Block& part : parts) {
      if (cut_of(part) != cut_of(out)) {
        Block same = allocate_cut(context_, dtype, part.shape, on_partitions, cut_of(out), "regrouped");
        relayout(context_, part, same);
        part = same;
      }
      int64_t extent = part.shape[static_cast<size_t>(axis)];
      copy_block(context_, part, *sliced(out, axis, Range{begin, extent, 1}));
      begin += extent;
    }
  }
  if (out.rank() == 4) {
    out.row_begin = scope.banded ? scope.rows.needed[node.output.value].begin : 0;
    out.full_rows = graph_.at(node.output).shape[2];
  }
  return out;
}

namespace {

// Fills what lies before and behind `extent` elements from `begin` on of an axis with elements in between: mirrored at
// the outermost ones, or the outermost ones themselves.
void fill_border(kernels::Context& context, const Block& out, int axis, int64_t begin, int64_t extent, bool mirrored) {
  const int64_t end = begin + extent, behind = out.shape[static_cast<size_t>(axis)] - end;
  auto fill = [&](Range to, Range from) {
    if (to.count > 0) copy_block(context, *sliced(out, axis, from), *sliced(out, axis, to));
  };
  fill({0, begin, 1}, mirrored ? Range{2 * begin, begin, -1} : Range{begin, begin, 0});
  fill({end, behind, 1}, mirrored ? Range{end - 2, behind, -1} : Range{end - 1, behind, 0});
}

}  // namespace

Result<Block> Emitter::pad(const Step& step, DType dtype) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const std::vector<int64_t>& pads = node.attrs.pads;
  size_t rank = graph_.at(node.output).shape.size();
  std::vector<int64_t> padded;
  for (size_t i = 0; i < rank; ++i) {
    if (pads[i] != 0 || pads[rank + i] != 0) padded.push_back(static_cast<int64_t>(i));
  }
  int on_partitions = values_.natural_axis(node.inputs[0], padded);
  if (on_partitions < 0) return unsupported("padding of every axis", node.source);
  Block in = values_.block(node.inputs[0], on_partitions);
  Block out = allocate_cut(context_, dtype, graph_.at(node.output).shape, on_partitions, cut_of(in),
                           graph_.at(node.output).name);
  const bool constant = node.attrs.pad_mode == graph::PadMode::constant;
  for (size_t g = 0; constant && g < out.groups.size(); ++g)
    build_.memset({.dst = view(out, g), .value = node.attrs.pad_value});
  std::vector<Block> parts{out};  // with 0, 1, ... of the padded axes inside their borders, the last ones first
  for (size_t k = padded.size(); k-- > 0;) {
    const auto i = static_cast<size_t>(padded[k]);
    parts.push_back(*sliced(parts.back(), static_cast<int>(i), Range{pads[i], in.shape[i], 1}));
  }
  copy_block(context_, in, parts.back());
  for (size_t k = 0; !constant && k < padded.size(); ++k) {
    const auto i = static_cast<size_t>(padded[k]);
    fill_border(context_, parts[padded.size() - 1 - k], static_cast<int>(i), pads[i], in.shape[i],
                node.attrs.pad_mode == graph::PadMode::reflect);
  }
  return out;
}

// Indices that only the run knows: the DMA fetches rows by them.
Result<Block> Emitter::gather_rows(const Step& step, DType dtype) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const auto axis = static_cast<int>(node.attrs.axes[0]);
  HbmView data =
      graph_.at(node.inputs[0]).constant ? values_.constant(node.inputs[0], dtype) : values_.hbm(node.inputs[0]);
  const int64_t rows = data.shape[static_cast<size_t>(axis)];
  constexpr uint32_t kFirstGeneration = 3;  // of transfers by index
  if (spec_.generation < kFirstGeneration)
    return unsupported("gather with indices that are not constant: chips of generation 3 on fetch by index",
                       node.source);
  if (rows >= kernels::kGatherRowsMax)
    return unsupported(fmt::format("gather from an axis of {}; less than {} here", rows, kernels::kGatherRowsMax),
                       node.source);
  // A scalar index is a vector of one.
  graph::Shape of_indices = graph_.at(node.inputs[1]).shape;
  HbmView places = values_.hbm(node.inputs[1]);
  if (of_indices.empty()) {
    of_indices = {1};
    places = *kernels::reshaped(places, of_indices);
  }
  const auto on_partitions = static_cast<int>(std::ranges::max_element(of_indices) - of_indices.begin());
  Block indices = allocate(context_, DType::int32, of_indices, on_partitions, graph_.at(node.inputs[1]).name);
  load(context_, places, indices);
  indices = kernels::wrapped_indices(context_, indices, rows);
  graph::Shape shape(data.shape.begin(), data.shape.begin() + axis);
  shape.insert(shape.end(), of_indices.begin(), of_indices.end());
  shape.insert(shape.end(), data.shape.begin() + axis + 1, data.shape.end());
  Block out = allocate(context_, data.dtype, shape, axis + on_partitions, graph_.at(node.output).name);
  kernels::gather(context_, data, axis, indices, out);
  if (out.dtype != dtype) {
    Block same = allocate_cut(context_, dtype, shape, out.partition_axis, cut_of(out), graph_.at(node.output).name);
    copy_block(context_, out, same);
    out = same;
  }
  const graph::Shape& wanted = graph_.at(node.output).shape;
  if (auto block = reshaped(out, wanted)) return *block;
  HbmView stored = *kernels::reshaped(values_.stored(out, graph_.at(node.output).name), wanted);
  return values_.loaded(stored, values_.natural_axis(node.output), dtype, graph_.at(node.output).name);
}

Result<Block> Emitter::gather(const Step& step, DType dtype) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const graph::Tensor& indices = graph_.at(node.inputs[1]);
  if (!indices.constant || indices.opaque) return gather_rows(step, dtype);
  int axis = static_cast<int>(node.attrs.axes[0]);
  HbmView data = values_.hbm(node.inputs[0]);
  const graph::Shape& shape = graph_.at(node.output).shape;
  HbmView out = kernels::row_major(
      values_.tensor(graph_.at(node.output).name, data.dtype, shape, isa::TensorRole::scratch), data.dtype, shape);
  // [leading, index, trailing] of both sides, row by row.
  graph::Shape flat(data.shape.begin(), data.shape.begin() + axis);
  int64_t count = graph::element_count(indices.shape);
  flat.push_back(count);
  flat.insert(flat.end(), data.shape.begin() + axis + 1, data.shape.end());
  HbmView rows = *kernels::reshaped(out, flat);
  const int64_t extent = data.shape[static_cast<size_t>(axis)];
  std::vector<int64_t> places = graph::load_integers(indices.dtype, *indices.data);
  for (int64_t& at : places) {
    const int64_t index = at;
    if (at < 0) at += extent;
    if (at < 0 || at >= extent) return bad_input(fmt::format("index {} of an axis of {}", index, extent), node.source);
  }
  // Indices in equal steps are one copy.
  for (int64_t i = 0; i < count;) {
    const auto at = [&](int64_t k) { return places[static_cast<size_t>(k)]; };
    const int64_t step = i + 1 < count ? at(i + 1) - at(i) : 1;
    int64_t end = i + 1;
    while (end < count && at(end) - at(end - 1) == step) ++end;
    kernels::copy(context_, sliced(data, axis, Range{at(i), end - i, step}), sliced(rows, axis, Range{i, end - i, 1}));
    i = end;
  }
  return values_.loaded(out, values_.natural_axis(node.output), dtype, graph_.at(node.output).name);
}

Result<void> Emitter::view_step(const Step& step) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const graph::Shape& shape = graph_.at(node.output).shape;
  TensorId in = node.inputs[0];
  const Value& from = values_.at(in);
  Value to;
  auto of_block = [&](const Block& block) -> std::optional<Block> {
    if (node.op == Op::reshape) return shape.empty() ? std::nullopt : reshaped(block, shape);
    if (node.op == Op::transpose) return transposed(block, node.attrs.axes);
    std::optional<Block> out = block;
    for (size_t i = 0; out && i < node.attrs.axes.size(); ++i) {
      int axis = static_cast<int>(node.attrs.axes[i]);
      out = sliced(*out, axis, Range{node.attrs.starts[i], shape[static_cast<size_t>(axis)], node.attrs.steps[i]});
    }
    return out;
  };
  auto of_hbm = [&](const HbmView& view) -> std::optional<HbmView> {
    if (node.op == Op::reshape) return kernels::reshaped(view, shape);
    if (node.op == Op::transpose) return transposed(view, node.attrs.axes);
    HbmView out = view;
    for (size_t i = 0; i < node.attrs.axes.size(); ++i) {
      int axis = static_cast<int>(node.attrs.axes[i]);
      out = sliced(out, axis, Range{node.attrs.starts[i], shape[static_cast<size_t>(axis)], node.attrs.steps[i]});
    }
    return out;
  };
  if (from.block) to.block = of_block(*from.block);
  if (!to.block && from.hbm) to.hbm = of_hbm(*from.hbm);
  if (!to.block && !to.hbm && from.block) {
    // Another axis on partitions may have a view: a transpose in the core is cheaper than a trip to HBM.
    for (int axis = 0; axis < from.block->rank() && !to.block; ++axis) {
      if (from.block->shape[static_cast<size_t>(axis)] <= 1 || axis == from.block->partition_axis) continue;
      if (!values_.small_enough(from.block->shape, axis, from.block->dtype)) continue;
      Block probe = *from.block;
      probe.partition_axis = axis;
      probe.groups = {{0, probe.shape[static_cast<size_t>(axis)], 0}};
      int64_t stride = 1;
      for (int i = probe.rank() - 1; i >= 0; --i) {
        probe.strides[static_cast<size_t>(i)] = i == axis ? 0 : stride;
        if (i != axis) stride *= probe.shape[static_cast<size_t>(i)];
      }
      if (of_block(probe)) to.block = of_block(values_.with_axis(*from.block, axis));
    }
  }
  if (!to.block && !to.hbm) {
    HbmView stored = values_.hbm(in);
    to.hbm = of_hbm(stored);
    if (!to.hbm) {
      // A strided view that no reshape fits: a row-major copy has every reshape.
      HbmView dense = kernels::row_major(
          values_.tensor(graph_.at(node.output).name, stored.dtype, stored.shape, isa::TensorRole::scratch),
          stored.dtype, stored.shape);
      kernels::copy(context_, stored, dense);
      to.hbm = of_hbm(dense);
    }
  }
  values_.at(node.output) = to;
  return {};
}

Result<void> Emitter::expand(const Step& step) {
  const graph::Node& node = graph_.nodes[step.anchor];
  values_.at(node.output).hbm = kernels::broadcast(values_.hbm(node.inputs[0]), graph_.at(node.output).shape);
  return {};
}

}  // namespace presil::compiler
