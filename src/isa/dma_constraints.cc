// What transfers ask of their operands: shapes and types, who makes their descriptors, indices into tables (fact sheet,
// sections 2.3, 4.4, 5 and 9.5).
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "isa/constraints.h"
#include "isa/control.h"
#include "isa/slots.h"

namespace presil::isa {
namespace {

// Indices of a transposing gather.
constexpr uint32_t kIndexBlock = 16, kIndexPartitionsMax = 128;
// Rows that the hardware block's transposes and those by index take.
constexpr uint32_t kTransposeRows = 16, kTransposeColumnsMax = 128;

DgeMode dge_mode(const Check& c, int k) { return static_cast<DgeMode>(c.word(k)); }

void check_priority(const Check& c, int k) {
  const uint32_t priority = c.word(k);
  if (priority >= kServiceClasses) {
    c.fail_attribute(k, fmt::format("{}, from 0 to {}", static_cast<int32_t>(priority), kServiceClasses - 1));
  } else if (priority > 0 && c.spec.generation < 4) {
    c.fail_attribute(
        k, fmt::format("{} needs generation 4, {} is generation {}", priority, c.spec.name, c.spec.generation));
  }
}

void check_oob(const Check& c, int k) {
  if (c.word(k) != 0 && index_of(c.program, c.instruction) < 0) c.fail_attribute(k, "skip, but there is no index");
}

// Which sequencers reach the maker of the descriptors, and what it can do.
void check_descriptors(const Check& c, int k) {
  const DgeMode mode = dge_mode(c, k);
  const EngineKind engine = c.instruction.engine;
  const auto runs_on = [&](std::string_view legal) {
    c.fail_attribute(k,
                     fmt::format("{} is commanded by {}, this is {}", dge_mode_name(mode), legal, engine_name(engine)));
  };
  if (mode == DgeMode::swdge && engine != EngineKind::gpsimd) runs_on("gpsimd");
  const auto moved = [&](const Delta& d) { return d.of_register && d.target == Delta::Target::operand; };
  if (mode == DgeMode::none && std::ranges::any_of(c.program.deltas_of(c.instruction), moved))
    c.fail_attribute(k, "none, but an address follows a register");
  if (mode != DgeMode::hwdge) return;
  if (c.spec.generation < 3) {
    c.fail_attribute(k, fmt::format("hwdge needs generation 3, {} is generation {}", c.spec.name, c.spec.generation));
  }
  if (engine != EngineKind::scalar && engine != EngineKind::sync) runs_on("scalar and sync");
  const DType dst = c.operand(slots::dma_copy::dst).dtype, src = c.operand(slots::dma_copy::src).dtype;
  if (dst != src)
    c.fail_attribute(k, fmt::format("hwdge converts nothing, dst is {} and src {}", dtype_name(dst), dtype_name(src)));
}

// Software makes the descriptors of what an index says, from generation 3 on.
void check_index(const Check& c, int k, int mode, std::initializer_list<DType> types) {
  if (c.spec.generation < 3) {
    c.fail_operand(k, fmt::format("needs generation 3, {} is generation {}", c.spec.name, c.spec.generation));
  }
  if (c.instruction.engine != EngineKind::gpsimd) {
    c.fail_operand(
        k, fmt::format("needs gpsimd, which makes the descriptors; this is {}", engine_name(c.instruction.engine)));
  }
  if (mode >= 0 && dge_mode(c, mode) != DgeMode::unknown && dge_mode(c, mode) != DgeMode::swdge)
    c.fail_attribute(mode, fmt::format("{}, an index needs swdge", dge_mode_name(dge_mode(c, mode))));
  type_among(c, k, types);
}

// Elements of a table's row; 0 and a finding if it has no rows.
uint64_t row_elements(const Check& c, int table) {
  const View& v = c.operand(table);
  if (v.memory != Memory::hbm) {
    c.fail_operand(table, fmt::format("is in {}, a table is in hbm", memory_name(v.memory)));
    return 0;
  }
  if (v.rank == 0) {
    c.fail_operand(table, "0 dimensions, the first counts the rows of the table");
    return 0;
  }
  return v.elements() / v.dims[0].count;
}

// Rows that are written share no element: their order is that of the DMA engines.
void check_apart(const Check& c, int table) {
  const View& v = c.operand(table);
  std::vector<Dim> dims;
  for (const Dim& d : v.pattern()) {
    if (d.count > 1) dims.push_back({std::abs(d.step), d.count});
  }
  std::ranges::sort(dims, {}, &Dim::step);
  int64_t reach = 0;
  for (const Dim& d : dims) {
    if (d.step <= reach)
      return c.fail_operand(table,
                            fmt::format("rows share elements: a step of {} behind {} elements", d.step, reach + 1));
    reach += int64_t{d.step} * (d.count - 1);
  }
}

// What is not the table has a row per index: a partition, in HBM a step of its first dimension.
void check_rows(const Check& c, int k, int table, int index) {
  const uint64_t row = row_elements(c, table);
  if (row == 0) return;
  if (table == slots::dma_copy::dst) check_apart(c, table);
  const View& v = c.operand(k);
  elements_within(c, index, 1, 1);
  const uint32_t rows = v.memory != Memory::hbm ? v.partitions : v.rank == 0 ? 1 : v.dims[0].count;
  if (c.operand(index).partitions != rows) {
    c.fail_operand(index, fmt::format("{} partitions, {} has {} rows", c.operand(index).partitions,
                                      isa::row(c.instruction.opcode).operands[static_cast<size_t>(k)].name, rows));
  }
  if (v.elements() / rows != row)
    c.fail_operand(
        table, fmt::format("{} elements per row, {} has {}", row,
                           isa::row(c.instruction.opcode).operands[static_cast<size_t>(k)].name, v.elements() / rows));
}

// Types are equal: that descriptors made by software convert is not documented.
void check_indirect_copy(const Check& c) {
  namespace s = slots::dma_copy;
  const bool scatter = c.word(s::scatter) != 0;
  check_index(c, s::index, s::dge_mode, {DType::uint32, DType::int32});
  same_type(c, s::src, s::dst);
  check_rows(c, scatter ? s::src : s::dst, scatter ? s::dst : s::src, s::index);
}

// The table's rows are read, or read and written; the sum's other operand lies in SBUF.
void check_indirect_sum(const Check& c) {
  namespace s = slots::dma_compute;
  check_index(c, s::index, -1, {DType::uint32, DType::int32});
  const View &dst = c.operand(s::dst), &first = c.operand(s::src0);
  if (!c.present(s::src1) || c.present(s::src1 + 1)) return c.fail_operand(s::index, "takes exactly two sources");
  const bool scatter = dst.memory == Memory::hbm;
  const bool same_place = first.memory == dst.memory && first.dtype == dst.dtype && first.base == dst.base &&
                          first.peer == dst.peer && first.offset == dst.offset && first.partition == dst.partition &&
                          first.partitions == dst.partitions && std::ranges::equal(first.pattern(), dst.pattern());
  if (!same_place) c.fail_operand(s::src0, "is not dst, which an indirect sum adds to");
  const Memory expected = scatter ? Memory::sbuf : Memory::hbm;
  if (c.operand(s::src1).memory != expected)
    return c.fail_operand(s::src1, fmt::format("is in {}, expected {}: one of dst and src1 is a table in hbm",
                                               memory_name(c.operand(s::src1).memory), memory_name(expected)));
  check_rows(c, scatter ? s::src1 : s::dst, scatter ? s::dst : s::src1, s::index);
}

// dst[p,f] = src[index[f],p].
void check_indirect_transpose(const Check& c) {
  namespace s = slots::dma_transpose;
  const View &src = c.operand(s::src), &index = c.operand(s::index);
  check_index(c, s::index, s::dge_mode, {DType::uint32});
  if (dtype_bytes(src.dtype) != 2)
    c.fail_operand(s::src, fmt::format("type is {}, rows by index have 2-byte elements", dtype_name(src.dtype)));
  const uint64_t row = row_elements(c, s::src), rows = c.elements(s::dst);
  if (row > kTransposeColumnsMax)
    c.fail_operand(s::src, fmt::format("{} elements per row, at most {}", row, kTransposeColumnsMax));
  if (row > 0 && row != c.operand(s::dst).partitions)
    c.fail_operand(s::dst, fmt::format("{} partitions, a row of src has {}", c.operand(s::dst).partitions, row));
  if (rows % kTransposeRows != 0)
    c.fail_operand(s::dst, fmt::format("{} elements per partition, expected a multiple of {}", rows, kTransposeRows));
  if (index.partitions % kIndexBlock != 0 || index.partitions > kIndexPartitionsMax) {
    c.fail_operand(s::index, fmt::format("{} partitions, expected a multiple of {} up to {}", index.partitions,
                                         kIndexBlock, kIndexPartitionsMax));
  } else if (c.elements(s::index) > 1 && index.partitions != kIndexPartitionsMax) {
    c.fail_operand(s::index,
                   fmt::format("{} partitions, several columns need {}", index.partitions, kIndexPartitionsMax));
  }
  if (index.elements() < rows)
    c.fail_operand(s::index, fmt::format("{} indices, dst has {} columns", index.elements(), rows));
}

// Of the two pages about the hardware block the newer one counts: up to 128 columns, not a multiple of 128.
void check_hardware_transpose(const Check& c, uint64_t rows, uint64_t columns) {
  namespace s = slots::dma_transpose;
  const DgeMode mode = dge_mode(c, s::dge_mode);
  if (mode == DgeMode::swdge || mode == DgeMode::none)
    return c.fail_attribute(s::dge_mode,
                            fmt::format("{}, a transpose without index is hwdge or unknown", dge_mode_name(mode)));
  if (mode != DgeMode::hwdge) return;
  if (rows != kTransposeRows || columns > kTransposeColumnsMax)
    c.fail_operand(s::src, fmt::format("{} x {} elements, hwdge transposes {} rows of at most {}", rows, columns,
                                       kTransposeRows, kTransposeColumnsMax));
  if (dtype_bytes(c.operand(s::src).dtype) != 2)
    c.fail_operand(s::src,
                   fmt::format("type is {}, hwdge transposes 2-byte elements", dtype_name(c.operand(s::src).dtype)));
}

}  // namespace

void check_dma_copy(const Check& c) {
  namespace s = slots::dma_copy;
  const View &dst = c.operand(s::dst), &src = c.operand(s::src);
  check_priority(c, s::priority);
  check_oob(c, s::oob_mode);
  check_descriptors(c, s::dge_mode);
  if (c.present(s::index)) return check_indirect_copy(c);
  if (c.word(s::scatter) != 0) c.fail_attribute(s::scatter, "there is no index");
  if (dst.elements() != src.elements()) {
    c.fail_operand(s::src, fmt::format("{} elements, dst has {}", src.elements(), dst.elements()));
  }
  if (dst.dtype == src.dtype) return;
  for (int k : {s::dst, s::src}) {
    if (c.operand(k).dtype == DType::int64) c.fail_operand(k, "type is int64, a DMA converts up to 32 bits");
  }
}

// dst[p,f] = src[f,p]; in HBM the last dimension is p.
void check_dma_transpose(const Check& c) {
  namespace s = slots::dma_transpose;
  const View& src = c.operand(s::src);
  check_priority(c, s::priority);
  check_oob(c, s::oob_mode);
  check_descriptors(c, s::dge_mode);
  same_type(c, s::src, s::dst);
  if (c.present(s::index)) return check_indirect_transpose(c);
  size_t size = dtype_bytes(src.dtype);
  if (size != 2 && size != 4) {
    c.fail_operand(s::src,
                   fmt::format("type is {}, the DMA engines transpose 2- and 4-byte elements", dtype_name(src.dtype)));
  }
  uint64_t columns =
      src.memory == Memory::hbm ? (src.rank > 0 ? src.dims[src.rank - 1u].count : 1) : c.elements(s::src);
  transposed_shape(c, s::dst, src.elements() / columns, columns);
  check_hardware_transpose(c, src.elements() / columns, columns);
}

void check_dma_compute(const Check& c) {
  namespace s = slots::dma_compute;
  check_priority(c, s::priority);
  check_oob(c, s::oob_mode);
  const uint64_t elements = c.operand(s::dst).elements();
  const bool indirect = c.present(s::index);
  for (int k = s::dst; k <= kComputeSources; ++k) {
    if (!c.present(k)) continue;
    if (!indirect && c.operand(k).elements() != elements)
      c.fail_operand(k, fmt::format("{} elements, dst has {}", c.operand(k).elements(), elements));
    if (c.operand(k).dtype == DType::int64) c.fail_operand(k, "type is int64, a DMA converts up to 32 bits");
    if (k > s::src0 && !c.present(k - 1)) c.fail_operand(k, "follows a source that is missing");
  }
  check_comparison(c, s::op, {AluOp::add});
  if (indirect) check_indirect_sum(c);
}

}  // namespace presil::isa
