// The meaning of every instruction once more, as plainly as it can be written: all inputs are read into vectors,
// element by element, then all outputs are written. Tests compare chip/execute.h against it.
#pragma once
#include "chip/reference_products.h"

namespace presil::chip::reference {

class Run : public ProductRun {
 public:
  using ProductRun::ProductRun;

  void execute() {
    using isa::Opcode;
    namespace s = isa::slots;
    switch (i_.opcode) {
      case Opcode::nc_matmul:
        return matmul();
      case Opcode::dma_transpose:
        return v(s::dma_transpose::index).present() ? transpose_rows() : transpose();
      case Opcode::nc_transpose:
        return transpose();
      case Opcode::dma_copy:
        return v(s::dma_copy::index).present() ? copy_rows() : copy();
      case Opcode::tensor_copy:
        return copy();
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
        return write_floats(m_, v(0), Floats(v(0).elements(), f32(s::memset::value)));
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
      case Opcode::activation_reduce:
        return activation_reduce();
      case Opcode::tensor_scalar_reduce:
        return tensor_scalar_reduce();
      case Opcode::tensor_scalar_cumulative:
        return tensor_scalar_cumulative();
      case Opcode::nc_match_replace8:
        return match_replace8();
      case Opcode::rng:
        return rng();
      case Opcode::set_rng_seed:
        return m_.seed(static_cast<uint32_t>(read_words(m_, v(0)).at(0)));
      case Opcode::rand_set_state:
        return rand_set_state();
      case Opcode::rand_get_state:
        return rand_get_state();
      case Opcode::dropout:
        return dropout();
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
      case Opcode::iota:
        return iota();
      case Opcode::affine_select:
        return affine_select();
      case Opcode::nc_n_gather:
        return gather();
      case Opcode::tensor_partition_reduce:
        return partition_reduce();
      case Opcode::nc_matmul_mx:
        return matmul_mx();
      case Opcode::nc_matmul_sparse:
        return matmul_sparse();
      case Opcode::quantize_mx:
        return quantize_mx();
      case Opcode::register_move:
      case Opcode::register_alu:
      case Opcode::register_load:
      case Opcode::register_store:
      case Opcode::branch:
      case Opcode::loop:
      case Opcode::loop_end:
      case Opcode::halt:
      case Opcode::wait:
      case Opcode::sendrecv:
      case Opcode::core_barrier:
        return;
    }
  }

 private:
  template <class Values>
  Values turned(const Values& in) const {
    const size_t p_count = v(0).partitions, f_count = row(0);
    Values out;
    for (size_t p = 0; p < p_count; ++p) {
      for (size_t f = 0; f < f_count; ++f) out.push_back(in.at(f * p_count + p));
    }
    return out;
  }
  void transpose() {
    if (v(0).dtype == v(1).dtype) return write_words(m_, v(0), turned(read_words(m_, v(1))));
    write_floats(m_, v(0), turned(floats(1)));
  }

  void copy() {
    if (v(0).dtype == v(1).dtype) return write_words(m_, v(0), read_words(m_, v(1)));
    write_floats(m_, v(0), floats(1));
  }

  // The low 32 bits count.
  static uint64_t integer_result(AluOp o, int64_t x, int64_t y) {
    const auto a = static_cast<uint64_t>(x), b = static_cast<uint64_t>(y);
    const bool p = x != 0, q = y != 0;
    const uint64_t in_order[] = {a,      a + b, a - b,  a * b, x > y ? a : b, x < y ? a : b, x == y, x != y,
                                 x >= y, x > y, x <= y, x < y, p && q,        p || q,        p != q};
    return in_order[static_cast<size_t>(o)];
  }

