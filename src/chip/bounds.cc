#include "chip/bounds.h"

#include <fmt/format.h>

namespace presil::chip {
namespace {

struct Room {
  uint64_t partitions = 1, bytes = 0;
};

Room room_of(isa::Memory memory, const isa::Executable& executable, const spec::ChipSpec& spec) {
  switch (memory) {
    case isa::Memory::sbuf:
      return {spec.sbuf.partitions, spec.sbuf.bytes_per_partition};
    case isa::Memory::psum:
      return {spec.psum.partitions, spec.psum.bytes_per_partition};
    case isa::Memory::hbm:
      return {1, executable.hbm_bytes};
    case isa::Memory::none:
      break;
  }
  return {};
}

bool inside(const isa::View& view, isa::ByteRange bytes, const Room& room) {
  return view.partition + view.partitions <= room.partitions && bytes.begin >= 0 &&
         static_cast<uint64_t>(bytes.end) <= room.bytes;
}

}  // namespace

bool may_leave(const isa::Program& program, const isa::Instruction& instruction, std::span<const uint32_t> counts,
               const isa::Executable& executable, const spec::ChipSpec& spec) {
  for (int k = 0; k < instruction.operand_count; ++k) {
    const isa::View& view = program.operand(instruction, k);
    if (!view.present()) continue;
    isa::ByteRange bytes = isa::byte_range(view);
    for (const isa::Delta& d : program.deltas_of(instruction)) {
      if (d.target != isa::Delta::Target::operand || d.index != k) continue;
      if (d.of_register) return true;  // only the run knows
      int64_t furthest = d.step * (static_cast<int64_t>(counts[d.level]) - 1);
      (furthest < 0 ? bytes.begin : bytes.end) += furthest;
    }
    if (!inside(view, bytes, room_of(view.memory, executable, spec))) return true;
  }
  return false;
}

std::string leaving_text(const isa::Program& program, const isa::Instruction& instruction,
                         std::span<const int64_t> offsets, const isa::Executable& executable,
                         const spec::ChipSpec& spec) {
  for (int k = 0; k < instruction.operand_count; ++k) {
    const isa::View& view = program.operand(instruction, k);
    if (!view.present()) continue;
    isa::ByteRange bytes = isa::byte_range(view);
    bytes.begin += offsets[static_cast<size_t>(k)];
    bytes.end += offsets[static_cast<size_t>(k)];
    Room room = room_of(view.memory, executable, spec);
    if (inside(view, bytes, room)) continue;
    const isa::InstructionRow& row = isa::row(instruction.opcode);
    std::string where =
        view.memory == isa::Memory::hbm
            ? fmt::format("bytes [{}, {}) of hbm", bytes.begin, bytes.end)
            : fmt::format("partitions [{}, {}), bytes [{}, {}) of {}", view.partition, view.partition + view.partitions,
                          bytes.begin, bytes.end, isa::memory_name(view.memory));
    std::string limit = view.memory == isa::Memory::hbm
                            ? fmt::format("the executable uses {} bytes", room.bytes)
                            : fmt::format("the chip has {} partitions of {} bytes", room.partitions, room.bytes);
    return fmt::format("{} {} touches {}; {}", row.name, row.operands[static_cast<size_t>(k)].name, where, limit);
  }
  return {};
}

}  // namespace presil::chip
