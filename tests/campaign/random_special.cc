#include "tests/campaign/random_special.h"

#include <algorithm>

namespace presil::campaign {
namespace {

using isa::Opcode;

constexpr uint32_t kGroup = 16;  // partitions of one gpsimd processor

}  // namespace

void SpecialSteps::special(Opcode opcode) {
  switch (opcode) {
    case Opcode::tensor_scalar_reduce:
      return tensor_scalar_reduce();
    case Opcode::tensor_scalar_cumulative:
      return tensor_scalar_cumulative();
    case Opcode::nc_match_replace8:
      return match_replace8();
    case Opcode::activation_reduce:
      return activation_reduce();
    case Opcode::rng:
    case Opcode::set_rng_seed:
    case Opcode::rand_set_state:
    case Opcode::rand_get_state:
    case Opcode::dropout:
      return random_numbers(opcode);
    case Opcode::local_gather:
      return local_gather();
    case Opcode::sequence_bounds:
      return sequence_bounds();
    case Opcode::nonzero_with_count:
      return nonzero();
    case Opcode::topk:
      return topk();
    case Opcode::exponential:
      return exponential();
    case Opcode::rand2:
      return rand2();
    case Opcode::activate2:
      return activate2();
    case Opcode::dma_compute:
      return dma_compute();
    default:
      CHECK(false, "a step of this file");
  }
}

ReduceCommand SpecialSteps::accumulation() {
  return pick({ReduceCommand::reduce, ReduceCommand::reset_reduce, ReduceCommand::load_reduce});
}
Scalar SpecialSteps::initial(ReduceCommand command, uint32_t partitions) {
  return command == ReduceCommand::load_reduce ? per_partition(kV, partitions) : Scalar();
}
void SpecialSteps::tensor_scalar_reduce() {
  const Shape s = shape();
  tile::TensorScalarReduce a{.op0 = pick(kBinary),
                             .operand0 = per_partition(kV, s.partitions),
                             .reverse0 = chance(30),
                             .reduce_op = pick({AluOp::add, AluOp::multiply, AluOp::max, AluOp::min}),
                             .reduce_cmd = accumulation(),
                             .negate = chance(30)};
  a.initial = initial(a.reduce_cmd, s.partitions);
  a.data = input(source(kV), pick(kAny), s);
  a.dst = output(target(kV), pick(kAny), s, true);
  if (chance(70)) a.reduce_res = output(target(kV), pick(kFloats), {s.partitions, 1}, false, true);
  build.tensor_scalar_reduce(a);
}
void SpecialSteps::tensor_scalar_cumulative() {
  const Shape s = shape();
  constexpr DType kTypes[] = {DType::fp32, DType::bf16, DType::fp16, DType::fp8_e5m2, DType::int16, DType::uint8};
  tile::TensorScalarCumulative a{.op0 = pick(kBinary),
                                 .operand0 = per_partition(kV, s.partitions),
                                 .reverse0 = chance(30),
                                 .op1 = pick({AluOp::add, AluOp::subtract, AluOp::multiply, AluOp::max, AluOp::min}),
                                 .reduce_cmd = accumulation()};
  a.initial = initial(a.reduce_cmd, s.partitions);
  a.src = input(source(kV), pick(kTypes), s);
  a.dst = output(target(kV), pick(kTypes), s, true);
  build.tensor_scalar_cumulative(a);
}

void SpecialSteps::match_replace8() {
  const Shape s = search_shape();
  const View data = input(source(kV), pick(kAny), s);
  const View top = output(target(kV), chance(50) ? data.dtype : pick(kAny), {s.partitions, 8}, false, true);
  build.max8({.dst = top, .src = data, .engine = vector()});
  tile::MatchReplace8 a{
      .dst = output(target(kV), pick(kAny), s, true), .data = data, .vals = top, .imm = random.normal()};
  if (chance(70)) a.dst_idx = output(target(kV), pick({DType::uint16, DType::uint32}), {s.partitions, 8}, false, true);
  build.match_replace8(a);
}

void SpecialSteps::activation_reduce() {
  const Shape s = shape();
  tile::ActivationReduce a{.op = static_cast<Activation>(random.below(kActivationCount)), .alpha = 0.125f};
  if (chance(50)) a.scale = per_partition(kS, s.partitions);
  a.data = input(source(kS), pick(kAny), s);
  a.dst = output(target(kS), pick(kAny), s, true);
  a.reduce_res = output(target(kS), pick(kFloats), {s.partitions, 1}, false, true);
  build.activation_reduce(a);
}

void SpecialSteps::random_numbers(Opcode opcode) {
  const Shape s = shape();
  const bool states = opcode == Opcode::rand_set_state || opcode == Opcode::rand_get_state;
  if (states && spec.generation < 3) return;
  if (opcode == Opcode::rand_set_state) {
    const View states = output(Memory::sbuf, DType::uint32, {s.partitions, 6}, true, true);
    build.rng({.dst = states});
    build.rand_set_state({.src_seeds = states});
  } else if (opcode == Opcode::rand_get_state) {
    build.rand_get_state({.dst = output(Memory::sbuf, DType::uint32, {s.partitions, 6}, true)});
  } else if (opcode == Opcode::set_rng_seed) {
    build.set_rng_seed({.src_seeds = input(source(kV), DType::uint32, {1, 1})});
  } else if (opcode == Opcode::rng) {
    const EngineKind e = spec.generation >= 3 ? pick({kV, kG}) : kV;
    build.rng({.dst = output(target(e), pick(kIntegers), s, true), .engine = e});
  } else {
    const DType t = pick(kAny);
    tile::Dropout a{.prob = per_partition(kV, s.partitions)};
    a.data = input(source(kV), t, s);
    a.dst = output(target(kV), t, s, true);
    build.dropout(a);
  }
}

uint32_t SpecialSteps::groups() { return kGroup * upto(std::max(1u, std::min(spec.sbuf.partitions, 128u) / kGroup)); }
void SpecialSteps::local_gather() {
  const uint32_t partitions = groups(), columns = upto(2), per_index = 1u << random.below(3);
  const View index = output(Memory::sbuf, DType::uint16, {partitions, columns}, false, true);
  build.iota({.dst = index, .offset = static_cast<int32_t>(random.below(3))});
  const DType t = pick(kAny);
  const uint32_t valid = chance(50) ? 0 : upto(kGroup * columns);
  const View table = input(Memory::sbuf, t, {partitions, 3 * per_index});
  build.local_gather({.dst = output(Memory::sbuf, t, {partitions, (valid ? valid : kGroup * columns) * per_index}),
                      .src_buffer = table,
                      .index = index,
                      .num_elem_per_idx = static_cast<int32_t>(per_index),
                      .num_valid_indices = static_cast<int32_t>(valid)});
}

void SpecialSteps::sequence_bounds() {
  const uint32_t n = upto(options.row_max);
  const View ids = input(Memory::sbuf, pick({DType::fp32, DType::int32}), {1, n});
  build.sequence_bounds(
      {.dst = output(Memory::sbuf, pick({DType::fp32, DType::int32}), {1, 2 * n}), .segment_ids = ids});
}

void SpecialSteps::nonzero() {
  if (spec.generation < 3) return;
  const Shape s = chance(50) ? shape() : Shape{1, upto(options.row_max)};
  const View src = input(Memory::sbuf, pick({DType::fp32, DType::int32}), s);
  build.nonzero({.dst = output(Memory::sbuf, DType::int32, {s.partitions, s.row + 1}),
                 .src = src,
                 .index_offset = static_cast<int32_t>(random.between(-9, 9))});
}

void SpecialSteps::topk() {
  const uint32_t partitions = groups(), columns = upto(4),
                 n = 8 + static_cast<uint32_t>(random.below(kGroup * columns - 7));
  const uint32_t k = upto(n);
  const View src = input(Memory::sbuf, DType::bf16, {partitions, columns});
  const View values = output(Memory::sbuf, DType::bf16, {partitions, k}, false, true);
  build.topk({.val_dst = values,
              .idx_dst = output(Memory::sbuf, DType::uint32, {partitions, k}, false, true),
              .src = src,
              .n = static_cast<int32_t>(n)});
}

void SpecialSteps::exponential() {
  if (spec.generation < 4) return;
  constexpr DType kTypes[] = {DType::fp32, DType::bf16, DType::fp16, DType::fp8_e5m2, DType::int16, DType::uint8};
  const Shape s = shape();
  tile::Exponential a{.max_value = per_partition(kV, s.partitions)};
  a.reduce_cmd = chance(20) ? ReduceCommand::idle : accumulation();
  a.initial = initial(a.reduce_cmd, s.partitions);
  a.src = input(source(kV), pick(kTypes), s);
  a.dst = output(target(kV), pick(kTypes), s, true);
  if (chance(70)) a.reduce_res = output(target(kV), pick({DType::fp32, DType::bf16}), {s.partitions, 1}, false, true);
  build.exponential(a);
}

void SpecialSteps::rand2() {
  if (spec.generation < 4) return;
  const Shape s = shape();
  constexpr DType kTypes[] = {DType::fp32, DType::bf16, DType::fp8_e4m3, DType::int16, DType::uint32};
  tile::Rand2 a{.min = -2.5f, .max = 7.0f};
  if (chance(50)) a.min = per_partition(kV, s.partitions), a.max = values(kV, s.partitions);
  a.dst = output(target(kV), pick(kTypes), s, true);
  build.rand2(a);
}

void SpecialSteps::activate2() {
  if (spec.generation < 4) return;
  constexpr std::pair<AluOp, AluOp> kPairs[] = {{AluOp::multiply, AluOp::add},    {AluOp::multiply, AluOp::subtract},
                                                {AluOp::multiply, AluOp::bypass}, {AluOp::add, AluOp::bypass},
                                                {AluOp::subtract, AluOp::bypass}, {AluOp::bypass, AluOp::bypass}};
  const auto [op0, op1] = pick(kPairs);
  const Shape s = shape();
  tile::Activate2 a{.op = static_cast<Activation>(random.below(kActivationCount)), .op0 = op0, .op1 = op1};
  a.operand0 = per_partition(kS, s.partitions), a.operand1 = per_partition(kS, s.partitions);
  a.reverse0 = op0 != AluOp::bypass && chance(30), a.reverse1 = op1 != AluOp::bypass && chance(30);
  a.relu_param = per_partition(kS, s.partitions);
  a.reduce_op = pick({AluOp::add, AluOp::max, AluOp::min, AluOp::abs_max, AluOp::abs_min});
  a.reduce_cmd = pick({ReduceCommand::idle, ReduceCommand::reset, ReduceCommand::reduce, ReduceCommand::reset_reduce});
  a.data = input(source(kS), pick(kAny), s);
  a.dst = output(target(kS), pick(kAny), s, true);
  if (chance(50)) a.reduce_res = output(target(kS), pick(kFloats), {s.partitions, 1}, false, true);
  build.activate2(a);
}

void SpecialSteps::dma_compute() {
  const Shape s = shape();
  std::vector<View> sources;
  for (uint32_t n = chance(10) ? isa::kComputeSources : upto(4); n > 0; --n) {
    const DType t = pick(kAny);
    if (sources.size() >= 3) {  // more would not fit the smallest chips
      sources.push_back(sources[random.below(3)]);
      continue;
    }
    sources.push_back(chance(40) ? tensor_input(t, uint64_t{s.partitions} * s.row) : input(Memory::sbuf, t, s));
  }
  const DType t = pick(kAny);
  build.dma_sum(chance(30) ? tensor_output(t, uint64_t{s.partitions} * s.row) : output(Memory::sbuf, t, s, false, true),
                sources);
}

}  // namespace presil::campaign