  void tensor_tensor() {
    namespace s = isa::slots::tensor_tensor;
    if (is_bitvec(op(s::op))) {
      Words a = read_integers(m_, v(1)), b = read_integers(m_, v(2));
      const int bits = static_cast<int>(8 * dtype_bytes(v(0).dtype));
      const uint64_t mask = ~uint64_t{0} >> (64 - bits);
      for (size_t i = 0; i < a.size(); ++i) a[i] = bit_apply(op(s::op), a[i] & mask, b[i] & mask, bits);
      return write_words(m_, v(0), a);
    }
    const DType t = v(0).dtype;
    const bool exact = (t == DType::int32 || t == DType::uint32) && v(1).dtype == t && v(2).dtype == t;
    if (i_.engine == isa::EngineKind::gpsimd && exact && op(s::op) <= AluOp::logical_xor) {
      Words a = read_words(m_, v(1)), b = read_words(m_, v(2));
      for (size_t i = 0; i < a.size(); ++i) {
        auto wide = [&](uint64_t x) { return t == DType::int32 ? int64_t{static_cast<int32_t>(x)} : int64_t(x); };
        a[i] = integer_result(op(s::op), wide(a[i]), wide(b[i]));
      }
      return write_words(m_, v(0), a);
    }
    Floats a = floats(1), b = floats(2);
    for (size_t i = 0; i < a.size(); ++i) a[i] = alu_apply(op(s::op), a[i], b[i]);
    write_floats(m_, v(0), a);
  }

  void tensor_scalar() {
    namespace s = isa::slots::tensor_scalar;
    const size_t n = row(0);
    if (is_bitvec(op(s::op0)) || is_bitvec(op(s::op1))) {
      Words a = read_words(m_, v(1));
      const size_t bytes = dtype_bytes(v(0).dtype);
      const uint64_t mask = bytes == 8 ? ~0ull : (1ull << (8 * bytes)) - 1;
      const Words s0 = v(2).present() ? read_words(m_, v(2)) : Words(v(0).partitions, word(s::imm0) & mask);
      const Words s1 = v(3).present() ? read_words(m_, v(3)) : Words(v(0).partitions, word(s::imm1) & mask);
      const auto bits = static_cast<int>(8 * bytes);
      for (size_t i = 0; i < a.size(); ++i) {
        const uint64_t t = word(s::reverse0) != 0 ? bit_apply(op(s::op0), s0[i / n], a[i], bits)
                                                  : bit_apply(op(s::op0), a[i], s0[i / n], bits);
        a[i] = word(s::reverse1) != 0 ? bit_apply(op(s::op1), s1[i / n], t & mask, bits)
                                      : bit_apply(op(s::op1), t & mask, s1[i / n], bits);
      }
      return write_words(m_, v(0), a);
    }
    Floats a = floats(1);
    const Floats s0 = values(2, f32(s::imm0)), s1 = values(3, f32(s::imm1));
    for (size_t i = 0; i < a.size(); ++i) {
      a[i] = apply(op(s::op1), word(s::reverse1) != 0, apply(op(s::op0), word(s::reverse0) != 0, a[i], s0[i / n]),
                   s1[i / n]);
    }
    write_floats(m_, v(0), a);
  }

  void scalar_tensor_tensor() {
    namespace s = isa::slots::scalar_tensor_tensor;
    Floats a = floats(s::data), b = floats(s::operand1);
    const Floats s0 = values(s::operand0, f32(s::imm0));
    for (size_t i = 0; i < a.size(); ++i) {
      a[i] = apply(op(s::op1), word(s::reverse1) != 0, apply(op(s::op0), word(s::reverse0) != 0, a[i], s0[i / row(0)]),
                   b[i]);
    }
    write_floats(m_, v(0), a);
  }

  void tensor_reduce() {
    namespace s = isa::slots::tensor_reduce;
    size_t reduced = 1;
    for (int d = v(1).rank - static_cast<int>(word(s::axes)); d < v(1).rank; ++d)
      reduced *= v(1).dims[static_cast<size_t>(d)].count;
    if (is_bitvec(op(s::op))) {
      const Words in = read_words(m_, v(1));
      Words out;
      for (size_t i = 0; i < in.size(); i += reduced) {
        uint64_t x = in[i];
        for (size_t j = 1; j < reduced; ++j)
          x = bit_apply(op(s::op), x, in[i + j], static_cast<int>(8 * dtype_bytes(v(1).dtype)));
        out.push_back(x);
      }
      return write_words(m_, v(0), out);
    }
    const Floats in = floats(1);
    Floats out;
    for (size_t i = 0; i < in.size(); i += reduced) {
      const float x = numerics::reduce_plain(op(s::op), {in.data() + i, reduced});
      out.push_back(word(s::negate) != 0 ? alu_apply(AluOp::multiply, x, -1.0f) : x);
    }
    write_floats(m_, v(0), out);
  }

