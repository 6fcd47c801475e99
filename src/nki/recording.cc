#include "nki/recording.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "backend/lower.h"
#include "backend/lower_pair.h"
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

// The bytes that an operand may reach. What moves by a register whose values are not known is left to the machine.
isa::ByteRange Recording::reach(const Operand& operand) const {
  isa::ByteRange range = isa::byte_range(operand.view);
  for (const Move& m : operand.moves) {
    auto counter = counters_.find(m.reg);
    if (counter == counters_.end()) return {0, 0};
    const int64_t first = counter->second.low * m.bytes, last = counter->second.high * m.bytes;
    range.begin += std::min(first, last);
    range.end += std::max(first, last);
  }
  return range;
}

isa::View Recording::placed(const Operand& operand) {
  isa::View view = operand.view;
  for (const Move& m : operand.moves) view = builder_.moving(view, {m.reg}, m.bytes);
  return view;
}

Result<void> Recording::check(const Operand& o, std::string_view operand, const std::string& line) const {
  const isa::View& view = o.view;
  const isa::ByteRange range = reach(o);
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

Result<uint32_t> Recording::append(isa::Opcode opcode, isa::EngineKind engine, std::span<const Operand> operands,
                                   std::span<const uint32_t> attributes, const std::string& line) {
  const isa::InstructionRow& row = isa::row(opcode);
  std::vector<isa::View> views;
  for (size_t k = 0; k < operands.size(); ++k) {
    if (operands[k].view.present()) TRY(check(operands[k], row.operands[k].name, line));
    views.push_back(placed(operands[k]));
  }
  builder_.set_source(row.name, line);
  return builder_.append(opcode, engine, views, attributes);
}

uint32_t Recording::make_register(const std::string& line) {
  builder_.set_source("register", line);
  return builder_.make_register().number;
}

void Recording::assign(uint32_t to, tile::Number value, const std::string& line) {
  builder_.set_source("register_move", line);
  builder_.assign({to}, value);
}

Result<void> Recording::load_register(uint32_t to, const Operand& element, const std::string& line) {
  TRY(check(element, "src", line));
  builder_.set_source("register_load", line);
  builder_.load_register({to}, placed(element));
  return {};
}

Result<void> Recording::store_register(const Operand& element, uint32_t from, const std::string& line) {
  TRY(check(element, "dst", line));
  builder_.set_source("register_store", line);
  builder_.store_register(placed(element), {from});
  return {};
}

uint32_t Recording::begin_loop(tile::Number from, tile::Number until, int32_t step, const std::string& line) {
  builder_.set_source("loop", line);
  const uint32_t counter = builder_.begin_loop(from, until, step).number;
  const bool constant = from.reg == isa::kNoRegister && until.reg == isa::kNoRegister;
  if (constant && from.value < until.value) {
    const int64_t trips = (int64_t{until.value} - from.value + step - 1) / step;
    counters_[counter] = {from.value, from.value + (trips - 1) * step};
  }
  return counter;
}

void Recording::leave_unless(uint32_t condition, const std::string& line) {
  builder_.set_source("while", line);
  builder_.leave_unless({condition});
}

void Recording::end_loop(const std::string& line) {
  builder_.set_source("loop", line);
  builder_.end_loop();
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

Result<isa::Executable> lowered(std::vector<tile::TileProgram> cores, const spec::ChipSpec& chip,
                                const Cancel* cancel) {
  for (const tile::TileProgram& program : cores) {
    const std::vector<isa::Finding> findings = tile::verify(program, chip);
    if (!findings.empty()) return refused(program, findings, chip.name);
  }
  const backend::Options options{.verify = false, .cancel = cancel};
  if (cores.size() == 1) return backend::lower(std::move(cores[0]), chip, options);
  return backend::lower_pair({std::move(cores[0]), std::move(cores[1])}, chip, options);
}

Result<runtime::Workload> workload_of(std::vector<tile::TileProgram> cores, spec::ChipSpec chip, const Cancel* cancel) {
  runtime::Workload workload{.chip = std::move(chip)};
  workload.executable = TRY(lowered(cores, workload.chip, cancel));
  workload.compile_for = [cores = std::move(cores)](const spec::ChipSpec& other, const Cancel* stop) {
    return lowered(cores, other, stop);
  };
  return workload;
}

}  // namespace

Result<runtime::Workload> Recording::compile(spec::ChipSpec chip, const Cancel* cancel) {
  return workload_of({builder_.take()}, std::move(chip), cancel);
}

Result<runtime::Workload> Recording::compile_pair(Recording& first, Recording& second, spec::ChipSpec chip,
                                                  const Cancel* cancel) {
  return workload_of({first.builder_.take(), second.builder_.take()}, std::move(chip), cancel);
}

}  // namespace presil::nki
