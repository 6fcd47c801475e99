#include <fmt/format.h>

#include <array>
#include <cstring>
#include <utility>

#include "chip/execute_internal.h"
#include "isa/slots.h"
#include "numerics/alu_span.h"
#include "numerics/matmul.h"

namespace presil::chip {
namespace {

namespace slot = isa::slots::nc_matmul;

bool in_floats(const Strided& s) {
  const auto whole = [](int64_t bytes) { return bytes % static_cast<int64_t>(sizeof(float)) == 0; };
  return reinterpret_cast<uintptr_t>(s.base) % alignof(float) == 0 &&
         std::all_of(s.step.begin(), s.step.begin() + s.rank, whole);
}

// A matrix operand as fp32 rows.
struct Matrix {
  const float* data = nullptr;
  size_t stride = 0;  // elements
};

// The rows where they lie, if they are contiguous fp32.
std::optional<Matrix> matrix_in_place(const Strided& s) {
  if (s.dtype != DType::fp32) return std::nullopt;
  const Strided operands[] = {row_of(s, 0)};
  const Nest nest = *join(operands);
  const bool contiguous_row = nest.rank == 0 || (nest.rank == 1 && nest.run_step(0) == sizeof(float));
  const bool aligned = reinterpret_cast<uintptr_t>(s.base) % alignof(float) == 0 && s.step[0] % sizeof(float) == 0;
  if (!contiguous_row || !aligned) return std::nullopt;
  return Matrix{reinterpret_cast<const float*>(s.base), static_cast<size_t>(s.step[0]) / sizeof(float)};
}

// Rows of a scratch matrix are an odd number of cache lines long, so that a column of them visits every set.
size_t scratch_stride(size_t columns) {
  constexpr size_t kLine = 16;
  return (((columns + kLine - 1) / kLine) | 1) * kLine;
}

// The operand as one window per partition, if its elements lie so: two loops, columns at one step.
struct WindowsOf {
  numerics::Windows windows;
  int64_t element_step = 0;  // 0: a step that is no whole number of elements
};
std::optional<WindowsOf> windows_of(const Strided& s) {
  const Blocks row = blocks_of(*join(std::array{row_of(s, 0)}), SIZE_MAX);
  if (row.outer.rank > 1) return std::nullopt;
  const auto bytes = static_cast<int64_t>(s.element_bytes());
  const int64_t step = row.columns == 1 ? bytes : row.step[0];
  return WindowsOf{{s.base, s.step[0], row.row_step[0], s.count[0], row.rows, row.columns},
                   step % bytes == 0 ? step / bytes : 0};
}

Matrix matrix_of(const Strided& s, Buffer& buffer) {
  if (const std::optional<Matrix> rows = matrix_in_place(s)) return *rows;
  const size_t stride = scratch_stride(row_elements(s) + numerics::kRowsSlack);  // for what is written past a row
  float* data = buffer.floats(stride * s.count[0]);
  const std::optional<WindowsOf> w = windows_of(s);
  const auto load = w ? numerics::load_windows_fn(s.dtype, w->element_step) : nullptr;
  if (load != nullptr) {
    load(w->windows, data, stride);
    return {data, stride};
  }
  const Rows rows(s);
  for (uint32_t p = 0; p < s.count[0]; ++p) rows.read(p, data + p * stride);
  return {data, stride};
}

// dst's row p += values, one addition per element in order, so windows may overlap.
void add_row(Context& c, const Strided& dst, uint32_t p, const float* values) {
  const Strided row = row_of(dst, p);
  const RunFormat format = run_format(dst.dtype);
  const Nest nest = *join(std::array{row});
  if (overlaps_itself(row)) {
    for_each_run(nest, [&](const std::array<std::byte*, kMaxJoined>& at) {
      for (uint32_t i = 0; i < nest.run(); ++i, ++values) {
        std::byte* place = at[0] + nest.run_step(0) * i;
        float old = 0.0f;
        format.load(place, &old, 1);
        const float sum = alu_apply(AluOp::add, old, *values);
        format.store(&sum, place, 1);
      }
    });
    return;
  }
  const auto add = numerics::alu_kernel(AluOp::add, numerics::AluForm::vector_vector);
  float* sums = c.scratch().runs[1].data();
  for_each_block(blocks_of(nest, kRunMax / 2), kRunMax, [&](const std::array<Block, kMaxJoined>& blocks) {
    const size_t count = blocks[0].count();
    add(read_block(format, blocks[0], c.scratch().runs[0].data()), values, sums, count);
    write_block(format, sums, blocks[0]);
    values += count;
  });
}

void multiply(Context& c, const Strided& dst, const Strided& stationary, const Strided& moving) {
  const Matrix a = matrix_of(stationary, c.scratch().stationary), b = matrix_of(moving, c.scratch().moving);
  numerics::Matmul product;
  product.k = stationary.count[0];
  product.m = dst.count[0];
  product.n = row_elements(dst);
  product.stationary = a.data;
  product.stationary_stride = a.stride;
  product.moving = b.data;
  product.moving_stride = b.stride;
  product.accumulate = c.flag(slot::accumulate);
  const std::optional<WindowsOf> w = overlaps_itself(dst) ? std::nullopt : windows_of(dst);
  if (dst.dtype == DType::fp32 && w && w->element_step == 1 && in_floats(dst)) {
    product.dst = reinterpret_cast<float*>(dst.base);
    product.dst_stride = static_cast<size_t>(dst.step[0]) / sizeof(float);
    product.run = w->windows.columns;
    product.run_stride = w->windows.row_step / static_cast<int64_t>(sizeof(float));
    return numerics::matmul_accumulate(product);
  }
  // Scattered, or not fp32: the product first, then it is written or added.
  product.dst_stride = scratch_stride(product.n);
  product.dst = c.scratch().product.floats(product.dst_stride * product.m);
  const bool accumulate = std::exchange(product.accumulate, false);
  numerics::matmul_accumulate(product);
  const auto store = w && w->element_step == 1 ? numerics::store_windows_fn(dst.dtype, accumulate) : nullptr;
  if (store != nullptr) return store(product.dst, product.dst_stride, w->windows);
  const Rows to(dst);
  for (uint32_t p = 0; p < dst.count[0]; ++p) {
    const float* values = product.dst + p * product.dst_stride;
    accumulate ? add_row(c, dst, p, values) : to.write(p, values);
  }
}

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

}  // namespace

void execute_matmul(Context& c) {
  const Strided& dst = c.operand(slot::dst);
  const Strided& stationary = c.operand(slot::stationary);
  const Strided& moving = c.operand(slot::moving);
  if (stationary.count[0] != moving.count[0] || row_elements(stationary) != dst.count[0] ||
      row_elements(moving) != row_elements(dst)) {
    return c.fault(fmt::format("stationary [{}, {}] and moving [{}, {}] do not give dst [{}, {}]", stationary.count[0],
                               row_elements(stationary), moving.count[0], row_elements(moving), dst.count[0],
                               row_elements(dst)));
  }
  if (c.flag(slot::is_transpose)) return permute(c, dst, stationary, moving);
  multiply(c, dst, stationary, moving);
}

}  // namespace presil::chip
