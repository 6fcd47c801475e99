// Element-wise arithmetic: one or two operators, or an activation function, per element.
#include <cmath>

#include "chip/execute_internal.h"
#include "isa/slots.h"
#include "numerics/activation_span.h"
#include "numerics/alu_span.h"
#include "numerics/float_bits.h"
#include "numerics/reduce.h"

namespace presil::chip {
namespace {

using numerics::AluForm;
using Inputs = std::array<const float*, kMaxJoined>;

// out = op(a, b), or op(b, a) if reversed, where either side may be one value.
struct Step {
  numerics::AluKernel kernel;
  bool reversed;
  void operator()(const float* a, const float* b, float* out, size_t count) const {
    reversed ? kernel(b, a, out, count) : kernel(a, b, out, count);
  }
};

// `a` is a span; `scalar_b`: b is one value.
Step step(AluOp op, bool reversed, bool scalar_b) {
  const AluForm form = !scalar_b ? AluForm::vector_vector : reversed ? AluForm::scalar_vector : AluForm::vector_scalar;
  return {numerics::alu_kernel(op, form), reversed};
}

// Operand k as one value per partition over dst's shape, or the immediate (of which the caller keeps the float).
Strided value_operand(Context& c, int k, const float& immediate) {
  const Strided& dst = c.operand(0);
  if (c.has(k)) return broadcast_over_free(c.operand(k), row_elements(dst));
  Strided s = contiguous(const_cast<std::byte*>(reinterpret_cast<const std::byte*>(&immediate)), DType::fp32, 1);
  s.rank = 2;
  s.count = {dst.count[0], static_cast<uint32_t>(row_elements(dst))};
  s.step = {};
  return s;
}

bool sizes_agree(Context& c, std::initializer_list<int> operands) {
  for (int k : operands) {
    if (c.has(k) && c.operand(k).elements() != c.operand(0).elements()) {
      c.fault("operands have different numbers of elements");
      return false;
    }
  }
  return true;
}

bool values_agree(Context& c, std::initializer_list<int> operands) {
  for (int k : operands) {
    if (c.has(k) && (c.operand(k).count[0] != c.operand(0).count[0] || row_elements(c.operand(k)) != 1)) {
      c.fault("a value operand has one element for each of dst's partitions");
      return false;
    }
  }
  return true;
}

AluOp alu(const Context& c, int k) { return static_cast<AluOp>(c.word(k)); }

}  // namespace

void execute_tensor_tensor(Context& c) {
  namespace slot = isa::slots::tensor_tensor;
  if (!sizes_agree(c, {slot::data1, slot::data2})) return;
  const AluOp op = alu(c, slot::op);
  if (is_bitvec(op)) return execute_bits_tensor_tensor(c);
  const Strided inputs[] = {c.operand(slot::data1), c.operand(slot::data2)};
  const Strided all[] = {c.operand(slot::dst), inputs[0], inputs[1]};
  if (c.instruction.engine == isa::EngineKind::gpsimd && is_exact_integer(c, all))
    return execute_integer_tensor_tensor(c);
  Map map = prepare_map(c, c.operand(slot::dst), inputs);
  const bool swap = map.scalar[1];
  if (swap) map.scalar[2] = false;  // one value on both sides: repeat the second
  const Step apply = step(op, swap, map.scalar[1] || map.scalar[2]);
  run_map(c, map,
          [&](const Inputs& in, float* out, size_t count) { apply(in[swap ? 1 : 0], in[swap ? 0 : 1], out, count); });
}

namespace {

// dst = op1(op0(data, s), b): the shape of tensor_scalar and scalar_tensor_tensor.
struct TwoSteps {
  AluOp op0, op1;
  bool reverse0, reverse1;
};

void execute_two_steps(Context& c, const TwoSteps& ops, const Strided& data, const Strided& s, const Strided& b) {
  const Strided inputs[] = {data, s, b};
  Map map = prepare_map(c, c.operand(0), inputs);
  map.scalar[1] = false;
  if (map.scalar[2]) {
    const auto fused = numerics::fused_kernel({ops.op0, ops.op1, ops.reverse0, ops.reverse1, map.scalar[3]});
    if (fused != nullptr) {
      return run_map(c, map,
                     [&](const Inputs& in, float* out, size_t count) { fused(in[0], in[1], in[2], out, count); });
    }
  }
  const Step first = step(ops.op0, ops.reverse0, map.scalar[2]), second = step(ops.op1, ops.reverse1, map.scalar[3]);
  const bool only_first = ops.op1 == AluOp::bypass && !ops.reverse1;
  float* between = c.scratch().runs[kMaxJoined].data();
  run_map(c, map, [&](const Inputs& in, float* out, size_t count) {
    if (only_first) return first(in[0], in[1], out, count);
    // `out` may be where b lies.
    first(in[0], in[1], between, count);
    second(between, in[2], out, count);
  });
}

}  // namespace

void execute_tensor_scalar(Context& c) {
  namespace slot = isa::slots::tensor_scalar;
  if (!sizes_agree(c, {slot::data}) || !values_agree(c, {slot::operand0, slot::operand1})) return;
  const TwoSteps ops{alu(c, slot::op0), alu(c, slot::op1), c.flag(slot::reverse0), c.flag(slot::reverse1)};
  if (is_bitvec(ops.op0) || is_bitvec(ops.op1)) return execute_bits_tensor_scalar(c);
  const float imm0 = c.f32(slot::imm0), imm1 = c.f32(slot::imm1);
  const Strided& data = c.operand(slot::data);
  execute_two_steps(c, ops, data, value_operand(c, slot::operand0, imm0), value_operand(c, slot::operand1, imm1));
}

void execute_scalar_tensor_tensor(Context& c) {
  namespace slot = isa::slots::scalar_tensor_tensor;
  if (!sizes_agree(c, {slot::data, slot::operand1}) || !values_agree(c, {slot::operand0})) return;
  const TwoSteps ops{alu(c, slot::op0), alu(c, slot::op1), c.flag(slot::reverse0), c.flag(slot::reverse1)};
  if (is_bitvec(ops.op0) || is_bitvec(ops.op1)) return c.fault("bitvec operators are not available here");
  const float imm0 = c.f32(slot::imm0);
  const Strided& data = c.operand(slot::data);
  execute_two_steps(c, ops, data, value_operand(c, slot::operand0, imm0), c.operand(slot::operand1));
}

void execute_reciprocal(Context& c) {
  namespace slot = isa::slots::reciprocal;
  if (!sizes_agree(c, {slot::data})) return;
  Map map = prepare_map(c, c.operand(slot::dst), {&c.operand(slot::data), 1});
  map.scalar[1] = false;
  const auto kernel = numerics::alu_kernel(AluOp::reciprocal, AluForm::vector_vector);
  run_map(c, map, [&](const Inputs& in, float* out, size_t count) { kernel(in[0], in[0], out, count); });
}

namespace {

namespace act = isa::slots::activation;

// scale and bias that change within a run are applied first; the kernel then multiplies by 1 and adds -0.
struct ActivationBody {
  numerics::ActivationKernel kernel;
  bool constant_scale, constant_bias;
  float alpha;
  void operator()(const Inputs& in, float* out, size_t count) const {
    if (constant_scale && constant_bias) return kernel(in[0], out, count, {in[1][0], in[2][0], alpha});
    for (size_t i = 0; i < count; ++i) {
      out[i] = numerics::canonical(std::fma(in[0][i], in[1][constant_scale ? 0 : i], in[2][constant_bias ? 0 : i]));
    }
    kernel(out, out, count, {1.0f, -0.0f, alpha});
  }
};

// The accumulators of lanes are numbered like dst's partitions.
void accumulate_row(Context& c, uint32_t p, ReduceCommand command, float sum) {
  float& lane = c.state.scalar_accumulators[c.operand(act::dst).partition_begin + p];
  if (command == ReduceCommand::reset || command == ReduceCommand::reset_reduce) lane = 0.0f;
  if (command == ReduceCommand::reduce || command == ReduceCommand::reset_reduce) {
    lane = alu_apply(AluOp::add, lane, sum);
  }
}

// Row by row, since each row's results are also summed, before they are converted to dst's type.
void activate_and_sum(Context& c, const std::array<Strided, 3>& inputs, numerics::ActivationKernel kernel,
                      ReduceCommand command) {
  const numerics::LaneReducer reducer(AluOp::add);
  const Strided& dst = c.operand(act::dst);
  const float alpha = c.f32(act::alpha);
  for (uint32_t p = 0; p < dst.count[0]; ++p) {
    const std::array<Strided, 3> rows = {row_of(inputs[0], p), row_of(inputs[1], p), row_of(inputs[2], p)};
    Map map = prepare_map(c, row_of(dst, p), rows, true);
    map.scalar[1] = false;
    const ActivationBody body{kernel, map.scalar[2], map.scalar[3], alpha};
    numerics::LaneReducer::State sum = reducer.start();
    run_map(c, map, [&](const Inputs& in, float* out, size_t count) {
      body(in, out, count);
      reducer.feed(sum, {out, count});
    });
    accumulate_row(c, p, command, reducer.finish(sum));
  }
}

}  // namespace

void execute_activation(Context& c) {
  if (!sizes_agree(c, {act::data}) || !values_agree(c, {act::scale, act::bias, act::reduce_res})) return;
  const auto command = static_cast<ReduceCommand>(c.word(act::reduce_cmd));
  if (command == ReduceCommand::load_reduce) return c.fault("load_reduce is not available here");
  const float scale_imm = c.f32(act::scale_imm);
  // No bias adds -0, which leaves the sign of zero alone.
  const float bias_imm = c.f32(act::bias_imm) == 0.0f ? -0.0f : c.f32(act::bias_imm);
  const Strided& dst = c.operand(act::dst);
  std::array<Strided, 3> inputs = {c.operand(act::data), value_operand(c, act::scale, scale_imm),
                                   value_operand(c, act::bias, bias_imm)};
  const auto kernel = numerics::activation_kernel(static_cast<Activation>(c.word(act::op)));
  if (command == ReduceCommand::reduce || command == ReduceCommand::reset_reduce) {
    if (inputs[0].count[0] != dst.count[0]) return c.fault("data and dst have different numbers of partitions");
    for (size_t k = 0; k < inputs.size(); ++k) stage_overlap(c, dst, inputs[k], k + 1, true);
    activate_and_sum(c, inputs, kernel, command);
  } else {
    Map map = prepare_map(c, dst, inputs);
    map.scalar[1] = false;
    run_map(c, map, ActivationBody{kernel, map.scalar[2], map.scalar[3], c.f32(act::alpha)});
    if (command == ReduceCommand::reset) {
      for (uint32_t p = 0; p < dst.count[0]; ++p) accumulate_row(c, p, command, 0.0f);
    }
  }
  if (!c.has(act::reduce_res)) return;
  for (uint32_t p = 0; p < dst.count[0]; ++p) {
    write_value(c.operand(act::reduce_res), p, c.state.scalar_accumulators[dst.partition_begin + p]);
  }
}

}  // namespace presil::chip
