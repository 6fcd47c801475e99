// Element-wise arithmetic: one or two operators, or an activation function, per element.
#include <cmath>
#include <utility>

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

// The first two inputs as slabs; false if they must be read element by element.
bool alu_slabs(Context& c, const Map& map, AluOp op, bool reversed) {
  std::optional<SlabMap> slabs = slab_map(map);
  if (!slabs || (slabs->sides[1].value && slabs->sides[2].value)) return false;
  if (reversed) {
    std::swap(slabs->outer.base[1], slabs->outer.base[2]);
    std::swap(slabs->outer.step[1], slabs->outer.step[2]);
    std::swap(slabs->sides[1], slabs->sides[2]);
  }
  const AluForm form = slabs->sides[1].value   ? AluForm::scalar_vector
                       : slabs->sides[2].value ? AluForm::vector_scalar
                                               : AluForm::vector_vector;
  run_slabs(c, *slabs, numerics::alu_slab(op, form));
  return true;
}

bool fused_slabs(Context& c, const Map& map, numerics::FusedOps ops) {
  const std::optional<SlabMap> slabs = slab_map(map);
  if (!slabs || slabs->sides[1].value || !slabs->sides[2].value) return false;
  ops.scalar_b = slabs->sides[3].value;
  const auto kernel = numerics::fused_slab(ops);
  if (kernel == nullptr) return false;
  run_slabs(c, *slabs, kernel);
  return true;
}

bool activation_slabs(Context& c, const Map& map, Activation f, float alpha) {
  if (is_custom(f)) return false;
  const std::optional<SlabMap> slabs = slab_map(map);
  if (!slabs || slabs->sides[1].value || !slabs->sides[2].value || !slabs->sides[3].value) return false;
  run_slabs(c, *slabs, numerics::activation_slab(f), alpha);
  return true;
}

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
  if (alu_slabs(c, map, op, false)) return;
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
  const bool only_first = ops.op1 == AluOp::bypass && !ops.reverse1;
  if (only_first ? alu_slabs(c, map, ops.op0, ops.reverse0)
                 : fused_slabs(c, map, {ops.op0, ops.op1, ops.reverse0, ops.reverse1, false}))
    return;
  map.scalar[1] = false;
  if (map.scalar[2]) {
    const auto fused = numerics::fused_kernel({ops.op0, ops.op1, ops.reverse0, ops.reverse1, map.scalar[3]});
    if (fused != nullptr) {
      return run_map(c, map,
                     [&](const Inputs& in, float* out, size_t count) { fused(in[0], in[1], in[2], out, count); });
    }
  }
  const Step first = step(ops.op0, ops.reverse0, map.scalar[2]), second = step(ops.op1, ops.reverse1, map.scalar[3]);
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
  if (const std::optional<SlabMap> slabs = slab_map(map); slabs && !slabs->sides[1].value)
    return run_slabs(c, *slabs, numerics::alu_slab(AluOp::reciprocal, AluForm::vector_vector));
  map.scalar[1] = false;
  const auto kernel = numerics::alu_kernel(AluOp::reciprocal, AluForm::vector_vector);
  run_map(c, map, [&](const Inputs& in, float* out, size_t count) { kernel(in[0], in[0], out, count); });
}

