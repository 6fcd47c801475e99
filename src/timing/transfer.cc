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

View one_partition(View v) {
  v.partitions = 1;
  return v;
}
View one_row(View v) {
  v.dims[0].count = 1;
  return v;
}

Units copy_units(const View& dst, const View& src, const spec::DmaSpec& dma) {
  const uint64_t runs = common_runs(dst, src);
  const uint64_t bytes = std::max(dst.bytes(), src.bytes());
  const uint64_t run_bytes = ceil_div(bytes, runs);
  Units u{.count = runs * ceil_div(run_bytes, dma.descriptor_bytes_max), .bytes = bytes};
  u.dispatched = u.count;
  uint64_t unit_bytes = ceil_div(bytes, u.count);
  // Too few for all engines: cut further, into pieces of equal size.
  if (u.count < dma.engines && unit_bytes > dma.descriptor_bytes_min) {
    unit_bytes = std::max<uint64_t>(dma.descriptor_bytes_min, ceil_div(bytes, dma.engines));
    u.count = ceil_div(bytes, unit_bytes);
  }
  u.transfer_bytes = std::max(bytes, u.count * dma.access_bytes_min);
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

// Rows of a table: a row is a copy of its own, whatever rows the indices name.
Units gather_units(const View& dst, const View& src, const spec::DmaSpec& dma) {
  const View to = one_partition(dst), from = one_row(src);
  const uint64_t runs = common_runs(to, from) * dst.partitions;
  const uint64_t run_bytes = ceil_div(dst.bytes(), runs);
  Units u{.count = runs * ceil_div(run_bytes, dma.descriptor_bytes_max), .bytes = dst.bytes()};
  u.dispatched = u.count;
  u.transfer_bytes = std::max(u.bytes, u.count * dma.access_bytes_min);
  return u;
}

// A sum of the sources: every source is fetched run by run. The documented rate is that of two sources, over the copy
// of one; more take in proportion to what is read.
Units compute_units(std::span<const View> operands, const spec::DmaSpec& dma) {
  const View& dst = operands[isa::slots::dma_compute::dst];
  Units u;
  uint64_t read = 0, sources = 0;
  for (const View& src : operands.subspan(isa::slots::dma_compute::src0)) {
    if (!src.present()) continue;
    const Units one = copy_units(dst, src, dma);
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

struct Sides {
  const View &dst, &src;
  uint64_t hbm_read_bytes = 0;
};

// Of a table, the rows that are fetched; of a sum, all sources.
uint64_t hbm_read_bytes(const isa::Program& program, const isa::Instruction& i) {
  const auto operands = program.operands(i);
  if (i.opcode == isa::Opcode::dma_gather) return operands[isa::slots::dma_gather::dst].bytes();
  uint64_t bytes = 0;
  for (const View& v : operands.subspan(1)) bytes += v.memory == Memory::hbm ? v.bytes() : 0;
  return bytes;
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
  const Split written = split(sides.dst.memory == Memory::hbm ? sides.dst.bytes() : 0, block, u, used);
  t.full.bytes = bytes.full, t.last.bytes = bytes.last;
  t.full.hbm_read_bytes = read.full, t.last.hbm_read_bytes = read.last;
  t.full.hbm_write_bytes = written.full, t.last.hbm_write_bytes = written.last;
}

Time dispatch_of(const Units& u, const spec::DmaSpec& dma) {
  const auto all = static_cast<__int128>(u.dispatched) * dma.dispatch_per_descriptor;
  return static_cast<Time>(std::min<__int128>(all, dma.dispatch_max));
}

}  // namespace

Transfer transfer(const isa::Program& program, const isa::Instruction& i, const spec::ChipSpec& spec) {
  CHECK(isa::is_dma(i.opcode) || i.opcode == isa::Opcode::sendrecv, "an instruction that moves data");
  const bool gathers = i.opcode == isa::Opcode::dma_gather;
  // All of them have these slots.
  const View &dst = program.operand(i, isa::slots::dma_copy::dst), &src = program.operand(i, isa::slots::dma_copy::src);
  const Sides sides{dst, src, hbm_read_bytes(program, i)};
  const spec::DmaSpec& dma = spec.dma;
  const bool from_hbm = sides.hbm_read_bytes > 0;
  const Units units = i.opcode == isa::Opcode::dma_transpose ? transpose_units(sides.dst, sides.src, spec)
                      : i.opcode == isa::Opcode::dma_compute ? compute_units(program.operands(i), dma)
                      : gathers                              ? gather_units(sides.dst, sides.src, dma)
                                                             : copy_units(sides.dst, sides.src, dma);
  Transfer t{.trigger = from_hbm ? dma.trigger_from_hbm : dma.trigger_from_sbuf,
             .start_latency = from_hbm ? dma.start_latency_from_hbm : dma.start_latency_from_sbuf,
             .floor = dma.transfer_floor,
             .completion = dma.completion,
             .dispatch = dispatch_of(units, dma)};
  // Software makes the descriptors of a gather, as fast as they are dispatched.
  if (gathers) t.trigger += static_cast<Time>(units.dispatched) * dma.dispatch_per_descriptor;
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
