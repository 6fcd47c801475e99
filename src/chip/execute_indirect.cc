// Transfers of rows of a table in HBM, which indices in SBUF name: gathers, scatters, sums into rows, transposes.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "chip/execute_internal.h"
#include "isa/slots.h"

namespace presil::chip {
namespace {

namespace slots = isa::slots;

// An operand by rows: in HBM its first dimension counts them, in SBUF they are partitions.
struct RowList {
  const Strided& all;
  bool in_hbm = false;

  uint64_t count() const { return !in_hbm ? all.count[0] : all.rank < 2 ? 1 : all.count[1]; }
  Strided operator[](uint64_t k) const {
    if (!in_hbm) return row_of(all, static_cast<uint32_t>(k));
    Strided row = with_dims(all, 2, all.rank);
    row.base += all.step[1] * static_cast<int64_t>(k);
    return row;
  }
};

// Where it lies says the program: in some modes instructions work on copies.
RowList rows_of(const Context& c, int k) {
  return {c.operand(k), c.program.operand(c.instruction, k).memory == isa::Memory::hbm};
}

// Of an operand of integers, each with all of its bits.
std::vector<uint64_t> indices_of(Context& c, const Strided& index) {
  const uint64_t count = index.elements();
  const size_t bytes = index.element_bytes();
  std::byte* places = c.scratch().rows[0].bytes(count * bytes);
  copy_elements(c, contiguous(places, index.dtype, count), index);
  std::vector<uint64_t> out(count);
  for (uint64_t k = 0; k < count; ++k) std::memcpy(&out[k], places + k * bytes, bytes);
  return out;
}

int64_t shown(uint64_t index, DType type) {
  return type == DType::int32 ? static_cast<int32_t>(index) : static_cast<int64_t>(index);
}

struct Table {
  RowList rows;
  const Strided& index;
  bool skip = false;
};

// move(k, row) for every index k, in order, that names a row; false after a fault.
template <class Move>
bool for_each_row(Context& c, const Table& table, const std::vector<uint64_t>& indices, Move&& move) {
  const uint64_t rows = table.rows.count();
  for (uint64_t k = 0; k < indices.size(); ++k) {
    if (indices[k] < rows) {
      move(k, table.rows[indices[k]]);
    } else if (!table.skip) {
      c.fault(fmt::format("index {} is {}, the table has {} rows", k, shown(indices[k], table.index.dtype), rows));
      return false;
    }
  }
  return true;
}

bool skips(const Context& c, int oob_mode) { return c.word(oob_mode) == static_cast<uint32_t>(isa::OobMode::skip); }

// One index per row of `other`, rows of equal length.
bool fits(Context& c, const Table& table, const RowList& other) {
  if (!is_integer(table.index.dtype) || table.index.elements() != other.count()) {
    c.fault("index is not one integer per row");
    return false;
  }
  if (table.rows.all.rank < 2 || table.rows[0].elements() != other[0].elements()) {
    c.fault("rows of the table are not as long as those of the other operand");
    return false;
  }
  return true;
}

}  // namespace

void execute_indirect_copy(Context& c) {
  namespace s = slots::dma_copy;
  const bool scatter = c.word(s::scatter) != 0;
  const Table table{rows_of(c, scatter ? s::dst : s::src), c.operand(s::index), skips(c, s::oob_mode)};
  const RowList other = rows_of(c, scatter ? s::src : s::dst);
  if (table.rows.all.dtype != other.all.dtype) return c.fault("src is no table of dst's type");
  if (!fits(c, table, other)) return;
  for_each_row(c, table, indices_of(c, table.index), [&](uint64_t k, const Strided& row) {
    const Strided mine = other[k];
    scatter ? copy_elements(c, row, mine) : copy_elements(c, mine, row);
  });
}

// Indices count column by column: all partitions of the first, then of the next.
void execute_indirect_transpose(Context& c) {
  namespace s = slots::dma_transpose;
  const Strided &dst = c.operand(s::dst), &src = c.operand(s::src), &index = c.operand(s::index);
  const Table table{rows_of(c, s::src), index, skips(c, s::oob_mode)};
  const uint64_t columns = row_elements(dst), across = index.count[0], down = row_elements(index);
  if (src.rank < 2 || src.dtype != dst.dtype || table.rows[0].elements() != dst.count[0])
    return c.fault("a row of src is not a column of dst");
  if (!is_integer(index.dtype) || index.elements() < columns) return c.fault("index is not one integer per column");
  const std::vector<uint64_t> by_partition = indices_of(c, index);
  std::vector<uint64_t> indices(columns);
  for (uint64_t f = 0; f < columns; ++f) indices[f] = by_partition[f % across * down + f / across];
  for_each_row(c, table, indices, [&](uint64_t f, const Strided& row) {
    Strided column = with_dims(dst, 0, 1);
    for (int d = dst.rank; --d > 0; f /= dst.count[static_cast<size_t>(d)])
      column.base += dst.step[static_cast<size_t>(d)] * static_cast<int64_t>(f % dst.count[static_cast<size_t>(d)]);
    copy_elements(c, column, row);
  });
}

// RowList are read, added to in fp32, and written. The same row twice has no documented result: it is a fault.
void execute_indirect_sum(Context& c) {
  namespace s = slots::dma_compute;
  const bool scatter = rows_of(c, s::dst).in_hbm;
  const Table table{rows_of(c, scatter ? s::dst : s::src1), c.operand(s::index), skips(c, s::oob_mode)};
  const RowList other = rows_of(c, scatter ? s::src1 : s::dst);
  if (!fits(c, table, other)) return;
  const std::vector<uint64_t> indices = indices_of(c, table.index);
  std::vector<uint64_t> sorted(indices);
  std::ranges::sort(sorted);
  if (const auto twice = std::ranges::adjacent_find(sorted); scatter && twice != sorted.end()) {
    if (*twice < table.rows.count())
      return c.fault(
          fmt::format("row {} is named twice, the indices of a sum are unique", shown(*twice, table.index.dtype)));
  }
  const auto add = numerics::alu_kernel(AluOp::add, numerics::AluForm::vector_vector);
  for_each_row(c, table, indices, [&](uint64_t k, const Strided& row) {
    const Strided mine = other[k];
    const uint64_t count = mine.elements();
    float* sum = c.scratch().rows[1].floats(count);
    float* term = c.scratch().rows[2].floats(count);
    convert_elements(c, contiguous(reinterpret_cast<std::byte*>(sum), DType::fp32, count), scatter ? row : mine);
    convert_elements(c, contiguous(reinterpret_cast<std::byte*>(term), DType::fp32, count), scatter ? mine : row);
    add(sum, term, sum, count);
    const Strided result = contiguous(reinterpret_cast<std::byte*>(sum), DType::fp32, count);
    const Strided& to = scatter ? row : mine;
    to.dtype == DType::fp32 ? copy_elements(c, to, result) : convert_elements(c, to, result);
  });
}

}  // namespace presil::chip
