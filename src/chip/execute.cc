#include "chip/execute.h"

#include <fmt/format.h>

#include "base/check.h"
#include "chip/execute_internal.h"
#include "isa/opcode.h"
#include "numerics/fma.h"

namespace presil::chip {

Registers::Registers(const spec::ChipSpec& spec)
    : vector(std::max(spec.sbuf.partitions, spec.psum.partitions), 0.0f),
      scalar(vector),
      vector_random(seeded_generators(static_cast<uint32_t>(vector.size()), kVectorGenerators, 0)),
      gpsimd_random(seeded_generators(static_cast<uint32_t>(vector.size()), 1, 0)) {
  numerics::require_fma();
}

Registers::Registers(const spec::ChipSpec& spec, const isa::Executable& executable) : Registers(spec) {
  modes = executable.modes;
  activations = executable.activations;
}

std::string bind(const isa::Program& program, const isa::Instruction& instruction, std::span<const int64_t> deltas,
                 CoreMemory& memory, Bound& bound) {
  bound.program = &program;
  bound.instruction = &instruction;
  bound.present = {};
  const std::span<const isa::View> views = program.operands(instruction);
  CHECK(views.size() <= kMaxOperands, "an instruction has this many operands at most");
  for (size_t k = 0; k < views.size(); ++k) {
    if (!views[k].present()) continue;
    const isa::Access access = isa::access_of(program, instruction, static_cast<int>(k));
    const std::optional<Strided> s = resolve(views[k], k < deltas.size() ? deltas[k] : 0, access, memory, program.core);
    if (!s) {
      const isa::InstructionRow& row = isa::row(instruction.opcode);
      return fmt::format("{}: operand {} leaves {}", row.name, row.operands[k].name, isa::memory_name(views[k].memory));
    }
    bound.operands[k] = *s;
    bound.present[k] = true;
  }
  return {};
}

namespace {

void run(Context& c) {
  using isa::Opcode;
  switch (c.instruction.opcode) {
    case Opcode::nc_matmul:
      return execute_matmul(c);
    case Opcode::nc_transpose:
      return execute_nc_transpose(c);
    case Opcode::tensor_copy:
      return execute_copy(c);
    case Opcode::tensor_tensor:
      return execute_tensor_tensor(c);
    case Opcode::tensor_scalar:
      return execute_tensor_scalar(c);
    case Opcode::scalar_tensor_tensor:
      return execute_scalar_tensor_tensor(c);
    case Opcode::tensor_reduce:
      return execute_tensor_reduce(c);
    case Opcode::tensor_copy_predicated:
      return execute_copy_predicated(c);
    case Opcode::select_reduce:
      return execute_select_reduce(c);
    case Opcode::range_select:
      return execute_range_select(c);
    case Opcode::reciprocal:
      return execute_reciprocal(c);
    case Opcode::memset:
      return execute_memset(c);
    case Opcode::max8:
      return execute_max8(c);
    case Opcode::nc_find_index8:
      return execute_find_index8(c);
    case Opcode::bn_stats:
      return execute_bn_stats(c);
    case Opcode::bn_aggr:
      return execute_bn_aggr(c);
    case Opcode::nc_stream_shuffle:
      return execute_shuffle(c);
    case Opcode::tensor_tensor_scan:
      return execute_scan(c);
    case Opcode::activation:
      return execute_activation(c);
    case Opcode::iota:
      return execute_iota(c);
    case Opcode::affine_select:
      return execute_affine_select(c);
    case Opcode::nc_n_gather:
      return execute_gather(c);
    case Opcode::tensor_partition_reduce:
      return execute_partition_reduce(c);
    case Opcode::dma_copy:
      return execute_dma_copy(c);
    case Opcode::dma_transpose:
      return execute_dma_transpose(c);
    case Opcode::tensor_scalar_reduce:
      return execute_tensor_scalar_reduce(c);
    case Opcode::tensor_scalar_cumulative:
      return execute_tensor_scalar_cumulative(c);
    case Opcode::nc_match_replace8:
      return execute_match_replace8(c);
    case Opcode::activation_reduce:
      return execute_activation(c);
    case Opcode::exponential:
      return execute_exponential(c);
    case Opcode::activate2:
      return execute_activate2(c);
    case Opcode::rand2:
      return execute_rand2(c);
    case Opcode::dma_compute:
      return execute_dma_compute(c);
    case Opcode::rng:
      return execute_rng(c);
    case Opcode::set_rng_seed:
      return execute_set_rng_seed(c);
    case Opcode::rand_set_state:
    case Opcode::rand_get_state:
      return execute_rand_state(c);
    case Opcode::dropout:
      return execute_dropout(c);
    case Opcode::local_gather:
      return execute_local_gather(c);
    case Opcode::sequence_bounds:
      return execute_sequence_bounds(c);
    case Opcode::nonzero_with_count:
      return execute_nonzero(c);
    case Opcode::topk:
      return execute_topk(c);
    case Opcode::nc_matmul_mx:
      return execute_matmul_mx(c);
    case Opcode::nc_matmul_sparse:
      return execute_matmul_sparse(c);
    case Opcode::quantize_mx:
      return execute_quantize_mx(c);
    case Opcode::sendrecv:
    case Opcode::core_barrier:
      CHECK(false, "exchanges are carried out by transfers and semaphores");
    case Opcode::register_store:
      CHECK(false, "the core stores its registers");
    case Opcode::wait:
    case Opcode::register_move:
    case Opcode::register_alu:
    case Opcode::register_load:
    case Opcode::branch:
    case Opcode::loop:
    case Opcode::loop_end:
    case Opcode::halt:
      return;
  }
  CHECK(false, "unknown opcode");
}

}  // namespace

std::string execute(const Bound& bound, Registers& registers, ExecuteScratch& scratch) {
  if (!bound.present[0] || bound.operands[0].elements() == 0) return {};
  if (registers.modes == isa::Modes{}) return execute_plain(bound, registers, scratch);
  return execute_in_modes(bound, registers, scratch);
}

std::string execute_plain(const Bound& bound, Registers& registers, ExecuteScratch& scratch) {
  Context c(bound, registers, scratch);
  run(c);
  return std::move(c.why_faulted);
}

void execute(const isa::Program& program, const isa::Instruction& instruction,
             std::span<const int64_t> operand_offset_deltas, CoreMemory& memory, ExecuteState& state,
             uint64_t execution) {
  if (!state.fault.empty() || instruction.opcode == isa::Opcode::wait) return;
  Bound bound;
  bound.execution = execution;
  state.fault = bind(program, instruction, operand_offset_deltas, memory, bound);
  if (state.fault.empty()) state.fault = execute(bound, state.registers, *state.scratch);
}

}  // namespace presil::chip