namespace {

namespace act = isa::slots::activation;

// scale and bias that change within a block are applied first; the kernel then multiplies by 1 and adds -0.
struct ActivationBody {
  Function kernel;
  bool constant;  // scale and bias
  float alpha;
  void operator()(const Inputs& in, float* out, size_t count) const {
    if (constant) return kernel(in[0], out, count, {in[1][0], in[2][0], alpha});
    numerics::fma_span(in[0], in[1], in[2], out, count);
    kernel(out, out, count, {1.0f, -0.0f, alpha});
  }
};

ActivationBody activation_body(const Function& kernel, Map& map, float alpha) {
  map.scalar[1] = false;
  const bool constant = map.scalar[2] && map.scalar[3];
  if (!constant) map.scalar[2] = map.scalar[3] = false;
  return {kernel, constant, alpha};
}

// The accumulators of lanes are numbered like dst's partitions.
void accumulate_row(Context& c, uint32_t p, ReduceCommand command, float sum) {
  float& lane = c.registers.scalar[c.operand(act::dst).partition_begin + p];
  if (command == ReduceCommand::reset || command == ReduceCommand::reset_reduce) lane = 0.0f;
  if (command == ReduceCommand::reduce || command == ReduceCommand::reset_reduce) {
    lane = alu_apply(AluOp::add, lane, sum);
  }
}

// Each row's results are summed in order before they are converted to dst's type.
void activate_and_sum(Context& c, const Map& map, const ActivationBody& body, ReduceCommand command) {
  const numerics::LaneReducer reducer(AluOp::add);
  numerics::LaneReducer::State sum = reducer.start();
  const uint64_t row = row_elements(c.operand(act::dst));
  uint64_t left = row;
  uint32_t p = 0;
  run_map(c, map, [&](const Inputs& in, float* out, size_t count) {
    body(in, out, count);
    for (size_t done = 0; done < count;) {
      const auto take = static_cast<size_t>(std::min<uint64_t>(count - done, left));
      reducer.feed(sum, {out + done, take});
      done += take;
      left -= take;
      if (left > 0) continue;
      accumulate_row(c, p++, command, reducer.finish(sum));
      sum = reducer.start();
      left = row;
    }
  });
}

}  // namespace

Function function_of(Context& c, Activation f) {
  if (!is_custom(f)) return {numerics::activation_kernel(f), nullptr};
  if (custom_slot(f) < c.registers.activations.size()) return {nullptr, &c.registers.activations[custom_slot(f)]};
  c.fault("the program has no such function");
  return {};
}

void execute_activation(Context& c) {
  if (!sizes_agree(c, {act::data}) || !values_agree(c, {act::scale, act::bias, act::reduce_res})) return;
  const bool reduces = c.instruction.opcode == isa::Opcode::activation_reduce;
  const auto command = reduces ? ReduceCommand::reset_reduce : static_cast<ReduceCommand>(c.word(act::reduce_cmd));
  const float alpha = c.f32(reduces ? static_cast<int>(isa::slots::activation_reduce::alpha) : act::alpha);
  if (command == ReduceCommand::load_reduce) return c.fault("load_reduce is not available here");
  const float scale_imm = c.f32(act::scale_imm);
  // No bias adds -0, which leaves the sign of zero alone.
  const float bias_imm = c.f32(act::bias_imm) == 0.0f ? -0.0f : c.f32(act::bias_imm);
  const Strided& dst = c.operand(act::dst);
  std::array<Strided, 3> inputs = {c.operand(act::data), value_operand(c, act::scale, scale_imm),
                                   value_operand(c, act::bias, bias_imm)};
  const auto f = static_cast<Activation>(c.word(act::op));
  const Function kernel = function_of(c, f);
  if (!c.why_faulted.empty()) return;
  Map map = prepare_map(c, dst, inputs);
  const ActivationBody body = activation_body(kernel, map, alpha);
  if (command == ReduceCommand::reduce || command == ReduceCommand::reset_reduce) {
    activate_and_sum(c, map, body, command);
  } else {
    if (!activation_slabs(c, map, f, c.f32(act::alpha))) run_map(c, map, body);
    for (uint32_t p = 0; command == ReduceCommand::reset && p < dst.count[0]; ++p) accumulate_row(c, p, command, 0.0f);
  }
  if (!c.has(act::reduce_res)) return;
  for (uint32_t p = 0; p < dst.count[0]; ++p) {
    write_value(c.operand(act::reduce_res), p, c.registers.scalar[dst.partition_begin + p]);
  }
}

}  // namespace presil::chip
