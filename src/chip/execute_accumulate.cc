// One operator per element and an accumulator per lane: reductions and running results of the vector engine.
#include "chip/execute_internal.h"
#include "isa/slots.h"
#include "numerics/float_bits.h"
#include "numerics/reduce.h"

namespace presil::chip {
namespace {

// What both instructions do: op0(data, s) in fp32, then an accumulator.
struct Accumulation {
  AluOp op0, reduce;
  bool reverse0;
  ReduceCommand command;
  float imm0, initial_imm;
  int operand0, initial;  // positions
};

float start_of(const Accumulation& a, float held, float initial) {
  if (a.command == ReduceCommand::load_reduce) return initial;
  if (a.command != ReduceCommand::reset_reduce) return held;
  return a.reduce == AluOp::subtract ? 0.0f : numerics::reduce_identity(a.reduce);
}

// body(row of op0's results, the accumulator as it starts) returns the accumulator; the row is then written to dst.
template <class Body>
void accumulate(Context& c, const Accumulation& a, Body&& body) {
  const Strided& dst = c.operand(0);
  std::array<Strided, 3> inputs = {c.operand(1), Strided{}, Strided{}};
  if (inputs[0].elements() != dst.elements() || inputs[0].count[0] != dst.count[0])
    return c.fault("operands have different shapes");
  stage_overlap(c, dst, inputs[0], 0, true);
  const std::array<int, 3> positions = {1, a.operand0, a.initial};
  for (size_t k = 1; k < inputs.size(); ++k) {
    if (!c.has(positions[k])) continue;
    inputs[k] = c.operand(positions[k]);
    if (inputs[k].count[0] != dst.count[0] || row_elements(inputs[k]) != 1)
      return c.fault("a value operand has one element for each of dst's partitions");
    stage_overlap(c, dst, inputs[k], k, false);
  }
  const uint64_t row = row_elements(dst);
  float* values = c.scratch().rows[0].floats(row);
  const Rows from(inputs[0]), to(dst);
  for (uint32_t p = 0; p < dst.count[0]; ++p) {
    from.read(p, values);
    const float s = c.has(a.operand0) ? read_value(inputs[1], p) : a.imm0;
    for (uint64_t i = 0; i < row; ++i)
      values[i] = a.reverse0 ? alu_apply(a.op0, s, values[i]) : alu_apply(a.op0, values[i], s);
    float& lane = c.registers.vector[dst.partition_begin + p];
    lane = body(std::span(values, row), start_of(a, lane, c.has(a.initial) ? read_value(inputs[2], p) : a.initial_imm));
    to.write(p, values);
  }
}

}  // namespace

void execute_tensor_scalar_reduce(Context& c) {
  namespace s = isa::slots::tensor_scalar_reduce;
  const Accumulation a{static_cast<AluOp>(c.word(s::op0)),
                       static_cast<AluOp>(c.word(s::reduce_op)),
                       c.flag(s::reverse0),
                       static_cast<ReduceCommand>(c.word(s::reduce_cmd)),
                       c.f32(s::imm0),
                       c.f32(s::initial_imm),
                       s::operand0,
                       s::initial};
  accumulate(c, a, [&](std::span<float> row, float start) {
    return alu_apply(a.reduce, start, numerics::reduce_span(a.reduce, row));
  });
  if (!c.has(s::reduce_res) || !c.why_faulted.empty()) return;
  const Strided& result = c.operand(s::reduce_res);
  if (result.count[0] != c.operand(0).count[0])
    return c.fault("reduce_res has one element for each of dst's partitions");
  for (uint32_t p = 0; p < result.count[0]; ++p) {
    const float held = c.registers.vector[c.operand(0).partition_begin + p];
    write_value(result, p, c.flag(s::negate) ? numerics::canonical(-1.0f * held) : held);
  }
}

void execute_tensor_scalar_cumulative(Context& c) {
  namespace s = isa::slots::tensor_scalar_cumulative;
  const Accumulation a{static_cast<AluOp>(c.word(s::op0)),
                       static_cast<AluOp>(c.word(s::op1)),
                       c.flag(s::reverse0),
                       static_cast<ReduceCommand>(c.word(s::reduce_cmd)),
                       c.f32(s::imm0),
                       c.f32(s::initial_imm),
                       s::operand0,
                       s::initial};
  accumulate(c, a, [&](std::span<float> row, float running) {
    for (float& x : row) x = running = alu_apply(a.reduce, x, running);
    return running;
  });
}

}  // namespace presil::chip
