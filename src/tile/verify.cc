#include "tile/verify.h"

#include <fmt/format.h>

#include <algorithm>

#include "isa/slots.h"
#include "tile/instructions.h"
#include "tile/structure.h"

namespace presil::tile {
namespace {

using isa::Finding;
using isa::Memory;
using isa::View;

struct Verifier {
  const TileProgram& program;
  const spec::ChipSpec& spec;
  std::vector<Finding> findings;
  std::vector<bool> tile_written, tensor_written;

  void fail(uint32_t instruction, std::string subject, std::string message) {
    findings.push_back({isa::kNoIndex, instruction, std::move(subject), std::move(message)});
  }
};

// Legal starts of an engine's operand (fact sheet, section 2.2).
uint32_t start_step(uint32_t partitions, uint32_t total) {
  if (partitions > total / 2) return total;
  return partitions > total / 4 ? total / 2 : std::max(1u, total / 4);
}

void check_tile(Verifier& v, const Tile& t) {
  auto fail = [&](std::string message) { v.fail(isa::kNoIndex, fmt::format("tile '{}'", t.name), std::move(message)); };
  bool psum = t.memory == Memory::psum;
  if (t.memory != Memory::sbuf && !psum) return fail(fmt::format("is in {}, not sbuf or psum", memory_name(t.memory)));
  const spec::SramSpec& memory = psum ? v.spec.psum : v.spec.sbuf;
  uint64_t room = memory.bytes_per_partition / (psum ? std::max(1u, memory.banks) : 1);
  uint32_t start = t.fixed_partition.value_or(0);
  if (t.partitions == 0 || t.bytes == 0) fail(fmt::format("has {} partitions of {} bytes", t.partitions, t.bytes));
  if (start + t.partitions > memory.partitions) {
    fail(fmt::format("takes partitions {} to {}, {} has {}", start, start + t.partitions - 1, memory_name(t.memory),
                     memory.partitions));
  }
  if (start % start_step(t.partitions, memory.partitions) != 0) {
    fail(fmt::format("is fixed to partition {}, {} partitions start at a multiple of {}", start, t.partitions,
                     start_step(t.partitions, memory.partitions)));
  }
  if (t.bytes > room) {
    fail(fmt::format("has {} bytes per partition, {} has {}", t.bytes, psum ? "a PSUM bank" : "SBUF", room));
  }
  if (t.fixed_offset && (psum ? *t.fixed_offset % room : *t.fixed_offset) + t.bytes > room) {
    fail(fmt::format("is fixed to bytes {} to {}, {} has {}", *t.fixed_offset, *t.fixed_offset + t.bytes - 1,
                     psum ? "a PSUM bank" : "SBUF", room));
  }
}

void check_tensor(Verifier& v, const isa::HbmTensor& t) {
  uint64_t elements = 1;
  for (int64_t d : t.shape) elements *= static_cast<uint64_t>(d);
  if (elements * dtype_bytes(t.dtype) != t.bytes || (!t.data.empty() && t.data.size() != t.bytes)) {
    v.fail(isa::kNoIndex, fmt::format("tensor '{}'", t.name),
           fmt::format("has {} bytes and {} of data, its shape takes {}", t.bytes, t.data.size(),
                       elements * dtype_bytes(t.dtype)));
  }
}

// Bounds of operand k within its tile or tensor; false if it names none.
bool check_place(Verifier& v, uint32_t n, int k, const View& view, bool dma) {
  const isa::InstructionRow& row = isa::row(v.program.code.code[n].opcode);
  auto fail = [&](std::string message) {
    v.fail(n, fmt::format("{} {}", row.name, row.operands[static_cast<size_t>(k)].name), std::move(message));
    return false;
  };
  bool hbm = view.memory == Memory::hbm;
  size_t count = hbm ? v.program.tensors.size() : v.program.tiles.size();
  if (view.base >= count) return fail(fmt::format("is on {} {} of {}", hbm ? "tensor" : "tile", view.base, count));
  const std::string& name = hbm ? v.program.tensors[view.base].name : v.program.tiles[view.base].name;
  if (!hbm && v.program.tiles[view.base].memory != view.memory) {
    return fail(fmt::format("is in {}, tile '{}' is not", memory_name(view.memory), name));
  }
  uint64_t bytes = hbm ? v.program.tensors[view.base].bytes : v.program.tiles[view.base].bytes;
  uint32_t partitions = hbm ? 1 : v.program.tiles[view.base].partitions;
  isa::ByteRange range = isa::byte_range(view);
  if (range.begin < 0 || static_cast<uint64_t>(range.end) > bytes) {
    return fail(fmt::format("takes bytes {} to {}, '{}' has {}", range.begin, range.end - 1, name, bytes));
  }
  if (uint32_t{view.partition} + view.partitions > partitions) {
    return fail(fmt::format("takes partitions {} to {}, '{}' has {}", view.partition,
                            view.partition + view.partitions - 1, name, partitions));
  }
  const spec::SramSpec& memory = view.memory == Memory::psum ? v.spec.psum : v.spec.sbuf;
  uint32_t step = start_step(view.partitions, memory.partitions);
  if (!hbm && !dma && !isa::is_mx_scale(row.opcode, k) && view.partition % step != 0) {
    fail(fmt::format("starts at partition {} of '{}', {} partitions start at a multiple of {}", view.partition, name,
                     view.partitions, step));
  }
  return true;
}

// Operands of an instruction that uses a part of the array lie where that part is: whoever asks for it fixes their
// tiles.
void check_array_tile(Verifier& v, const isa::Program& code, uint32_t n) {
  const isa::Instruction& i = code.code[n];
  uint32_t row = 0, column = 0;
  if (i.opcode == isa::Opcode::nc_matmul && code.word(i, isa::slots::nc_matmul::tile_rows) != 0) {
    row = code.word(i, isa::slots::nc_matmul::tile_row), column = code.word(i, isa::slots::nc_matmul::tile_column);
  } else if (i.opcode == isa::Opcode::nc_matmul_mx && code.word(i, isa::slots::nc_matmul_mx::tile_rows) != 0) {
    row = code.word(i, isa::slots::nc_matmul_mx::tile_row);
  } else {
    return;
  }
  for (int k = 0; k <= 2; ++k) {
    const View& view = code.operand(i, k);
    if (view.base >= v.program.tiles.size()) continue;
    const Tile& t = v.program.tiles[view.base];
    const uint32_t expected = k == 0 ? column : row;
    if (t.fixed_partition && uint32_t{*t.fixed_partition} + view.partition == expected) continue;
    const isa::InstructionRow& r = isa::row(i.opcode);
    v.fail(n, fmt::format("{} {}", r.name, r.operands[static_cast<size_t>(k)].name),
           fmt::format("is not fixed to partition {}, where its part of the array is", expected));
  }
}

void check_written(Verifier& v, uint32_t n, bool reads) {
  const isa::Instruction& i = v.program.code.code[n];
  const isa::InstructionRow& row = isa::row(i.opcode);
  for (int k = 0; k < i.operand_count; ++k) {
    const View& view = v.program.code.operand(i, k);
    if (!view.present()) continue;
    bool hbm = view.memory == Memory::hbm;
    if (view.base >= (hbm ? v.tensor_written : v.tile_written).size()) continue;
    isa::Access access = isa::access_of(v.program.code, i, k);
    auto written = (hbm ? v.tensor_written : v.tile_written)[view.base];
    if (!reads && access != isa::Access::read) written = true;
    if (i.opcode == isa::Opcode::core_barrier) continue;  // its tensor may be written by the other core
    if (reads && access != isa::Access::write && !written) {
      v.fail(n, fmt::format("{} {}", row.name, row.operands[static_cast<size_t>(k)].name),
             fmt::format("reads '{}', which nothing has written",
                         hbm ? v.program.tensors[view.base].name : v.program.tiles[view.base].name));
    }
  }
}

void check_instruction(Verifier& v, const isa::Program& code, uint32_t n) {
  const isa::Instruction& i = code.code[n];
  for (Finding& f : isa::check_instruction(code, i, v.spec)) v.findings.push_back(std::move(f));
  for (Finding& f : isa::check_tables(code, i, v.program.activations.size()))
    v.fail(n, std::move(f.subject), std::move(f.message));
  for (int k = 0; k < i.operand_count; ++k) {
    const View& view = code.operand(i, k);
    if (view.present()) check_place(v, n, k, view, isa::is_dma(i.opcode));
  }
  if (i.source != isa::kNoSource && i.source >= v.program.sources.size()) {
    v.fail(n, std::string(isa::row(i.opcode).name), fmt::format("source {} of {}", i.source, v.program.sources.size()));
  }
  check_array_tile(v, code, n);
  check_written(v, n, true);
  check_written(v, n, false);
}

}  // namespace

std::vector<Finding> verify(const TileProgram& program, const spec::ChipSpec& spec) {
  Verifier v{program, spec, {}, std::vector<bool>(program.tiles.size()), {}};
  for (const isa::HbmTensor& t : program.tensors) {
    check_tensor(v, t);
    v.tensor_written.push_back(t.role == isa::TensorRole::input || t.role == isa::TensorRole::constant);
  }
  for (const Tile& t : program.tiles) check_tile(v, t);
  // The rules know only real queues.
  isa::Program code = program.code;
  for (isa::Instruction& i : code.code) {
    if (i.dma_queue == kAnyQueue) i.dma_queue = 0;
  }
  auto count = static_cast<uint32_t>(code.code.size());
  if (!code.repeats.empty()) v.fail(isa::kNoIndex, "code", "has repeats, a TileProgram is flat");
  for (uint32_t n = 0; n < count; ++n) check_instruction(v, code, n);
  for (const TileProgram::Order& o : program.order) {
    if (o.before >= o.after || o.after >= count) {
      v.fail(isa::kNoIndex, "order", fmt::format("{} before {}, there are {} instructions", o.before, o.after, count));
    }
  }
  for (const isa::Source& s : program.sources) {
    if (s.layer >= program.layers.size()) {
      v.fail(isa::kNoIndex, "source", fmt::format("layer {} of {}", s.layer, program.layers.size()));
    }
  }
  if (has_structure(program)) check_control(program, v.findings);
  return std::move(v.findings);
}

}  // namespace presil::tile
