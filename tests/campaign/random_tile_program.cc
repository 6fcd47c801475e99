#include "tests/campaign/random_tile_program.h"

#include <algorithm>
#include <array>

#include "isa/control.h"
#include "isa/rules.h"
#include "tests/campaign/random_control.h"

namespace presil::campaign {
namespace {

using isa::Opcode;
using tile::Scalar;

constexpr uint32_t kBlock = 32;  // of the vector engine's transpose and shuffle

class Maker : public ControlSteps {
 public:
  Maker(uint64_t seed, const spec::ChipSpec& chip, const ProgramOptions& o) : ControlSteps(seed, chip, o) {}

  RandomTileProgram make() {
    build.begin_layer("layer", "random");
    build.set_source("step");
    for (size_t o = 0; o < weights_.size(); ++o) {
      const auto opcode = static_cast<Opcode>(o);  // random_control.h draws control
      const bool elsewhere = isa::is_control(opcode) || isa::is_exchange(opcode);
      total_ += weights_[o] = elsewhere || chance(30) ? 0 : upto(6);
    }
    if (options.control_percent > 0) begin_control();
    for (int k = 0; k < options.steps && total_ > 0; ++k) {
      any_step();
      const auto count = static_cast<uint32_t>(build.program.code.code.size());
      if (chance(5) && count > 1) build.order(static_cast<uint32_t>(random.below(count - 1)), count - 1);
    }
    store_all();
    return {build.take(), std::move(data)};
  }

 private:
  void any_step() override {
    if (options.control_percent > 0 && chance(options.control_percent)) return control();
    if (options.transfer_percent > 0 && chance(options.transfer_percent)) return chance(40) ? dma_rows() : dma_copy();
    auto pick = static_cast<uint32_t>(random.below(total_));
    size_t opcode = 0;
    while (pick >= weights_[opcode]) pick -= weights_[opcode++];
    step(static_cast<Opcode>(opcode));
  }
  std::array<uint32_t, isa::kOpcodeCount> weights_{};
  uint32_t total_ = 0;

  void step(Opcode opcode) {
    switch (opcode) {
      case Opcode::nc_matmul:
        return any_matmul();
      case Opcode::nc_transpose:
        return transpose();
      case Opcode::tensor_copy:
        return tensor_copy();
      case Opcode::tensor_tensor:
        return tensor_tensor();
      case Opcode::tensor_scalar:
        return tensor_scalar();
      case Opcode::scalar_tensor_tensor:
        return scalar_tensor_tensor();
      case Opcode::tensor_reduce:
        return tensor_reduce();
      case Opcode::tensor_copy_predicated:
        return copy_predicated();
      case Opcode::select_reduce:
        return select_reduce();
      case Opcode::range_select:
        return range_select();
      case Opcode::reciprocal:
        return reciprocal();
      case Opcode::memset:
        return memset();
      case Opcode::max8:
        return max8();
      case Opcode::nc_find_index8:
        return find_index8();
      case Opcode::bn_stats:
        return bn_stats();
      case Opcode::bn_aggr:
        return bn_aggr();
      case Opcode::nc_stream_shuffle:
        return shuffle();
      case Opcode::tensor_tensor_scan:
        return scan();
      case Opcode::activation:
        return activation();
      case Opcode::iota:
        return iota();
      case Opcode::affine_select:
        return affine_select();
      case Opcode::nc_n_gather:
        return gather();
      case Opcode::tensor_partition_reduce:
        return partition_reduce();
      case Opcode::dma_copy:
        return dma_copy();
      case Opcode::dma_transpose:
        return dma_transpose();
      case Opcode::tensor_scalar_reduce:
      case Opcode::tensor_scalar_cumulative:
      case Opcode::nc_match_replace8:
      case Opcode::activation_reduce:
      case Opcode::rng:
      case Opcode::set_rng_seed:
      case Opcode::rand_set_state:
      case Opcode::rand_get_state:
      case Opcode::dropout:
      case Opcode::local_gather:
      case Opcode::sequence_bounds:
      case Opcode::nonzero_with_count:
      case Opcode::topk:
      case Opcode::exponential:
      case Opcode::rand2:
      case Opcode::activate2:
      case Opcode::dma_compute:
        return special(opcode);
      case Opcode::nc_matmul_mx:
        return matmul_mx();
      case Opcode::nc_matmul_sparse:
        return matmul_sparse();
      case Opcode::quantize_mx:
        return quantize_mx();
      case Opcode::wait:
        return wait();
      case Opcode::register_move:
      case Opcode::register_alu:
      case Opcode::register_load:
      case Opcode::register_store:
      case Opcode::branch:
      case Opcode::loop:
      case Opcode::loop_end:
      case Opcode::halt:
      case Opcode::sendrecv:  // of pairs: system/pair_law_test.cc
      case Opcode::core_barrier:
        return;
    }
  }

