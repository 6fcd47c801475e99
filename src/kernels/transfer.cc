// One DMA per partition group and piece. The view of HBM has the partition axis outermost, since elements are matched
// partition by partition; the free axes keep their order on both sides.
#include <fmt/format.h>

#include <algorithm>

#include "kernels/kernels.h"

namespace presil::kernels {
namespace {

// Larger copies are cut, so that their first rows can be used while the rest arrives and several queues share the work.
constexpr int64_t kPieceBytes = 2 << 20;
constexpr size_t kFreeDimsMax = 4;

// A free axis as both sides walk it.
struct Axis {
  int64_t count, hbm_step, sbuf_step;
};

// A copy of one group: partitions, then axes.
struct Copy {
  uint32_t tensor;
  isa::View sbuf;  // without dims
  int64_t hbm_offset, hbm_partition_step;
  std::vector<Axis> axes;
  bool to_hbm;

  int64_t bytes() const {
    int64_t n = sbuf.partitions * static_cast<int64_t>(dtype_bytes(sbuf.dtype));
    for (const Axis& axis : axes) n *= axis.count;
    return n;
  }
  Copy part(int64_t begin, int64_t count) const {  // of the outermost axis
    Copy out = *this;
    out.hbm_offset += begin * axes[0].hbm_step;
    out.sbuf.offset += begin * axes[0].sbuf_step * static_cast<int64_t>(dtype_bytes(sbuf.dtype));
    out.axes[0].count = count;
    if (count == 1) out.axes.erase(out.axes.begin());
    return out;
  }
};

void add_axis(std::vector<Axis>& axes, const Axis& axis) {
  if (axis.count == 1) return;
  if (!axes.empty() && axes.back().hbm_step == axis.hbm_step * axis.count &&
      axes.back().sbuf_step == axis.sbuf_step * axis.count) {
    axes.back() = {axes.back().count * axis.count, axis.hbm_step, axis.sbuf_step};
  } else {
    axes.push_back(axis);
  }
}

void emit(Context& context, const Copy& copy) {
  isa::View sbuf = copy.sbuf;
  tile::Pattern hbm;
  hbm.dims[hbm.rank++] = {static_cast<int32_t>(copy.hbm_partition_step), sbuf.partitions};
  for (const Axis& axis : copy.axes) {
    const auto count = static_cast<uint32_t>(axis.count);
    sbuf.dims[sbuf.rank++] = {static_cast<int32_t>(axis.sbuf_step), count};
    hbm.dims[hbm.rank++] = {static_cast<int32_t>(axis.hbm_step), count};
  }
  sbuf = isa::simplified(sbuf);
  const isa::View far = context.build.hbm_view(copy.tensor, copy.hbm_offset, hbm);
  if (copy.to_hbm) {
    context.build.dma(far, sbuf);
  } else {
    context.build.dma(sbuf, far);
  }
}

void emit_pieces(Context& context, const Copy& copy) {
  const int64_t outer = copy.axes.empty() ? 1 : copy.axes[0].count;
  const int64_t one = copy.bytes() / outer;
  const int64_t fit = copy.axes.size() > kFreeDimsMax ? 1 : std::clamp<int64_t>(kPieceBytes / one, 1, outer);
  if (fit == outer) return emit(context, copy);
  const int64_t pieces = (outer + fit - 1) / fit;
  const int64_t step = (outer + pieces - 1) / pieces;  // pieces of about equal size
  for (int64_t begin = 0; begin < outer; begin += step) {
    emit_pieces(context, copy.part(begin, std::min(step, outer - begin)));
  }
}

void transfer(Context& context, uint32_t tensor, const std::vector<int64_t>& shape, const Block& block, bool to_hbm) {
  CHECK(shape.size() == block.shape.size(), "a block has its tensor's rank");
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    const bool rows = axis == 2 && shape.size() == 4;
    CHECK(rows ? block.row_begin >= 0 && block.row_begin + block.shape[axis] <= shape[axis]
               : block.shape[axis] == shape[axis],
          fmt::format("axis {} of a tensor has {}, of its block {} from {}", axis, shape[axis], block.shape[axis],
                      rows ? block.row_begin : 0));
  }
  Copy copy{.tensor = tensor, .hbm_offset = 0, .to_hbm = to_hbm};
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t axis = shape.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * shape[axis];
  if (shape.size() == 4) copy.hbm_offset = block.row_begin * strides[2];
  const auto p = static_cast<size_t>(block.partition_axis);
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (axis != p) add_axis(copy.axes, {block.shape[axis], strides[axis], block.strides[axis]});
  }
  copy.hbm_partition_step = strides[p];
  for (const Group& group : block.groups) {
    copy.sbuf = {.memory = block.memory, .dtype = block.dtype, .base = group.tile, .offset = group.byte_offset};
    copy.sbuf.partitions = static_cast<uint16_t>(group.partitions);
    emit_pieces(context, copy);
    copy.hbm_offset += group.partitions * strides[p];
  }
}

}  // namespace

void load(Context& context, uint32_t tensor, const std::vector<int64_t>& shape, const Block& block) {
  transfer(context, tensor, shape, block, false);
}

void store(Context& context, const Block& block, uint32_t tensor, const std::vector<int64_t>& shape) {
  transfer(context, tensor, shape, block, true);
}

}  // namespace presil::kernels
