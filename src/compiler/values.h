// Where each tensor's elements are while a Plan is turned into a TileProgram, and how they get into the form a kernel
// needs: a Block with a given partition axis, or a view in HBM. Moves data only where no view exists.
#pragma once
#include <map>
#include <optional>

#include "compiler/plan.h"
#include "compiler/stages.h"
#include "compiler/weights.h"
#include "kernels/hbm.h"
#include "kernels/kernels.h"

namespace presil::compiler {

struct Value {
  std::optional<kernels::Block> block;
  std::optional<kernels::HbmView> hbm;
};

// A fresh block whose partition axis is cut like `cut`.
kernels::Block allocate_cut(kernels::Context&, DType, const std::vector<int64_t>& shape, int axis,
                            const std::vector<int64_t>& cut, const std::string& name);
std::vector<int64_t> cut_of(const kernels::Block&);
// dst = src by engines, group by group; equal shapes, axes and cuts.
void copy_block(kernels::Context&, const kernels::Block& src, const kernels::Block& dst);

class Values {
 public:
  Values(kernels::Context& context, const graph::Graph& graph, const Plan& plan);

  Value& at(graph::TensorId t) { return values_[t.value]; }
  // HBM tensors of the program; a name that is taken gets a number.
  uint32_t tensor(const std::string& name, DType dtype, const std::vector<int64_t>& shape, isa::TensorRole role,
                  std::vector<std::byte> data = {});
  uint32_t constant(const std::string& name, HostTensor host);
  // A constant of the graph as `dtype` in HBM, made once.
  kernels::HbmView constant(graph::TensorId t, DType dtype);
  // Loads or relays as needed. `axis` lies on partitions.
  kernels::Block block(graph::TensorId t, int axis);
  // An input's block with that axis, where it is in SBUF already; null if not.
  const kernels::Block* kept_input(graph::TensorId t, int axis) const;
  // The partition axis a value has now, or the one it is best loaded with; never one of `avoid`.
  int natural_axis(graph::TensorId t, const std::vector<int64_t>& avoid = {});
  bool is_image(graph::TensorId t) const { return image_[t.value]; }
  // Stores to a scratch tensor if needed.
  kernels::HbmView hbm(graph::TensorId t);
  // Rows of one image of a [N, C, H, W] value, channels on partitions.
  kernels::Block rows(graph::TensorId t, int64_t image, const Rows& rows);
  // `view` with `axis` on partitions.
  kernels::Block loaded(const kernels::HbmView& view, int axis, DType dtype, const std::string& name);
  // Fills `block` with `view`, which has its shape; through another partition axis where elements lie scattered.
  void load_into(const kernels::HbmView& view, const kernels::Block& block, const std::string& name);
  kernels::Block with_axis(const kernels::Block& block, int axis);
  // Whether a detour through a block with that partition axis takes at most one in `share` bytes of SBUF.
  bool small_enough(const std::vector<int64_t>& shape, int axis, DType dtype, int64_t share = 5) const;
  kernels::HbmView stored(const kernels::Block& block, const std::string& name);
  void store(const kernels::Block& block, const kernels::HbmView& to);

 private:
  kernels::Block input_block(graph::TensorId t, int axis);

  kernels::Context& context_;
  const graph::Graph& graph_;
  const Plan& plan_;
  std::vector<Value> values_;
  std::vector<bool> image_;  // by tensor: channels (axis 1) belong on partitions
  std::map<std::string, uint32_t> names_;
  std::map<std::pair<uint32_t, DType>, kernels::HbmView> constants_;
  std::map<std::pair<uint32_t, int>, kernels::Block> inputs_;  // by tensor and axis
};

}  // namespace presil::compiler