  void any_matmul() {
    if (chance(15)) return spec.generation >= 3 ? matmul_transpose() : matmul();
    if (chance(15)) return spec.generation >= 3 ? matmul_double_row() : matmul();
    if (chance(15)) return matmul_tiled();
    return chance(10) ? matmul_hinted() : matmul();
  }

  void matmul() {
    const bool wide = chance(40);
    auto type = [&] {
      return wide ? pick({DType::fp32, DType::tf32}) : pick({DType::bf16, DType::fp16, DType::fp8_e4m3});
    };
    const uint32_t k = shape(spec.tensor.rows).partitions, m = upto(column_rows()), n = upto(spec.tensor.moving_max);
    const View stationary = input(Memory::sbuf, type(), {k, m}), moving = input(Memory::sbuf, type(), {k, n});
    const View dst = output(Memory::psum, DType::fp32, {m, n}, false, true);
    build.matmul({.dst = dst, .stationary = stationary, .moving = moving});
    for (uint64_t more = random.below(3); more > 0; --more) {
      build.matmul({.dst = dst,
                    .stationary = input(Memory::sbuf, type(), {k, m}),
                    .moving = input(Memory::sbuf, type(), {k, n}),
                    .accumulate = true});
    }
  }

  void matmul_transpose() {
    const DType t = pick({DType::fp32, DType::bf16, DType::fp16});
    const uint32_t k = upto(std::min(spec.tensor.rows, spec.tensor.moving_max)), m = upto(column_rows());
    const View ones = output(Memory::sbuf, t, {k, k}, false, true), unit = output(Memory::sbuf, t, {k, k}, false, true);
    build.memset({.dst = ones, .value = 1, .engine = kG});
    // Element (p, i) of a view in several dimensions is i in row-major order.
    tile::AffineSelect select{.dst = unit, .on_true = ones, .cmp_op = AluOp::eq, .channel_multiplier = -1};
    int32_t inner = 1;
    for (size_t d = unit.rank; d-- > 0;) select.steps[d] = inner, inner *= static_cast<int32_t>(unit.dims[d].count);
    build.affine_select(select);
    const View stationary = input(Memory::sbuf, t, {k, m});
    build.matmul({.dst = output(Memory::psum, t, {m, k}, false, true),
                  .stationary = stationary,
                  .moving = unit,
                  .is_transpose = true});
  }

  void transpose() {
    if (chance(50)) {
      const Shape s{upto(kBlock), upto(kBlock)};
      const DType t = pick(kAny);
      const View data = input(source(kV), t, s);
      return void(
          build.transpose({.dst = output(target(kV), t, {s.row, s.partitions}), .data = data, .engine = vector()}));
    }
    const Shape s{upto(std::min(spec.tensor.rows, spec.tensor.moving_max)), upto(column_rows())};
    const DType t = pick({DType::fp32, DType::tf32, DType::bf16, DType::fp16});
    const View data = input(Memory::sbuf, t, s);
    const DType to = spec.generation < 3 ? DType::fp32 : t;
    build.transpose({.dst = output(Memory::psum, to, {s.row, s.partitions}, false, true), .data = data});
  }

  void tensor_copy() {
    EngineKind e = pick({kV, kS, kG});
    if (e == kS && spec.generation < 3) e = kV;
    const Shape s = shape();
    const bool moves = !counters.empty() && chance(60);
    if (moves) {
      const View src = chance(70) ? moving_tile(pick(kAny), s, false) : input(source(e), pick(kAny), s);
      const View dst = chance(70) ? moving_tile(pick(kAny), s, true) : output(target(e), pick(kAny), s);
      return void(build.tensor_copy({.dst = dst, .src = src, .engine = engine(e)}));
    }
    const View src = input(source(e), pick(kAny), s);
    build.tensor_copy(
        {.dst = output(target(e), chance(50) ? src.dtype : pick(kAny), s), .src = src, .engine = engine(e)});
  }

