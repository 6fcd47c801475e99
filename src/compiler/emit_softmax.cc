// Softmax: whole where operand and result fit side by side; one element of the first axis after the other where that
// does; else in runs of the row, thrice over what lies in HBM (largest, exponentials and their sum, quotient).
#include <algorithm>

#include "compiler/emitter.h"

namespace presil::compiler {

using graph::ElementwiseFn;
using graph::TensorId;
using kernels::Block;
using kernels::HbmView;
using kernels::InputKind;
using kernels::Range;

namespace {

// A part's operand, exponentials and result may take this many of their size; a run of a row one of so many of SBUF.
constexpr int64_t kBlocksAtOnce = 3;
constexpr int64_t kRunsOfSbuf = 24;

kernels::Expression binary(ElementwiseFn fn) {
  return {2, {{.fn = fn, .arguments = {kernels::value_argument(0), kernels::value_argument(1)}}}};
}

void apply(kernels::Context& context, const kernels::Expression& e, const std::vector<Block>& inputs,
           const Block& out) {
  elementwise(context, e, inputs, std::vector<InputKind>(inputs.size(), InputKind::full), out).value();
}

}  // namespace

Result<Block> Emitter::softmax(const Step& step, DType dtype) {
  const graph::Node& node = graph_.nodes[step.anchor];
  int64_t axis = node.attrs.axes[0];
  int on_partitions = values_.natural_axis(node.inputs[0], {axis});
  if (on_partitions < 0) {
    // One axis only: give it a partition of its own.
    return unsupported("softmax of a vector", node.source);
  }
  Block in = values_.block(node.inputs[0], on_partitions);
  Block out = allocate_cut(context_, dtype, in.shape, in.partition_axis, cut_of(in), graph_.at(node.output).name);
  kernels::softmax(context_, static_cast<int>(axis), in, out);
  return out;
}

// Whether a softmax is too large to have its operand turned and its result beside it at once.
bool Emitter::softmax_by_parts(const Step& step) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const graph::Shape& shape = graph_.at(node.output).shape;
  int64_t axis = node.attrs.axes[0];
  if (!step.chain.empty() || axis == 0 || shape.size() < 3) return false;
  const Value& value = values_.at(node.inputs[0]);
  int on_partitions = values_.natural_axis(node.inputs[0], {0, axis});
  bool free = on_partitions > 0 && (!value.block || value.block->partition_axis != 0);
  return free && !values_.small_enough(shape, on_partitions, DType::fp32);
}

// One element of axis 0 after the other, each stored at once.
Result<void> Emitter::softmax_parts(const Step& step) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const graph::Tensor& tensor = graph_.at(node.output);
  int on_partitions = values_.natural_axis(node.inputs[0], {0, node.attrs.axes[0]});
  const Value& from = values_.at(node.inputs[0]);
  Value& to = values_.at(node.output);
  DType dtype = value_dtype(graph_, plan_, node.output), operand = value_dtype(graph_, plan_, node.inputs[0]);
  bool is_output = std::find(graph_.outputs.begin(), graph_.outputs.end(), node.output) != graph_.outputs.end();
  to.hbm = is_output ? output_tensor(node.output)
                     : kernels::row_major(values_.tensor(tensor.name, dtype, tensor.shape, isa::TensorRole::scratch),
                                          dtype, tensor.shape);
  graph::Shape part_shape = tensor.shape;
  part_shape[0] = kBlocksAtOnce;
  bool whole = values_.small_enough(part_shape, on_partitions, DType::fp32);
  for (int64_t i = 0; i < tensor.shape[0]; ++i) {
    Range part{i, 1, 1};
    HbmView out = sliced(*to.hbm, 0, part);
    if (!whole) {
      softmax_in_runs(node, on_partitions, sliced(values_.hbm(node.inputs[0]), 0, part), out);
      continue;
    }
    Block in = from.block
                   ? values_.with_axis(*sliced(*from.block, 0, part), on_partitions)
                   : values_.loaded(sliced(values_.hbm(node.inputs[0]), 0, part), on_partitions, operand, tensor.name);
    Block result = allocate_cut(context_, dtype, in.shape, on_partitions, cut_of(in), tensor.name);
    kernels::softmax(context_, static_cast<int>(node.attrs.axes[0]), in, result);
    values_.store(result, out);
  }
  return {};
}

void Emitter::softmax_in_runs(const graph::Node& node, int on_partitions, const HbmView& from, const HbmView& to) {
  int axis = static_cast<int>(node.attrs.axes[0]);
  int64_t extent = from.shape[static_cast<size_t>(axis)];
  graph::Shape row = from.shape;
  row[static_cast<size_t>(axis)] = 1;
  auto room = static_cast<int64_t>(spec_.sbuf.bytes_per_partition) / kRunsOfSbuf / 4;
  int64_t lanes = kernels::group_partitions(spec_), rows = row[static_cast<size_t>(on_partitions)];
  int64_t rows_in_lane = graph::element_count(row) / rows * ((rows + lanes - 1) / lanes);
  int64_t run = std::clamp<int64_t>(room / rows_in_lane, 1, extent);
  HbmView exps = kernels::row_major(
      values_.tensor(graph_.at(node.output).name + ".exp", DType::fp32, from.shape, isa::TensorRole::scratch),
      DType::fp32, from.shape);
  Block largest = allocate(context_, DType::fp32, row, on_partitions, "row maximum");
  Block sum = allocate(context_, DType::fp32, row, on_partitions, "row sum");
  Block part = allocate(context_, DType::fp32, row, on_partitions, "of a run");
  auto for_each_run = [&](const HbmView& view, auto&& use) {
    for (int64_t begin = 0; begin < extent; begin += run) {
      Range range{begin, std::min(run, extent - begin), 1};
      Block block = allocate(context_, DType::fp32, sliced(view, axis, range).shape, on_partitions, "run of rows");
      load(context_, sliced(view, axis, range), block);
      use(block, range);
    }
  };
  auto gather = [&](graph::ReduceKind kind, ElementwiseFn fn, const Block& block, const Block& total, bool first) {
    kernels::reduce(context_, kind, {axis}, block, first ? total : part);
    if (!first) apply(context_, binary(fn), {total, part}, total);
  };
  for_each_run(from, [&](const Block& block, const Range& range) {
    gather(graph::ReduceKind::max, ElementwiseFn::max, block, largest, range.begin == 0);
  });
  kernels::Expression shifted = binary(ElementwiseFn::sub);
  shifted.steps.push_back({.fn = ElementwiseFn::exp, .arguments = {kernels::value_argument(2)}});
  for_each_run(from, [&](const Block& block, const Range& range) {
    apply(context_, shifted, {block, largest}, block);
    gather(graph::ReduceKind::sum, ElementwiseFn::add, block, sum, range.begin == 0);
    kernels::store(context_, block, sliced(exps, axis, range));
  });
  kernels::Expression reciprocal{1, {{.fn = ElementwiseFn::reciprocal, .arguments = {kernels::value_argument(0)}}}};
  apply(context_, reciprocal, {sum}, sum);
  for_each_run(exps, [&](const Block& block, const Range& range) {
    apply(context_, binary(ElementwiseFn::mul), {block, sum}, block);
    kernels::store(context_, block, sliced(to, axis, range));
  });
}

}  // namespace presil::compiler
