// Runs a workload on the simulator and reads a quantity from its trace, as a profiler would show it.
#pragma once
#include <string_view>
#include <vector>

#include "isa/executable.h"
#include "spec/chip_spec.h"
#include "tile/tile_program.h"
#include "trace/trace.h"

namespace presil::validate {

struct Interval {
  Time start = 0, end = 0;
  Time duration() const { return end - start; }
};

// A finished run with its trace.
struct Measured {
  Time elapsed = 0;
  std::vector<trace::Lane> lanes;
  std::vector<trace::Event> events;
  std::vector<isa::Source> sources;

  // Instructions of that tile op, in order of start; a DMA instruction is its trigger.
  std::vector<Interval> instructions(std::string_view tile_op) const;
  // Shares of that tile op on one DMA engine, in order of start.
  std::vector<Interval> shares(std::string_view tile_op, uint32_t engine) const;
  // First start and last end over all shares of that tile op.
  Interval transfer(std::string_view tile_op) const;

 private:
  std::vector<Interval> select(std::string_view tile_op, std::string_view lane) const;
};

// The workloads are our own: one that does not fit the chip or does not end well is a bug of ours.
Measured measure(tile::TileProgram program, const spec::ChipSpec& spec);

// The same for long workloads, without keeping events.
struct Totals {
  Time elapsed = 0;
  Time dma_packet_time = 0;  // summed over shares, without the time they took longer because they shared an engine
};
Totals measure_totals(tile::TileProgram program, const spec::ChipSpec& spec);
Totals measure_totals(const isa::Executable& executable, const spec::ChipSpec& spec);

}  // namespace presil::validate