  void tensor_tensor() {
    const EngineKind e = pick({kV, kV, kG});
    const Shape s = shape();
    const bool bits = e == kV && chance(20), exact = e == kG && chance(40);
    const DType t = bits ? pick(kIntegers) : pick({DType::int32, DType::uint32});
    auto type = [&] { return bits || exact ? t : pick(kAny); };
    const View a = input(source(e), type(), s), b = input(second(e, a.memory), type(), s);
    const AluOp op = bits ? pick(kBits) : e == kG && chance(20) ? AluOp::power : pick(kBinary);
    build.tensor_tensor({.dst = output(target(e), type(), s), .data1 = a, .data2 = b, .op = op, .engine = engine(e)});
  }

  void tensor_scalar() {
    EngineKind e = pick({kV, kV, kS, kG});
    if (e == kS && spec.generation < 3) e = kV;
    const Shape s = shape();
    tile::TensorScalar a{.reverse0 = chance(30), .reverse1 = chance(30), .engine = engine(e)};
    const bool bits = e == kV && chance(20);
    const DType t = pick(kIntegers);
    if (bits) {
      a.op0 = pick(kBits), a.op1 = chance(50) ? AluOp::bypass : pick(kBits);
      if (chance(50)) a.operand0 = input(source(e), t, {s.partitions, 1});
    } else {
      a.op0 = e == kG ? AluOp::rsqrt : e == kS ? AluOp::multiply : chance(20) ? pick(kUnary) : pick(kBinary);
      a.op1 = e == kS ? pick({AluOp::bypass, AluOp::add}) : chance(40) ? AluOp::bypass : pick(kBinary);
      a.operand0 = per_partition(e, s.partitions), a.operand1 = per_partition(e, s.partitions);
    }
    a.data = input(source(e), bits ? t : pick(kAny), s);
    a.dst = output(target(e), bits ? t : pick(kAny), s);
    build.tensor_scalar(a);
  }

  void scalar_tensor_tensor() {
    const Shape s = shape();
    tile::ScalarTensorTensor a{.op0 = pick(kBinary),
                               .operand0 = per_partition(kV, s.partitions),
                               .reverse0 = chance(30),
                               .op1 = pick(kBinary),
                               .reverse1 = chance(30),
                               .engine = vector()};
    a.data = input(source(kV), pick(kAny), s);
    a.operand1 = input(second(kV, a.data.memory), pick(kAny), s);
    a.dst = output(target(kV), pick(kAny), s);
    build.scalar_tensor_tensor(a);
  }

  void tensor_reduce() {
    const Shape s = shape();
    const bool bits = chance(15);
    const DType t = pick(kIntegers);
    const View data = input(source(kV), bits ? t : pick(kAny), s);
    const auto axes = static_cast<int>(1 + random.below(data.rank));
    uint32_t kept = 1;
    for (int d = 0; d < data.rank - axes; ++d) kept *= data.dims[static_cast<size_t>(d)].count;
    build.tensor_reduce({.dst = output(target(kV), bits ? t : pick(kAny), {s.partitions, kept}),
                         .data = data,
                         .op = bits ? AluOp::bit_xor : pick(kReductions),
                         .axes = axes,
                         .negate = !bits && chance(20),
                         .engine = vector()});
  }

  void copy_predicated() {
    const Shape s = shape();
    const DType t = pick(kAny);
    tile::TensorCopyPredicated a{.src = random.normal(), .reverse_pred = chance(50), .engine = vector()};
    const View src = input(source(kV), t, s);
    if (chance(60)) a.src = src;
    a.predicate = input(second(kV, src.memory), pick({DType::uint8, DType::uint16, DType::uint32, DType::boolean}), s);
    a.dst = output(target(kV), t, s);
    build.tensor_copy_predicated(a);
  }

  ReduceCommand command() { return pick({ReduceCommand::idle, ReduceCommand::reduce, ReduceCommand::reset_reduce}); }

