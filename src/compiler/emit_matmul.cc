// Anchors that run on the tensor engine, and depthwise convolution: weights re-laid out, one output group at a time.
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "compiler/emitter.h"
#include "kernels/packed_conv.h"

namespace presil::compiler {

using graph::TensorId;
using kernels::Block;
using kernels::HbmView;
using kernels::Range;
using kernels::Weights;

namespace {

// A group of `out` as a block of its own, and where it begins along the partition axis.
struct OutGroup {
  Block block;
  int64_t begin = 0, partitions = 0;
};
std::vector<OutGroup> groups_of(const Block& out) {
  std::vector<OutGroup> groups;
  int64_t begin = 0;
  for (const kernels::Group& g : out.groups) {
    Block part = *sliced(out, out.partition_axis, Range{begin, g.partitions, 1});
    part.row_begin = out.row_begin, part.full_rows = out.full_rows;
    groups.push_back({part, begin, g.partitions});
    begin += g.partitions;
  }
  return groups;
}

// The epilogue for one group of the result.
kernels::Epilogue of_group(kernels::Epilogue epilogue, const OutGroup& group) {
  if (!epilogue.addend) return epilogue;
  Block whole = group.block.rank() == epilogue.addend->rank() ? *epilogue.addend : with_rows(*epilogue.addend);
  Block part = *sliced(whole, whole.partition_axis, Range{group.begin, group.partitions, 1});
  part.row_begin = whole.row_begin, part.full_rows = whole.full_rows;
  epilogue.addend = part;
  return epilogue;
}

}  // namespace

std::optional<Block> Emitter::bias_column(const Step& step, std::optional<TensorId> bias, int64_t begin, int64_t m,
                                          const std::vector<int64_t>& cut) {
  if (!bias) return std::nullopt;
  auto key = std::pair(step.anchor, fmt::format("bias{} {}", bias->value, begin));
  auto found = weights_.find(key);
  if (found != weights_.end()) return found->second;
  const graph::Tensor& tensor = graph_.at(*bias);
  HbmView whole = tensor.constant ? values_.constant(*bias, DType::fp32) : values_.hbm(*bias);
  HbmView view = sliced(*kernels::reshaped(whole, {graph::element_count(tensor.shape)}), 0, Range{begin, m, 1});
  source(step, "load bias");
  Block block = allocate_cut(context_, DType::fp32, {m}, 0, cut, tensor.name);
  load(context_, view, block);
  return weights_.emplace(key, block).first->second;
}

Weights Emitter::matmul_weights(const Step& step, size_t group_index, const std::vector<int64_t>& cut,
                                const std::string& part, const std::function<HostTensor()>& pack,
                                std::optional<TensorId> bias, int64_t begin, int64_t m) {
  auto key = std::pair(step.anchor, fmt::format("{}{}", part, group_index));
  auto found = weights_.find(key);
  if (found == weights_.end()) {
    source(step, "load weights");
    const graph::Node& node = graph_.nodes[step.anchor];
    HostTensor host = pack();
    HbmView packed = kernels::row_major(0, host.dtype, host.shape);
    packed.tensor =
        values_.constant(fmt::format("{}.{}{}", graph_.at(node.inputs[1]).name, part, group_index), std::move(host));
    Block block = allocate_cut(context_, packed.dtype, packed.shape, 0, cut, graph_.at(node.inputs[1]).name);
    load(context_, packed, block);
    found = weights_.emplace(key, block).first;
  }
  Weights w{found->second, bias_column(step, bias, begin, m, {m})};
  source(step, step_kind_name(step.kind));
  return w;
}

Result<Block> Emitter::conv(const Step& step, Scope& scope, DType dtype, const Tail& tail) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const graph::Tensor& w = graph_.at(node.inputs[1]);
  kernels::Window window = window_of(graph_, node);
  Block in = channels(node.inputs[0], scope);
  Block out = result(node.output, scope, dtype);
  Block shaped = with_rows(out);
  DType operand = value_dtype(graph_, plan_, node.inputs[0]);
  int64_t channels = graph_.at(node.inputs[0]).shape[1];
  bool pointwise = window.kernel[0] == 1 && window.kernel[1] == 1 && window.stride[0] == 1 && window.stride[1] == 1 &&
                   node.attrs.pads == std::vector<int64_t>(node.attrs.pads.size(), 0);
  const kernels::Epilogue epilogue = TRY(epilogue_of(step, tail, out, scope));
  auto groups = groups_of(shaped);
  const int64_t outputs = graph_.at(node.output).shape[1];
  const auto packing =
      kernels::row_packing(spec_, window, channels, outputs, shaped.shape[2], shaped.shape[3], operand);
  if (packing && in.groups.size() == 1 && groups.size() == 1) {
    Weights weights = matmul_weights(
        step, 0, {packing->in_rows * channels}, fmt::format("{} rows of {} ", packing->out_rows, packing->in_rows),
        [&] { return row_weights(w, *packing, window.stride[0], channels, node.attrs.group, operand); },
        optional_input(node, 2), 0, outputs);
    kernels::Epilogue whole = epilogue;
    if (whole.addend) whole.addend = with_rows(*whole.addend);
    kernels::conv_rows(context_, window, *packing, weights, in, shaped, whole);
    return out;
  }
  for (size_t g = 0; g < groups.size(); ++g) {
    const OutGroup& group = groups[g];
    Weights weights = matmul_weights(
        step, g, cut_of(in), "m",
        [&] { return conv_weights(w, channels, node.attrs.group, group.begin, group.partitions, operand); },
        optional_input(node, 2), group.begin, group.partitions);
    if (pointwise && in.shape[2] == group.block.shape[2] && is_dense(in) && is_dense(group.block)) {
      Weights flat{*reshaped(weights.weights, {channels, group.partitions}), weights.bias};
      kernels::linear(context_, flat, in, group.block, of_group(epilogue, group));
    } else {
      kernels::conv(context_, window, weights, in, group.block, of_group(epilogue, group));
    }
  }
  return out;
}

