// Functions of whole rows whose scalars are one value per partition, with an accumulator per lane: the instructions of
// generation 4.
#include "chip/execute_internal.h"
#include "isa/slots.h"
#include "numerics/activation_span.h"
#include "numerics/float_bits.h"
#include "numerics/reduce.h"

namespace presil::chip {
namespace {

// Operand k as one value per partition, or an immediate; read before anything is written.
class PerPartition {
 public:
  PerPartition(Context& c, int k, float immediate) : values_(c.operand(0).count[0], immediate) {
    if (!c.has(k)) return;
    const Strided& s = c.operand(k);
    if (s.count[0] != values_.size() || row_elements(s) != 1) {
      c.fault("a value operand has one element for each of dst's partitions");
      return;
    }
    for (uint32_t p = 0; p < values_.size(); ++p) values_[p] = read_value(s, p);
  }
  float operator[](uint32_t p) const { return values_[p]; }

 private:
  std::vector<float> values_;
};

struct Accumulator {
  ReduceCommand command;
  AluOp op;
  std::vector<float>& lanes;
  int reduce_res;  // position

  void take(float& lane, std::span<const float> row, float initial) const {
    const bool reduces = command != ReduceCommand::idle && command != ReduceCommand::reset;
    if (command == ReduceCommand::reset || command == ReduceCommand::reset_reduce) lane = numerics::reduce_identity(op);
    if (command == ReduceCommand::load_reduce) lane = initial;
    if (reduces) lane = alu_apply(op, lane, numerics::reduce_span(op, row));
  }
};

// body(p, row of operand 1 as fp32) replaces the row by the results.
template <class Body>
void for_each_row(Context& c, const Accumulator& a, const PerPartition& initial, Body&& body) {
  const Strided& dst = c.operand(0);
  Strided data = c.operand(1);
  if (!c.why_faulted.empty()) return;
  if (data.elements() != dst.elements() || data.count[0] != dst.count[0])
    return c.fault("operands have different shapes");
  if (c.has(a.reduce_res) && c.operand(a.reduce_res).count[0] != dst.count[0])
    return c.fault("reduce_res has one element for each of dst's partitions");
  stage_overlap(c, dst, data, 1, true);
  const uint64_t count = row_elements(dst);
  float* row = c.scratch().rows[0].floats(count);
  const Rows from(data), to(dst);
  for (uint32_t p = 0; p < dst.count[0]; ++p) {
    from.read(p, row);
    body(p, std::span(row, count));
    to.write(p, row);
    a.take(a.lanes[dst.partition_begin + p], {row, count}, initial[p]);
  }
  for (uint32_t p = 0; c.has(a.reduce_res) && p < dst.count[0]; ++p)
    write_value(c.operand(a.reduce_res), p, a.lanes[dst.partition_begin + p]);
}

// Each of the six pairs, in either order, is one fused multiply-add.
struct Affine {
  float scale, bias;
};
struct AffineOps {
  AluOp op0, op1;
  bool reverse0, reverse1;
};
Affine affine_of(const AffineOps& o, float s0, float s1) {
  if (o.op0 == AluOp::bypass) return {1.0f, -0.0f};
  if (o.op0 == AluOp::add) return {1.0f, s0};
  if (o.op0 == AluOp::subtract) return o.reverse0 ? Affine{-1.0f, s0} : Affine{1.0f, -s0};
  if (o.op1 == AluOp::bypass) return {s0, -0.0f};
  if (o.op1 == AluOp::add) return {s0, s1};
  return o.reverse1 ? Affine{-s0, s1} : Affine{s0, -s1};
}

}  // namespace

void execute_exponential(Context& c) {
  namespace s = isa::slots::exponential;
  const Accumulator sum{static_cast<ReduceCommand>(c.word(s::reduce_cmd)), AluOp::add, c.registers.vector,
                        s::reduce_res};
  const PerPartition largest(c, s::max_value, c.f32(s::max_imm)), initial(c, s::initial, c.f32(s::initial_imm));
  const auto exp = numerics::activation_kernel(Activation::exp);
  for_each_row(c, sum, initial, [&](uint32_t p, std::span<float> row) {
    exp(row.data(), row.data(), row.size(), {1.0f, -largest[p], 0.0f});
  });
}

void execute_activate2(Context& c) {
  namespace s = isa::slots::activate2;
  const auto op = [&](int k) { return static_cast<AluOp>(c.word(k)); };
  const auto command = static_cast<ReduceCommand>(c.word(s::reduce_cmd));
  if (command == ReduceCommand::load_reduce) return c.fault("load_reduce is not available here");
  if (!numerics::reduces_in_lanes(op(s::reduce_op))) return c.fault("reduce_op does not reduce");
  const Accumulator accumulator{command, op(s::reduce_op), c.registers.scalar, s::reduce_res};
  const AffineOps ops{op(s::op0), op(s::op1), c.flag(s::reverse0), c.flag(s::reverse1)};
  const PerPartition s0(c, s::operand0, c.f32(s::imm0)), s1(c, s::operand1, c.f32(s::imm1)),
      alpha(c, s::relu_param, c.f32(s::alpha));
  const Function kernel = function_of(c, static_cast<Activation>(c.word(s::op)));
  for_each_row(c, accumulator, alpha, [&](uint32_t p, std::span<float> row) {
    const Affine a = affine_of(ops, s0[p], s1[p]);
    kernel(row.data(), row.data(), row.size(), {a.scale, a.bias, alpha[p]});
  });
}

}  // namespace presil::chip