  void partition_reduce() {
    const size_t n = row(1);
    if (is_bitvec(op(0))) {
      const Words in = read_words(m_, v(1));
      Words out(in.begin(), in.begin() + static_cast<ptrdiff_t>(n));
      for (size_t i = n; i < in.size(); ++i)
        out[i % n] = bit_apply(op(0), out[i % n], in[i], static_cast<int>(8 * dtype_bytes(v(1).dtype)));
      return write_words(m_, v(0), out);
    }
    const Floats in = floats(1);
    Floats out;
    for (size_t i = 0; i < n; ++i) {
      Floats column;
      for (size_t p = 0; p < v(1).partitions; ++p) column.push_back(in[p * n + i]);
      out.push_back(numerics::reduce_plain(op(0), column));
      if (word(isa::slots::tensor_partition_reduce::average) != 0)
        out.back() = alu_apply(AluOp::divide, out.back(), static_cast<float>(v(1).partitions));
    }
    write_floats(m_, v(0), out);
  }

  void copy_predicated() {
    namespace s = isa::slots::tensor_copy_predicated;
    Words out = read_words(m_, v(0));
    const Words mask = read_words(m_, v(s::predicate));
    const DType t = v(0).dtype;
    Words in(out.size(), numerics::from_fp32(t, f32(s::imm)));
    if (v(s::src).present()) {
      in = read_words(m_, v(s::src));
      if (v(s::src).dtype != t) {
        for (uint64_t& x : in) x = numerics::from_fp32(t, numerics::to_fp32(v(s::src).dtype, x));
      }
    }
    for (size_t i = 0; i < out.size(); ++i) {
      if ((mask[i] != 0) != (word(s::reverse_pred) != 0)) out[i] = in[i];
    }
    write_words(m_, v(0), out);
  }

  void running_max(const Floats& out, int command_slot, int result) {
    const auto command = static_cast<ReduceCommand>(word(command_slot));
    Floats results;
    const size_t n = row(0);
    for (size_t p = 0; p < v(0).partitions; ++p) {
      float& lane = m_.vector_lanes[v(0).partition + p];
      if (command == ReduceCommand::reset || command == ReduceCommand::reset_reduce) lane = -INFINITY;
      if (command == ReduceCommand::reduce || command == ReduceCommand::reset_reduce) {
        lane = alu_apply(AluOp::max, lane, numerics::reduce_plain(AluOp::max, {out.data() + p * n, n}));
      }
      results.push_back(lane);
    }
    if (v(result).present()) write_floats(m_, v(result), results);
  }

  void select_reduce() {
    namespace s = isa::slots::select_reduce;
    const Words mask = read_words(m_, v(s::predicate));
    Floats out = floats(s::on_true);
    const Floats other = values(s::on_false, f32(s::imm));
    for (size_t i = 0; i < out.size(); ++i) {
      if ((mask[i] != 0) == (word(s::reverse_pred) != 0)) out[i] = other[i / row(0)];
    }
    write_floats(m_, v(0), out);
    running_max(out, s::reduce_cmd, s::reduce_res);
  }

  void range_select() {
    namespace s = isa::slots::range_select;
    Floats out = floats(s::on_true);
    const Floats low = floats(s::bound0), high = floats(s::bound1);
    for (size_t i = 0; i < out.size(); ++i) {
      const auto j = static_cast<float>(static_cast<int32_t>(word(s::range_start)) + static_cast<int64_t>(i % row(0)));
      const size_t p = i / row(0);
      if (alu_apply(op(s::comp_op0), j, low[p]) == 0.0f || alu_apply(op(s::comp_op1), j, high[p]) == 0.0f) {
        out[i] = std::numeric_limits<float>::lowest();
      }
    }
    write_floats(m_, v(0), out);
    running_max(out, s::reduce_cmd, s::reduce_res);
  }

  void reciprocal() {
    Floats a = floats(1);
    for (float& x : a) x = alu_apply(AluOp::reciprocal, x, 0.0f);
    write_floats(m_, v(0), a);
  }