  void select_reduce() {
    const Shape s = shape();
    tile::SelectReduce a{
        .on_false = per_partition(kV, s.partitions), .reduce_cmd = command(), .reverse_pred = chance(50)};
    a.predicate = input(source(kV), pick({DType::int8, DType::uint8, DType::int16, DType::uint16, DType::boolean}), s);
    a.on_true = input(second(kV, a.predicate.memory), pick({DType::fp32, DType::bf16, DType::fp16, DType::int16}), s);
    a.dst = output(target(kV), pick(kAny), s, true);
    if (chance(70)) a.reduce_res = output(target(kV), pick(kFloats), {s.partitions, 1}, false, true);
    build.select_reduce(a);
  }

  void range_select() {
    if (spec.generation < 3) return;
    const Shape s = shape();
    tile::RangeSelect a{.bound0 = values(kV, s.partitions),
                        .bound1 = values(kV, s.partitions),
                        .comp_op0 = pick(kComparisons),
                        .comp_op1 = pick(kComparisons),
                        .range_start = static_cast<int32_t>(random.between(-3, 3)),
                        .reduce_cmd = command()};
    a.on_true = input(source(kV), pick(kFloats), s);
    a.dst = output(target(kV), pick(kFloats), s, true);
    if (chance(70)) a.reduce_res = output(target(kV), DType::fp32, {s.partitions, 1}, false, true);
    build.range_select(a);
  }

  void reciprocal() {
    const Shape s = shape();
    const View data = input(source(kV), pick(kAny), s);
    build.reciprocal({.dst = output(target(kV), pick(kAny), s), .data = data, .engine = vector()});
  }

  void memset() {
    const EngineKind e = pick({kV, kG});
    const DType t = pick(kAny);
    const float value = is_float(t) ? random.normal() : static_cast<float>(random.between(-100, 300));
    const tile::Memset a{.dst = output(target(e), t, shape()), .value = value, .engine = engine(e)};
    const int times = chance(10) ? 8 : 1;  // the same again and again becomes an encoding repeat
    for (int k = 0; k < times; ++k) build.memset(a);
  }

  void max8() {
    const Shape s = search_shape();
    const View src = input(source(kV), pick(kAny), s);
    build.max8({.dst = output(target(kV), pick(kAny), {s.partitions, 8}), .src = src, .engine = vector()});
  }
  void find_index8() {
    const Shape s = search_shape();
    const View src = input(source(kV), pick(kAny), s);
    const DType t = chance(50) ? src.dtype : pick(kAny);
    const View top = output(target(kV), t, {s.partitions, 8}, false, true);
    if (chance(80)) build.max8({.dst = top, .src = src, .engine = vector()});
    build.find_index8({.dst = output(target(kV), pick({DType::uint16, DType::uint32}), {s.partitions, 8}),
                       .data = src,
                       .vals = top,
                       .engine = vector()});
  }

  void bn_stats() {
    const Shape s = shape();
    const View data = input(source(kV), pick(kAny), s);
    build.bn_stats({.dst = output(target(kV), pick(kFloats), {s.partitions, 6}), .data = data, .engine = vector()});
  }
  void bn_aggr() {
    const Shape s{shape().partitions, 3 * upto(8)};
    const View data = input(source(kV), pick(kFloats), s);
    build.bn_aggr({.dst = output(target(kV), pick(kFloats), {s.partitions, 2}), .data = data, .engine = vector()});
  }

  void shuffle() {
    const Shape s = shape();
    const DType t = pick(kAny);
    tile::StreamShuffle a{.engine = vector()};
    for (uint8_t& from : a.mask)
      from = chance(10) ? 255 : static_cast<uint8_t>(random.below(std::min(kBlock, s.partitions)));
    // The last block may be shorter: it may name only what it has.
    if (const uint32_t rest = s.partitions % kBlock; rest != 0)
      for (uint8_t& from : a.mask) from = from == 255 ? from : static_cast<uint8_t>(from % rest);
    a.src = at_block(input(source(kV), t, s));
    a.dst = at_block(output(target(kV), t, s));
    build.stream_shuffle(a);
  }
  static View at_block(View v) {
    v.partition = static_cast<uint16_t>(v.partition / kBlock * kBlock);
    return v;
  }

