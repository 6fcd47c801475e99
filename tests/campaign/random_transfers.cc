#include "tests/campaign/random_transfers.h"

#include <algorithm>

namespace presil::campaign {

using isa::View;

TransferSteps::Indices TransferSteps::indices(uint32_t partitions, uint32_t step, DType t) {
  Indices out{output(Memory::sbuf, t, {partitions, 1}, false, true)};
  tile::Iota count{.dst = out.view, .offset = static_cast<int32_t>(random.below(5))};
  count.channel_multiplier = static_cast<int32_t>(step);
  build.iota(count);
  out.rows = static_cast<uint32_t>(count.offset) + step * (partitions - 1) + upto(4);
  return out;
}
View TransferSteps::as_table(View tensor, uint32_t rows, uint32_t row) {
  tensor.rank = 2, tensor.dims[0] = {static_cast<int32_t>(row), rows}, tensor.dims[1] = {1, row};
  return tensor;
}

// A gather, a scatter, a sum into rows or of rows; some indices beyond the table where that is legal.
void TransferSteps::dma_rows() {
  if (spec.generation < 3) return;
  const Shape s = shape();
  const bool sum = chance(40), scatter = chance(40), skip = chance(40);
  const Indices named = indices(s.partitions, scatter ? upto(2) : static_cast<uint32_t>(random.below(3)),
                                pick({DType::int32, DType::uint32}));
  const uint32_t rows = skip && chance(50) ? std::max(1u, named.rows / 2) : named.rows;
  const tile::IndirectOptions options{.oob_mode = skip ? isa::OobMode::skip : isa::OobMode::error,
                                      .priority = priority()};
  const DType t = pick(kAny), of_table = sum ? pick(kAny) : t;
  const uint64_t elements = uint64_t{rows} * s.row;
  if (scatter) {
    const View src = input(Memory::sbuf, t, s);
    const View table = as_table(tensor_output(of_table, elements), rows, s.row);
    // Rows that nothing else writes.
    build.dma(table, as_table(tensor_input(of_table, elements), rows, s.row));
    return void(sum ? build.dma_gather_sum(table, src, named.view, options)
                    : build.dma_scatter(table, src, named.view, options));
  }
  const View table = as_table(tensor_input(of_table, elements), rows, s.row);
  const View dst = output(Memory::sbuf, t, s, false, true);
  if (sum || skip) build.dma(dst, tensor_input(t, uint64_t{s.partitions} * s.row));
  sum ? build.dma_gather_sum(dst, table, named.view, options) : build.dma_gather(dst, table, named.view, options);
}

void TransferSteps::dma_rows_transposed() {
  const uint32_t p = upto(spec.sbuf.partitions), columns = 16 * upto(4);
  const Indices named = indices(64, static_cast<uint32_t>(random.below(3)), DType::uint32);
  const DType t = pick({DType::bf16, DType::fp16, DType::int16});
  const View table = as_table(tensor_input(t, uint64_t{named.rows} * p), named.rows, p);
  build.dma_gather_transpose(output(Memory::sbuf, t, {p, columns}, false, true), table, named.view,
                             {.priority = priority()});
}

}  // namespace presil::campaign
