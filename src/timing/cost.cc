#include "timing/cost.h"

#include <algorithm>

#include "isa/control.h"
#include "isa/slots.h"
#include "numerics/activation.h"
#include "numerics/alu.h"
#include "timing/access.h"
#include "timing/transfer.h"

namespace presil::timing {
namespace {

using isa::EngineKind;
using isa::Instruction;
using isa::Memory;
using isa::Opcode;
using isa::Program;
using isa::View;
namespace slots = isa::slots;

constexpr uint64_t ceil_div(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

const spec::EngineSpec& engine_of(const spec::ChipSpec& spec, EngineKind kind) {
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
      return spec.sync;
  }
  CHECK(false, "unknown engine kind");
}

// --- tensor engine ---------------------------------------------------------------------------------------------------

// An nc_matmul is one or more hardware MATMUL instructions (fp32: FP32_LO_HI pairs), each of some passes over the
// moving operand.
struct Matmul {
  uint64_t instructions = 1, passes = 1;  // passes of one instruction
};

bool is_4byte(DType t) { return dtype_bytes(t) == 4 && t != DType::tf32; }

Matmul passes_of(const spec::TensorSpec& t, uint64_t passes) {
  const uint64_t instructions = std::min<uint64_t>(t.fp32_instructions, passes);
  return {instructions, ceil_div(passes, instructions)};
}
Matmul transpose_of(const spec::TensorSpec& t, DType dtype) {
  return is_4byte(dtype) ? passes_of(t, t.fp32_transpose_passes) : Matmul{};
}
// The hint about ones and zeros counts for an fp32 operand (documented: up to twice as fast).
Matmul product_of(const Program& p, const Instruction& i, const spec::TensorSpec& t) {
  namespace s = slots::nc_matmul;
  const bool stationary = p.operand(i, s::stationary).dtype == DType::fp32,
             moving = p.operand(i, s::moving).dtype == DType::fp32;
  if (p.word(i, s::is_transpose) != 0) return transpose_of(t, p.operand(i, s::moving).dtype);
  if (!stationary && !moving) return {};
  const bool hint =
      (stationary && p.word(i, s::is_stationary_onezero) != 0) || (moving && p.word(i, s::is_moving_onezero) != 0);
  return passes_of(t, hint ? std::min(t.fp32_onezero_passes, t.fp32_passes) : t.fp32_passes);
}

struct MatmulShape {
  uint64_t stationary_columns = 0, moving_columns = 0;
  uint64_t port_cycles = 0;  // least cycles of one pass's reads and writes
  Matmul kind;
  uint16_t parts = kWholeArray;
};

// The parts of the array, a sixteenth each, that a tile covers.
uint16_t parts_of(uint32_t row, uint32_t rows, uint32_t column, uint32_t columns, const spec::TensorSpec& t) {
  uint16_t parts = 0;
  for (uint32_t r = 0; r < kArrayParts; ++r) {
    for (uint32_t c = 0; c < kArrayParts; ++c) {
      const bool in_rows = r * t.rows < (row + rows) * kArrayParts && (r + 1) * t.rows > row * kArrayParts;
      const bool in_columns =
          c * t.columns < (column + columns) * kArrayParts && (c + 1) * t.columns > column * kArrayParts;
      if (in_rows && in_columns) parts |= static_cast<uint16_t>(1u << (r * kArrayParts + c));
    }
  }
  return parts;
}

Cost matmul_cost(const MatmulShape& m, const spec::TensorSpec& t) {
  const uint64_t data = std::max(m.moving_columns * m.kind.passes, m.port_cycles) + t.issue_overhead_cycles;
  const uint64_t load = ceil_div(m.stationary_columns, t.load_speedup) * m.kind.passes;
  const uint64_t interval = std::max({data, load, uint64_t{t.initiation_min_cycles}});
  // All but the last instruction pay their interval before the last one's data flows.
  const uint64_t last_data = (m.kind.instructions - 1) * interval + data;
  const Time busy = duration_up(m.kind.instructions * interval, t.clock_hz);
  Cost cost{.occupancy = busy,
            .latency = duration_up(last_data, t.clock_hz) + t.latency,
            .prepare = duration_up(load, t.clock_hz)};
  if (m.parts == kWholeArray) return cost;
  // Elsewhere on the array the next instruction may start as soon as the engine can issue it (assumed).
  cost.occupancy = duration_up(t.initiation_min_cycles, t.clock_hz);
  cost.parts = m.parts, cost.parts_busy = busy;
  return cost;
}

// Ports deliver half their rate at large innermost strides (fact sheet, section 2.4).
bool half_rate(const View& v, const spec::ChipSpec& spec) {
  if (!v.present()) return false;
  const spec::SramSpec& memory = v.memory == Memory::psum ? spec.psum : spec.sbuf;
  return innermost_stride_bytes(v) >= memory.half_rate_stride_bytes;
}

// The shape of an instruction that multiplies: `parts` elements per column and partition, in one pass.
MatmulShape shape_of(const Program& p, const Instruction& i, uint64_t parts, const spec::ChipSpec& spec) {
  constexpr int kDst = 0, kStationary = 1, kMoving = 2;
  const View& moving = p.operand(i, kMoving);
  const uint64_t n = moving.elements_per_partition() / parts;
  const bool strided = half_rate(moving, spec) || half_rate(p.operand(i, kDst), spec);
  return {.stationary_columns = p.operand(i, kStationary).elements_per_partition(),
          .moving_columns = n,
          .port_cycles = strided ? 2 * n : n};
}

Cost nc_matmul_cost(const Program& p, const Instruction& i, const spec::ChipSpec& spec) {
  namespace s = slots::nc_matmul;
  const bool doubled = p.word(i, s::perf_mode) == static_cast<uint32_t>(isa::MatmulMode::double_row);
  MatmulShape shape = shape_of(p, i, doubled ? 2 : 1, spec);
  if (doubled) shape.stationary_columns /= 2;  // both numbers of a place are loaded together (assumed)
  shape.kind = product_of(p, i, spec.tensor);
  if (p.word(i, s::tile_rows) != 0) {
    shape.parts = parts_of(p.word(i, s::tile_row), p.word(i, s::tile_rows), p.word(i, s::tile_column),
                           p.word(i, s::tile_columns), spec.tensor);
  }
  return matmul_cost(shape, spec.tensor);
}

Cost tensor_cost(const Program& p, const Instruction& i, const spec::ChipSpec& spec) {
  switch (i.opcode) {
    case Opcode::nc_matmul:
      return nc_matmul_cost(p, i, spec);
    case Opcode::nc_matmul_mx: {
      namespace s = slots::nc_matmul_mx;
      MatmulShape shape = shape_of(p, i, 1, spec);
      // Four products per place and cycle (documented), so that a column of packed elements takes one.
      if (const uint32_t rows = p.word(i, s::tile_rows); rows != 0)
        shape.parts = parts_of(p.word(i, s::tile_row), rows, 0, spec.tensor.columns, spec.tensor);
      return matmul_cost(shape, spec.tensor);
    }
    case Opcode::nc_matmul_sparse: {
      namespace s = slots::nc_matmul_sparse;
      const uint32_t kept = std::max(1u, p.word(i, s::kept));
      return matmul_cost(shape_of(p, i, std::max(1u, p.word(i, s::of) / kept), spec), spec.tensor);
    }
    default:
      break;
  }
  CHECK(i.opcode == Opcode::nc_transpose, "an instruction of the tensor engine");
  // The data is stationary and a P x P identity moves: cost max(P, min(64, F)) in the documents.
  const View& data = p.operand(i, slots::nc_transpose::data);
  const uint64_t n = data.partitions;
  const bool strided = half_rate(p.operand(i, slots::nc_transpose::dst), spec);
  return matmul_cost({.stationary_columns = data.elements_per_partition(),
                      .moving_columns = n,
                      .port_cycles = strided ? 2 * n : n,
                      .kind = transpose_of(spec.tensor, data.dtype)},
                     spec.tensor);
}

// --- element-wise engines --------------------------------------------------------------------------------------------

// Floats that the performance modes are for: of 16 bits, and from generation 4 on of 8 (fact sheet, section 1.1).
bool all_short_floats(std::initializer_list<const View*> views, const spec::ChipSpec& spec) {
  return std::all_of(views.begin(), views.end(), [&](const View* v) {
    const bool byte = is_float(v->dtype) && dtype_bytes(v->dtype) == 1 && spec.generation >= 4;
    return byte || is_16bit_float(v->dtype);
  });
}
bool contiguous(const View& v) { return innermost_stride_bytes(v) <= dtype_bytes(v.dtype); }
bool in_psum(const View& v) { return v.memory == Memory::psum; }

// Speed-up of copy-like instructions of the vector engine (fact sheet, section 3.2).
uint32_t copy_speedup(const View& dst, const View& src, const spec::ChipSpec& spec) {
  const spec::VectorSpec& v = spec.vector;
  const bool dense_short_floats = all_short_floats({&dst, &src}, spec) && contiguous(dst) && contiguous(src);
  if (in_psum(dst) && in_psum(src)) return 1;
  if (in_psum(dst) || in_psum(src)) return dense_short_floats ? v.fast_copy_psum_16bit : 1;
  return dense_short_floats ? v.fast_copy_16bit : v.fast_copy_other;
}

uint64_t copy_cycles(const View& dst, const View& src, uint64_t n, const spec::ChipSpec& spec) {
  const uint32_t speedup = copy_speedup(dst, src, spec);
  // The documents give strided 16-bit copies their rate without the port's penalty.
  const bool keeps_rate = speedup > 1 && all_short_floats({&dst, &src}, spec);
  const uint64_t port = !keeps_rate && (half_rate(dst, spec) || half_rate(src, spec)) ? 2 : 1;
  return ceil_div(n * port, speedup);
}

bool is_plain_arithmetic(AluOp op) { return op == AluOp::add || op == AluOp::subtract || op == AluOp::multiply; }

uint32_t tensor_tensor_speedup(const Program& p, const Instruction& i, const spec::ChipSpec& spec) {
  const View& dst = p.operand(i, slots::tensor_tensor::dst);
  const View& a = p.operand(i, slots::tensor_tensor::data1);
  const View& b = p.operand(i, slots::tensor_tensor::data2);
  const bool fast = !in_psum(a) && !in_psum(b) && all_short_floats({&a, &b, &dst}, spec);
  return fast ? spec.vector.fast_tensor_tensor_16bit : 1;
}

uint64_t tensor_tensor_cycles(const Program& p, const Instruction& i, uint64_t n, const spec::ChipSpec& spec) {
  const View& dst = p.operand(i, slots::tensor_tensor::dst);
  const View& a = p.operand(i, slots::tensor_tensor::data1);
  const View& b = p.operand(i, slots::tensor_tensor::data2);
  if (in_psum(a) != in_psum(b)) return n;
  const bool bf16 = a.dtype == DType::bf16 && b.dtype == DType::bf16 && dst.dtype == DType::bf16;
  const bool dense = contiguous(a) && contiguous(b) && contiguous(dst);
  const bool plain = is_plain_arithmetic(static_cast<AluOp>(p.word(i, slots::tensor_tensor::op)));
  const uint64_t cycles = bf16 && dense && plain && !in_psum(a) ? n : 2 * n;
  return ceil_div(cycles, tensor_tensor_speedup(p, i, spec));
}

uint64_t scalar_tensor_tensor_cycles(const Program& p, const Instruction& i, uint64_t n) {
  const bool bf16 = p.operand(i, slots::scalar_tensor_tensor::data).dtype == DType::bf16 &&
                    p.operand(i, slots::scalar_tensor_tensor::operand1).dtype == DType::bf16;
  const bool fused = static_cast<AluOp>(p.word(i, slots::scalar_tensor_tensor::op0)) == AluOp::subtract &&
                     static_cast<AluOp>(p.word(i, slots::scalar_tensor_tensor::op1)) == AluOp::multiply;
  return bf16 && fused && n % 2 == 0 ? n : 2 * n;
}

uint64_t tensor_reduce_cycles(const Program& p, const Instruction& i, uint64_t n) {
  const AluOp op = static_cast<AluOp>(p.word(i, slots::tensor_reduce::op));
  const bool bf16 = p.operand(i, slots::tensor_reduce::dst).dtype == DType::bf16 &&
                    p.operand(i, slots::tensor_reduce::data).dtype == DType::bf16;
  return bf16 && (op == AluOp::add || op == AluOp::max) ? ceil_div(n, 2) : n;
}

// Selections read a predicate and data: one after the other, unless they come from different memories.
uint64_t selection_cycles(const View& a, const View& b, uint64_t n) { return in_psum(a) != in_psum(b) ? n : 2 * n; }

bool any_half_rate(const Program& p, const Instruction& i, const spec::ChipSpec& spec) {
  const auto views = p.operands(i);
  return std::any_of(views.begin(), views.end(), [&](const View& v) { return half_rate(v, spec); });
}

// Elements per partition of the longest operand: N in the documents.
uint64_t longest(const Program& p, const Instruction& i) {
  uint64_t n = 1;
  for (const View& v : p.operands(i)) n = std::max(n, v.present() ? v.elements_per_partition() : 0);
  return n;
}

// Cycles of the data, without strides (vector engine; initiation intervals of the instruction documentation).
uint64_t vector_cycles(const Program& p, const Instruction& i, const spec::ChipSpec& spec) {
  const uint64_t n = longest(p, i);
  const uint64_t port = any_half_rate(p, i, spec) ? 2 : 1;
  switch (i.opcode) {
    case Opcode::tensor_copy:
      return copy_cycles(p.operand(i, slots::tensor_copy::dst), p.operand(i, slots::tensor_copy::src), n, spec);
    case Opcode::tensor_scalar:
      return copy_cycles(p.operand(i, slots::tensor_scalar::dst), p.operand(i, slots::tensor_scalar::data), n, spec);
    case Opcode::tensor_tensor:
      return tensor_tensor_cycles(p, i, n, spec) * port;
    case Opcode::scalar_tensor_tensor:
      return scalar_tensor_tensor_cycles(p, i, n) * port;
    case Opcode::tensor_reduce:
      return tensor_reduce_cycles(p, i, n) * port;
    case Opcode::tensor_copy_predicated:
      return port * selection_cycles(p.operand(i, slots::tensor_copy_predicated::src),
                                     p.operand(i, slots::tensor_copy_predicated::predicate), n);
    case Opcode::select_reduce:
      return port * selection_cycles(p.operand(i, slots::select_reduce::on_true),
                                     p.operand(i, slots::select_reduce::predicate), n);
    case Opcode::memset: {
      const View& dst = p.operand(i, slots::memset::dst);
      const bool fast = is_16bit_float(dst.dtype) && p.f32(i, slots::memset::value) == 0.0f;
      return port * (fast ? ceil_div(n, 2) : n);
    }
    case Opcode::reciprocal:
      return 8 * n * port;
    case Opcode::bn_aggr:
      return ceil_div(13 * p.operand(i, slots::bn_aggr::data).elements_per_partition(), 3) * port;
    case Opcode::tensor_tensor_scan:
      return 2 * n * port;
    case Opcode::tensor_scalar_reduce:  // and reads its accumulators out
      return std::max<uint64_t>(n * port, spec.vector.initiation_min_cycles) + spec.vector.initiation_min_cycles;
    case Opcode::exponential:  // and reads its accumulators out, where they are kept
      return ceil_div(n, spec.vector.exponential_per_cycle) * port +
             (p.operand(i, slots::exponential::reduce_res).present() ? spec.vector.initiation_min_cycles : 0);
    case Opcode::rng:
    case Opcode::rand2:
      return ceil_div(n, spec.vector.random_per_cycle) * port;
    case Opcode::dropout:                   // not documented: an element per cycle
    case Opcode::tensor_scalar_cumulative:  // not documented: as a reduction
    case Opcode::nc_match_replace8:
    case Opcode::set_rng_seed:
    case Opcode::rand_set_state:
    case Opcode::rand_get_state:
    case Opcode::nc_transpose:
    case Opcode::range_select:
    case Opcode::max8:
    case Opcode::nc_find_index8:
    case Opcode::bn_stats:
    case Opcode::nc_stream_shuffle:
      return n * port;
    case Opcode::quantize_mx: {  // documented: half the tensor engine's rate, so one element of dst per cycle
      const uint64_t rate = std::max<uint64_t>(1, spec.vector.fast_copy_16bit);
      return ceil_div(p.operand(i, slots::quantize_mx::src).elements_per_partition(), rate) * port;
    }
    case Opcode::nc_matmul:
    case Opcode::nc_matmul_mx:
    case Opcode::nc_matmul_sparse:
    case Opcode::activation:
    case Opcode::iota:
    case Opcode::affine_select:
    case Opcode::nc_n_gather:
    case Opcode::tensor_partition_reduce:
    case Opcode::dma_copy:
    case Opcode::dma_transpose:
    case Opcode::activation_reduce:
    case Opcode::activate2:
    case Opcode::dma_compute:
    case Opcode::sendrecv:
    case Opcode::core_barrier:
    case Opcode::local_gather:
    case Opcode::sequence_bounds:
    case Opcode::nonzero_with_count:
    case Opcode::topk:
    case Opcode::wait:
    case Opcode::register_move:
    case Opcode::register_alu:
    case Opcode::register_load:
    case Opcode::register_store:
    case Opcode::branch:
    case Opcode::loop:
    case Opcode::loop_end:
    case Opcode::halt:
      break;
  }
  CHECK(false, "an instruction of the vector engine");
}

uint64_t scalar_cycles(const Program& p, const Instruction& i, const spec::ChipSpec& spec) {
  const View &dst = p.operand(i, 0), &data = p.operand(i, 1);
  const bool fast = all_short_floats({&dst, &data}, spec) && contiguous(dst) && contiguous(data);
  const uint64_t n =
      ceil_div(longest(p, i), fast ? spec.scalar.fast_short_floats : 1) * (any_half_rate(p, i, spec) ? 2 : 1);
  const bool reads_accumulator =
      i.opcode == Opcode::activation_reduce ||
      (i.opcode == Opcode::activation && p.operand(i, slots::activation::reduce_res).present()) ||
      (i.opcode == Opcode::activate2 && p.operand(i, slots::activate2::reduce_res).present());
  return n + (reads_accumulator ? spec.scalar.accumulator_read_cycles : 0);
}

// Elements that the gpsimd processors move for an operand, in words per partition.
uint64_t words(const View& v, const spec::GpsimdSpec& g) {
  return v.elements_per_partition() * ceil_div(dtype_bytes(v.dtype), g.word_bytes);
}

uint64_t gpsimd_cycles(const Program& p, const Instruction& i, const spec::ChipSpec& spec) {
  const spec::GpsimdSpec& g = spec.gpsimd;
  const uint64_t n = longest(p, i);
  switch (i.opcode) {
    case Opcode::iota:
    case Opcode::affine_select:
      return g.start_cycles + n;
    case Opcode::nc_n_gather: {
      // One routine per 512 results (documented); its inner rate of one per cycle is assumed.
      const uint64_t results = p.operand(i, slots::nc_n_gather::dst).elements_per_partition();
      return ceil_div(results, 512) * g.start_cycles + results;
    }
    case Opcode::tensor_partition_reduce:
      return g.start_cycles +
             p.operand(i, slots::tensor_partition_reduce::data).elements_per_partition() * g.partition_reduce_cycles;
    case Opcode::local_gather: {
      // Documented: indices * e / C cycles with C = ((28 + 4 e) / 4 e) / min(4 / element bytes, e).
      const View& dst = p.operand(i, slots::local_gather::dst);
      const uint64_t e = p.word(i, slots::local_gather::num_elem_per_idx);
      const uint64_t per_word = std::min<uint64_t>(4 / std::min<uint64_t>(4, dtype_bytes(dst.dtype)), e);
      return g.start_cycles + ceil_div(dst.elements_per_partition() * 4 * e * per_word, 28 + 4 * e);
    }
    case Opcode::topk:  // documented
      return 4 * p.word(i, slots::topk::n) + p.operand(i, slots::topk::val_dst).elements_per_partition();
    case Opcode::sequence_bounds:     // not documented: each result once
    case Opcode::nonzero_with_count:  // not documented: each element once
      return g.start_cycles + n;
    default:
      break;
  }
  // Element-wise routines read their inputs one after the other and write behind them.
  uint64_t read = 0, written = 0;
  const auto operands = isa::row(i.opcode).operands;
  for (size_t k = 0; k < operands.size(); ++k) {
    const View& v = p.operand(i, static_cast<int>(k));
    if (!v.present()) continue;
    (operands[k].access == isa::Access::write ? written : read) += words(v, g);
  }
  return g.start_cycles + std::max(read, written);
}

uint64_t partitions_of(const Program& p, const Instruction& i) {
  uint64_t most = 1;
  for (const View& v : p.operands(i)) most = std::max<uint64_t>(most, v.partitions);
  return most;
}

Cost lane_cost(uint64_t cycles, uint64_t partitions, const spec::EngineSpec& e) {
  const uint64_t data = cycles * ceil_div(partitions, e.lanes) + e.issue_overhead_cycles;
  return {.occupancy = duration_up(std::max<uint64_t>(data, e.initiation_min_cycles), e.clock_hz),
          .latency = duration_up(data, e.clock_hz) + e.latency};
}

}  // namespace

namespace {

Cost control_cost(Opcode opcode, const spec::SequencerSpec& s) {
  Time t = s.register_operation;
  if (opcode == Opcode::register_load || opcode == Opcode::register_store) t = s.register_access;
  if (opcode == Opcode::branch || opcode == Opcode::loop_end) t = s.branch;
  return {.occupancy = t, .latency = t};
}

// As carried out (isa/exchange.h) when both cores are there at the same time.
Cost exchange_cost(const Program& p, const Instruction& i, const spec::ChipSpec& spec) {
  const Time wait = duration_up(spec.sync.initiation_min_cycles, spec.sync.clock_hz);
  Time t = 2 * wait + spec.semaphores.remote_wake;
  if (i.opcode == Opcode::sendrecv) {
    const Transfer moved = transfer(p, i, spec);
    t += moved.start_latency + unloaded_duration(moved) + moved.completion + spec.semaphores.wake;
  }
  return {.occupancy = t, .latency = t};
}

Cost engine_cost(const Program& p, const Instruction& i, const spec::ChipSpec& spec) {
  const spec::EngineSpec& engine = engine_of(spec, i.engine);
  switch (i.engine) {
    case EngineKind::tensor:
      return tensor_cost(p, i, spec);
    case EngineKind::vector:
      return lane_cost(vector_cycles(p, i, spec), partitions_of(p, i), engine);
    case EngineKind::scalar:
      return lane_cost(scalar_cycles(p, i, spec), partitions_of(p, i), engine);
    case EngineKind::gpsimd:
      return lane_cost(gpsimd_cycles(p, i, spec), partitions_of(p, i), engine);
    case EngineKind::sync:
      break;
  }
  CHECK(false, "the sync engine runs waits, control flow and DMA triggers only");
}

}  // namespace

Cost cost(const Program& p, const Instruction& i, const spec::ChipSpec& spec) {
  CHECK(!isa::is_dma(i.opcode), "transfers are timed by transfer()");
  if (i.opcode == Opcode::wait) {
    const Time t = duration_up(spec.sync.initiation_min_cycles, spec.sync.clock_hz);
    return {.occupancy = t, .latency = t};
  }
  if (isa::is_control(i.opcode)) return control_cost(i.opcode, spec.sequencer);
  if (isa::is_exchange(i.opcode)) return exchange_cost(p, i, spec);
  Cost cost = engine_cost(p, i, spec);
  if (i.delta_count == 0 || !isa::reads_registers(p, i)) return cost;
  const Time least = duration_up(spec.sequencer.dynamic_address_cycles_min, engine_of(spec, i.engine).clock_hz);
  return {std::max(cost.occupancy, least), std::max(cost.latency, least), cost.prepare};
}

int table_of(const Program& p, const Instruction& i) {
  const bool activates =
      i.opcode == Opcode::activation || i.opcode == Opcode::activation_reduce || i.opcode == Opcode::activate2;
  if (!activates) return 0;
  static_assert(int{slots::activation::op} == int{slots::activation_reduce::op} &&
                int{slots::activation::op} == int{slots::activate2::op});
  return activation_table(static_cast<Activation>(p.word(i, slots::activation::op)));
}

bool performance_mode(const Program& p, const Instruction& i, const spec::ChipSpec& spec) {
  switch (i.opcode) {
    case Opcode::tensor_copy:
      return copy_speedup(p.operand(i, slots::tensor_copy::dst), p.operand(i, slots::tensor_copy::src), spec) > 1;
    case Opcode::tensor_scalar:
      return copy_speedup(p.operand(i, slots::tensor_scalar::dst), p.operand(i, slots::tensor_scalar::data), spec) > 1;
    case Opcode::tensor_tensor:
      return tensor_tensor_speedup(p, i, spec) > 1;
    default:
      return false;
  }
}

Time stationary_load_duration(uint32_t columns, DType dtype, const spec::ChipSpec& spec) {
  const uint64_t load = ceil_div(columns, spec.tensor.load_speedup) *
                        (is_4byte(dtype) ? passes_of(spec.tensor, spec.tensor.fp32_passes) : Matmul{}).passes;
  return duration_up(load, spec.tensor.clock_hz) + spec.tensor.latency;
}

}  // namespace presil::timing