  void scan() {
    const Shape s = shape();
    tile::TensorTensorScan a{.initial = per_partition(kV, s.partitions),
                             .op0 = pick(kBinary),
                             .op1 = pick(kBinary),
                             .reverse0 = chance(30),
                             .reverse1 = chance(30),
                             .engine = vector()};
    a.data0 = input(source(kV), pick(kAny), s);
    a.data1 = input(second(kV, a.data0.memory), pick(kAny), s);
    a.dst = output(target(kV), pick(kAny), s);
    build.tensor_tensor_scan(a);
  }

  void activation() {
    const Shape s = shape();
    tile::ActivationArgs a{.op = static_cast<Activation>(random.below(kActivationCount)), .alpha = 0.125f};
    if (chance(50)) a.scale = per_partition(kS, s.partitions);
    if (chance(50)) a.bias = values(kS, s.partitions);
    if (a.op == Activation::reciprocal && spec.generation < 3) a.bias = 0.0f;
    a.data = input(source(kS), pick(kAny), s);
    a.dst = output(target(kS), pick(kAny), s, true);
    a.reduce_cmd =
        pick({ReduceCommand::idle, ReduceCommand::reset, ReduceCommand::reduce, ReduceCommand::reset_reduce});
    if (chance(50)) a.reduce_res = output(target(kS), pick(kFloats), {s.partitions, 1}, false, true);
    build.activation(a);
  }

  void iota() {
    tile::Iota a{.dst = output(Memory::sbuf, pick(kAny), shape()),
                 .offset = static_cast<int32_t>(random.between(-50, 50)),
                 .channel_multiplier = static_cast<int32_t>(random.between(-9, 9))};
    for (int32_t& s : a.steps) s = static_cast<int32_t>(random.between(-20, 20));
    build.iota(a);
  }

  void affine_select() {
    const Shape s = shape();
    const View on_true = input(Memory::sbuf, pick(kAny), s);
    tile::AffineSelect a{.dst = output(Memory::sbuf, chance(50) ? on_true.dtype : pick(kAny), s),
                         .on_true = on_true,
                         .cmp_op = pick(kComparisons),
                         .value = static_cast<float>(random.between(-9, 9)),
                         .offset = static_cast<int32_t>(random.between(-50, 50)),
                         .channel_multiplier = static_cast<int32_t>(random.between(-9, 9))};
    for (int32_t& step : a.steps) step = static_cast<int32_t>(random.between(-20, 20));
    build.affine_select(a);
  }

  void gather() {
    const Shape s = shape();
    const uint32_t n = upto(options.row_max);
    const View indices = output(Memory::sbuf, DType::uint32, {s.partitions, n}, false, true);
    // Counts along one dimension, scaled so that the largest index is in the table.
    const size_t along = random.below(indices.rank);
    const uint32_t last = indices.dims[along].count - 1;
    tile::Iota count{.dst = indices};
    count.steps[along] = last > 0 ? static_cast<int32_t>(random.below((s.row - 1) / last + 1)) : 0;
    count.offset = static_cast<int32_t>(random.below(s.row - last * static_cast<uint32_t>(count.steps[along])));
    build.iota(count);
    const View table = input(Memory::sbuf, pick(kAny), s);
    build.gather({.dst = output(Memory::sbuf, chance(50) ? table.dtype : pick(kAny), {s.partitions, n}),
                  .data = table,
                  .indices = indices});
  }

  void partition_reduce() {
    const Shape s = shape();
    const bool bits = chance(25);
    const DType t = pick(kIntegers);
    const View data = input(Memory::sbuf, bits ? t : pick(kAny), s);
    build.partition_reduce({.dst = output(Memory::sbuf, bits ? t : pick(kAny), {1, s.row}),
                            .data = data,
                            .op = bits ? pick({AluOp::bit_and, AluOp::bit_or}) : pick({AluOp::add, AluOp::max})});
  }

  tile::DmaOptions trigger() {
    tile::DmaOptions o;
    if (chance(50)) o.engine = pick({EngineKind::sync, kS, kG, kV, EngineKind::tensor});
    o.priority = priority();
    return o;
  }
  // And by whom its descriptors are made; hardware converts nothing.
  tile::DmaOptions trigger(DType from, DType to) {
    tile::DmaOptions o = trigger();
    if (o.engine && o.engine->kind == kG && chance(40)) o.dge_mode = isa::DgeMode::swdge;
    const bool commands = o.engine && (o.engine->kind == kS || o.engine->kind == EngineKind::sync);
    if (commands && from == to && spec.generation >= 3 && chance(40)) o.dge_mode = isa::DgeMode::hwdge;
    if (o.dge_mode == isa::DgeMode::unknown && chance(20)) o.dge_mode = isa::DgeMode::none;
    return o;
  }

