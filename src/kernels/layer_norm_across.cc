// Layer normalization of features that lie on partitions, as linear layers leave and want them. Rows are transposed on
// the tensor engine, their statistics and the centred, scaled rows come straight from PSUM, and on the way back, with
// features on partitions again, scale and bias are one value per partition, which the copy out of PSUM applies for
// nothing.
#include <fmt/format.h>

#include <algorithm>

#include "kernels/copy.h"
#include "kernels/kernels.h"

namespace presil::kernels {
namespace {

constexpr int64_t kStatsElements = 512;  // of one bn_stats
constexpr uint32_t kStatsValues = 6;     // its result

struct Across {
  Context& context;
  float epsilon;
  const Block &in, &out;                    // [rows, features]
  const std::optional<Block>&scale, &bias;  // [features], fp32
  DType held_in, held_out;                  // in which PSUM holds transposed rows and features

  int64_t features() const { return in.shape[1]; }
};

// [partitions, count] elements from `first` of a dense tile.
isa::View dense(const Across& n, uint32_t tile, DType dtype, int64_t partitions, int64_t first, int64_t count) {
  return n.context.build.tile_view(tile, dtype, 0, static_cast<uint32_t>(partitions),
                                   first * static_cast<int64_t>(dtype_bytes(dtype)),
                                   {{1, static_cast<uint32_t>(count)}});
}
uint32_t tile_of(const Across& n, isa::Memory memory, int64_t partitions, int64_t elements, DType dtype,
                 const char* name) {
  const auto p = static_cast<uint32_t>(partitions);
  const auto bytes = static_cast<uint32_t>(elements * static_cast<int64_t>(dtype_bytes(dtype)));
  return memory == isa::Memory::psum ? n.context.build.psum(p, bytes, name) : n.context.build.sbuf(p, bytes, name);
}
int64_t bank_elements(const Across& n, DType dtype) {
  return static_cast<int64_t>(n.context.spec.psum.bytes_per_partition / n.context.spec.psum.banks / dtype_bytes(dtype));
}

isa::View rows_of(const Block& block, size_t group, int64_t first, int64_t count) {
  return view(block, group, {{first, count, 1}, {0, block.groups[group].partitions, 1}});
}

// `count` rows from `first` with a row per partition, in pieces that fit a bank and one bn_stats.
std::vector<isa::View> turned_rows(const Across& n, int64_t first, int64_t count) {
  const int64_t most = std::min(kStatsElements, bank_elements(n, n.held_in));
  std::vector<isa::View> pieces;
  for (size_t g = 0, end = 0; g < n.in.groups.size(); g = end) {
    int64_t width = 0;
    for (; end < n.in.groups.size() && (end == g || width + n.in.groups[end].partitions <= most); ++end)
      width += n.in.groups[end].partitions;
    const uint32_t bank = tile_of(n, isa::Memory::psum, count, width, n.held_in, "rows");
    int64_t column = 0;
    for (size_t i = g; i < end; column += n.in.groups[i++].partitions) {
      n.context.build.transpose({.dst = dense(n, bank, n.held_in, count, column, n.in.groups[i].partitions),
                                 .data = rows_of(n.in, i, first, count)});
    }
    pieces.push_back(dense(n, bank, n.held_in, count, 0, width));
  }
  return pieces;
}

// 1 / sqrt(variance + epsilon), and -mean times that: one value per row.
struct Normal {
  isa::View mean, deviation, shift;
};
Normal statistics(const Across& n, const std::vector<isa::View>& pieces, int64_t count) {
  tile::Builder& build = n.context.build;
  const auto parts = static_cast<int64_t>(pieces.size());
  const uint32_t stats = tile_of(n, isa::Memory::sbuf, count, parts * kStatsValues, DType::fp32, "row statistics");
  for (int64_t i = 0; i < parts; ++i) {
    build.bn_stats({.dst = dense(n, stats, DType::fp32, count, i * kStatsValues, kStatsValues),
                    .data = pieces[static_cast<size_t>(i)]});
  }
  const uint32_t result = tile_of(n, isa::Memory::sbuf, count, 4, DType::fp32, "mean, variance, deviation, shift");
  auto value = [&](int64_t i) { return dense(n, result, DType::fp32, count, i, 1); };
  build.bn_aggr({.dst = dense(n, result, DType::fp32, count, 0, 2),
                 .data = dense(n, stats, DType::fp32, count, 0, parts * kStatsValues)});
  build.tensor_scalar(
      {.dst = value(2), .data = value(1), .op0 = AluOp::add, .operand0 = n.epsilon, .op1 = AluOp::rsqrt});
  build.tensor_scalar({.dst = value(3),
                       .data = value(0),
                       .op0 = AluOp::multiply,
                       .operand0 = value(2),
                       .op1 = AluOp::multiply,
                       .operand1 = -1.0f});
  return {value(0), value(2), value(3)};
}

// The centred and scaled rows, [count, features] in SBUF.
uint32_t normalized(const Across& n, int64_t first, int64_t count) {
  const std::vector<isa::View> pieces = turned_rows(n, first, count);
  const Normal normal = statistics(n, pieces, count);
  const uint32_t tile = tile_of(n, isa::Memory::sbuf, count, n.features(), n.out.dtype, "normalized");
  int64_t column = 0;
  for (const isa::View& piece : pieces) {
    const auto width = static_cast<int64_t>(piece.elements_per_partition());
    const isa::View to = dense(n, tile, n.out.dtype, count, column, width);
    if (lighter_engine(n.context, to, piece) == isa::EngineKind::scalar) {
      n.context.build.activation({.dst = to, .data = piece, .scale = normal.deviation, .bias = normal.shift});
    } else {
      n.context.build.tensor_scalar({.dst = to,
                                     .data = piece,
                                     .op0 = AluOp::multiply,
                                     .operand0 = normal.deviation,
                                     .op1 = AluOp::add,
                                     .operand1 = normal.shift});
    }
    column += width;
  }
  return tile;
}

// Tiles of `side` rows from `first` back to features on partitions.
void turn_back(const Across& n, const std::vector<uint32_t>& tiles, int64_t first, int64_t count, int64_t side) {
  int64_t column = 0;
  for (size_t g = 0; g < n.out.groups.size(); column += n.out.groups[g++].partitions) {
    const int64_t partitions = n.out.groups[g].partitions;
    const uint32_t bank = tile_of(n, isa::Memory::psum, partitions, count, n.held_out, "normalized features");
    for (size_t t = 0; t < tiles.size(); ++t) {
      const int64_t begin = static_cast<int64_t>(t) * side, rows = std::min(side, count - begin);
      n.context.build.transpose({.dst = dense(n, bank, n.held_out, partitions, begin, rows),
                                 .data = dense(n, tiles[t], n.out.dtype, rows, column, partitions)});
    }
    const tile::Scalar scale = n.scale ? tile::Scalar(view(*n.scale, g)) : tile::Scalar(1.0f);
    const tile::Scalar bias = n.bias ? tile::Scalar(view(*n.bias, g)) : tile::Scalar(0.0f);
    copy_scaled(n.context, rows_of(n.out, g, first, count), dense(n, bank, n.held_out, partitions, 0, count), scale,
                bias);
  }
}

}  // namespace

void layer_norm_across(Context& context, float epsilon, const Block& in, const std::optional<Block>& scale,
                       const std::optional<Block>& bias, const Block& out) {
  CHECK(in.rank() == 2 && in.partition_axis == 1 && out.partition_axis == 1 && in.shape == out.shape &&
            same_cut(in, out) && is_float(in.dtype) && dtype_bytes(in.dtype) >= 2,
        fmt::format("layer_norm_across of [{}]", fmt::join(in.shape, ", ")));
  const bool wide = context.spec.generation < 3;  // PSUM holds fp32 only
  const Across n{context, epsilon, in, out, scale, bias, wide ? DType::fp32 : in.dtype, wide ? DType::fp32 : out.dtype};
  const int64_t rows = in.shape[0];
  const int64_t side =
      std::min<int64_t>({context.spec.tensor.rows, context.spec.tensor.columns, context.spec.psum.partitions});
  const int64_t together = std::max<int64_t>(1, bank_elements(n, n.held_out) / side) * side;
  for (int64_t first = 0; first < rows; first += together) {
    const int64_t count = std::min(together, rows - first);
    std::vector<uint32_t> tiles;
    for (int64_t at = first; at < first + count; at += side)
      tiles.push_back(normalized(n, at, std::min(side, first + count - at)));
    turn_back(n, tiles, first, count, side);
  }
}

}  // namespace presil::kernels
