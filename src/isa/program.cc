#include "isa/program.h"

#include <algorithm>

#include "isa/slots.h"
#include "isa/walk.h"
#include "numerics/alu.h"

namespace presil::isa {

Instruction& Program::append(Opcode opcode, EngineKind engine) {
  const InstructionRow& r = row(opcode);
  Instruction i;
  i.opcode = opcode;
  i.engine = engine;
  i.operand_count = static_cast<uint8_t>(r.operands.size());
  i.attribute_count = static_cast<uint8_t>(r.attributes.size());
  i.operand_begin = static_cast<uint32_t>(views.size());
  i.attribute_begin = static_cast<uint32_t>(attributes.size());
  i.wait_begin = static_cast<uint32_t>(waits.size());
  i.delta_begin = static_cast<uint32_t>(deltas.size());
  views.resize(views.size() + r.operands.size());
  for (const AttributeRow& attribute : r.attributes) attributes.push_back(attribute.initial);
  return code.emplace_back(i);
}

bool accumulates(const Program& program, const Instruction& i) {
  return is_matmul(i.opcode) && program.word(i, 0) != 0;
}

namespace {

// Of an indirect DMA instruction: whether bytes of dst count that it does not write.
bool keeps_some(const Program& program, const Instruction& i) {
  const auto skips = [&](int k) { return program.word(i, k) == static_cast<uint32_t>(OobMode::skip); };
  if (i.opcode == Opcode::dma_compute) return true;
  if (i.opcode == Opcode::dma_transpose) return skips(slots::dma_transpose::oob_mode);
  return program.word(i, slots::dma_copy::scatter) == 0 && skips(slots::dma_copy::oob_mode);
}

}  // namespace

Access access_of(const Program& program, const Instruction& i, int k) {
  if (k == 0 && is_matmul(i.opcode)) return accumulates(program, i) ? Access::read_write : Access::write;
  // Partitions that are not its own it keeps.
  if (i.opcode == Opcode::nonzero_with_count && k == slots::nonzero_with_count::dst) {
    return program.operand(i, k).partitions > 1 ? Access::read_write : Access::write;
  }
  if (i.opcode == Opcode::nc_stream_shuffle && k == slots::nc_stream_shuffle::dst) {
    for (uint32_t word : program.attrs(i)) {
      for (int shift = 0; shift < 32; shift += 8) {
        if (((word >> shift) & 255) == 255) return Access::read_write;
      }
    }
  }
  if (k == 0 && is_dma(i.opcode) && index_of(program, i) >= 0 && keeps_some(program, i)) return Access::read_write;
  return row(i.opcode).operands[static_cast<size_t>(k)].access;
}

int index_of(const Program& program, const Instruction& i) {
  int k = -1;
  if (i.opcode == Opcode::dma_copy) k = slots::dma_copy::index;
  if (i.opcode == Opcode::dma_transpose) k = slots::dma_transpose::index;
  if (i.opcode == Opcode::dma_compute) k = slots::dma_compute::index;
  return k >= 0 && program.operand(i, k).present() ? k : -1;
}

bool is_table(const Program& program, const Instruction& i, int k) {
  if (index_of(program, i) < 0) return false;
  if (i.opcode == Opcode::dma_transpose) return k == slots::dma_transpose::src;
  if (i.opcode == Opcode::dma_compute) return program.operand(i, k).memory == Memory::hbm;
  return k == (program.word(i, slots::dma_copy::scatter) != 0 ? slots::dma_copy::dst : slots::dma_copy::src);
}

uint32_t rows_moved(const Program& program, const Instruction& i) {
  if (i.opcode == Opcode::dma_transpose)
    return static_cast<uint32_t>(program.operand(i, slots::dma_transpose::dst).elements_per_partition());
  return program.operand(i, index_of(program, i)).partitions;
}

View moved(const Program& program, const Instruction& i, int k) {
  View view = program.operand(i, k);
  if (view.rank > 0 && is_table(program, i, k)) view.dims[0].count = rows_moved(program, i);
  return view;
}

uint64_t executed_count(const Program& program) {
  uint64_t total = 0;
  walk(program, [&](uint32_t, const std::vector<Repeat>& around) {
    uint64_t times = 1;
    for (const Repeat& r : around) {
      if (__builtin_mul_overflow(times, uint64_t{r.count}, &times)) times = UINT64_MAX;
    }
    if (__builtin_add_overflow(total, times, &total)) total = UINT64_MAX;
  });
  return total;
}

namespace {

bool same_view(const View& a, const View& b) {
  if (!a.present() || !b.present()) return a.present() == b.present();
  return a.memory == b.memory && a.peer == b.peer && a.dtype == b.dtype && a.partition == b.partition &&
         a.partitions == b.partitions && a.base == b.base && a.offset == b.offset &&
         std::ranges::equal(a.pattern(), b.pattern());
}

std::vector<Delta> sorted(std::span<const Delta> deltas) {
  std::vector<Delta> out(deltas.begin(), deltas.end());
  std::ranges::sort(out);
  return out;
}

bool same_instruction(const Program& p, const Instruction& a, const Program& q, const Instruction& b) {
  return a.opcode == b.opcode && a.engine == b.engine && a.engine_index == b.engine_index &&
         a.dma_queue == b.dma_queue && a.signal == b.signal && a.signal_to == b.signal_to && a.source == b.source &&
         std::ranges::equal(p.operands(a), q.operands(b), same_view) && std::ranges::equal(p.attrs(a), q.attrs(b)) &&
         std::ranges::equal(p.waits_of(a), q.waits_of(b)) && sorted(p.deltas_of(a)) == sorted(q.deltas_of(b));
}

}  // namespace

bool Program::operator==(const Program& other) const {
  return std::ranges::equal(
             code, other.code,
             [&](const Instruction& a, const Instruction& b) { return same_instruction(*this, a, other, b); }) &&
         repeats == other.repeats && core == other.core;
}

bool uses_registers(const Program& code, const Instruction& i) {
  namespace s = slots;
  auto either = [&](int command, int result) {
    return code.word(i, command) != static_cast<uint32_t>(ReduceCommand::idle) || code.operand(i, result).present();
  };
  switch (i.opcode) {
    case Opcode::activation:
      return either(s::activation::reduce_cmd, s::activation::reduce_res);
    case Opcode::select_reduce:
      return either(s::select_reduce::reduce_cmd, s::select_reduce::reduce_res);
    case Opcode::range_select:
      return either(s::range_select::reduce_cmd, s::range_select::reduce_res);
    case Opcode::exponential:
      return either(s::exponential::reduce_cmd, s::exponential::reduce_res);
    case Opcode::activate2:
      return either(s::activate2::reduce_cmd, s::activate2::reduce_res);
    case Opcode::rand2:
    case Opcode::activation_reduce:
    case Opcode::tensor_scalar_reduce:
    case Opcode::tensor_scalar_cumulative:
    case Opcode::rng:
    case Opcode::set_rng_seed:
    case Opcode::rand_set_state:
    case Opcode::rand_get_state:
    case Opcode::dropout:
      return true;
    default:
      return false;
  }
}

}  // namespace presil::isa
