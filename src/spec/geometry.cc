// Rules between fields: what no machine can be, and what nothing here can simulate.
#include <fmt/format.h>

#include <algorithm>

#include "spec/fields.h"

namespace presil::spec {
namespace {

using Findings = std::vector<Finding>;

void check_partitions(const ChipSpec& s, Findings& out) {
  if (s.tensor.rows != s.sbuf.partitions) {
    out.push_back(
        {{"tensor.rows", "sbuf.partitions"},
         fmt::format("the array has {0} rows, but SBUF {1} partitions: a row is fed by its partition; set "
                     "sbuf.partitions and psum.partitions to {0} (and the lanes of vector, scalar and gpsimd, "
                     "unless they shall take several passes), or tensor.rows to {1}",
                     s.tensor.rows, s.sbuf.partitions)});
  }
  if (s.tensor.columns > s.psum.partitions) {
    out.push_back({{"tensor.columns", "psum.partitions"},
                   fmt::format("the array has {} columns, but PSUM only {} partitions to receive them",
                               s.tensor.columns, s.psum.partitions)});
  }
  if (s.psum.partitions != s.sbuf.partitions) {
    out.push_back({{"psum.partitions", "sbuf.partitions"},
                   fmt::format("PSUM has {} partitions and SBUF {}: engines move data between equal partitions",
                               s.psum.partitions, s.sbuf.partitions)});
  }
  // Start partitions are multiples of 32 (architecture guide, partition rules).
  if (s.sbuf.partitions % 32 != 0) {
    out.push_back({{"sbuf.partitions"}, fmt::format("{} is not a multiple of 32", s.sbuf.partitions)});
  }
  if (s.tensor.columns % 32 != 0) {
    out.push_back({{"tensor.columns"}, fmt::format("{} is not a multiple of 32", s.tensor.columns)});
  }
}

void check_banks(std::string name, const SramSpec& sram, Findings& out) {
  if (sram.bytes_per_partition % sram.banks == 0 && sram.bytes_per_partition / sram.banks % 64 == 0) return;
  out.push_back(
      {{name + ".partition_size", name + ".banks"},
       fmt::format("{} B in {} banks: a bank must be a multiple of 64 B", sram.bytes_per_partition, sram.banks)});
}

void check_memories(const ChipSpec& s, Findings& out) {
  check_banks("sbuf", s.sbuf, out);
  check_banks("psum", s.psum, out);
  // Until generation 3 a matmul's result lies in one bank, afterwards in one partition (fact sheet, section 1.1).
  const bool one_bank = s.generation < 4;
  const uint64_t room = s.psum.bytes_per_partition / (one_bank ? s.psum.banks : 1);
  if (uint64_t{s.tensor.moving_max} * 4 > room) {
    out.push_back({{"tensor.moving_max", "psum.banks", "psum.partition_size"},
                   fmt::format("{} fp32 results of one matmul do not fit a PSUM {} of {} B", s.tensor.moving_max,
                               one_bank ? "bank" : "partition", room)});
  }
  if (s.tensor.columns > s.tensor.moving_max) {
    out.push_back({{"tensor.moving_max", "tensor.columns"},
                   fmt::format("{} moving columns are fewer than the array's {}: a transpose would not fit",
                               s.tensor.moving_max, s.tensor.columns)});
  }
}

void check_dma(const ChipSpec& s, Findings& out) {
  if (s.dma.queue_bytes_per_s > s.dma.engine_bytes_per_s) {
    out.push_back({{"dma.queue_bandwidth", "dma.engine_bandwidth"},
                   fmt::format("one queue ({}) cannot be faster than its engine ({})",
                               print_quantity(s.dma.queue_bytes_per_s, Unit::bytes_per_second),
                               print_quantity(s.dma.engine_bytes_per_s, Unit::bytes_per_second))});
  }
  if (s.dma.descriptor_bytes_min * 2 > s.dma.descriptor_bytes_max) {
    out.push_back({{"dma.descriptor_min", "dma.descriptor_max"},
                   fmt::format("{} B is more than half of descriptor_max, {} B", s.dma.descriptor_bytes_min,
                               s.dma.descriptor_bytes_max)});
  }
}

void check_stacks(const ChipSpec& s, Findings& out) {
  if (s.cores % s.hbm.stacks == 0) return;
  out.push_back({{"hbm.stacks", "cores"},
                 fmt::format("{} stacks for {} cores: every stack is attached to as many", s.hbm.stacks, s.cores)});
}

void check_names(const ChipSpec& s, Findings& out) {
  const std::vector<std::string> known{"sbuf", "psum", "hbm"};
  ChipSpec copy = s;
  for (const Field& f : chip_fields()) {
    if (!f.is_names()) continue;
    for (const std::string& name : f.names(copy)) {
      if (std::find(known.begin(), known.end(), name) != known.end()) continue;
      out.push_back({{f.path()}, fmt::format("unknown memory \"{}\"; expected sbuf, psum or hbm", name)});
    }
  }
}

}  // namespace

std::vector<Finding> check_geometry(const ChipSpec& spec) {
  Findings out;
  check_names(spec, out);
  check_partitions(spec, out);
  check_memories(spec, out);
  check_dma(spec, out);
  check_stacks(spec, out);
  return out;
}

}  // namespace presil::spec