Result<Block> Emitter::packed_conv(const Step& step, Scope& scope, DType dtype, const Tail& tail) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const graph::Tensor& w = graph_.at(node.inputs[1]);
  HbmView in = values_.hbm(node.inputs[0]);
  if (scope.banded) in = sliced(in, 0, Range{scope.image, 1, 1});
  if (in.shape.size() == 3) in = *kernels::reshaped(in, {in.shape[0], in.shape[1], 1, in.shape[2]});
  Block out = result(node.output, scope, dtype);
  DType operand = value_dtype(graph_, plan_, node.inputs[0]);
  const kernels::Window window = window_of(graph_, node);
  const int64_t outputs = graph_.at(node.output).shape[1];
  Block rows = with_rows(out);
  const kernels::TapPacking packing = *kernels::tap_packing(spec_, window, in.shape[1], outputs, rows.shape[2]);
  std::vector<int64_t> cut;  // of the weights: a group per pass
  for (int64_t rest = packing.in_rows * window.kernel[1] * in.shape[1]; rest > 0; rest -= packing.partitions)
    cut.push_back(std::min(rest, packing.partitions));
  kernels::Epilogue epilogue = TRY(epilogue_of(step, tail, out, scope));
  // All outputs at once: the packed input is built for all of them.
  Weights weights = matmul_weights(
      step, 0, cut, fmt::format("taps of {} rows ", packing.out_rows),
      [&] { return packed_weights(w, packing, window.stride[0], operand); }, std::nullopt, 0, outputs);
  if (auto bias = optional_input(node, 2)) weights.bias = bias_column(step, bias, 0, outputs, cut_of(out));
  source(step, step_kind_name(step.kind));
  if (epilogue.addend) epilogue.addend = with_rows(*epilogue.addend);
  kernels::conv_packed(context_, window, packing, operand, weights, in, rows, epilogue);
  return out;
}

Result<Block> Emitter::depthwise(const Step& step, Scope& scope, DType dtype) {
  const graph::Node& node = graph_.nodes[step.anchor];
  Block in = channels(node.inputs[0], scope);
  Block out = result(node.output, scope, dtype);
  if (cut_of(in) != cut_of(out)) {
    Block same = allocate_cut(context_, in.dtype, in.shape, 1, cut_of(out), "regrouped");
    same.row_begin = in.row_begin, same.full_rows = in.full_rows;
    relayout(context_, in, same);
    in = same;
  }
  Weights weights = matmul_weights(
      step, 0, cut_of(in), "d", [&] { return depthwise_weights(graph_.at(node.inputs[1])); }, std::nullopt, 0, 0);
  weights.bias = bias_column(step, optional_input(node, 2), 0, graph_.at(node.output).shape[1], cut_of(out));
  source(step, "depthwise");
  kernels::depthwise(context_, window_of(graph_, node), weights, in, with_rows(out));
  return out;
}

