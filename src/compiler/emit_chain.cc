// Element-wise chains: which nodes a matmul kernel's epilogue takes, the rest as one expression, and how each operand
// meets the output's layout.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "compiler/emitter.h"
#include "graph/facts.h"

namespace presil::compiler {

using graph::ElementwiseFn;
using graph::Op;
using graph::TensorId;
using kernels::Argument;
using kernels::Block;
using kernels::HbmView;
using kernels::InputKind;
using kernels::Range;

namespace {

std::optional<Activation> epilogue_function(ElementwiseFn fn) {
  switch (fn) {
    case ElementwiseFn::relu:
      return Activation::relu;
    case ElementwiseFn::leaky_relu:
      return Activation::leaky_relu;
    case ElementwiseFn::sigmoid:
      return Activation::sigmoid;
    case ElementwiseFn::tanh:
      return Activation::tanh;
    case ElementwiseFn::silu:
      return Activation::silu;
    case ElementwiseFn::gelu:
      return Activation::gelu;
    case ElementwiseFn::gelu_tanh:
      return Activation::gelu_apprx_tanh;
    case ElementwiseFn::softplus:
      return Activation::softplus;
    case ElementwiseFn::exp:
      return Activation::exp;
    default:
      return std::nullopt;
  }
}

// Between whole numbers, and from them to floats, nothing happens to a value (compiler/ranges.h).
kernels::ExpressionStep::Cast cast_of(const graph::Graph& graph, const graph::Node& node) {
  using Cast = kernels::ExpressionStep::Cast;
  if (node.op != Op::cast) return Cast::none;
  DType from = graph.at(node.inputs[0]).dtype, to = graph.at(node.output).dtype;
  if (to == DType::boolean) return from == DType::boolean ? Cast::none : Cast::boolean;
  return is_float(from) && !is_float(to) ? Cast::truncate : Cast::none;
}

// A shape with leading ones up to `rank`.
std::vector<int64_t> padded(const graph::Shape& shape, size_t rank) {
  std::vector<int64_t> out(rank - shape.size(), 1);
  out.insert(out.end(), shape.begin(), shape.end());
  return out;
}

}  // namespace

Tail Emitter::take_tail(const Step& step) const {
  Tail tail;
  const bool transposed = step.kind == StepKind::conv_transpose || step.kind == StepKind::unfold;
  const bool adds = step.kind == StepKind::conv || step.kind == StepKind::packed_conv || step.kind == StepKind::linear;
  if (!adds && !transposed) return tail;
  TensorId head = anchor_output(graph_, step);
  // The next node, when it and no later one reads the head.
  auto next = [&]() -> const graph::Node* {
    if (tail.nodes == step.chain.size()) return nullptr;
    for (size_t i = tail.nodes + 1; i < step.chain.size(); ++i) {
      const auto& inputs = graph_.nodes[step.chain[i]].inputs;
      if (std::find(inputs.begin(), inputs.end(), head) != inputs.end()) return nullptr;
    }
    const graph::Node& node = graph_.nodes[step.chain[tail.nodes]];
    bool reads = std::find(node.inputs.begin(), node.inputs.end(), head) != node.inputs.end();
    return node.op == Op::elementwise && reads ? &node : nullptr;
  };
  auto take = [&](const graph::Node& node) { ++tail.nodes, head = node.output; };
  const graph::Node* node = next();
  if (node && adds && node->attrs.fn == ElementwiseFn::add && node->inputs[0] != node->inputs[1]) {
    TensorId other = node->inputs[node->inputs[0] == head ? 1 : 0];
    const DType dtype = value_dtype(graph_, plan_, other);
    const bool narrow = is_float(dtype) && dtype_bytes(dtype) == 2;
    const bool fits = std::min<int64_t>(spec_.sbuf.partitions, spec_.tensor.columns) <= spec_.tensor.rows;
    if (((narrow && fits) || dtype == DType::fp32) && !graph_.at(other).constant &&
        graph_.at(other).shape == graph_.at(head).shape) {
      tail.addend = other;
      take(*node);
      node = next();
    }
  }
  if (!node || node->inputs.size() != 1) return tail;
  if (auto function = epilogue_function(node->attrs.fn)) {
    tail.epilogue.function = *function, tail.epilogue.alpha = node->attrs.alpha;
    take(*node);
  }
  return tail;
}

Result<kernels::Epilogue> Emitter::epilogue_of(const Step& step, const Tail& tail, const Block& out, Scope& scope) {
  kernels::Epilogue epilogue = tail.epilogue;
  if (!tail.addend) return epilogue;
  Block addend = TRY(operand(*tail.addend, out, anchor_output(graph_, step), scope)).first;
  if (!is_dense(addend)) {
    Block dense = allocate_cut(context_, addend.dtype, addend.shape, addend.partition_axis, cut_of(addend), "dense");
    copy_block(context_, addend, dense);
    addend = dense;
  }
  addend.row_begin = out.row_begin, addend.full_rows = out.full_rows;
  epilogue.addend = addend;
  return epilogue;
}

// What a cast does besides storing its result as the output's type.
ElementwiseFn Emitter::cast_function(const graph::Node& node) const {
  if (!is_integer(graph_.at(node.output).dtype) || !is_float(graph_.at(node.inputs[0]).dtype))
    return ElementwiseFn::identity;
  auto producer = [&](TensorId t) { return producers_[t.value]; };
  return graph::facts_of(graph_, producer, node.inputs[0]).integral ? ElementwiseFn::identity : ElementwiseFn::trunc;
}

kernels::Expression Emitter::expression(const Step& step, size_t from, bool has_head,
                                        std::vector<TensorId>& externals) const {
  // Values: the head (if any), then externals in order of appearance, then the steps' results.
  std::vector<TensorId> made;
  TensorId head = from > 0 ? graph_.nodes[step.chain[from - 1]].output : anchor_output(graph_, step);
  if (has_head) externals.push_back(head);
  for (size_t i = from; i < step.chain.size(); ++i) made.push_back(graph_.nodes[step.chain[i]].output);
  for (size_t i = from; i < step.chain.size(); ++i) {
    for (TensorId t : graph_.nodes[step.chain[i]].inputs) {
      bool known = std::find(made.begin(), made.end(), t) != made.end() ||
                   std::find(externals.begin(), externals.end(), t) != externals.end();
      if (!known && !number_of(graph_.at(t))) externals.push_back(t);
    }
  }
  kernels::Expression e;
  e.inputs = static_cast<uint32_t>(externals.size());
  for (size_t i = from; i < step.chain.size(); ++i) {
    const graph::Node& node = graph_.nodes[step.chain[i]];
    kernels::ExpressionStep s{.fn = node.op == Op::cast ? cast_function(node) : node.attrs.fn,
                              .alpha = node.attrs.alpha,
                              .beta = node.attrs.beta,
                              .arguments = {},
                              .cast = cast_of(graph_, node)};
    for (size_t a = 0; a < node.inputs.size(); ++a) {
      TensorId t = node.inputs[a];
      auto result = std::find(made.begin(), made.end(), t);
      auto external = std::find(externals.begin(), externals.end(), t);
      if (result != made.end())
        s.arguments[a] = kernels::value_argument(e.inputs + static_cast<uint32_t>(result - made.begin()));
      else if (external != externals.end())
        s.arguments[a] = kernels::value_argument(static_cast<uint32_t>(external - externals.begin()));
      else
        s.arguments[a] = kernels::number_argument(*number_of(graph_.at(t)));
    }
    e.steps.push_back(s);
  }
  return e;
}

Result<std::pair<Block, InputKind>> Emitter::operand(TensorId t, const Block& out, TensorId out_tensor, Scope& scope) {
  const graph::Tensor& tensor = graph_.at(t);
  size_t rank = graph_.at(out_tensor).shape.size();
  auto axis = static_cast<size_t>(out.partition_axis);
  std::vector<int64_t> shape = padded(tensor.shape, rank);
  bool column = shape[axis] == graph_.at(out_tensor).shape[axis] || graph::element_count(tensor.shape) == 1;
  for (size_t i = 0; i < rank; ++i) column = column && (i == axis || shape[i] == 1);
  bool spread = shape[axis] == 1 && graph_.at(out_tensor).shape[axis] > 1;  // repeated over partitions
  DType dtype = column ? DType::fp32 : value_dtype(graph_, plan_, t);
  Value& value = values_.at(t);
  auto local = scope.local.find(t.value);
  std::optional<Block> block;
  if (local != scope.local.end()) {
    block = local->second;
  } else if (scope.banded && !tensor.constant && tensor.shape.size() == 4 && !spread) {
    Rows rows = shape[2] == 1 ? Rows{0, 1} : Rows{out.row_begin, out.row_begin + out.shape[2]};
    if (shape[0] == 1 && graph_.at(out_tensor).shape[0] > 1)
      block = values_.rows(t, 0, rows);
    else
      block = values_.rows(t, scope.image, rows);
  } else if (!spread && value.block) {
    block = kernels::reshaped(values_.with_axis(*value.block, value.block->partition_axis), shape);
    if (block && block->partition_axis != out.partition_axis) block = values_.with_axis(*block, out.partition_axis);
  } else if (const Block* kept =
                 values_.kept_input(t, out.partition_axis - static_cast<int>(rank - tensor.shape.size()));
             kept != nullptr && !spread && !column) {
    block = kernels::reshaped(*kept, shape);
  }
  // Columns stay for all bands of the stage.
  auto kept = std::pair(t.value, fmt::format("column {}", fmt::join(cut_of(out), ",")));
  bool lasting = column && local == scope.local.end() && (tensor.constant || graph::element_count(tensor.shape) == 1);
  if (!block && lasting) {
    auto found = weights_.find(kept);
    if (found != weights_.end()) return std::pair(found->second, InputKind::column);
  }
  if (!block) {
    HbmView view = *kernels::reshaped(tensor.constant ? values_.constant(t, dtype) : values_.hbm(t), shape);
    std::vector<int64_t> wanted = shape;
    if (spread) wanted[axis] = graph_.at(out_tensor).shape[axis];
    view = kernels::broadcast(view, wanted);
    if (scope.banded && view.shape[0] > 1) view = sliced(view, 0, Range{scope.image, 1, 1});
    if (scope.banded && view.shape[2] > 1) view = sliced(view, 2, Range{out.row_begin, out.shape[2], 1});
    Block fresh = allocate_cut(context_, dtype, view.shape, out.partition_axis, cut_of(out), tensor.name);
    column || spread ? load(context_, view, fresh) : values_.load_into(view, fresh, tensor.name);
    if (rank == 4 && view.shape[2] > 1) fresh.row_begin = out.row_begin;
    block = fresh;
  }
  // The rows of `out` exactly.
  if (rank == 4 && block->shape[2] > 1 && block->shape[2] != out.shape[2]) {
    int64_t begin = out.row_begin - block->row_begin;
    block = *sliced(*block, 2, Range{begin, out.shape[2], 1});
  }
  if (cut_of(*block) != cut_of(out)) {
    Block same = allocate_cut(context_, block->dtype, block->shape, out.partition_axis, cut_of(out), "regrouped");
    relayout(context_, *block, same);
    block = same;
  }
  if (column && block->dtype != DType::fp32) {
    Block wide = allocate_cut(context_, DType::fp32, block->shape, out.partition_axis, cut_of(out), "column");
    copy_block(context_, *block, wide);
    block = wide;
  }
  if (lasting) weights_.emplace(kept, *block);
  return std::pair(*block, column ? InputKind::column : InputKind::full);
}

// The engines do not divide: a column that only divides is inverted once, in place of a reciprocal per element.
void Emitter::divide_by_columns(kernels::Expression& e, std::vector<Block>& inputs,
                                const std::vector<InputKind>& kinds) {
  for (uint32_t k = 0; k < e.inputs; ++k) {
    auto reads = [&](const Argument& a) { return a.kind == Argument::Kind::value && a.value == k; };
    auto divides = [&](const kernels::ExpressionStep& s) {
      return s.fn == ElementwiseFn::div && reads(s.arguments[1]) && !reads(s.arguments[0]);
    };
    auto touches = [&](const kernels::ExpressionStep& s) {
      return reads(s.arguments[0]) || reads(s.arguments[1]) || reads(s.arguments[2]);
    };
    bool only = std::ranges::all_of(e.steps, [&](const auto& s) { return !touches(s) || divides(s); });
    bool number = std::ranges::all_of(inputs[k].shape, [](int64_t extent) { return extent == 1; });
    if (kinds[k] != InputKind::column || !only || number) continue;
    Block inverse =
        allocate_cut(context_, DType::fp32, inputs[k].shape, inputs[k].partition_axis, cut_of(inputs[k]), "inverse");
    for (size_t g = 0; g < inverse.groups.size(); ++g)
      build_.reciprocal({.dst = view(inverse, g), .data = view(inputs[k], g)});
    inputs[k] = inverse;
    for (kernels::ExpressionStep& s : e.steps) {
      if (divides(s)) s.fn = ElementwiseFn::mul;
    }
  }
}

Result<Block> Emitter::chain(const Step& step, size_t from, std::optional<Block> head, Scope& scope, DType dtype) {
  std::vector<TensorId> externals;
  kernels::Expression e = expression(step, from, head.has_value(), externals);
  Block out;
  if (head) {
    out = allocate_cut(context_, dtype, head->shape, head->partition_axis, cut_of(*head), graph_.at(step.output).name);
    out.row_begin = head->row_begin, out.full_rows = head->full_rows;
  } else if (scope.banded) {
    out = result(step.output, scope, dtype);
  } else {
    // The layout of the largest input that has the output's shape.
    int axis = -1;
    std::vector<int64_t> cut;
    for (TensorId t : externals) {
      if (graph_.at(t).shape != graph_.at(step.output).shape || graph_.at(t).constant) continue;
      if (axis < 0 || values_.at(t).block) {
        axis = values_.natural_axis(t);
        cut = values_.at(t).block ? cut_of(*values_.at(t).block) : std::vector<int64_t>();
      }
      if (values_.at(t).block) break;
    }
    if (axis < 0) axis = values_.natural_axis(step.output);
    if (axis < 0)
      return unsupported("an element-wise operation on scalars that are not constant",
                         graph_.nodes[step.anchor].source);
    out = cut.empty()
              ? allocate(context_, dtype, graph_.at(step.output).shape, axis, graph_.at(step.output).name)
              : allocate_cut(context_, dtype, graph_.at(step.output).shape, axis, cut, graph_.at(step.output).name);
  }
  std::vector<Block> inputs;
  std::vector<InputKind> kinds;
  for (size_t i = 0; i < externals.size(); ++i) {
    if (head && i == 0) {
      inputs.push_back(*head);
      kinds.push_back(InputKind::full);
      continue;
    }
    auto [block, kind] = TRY(operand(externals[i], out, step.output, scope));
    inputs.push_back(block);
    kinds.push_back(kind);
  }
  divide_by_columns(e, inputs, kinds);
  auto done = elementwise(context_, e, inputs, kinds, out);
  if (!done) {
    Error error = done.error();
    error.where = graph_.nodes[step.anchor].source;
    return error;
  }
  return out;
}

Result<void> Emitter::stream(const Step& step) {
  std::vector<TensorId> externals;
  kernels::Expression e = expression(step, 0, false, externals);
  std::vector<HbmView> inputs;
  for (TensorId t : externals) inputs.push_back(values_.hbm(t));
  Value& value = values_.at(step.output);
  bool is_output = std::find(graph_.outputs.begin(), graph_.outputs.end(), step.output) != graph_.outputs.end();
  DType dtype = value_dtype(graph_, plan_, step.output);
  const graph::Tensor& tensor = graph_.at(step.output);
  value.hbm = is_output ? output_tensor(step.output)
                        : kernels::row_major(values_.tensor(tensor.name, dtype, tensor.shape, isa::TensorRole::scratch),
                                             dtype, tensor.shape);
  return kernels::stream(context_, e, dtype, inputs, *value.hbm);
}

}  // namespace presil::compiler
