// Rules that follow from the table and the spec for every instruction; those of single instructions are in
// constraints.cc, those of a whole Executable in verify.cc.
#include "isa/rules.h"

#include <fmt/format.h>

#include "isa/instruction_check.h"
#include "isa/vocabulary.h"

namespace presil::isa {
namespace {

bool in_range(const AttributeRow& row, uint32_t value) {
  if (row.kind == AttributeKind::flag) return value <= 1;
  size_t names = value_names(row.kind).size();
  return names == 0 || value < names;
}

void check_engine(const InstructionCheck& c) {
  const Instruction& i = c.instruction;
  const InstructionRow& r = row(i.opcode);
  if (!(r.engines & engine_bit(i.engine))) {
    c.fail("", fmt::format("does not run on the {} engine; legal: {}", engine_name(i.engine),
                           fmt::join(engine_names(r.engines), ", ")));
  }
  uint32_t count = engine_spec(c.spec, i.engine).count;
  if (i.engine_index >= count) {
    c.fail("",
           fmt::format("{} engine {} does not exist, the core has {}", engine_name(i.engine), i.engine_index, count));
  }
  if (c.spec.generation < r.first_generation) {
    c.fail("",
           fmt::format("needs generation {}, {} is generation {}", r.first_generation, c.spec.name, c.spec.generation));
  }
  if (is_exchange(i.opcode) && c.spec.lnc_max < 2)
    c.fail("", fmt::format("needs the other core of a pair, {} has none", c.spec.name));
  const bool uses_queue = c.is_dma() || i.opcode == Opcode::sendrecv;
  if (uses_queue && i.dma_queue >= c.spec.dma.queues) {
    c.fail("", fmt::format("DMA queue {}, there are {}", i.dma_queue, c.spec.dma.queues));
  }
  if (!uses_queue && i.dma_queue != 0) c.fail("", fmt::format("DMA queue {}, it uses none", i.dma_queue));
}

bool check_attributes(const InstructionCheck& c) {
  size_t before = c.findings.size();
  std::span<const AttributeRow> rows = row(c.instruction.opcode).attributes;
  for (size_t k = 0; k < rows.size(); ++k) {
    uint32_t value = c.word(static_cast<int>(k));
    if (!in_range(rows[k], value)) c.fail(rows[k].name, fmt::format("value {} has no meaning", value));
  }
  return c.findings.size() == before;
}

void check_waits(const InstructionCheck& c) {
  auto semaphore = [&](uint16_t id, std::string_view what) {
    if (id >= c.spec.semaphores.count) {
      c.fail(what, fmt::format("semaphore {}, the core has {}", id, c.spec.semaphores.count));
    }
  };
  std::span<const Wait> waits = c.program.waits_of(c.instruction);
  for (size_t k = 0; k < waits.size(); ++k) {
    semaphore(waits[k].semaphore, "wait");
    if (moved_by_register(c, Delta::Target::wait, static_cast<int>(k))) continue;  // known when it runs
    SweptRange values = swept(c, Delta::Target::wait, static_cast<int>(k), waits[k].value);
    if (values.low < 0 || static_cast<uint64_t>(values.high) > c.spec.semaphores.maximum) {
      c.fail("wait", fmt::format("values {} to {}, a semaphore counts to {}", values.low, values.high,
                                 c.spec.semaphores.maximum));
    }
  }
  if (c.instruction.signal == kNoSemaphore) return;
  semaphore(c.instruction.signal, "signal");
  if (c.instruction.signal_to != SignalTo::own && c.spec.lnc_max < 2)
    c.fail("signal", fmt::format("goes to the other core of a pair, {} has none", c.spec.name));
}

std::vector<Repeat> repeats_around(const Program& program, size_t instruction) {
  std::vector<Repeat> around;
  for (const Repeat& r : program.repeats) {
    if (r.first <= instruction && instruction < r.last) around.push_back(r);
  }
  return around;
}

}  // namespace

void InstructionCheck::fail(std::string_view part, std::string message) const {
  std::string subject(row(instruction.opcode).name);
  if (!part.empty()) subject += fmt::format(" {}", part);
  auto index = static_cast<uint32_t>(&instruction - program.code.data());
  findings.push_back({kNoIndex, index, std::move(subject), std::move(message)});
}
void InstructionCheck::fail_operand(int k, std::string message) const {
  fail(row(instruction.opcode).operands[static_cast<size_t>(k)].name, std::move(message));
}
void InstructionCheck::fail_attribute(int k, std::string message) const {
  fail(row(instruction.opcode).attributes[static_cast<size_t>(k)].name, std::move(message));
}

std::string Finding::text() const {
  std::string place;
  if (queue != kNoIndex) place += fmt::format("queue {}, ", queue);
  if (instruction != kNoIndex) place += fmt::format("instruction {}, ", instruction);
  if (!place.empty()) place.replace(place.size() - 2, 2, ": ");
  return fmt::format("{}{}: {}", place, subject, message);
}

const spec::EngineSpec& engine_spec(const spec::ChipSpec& spec, EngineKind kind) {
  switch (kind) {
    case EngineKind::tensor:
      return spec.tensor;
    case EngineKind::vector:
      return spec.vector;
    case EngineKind::scalar:
      return spec.scalar;
    case EngineKind::gpsimd:
      return spec.gpsimd;
    case EngineKind::sync:
      break;
  }
  return spec.sync;
}

void check_instruction(const InstructionCheck& c) {
  check_waits(c);
  check_engine(c);
  bool sound = check_attributes(c);
  for (int k = 0; k < c.instruction.operand_count; ++k) sound &= check_operand(c, k);
  if (sound) check_constraints(c);
}

std::vector<Finding> check_instruction(const Program& program, const Instruction& instruction,
                                       const spec::ChipSpec& spec) {
  std::vector<Finding> findings;
  auto index = static_cast<size_t>(&instruction - program.code.data());
  std::vector<Repeat> around = repeats_around(program, index);
  check_instruction(InstructionCheck{program, instruction, spec, around, findings});
  return findings;
}

}  // namespace presil::isa
