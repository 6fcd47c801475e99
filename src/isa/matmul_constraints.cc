// What the products of the tensor engine ask of their operands, and the instruction that makes MX operands (fact sheet,
// sections 2.5, 3.1, 6.4, 9.1).
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "isa/constraints.h"
#include "isa/slots.h"
#include "isa/touched.h"

namespace presil::isa {
namespace {

bool is_wide(DType t) { return t == DType::fp32 || t == DType::tf32; }
bool is_e4m3(DType t) { return t == DType::fp8_e4m3 || t == DType::fp8_e4m3fn; }

void check_factor_types(const Check& c, int stationary, int moving) {
  const DType a = c.operand(stationary).dtype, b = c.operand(moving).dtype;
  for (int k : {stationary, moving}) {
    type_is_float(c, k);
    if (c.operand(k).dtype == DType::fp8_e8m0) c.fail_operand(k, "type is fp8_e8m0, scales belong to nc_matmul_mx");
  }
  auto refuse = [&](std::string_view why) {
    c.fail_operand(moving, fmt::format("type is {}, stationary has {}; {}", dtype_name(b), dtype_name(a), why));
  };
  if (is_wide(a) != is_wide(b)) refuse("fp32 and tf32 do not mix with narrower types");
  if (is_e4m3(a) && is_e4m3(b) && a != b) refuse("the two kinds of e4m3 do not mix");
}

// Results are fp32; from generation 4 on also bf16, and then their columns may fill all banks of PSUM.
void check_result_type(const Check& c, int dst) {
  if (c.spec.generation < 4) {
    type_among(c, dst, {DType::fp32});
  } else {
    type_among(c, dst, {DType::fp32, DType::bf16});
  }
}
uint64_t moving_limit(const Check& c, int dst) {
  const bool narrow = c.spec.generation >= 4 && dtype_bytes(c.operand(dst).dtype) == 2;
  return uint64_t{c.spec.tensor.moving_max} * (narrow ? 2 : 1);
}

// dst[M, N] of factors with `parts` elements per partition and output each.
void check_product_shape(const Check& c, uint64_t m, uint64_t n) {
  constexpr int kDst = 0, kStationary = 1, kMoving = 2;
  same_partitions(c, kMoving, kStationary);
  partitions_at_most(c, kStationary, c.spec.tensor.rows, "the array's rows take");
  if (n != c.elements(kDst))
    c.fail_operand(kDst, fmt::format("{} elements per partition, moving has {}", c.elements(kDst), n));
  if (c.operand(kDst).partitions != m)
    c.fail_operand(kDst, fmt::format("{} partitions, stationary has {} columns", c.operand(kDst).partitions, m));
}

// The elements of a partition as `parts` runs of equal length, as the first dimension has them.
bool check_parts(const Check& c, int k, uint32_t parts, std::string_view why) {
  for (const Dim& d : c.operand(k).pattern()) {
    if (d.count == 1) continue;
    if (d.count % parts == 0) return true;
    c.fail_operand(k, fmt::format("first dimension has count {}, {} takes a multiple of {}", d.count, why, parts));
    return false;
  }
  c.fail_operand(k, fmt::format("1 element per partition, {} takes a multiple of {}", why, parts));
  return false;
}

// One side of the part of the array that an instruction uses.
struct TileSide {
  int position, size;      // attributes
  uint32_t whole;          // of the array
  uint64_t used;           // by the stationary operand
  std::string_view lines;  // "rows"
};

void check_tile_side(const Check& c, const TileSide& s) {
  const auto position = static_cast<int32_t>(c.word(s.position)), size = static_cast<int32_t>(c.word(s.size));
  std::vector<uint32_t> legal{s.whole};
  for (uint32_t part = s.whole / 2; part >= std::max(1u, c.spec.tensor.tile_min) && legal.size() < 3; part /= 2)
    legal.push_back(part);
  if (std::none_of(legal.begin(), legal.end(), [&](uint32_t part) { return static_cast<int64_t>(part) == size; }))
    return c.fail_attribute(s.size, fmt::format("{} is not one of {}", size, fmt::join(legal, ", ")));
  if (position < 0 || position % size != 0 || position >= static_cast<int64_t>(s.whole)) {
    c.fail_attribute(s.position,
                     fmt::format("{} is not a multiple of the tile's {} below {}", position, size, s.whole));
  }
  if (s.used > static_cast<uint64_t>(size)) {
    c.fail_operand(1, fmt::format("{} {}, the tile has {}", s.used, s.lines, size));
  }
}

// A row of the array is fed by its partition of SBUF, a column writes its partition of PSUM (assumed for tiles).
void check_tile_place(const Check& c, uint32_t row, uint32_t column) {
  for (int k = 0; k <= 2; ++k) {
    const View& v = c.operand(k);
    const uint32_t expected = k == 0 ? column : row;
    if (v.base != kAbsolute || v.partition == expected) continue;
    c.fail_operand(
        k, fmt::format("starts at partition {}, the tile at {} {}", v.partition, k == 0 ? "column" : "row", expected));
  }
}

void check_tile(const Check& c, uint64_t columns) {
  namespace s = slots::nc_matmul;
  const bool rows_set = c.word(s::tile_rows) != 0, columns_set = c.word(s::tile_columns) != 0;
  if (rows_set != columns_set) {
    const int missing = rows_set ? s::tile_columns : s::tile_rows;
    return c.fail_attribute(missing, "0, the other size is set; a tile has both, the whole array none");
  }
  if (rows_set) {
    check_tile_side(c,
                    {s::tile_row, s::tile_rows, c.spec.tensor.rows, c.operand(s::stationary).partitions, "partitions"});
    check_tile_side(c, {s::tile_column, s::tile_columns, c.spec.tensor.columns, columns, "columns"});
    return check_tile_place(c, c.word(s::tile_row), c.word(s::tile_column));
  }
  for (int k : {s::tile_row, s::tile_column}) {
    if (c.word(k) != 0) c.fail_attribute(k, fmt::format("{} without a tile size", static_cast<int32_t>(c.word(k))));
  }
}

void check_double_row(const Check& c) {
  namespace s = slots::nc_matmul;
  if (c.spec.generation < 3) c.fail_attribute(s::perf_mode, "double_row needs generation 3");
  for (int k : {s::stationary, s::moving}) {
    if (c.spec.generation < 4) {
      type_among(c, k, {DType::fp8_e4m3, DType::fp8_e5m2});
    } else {
      type_among(c, k, {DType::fp8_e4m3, DType::fp8_e5m2, DType::fp8_e4m3fn});
    }
  }
  if (c.word(s::is_transpose) != 0) c.fail_attribute(s::perf_mode, "double_row does not combine with is_transpose");
  const uint32_t columns = c.word(s::tile_columns);
  if (columns != 0 && columns != c.spec.tensor.columns)
    c.fail_attribute(s::perf_mode, "double_row does not combine with column tiles");
}

void check_transpose_mode(const Check& c) {
  namespace s = slots::nc_matmul;
  if (c.spec.generation < 3) c.fail_attribute(s::is_transpose, "needs generation 3");
  type_among(c, s::stationary, {DType::fp32, DType::bf16, DType::fp16});
  same_type(c, s::moving, s::stationary);
  same_type(c, s::dst, s::stationary);
  if (c.word(s::accumulate) != 0) c.fail_attribute(s::accumulate, "does not combine with is_transpose");
}

// Scales of operand `data`: as many columns, in the quadrants of their data, 0, 4, 8 or 12 partitions into each.
void check_scale(const Check& c, int scale, int data) {
  const View &s = c.operand(scale), &d = c.operand(data);
  type_among(c, scale, {DType::fp8_e8m0, DType::uint8});
  const uint64_t columns = c.instruction.opcode == Opcode::quantize_mx ? c.elements(data) / 4 : c.elements(data);
  elements_are(c, scale, columns);
  const uint32_t least = d.partitions - std::min<uint32_t>(d.partitions, kMxQuadrant - kMxScales);
  if (s.partitions < least || s.partitions > d.partitions) {
    c.fail_operand(scale, fmt::format("{} partitions, the scales of {} partitions take {} to {}", s.partitions,
                                      d.partitions, least, d.partitions));
  }
  const uint32_t into = s.partition % kMxQuadrant;
  if (into % kMxScales != 0 || into > 12) {
    c.fail_operand(scale, fmt::format("starts {} partitions into a quadrant; legal: 0, 4, 8, 12", into));
  }
  const bool placed = s.base == kAbsolute && d.base == kAbsolute;
  if (placed && s.partition / kMxQuadrant != d.partition / kMxQuadrant) {
    c.fail_operand(scale, fmt::format("starts in quadrant {}, its data in quadrant {}", s.partition / kMxQuadrant,
                                      d.partition / kMxQuadrant));
  }
}

void check_quadrants(const Check& c, int k) {
  if (c.operand(k).partitions % kMxQuadrant == 0) return;
  c.fail_operand(k, fmt::format("{} partitions, expected a multiple of {}", c.operand(k).partitions, kMxQuadrant));
}

struct Pattern {
  uint32_t kept, of;
};
constexpr std::array<Pattern, 7> kPatterns = {{{4, 16}, {4, 12}, {4, 8}, {2, 8}, {2, 4}, {1, 4}, {1, 2}}};

// The candidates per compressed row, 0 if the pattern does not exist.
uint32_t check_pattern(const Check& c) {
  namespace s = slots::nc_matmul_sparse;
  std::string names;
  for (const Pattern& p : kPatterns) {
    if (c.word(s::kept) == p.kept && c.word(s::of) == p.of) return p.of / p.kept;
    names += fmt::format("{}{}:{}", names.empty() ? "" : ", ", p.kept, p.of);
  }
  c.fail_attribute(s::kept, fmt::format("{}:{} is not one of {}", static_cast<int32_t>(c.word(s::kept)),
                                        static_cast<int32_t>(c.word(s::of)), names));
  return 0;
}

}  // namespace

void check_matmul(const Check& c) {
  namespace s = slots::nc_matmul;
  const bool doubled = c.word(s::perf_mode) == static_cast<uint32_t>(MatmulMode::double_row);
  const uint64_t parts = doubled ? 2 : 1;
  if (doubled) {
    check_double_row(c);
    const bool stationary = check_parts(c, s::stationary, 2, "double_row"),
               moving = check_parts(c, s::moving, 2, "double_row");
    if (!stationary || !moving) return;
  }
  elements_within(c, s::stationary, parts, parts * c.spec.tensor.columns);
  elements_within(c, s::moving, parts, parts * moving_limit(c, s::dst));
  check_product_shape(c, c.elements(s::stationary) / parts, c.elements(s::moving) / parts);
  check_factor_types(c, s::stationary, s::moving);
  if (c.word(s::is_transpose) != 0) {
    check_transpose_mode(c);
  } else {
    check_result_type(c, s::dst);
  }
  check_tile(c, c.elements(s::stationary) / parts);
}

void check_matmul_mx(const Check& c) {
  namespace s = slots::nc_matmul_mx;
  for (int k : {s::stationary, s::moving}) {
    type_among(c, k, {DType::fp8_e4m3fn_x4, DType::fp8_e5m2_x4, DType::fp4_e2m1fn_x4});
    check_quadrants(c, k);
  }
  elements_within(c, s::stationary, 2, c.spec.tensor.columns);
  if (c.elements(s::stationary) % 2 != 0)
    c.fail_operand(s::stationary, fmt::format("{} columns, expected an even number", c.elements(s::stationary)));
  elements_within(c, s::moving, 1, moving_limit(c, s::dst));
  check_product_shape(c, c.elements(s::stationary), c.elements(s::moving));
  check_result_type(c, s::dst);
  check_scale(c, s::stationary_scale, s::stationary);
  check_scale(c, s::moving_scale, s::moving);
  if (c.word(s::tile_rows) != 0) {
    check_tile_side(c,
                    {s::tile_row, s::tile_rows, c.spec.tensor.rows, c.operand(s::stationary).partitions, "partitions"});
    check_tile_place(c, c.word(s::tile_row), 0);
  } else if (c.word(s::tile_row) != 0) {
    c.fail_attribute(s::tile_row, fmt::format("{} without a tile size", static_cast<int32_t>(c.word(s::tile_row))));
  }
}

void check_matmul_sparse(const Check& c) {
  namespace s = slots::nc_matmul_sparse;
  const uint32_t ratio = check_pattern(c);
  if (ratio == 0 || !check_parts(c, s::moving, ratio, "the pattern")) return;
  for (int k : {s::stationary, s::moving}) {
    if (c.spec.generation < 4) {
      type_among(c, k, {DType::tf32, DType::bf16, DType::fp16, DType::fp8_e4m3, DType::fp8_e5m2});
    } else {
      type_among(c, k, {DType::tf32, DType::bf16, DType::fp16});
    }
  }
  check_factor_types(c, s::stationary, s::moving);
  elements_within(c, s::stationary, 1, c.spec.tensor.columns);
  elements_within(c, s::moving, ratio, ratio * moving_limit(c, s::dst));
  check_product_shape(c, c.elements(s::stationary), c.elements(s::moving) / ratio);
  check_result_type(c, s::dst);
  if (c.operand(s::stationary).partitions % c.word(s::kept) != 0) {
    c.fail_operand(s::stationary, fmt::format("{} partitions, expected a multiple of the pattern's {}",
                                              c.operand(s::stationary).partitions, c.word(s::kept)));
  }
  type_among(c, s::tags, {DType::uint16});
  same_partitions(c, s::tags, s::stationary);
  elements_are(c, s::tags, (c.elements(s::stationary) + 3) / 4);
}

void check_quantize_mx(const Check& c) {
  namespace s = slots::quantize_mx;
  type_among(c, s::src, {DType::bf16, DType::fp16});
  type_among(c, s::dst, {DType::fp8_e4m3fn_x4, DType::fp8_e5m2_x4});
  check_quadrants(c, s::src);
  same_partitions(c, s::dst, s::src);
  if (c.elements(s::src) % 4 != 0) {
    return c.fail_operand(s::src,
                          fmt::format("{} elements per partition, expected a multiple of 4", c.elements(s::src)));
  }
  elements_are(c, s::dst, c.elements(s::src) / 4);
  check_scale(c, s::dst_scale, s::src);
}

}  // namespace presil::isa