  void dma_copy() {
    if (chance(30)) return dma_rows();
    const Shape s = shape();
    const DType t = pick(kAny);
    const DType to = chance(60) ? t : pick(kAny);
    const uint64_t elements = uint64_t{s.partitions} * s.row;
    if (!counters.empty() && chance(60)) {
      if (chance(50)) return void(build.dma(output(Memory::sbuf, to, s), moving_input(t, elements), trigger()));
      const View src = input(Memory::sbuf, t, s);
      return void(build.dma(moving_output(to, elements), src, trigger()));
    }
    switch (random.below(3)) {
      case 0:
        build.dma(output(Memory::sbuf, to, s), tensor_input(t, elements), trigger(t, to));
        return;
      case 1: {
        const View src = input(Memory::sbuf, t, s);
        build.dma(tensor_output(to, elements), src, trigger(t, to));
        return;
      }
      default: {
        const View src = input(Memory::sbuf, t, s);
        build.dma(output(Memory::sbuf, to, s, false, true), src, trigger(t, to));
        return;
      }
    }
  }

  void dma_transpose() {
    if (spec.generation >= 3 && spec.sbuf.partitions >= 64 && chance(30)) return dma_rows_transposed();
    const Shape s = shape(0, spec.sbuf.partitions);
    const DType t = pick({DType::fp32, DType::bf16, DType::int16, DType::uint32});
    const View dst = output(Memory::sbuf, t, s, false, true);
    if (chance(50)) {
      View src = tensor_input(t, uint64_t{s.partitions} * s.row);
      src.rank = 2, src.dims[0] = {static_cast<int32_t>(s.partitions), s.row}, src.dims[1] = {1, s.partitions};
      build.dma_transpose(dst, src, trigger());
    } else {
      build.dma_transpose(dst, input(Memory::sbuf, t, {s.row, s.partitions}, true), trigger());
    }
  }

  void wait() {
    const EngineKind e = pick({EngineKind::tensor, kV, kS, kG, EngineKind::sync});
    build.program.code.append(Opcode::wait, e).source = build.program.code.code.empty() ? isa::kNoSource : 0;
  }
};

}  // namespace

std::vector<system::Input> RandomTileProgram::inputs() const {
  std::vector<system::Input> out;
  size_t next = 0;
  for (const isa::HbmTensor& t : program.tensors) {
    if (t.role == isa::TensorRole::input) out.push_back({t.name, data[next++]});
  }
  return out;
}

RandomTileProgram random_tile_program(uint64_t seed, const spec::ChipSpec& spec, const ProgramOptions& options) {
  return Maker(seed, spec, options).make();
}

void damage(tile::TileProgram& program, uint64_t seed) {
  Prng random(seed);
  isa::Program& code = program.code;
  if (code.code.empty()) return;
  isa::Instruction& i = code.code[random.below(code.code.size())];
  if (i.attribute_count > 0 && random.below(3) == 0) {
    uint32_t& word = code.attributes[i.attribute_begin + random.below(i.attribute_count)];
    word = random.below(2) ? word + 1 : static_cast<uint32_t>(random.below(8));
    return;
  }
  if (i.operand_count == 0 || random.below(6) == 0) {
    i.engine = static_cast<EngineKind>(random.below(isa::kEngineKindCount));
    return;
  }
  View& v = code.views[i.operand_begin + random.below(i.operand_count)];
  if (!v.present()) return;
  switch (random.below(5)) {
    case 0:
      v.dtype = static_cast<DType>(random.below(kDTypeCount));
      return;
    case 1:
      v.partitions = static_cast<uint16_t>(v.partitions + (random.below(2) ? 1 : -1));
      return;
    case 2:
      if (v.rank > 0) v.dims[random.below(v.rank)].count += random.below(2) ? 1 : UINT32_MAX;
      return;
    case 3:
      v.offset += random.between(-8, 8);
      return;
    default:
      v.partition = static_cast<uint16_t>(random.below(3) * 32);
      return;
  }
}

}  // namespace presil::campaign
