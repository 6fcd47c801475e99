#include "timing/transfer.h"

#include <algorithm>
#include <numeric>

#include "isa/slots.h"
#include "timing/access.h"

namespace presil::timing {
namespace {

using isa::Memory;
using isa::View;

constexpr uint64_t ceil_div(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

// A transfer as equal units that are dealt to the engines in blocks.
struct Units {
  uint64_t count = 0;
  uint64_t descriptors = 1;     // of one unit
  uint64_t transfer_bytes = 0;  // of all units, as the engines' rates see them (padded)
  uint64_t bytes = 0;           // of all units, of the wider side
  uint64_t rate_percent = 100;
  uint64_t dispatched = 0;  // descriptors before runs are cut for the sake of more engines
};

// Contiguous runs that neither side interrupts.
uint64_t common_runs(const View& dst, const View& src) {
  const uint64_t total = src.elements(), a = contiguous_run(dst), b = contiguous_run(src);
  return total / a + total / b - total / std::lcm(a, b);
}

// A row of an indirect transfer: what one index moves of operand k.
View row_of(const isa::Program& program, const isa::Instruction& i, int k) {
  View v = program.operand(i, k);
  if (v.memory != Memory::hbm) {
    v.partitions = 1;
  } else if (v.rank > 0) {
    v.dims[0].count = 1;
  }
  return v;
}

// Descriptors of two patterns that both say one of `rows` rows, each a copy of its own.
Units runs_of(const View& dst, const View& src, uint64_t rows, const spec::DmaSpec& dma) {
  const uint64_t runs = common_runs(dst, src) * rows;
  const uint64_t bytes = std::max(dst.bytes(), src.bytes()) * rows;
  const uint64_t run_bytes = ceil_div(bytes, runs);
  Units u{.count = runs * ceil_div(run_bytes, dma.descriptor_bytes_max), .bytes = bytes};
  u.dispatched = u.count;
  u.transfer_bytes = std::max(bytes, u.count * dma.access_bytes_min);
  return u;
}

Units copy_units(const View& dst, const View& src, const spec::DmaSpec& dma) {
  Units u = runs_of(dst, src, 1, dma);
  uint64_t unit_bytes = ceil_div(u.bytes, u.count);
  // Too few for all engines: cut further, into pieces of equal size.
  if (u.count < dma.engines && unit_bytes > dma.descriptor_bytes_min) {
    unit_bytes = std::max<uint64_t>(dma.descriptor_bytes_min, ceil_div(u.bytes, dma.engines));
    u.count = ceil_div(u.bytes, unit_bytes);
    u.transfer_bytes = std::max(u.bytes, u.count * dma.access_bytes_min);
  }
  return u;
}

// dst[p, f] = src[f, p]: a unit is a column f, read as a row of the source; blocks of partitions x transpose_columns
// are always whole.
Units transpose_units(const View& dst, const View& src, const spec::ChipSpec& spec) {
  const spec::DmaSpec& dma = spec.dma;
  const uint64_t rows = dst.partitions, columns = dst.elements_per_partition(), size = dtype_bytes(dst.dtype);
  const uint64_t padded_rows = ceil_div(rows, spec.sbuf.partitions) * spec.sbuf.partitions;
  const uint64_t padded_columns = ceil_div(columns, dma.transpose_columns) * dma.transpose_columns;
  const uint64_t run = src.memory == Memory::hbm ? std::min(contiguous_run(src), rows) : rows;
  Units u{.count = padded_columns,
          .descriptors = ceil_div(rows, run),
          .bytes = rows * columns * size,
          .rate_percent = src.memory == Memory::hbm ? dma.transpose_percent_hbm : dma.transpose_percent_sbuf};
  const uint64_t unit_bytes = std::max(padded_rows * size, u.descriptors * dma.access_bytes_min);
  u.transfer_bytes = u.count * unit_bytes;
  u.dispatched = u.count * u.descriptors;
  return u;
}

// A sum of the sources: every source is fetched run by run. The documented rate is that of two sources, over the copy
// of one; more take in proportion to what is read.
Units compute_units(const isa::Program& program, const isa::Instruction& i, const spec::DmaSpec& dma) {
  namespace s = isa::slots::dma_compute;
  const bool indirect = isa::index_of(program, i) >= 0;
  Units u;
  uint64_t read = 0, sources = 0;
  for (int k = s::src0; k <= isa::kComputeSources; ++k) {
    const View src = isa::moved(program, i, k);
    if (!src.present()) continue;
    const Units one = indirect
                          ? runs_of(row_of(program, i, s::dst), row_of(program, i, k), isa::rows_moved(program, i), dma)
                          : copy_units(program.operand(i, s::dst), src, dma);
    u.count = std::max(u.count, one.count), u.dispatched += one.dispatched;
    u.bytes = std::max(u.bytes, one.bytes);
    read += src.bytes(), ++sources;
  }
  u.descriptors = sources;
  u.bytes = std::max(u.bytes, ceil_div(read, 2));
  u.rate_percent = dma.compute_percent;
  u.transfer_bytes = std::max(u.bytes, u.count * sources * dma.access_bytes_min);
  return u;
}

// Bytes that cross the HBM's interface: of a table, the rows that are named; of a sum, all sources.
struct Sides {
  uint64_t hbm_read_bytes = 0, hbm_write_bytes = 0;
};
Sides sides_of(const isa::Program& program, const isa::Instruction& i) {
  const auto bytes = [&](int k) {
    const View v = isa::moved(program, i, k);
    return v.memory == Memory::hbm ? v.bytes() : 0;
  };
  Sides sides{.hbm_write_bytes = bytes(isa::slots::dma_copy::dst)};
  for (int k = isa::slots::dma_copy::src; k < i.operand_count; ++k) sides.hbm_read_bytes += bytes(k);
  return sides;
}

// The share of an engine that has `count` of the units; bytes are given, times follow from the units.
Share share_of(const Units& u, uint64_t count, const spec::DmaSpec& dma) {
  const uint64_t padded = ceil_div(u.transfer_bytes, u.count) * count;
  Share s{.descriptors = count * u.descriptors};
  const Time fixed = static_cast<Time>(s.descriptors) * dma.descriptor;
  s.on_queue = fixed + duration_up(padded * 100, dma.queue_bytes_per_s * u.rate_percent);
  s.on_engine = fixed + duration_up(padded * 100, dma.engine_bytes_per_s * u.rate_percent);
  return s;
}

// Splits `amount` bytes in proportion to the units; what does not divide goes to the last engine.
struct Split {
  uint64_t full = 0, last = 0;
};
Split split(uint64_t amount, uint64_t block, const Units& u, uint64_t engines_used) {
  const auto product = static_cast<unsigned __int128>(amount) * std::min(block, u.count);
  const uint64_t full = engines_used == 1 ? amount : static_cast<uint64_t>(product / u.count);
  return {full, amount - (engines_used - 1) * full};
}

void deal(const Units& u, const Sides& sides, const spec::DmaSpec& dma, Transfer& t) {
  const uint64_t block = ceil_div(u.count, dma.engines);
  const uint64_t used = ceil_div(u.count, block);
  t.engines_used = static_cast<uint32_t>(used);
  t.full = share_of(u, block, dma);
  t.last = share_of(u, u.count - (used - 1) * block, dma);
  const Split bytes = split(u.bytes, block, u, used);
  const Split read = split(sides.hbm_read_bytes, block, u, used);
  const Split written = split(sides.hbm_write_bytes, block, u, used);
  t.full.bytes = bytes.full, t.last.bytes = bytes.last;
  t.full.hbm_read_bytes = read.full, t.last.hbm_read_bytes = read.last;
  t.full.hbm_write_bytes = written.full, t.last.hbm_write_bytes = written.last;
}

Time dispatch_of(const Units& u, const spec::DmaSpec& dma) {
  const auto all = static_cast<__int128>(u.dispatched) * dma.dispatch_per_descriptor;
  return static_cast<Time>(std::min<__int128>(all, dma.dispatch_max));
}

Units units_of(const isa::Program& program, const isa::Instruction& i, const spec::ChipSpec& spec) {
  // All of them have these slots.
  const View &dst = program.operand(i, isa::slots::dma_copy::dst), &src = program.operand(i, isa::slots::dma_copy::src);
  const bool indirect = isa::index_of(program, i) >= 0;
  if (i.opcode == isa::Opcode::dma_compute) return compute_units(program, i, spec.dma);
  if (i.opcode == isa::Opcode::dma_transpose)
    return transpose_units(dst, indirect ? row_of(program, i, isa::slots::dma_copy::src) : src, spec);
  if (!indirect) return copy_units(dst, src, spec.dma);
  return runs_of(row_of(program, i, isa::slots::dma_copy::dst), row_of(program, i, isa::slots::dma_copy::src),
                 isa::rows_moved(program, i), spec.dma);
}

isa::DgeMode dge_mode_of(const isa::Program& program, const isa::Instruction& i) {
  if (isa::index_of(program, i) >= 0) return isa::DgeMode::swdge;
  if (i.opcode == isa::Opcode::dma_compute || i.opcode == isa::Opcode::sendrecv) return isa::DgeMode::unknown;
  const bool copies = i.opcode == isa::Opcode::dma_copy;
  const int k = copies ? int{isa::slots::dma_copy::dge_mode} : int{isa::slots::dma_transpose::dge_mode};
  return static_cast<isa::DgeMode>(program.word(i, k));
}

uint32_t priority_of(const isa::Program& program, const isa::Instruction& i) {
  if (i.opcode == isa::Opcode::sendrecv) return 0;
  const int k = i.opcode == isa::Opcode::dma_copy        ? int{isa::slots::dma_copy::priority}
                : i.opcode == isa::Opcode::dma_transpose ? int{isa::slots::dma_transpose::priority}
                                                         : int{isa::slots::dma_compute::priority};
  return std::min(program.word(i, k), isa::kServiceClasses - 1);
}

}  // namespace

Transfer transfer(const isa::Program& program, const isa::Instruction& i, const spec::ChipSpec& spec) {
  CHECK(isa::is_dma(i.opcode) || i.opcode == isa::Opcode::sendrecv, "an instruction that moves data");
  const spec::DmaSpec& dma = spec.dma;
  const Sides sides = sides_of(program, i);
  const bool from_hbm = sides.hbm_read_bytes > 0;
  const Units units = units_of(program, i, spec);
  const isa::DgeMode mode = dge_mode_of(program, i);
  Transfer t{.trigger = from_hbm ? dma.trigger_from_hbm : dma.trigger_from_sbuf,
             .start_latency = from_hbm ? dma.start_latency_from_hbm : dma.start_latency_from_sbuf,
             .floor = dma.transfer_floor,
             .completion = dma.completion,
             .dispatch = dispatch_of(units, dma),
             .weight = 1};
  if (mode == isa::DgeMode::swdge) t.trigger += static_cast<Time>(units.dispatched) * dma.software_descriptor;
  if (mode == isa::DgeMode::hwdge) t.prepare = dma.hardware_generation;
  for (uint32_t k = priority_of(program, i); k + 1 < isa::kServiceClasses; ++k) t.weight *= dma.class_ratio;
  deal(units, sides, dma, t);
  return t;
}

Time start_offset(const Transfer& t, uint32_t engine) {
  const Share& s = share(t, engine);
  const uint64_t through = engine * t.full.descriptors + s.descriptors;
  const uint64_t all = (t.engines_used - 1) * t.full.descriptors + t.last.descriptors;
  const auto part = static_cast<__int128>(t.dispatch) * through / all;
  return std::max<Time>(0, static_cast<Time>(part) - s.on_queue);
}

Time unloaded_duration(const Transfer& t) {
  Time end = 0;
  for (uint32_t e = 0; e < t.engines_used; ++e) end = std::max(end, start_offset(t, e) + share(t, e).on_queue);
  return end;
}

}  // namespace presil::timing
