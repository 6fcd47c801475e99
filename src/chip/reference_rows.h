// Functions of whole rows (generation 4) and sums by DMA, as plainly as they can be written.
#pragma once
#include "chip/reference_search.h"

namespace presil::chip::reference {

class RowRun : public SearchRun {
 public:
  using SearchRun::SearchRun;

 protected:
  void accumulate(const Floats& results, std::vector<float>& lanes, ReduceCommand command, AluOp o,
                  const Floats& initial, int reduce_res) {
    Floats held;
    const size_t n = row(0);
    for (size_t p = 0; p < v(0).partitions; ++p) {
      float& lane = lanes[v(0).partition + p];
      if (command == ReduceCommand::load_reduce) lane = initial[p];
      if (command == ReduceCommand::reset || command == ReduceCommand::reset_reduce) {
        const bool least = o == AluOp::min || o == AluOp::abs_min;
        lane = o == AluOp::max ? -numerics::kInfinity : least ? numerics::kInfinity : 0.0f;
      }
      if (command != ReduceCommand::idle && command != ReduceCommand::reset)
        lane = alu_apply(o, lane, numerics::reduce_plain(o, {results.data() + p * n, n}));
      held.push_back(lane);
    }
    write_floats(m_, v(0), results);
    if (v(reduce_res).present()) write_floats(m_, v(reduce_res), held);
  }

  void exponential() {
    namespace s = isa::slots::exponential;
    Floats a = floats(s::src);
    const Floats most = values(s::max_value, f32(s::max_imm)), initial = values(s::initial, f32(s::initial_imm));
    for (size_t i = 0; i < a.size(); ++i)
      a[i] = activation_apply(Activation::exp, numerics::canonical(a[i] - most[i / row(0)]));
    accumulate(a, m_.vector_lanes, static_cast<ReduceCommand>(word(s::reduce_cmd)), AluOp::add, initial, s::reduce_res);
  }

  void activate2() {
    namespace s = isa::slots::activate2;
    Floats a = floats(s::data);
    const Floats s0 = values(s::operand0, f32(s::imm0)), s1 = values(s::operand1, f32(s::imm1)),
                 alpha = values(s::relu_param, f32(s::alpha));
    for (size_t i = 0; i < a.size(); ++i) {
      const size_t p = i / row(0);
      float x = a[i];
      if (op(s::op0) == AluOp::multiply && op(s::op1) != AluOp::bypass) {
        const bool back = op(s::op1) == AluOp::subtract && word(s::reverse1) != 0;
        x = std::fma(x, back ? -s0[p] : s0[p], op(s::op1) == AluOp::subtract && !back ? -s1[p] : s1[p]);
      } else if (op(s::op0) != AluOp::bypass) {
        x = apply(op(s::op0), word(s::reverse0) != 0, x, s0[p]);
      }
      a[i] = activation_apply(static_cast<Activation>(word(s::op)), numerics::canonical(x), alpha[p]);
    }
    accumulate(a, m_.scalar_lanes, static_cast<ReduceCommand>(word(s::reduce_cmd)), op(s::reduce_op), alpha,
               s::reduce_res);
  }

  void rand2() {
    namespace s = isa::slots::rand2;
    const Floats least = values(s::min, f32(s::min_imm)), most = values(s::max, f32(s::max_imm));
    Floats out;
    for (size_t i = 0; i < v(0).elements(); ++i) {
      const size_t p = i / row(0);
      const float drawn = static_cast<float>(draw(p, i % row(0)) / 256) / 16777216.0f;
      out.push_back(numerics::canonical(std::fma(drawn, numerics::canonical(most[p] - least[p]), least[p])));
    }
    write_floats(m_, v(0), out);
  }

  void dma_compute() {
    namespace s = isa::slots::dma_compute;
    if (v(s::index).present()) return sum_rows();
    Floats sum = floats(s::src0);
    for (int k = s::src0 + 1; k <= isa::kComputeSources && v(k).present(); ++k) {
      const Floats term = floats(k);
      for (size_t i = 0; i < sum.size(); ++i) sum[i] = alu_apply(AluOp::add, sum[i], term[i]);
    }
    write_floats(m_, v(0), sum);
  }

  // An index per row of the operand that is no table; those that name no row are left out.
  void copy_rows() {
    namespace s = isa::slots::dma_copy;
    const bool scatter = word(s::scatter) != 0;
    const Words from = read_words(m_, v(s::src)), index = read_words(m_, v(s::index));
    Words to = read_words(m_, v(s::dst));
    const View& table = scatter ? v(s::dst) : v(s::src);
    const size_t rows = table.dims[0].count, n = table.elements() / rows;
    for (size_t k = 0; k < index.size(); ++k) {
      if (index[k] >= rows) continue;
      for (size_t i = 0; i < n; ++i)
        (scatter ? to[index[k] * n + i] : to[k * n + i]) = from[(scatter ? k : index[k]) * n + i];
    }
    write_words(m_, v(s::dst), to);
  }

  void transpose_rows() {
    namespace s = isa::slots::dma_transpose;
    const Words from = read_words(m_, v(s::src)), index = read_words(m_, v(s::index));
    Words to = read_words(m_, v(s::dst));
    const size_t p = v(s::dst).partitions, columns = row(s::dst), down = row(s::index);
    for (size_t f = 0; f < columns; ++f) {
      const uint64_t named = index[f % v(s::index).partitions * down + f / v(s::index).partitions];
      for (size_t k = 0; k < p && named < v(s::src).dims[0].count; ++k) to[k * columns + f] = from[named * p + k];
    }
    write_words(m_, v(s::dst), to);
  }

  void sum_rows() {
    namespace s = isa::slots::dma_compute;
    const bool scatter = v(s::dst).memory == isa::Memory::hbm;
    const Words index = read_words(m_, v(s::index));
    const Floats old = floats(s::dst), other = floats(s::src1);
    Words to = read_words(m_, v(s::dst));
    const size_t rows = (scatter ? v(s::dst) : v(s::src1)).dims[0].count, n = (scatter ? old : other).size() / rows;
    for (size_t k = 0; k < index.size(); ++k) {
      for (size_t i = 0; i < n && index[k] < rows; ++i) {
        const size_t at = (scatter ? index[k] : k) * n + i, from = (scatter ? k : index[k]) * n + i;
        to[at] = numerics::from_fp32(v(s::dst).dtype, alu_apply(AluOp::add, old[at], other[from]));
      }
    }
    write_words(m_, v(s::dst), to);
  }
};

}  // namespace presil::chip::reference
