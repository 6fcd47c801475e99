#include <fmt/format.h>

#include <cstring>

#include "chip/products.h"
#include "isa/slots.h"

namespace presil::chip {
namespace {

namespace slot = isa::slots::nc_matmul;

// dst[m, n] = the bits of stationary[k, m] for the one k with moving[k, n] != 0, zero if there is none.
void permute(Context& c, const Strided& dst, Strided stationary, const Strided& moving) {
  const size_t from_bytes = stationary.element_bytes(), to_bytes = dst.element_bytes();
  const bool bits = stationary.dtype == dst.dtype || (from_bytes == 1 && to_bytes == 2);
  const uint32_t k_count = stationary.count[0], m_count = dst.count[0];
  const size_t n_count = row_elements(dst);
  const Matrix pick = matrix_of(moving, c.scratch().moving);
  std::byte* table = c.scratch().stationary.bytes(k_count * m_count * from_bytes);
  copy_elements(c, contiguous(table, stationary.dtype, uint64_t{k_count} * m_count), stationary);
  std::byte* results = c.scratch().product.bytes(n_count * 8);
  std::byte* chosen = c.scratch().rows[0].bytes(n_count * sizeof(uint32_t));
  auto* k_of = reinterpret_cast<uint32_t*>(chosen);
  for (size_t n = 0; n < n_count; ++n) {
    k_of[n] = k_count;
    for (uint32_t k = 0; k < k_count; ++k) {
      if (pick.data[k * pick.stride + n] == 0.0f) continue;
      if (k_of[n] != k_count)
        return c.fault(fmt::format("is_transpose: column {} of moving has two nonzeros, it must be a permutation", n));
      k_of[n] = k;
    }
  }
  for (uint32_t m = 0; m < m_count; ++m) {
    for (size_t n = 0; n < n_count; ++n) {
      uint64_t word = 0;
      if (k_of[n] < k_count) std::memcpy(&word, table + (size_t{k_of[n]} * m_count + m) * from_bytes, from_bytes);
      if (!bits) word = numerics::from_fp32(dst.dtype, numerics::to_fp32(stationary.dtype, word));
      std::memcpy(results + n * to_bytes, &word, to_bytes);
    }
    copy_elements(c, row_of(dst, m), contiguous(results, dst.dtype, n_count));
  }
}

// What a hint promises about an fp32 operand.
bool holds_ones_and_zeros(const Matrix& m, size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; ++r) {
    for (size_t i = 0; i < columns; ++i) {
      const float x = m.data[r * m.stride + i];
      if (x != 0.0f && x != 1.0f) return false;
    }
  }
  return true;
}

}  // namespace

void execute_matmul(Context& c) {
  const Strided& dst = c.operand(slot::dst);
  const Strided& stationary = c.operand(slot::stationary);
  const Strided& moving = c.operand(slot::moving);
  const uint32_t parts = c.word(slot::perf_mode) == static_cast<uint32_t>(isa::MatmulMode::double_row) ? 2 : 1;
  if (stationary.count[0] != moving.count[0] || row_elements(stationary) != parts * uint64_t{dst.count[0]} ||
      row_elements(moving) != parts * row_elements(dst)) {
    return c.fault(fmt::format("stationary [{}, {}] and moving [{}, {}] do not give dst [{}, {}]", stationary.count[0],
                               row_elements(stationary), moving.count[0], row_elements(moving), dst.count[0],
                               row_elements(dst)));
  }
  if (c.flag(slot::is_transpose)) return permute(c, dst, stationary, moving);
  if (parts > 1 && (!splits_into(stationary, parts) || !splits_into(moving, parts)))
    return c.fault("double_row: the first dimension of an operand does not split into halves");
  const Matrix a = parts == 1 ? matrix_of(stationary, c.scratch().stationary)
                              : matrix_of_parts(stationary, parts, c.scratch().stationary);
  const Matrix b =
      parts == 1 ? matrix_of(moving, c.scratch().moving) : matrix_of_parts(moving, parts, c.scratch().moving);
  const struct {
    int hint;
    const Matrix& matrix;
    const Strided& operand;
  } promises[] = {{slot::is_stationary_onezero, a, stationary}, {slot::is_moving_onezero, b, moving}};
  for (const auto& p : promises) {
    if (!c.flag(p.hint) || p.operand.dtype != DType::fp32) continue;
    if (!holds_ones_and_zeros(p.matrix, p.operand.count[0], row_elements(p.operand)))
      return c.fault("an operand that is said to hold ones and zeros holds something else");
  }
  numerics::Matmul product;
  product.k = uint64_t{parts} * stationary.count[0];
  product.stationary = a.data, product.stationary_stride = a.stride;
  product.moving = b.data, product.moving_stride = b.stride;
  product.accumulate = c.flag(slot::accumulate);
  multiply(c, dst, product);
}

}  // namespace presil::chip
