#include "kernels/hbm.h"

#include <algorithm>

namespace presil::kernels {
namespace {

// A copy is cut into pieces of about this many bytes; a piece still fills every DMA engine with long runs.
constexpr int64_t kPieceBytes = 1 << 20;

isa::View hbm_piece(Context& context, const HbmView& view, int partition_axis, int64_t partition_begin,
                    int64_t partitions, const std::vector<Range>& ranges) {
  std::vector<isa::Dim> dims{{static_cast<int32_t>(view.strides[partition_axis]), static_cast<uint32_t>(partitions)}};
  int64_t offset = view.offset + partition_begin * view.strides[partition_axis];
  for (int axis = 0; axis < static_cast<int>(view.shape.size()); ++axis) {
    if (axis == partition_axis) continue;
    offset += ranges[axis].begin * view.strides[axis];
    if (ranges[axis].count == 1) continue;
    dims.push_back(
        {static_cast<int32_t>(view.strides[axis] * ranges[axis].step), static_cast<uint32_t>(ranges[axis].count)});
  }
  return context.build.hbm_view(view.tensor, offset, tile::Pattern(std::span<const isa::Dim>(dims)));
}

template <class Copy>
void for_each_piece(const Block& block, Copy copy) {
  // Leading free axes are walked one index at a time while the rest of a group is larger than a piece.
  std::vector<Range> ranges;
  for (int64_t extent : block.shape) ranges.push_back({0, extent, 1});
  for (size_t g = 0; g < block.groups.size(); ++g) {
    ranges[block.partition_axis] = {0, block.groups[g].partitions, 1};
    auto walk = [&](auto&& self, int axis, int64_t elements_per_partition) -> void {
      int64_t bytes =
          elements_per_partition * block.groups[g].partitions * static_cast<int64_t>(dtype_bytes(block.dtype));
      if (axis == block.partition_axis) return self(self, axis + 1, elements_per_partition);
      if (axis >= block.rank() || bytes <= kPieceBytes + kPieceBytes / 2) return copy(g, ranges);
      int64_t extent = block.shape[axis];
      int64_t step = std::clamp<int64_t>(extent * kPieceBytes / bytes, 1, extent);
      for (int64_t begin = 0; begin < extent; begin += step) {
        ranges[axis] = {begin, std::min(step, extent - begin), 1};
        self(self, step == 1 ? axis + 1 : block.rank(), elements_per_partition / extent);
      }
      ranges[axis] = {0, extent, 1};
    };
    walk(walk, 0, block.free_elements());
  }
}

int64_t partitions_before(const Block& block, size_t g) {
  int64_t begin = 0;
  for (size_t i = 0; i < g; ++i) begin += block.groups[i].partitions;
  return begin;
}

// Views hold few dimensions; axes that do not merge beyond that are walked one index at a time, outermost first.
template <class Emit>
void within_rank(const Block& block, const HbmView& view, std::vector<Range> ranges, Emit emit) {
  int open = 0;
  for (int axis = 0; axis < block.rank(); ++axis) open += axis != block.partition_axis && ranges[axis].count > 1;
  if (open <= 4) return emit(ranges);
  for (int axis = 0; axis < block.rank(); ++axis) {
    if (axis == block.partition_axis || ranges[axis].count == 1) continue;
    Range whole = ranges[axis];
    for (int64_t i = 0; i < whole.count; ++i) {
      ranges[axis] = {whole.begin + i * whole.step, 1, 1};
      within_rank(block, view, ranges, emit);
    }
    return;
  }
}

}  // namespace

HbmView row_major(uint32_t tensor, DType dtype, const std::vector<int64_t>& shape) {
  HbmView view{
      .tensor = tensor, .dtype = dtype, .shape = shape, .strides = std::vector<int64_t>(shape.size()), .offset = 0};
  int64_t stride = 1;
  for (size_t axis = shape.size(); axis-- > 0;) view.strides[axis] = stride, stride *= shape[axis];
  return view;
}

std::optional<HbmView> reshaped(const HbmView& view, const std::vector<int64_t>& shape) {
  HbmView out = view;
  out.shape = shape;
  auto strides = reshape_strides(view.shape, view.strides, shape);
  if (!strides) return std::nullopt;
  out.strides = *strides;
  return out;
}

HbmView transposed(const HbmView& view, const std::vector<int64_t>& permutation) {
  HbmView out = view;
  for (size_t i = 0; i < permutation.size(); ++i) {
    out.shape[i] = view.shape[static_cast<size_t>(permutation[i])];
    out.strides[i] = view.strides[static_cast<size_t>(permutation[i])];
  }
  return out;
}

HbmView sliced(const HbmView& view, int axis, Range range) {
  HbmView out = view;
  out.offset += range.begin * view.strides[axis];
  out.shape[axis] = range.count;
  out.strides[axis] = view.strides[axis] * range.step;
  return out;
}

HbmView broadcast(const HbmView& view, const std::vector<int64_t>& shape) {
  HbmView out = view;
  out.shape = shape;
  out.strides.assign(shape.size(), 0);
  size_t lead = shape.size() - view.shape.size();
  for (size_t i = 0; i < view.shape.size(); ++i) {
    CHECK(view.shape[i] == shape[lead + i] || view.shape[i] == 1, "shapes broadcast");
    if (view.shape[i] == shape[lead + i]) out.strides[lead + i] = view.strides[i];
  }
  return out;
}

void load(Context& context, const HbmView& from, const Block& to) {
  CHECK(from.shape == to.shape, "load: equal shapes");
  for_each_piece(to, [&](size_t g, const std::vector<Range>& piece) {
    within_rank(to, from, piece, [&](const std::vector<Range>& ranges) {
      context.build.dma(view(to, g, ranges), hbm_piece(context, from, to.partition_axis, partitions_before(to, g),
                                                       to.groups[g].partitions, ranges));
    });
  });
}

void store(Context& context, const Block& from, const HbmView& to) {
  CHECK(from.shape == to.shape, "store: equal shapes");
  for_each_piece(from, [&](size_t g, const std::vector<Range>& piece) {
    within_rank(from, to, piece, [&](const std::vector<Range>& ranges) {
      context.build.dma(
          hbm_piece(context, to, from.partition_axis, partitions_before(from, g), from.groups[g].partitions, ranges),
          view(from, g, ranges));
    });
  });
}

void copy(Context& context, const HbmView& from, const HbmView& to) {
  CHECK(from.shape == to.shape, "copy: equal shapes");
  std::vector<Range> ranges;
  for (int64_t extent : from.shape) ranges.push_back({0, extent, 1});
  // Views hold five dimensions; leading ones are walked.
  auto walk = [&](auto&& self, size_t axis) -> void {
    if (from.shape.size() - axis <= isa::kMaxRank) {
      auto side = [&](const HbmView& v) {
        int64_t offset = v.offset;
        std::vector<isa::Dim> dims;
        for (size_t i = 0; i < v.shape.size(); ++i) {
          offset += ranges[i].begin * v.strides[i];
          if (i >= axis) dims.push_back({static_cast<int32_t>(v.strides[i]), static_cast<uint32_t>(v.shape[i])});
        }
        return context.build.hbm_view(v.tensor, offset, tile::Pattern(std::span<const isa::Dim>(dims)));
      };
      context.build.dma(side(to), side(from));
      return;
    }
    for (int64_t i = 0; i < from.shape[axis]; ++i) {
      ranges[axis].begin = i;
      self(self, axis + 1);
    }
    ranges[axis].begin = 0;
  };
  walk(walk, 0);
}

}  // namespace presil::kernels