  void activation() {
    namespace s = isa::slots::activation;
    activate(static_cast<ReduceCommand>(word(s::reduce_cmd)), f32(s::alpha));
  }
  void activation_reduce() { activate(ReduceCommand::reset_reduce, f32(isa::slots::activation_reduce::alpha)); }
  void activate(ReduceCommand command, float alpha) {
    namespace s = isa::slots::activation;
    Floats a = floats(s::data);
    const Floats scale = values(s::scale, f32(s::scale_imm)),
                 bias = values(s::bias, f32(s::bias_imm) == 0.0f ? -0.0f : f32(s::bias_imm));
    const size_t n = row(0);
    for (size_t i = 0; i < a.size(); ++i) {
      a[i] = numerics::activation_affine_apply(static_cast<Activation>(word(s::op)), a[i],
                                               {scale[i / n], bias[i / n], alpha});
    }
    write_floats(m_, v(0), a);
    Floats results;
    for (size_t p = 0; p < v(0).partitions; ++p) {
      float& lane = m_.scalar_lanes[v(0).partition + p];
      if (command == ReduceCommand::reset || command == ReduceCommand::reset_reduce) lane = 0.0f;
      if (command == ReduceCommand::reduce || command == ReduceCommand::reset_reduce) {
        lane = alu_apply(AluOp::add, lane, numerics::reduce_plain(AluOp::add, {a.data() + p * n, n}));
      }
      results.push_back(lane);
    }
    if (v(s::reduce_res).present()) write_floats(m_, v(s::reduce_res), results);
  }

  // offset + p * channel_multiplier + sum of i_k * step_k, for each element of dst.
  std::vector<int32_t> affine(int first_slot) {
    std::vector<int32_t> out;
    for (uint32_t p = 0; p < v(0).partitions; ++p) {
      for (uint64_t i = 0; i < row(0); ++i) {
        uint32_t value = word(first_slot) + p * word(first_slot + 1);
        uint64_t rest = i;
        for (size_t d = v(0).rank; d-- > 0;) {
          value += static_cast<uint32_t>(rest % v(0).dims[d].count) * word(first_slot + 2 + static_cast<int>(d));
          rest /= v(0).dims[d].count;
        }
        out.push_back(static_cast<int32_t>(value));
      }
    }
    return out;
  }

  void iota() {
    Words out;
    for (int32_t x : affine(isa::slots::iota::offset)) {
      switch (v(0).dtype) {
        case DType::int32:
          out.push_back(static_cast<uint32_t>(x));
          break;
        case DType::uint32:
          out.push_back(x < 0 ? 0 : static_cast<uint32_t>(x));
          break;
        case DType::int64:
          out.push_back(static_cast<uint64_t>(static_cast<int64_t>(x)));
          break;
        default:
          out.push_back(numerics::from_fp32(v(0).dtype, static_cast<float>(x)));
      }
    }
    write_words(m_, v(0), out);
  }

  void affine_select() {
    namespace s = isa::slots::affine_select;
    Words out = read_words(m_, v(s::on_true));
    const DType t = v(0).dtype;
    const auto conditions = affine(s::offset);
    for (size_t i = 0; i < out.size(); ++i) {
      if (v(s::on_true).dtype != t) out[i] = numerics::from_fp32(t, numerics::to_fp32(v(s::on_true).dtype, out[i]));
      const double x = conditions[i];
      const bool keep = op(s::cmp_op) == AluOp::ge   ? x >= 0
                        : op(s::cmp_op) == AluOp::gt ? x > 0
                        : op(s::cmp_op) == AluOp::eq ? x == 0
                        : op(s::cmp_op) == AluOp::ne ? x != 0
                        : op(s::cmp_op) == AluOp::le ? x <= 0
                                                     : x < 0;
      if (!keep) out[i] = numerics::from_fp32(t, f32(s::value));
    }
    write_words(m_, v(0), out);
  }

