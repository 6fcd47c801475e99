#include "compiler/emit.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/emitter.h"

namespace presil::compiler {

using graph::TensorId;
using kernels::Block;
using kernels::HbmView;
using kernels::Range;

Emitter::Emitter(const graph::Graph& graph, const Plan& plan, const spec::ChipSpec& spec)
    : graph_(graph),
      plan_(plan),
      spec_(spec),
      build_(plan.model, plan.precision),
      context_{build_, spec},
      values_(context_, graph, plan),
      producers_(graph.tensors.size(), nullptr) {
  for (const graph::Node& node : graph.nodes) producers_[node.output.value] = &node;
}

void Emitter::declare_inputs() {
  for (TensorId t : graph_.inputs) {
    const graph::Tensor& tensor = graph_.at(t);
    DType dtype = boundary_dtype(tensor.dtype);
    uint32_t id = values_.tensor(tensor.name, dtype, tensor.shape, isa::TensorRole::input);
    values_.at(t).hbm = kernels::row_major(id, dtype, tensor.shape);
  }
  for (TensorId t : graph_.outputs) output_tensor(t);
}

HbmView Emitter::output_tensor(TensorId t) {
  auto found = outputs_.find(t.value);
  if (found != outputs_.end()) return found->second;
  const graph::Tensor& tensor = graph_.at(t);
  DType dtype = boundary_dtype(tensor.dtype);
  uint32_t id = values_.tensor(tensor.name, dtype, tensor.shape, isa::TensorRole::output);
  return outputs_.emplace(t.value, kernels::row_major(id, dtype, tensor.shape)).first->second;
}

void Emitter::declare_layers() {
  for (const Step& step : plan_.steps) {
    uint64_t bytes = 0;
    auto count = [&](TensorId t) {
      bytes +=
          static_cast<uint64_t>(graph::element_count(graph_.at(t).shape)) * dtype_bytes(value_dtype(graph_, plan_, t));
    };
    for (TensorId t : inputs_of(graph_, step)) {
      if (step.kind == StepKind::gather && t == graph_.nodes[step.anchor].inputs[0]) {  // the rows that are fetched
        count(step.output);
        continue;
      }
      if (graph_.at(t).constant || plan_.tensors[t.value] == Location::hbm) count(t);
    }
    if (plan_.tensors[step.output.value] == Location::hbm) count(step.output);
    layer_of_step_.push_back(build_.begin_layer(name_of(graph_, step), std::string(step_kind_name(step.kind)),
                                                macs_of(graph_, step), bytes));
  }
}

void Emitter::source(const Step& step, std::string_view tile_op) { build_.set_source(tile_op, name_of(graph_, step)); }

Result<tile::TileProgram> Emitter::run() {
  declare_inputs();
  declare_layers();
  for (const Stage& s : plan_.stages) TRY(s.in_parts() ? banded_stage(s) : stage(s));
  copy_untouched_outputs();
  return build_.take();
}

Result<void> Emitter::stage(const Stage& s) {
  for (uint32_t i = s.first; i < s.last; ++i) {
    Scope whole;
    TRY(step(i, whole));
  }
  weights_.clear();
  return {};
}

Result<void> Emitter::banded_stage(const Stage& s) {
  int64_t images = graph_.at(plan_.steps[s.first].output).shape[0];
  for (int64_t image = 0; image < images; ++image) {
    for (uint32_t band = 0; band < s.bands; ++band) {
      Scope scope{.banded = true,
                  .image = image,
                  .band = band,
                  .bands = s.bands,
                  .rows = band_rows(graph_, plan_, s, band),
                  .local = {}};
      for (uint32_t i = s.first; i < s.last; ++i) TRY(step(i, scope));
    }
  }
  weights_.clear();
  return {};
}

Result<void> Emitter::step(uint32_t index, Scope& scope) {
  const Step& s = plan_.steps[index];
  build_.resume_layer(layer_of_step_[index]);
  source(s, step_kind_name(s.kind));
  switch (s.kind) {
    case StepKind::gemm:
      return gemm(s);
    case StepKind::stream:
      return stream(s);
    case StepKind::view:
      return view_step(s);
    case StepKind::expand:
      return expand(s);
    default:
      break;
  }
  if (normalizes_rows(s)) return layer_norm_rows(s);
  if (scope.banded && s.kind == StepKind::reduce) return reduce_band(index, scope);
  if (scope.banded && scope.rows.needed[s.output.value].empty()) return {};
  if (s.kind == StepKind::softmax && softmax_by_parts(s)) return softmax_parts(s);
  DType dtype = value_dtype(graph_, plan_, s.output);
  if (s.kind == StepKind::attention) {
    finish(s.output, TRY(attention(s, dtype)), scope);
    return {};
  }
  bool starts_with_anchor = s.chain.empty() || s.chain.front() != s.anchor;
  if (!starts_with_anchor) {
    finish(s.output, TRY(chain(s, 0, std::nullopt, scope, dtype)), scope);
    return {};
  }
  const Tail tail = take_tail(s);
  bool more = tail.nodes < s.chain.size();
  if (!more && stores_itself(s)) return conv_transpose_stored(s, scope, tail);
  // Within a chain values stay in fp32; the last instruction rounds.
  Block head = TRY(anchor(s, scope, more ? DType::fp32 : dtype, tail));
  if (more) {
    source(s, "chain");
    head = TRY(chain(s, tail.nodes, head, scope, dtype));
  }
  finish(s.output, head, scope);
  return {};
}

// Adds this band's part of a reduction over rows and columns to the total.
Result<void> Emitter::reduce_band(uint32_t index, Scope& scope) {
  const Step& s = plan_.steps[index];
  const graph::Node& node = graph_.nodes[s.anchor];
  const graph::Shape& in_shape = graph_.at(node.inputs[0]).shape;
  Rows owned = scope.rows.owned[node.inputs[0].value];
  if (owned.empty()) return {};
  Block in = channels(node.inputs[0], scope);
  Block part = *sliced(in, 2, Range{owned.begin - in.row_begin, owned.end - owned.begin, 1});
  Value& value = values_.at(s.output);
  DType dtype = value_dtype(graph_, plan_, s.output);
  if (scope.image == 0 && scope.band == 0) {
    value.block =
        allocate_cut(context_, DType::fp32, graph_.at(s.output).shape, 1, cut_of(in), graph_.at(s.output).name);
  }
  bool mean = node.attrs.reduce == graph::ReduceKind::mean;
  graph::ReduceKind kind = mean ? graph::ReduceKind::sum : node.attrs.reduce;
  Block total = *sliced(*value.block, 0, Range{scope.image, 1, 1});
  if (scope.band == 0) {
    kernels::reduce(context_, kind, {2, 3}, part, total);
  } else {
    Block partial = allocate_cut(context_, DType::fp32, total.shape, 1, cut_of(in), "partial");
    kernels::reduce(context_, kind, {2, 3}, part, partial);
    AluOp op = kind == graph::ReduceKind::sum ? AluOp::add : kind == graph::ReduceKind::max ? AluOp::max : AluOp::min;
    for (size_t g = 0; g < total.groups.size(); ++g) {
      build_.tensor_tensor({.dst = view(total, g), .data1 = view(total, g), .data2 = view(partial, g), .op = op});
    }
  }
  if (scope.band + 1 == scope.bands && mean) {
    float scale = 1.0f / static_cast<float>(in_shape[2] * in_shape[3]);
    for (size_t g = 0; g < total.groups.size(); ++g) {
      build_.tensor_scalar({.dst = view(total, g), .data = view(total, g), .op0 = AluOp::multiply, .operand0 = scale});
    }
  }
  bool last = scope.band + 1 == scope.bands && scope.image + 1 == in_shape[0];
  if (last && dtype != DType::fp32) {
    Block narrow = allocate_cut(context_, dtype, value.block->shape, 1, cut_of(in), graph_.at(s.output).name);
    copy_block(context_, *value.block, narrow);
    value.block = narrow;
  }
  if (last && plan_.tensors[s.output.value] == Location::hbm) {
    values_.store(*value.block, output_tensor(s.output));
  }
  return {};
}

void Emitter::finish(TensorId t, const Block& block, Scope& scope) {
  Location location = plan_.tensors[t.value];
  bool is_output = std::find(graph_.outputs.begin(), graph_.outputs.end(), t) != graph_.outputs.end();
  Value& value = values_.at(t);
  if (location == Location::hbm && !value.hbm) {
    if (is_output)
      value.hbm = output_tensor(t);
    else
      value.hbm = kernels::row_major(
          values_.tensor(graph_.at(t).name, block.dtype, graph_.at(t).shape, isa::TensorRole::scratch), block.dtype,
          graph_.at(t).shape);
  }
  if (!scope.banded) {
    value.block = block;
    if (location == Location::hbm) values_.store(block, *value.hbm);
    return;
  }
  scope.local[t.value] = block;
  Rows owned = scope.rows.owned[t.value];
  if (location == Location::local || owned.empty()) return;
  Range rows{owned.begin - block.row_begin, owned.end - owned.begin, 1};
  Block part = *sliced(block, 2, rows);
  if (location == Location::hbm) {
    HbmView to =
        sliced(sliced(*value.hbm, 0, Range{scope.image, 1, 1}), 2, Range{owned.begin, owned.end - owned.begin, 1});
    kernels::store(context_, part, to);
    return;
  }
  if (!value.block)
    value.block = allocate_cut(context_, block.dtype, graph_.at(t).shape, 1, cut_of(block), graph_.at(t).name);
  Block to =
      *sliced(*sliced(*value.block, 0, Range{scope.image, 1, 1}), 2, Range{owned.begin, owned.end - owned.begin, 1});
  copy_block(context_, part, to);
}

// Outputs that no step stored: views of values, inputs and constants.
void Emitter::copy_untouched_outputs() {
  for (TensorId t : graph_.outputs) {
    Value& value = values_.at(t);
    HbmView to = output_tensor(t);
    if (value.hbm && value.hbm->tensor == to.tensor) continue;
    build_.begin_layer(graph_.at(t).name, "output");
    build_.set_source("store", graph_.at(t).name);
    if (value.block)
      values_.store(*value.block, to);
    else
      kernels::copy(context_, values_.hbm(t), to);
  }
}

Result<tile::TileProgram> emit(const graph::Graph& graph, const Plan& plan, const spec::ChipSpec& spec) {
  return Emitter(graph, plan, spec).run();
}

}  // namespace presil::compiler
