// Statistics over a row: batch-norm moments, and the largest values and their places.
#include <fmt/format.h>

#include <cstring>

#include "chip/execute_internal.h"
#include "isa/slots.h"
#include "numerics/float_bits.h"
#include "numerics/reduce.h"

namespace presil::chip {
namespace {

constexpr size_t kTop = 8;

bool rows_fit(Context& c, const Strided& s, uint64_t elements, std::string_view name) {
  if (s.count[0] == c.operand(0).count[0] && row_elements(s) == elements) return true;
  c.fault(fmt::format("{} has {} elements in {} partitions, expected {} in {}", name, row_elements(s), s.count[0],
                      elements, c.operand(0).count[0]));
  return false;
}

// count, mean and variance * count, in fp32: mean = sum / count, then the sum of (x - mean)^2; sums in lanes.
void moments(std::span<float> values, float* out) {
  out[0] = static_cast<float>(values.size());
  out[1] = 0.0f;
  out[2] = 0.0f;
  if (values.empty()) return;
  out[1] = alu_apply(AluOp::divide, numerics::reduce_span(AluOp::add, values), out[0]);
  for (float& x : values) x = numerics::canonical((x - out[1]) * (x - out[1]));
  out[2] = numerics::reduce_span(AluOp::add, values);
}

// Larger first; NaN counts as larger than everything.
bool ranks_above(float a, float b) { return numerics::is_nan(a) ? !numerics::is_nan(b) : a > b; }

}  // namespace

void execute_bn_stats(Context& c) {
  namespace slot = isa::slots::bn_stats;
  const Strided& dst = c.operand(slot::dst);
  Strided data = c.operand(slot::data);
  if (!rows_fit(c, dst, 6, "dst") || !rows_fit(c, data, row_elements(data), "data")) return;
  stage_overlap(c, dst, data, 1, false);
  const uint64_t row = row_elements(data);
  float* values = c.scratch().rows[0].floats(row);
  float* halves = c.scratch().rows[1].floats(row);
  const uint64_t even = (row + 1) / 2;
  const Rows from(data), to(dst);
  for (uint32_t p = 0; p < dst.count[0]; ++p) {
    from.read(p, values);
    for (uint64_t i = 0; i < row; ++i) halves[(i % 2) * even + i / 2] = values[i];
    std::array<float, 6> out;
    moments({halves, even}, out.data());
    moments({halves + even, row - even}, out.data() + 3);
    to.write(p, out.data());
  }
}

void execute_bn_aggr(Context& c) {
  namespace slot = isa::slots::bn_aggr;
  const Strided& dst = c.operand(slot::dst);
  Strided data = c.operand(slot::data);
  const uint64_t row = row_elements(data);
  if (row % 3 != 0) return c.fault(fmt::format("data has {} elements per partition, expected triples", row));
  if (!rows_fit(c, dst, 2, "dst") || !rows_fit(c, data, row, "data")) return;
  stage_overlap(c, dst, data, 1, false);
  float* values = c.scratch().rows[0].floats(row);
  const Rows from(data), to(dst);
  for (uint32_t p = 0; p < dst.count[0]; ++p) {
    from.read(p, values);
    // mean = sum of n_i mean_i / n; variance = (sum of M2_i + n_i (mean_i - mean)^2) / n; sums from first to last.
    float n = 0.0f, weighted = 0.0f, squares = 0.0f;
    for (uint64_t i = 0; i < row; i += 3) {
      n += values[i];
      weighted += values[i] * values[i + 1];
    }
    const float mean = weighted / n;
    for (uint64_t i = 0; i < row; i += 3) {
      const float off = values[i + 1] - mean;
      squares += values[i + 2] + values[i] * (off * off);
    }
    const std::array<float, 2> out = {numerics::canonical(mean), numerics::canonical(squares / n)};
    to.write(p, out.data());
  }
}

void execute_max8(Context& c) {
  namespace slot = isa::slots::max8;
  const Strided& dst = c.operand(slot::dst);
  Strided src = c.operand(slot::src);
  const uint64_t row = row_elements(src);
  if (row < kTop) return c.fault(fmt::format("src has {} elements per partition, expected 8 or more", row));
  if (!rows_fit(c, dst, kTop, "dst") || !rows_fit(c, src, row, "src")) return;
  stage_overlap(c, dst, src, 1, false);
  float* values = c.scratch().rows[0].floats(row);
  const Rows from(src), to(dst);
  for (uint32_t p = 0; p < dst.count[0]; ++p) {
    from.read(p, values);
    std::array<float, kTop> top;
    size_t held = 0;
    for (uint64_t i = 0; i < row; ++i) {
      if (held == kTop && !ranks_above(values[i], top[kTop - 1])) continue;
      size_t place = held < kTop ? held++ : kTop - 1;
      for (; place > 0 && ranks_above(values[i], top[place - 1]); --place) top[place] = top[place - 1];
      top[place] = values[i];
    }
    to.write(p, top.data());
  }
}

void execute_find_index8(Context& c) {
  namespace slot = isa::slots::nc_find_index8;
  const Strided& dst = c.operand(slot::dst);
  Strided data = c.operand(slot::data), vals = c.operand(slot::vals);
  const uint64_t row = row_elements(data);
  if (!is_integer(dst.dtype)) return c.fault("dst holds indices, expected an integer type");
  if (!rows_fit(c, dst, kTop, "dst") || !rows_fit(c, vals, kTop, "vals") || !rows_fit(c, data, row, "data")) return;
  stage_overlap(c, dst, data, 1, false);
  stage_overlap(c, dst, vals, 2, false);
  float* values = c.scratch().rows[0].floats(row);
  const size_t bytes = dst.element_bytes();
  const Rows from(data), wanted_rows(vals);
  for (uint32_t p = 0; p < dst.count[0]; ++p) {
    from.read(p, values);
    std::array<float, kTop + numerics::kRowsSlack> padded;
    wanted_rows.read(p, padded.data());
    const std::span<const float, kTop> wanted{padded.data(), kTop};
    std::array<std::byte, kTop * 8> out;
    for (size_t k = 0; k < kTop; ++k) {
      // The first of equal values takes the first place, the next one the place after it.
      auto skip =
          static_cast<size_t>(std::count(wanted.begin(), wanted.begin() + static_cast<ptrdiff_t>(k), wanted[k]));
      uint64_t index = UINT64_MAX;
      for (uint64_t i = 0; i < row; ++i) {
        if (values[i] != wanted[k] || skip-- > 0) continue;
        index = i;
        break;
      }
      std::memcpy(out.data() + k * bytes, &index, bytes);
    }
    copy_elements(c, row_of(dst, p), contiguous(out.data(), dst.dtype, kTop));
  }
}

}  // namespace presil::chip
