// Mean and variance of a row by bn_stats and bn_aggr; then two passes that centre, scale and shift. Scale and bias vary
// along the row, so that mean and deviation, one value per partition, ride along as the scalar operand.
#include <fmt/format.h>

#include <algorithm>

#include "kernels/copy.h"
#include "kernels/kernels.h"
#include "kernels/pieces.h"

namespace presil::kernels {
namespace {

constexpr int64_t kStatsElements = 512;  // of one bn_stats
constexpr uint32_t kStatsValues = 6;     // its result: count, mean, variance * count of even and of odd elements

struct LayerNorm {
  Context& context;
  int axis;
  float epsilon;
  const Block& in;
  const std::optional<Block>& scale;
  const std::optional<Block>& bias;
  const Block& out;
};

// One row of one group.
struct Row {
  size_t g;
  std::vector<int64_t> at;    // first element
  isa::View mean, deviation;  // one value per partition; deviation is 1 / sqrt(variance + epsilon)
};

isa::View row_origin(const Block& block, const Row& row) {
  return origin(block, row.g, 0, block.groups[row.g].partitions, row.at);
}

// A parameter row, which every partition of a group holds: the data's own group where there is one.
isa::View parameter(const Block& block, const Row& row, int64_t partitions) {
  return origin(block, block.groups.size() > row.g ? row.g : 0, 0, partitions, {});
}

// Stride of a parameter along axis `axis` of the data: its trailing axes are the normalized ones.
int64_t parameter_step(const LayerNorm& n, const Block& block, int axis) {
  return block.strides[static_cast<size_t>(block.rank() - n.in.rank() + axis)];
}

std::vector<Loop> row_loops(const LayerNorm& n, const std::vector<std::array<int64_t, kOperandsMax>>& steps) {
  std::vector<Loop> loops;
  for (int axis = n.axis; axis < n.in.rank(); ++axis) {
    loops.push_back({n.in.shape[static_cast<size_t>(axis)], steps[static_cast<size_t>(axis - n.axis)]});
  }
  return loops;
}

// Mean and deviation of the row into a fresh tile.
void statistics(const LayerNorm& n, Row& row) {
  tile::Builder& build = n.context.build;
  std::vector<std::array<int64_t, kOperandsMax>> steps;
  for (int axis = n.axis; axis < n.in.rank(); ++axis) steps.push_back({n.in.strides[static_cast<size_t>(axis)]});
  std::vector<isa::View> pieces;
  for_each_piece({row_origin(n.in, row)}, row_loops(n, steps), {.elements = kStatsElements},
                 [&](std::span<const isa::View> v) { pieces.push_back(v[0]); });
  const auto partitions = static_cast<uint32_t>(n.in.groups[row.g].partitions);
  const auto count = static_cast<uint32_t>(pieces.size());
  const uint32_t stats = build.sbuf(partitions, count * kStatsValues * 4, "row statistics");
  for (uint32_t k = 0; k < count; ++k) {
    build.bn_stats(
        {.dst = build.tile_view(stats, DType::fp32, 0, partitions, k * kStatsValues * 4, {{1, kStatsValues}}),
         .data = pieces[k]});
  }
  const uint32_t result = build.sbuf(partitions, 3 * 4, "mean, variance, deviation");
  auto value = [&](uint32_t i) { return build.tile_view(result, DType::fp32, 0, partitions, i * 4, {}); };
  build.bn_aggr({.dst = build.tile_view(result, DType::fp32, 0, partitions, 0, {{1, 2}}),
                 .data = build.tile_view(stats, DType::fp32)});
  build.tensor_scalar(
      {.dst = value(2), .data = value(1), .op0 = AluOp::add, .operand0 = n.epsilon, .op1 = AluOp::rsqrt});
  row.mean = value(0);
  row.deviation = value(2);
}

void normalize(const LayerNorm& n, const Row& row) {
  tile::Builder& build = n.context.build;
  const auto partitions = n.in.groups[row.g].partitions;
  const auto elements = n.in.free_elements();  // of all rows; the scratch row is dense
  int64_t row_elements = 1;
  for (int axis = n.axis; axis < n.in.rank(); ++axis) row_elements *= n.in.shape[static_cast<size_t>(axis)];
  CHECK(elements % row_elements == 0, "rows are whole");
  const bool two_passes = n.scale || n.bias;
  isa::View scratch;
  if (two_passes) {
    scratch = {.memory = isa::Memory::sbuf, .dtype = DType::fp32, .partitions = static_cast<uint16_t>(partitions)};
    scratch.base = build.sbuf(static_cast<uint32_t>(partitions), static_cast<uint32_t>(row_elements * 4), "centred");
  }
  std::vector<isa::View> first = {two_passes ? scratch : row_origin(n.out, row), row_origin(n.in, row)};
  std::vector<isa::View> second = {row_origin(n.out, row), scratch};
  if (n.scale) first.push_back(parameter(*n.scale, row, partitions));
  if (n.bias) second.push_back(parameter(*n.bias, row, partitions));
  std::vector<std::array<int64_t, kOperandsMax>> first_steps, second_steps;
  int64_t dense = row_elements;
  for (int axis = n.axis; axis < n.in.rank(); ++axis) {
    const auto a = static_cast<size_t>(axis);
    dense /= n.in.shape[a];
    first_steps.push_back(
        {two_passes ? dense : n.out.strides[a], n.in.strides[a], n.scale ? parameter_step(n, *n.scale, axis) : 0});
    second_steps.push_back({n.out.strides[a], dense, n.bias ? parameter_step(n, *n.bias, axis) : 0});
  }
  for_each_piece(first, row_loops(n, first_steps), {}, [&](std::span<const isa::View> v) {
    if (n.scale) {
      build.scalar_tensor_tensor({.dst = v[0],
                                  .data = v[1],
                                  .op0 = AluOp::subtract,
                                  .operand0 = row.mean,
                                  .op1 = AluOp::multiply,
                                  .operand1 = v[2]});
    } else {
      build.tensor_scalar({.dst = v[0],
                           .data = v[1],
                           .op0 = AluOp::subtract,
                           .operand0 = row.mean,
                           .op1 = AluOp::multiply,
                           .operand1 = row.deviation});
    }
  });
  if (!two_passes) return;
  const tile::Scalar factor = n.scale ? tile::Scalar(row.deviation) : tile::Scalar(1.0f);
  for_each_piece(second, row_loops(n, second_steps), {}, [&](std::span<const isa::View> v) {
    if (n.bias) {
      build.scalar_tensor_tensor(
          {.dst = v[0], .data = v[1], .op0 = AluOp::multiply, .operand0 = factor, .op1 = AluOp::add, .operand1 = v[2]});
    } else {
      build.activation({.dst = v[0], .data = v[1], .scale = factor});
    }
  });
}

}  // namespace

void layer_norm(Context& context, int axis, float epsilon, const Block& in, const std::optional<Block>& scale,
                const std::optional<Block>& bias, const Block& out) {
  CHECK(axis > in.partition_axis && in.shape == out.shape && same_cut(in, out),
        fmt::format("layer_norm of [{}] from axis {}, {} on partitions", fmt::join(in.shape, ", "), axis,
                    in.partition_axis));
  const LayerNorm n{context, axis, epsilon, in, scale, bias, out};
  std::vector<int64_t> rows = in.shape;
  std::fill(rows.begin() + axis, rows.end(), 1);
  rows[static_cast<size_t>(in.partition_axis)] = 1;
  for (size_t g = 0; g < in.groups.size(); ++g) {
    for_each_index(rows, [&](const std::vector<int64_t>& at) {
      Row row{.g = g, .at = at};
      statistics(n, row);
      normalize(n, row);
    });
  }
}

}  // namespace presil::kernels