Result<Block> Emitter::conv_transpose(const Step& step, Scope& scope, DType dtype, const Tail& tail) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const graph::Tensor& w = graph_.at(node.inputs[1]);
  Block in = channels(node.inputs[0], scope);
  Block out = result(node.output, scope, dtype);
  DType operand = value_dtype(graph_, plan_, node.inputs[0]);
  auto groups = groups_of(with_rows(out));
  for (size_t g = 0; g < groups.size(); ++g) {
    const OutGroup& group = groups[g];
    Weights weights = matmul_weights(
        step, g, cut_of(in), "m",
        [&] { return transpose_weights(w, node.attrs.group, group.begin, group.partitions, operand); },
        optional_input(node, 2), group.begin, group.partitions);
    kernels::conv_transpose(context_, window_of(graph_, node), weights, in, group.block, tail.epilogue);
  }
  return out;
}

bool Emitter::stores_itself(const Step& step) const {
  const graph::Node& node = graph_.nodes[step.anchor];
  const graph::Shape& shape = graph_.at(step.output).shape;
  if (step.kind != StepKind::conv_transpose || shape.size() != 4 || node.attrs.group != 1) return false;
  bool output = std::find(graph_.outputs.begin(), graph_.outputs.end(), step.output) != graph_.outputs.end();
  bool used = std::any_of(graph_.nodes.begin(), graph_.nodes.end(), [&](const graph::Node& n) {
    return std::find(n.inputs.begin(), n.inputs.end(), step.output) != n.inputs.end();
  });
  bool padded =
      std::any_of(node.attrs.output_padding.begin(), node.attrs.output_padding.end(), [](int64_t p) { return p != 0; });
  return output && !used && !padded && kernels::can_store_conv_transpose(spec_, window_of(graph_, node), shape[1]);
}

Result<void> Emitter::conv_transpose_stored(const Step& step, Scope& scope, const Tail& tail) {
  const graph::Node& node = graph_.nodes[step.anchor];
  Block in = channels(node.inputs[0], scope);
  DType operand = value_dtype(graph_, plan_, node.inputs[0]);
  int64_t m = graph_.at(step.output).shape[1];
  Weights weights = matmul_weights(
      step, 0, cut_of(in), "m", [&] { return transpose_weights(graph_.at(node.inputs[1]), 1, 0, m, operand); },
      std::nullopt, 0, 0);
  if (auto bias = optional_input(node, 2)) {
    auto key = std::pair(step.anchor, std::string("bias rows"));
    auto found = weights_.find(key);
    if (found == weights_.end()) {
      source(step, "load bias");
      HbmView view = *kernels::reshaped(
          graph_.at(*bias).constant ? values_.constant(*bias, DType::fp32) : values_.hbm(*bias), {1, m});
      std::vector<int64_t> repeated = {spec_.sbuf.partitions, m};
      Block block = allocate(context_, DType::fp32, repeated, 0, graph_.at(*bias).name);
      load(context_, kernels::broadcast(view, repeated), block);
      found = weights_.emplace(key, block).first;
    }
    weights.bias = found->second;
  }
  source(step, step_kind_name(step.kind));
  HbmView to = output_tensor(step.output);
  values_.at(step.output).hbm = to;
  Range rows{0, to.shape[2], 1};
  if (scope.banded) {
    Rows owned = scope.rows.owned[step.output.value];
    if (owned.empty()) return {};
    to = sliced(to, 0, Range{scope.image, 1, 1});
    rows = {owned.begin, owned.end - owned.begin, 1};
  }
  kernels::conv_transpose_stored(context_, window_of(graph_, node), weights, in, to, rows, tail.epilogue);
  return {};
}

