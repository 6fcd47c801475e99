// Rows of a table in HBM by run-time indices: one transfer fetches a row per partition.
#include <algorithm>

#include "kernels/kernels.h"

namespace presil::kernels {
namespace {

// A table's pattern is its rows and up to four dimensions of a row.
constexpr size_t kRowDimsMax = isa::kMaxRank - 1;

// The table's dimension of rows, then those of a row that neither unit extents nor contiguity removes.
std::vector<isa::Dim> table_dims(const HbmView& table) {
  std::vector<isa::Dim> dims{{static_cast<int32_t>(table.strides[0]), static_cast<uint32_t>(table.shape[0])}};
  for (size_t axis = 1; axis < table.shape.size(); ++axis) {
    const isa::Dim d{static_cast<int32_t>(table.strides[axis]), static_cast<uint32_t>(table.shape[axis])};
    if (d.count == 1) continue;
    if (dims.size() > 1 && dims.back().step == static_cast<int64_t>(d.step) * d.count) {
      dims.back() = {d.step, dims.back().count * d.count};
    } else {
      dims.push_back(d);
    }
  }
  return dims;
}

struct Gather {
  Context& context;
  const Block &indices, &out;
  int first;  // of out's axes that are indices

  // Where one of a row's axes is too much for a pattern, the row comes in parts.
  void rows(const HbmView& table, size_t g, std::vector<Range>& ranges) {
    if (table_dims(table).size() <= 1 + kRowDimsMax) return emit(table, g, ranges);
    size_t axis = 1;
    while (table.shape[axis] == 1) ++axis;
    const size_t of_out = axis <= static_cast<size_t>(first) ? axis - 1 : axis - 1 + indices.shape.size();
    const Range whole = ranges[of_out];
    for (int64_t i = 0; i < table.shape[axis]; ++i) {
      ranges[of_out] = {i, 1, 1};
      rows(sliced(table, static_cast<int>(axis), ranges[of_out]), g, ranges);
    }
    ranges[of_out] = whole;
  }

  void emit(const HbmView& table, size_t g, const std::vector<Range>& ranges) {
    const std::vector<isa::Dim> dims = table_dims(table);
    const std::vector<Range> at(ranges.begin() + first, ranges.begin() + first + indices.rank());
    context.build.dma_gather(
        view(out, g, ranges),
        context.build.hbm_view(table.tensor, table.offset, tile::Pattern(std::span<const isa::Dim>(dims))),
        view(indices, g, at));
  }

  // A transfer for every combination of the index axes that do not lie on partitions.
  void walk(const HbmView& table, size_t g, int axis, std::vector<Range>& ranges) {
    if (axis == first + indices.rank()) return rows(table, g, ranges);
    if (axis == out.partition_axis) return walk(table, g, axis + 1, ranges);
    for (int64_t i = 0; i < out.shape[static_cast<size_t>(axis)]; ++i) {
      ranges[static_cast<size_t>(axis)] = {i, 1, 1};
      walk(table, g, axis + 1, ranges);
    }
  }
};

}  // namespace

Block wrapped_indices(Context& context, const Block& indices, int64_t rows) {
  CHECK(rows < kGatherRowsMax, "an index and its sum with the number of rows are exact in fp32");
  Block out = allocate_like(context, indices, DType::int32, indices.shape, "indices");
  Block shift = allocate_like(context, indices, DType::int32, indices.shape, "shift");
  for (size_t g = 0; g < indices.groups.size(); ++g) {
    context.build.tensor_scalar({.dst = view(shift, g),
                                 .data = view(indices, g),
                                 .op0 = AluOp::lt,
                                 .operand0 = 0.0f,
                                 .op1 = AluOp::multiply,
                                 .operand1 = static_cast<float>(rows)});
    context.build.tensor_tensor({.dst = view(out, g), .data1 = view(indices, g), .data2 = view(shift, g)});
  }
  return out;
}

void gather(Context& context, const HbmView& data, int axis, const Block& indices, const Block& out) {
  std::vector<int64_t> order{axis};
  for (int i = 0; i < static_cast<int>(data.shape.size()); ++i) {
    if (i != axis) order.push_back(i);
  }
  const HbmView table = transposed(data, order);
  CHECK(out.partition_axis == axis + indices.partition_axis && same_cut(indices, out),
        "indices lie as the result does");
  Gather gather{context, indices, out, axis};
  for (size_t g = 0; g < out.groups.size(); ++g) {
    std::vector<Range> ranges;
    for (int64_t extent : out.shape) ranges.push_back({0, extent, 1});
    ranges[static_cast<size_t>(out.partition_axis)].count = out.groups[g].partitions;
    gather.walk(table, g, axis, ranges);
  }
}

}  // namespace presil::kernels
