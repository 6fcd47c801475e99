// Mean and variance of a row by bn_stats and bn_aggr; then two passes that centre, scale and shift. Scale and bias vary
// along the row, so that mean and deviation, one value per partition, ride along as the scalar operand.
#include <fmt/format.h>

#include <algorithm>

#include "kernels/copy.h"
#include "kernels/kernels.h"
#include "kernels/pieces.h"

namespace presil::kernels {
namespace {

constexpr int64_t kElementsMax = Limits{}.elements;
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
  uint32_t partitions;
  std::vector<int64_t> at;    // first element
  isa::View mean, deviation;  // one value per partition; deviation is 1 / sqrt(variance + epsilon)
};

// A row as an operand: its first element, and a step per normalized axis.
struct Line {
  isa::View start;
  std::vector<int64_t> steps;
};

std::vector<int64_t> last_strides(const LayerNorm& n, const Block& block) {
  return {block.strides.end() - (n.in.rank() - n.axis), block.strides.end()};
}

Line line(const LayerNorm& n, const Block& block, const Row& row) {
  return {origin(block, row.g, 0, row.partitions, row.at), last_strides(n, block)};
}

// A parameter, which every partition of a group holds: the data's own group where there is one.
Line parameter(const LayerNorm& n, const Block& block, const Row& row) {
  return {origin(block, block.groups.size() > row.g ? row.g : 0, 0, row.partitions, {}), last_strides(n, block)};
}

// A fresh dense row.
Line scratch(const LayerNorm& n, const Row& row) {
  Line out;
  int64_t elements = 1;
  for (int axis = n.in.rank() - 1; axis >= n.axis; --axis) {
    out.steps.insert(out.steps.begin(), elements);
    elements *= n.in.shape[static_cast<size_t>(axis)];
  }
  tile::Builder& build = n.context.build;
  const uint32_t tile = build.sbuf(row.partitions, static_cast<uint32_t>(elements * 4), "centred");
  out.start = build.tile_view(tile, DType::fp32, 0, row.partitions, 0, {});
  return out;
}

// Instructions over whole rows, `elements` at most at a time.
template <class Emit>
void along(const LayerNorm& n, const std::vector<Line>& lines, int64_t elements, const Emit& emit) {
  std::vector<isa::View> starts;
  std::vector<Loop> loops;
  for (const Line& l : lines) starts.push_back(l.start);
  for (int axis = n.axis; axis < n.in.rank(); ++axis) {
    Loop loop{.count = n.in.shape[static_cast<size_t>(axis)]};
    for (size_t k = 0; k < lines.size(); ++k) loop.steps[k] = lines[k].steps[static_cast<size_t>(axis - n.axis)];
    loops.push_back(loop);
  }
  for_each_piece(starts, loops, {.elements = elements}, emit);
}

// Mean and deviation of the row into a fresh tile.
void statistics(const LayerNorm& n, Row& row) {
  tile::Builder& build = n.context.build;
  std::vector<isa::View> pieces;
  along(n, {line(n, n.in, row)}, kStatsElements, [&](std::span<const isa::View> v) { pieces.push_back(v[0]); });
  const auto count = static_cast<uint32_t>(pieces.size());
  const uint32_t stats = build.sbuf(row.partitions, count * kStatsValues * 4, "row statistics");
  for (uint32_t k = 0; k < count; ++k) {
    build.bn_stats(
        {.dst = build.tile_view(stats, DType::fp32, 0, row.partitions, k * kStatsValues * 4, {{1, kStatsValues}}),
         .data = pieces[k]});
  }
  const uint32_t result = build.sbuf(row.partitions, 3 * 4, "mean, variance, deviation");
  auto value = [&](uint32_t i) { return build.tile_view(result, DType::fp32, 0, row.partitions, i * 4, {}); };
  build.bn_aggr({.dst = build.tile_view(result, DType::fp32, 0, row.partitions, 0, {{1, 2}}),
                 .data = build.tile_view(stats, DType::fp32)});
  build.tensor_scalar(
      {.dst = value(2), .data = value(1), .op0 = AluOp::add, .operand0 = n.epsilon, .op1 = AluOp::rsqrt});
  row.mean = value(0);
  row.deviation = value(2);
}

// to = (x - mean) * scale, or * deviation where there is no scale.
void centre(const LayerNorm& n, const Row& row, const Line& to) {
  tile::Builder& build = n.context.build;
  if (!n.scale) {
    along(n, {to, line(n, n.in, row)}, kElementsMax, [&](std::span<const isa::View> v) {
      build.tensor_scalar({.dst = v[0],
                           .data = v[1],
                           .op0 = AluOp::subtract,
                           .operand0 = row.mean,
                           .op1 = AluOp::multiply,
                           .operand1 = row.deviation});
    });
    return;
  }
  along(n, {to, line(n, n.in, row), parameter(n, *n.scale, row)}, kElementsMax, [&](std::span<const isa::View> v) {
    build.scalar_tensor_tensor({.dst = v[0],
                                .data = v[1],
                                .op0 = AluOp::subtract,
                                .operand0 = row.mean,
                                .op1 = AluOp::multiply,
                                .operand1 = v[2]});
  });
}

// out = from * deviation + bias; the factor only where centre() left it out.
void shift(const LayerNorm& n, const Row& row, const Line& from) {
  tile::Builder& build = n.context.build;
  const tile::Scalar factor = n.scale ? tile::Scalar(row.deviation) : tile::Scalar(1.0f);
  if (!n.bias) {
    along(n, {line(n, n.out, row), from}, kElementsMax,
          [&](std::span<const isa::View> v) { copy_scaled(n.context, v[0], v[1], factor); });
    return;
  }
  along(n, {line(n, n.out, row), from, parameter(n, *n.bias, row)}, kElementsMax, [&](std::span<const isa::View> v) {
    build.scalar_tensor_tensor(
        {.dst = v[0], .data = v[1], .op0 = AluOp::multiply, .operand0 = factor, .op1 = AluOp::add, .operand1 = v[2]});
  });
}

void normalize(const LayerNorm& n, const Row& row) {
  if (!n.scale && !n.bias) return centre(n, row, line(n, n.out, row));
  const Line centred = scratch(n, row);
  centre(n, row, centred);
  shift(n, row, centred);
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
      Row row{.g = g, .partitions = static_cast<uint32_t>(in.groups[g].partitions), .at = at};
      statistics(n, row);
      normalize(n, row);
    });
  }
}

}  // namespace presil::kernels