Result<Block> Emitter::linear(const Step& step, Scope& scope, DType dtype, const Tail& tail) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const graph::Shape& shape = graph_.at(node.output).shape;
  int axis = static_cast<int>(shape.size()) - 1;
  Block in = values_.block(node.inputs[0], axis);
  if (!is_dense(in)) {
    Block dense = allocate_cut(context_, in.dtype, in.shape, axis, cut_of(in), "dense");
    copy_block(context_, in, dense);
    in = dense;
  }
  Block out = allocate(context_, dtype, shape, axis, graph_.at(node.output).name);
  DType operand = value_dtype(graph_, plan_, node.inputs[0]);
  const kernels::Epilogue epilogue = TRY(epilogue_of(step, tail, out, scope));
  const int64_t outputs = shape.back(), inputs = graph_.at(node.inputs[1]).shape[0];
  if (values_.small_enough({inputs, outputs}, 0, operand)) {
    // All outputs of some rows before the next rows, so that whoever reads whole rows can follow.
    Weights weights = matmul_weights(
        step, 0, cut_of(in), "all", [&] { return linear_weights(graph_.at(node.inputs[1]), 0, outputs, operand); },
        std::nullopt, 0, outputs);
    weights.bias = bias_column(step, optional_input(node, 2), 0, outputs, cut_of(out));
    source(step, step_kind_name(step.kind));
    kernels::linear(context_, weights, in, out, epilogue);
    return out;
  }
  auto groups = groups_of(out);
  for (size_t g = 0; g < groups.size(); ++g) {
    const OutGroup& group = groups[g];
    Weights weights = matmul_weights(
        step, g, cut_of(in), "n",
        [&] { return linear_weights(graph_.at(node.inputs[1]), group.begin, group.partitions, operand); },
        optional_input(node, 2), group.begin, group.partitions);
    kernels::linear(context_, weights, in, group.block, of_group(epilogue, group));
  }
  return out;
}

Result<Block> Emitter::matmul(const Step& step, DType dtype) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const graph::Shape& shape = graph_.at(node.output).shape;
  if (graph_.at(node.inputs[0]).shape.size() < 2 || graph_.at(node.inputs[1]).shape.size() < 2)
    return unsupported("matmul with a vector operand", node.source);
  auto ranked = [&](TensorId t, int from_end) {
    const graph::Shape& own = graph_.at(t).shape;
    Block block = values_.block(t, static_cast<int>(own.size()) - from_end);
    std::vector<int64_t> wide(shape.size() - own.size(), 1);
    wide.insert(wide.end(), own.begin(), own.end());
    return *reshaped(block, wide);
  };
  Block a = ranked(node.inputs[0], 1), b = ranked(node.inputs[1], 2);
  if (cut_of(a) != cut_of(b)) {
    Block same = allocate_cut(context_, b.dtype, b.shape, b.partition_axis, cut_of(a), "regrouped");
    relayout(context_, b, same);
    b = same;
  }
  Block out = allocate(context_, dtype, shape, static_cast<int>(shape.size()) - 2, graph_.at(node.output).name);
  kernels::matmul(context_, a, b, out);
  if (auto bias = optional_input(node, 2)) {
    Scope whole;
    auto [column, kind] = TRY(operand(*bias, out, node.output, whole));
    Block sum = allocate(context_, dtype, shape, out.partition_axis, graph_.at(node.output).name);
    kernels::Expression add{
        2, {{.fn = graph::ElementwiseFn::add, .arguments = {kernels::value_argument(0), kernels::value_argument(1)}}}};
    TRY(elementwise(context_, add, {out, column}, {kernels::InputKind::full, kind}, sum));
    return sum;
  }
  return out;
}

Result<void> Emitter::gemm(const Step& step) {
  const graph::Node& node = graph_.nodes[step.anchor];
  DType dtype = value_dtype(graph_, plan_, node.inputs[0]);
  auto operand = [&](TensorId t) {
    HbmView view = values_.hbm(t);
    if (view.dtype == dtype) return view;
    HbmView cast = kernels::row_major(values_.tensor(graph_.at(t).name, dtype, view.shape, isa::TensorRole::scratch),
                                      dtype, view.shape);
    kernels::copy(context_, view, cast);
    return cast;
  };
  const DType own = value_dtype(graph_, plan_, node.output);
  Value& value = values_.at(node.output);
  bool is_output = std::find(graph_.outputs.begin(), graph_.outputs.end(), node.output) != graph_.outputs.end();
  const graph::Tensor& tensor = graph_.at(node.output);
  value.hbm = is_output ? output_tensor(node.output)
                        : kernels::row_major(values_.tensor(tensor.name, own, tensor.shape, isa::TensorRole::scratch),
                                             own, tensor.shape);
  kernels::gemm(context_, step.blocking, dtype, operand(node.inputs[0]), operand(node.inputs[1]), *value.hbm);
  return {};
}

}  // namespace presil::compiler
