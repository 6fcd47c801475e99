// K on partitions of both operands: a is stationary in squares [K, M], b moves past it [K, N]. Products of several
// batch elements share a PSUM bank when they are small, and leave it together.
#include <fmt/format.h>

#include <algorithm>

#include "kernels/copy.h"
#include "kernels/kernels.h"
#include "kernels/pieces.h"

namespace presil::kernels {
namespace {

using Extents = std::vector<int64_t>;

struct Product {
  Context& context;
  const Block& a;
  const Block& b;
  const Block& out;
  float alpha;
  std::vector<Cut> k;  // of the contraction
  int64_t bank;        // fp32 elements of a PSUM bank
  size_t inner;        // batch axis whose elements share banks; out.rank() - 2 if there is none

  size_t m_axis() const { return out.shape.size() - 2; }
  size_t n_axis() const { return out.shape.size() - 1; }
};

// Index of an operand for one of `out`: aligned at the last axes, extents of 1 repeat.
Extents operand_index(const Block& operand, const Extents& at) {
  const size_t skip = at.size() - operand.shape.size();
  Extents index(operand.shape.size());
  for (size_t i = 0; i < index.size(); ++i) index[i] = operand.shape[i] == 1 ? 0 : at[skip + i];
  return index;
}

isa::View columns(const Block& operand, const Cut& k, const Extents& at, size_t axis, int64_t begin, int64_t count) {
  Extents index = operand_index(operand, at);
  index[axis] = begin;
  isa::View v = origin(operand, k.group, k.partition, k.count, index);
  v.rank = 1;
  v.dims[0] = {static_cast<int32_t>(operand.strides[axis]), static_cast<uint32_t>(count)};
  return v;
}

// Products of `batches` elements from at[inner] on, for one cut of M and `n` columns from n_begin.
void bank_of_products(const Product& p, Extents at, int64_t batches, const Cut& m, int64_t n_begin, int64_t n) {
  const auto rows = static_cast<uint32_t>(m.count);
  const uint32_t tile = p.context.build.psum(rows, static_cast<uint32_t>(batches * n * 4), "product");
  const Extents first = at;
  for (int64_t i = 0; i < batches; ++i) {
    if (p.inner != p.m_axis()) at[p.inner] = first[p.inner] + i;
    const isa::View dst =
        p.context.build.tile_view(tile, DType::fp32, 0, rows, i * n * 4, {{1, static_cast<uint32_t>(n)}});
    for (size_t k = 0; k < p.k.size(); ++k) {
      p.context.build.matmul({.dst = dst,
                              .stationary = columns(p.a, p.k[k], at, p.a.shape.size() - 2, m.begin, m.count),
                              .moving = columns(p.b, p.k[k], at, p.b.shape.size() - 1, n_begin, n),
                              .accumulate = k > 0});
    }
  }
  at = first;
  at[p.n_axis()] = n_begin;
  isa::View psum = p.context.build.tile_view(tile, DType::fp32);
  psum.rank = 0;
  const int64_t batch_step = p.inner == p.m_axis() ? 0 : p.out.strides[p.inner];
  for_each_piece({origin(p.out, m.group, m.partition, m.count, at), psum},
                 {{batches, {batch_step, n}}, {n, {p.out.strides[p.n_axis()], 1}}}, {},
                 [&](std::span<const isa::View> v) { copy_scaled(p.context, v[0], v[1], p.alpha); });
}

void all_products(const Product& p) {
  const spec::ChipSpec& spec = p.context.spec;
  const int64_t n = p.out.shape[p.n_axis()];
  const int64_t n_most = std::min<int64_t>(p.bank, spec.tensor.moving_max);
  const int64_t n_parts = (n + n_most - 1) / n_most, n_part = (n + n_parts - 1) / n_parts;
  const bool shared = p.inner != p.m_axis() && n_parts == 1;
  const int64_t batches = shared ? std::min(p.out.shape[p.inner], p.bank / n) : 1;
  Extents outer = p.out.shape;
  outer[p.m_axis()] = outer[p.n_axis()] = 1;
  if (p.inner != p.m_axis()) outer[p.inner] = (outer[p.inner] + batches - 1) / batches;
  const int64_t m_most = std::min({spec.tensor.columns, spec.psum.partitions});
  for_each_index(outer, [&](Extents at) {
    int64_t count = 1;
    if (p.inner != p.m_axis()) {
      at[p.inner] *= batches;
      count = std::min(batches, p.out.shape[p.inner] - at[p.inner]);
    }
    for (const Cut& m : cuts(p.out, m_most)) {
      for (int64_t begin = 0; begin < n; begin += n_part) {
        bank_of_products(p, at, count, m, begin, std::min(n_part, n - begin));
      }
    }
  });
}

// Axes of a, b and out agree, K and M are on partitions.
void check_operands(const Block& a, const Block& b, const Block& out) {
  const size_t r = out.shape.size(), ra = a.shape.size(), rb = b.shape.size();
  bool ok = ra >= 2 && rb >= 2 && r == std::max(ra, rb) && a.shape[ra - 1] == b.shape[rb - 2] &&
            out.shape[r - 2] == a.shape[ra - 2] && out.shape[r - 1] == b.shape[rb - 1];
  ok = ok && a.partition_axis == a.rank() - 1 && b.partition_axis == b.rank() - 2 &&
       out.partition_axis == out.rank() - 2 && same_cut(a, b);
  for (size_t axis = 0; ok && axis + 2 < r; ++axis) {
    for (const Block* operand : {&a, &b}) {
      const size_t skip = r - operand->shape.size();
      ok = ok && (axis < skip || operand->shape[axis - skip] == 1 || operand->shape[axis - skip] == out.shape[axis]);
    }
  }
  CHECK(ok, fmt::format("matmul of [{}] ({} on partitions) and [{}] ({}) to [{}] ({})", fmt::join(a.shape, ", "),
                        a.partition_axis, fmt::join(b.shape, ", "), b.partition_axis, fmt::join(out.shape, ", "),
                        out.partition_axis));
}

}  // namespace

void matmul(Context& context, const Block& a, const Block& b, const Block& out, float alpha) {
  check_operands(a, b, out);
  size_t inner = out.shape.size() - 2;
  for (size_t axis = 0; axis + 2 < out.shape.size(); ++axis) {
    if (out.shape[axis] > 1) inner = axis;
  }
  const auto bank = static_cast<int64_t>(context.spec.psum.bytes_per_partition / context.spec.psum.banks / 4);
  all_products({context, a, b, out, alpha, cuts(a, context.spec.tensor.rows), bank, inner});
}

}  // namespace presil::kernels
