// Products whose stationary operand has structured sparsity.
#include <fmt/format.h>

#include "chip/products.h"
#include "isa/slots.h"
#include "numerics/sparse_matmul.h"

namespace presil::chip {
namespace {

namespace slot = isa::slots::nc_matmul_sparse;

// Row of the moving matrix for every number of the stationary operand; a fault if a tag is not below `of`.
const uint32_t* sources_of(Context& c, const Strided& tags, uint32_t partitions, uint32_t m_count, uint32_t kept,
                           uint32_t of) {
  const size_t words_per_row = row_elements(tags);
  std::byte* bytes = c.scratch().rows[0].bytes(tags.elements() * sizeof(uint16_t));
  copy_elements(c, contiguous(bytes, tags.dtype, tags.elements()), tags);
  const auto* words = reinterpret_cast<const uint16_t*>(bytes);
  auto* sources =
      reinterpret_cast<uint32_t*>(c.scratch().rows[1].bytes(size_t{partitions} * m_count * sizeof(uint32_t)));
  const uint32_t ratio = of / kept;
  for (uint32_t p = 0; p < partitions; ++p) {
    for (uint32_t m = 0; m < m_count; ++m) {
      const uint32_t tag = words[p * words_per_row + m / 4] >> (4 * (m % 4)) & 15;
      if (tag >= of) {
        c.fault(fmt::format("the tag of stationary [{}, {}] is {}, the pattern {}:{} has {} places", p, m, tag, kept,
                            of, of));
        return nullptr;
      }
      sources[size_t{p} * m_count + m] = p / kept * kept * ratio + tag;
    }
  }
  return sources;
}

}  // namespace

void execute_matmul_sparse(Context& c) {
  const Strided &dst = c.operand(slot::dst), &tags = c.operand(slot::tags);
  const Strided &stationary = c.operand(slot::stationary), &moving = c.operand(slot::moving);
  const uint32_t kept = std::max(1u, c.word(slot::kept)), of = c.word(slot::of), ratio = of / kept;
  const uint32_t k = stationary.count[0], m = dst.count[0];
  if (ratio == 0 || of > 16 || of % kept != 0 || k % kept != 0 || moving.count[0] != k || tags.count[0] != k ||
      row_elements(stationary) != m || row_elements(moving) != ratio * row_elements(dst) ||
      row_elements(tags) != (m + 3) / 4 || tags.element_bytes() != 2 || !splits_into(moving, ratio)) {
    return c.fault(fmt::format("stationary [{}, {}], moving [{}, {}] and tags [{}, {}] do not give dst [{}, {}]", k,
                               row_elements(stationary), moving.count[0], row_elements(moving), tags.count[0],
                               row_elements(tags), m, row_elements(dst)));
  }
  numerics::SparseMatmul product;
  product.sources = sources_of(c, tags, k, m, kept, of);
  if (product.sources == nullptr) return;
  const Matrix a = matrix_of(stationary, c.scratch().stationary);
  const Matrix b = matrix_of_parts(moving, ratio, c.scratch().moving);
  product.m = m, product.n = row_elements(dst), product.k = k;
  product.stationary = a.data, product.stationary_stride = a.stride;
  product.moving = b.data, product.moving_stride = b.stride;
  product.dst_stride = scratch_stride(product.n);
  product.dst = c.scratch().product.floats(product.dst_stride * product.m);
  numerics::sparse_matmul(product);
  deliver(c, dst, product.dst, product.dst_stride, c.flag(slot::accumulate));
}

}  // namespace presil::chip
