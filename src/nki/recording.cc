#include "nki/recording.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "backend/lower.h"
#include "isa/opcode.h"
#include "tile/verify.h"

namespace presil::nki {

Recording::Recording(std::string kernel) : builder_(kernel) { builder_.begin_layer(std::move(kernel), "kernel"); }

uint32_t Recording::tensor(std::string name, DType dtype, std::vector<int64_t> shape, isa::TensorRole role) {
  return builder_.tensor(std::move(name), dtype, std::move(shape), role);
}

uint32_t Recording::tile(isa::Memory memory, uint32_t partitions, uint32_t bytes, std::string name,
                         tile::Builder::Place place) {
  return memory == isa::Memory::psum ? builder_.psum(partitions, bytes, std::move(name), place)
                                     : builder_.sbuf(partitions, bytes, std::move(name), place);
}

Result<void> Recording::check(const isa::View& view, std::string_view operand, const std::string& line) const {
  const isa::ByteRange range = isa::byte_range(view);
  if (view.memory == isa::Memory::hbm) {
    const isa::HbmTensor& t = builder_.program.tensors.at(view.base);
    if (range.begin >= 0 && range.end <= static_cast<int64_t>(t.bytes)) return {};
    return bad_input(fmt::format("{} reaches bytes {} to {} of tensor '{}', which has {}", operand, range.begin,
                                 range.end, t.name, t.bytes),
                     line);
  }
  const tile::Tile& t = builder_.program.tiles.at(view.base);
  const uint32_t last = uint32_t{view.partition} + view.partitions;
  if (last > t.partitions)
    return bad_input(
        fmt::format("{} reaches partition {} of '{}', which has {}", operand, last - 1, t.name, t.partitions), line);
  if (range.begin >= 0 && range.end <= static_cast<int64_t>(t.bytes)) return {};
  return bad_input(fmt::format("{} reaches bytes {} to {} of '{}', which has {} per partition", operand, range.begin,
                               range.end, t.name, t.bytes),
                   line);
}

Result<void> Recording::append(isa::Opcode opcode, isa::EngineKind engine, std::span<const isa::View> operands,
                               std::span<const uint32_t> attributes, const std::string& line) {
  const isa::InstructionRow& row = isa::row(opcode);
  for (size_t k = 0; k < operands.size(); ++k) {
    if (operands[k].present()) TRY(check(operands[k], row.operands[k].name, line));
  }
  builder_.set_source(row.name, line);
  builder_.append(opcode, engine, operands, attributes);
  return {};
}

namespace {

// All findings, each at its line.
Error refused(const tile::TileProgram& program, const std::vector<isa::Finding>& findings, const std::string& chip) {
  constexpr size_t kShown = 20;
  std::string list;
  for (size_t i = 0; i < std::min(findings.size(), kShown); ++i) {
    const isa::Finding& f = findings[i];
    const bool known = f.instruction < program.code.code.size();
    const uint32_t source = known ? program.code.code[f.instruction].source : isa::kNoSource;
    list += "\n  ";
    if (source != isa::kNoSource) list += program.sources[source].graph_node + ": ";
    list += f.subject.empty() ? f.message : f.subject + ": " + f.message;
  }
  if (findings.size() > kShown) list += fmt::format("\n  and {} more", findings.size() - kShown);
  return bad_input(
      fmt::format("{} broken rule{} of chip '{}':{}", findings.size(), findings.size() == 1 ? "" : "s", chip, list));
}

Result<isa::Executable> lowered(tile::TileProgram program, const spec::ChipSpec& chip, const Cancel* cancel) {
  const std::vector<isa::Finding> findings = tile::verify(program, chip);
  if (!findings.empty()) return refused(program, findings, chip.name);
  return backend::lower(std::move(program), chip, {.verify = false, .cancel = cancel});
}

}  // namespace

Result<runtime::Workload> Recording::compile(spec::ChipSpec chip, const Cancel* cancel) {
  auto program = std::make_shared<const tile::TileProgram>(builder_.take());
  runtime::Workload workload{.chip = std::move(chip)};
  workload.executable = TRY(lowered(*program, workload.chip, cancel));
  workload.compile_for = [program](const spec::ChipSpec& other, const Cancel* stop) {
    return lowered(*program, other, stop);
  };
  return workload;
}

}  // namespace presil::nki
