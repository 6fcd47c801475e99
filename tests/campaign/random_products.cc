#include "tests/campaign/random_products.h"

#include <algorithm>
#include <cstring>

namespace presil::campaign {
namespace {

constexpr uint32_t kQuadrant = 32, kScales = 4;

}  // namespace

DType ProductSteps::result_type() { return spec.generation >= 4 && chance(30) ? DType::bf16 : DType::fp32; }
// Short enough for four times as many elements per partition.
uint32_t ProductSteps::moving_columns() { return upto(std::max(1u, spec.tensor.moving_max / 4)); }

View ProductSteps::in_parts(DType t, uint32_t partitions, uint32_t parts, uint32_t n) {
  std::vector<uint32_t> counts{parts};
  for (uint32_t f : factors(n, 2)) counts.push_back(f);
  const Shape s{partitions, parts * n};
  return patterned(find_tile(Memory::sbuf, t, s, false, false), t, s, counts, false);
}

void ProductSteps::matmul_double_row() {
  const auto type = [&] {
    return spec.generation >= 4 ? pick({DType::fp8_e4m3fn, DType::fp8_e5m2}) : pick({DType::fp8_e4m3, DType::fp8_e5m2});
  };
  const uint32_t k = shape(spec.tensor.rows).partitions, m = upto(column_rows()), n = moving_columns();
  const View stationary = in_parts(type(), k, 2, m), moving = in_parts(type(), k, 2, n);
  build.matmul({.dst = output(Memory::psum, result_type(), {m, n}, false, true),
                .stationary = stationary,
                .moving = moving,
                .perf_mode = isa::MatmulMode::double_row});
}

// A new tile that begins at partition 0, and in it a view from `start` on.
View ProductSteps::at_partition(Memory m, DType t, uint32_t start, Shape s) {
  const uint32_t tile = find_tile(m, t, {start + s.partitions, s.row}, true, true);
  View v = patterned(tile, t, s, factors(s.row, 3), true);
  v.partition = static_cast<uint16_t>(start);
  return v;
}

uint32_t ProductSteps::tile_size(uint32_t whole) {
  uint32_t size = whole;
  while (chance(60) && size / 2 >= spec.tensor.tile_min && size > whole / 4 && size % 2 == 0) size /= 2;
  return size;
}

void ProductSteps::matmul_tiled() {
  const uint32_t rows = tile_size(spec.tensor.rows);
  // Only then the starts of tiles are starts of operands.
  const bool square = spec.tensor.columns == spec.psum.partitions;
  const uint32_t columns = square ? tile_size(spec.tensor.columns) : spec.tensor.columns;
  const auto row = rows * static_cast<uint32_t>(random.below(spec.tensor.rows / rows));
  const auto column = columns * static_cast<uint32_t>(random.below(spec.tensor.columns / columns));
  const uint32_t k = upto(rows), m = upto(columns), n = moving_columns();
  const DType t = pick({DType::bf16, DType::fp16, DType::fp8_e4m3});
  const View stationary = at_partition(Memory::sbuf, t, row, {k, m}),
             moving = at_partition(Memory::sbuf, t, row, {k, n});
  tile::Matmul a{.dst = at_partition(Memory::psum, DType::fp32, column, {m, n}),
                 .stationary = stationary,
                 .moving = moving,
                 .tile = {static_cast<int32_t>(row), static_cast<int32_t>(column), static_cast<int32_t>(rows),
                          static_cast<int32_t>(columns)}};
  build.matmul(a);
  if (!chance(50)) return;
  a.accumulate = true;
  build.matmul(a);
}

void ProductSteps::matmul_hinted() {
  const uint32_t k = shape(spec.tensor.rows).partitions, m = upto(column_rows()), n = moving_columns();
  const bool stationary = chance(50);
  const View ones = output(Memory::sbuf, DType::fp32, {k, stationary ? m : n}, false, true);
  build.memset({.dst = ones, .value = chance(80) ? 1.0f : 0.0f});
  const View other = input(Memory::sbuf, DType::fp32, {k, stationary ? n : m});
  build.matmul({.dst = output(Memory::psum, DType::fp32, {m, n}, false, true),
                .stationary = stationary ? ones : other,
                .moving = stationary ? other : ones,
                .is_stationary_onezero = stationary,
                .is_moving_onezero = !stationary});
}

// Some partitions into the quadrants of data that begins at partition 0.
View ProductSteps::scales(uint32_t data_partitions, uint32_t columns) {
  const DType t = pick({DType::fp8_e8m0, DType::uint8});
  View v = at_partition(Memory::sbuf, t, 0, {data_partitions, columns});
  v.partition = static_cast<uint16_t>(kScales * random.below(4));
  v.partitions = static_cast<uint16_t>(data_partitions - kQuadrant + kScales);
  return v;
}

void ProductSteps::matmul_mx() {
  if (spec.generation < 4) return;
  const uint32_t p = kQuadrant * upto(spec.tensor.rows / kQuadrant), m = 2 * upto(column_rows() / 2),
                 n = moving_columns();
  const auto type = [&] { return pick({DType::fp8_e4m3fn_x4, DType::fp8_e5m2_x4, DType::fp4_e2m1fn_x4}); };
  tile::MatmulMx a{.stationary = at_partition(Memory::sbuf, type(), 0, {p, m}),
                   .moving = at_partition(Memory::sbuf, type(), 0, {p, n})};
  a.stationary_scale = scales(p, m), a.moving_scale = scales(p, n);
  a.dst = output(Memory::psum, result_type(), {m, n}, false, true);
  build.matmul_mx(a);
  if (!chance(50)) return;
  a.accumulate = true;
  build.matmul_mx(a);
}

void ProductSteps::quantize_mx() {
  if (spec.generation < 4) return;
  const uint32_t p = kQuadrant * upto(spec.sbuf.partitions / kQuadrant), n = moving_columns();
  const View src = at_partition(Memory::sbuf, pick({DType::bf16, DType::fp16}), 0, {p, 4 * n});
  const View dst = at_partition(Memory::sbuf, pick({DType::fp8_e4m3fn_x4, DType::fp8_e5m2_x4}), 0, {p, n});
  build.quantize_mx({.dst = dst, .src = src, .dst_scale = scales(p, n), .tight_scale = chance(30), .engine = vector()});
}

void ProductSteps::matmul_sparse() {
  if (spec.generation < 3) return;
  constexpr uint32_t kPatterns[][2] = {{4, 16}, {4, 12}, {4, 8}, {2, 8}, {2, 4}, {1, 4}, {1, 2}};
  const auto& [kept, of] = kPatterns[random.below(std::size(kPatterns))];
  const uint32_t k = kept * upto(spec.tensor.rows / kept), m = upto(column_rows()), n = moving_columns();
  const DType t = pick({DType::bf16, DType::fp16});
  const Shape words{k, (m + 3) / 4};
  std::vector<std::byte> bytes(size_t{k} * words.row * 2);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(random.below(of) | random.below(of) << 4);
  const View tags = output(Memory::sbuf, DType::uint16, words, false, true);
  const View tensor = tensor_input(DType::uint16, uint64_t{k} * words.row);
  data.back() = std::move(bytes);
  build.dma(tags, tensor);
  const View moving = in_parts(t, k, of / kept, n), stationary = input(Memory::sbuf, t, {k, m});
  build.matmul_sparse({.dst = output(Memory::psum, result_type(), {m, n}, false, true),
                       .stationary = stationary,
                       .moving = moving,
                       .tags = tags,
                       .kept = static_cast<int32_t>(kept),
                       .of = static_cast<int32_t>(of)});
}

}  // namespace presil::campaign
