#include "system/residency.h"

#include <fmt/format.h>

#include <algorithm>

#include "isa/slots.h"

namespace presil::system {
namespace {

constexpr uint32_t kCellPartitions = 32, kCellBytes = 64;
constexpr uint64_t kCell = uint64_t{kCellPartitions} * kCellBytes;

constexpr uint64_t ceil_div(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

// A stretch of a tensor, as it is.
bool moves_data(const isa::Program& program, const isa::Instruction& i) {
  return (i.opcode == isa::Opcode::dma_copy || i.opcode == isa::Opcode::dma_transpose) && isa::index_of(program, i) < 0;
}

// Byte-times of one owner by slice, as exact sums.
struct Row {
  std::vector<__int128> inside, steps;  // added in a slice; added in this and every later slice
  void add(Time since, Time until, Time slice, uint64_t bytes) {
    if (inside.empty()) return;
    const auto first = static_cast<size_t>(since / slice), last = static_cast<size_t>(until / slice);
    const auto weight = static_cast<__int128>(bytes);
    if (first == last) {
      inside[first] += weight * (until - since);
      return;
    }
    inside[first] += weight * (slice - since % slice);
    inside[last] += weight * (until % slice);
    steps[first + 1] += weight * slice;
    steps[last] -= weight * slice;
  }
};

}  // namespace

Residency::Residency(const isa::Executable& executable, const spec::ChipSpec& spec) : executable_(executable) {
  for (const isa::Layer& layer : executable.layers) names_.push_back("result of " + layer.name);
  for (size_t t = 0; t < executable.tensors.size(); ++t) {
    const isa::HbmTensor& tensor = executable.tensors[t];
    names_.push_back(std::string(isa::role_name(tensor.role)) + " " + tensor.name);
    tensor_at_.emplace(static_cast<int64_t>(tensor.address), static_cast<uint32_t>(t));
  }
  names_.push_back("unknown");
  for (uint32_t core = 0; core < executable.lnc; ++core) {
    for (const auto& [name, sram] : {std::pair("SBUF", &spec.sbuf), std::pair("PSUM", &spec.psum)}) {
      Memory m;
      m.name = executable.lnc == 1 ? name : fmt::format("{} of core {}", name, core);
      m.columns = static_cast<uint32_t>(ceil_div(sram->bytes_per_partition, kCellBytes));
      m.rows = static_cast<uint32_t>(ceil_div(sram->partitions, kCellPartitions));
      m.cells.resize(size_t{m.columns} * m.rows);
      memories_.push_back(std::move(m));
    }
  }
  static_.resize(executable.queues.size());
  for (size_t q = 0; q < executable.queues.size(); ++q) {
    for (const isa::Instruction& i : executable.queues[q].code) {
      static_[q].push_back(boxes_of(executable.queues[q], i));
    }
  }
}

Residency::Static Residency::boxes_of(const isa::Program& program, const isa::Instruction& instruction) {
  Static s;
  const bool known = instruction.source < executable_.sources.size();
  uint32_t layer = known ? executable_.sources[instruction.source].layer : kNobody;
  if (layer >= executable_.layers.size()) layer = static_cast<uint32_t>(names_.size() - 1);
  for (uint8_t k = 0; k < instruction.operand_count; ++k) {
    const isa::View& view = program.operand(instruction, k);
    if (!view.present()) continue;
    const isa::ByteRange range = isa::byte_range(view);
    if (view.memory == isa::Memory::hbm) {
      if (moves_data(program, instruction) && k == isa::slots::dma_copy::src) s.from_hbm = {range.begin, k, true};
      continue;
    }
    const int core = program.core ^ view.peer;
    s.boxes.push_back({.memory = 2 * core + (view.memory == isa::Memory::sbuf ? 0 : 1),
                       .writes = isa::access_of(program, instruction, k) != isa::Access::read,
                       .row_begin = view.partition / kCellPartitions,
                       .row_end = static_cast<uint32_t>(ceil_div(view.partition + view.partitions, kCellPartitions)),
                       .begin = range.begin,
                       .end = range.end,
                       .operand = k,
                       .owner = layer});
  }
  return s;
}

uint32_t Residency::owner_of_address(int64_t address) const {
  auto after = tensor_at_.upper_bound(address);
  if (after == tensor_at_.begin()) return static_cast<uint32_t>(names_.size() - 1);
  return static_cast<uint32_t>(executable_.layers.size()) + std::prev(after)->second;
}

void Residency::access(uint32_t queue, uint32_t instruction, const std::vector<int64_t>& offsets, Time start, Time end,
                       uint32_t event) {
  const Static& s = static_[queue][instruction];
  const bool transfer = moves_data(executable_.queues[queue], executable_.queues[queue].code[instruction]);
  for (Box box : s.boxes) {
    box.begin += offsets[box.operand];
    box.end += offsets[box.operand];
    if (box.writes && s.from_hbm.present) {
      box.owner = owner_of_address(s.from_hbm.begin + offsets[s.from_hbm.operand]);
    }
    touch(box, start, end);
    if (transfer) transfers_[event].push_back(box);
  }
}

void Residency::prolong(uint32_t event, Time end) {
  auto found = transfers_.find(event);
  if (found == transfers_.end()) return;
  for (Box box : found->second) {
    box.writes = false;
    touch(box, end, end);
  }
}

void Residency::leave(Memory& memory, const Cell& cell) {
  if (cell.owner == kNobody || cell.until == cell.since) return;
  if (!memory.stays.empty()) {  // neighbours mostly come and go together
    Memory::Stay& last = memory.stays.back();
    if (last.owner == cell.owner && last.since == cell.since && last.until == cell.until) {
      ++last.cells;
      return;
    }
  }
  memory.stays.push_back({cell.owner, 1, cell.since, cell.until});
}

void Residency::touch(const Box& box, Time start, Time end) {
  Memory& m = memories_[static_cast<size_t>(box.memory)];
  const auto begin = static_cast<uint32_t>(box.begin / kCellBytes);
  const auto stop = std::min(m.columns, static_cast<uint32_t>(ceil_div(static_cast<uint64_t>(box.end), kCellBytes)));
  for (uint32_t row = box.row_begin; row < std::min(m.rows, box.row_end); ++row) {
    for (uint32_t column = begin; column < stop; ++column) {
      Cell& cell = m.cells[size_t{row} * m.columns + column];
      if (box.writes && cell.owner != box.owner) {
        leave(m, cell);
        cell = {box.owner, start, start};
      }
      cell.until = std::max(cell.until, end);
    }
  }
}

uint64_t Residency::peak_of(const Memory& memory) {
  std::vector<std::pair<Time, int64_t>> changes;  // what goes comes before what comes at the same time
  for (const Memory::Stay& stay : memory.stays) {
    changes.emplace_back(stay.since, int64_t{stay.cells});
    changes.emplace_back(stay.until, -int64_t{stay.cells});
  }
  std::ranges::sort(changes);
  int64_t now = 0, peak = 0;
  for (const auto& [time, cells] : changes) peak = std::max(peak, now += cells);
  return static_cast<uint64_t>(peak) * kCell;
}

std::vector<trace::Residency> Residency::finish(Time elapsed, uint32_t slices) {
  std::vector<trace::Residency> all;
  const Time slice = std::max<Time>(1, (elapsed + slices - 1) / slices);
  const auto count = static_cast<size_t>(elapsed / slice) + 2;
  for (Memory& m : memories_) {
    for (Cell& cell : m.cells) leave(m, cell);
    std::vector<Row> rows(names_.size());
    for (const Memory::Stay& stay : m.stays) {
      Row& row = rows[stay.owner];
      if (row.inside.empty()) row.inside.resize(count), row.steps.resize(count);
      row.add(stay.since, std::min(stay.until, elapsed), slice, stay.cells * kCell);
    }
    trace::Residency r{.memory = m.name, .capacity_bytes = m.cells.size() * kCell};
    r.peak_bytes = peak_of(m);
    r.slice = slice;
    for (size_t n = 0; n < rows.size(); ++n) {
      trace::Residency::Row out{.name = names_[n]};
      __int128 steady = 0;
      for (size_t k = 0; k < rows[n].inside.size(); ++k) {
        steady += rows[n].steps[k];
        const auto mean = static_cast<uint64_t>((steady + rows[n].inside[k]) / slice);
        if (mean == 0 && out.bytes.empty()) continue;
        if (out.bytes.empty()) out.first = static_cast<uint32_t>(k);
        out.bytes.push_back(mean);
      }
      while (!out.bytes.empty() && out.bytes.back() == 0) out.bytes.pop_back();
      if (!out.bytes.empty()) r.rows.push_back(std::move(out));
    }
    all.push_back(std::move(r));
  }
  return all;
}

}  // namespace presil::system
