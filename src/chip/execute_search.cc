// Searches: values and their places in a row, and in the rows of partitions that share a gpsimd processor.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "chip/execute_internal.h"
#include "isa/slots.h"
#include "numerics/float_bits.h"

namespace presil::chip {
namespace {

constexpr uint32_t kGroup = 16;  // partitions of one gpsimd processor

// Whole numbers of one partition, from int32 to dst's type (int32 or fp32).
void write_integers(Context& c, const Strided& dst, uint32_t p, std::span<const int32_t> values) {
  if (dst.dtype == DType::int32) {
    auto* bytes = reinterpret_cast<std::byte*>(const_cast<int32_t*>(values.data()));
    return copy_elements(c, row_of(dst, p), contiguous(bytes, DType::int32, values.size()));
  }
  std::vector<float> converted(values.begin(), values.end());
  Rows(dst).write(p, converted.data());
}

// A row as fp32; int32 beyond 2^24 keeps what tells it apart from zero.
std::vector<float> read_row(const Strided& s, uint32_t p) {
  std::vector<float> row(row_elements(s) + numerics::kRowsSlack);
  Rows(s).read(p, row.data());
  row.resize(row_elements(s));
  return row;
}

std::vector<uint32_t> read_words(Context& c, const Strided& s, uint32_t p) {
  const uint64_t row = row_elements(s);
  std::vector<std::byte> raw(row * s.element_bytes());
  copy_elements(c, contiguous(raw.data(), s.dtype, row), row_of(s, p));
  std::vector<uint32_t> out(row);
  for (uint64_t i = 0; i < row; ++i) std::memcpy(&out[i], raw.data() + i * s.element_bytes(), s.element_bytes());
  return out;
}

}  // namespace

void execute_match_replace8(Context& c) {
  namespace s = isa::slots::nc_match_replace8;
  constexpr size_t kValues = 8;
  const Strided& dst = c.operand(s::dst);
  Strided data = c.operand(s::data), vals = c.operand(s::vals);
  if (data.elements() != dst.elements() || data.count[0] != dst.count[0] || vals.count[0] != dst.count[0] ||
      row_elements(vals) != kValues)
    return c.fault("data has dst's shape and vals eight elements for each of its partitions");
  if (c.has(s::dst_idx) &&
      (c.operand(s::dst_idx).count[0] != dst.count[0] || row_elements(c.operand(s::dst_idx)) != kValues))
    return c.fault("dst_idx has eight elements for each of dst's partitions");
  stage_overlap(c, dst, data, 1, true);
  stage_overlap(c, dst, vals, 2, false);
  for (uint32_t p = 0; p < dst.count[0]; ++p) {
    std::vector<float> row = read_row(data, p);
    const std::vector<float> wanted = read_row(vals, p), original = row;
    std::vector<bool> taken(row.size());
    std::array<uint32_t, kValues> places;
    for (size_t k = kValues; k-- > 0;) {
      size_t i = 0;
      while (i < row.size() && (taken[i] || original[i] != wanted[k])) ++i;
      places[k] = i < row.size() ? static_cast<uint32_t>(i) : UINT32_MAX;
      if (i < row.size()) taken[i] = true, row[i] = c.f32(s::imm);
    }
    Rows(dst).write(p, row.data());
    if (!c.has(s::dst_idx)) continue;
    const Strided& indices = c.operand(s::dst_idx);
    std::array<std::byte, kValues * sizeof(uint32_t)> packed;
    for (size_t k = 0; k < kValues; ++k)
      std::memcpy(packed.data() + k * indices.element_bytes(), &places[k], indices.element_bytes());
    copy_elements(c, row_of(indices, p), contiguous(packed.data(), indices.dtype, kValues));
  }
}

void execute_local_gather(Context& c) {
  namespace s = isa::slots::local_gather;
  const Strided& dst = c.operand(s::dst);
  Strided source = c.operand(s::src_buffer), index = c.operand(s::index);
  const uint64_t per_index = c.word(s::num_elem_per_idx), given = row_elements(index) * kGroup;
  const uint64_t count = c.word(s::num_valid_indices) != 0 ? c.word(s::num_valid_indices) : given;
  if (dst.count[0] % kGroup != 0 || source.count[0] != dst.count[0] || index.count[0] != dst.count[0] ||
      count > given || row_elements(dst) != count * per_index || source.dtype != dst.dtype)
    return c.fault("operands do not fit together");
  stage_overlap(c, dst, source, 1, false);
  stage_overlap(c, dst, index, 2, false);
  const size_t bytes = dst.element_bytes();
  const uint64_t row = row_elements(source);
  std::vector<std::byte> in(row * bytes), out(row_elements(dst) * bytes);
  for (uint32_t group = 0; group < dst.count[0]; group += kGroup) {
    std::vector<std::vector<uint32_t>> indices;
    for (uint32_t p = 0; p < kGroup; ++p) indices.push_back(read_words(c, index, group + p));
    for (uint32_t p = group; p < group + kGroup; ++p) {
      copy_elements(c, contiguous(in.data(), source.dtype, row), row_of(source, p));
      for (uint64_t k = 0; k < count; ++k) {
        const uint64_t at = indices[k % kGroup][k / kGroup] * per_index;
        if (at + per_index > row)
          return c.fault(fmt::format("index {} of partitions {} to {} is {}, the row has {} elements", k, group,
                                     group + kGroup - 1, indices[k % kGroup][k / kGroup], row));
        std::memcpy(out.data() + k * per_index * bytes, in.data() + at * bytes, per_index * bytes);
      }
      copy_elements(c, row_of(dst, p), contiguous(out.data(), dst.dtype, row_elements(dst)));
    }
  }
}

void execute_sequence_bounds(Context& c) {
  namespace s = isa::slots::sequence_bounds;
  const Strided& dst = c.operand(s::dst);
  const Strided& segment_ids = c.operand(s::segment_ids);
  if (dst.elements() != 2 * segment_ids.elements()) return c.fault("dst has two elements per segment id");
  const std::vector<float> ids = read_row(segment_ids, 0);
  const auto n = static_cast<int32_t>(ids.size());
  std::vector<int32_t> out(2 * ids.size());
  for (int32_t begin = 0, end = 0; begin < n; begin = end) {
    const float id = ids[static_cast<size_t>(begin)];
    while (end < n && ids[static_cast<size_t>(end)] == id) ++end;
    if (end == begin) ++end;  // NaN equals nothing
    for (int32_t i = begin; i < end; ++i) {
      out[static_cast<size_t>(i)] = id == 0 ? n : begin;
      out[static_cast<size_t>(n + i)] = id == 0 ? -1 : end;
    }
  }
  write_integers(c, dst, 0, out);
}

void execute_nonzero(Context& c) {
  namespace s = isa::slots::nonzero_with_count;
  const Strided& dst = c.operand(s::dst);
  Strided src = c.operand(s::src);
  if (src.count[0] != dst.count[0] || row_elements(dst) != row_elements(src) + 1)
    return c.fault("dst has one element more than src in each partition");
  stage_overlap(c, dst, src, 1, false);
  for (uint32_t p = 0; p < dst.count[0]; p += kGroup) {
    const std::vector<float> row = read_row(src, p);
    std::vector<int32_t> out;
    for (size_t i = 0; i < row.size(); ++i) {
      if (row[i] != 0) out.push_back(static_cast<int32_t>(static_cast<uint32_t>(i) + c.word(s::index_offset)));
    }
    const auto found = static_cast<int32_t>(out.size());
    out.resize(row.size(), static_cast<int32_t>(c.word(s::padding_val)));
    out.push_back(found);
    write_integers(c, dst, p, out);
  }
}

void execute_topk(Context& c) {
  namespace s = isa::slots::topk;
  const Strided &values = c.operand(s::val_dst), &indices = c.operand(s::idx_dst);
  Strided src = c.operand(s::src);
  const uint64_t n = c.word(s::n), k = row_elements(values);
  if (src.count[0] % kGroup != 0 || values.count[0] != src.count[0] || indices.count[0] != src.count[0] ||
      row_elements(src) * kGroup < n || k > n || row_elements(indices) != k)
    return c.fault("operands do not fit together");
  stage_overlap(c, values, src, 2, false);
  if (c.operand(s::src).base == src.base) stage_overlap(c, indices, src, 2, false);
  for (uint32_t group = 0; group < src.count[0]; group += kGroup) {
    std::vector<std::vector<float>> rows;
    for (uint32_t p = 0; p < kGroup; ++p) rows.push_back(read_row(src, group + p));
    auto at = [&](uint32_t i) { return rows[i % kGroup][i / kGroup]; };
    std::vector<uint32_t> order(n);
    std::iota(order.begin(), order.end(), 0u);
    // NaN is largest; of equal values the one further in front counts as larger.
    auto above = [&](uint32_t a, uint32_t b) {
      const float x = at(a), y = at(b);
      const bool nan_x = numerics::is_nan(x), nan_y = numerics::is_nan(y);
      if (nan_x != nan_y) return nan_x;
      return !nan_x && x != y ? x > y : a < b;
    };
    std::partial_sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(k), order.end(), above);
    std::reverse(order.begin(), order.begin() + static_cast<ptrdiff_t>(k));
    order.resize(k);
    std::vector<float> chosen;
    for (uint32_t i : order) chosen.push_back(at(i));
    for (uint32_t p = group; p < group + kGroup; ++p) {
      Rows(values).write(p, chosen.data());
      copy_elements(c, row_of(indices, p), contiguous(reinterpret_cast<std::byte*>(order.data()), DType::uint32, k));
    }
  }
}

}  // namespace presil::chip
