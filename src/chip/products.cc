#include "chip/products.h"

#include <array>
#include <utility>

#include "numerics/alu_span.h"

namespace presil::chip {
namespace {

bool in_floats(const Strided& s) {
  const auto whole = [](int64_t bytes) { return bytes % static_cast<int64_t>(sizeof(float)) == 0; };
  return reinterpret_cast<uintptr_t>(s.base) % alignof(float) == 0 &&
         std::all_of(s.step.begin(), s.step.begin() + s.rank, whole);
}

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

}  // namespace

size_t scratch_stride(size_t columns) {
  constexpr size_t kLine = 16;
  return (((columns + kLine - 1) / kLine) | 1) * kLine;
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

bool splits_into(const Strided& s, uint32_t parts) {
  for (int d = 1; d < s.rank; ++d) {
    if (s.count[static_cast<size_t>(d)] != 1) return s.count[static_cast<size_t>(d)] % parts == 0;
  }
  return parts == 1;
}

Matrix matrix_of_parts(const Strided& s, uint32_t parts, Buffer& buffer) {
  size_t d = 1;
  while (s.count[d] == 1) ++d;
  Strided part = s;
  part.count[d] /= parts;
  const size_t stride = scratch_stride(row_elements(part) + numerics::kRowsSlack);
  float* data = buffer.floats(stride * parts * s.count[0]);
  const std::optional<WindowsOf> shape = windows_of(part);
  const auto load = shape ? numerics::load_windows_fn(s.dtype, shape->element_step) : nullptr;
  for (uint32_t k = 0; k < parts; ++k, part.base += part.step[d] * part.count[d]) {
    if (load != nullptr) {
      load(windows_of(part)->windows, data + k * stride, parts * stride);
      continue;
    }
    const Rows rows(part);
    for (uint32_t p = 0; p < s.count[0]; ++p) rows.read(p, data + (p * parts + k) * stride);
  }
  return {data, stride};
}

void deliver(Context& c, const Strided& dst, const float* values, size_t stride, bool accumulate) {
  const std::optional<WindowsOf> w = overlaps_itself(dst) ? std::nullopt : windows_of(dst);
  const auto store = w && w->element_step == 1 ? numerics::store_windows_fn(dst.dtype, accumulate) : nullptr;
  if (store != nullptr) return store(values, stride, w->windows);
  const Rows to(dst);
  for (uint32_t p = 0; p < dst.count[0]; ++p, values += stride) {
    accumulate ? add_row(c, dst, p, values) : to.write(p, values);
  }
}

void multiply(Context& c, const Strided& dst, numerics::Matmul product) {
  product.m = dst.count[0];
  product.n = row_elements(dst);
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
  deliver(c, dst, product.dst, product.dst_stride, accumulate);
}

}  // namespace presil::chip
