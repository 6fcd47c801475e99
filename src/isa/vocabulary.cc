#include "isa/vocabulary.h"

#include "numerics/activation.h"
#include "numerics/alu.h"

namespace presil::isa {
namespace {

template <class Enum>
std::vector<std::string> names(std::string_view (*name)(Enum), int count) {
  std::vector<std::string> out;
  for (int i = 0; i < count; ++i) out.emplace_back(name(static_cast<Enum>(i)));
  return out;
}

std::vector<std::string_view> selected(std::span<const std::string> names, unsigned set) {
  std::vector<std::string_view> out;
  for (size_t i = 0; i < names.size(); ++i) {
    if (set & (1u << i)) out.push_back(names[i]);
  }
  return out;
}

}  // namespace

const Vocabulary& vocabulary() {
  static const Vocabulary all{
      .engines = names<EngineKind>(engine_name, kEngineKindCount),
      .opcodes = names<Opcode>([](Opcode o) { return row(o).name; }, kOpcodeCount),
      .memories = names<Memory>(memory_name, static_cast<int>(Memory::hbm) + 1),
      .dtypes = names<DType>(dtype_name, kDTypeCount),
      .alu_ops = names<AluOp>(alu_op_name, kAluOpCount),
      .activations = names<Activation>(activation_name, kActivationCount + kCustomActivations),
      .reduce_commands = names<ReduceCommand>(reduce_command_name, kReduceCommandCount),
      .matmul_modes = names<MatmulMode>(matmul_mode_name, kMatmulModeCount),
      .dge_modes = names<DgeMode>(dge_mode_name, kDgeModeCount),
      .oob_modes = names<OobMode>(oob_mode_name, kOobModeCount),
      .roles = names<TensorRole>(role_name, static_cast<int>(TensorRole::scratch) + 1),
  };
  return all;
}

std::vector<std::string_view> memory_names(MemorySet set) { return selected(vocabulary().memories, set); }
std::vector<std::string_view> engine_names(EngineSet set) { return selected(vocabulary().engines, set); }

std::span<const std::string> value_names(AttributeKind kind) {
  switch (kind) {
    case AttributeKind::alu_op:
      return vocabulary().alu_ops;
    case AttributeKind::activation:
      return vocabulary().activations;
    case AttributeKind::reduce_command:
      return vocabulary().reduce_commands;
    case AttributeKind::matmul_mode:
      return vocabulary().matmul_modes;
    case AttributeKind::dge_mode:
      return vocabulary().dge_modes;
    case AttributeKind::oob_mode:
      return vocabulary().oob_modes;
    case AttributeKind::f32:
    case AttributeKind::i32:
    case AttributeKind::bits:
    case AttributeKind::flag:
    case AttributeKind::sequencer_register:
    case AttributeKind::target:
      return {};
  }
  return {};
}

}  // namespace presil::isa