  void scan() {
    namespace s = isa::slots::tensor_tensor_scan;
    const Floats a = floats(s::data0), b = floats(s::data1), initial = values(s::initial, f32(s::imm));
    Floats out;
    for (size_t i = 0; i < a.size(); ++i) {
      const float state = i % row(0) == 0 ? initial[i / row(0)] : out.back();
      out.push_back(
          apply(op(s::op1), word(s::reverse1) != 0, apply(op(s::op0), word(s::reverse0) != 0, a[i], state), b[i]));
    }
    write_floats(m_, v(0), out);
  }

  void gather() {
    const Words data = read_words(m_, v(1)), index = read_words(m_, v(2));
    Words out;
    for (size_t i = 0; i < index.size(); ++i) {
      uint64_t x = data.at(i / row(2) * row(1) + index[i]);
      if (v(1).dtype != v(0).dtype) x = numerics::from_fp32(v(0).dtype, numerics::to_fp32(v(1).dtype, x));
      out.push_back(x);
    }
    write_words(m_, v(0), out);
  }

  void shuffle() {
    const Words in = read_words(m_, v(1));
    Words out = read_words(m_, v(0));
    const size_t n = row(0);
    for (size_t p = 0; p < v(0).partitions; ++p) {
      const uint32_t pick = (word(static_cast<int>(p % 32 / 4)) >> (8 * (p % 4))) & 255;
      if (pick == 255) continue;
      for (size_t i = 0; i < n; ++i) out[p * n + i] = in.at((p / 32 * 32 + pick) * n + i);
    }
    write_words(m_, v(0), out);
  }

  void max8() {
    const Floats in = floats(1);
    Floats out;
    for (size_t p = 0; p < v(0).partitions; ++p) {
      Floats r(in.begin() + static_cast<ptrdiff_t>(p * row(1)), in.begin() + static_cast<ptrdiff_t>((p + 1) * row(1)));
      std::stable_sort(r.begin(), r.end(), [](float a, float b) { return std::isnan(a) ? !std::isnan(b) : a > b; });
      out.insert(out.end(), r.begin(), r.begin() + 8);
    }
    write_floats(m_, v(0), out);
  }

  void find_index8() {
    const Floats in = floats(1), wanted = floats(2);
    Words out;
    for (size_t i = 0; i < wanted.size(); ++i) {
      const size_t first = i / 8 * 8, p = i / 8;
      uint64_t found = ~0ull;
      size_t skip = 0;
      for (size_t j = first; j < i; ++j) skip += wanted[j] == wanted[i];
      for (size_t j = 0; j < row(1) && found == ~0ull; ++j) {
        if (in[p * row(1) + j] != wanted[i]) continue;
        if (skip == 0)
          found = j;
        else
          --skip;
      }
      out.push_back(found);
    }
    write_words(m_, v(0), out);
  }

  void bn_stats() {
    const Floats in = floats(1);
    Floats out;
    for (size_t p = 0; p < v(0).partitions; ++p) {
      for (size_t half = 0; half < 2; ++half) {
        Floats x;
        for (size_t i = half; i < row(1); i += 2) x.push_back(in[p * row(1) + i]);
        const auto n = static_cast<float>(x.size());
        const float mean = x.empty() ? 0.0f : alu_apply(AluOp::divide, numerics::reduce_plain(AluOp::add, x), n);
        Floats squares;
        for (float y : x) squares.push_back(numerics::canonical((y - mean) * (y - mean)));
        out.insert(out.end(), {n, mean, x.empty() ? 0.0f : numerics::reduce_plain(AluOp::add, squares)});
      }
    }
    write_floats(m_, v(0), out);
  }

  void bn_aggr() {
    const Floats in = floats(1);
    Floats out;
    for (size_t p = 0; p < v(0).partitions; ++p) {
      const float* t = in.data() + p * row(1);
      float n = 0, sum = 0, squares = 0;
      for (size_t i = 0; i < row(1); i += 3) n += t[i], sum += t[i] * t[i + 1];
      for (size_t i = 0; i < row(1); i += 3) squares += t[i + 2] + t[i] * ((t[i + 1] - sum / n) * (t[i + 1] - sum / n));
      out.insert(out.end(), {numerics::canonical(sum / n), numerics::canonical(squares / n)});
    }
    write_floats(m_, v(0), out);
  }
};

}  // namespace presil::chip::reference
