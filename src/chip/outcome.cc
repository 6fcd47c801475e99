#include "chip/outcome.h"

#include <fmt/format.h>

namespace presil::chip {

std::string_view outcome_name(Outcome::Kind kind) {
  switch (kind) {
    case Outcome::Kind::done:
      return "done";
    case Outcome::Kind::deadlock:
      return "deadlock";
    case Outcome::Kind::fault:
      return "fault";
    case Outcome::Kind::time_limit:
      return "time_limit";
    case Outcome::Kind::event_limit:
      return "event_limit";
    case Outcome::Kind::race:
      return "race";
    case Outcome::Kind::loop_limit:
      return "loop_limit";
  }
  return {};
}

std::string outcome_text(const Outcome& outcome) {
  std::string text(outcome_name(outcome.kind));
  if (!outcome.engine.empty()) text += ": " + outcome.engine;
  if (outcome.instruction != UINT32_MAX) text += fmt::format(" instruction {}", outcome.instruction);
  if (!outcome.source.empty()) text += fmt::format(" ({})", outcome.source);
  if (!outcome.detail.empty()) text += ": " + outcome.detail;
  return text;
}

std::string source_text(const isa::Executable& executable, uint32_t source) {
  if (source >= executable.sources.size()) return "unknown source";
  const isa::Source& s = executable.sources[source];
  std::string text = s.tile_op.empty() ? "instruction" : s.tile_op;
  if (!s.graph_node.empty()) text += " of " + s.graph_node;
  if (s.layer < executable.layers.size()) text += fmt::format(" (layer {})", executable.layers[s.layer].name);
  return text;
}

std::string core_prefix(const isa::Executable& executable, uint32_t core) {
  return executable.lnc == 1 ? std::string() : fmt::format("core{}.", core);
}

std::string queue_name(const isa::Executable& executable, uint32_t queue) {
  const isa::Program& program = executable.queues[queue];
  if (program.code.empty()) return fmt::format("{}queue {}", core_prefix(executable, program.core), queue);
  const isa::Instruction& first = program.code.front();
  std::string name = core_prefix(executable, program.core).append(isa::engine_name(first.engine));
  return first.engine_index == 0 ? name : name + std::to_string(first.engine_index);
}

std::string instruction_text(const isa::Executable& executable, uint32_t queue, uint32_t instruction) {
  const isa::Instruction& i = executable.queues[queue].code[instruction];
  return fmt::format("{} instruction {} ({})", queue_name(executable, queue), instruction, isa::row(i.opcode).name);
}

}  // namespace presil::chip
