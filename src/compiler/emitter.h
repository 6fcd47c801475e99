// The state while a Plan is emitted, shared by emit.cc (stages and bands), emit_steps.cc, emit_matmul.cc, emit_shape.cc
// (a step's anchor) and emit_chain.cc (its element-wise chain).
#pragma once
#include <functional>
#include <map>
#include <vector>

#include "compiler/steps.h"
#include "compiler/values.h"

namespace presil::compiler {

// What a step works on: whole tensors, or one band of one image.
struct Scope {
  bool banded = false;
  int64_t image = 0;
  uint32_t band = 0, bands = 1;
  BandRows rows;
  std::map<uint32_t, kernels::Block> local;  // pieces made in this band, by tensor
};

// What the matmul kernels do to their result: nodes from the front of the chain.
struct Tail {
  size_t nodes = 0;
  kernels::Epilogue epilogue;
  std::optional<graph::TensorId> addend;  // becomes epilogue.addend when the result's layout is known
};

// Input `index` of a node if it has one.
std::optional<graph::TensorId> optional_input(const graph::Node& node, size_t index);
// [N, C, L] as [N, C, 1, L].
kernels::Block with_rows(const kernels::Block& block);

class Emitter {
 public:
  Emitter(const graph::Graph& graph, const Plan& plan, const spec::ChipSpec& spec);
  Result<tile::TileProgram> run();

 private:
  // emit.cc
  void declare_inputs();
  void declare_layers();
  Result<void> stage(const Stage& stage);
  Result<void> banded_stage(const Stage& stage);
  Result<void> step(uint32_t index, Scope& scope);
  Result<void> reduce_band(uint32_t index, Scope& scope);
  void finish(graph::TensorId t, const kernels::Block& block, Scope& scope);
  void copy_untouched_outputs();
  kernels::HbmView output_tensor(graph::TensorId t);

  // emit_steps.cc: the anchor's result, of type `dtype`; `tail` is what the matmul kernels apply on the way.
  Result<kernels::Block> anchor(const Step& step, Scope& scope, DType dtype, const Tail& tail);
  Result<kernels::Block> conv(const Step&, Scope&, DType, const Tail&);
  Result<kernels::Block> packed_conv(const Step&, Scope&, DType, const Tail&);
  Result<kernels::Block> depthwise(const Step&, Scope&, DType);
  Result<kernels::Block> conv_transpose(const Step&, Scope&, DType, const Tail&);
  // A transposed convolution whose result leaves the core at once and may be computed in the order in which it leaves.
  bool stores_itself(const Step&) const;
  Result<void> conv_transpose_stored(const Step&, Scope&, const Tail&);
  Result<kernels::Block> linear(const Step&, Scope&, DType, const Tail&);
  // emit_unfold.cc
  Result<kernels::Block> unfold(const Step&, DType, const kernels::Epilogue&);
  Result<kernels::Block> matmul(const Step&, DType);
  Result<kernels::Block> pool(const Step&, Scope&, DType);
  // emit_attention.cc
  Result<kernels::Block> attention(const Step&, DType);
  kernels::Block feature_rows(graph::TensorId t, DType dtype);
  Result<kernels::Block> resize(const Step&, Scope&, DType);
  Result<kernels::Block> resize_matmul(const Step&, DType);
  Result<kernels::Block> layer_norm(const Step&, DType);
  std::optional<kernels::Block> layer_norm_across(const Step&, DType);
  // Normalization of a tensor whose leading axes are short one by one: together on partitions, through HBM.
  bool normalizes_rows(const Step&);
  Result<void> layer_norm_rows(const Step&);
  Result<kernels::Block> normalized(const Step&, kernels::Block in, int axis, DType);
  Result<kernels::Block> reduce(const Step&, DType);
  bool multiplied_by_taps(graph::TensorId) const;
  Result<kernels::Block> concat(const Step&, Scope&, DType);
  Result<kernels::Block> pad(const Step&, DType);
  Result<kernels::Block> gather(const Step&, DType);
  Result<kernels::Block> gather_rows(const Step&, DType);
  Result<void> view_step(const Step&);
  Result<void> expand(const Step&);
  Result<void> gemm(const Step&);
  Result<void> stream(const Step&);

  // A block with channels on partitions: in a band, rows that hold what the step needs.
  kernels::Block channels(graph::TensorId t, Scope& scope);
  // A fresh block for a step's result: [image, C, needed rows, W] in a band, else the whole.
  kernels::Block result(graph::TensorId t, Scope& scope, DType dtype, int axis = 1);
  kernels::Weights matmul_weights(const Step& step, size_t group_index, const std::vector<int64_t>& cut,
                                  const std::string& part, const std::function<HostTensor()>& pack,
                                  std::optional<graph::TensorId> bias, int64_t begin, int64_t m);
  std::optional<kernels::Block> bias_column(const Step& step, std::optional<graph::TensorId> bias, int64_t begin,
                                            int64_t m, const std::vector<int64_t>& cut);
  void source(const Step& step, std::string_view tile_op);

  // emit_softmax.cc
  Result<kernels::Block> softmax(const Step&, DType);
  bool softmax_by_parts(const Step&);
  Result<void> softmax_parts(const Step&);
  // From HBM to HBM in runs of the row.
  void softmax_in_runs(const graph::Node&, int on_partitions, const kernels::HbmView& from, const kernels::HbmView& to);

  // emit_chain.cc
  Tail take_tail(const Step& step) const;
  // The tail's epilogue for a result that lies as `out`.
  Result<kernels::Epilogue> epilogue_of(const Step& step, const Tail& tail, const kernels::Block& out, Scope& scope);
  Result<kernels::Block> chain(const Step& step, size_t from, std::optional<kernels::Block> head, Scope& scope,
                               DType dtype);
  Result<std::pair<kernels::Block, kernels::InputKind>> operand(graph::TensorId t, const kernels::Block& out,
                                                                graph::TensorId out_tensor, Scope& scope);
  graph::ElementwiseFn cast_function(const graph::Node& node) const;
  void divide_by_columns(kernels::Expression&, std::vector<kernels::Block>& inputs,
                         const std::vector<kernels::InputKind>& kinds);
  kernels::Expression expression(const Step& step, size_t from, bool has_head,
                                 std::vector<graph::TensorId>& externals) const;

  const graph::Graph& graph_;
  const Plan& plan_;
  const spec::ChipSpec& spec_;
  tile::Builder build_;
  kernels::Context context_;
  Values values_;
  std::vector<uint32_t> layer_of_step_;
  std::vector<const graph::Node*> producers_;                           // by tensor
  std::map<std::pair<uint32_t, std::string>, kernels::Block> weights_;  // by (anchor, part), kept while a stage runs
  std::map<uint32_t, kernels::HbmView> outputs_;
};

}  // namespace presil::compiler
