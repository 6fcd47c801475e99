// Accumulations, random numbers and searches, as plainly as they can be written.
#pragma once
#include "chip/reference_machine.h"

namespace presil::chip::reference {

class SearchRun : public Operands {
 public:
  using Operands::Operands;

 protected:
  float started(ReduceCommand command, AluOp op, float held, float initial) {
    if (command == ReduceCommand::load_reduce) return initial;
    if (command == ReduceCommand::reduce) return held;
    switch (op) {
      case AluOp::multiply:
        return 1.0f;
      case AluOp::max:
        return -numerics::kInfinity;
      case AluOp::min:
        return numerics::kInfinity;
      default:
        return 0.0f;
    }
  }

  void tensor_scalar_reduce() {
    namespace s = isa::slots::tensor_scalar_reduce;
    Floats a = floats(s::data);
    const Floats scalar = values(s::operand0, f32(s::imm0)), initial = values(s::initial, f32(s::initial_imm));
    const size_t n = row(0);
    Floats results;
    for (size_t p = 0; p < v(0).partitions; ++p) {
      for (size_t i = p * n; i < (p + 1) * n; ++i)
        a[i] = word(s::reverse0) != 0 ? alu_apply(op(s::op0), scalar[p], a[i]) : alu_apply(op(s::op0), a[i], scalar[p]);
      float& lane = m_.vector_lanes[v(0).partition + p];
      lane = started(static_cast<ReduceCommand>(word(s::reduce_cmd)), op(s::reduce_op), lane, initial[p]);
      lane = alu_apply(op(s::reduce_op), lane, numerics::reduce_plain(op(s::reduce_op), {a.data() + p * n, n}));
      results.push_back(word(s::negate) != 0 ? numerics::canonical(-lane) : lane);
    }
    write_floats(m_, v(0), a);
    if (v(s::reduce_res).present()) write_floats(m_, v(s::reduce_res), results);
  }

  void tensor_scalar_cumulative() {
    namespace s = isa::slots::tensor_scalar_cumulative;
    Floats a = floats(s::src);
    const Floats scalar = values(s::operand0, f32(s::imm0)), initial = values(s::initial, f32(s::initial_imm));
    const size_t n = row(0);
    for (size_t p = 0; p < v(0).partitions; ++p) {
      float& lane = m_.vector_lanes[v(0).partition + p];
      lane = started(static_cast<ReduceCommand>(word(s::reduce_cmd)), op(s::op1), lane, initial[p]);
      for (size_t i = p * n; i < (p + 1) * n; ++i) {
        const float x =
            word(s::reverse0) != 0 ? alu_apply(op(s::op0), scalar[p], a[i]) : alu_apply(op(s::op0), a[i], scalar[p]);
        a[i] = lane = alu_apply(op(s::op1), x, lane);
      }
    }
    write_floats(m_, v(0), a);
  }

  void match_replace8() {
    namespace s = isa::slots::nc_match_replace8;
    const Floats in = floats(s::data), wanted = floats(s::vals);
    Floats out = in;
    Words indices(wanted.size(), ~0ull);
    for (size_t p = 0; p < v(0).partitions; ++p) {
      std::vector<size_t> found;
      for (size_t k = 8; k-- > 0;) {
        for (size_t i = 0; i < row(0) && indices[p * 8 + k] == ~0ull; ++i) {
          if (in[p * row(0) + i] != wanted[p * 8 + k] || std::count(found.begin(), found.end(), i) > 0) continue;
          found.push_back(i);
          out[p * row(0) + i] = f32(s::imm);
          indices[p * 8 + k] = i;
        }
      }
    }
    write_floats(m_, v(0), out);
    if (v(s::dst_idx).present()) write_words(m_, v(s::dst_idx), indices);
  }

  bool on_gpsimd() const { return i_.engine == isa::EngineKind::gpsimd; }
  uint32_t draw(size_t p, size_t i) {
    const size_t lane = v(0).partition + p;
    return numerics::next_word(on_gpsimd() ? m_.gpsimd_random[lane] : m_.vector_random[4 * lane + i % 4]);
  }
  void rng() {
    Words out;
    for (size_t i = 0; i < v(0).elements(); ++i) out.push_back(draw(i / row(0), i % row(0)));
    write_words(m_, v(0), out);
  }
  numerics::Xorwow& state_of(size_t p, size_t g) {
    const size_t lane = v(0).partition + p;
    return on_gpsimd() ? m_.gpsimd_random[lane] : m_.vector_random[4 * lane + g];
  }
  void rand_set_state() {
    const Words in = read_words(m_, v(0));
    for (size_t i = 0; i < in.size(); ++i)
      state_of(i / row(0), i % row(0) / 6)[i % row(0) % 6] = static_cast<uint32_t>(in[i]);
  }
  void rand_get_state() {
    Words out;
    for (size_t i = 0; i < v(0).elements(); ++i) out.push_back(state_of(i / row(0), i % row(0) / 6)[i % row(0) % 6]);
    write_words(m_, v(0), out);
  }
  void dropout() {
    namespace s = isa::slots::dropout;
    Words out = read_words(m_, v(s::data));
    const Floats prob = values(s::prob, f32(s::prob_imm));
    for (size_t i = 0; i < out.size(); ++i) {
      const float drawn = static_cast<float>(draw(i / row(0), i % row(0)) / 256) / 16777216.0f;
      if (drawn < prob[i / row(0)]) out[i] = 0;
    }
    write_words(m_, v(0), out);
  }

  void local_gather() {
    namespace s = isa::slots::local_gather;
    const Words in = read_words(m_, v(s::src_buffer)), index = read_words(m_, v(s::index));
    const size_t e = word(s::num_elem_per_idx), n = row(s::src_buffer), per = row(s::index);
    Words out;
    for (size_t p = 0; p < v(0).partitions; ++p) {
      for (size_t i = 0; i < row(0); ++i) {
        const size_t k = i / e;
        out.push_back(in.at(p * n + index.at((p / 16 * 16 + k % 16) * per + k / 16) * e + i % e));
      }
    }
    write_words(m_, v(0), out);
  }

  void sequence_bounds() {
    const Floats ids = floats(1);
    const auto n = static_cast<int64_t>(ids.size());
    Floats out(2 * ids.size());
    for (int64_t i = 0; i < n; ++i) {
      const float id = ids[static_cast<size_t>(i)];
      int64_t begin = i, end = i + 1;
      while (begin > 0 && ids[static_cast<size_t>(begin - 1)] == id) --begin;
      while (end < n && ids[static_cast<size_t>(end)] == id) ++end;
      out[static_cast<size_t>(i)] = static_cast<float>(id == 0 ? n : begin);
      out[static_cast<size_t>(n + i)] = static_cast<float>(id == 0 ? -1 : end);
    }
    write_floats(m_, v(0), out);
  }

  void nonzero() {
    namespace s = isa::slots::nonzero_with_count;
    const Floats in = floats(s::src);
    Words out = read_words(m_, v(0));
    const size_t n = row(s::src);
    for (size_t p = 0; p < v(0).partitions; p += 16) {
      Words found;
      for (size_t i = 0; i < n; ++i) {
        if (in[p * n + i] != 0) found.push_back(static_cast<uint32_t>(i + word(s::index_offset)));
      }
      const size_t count = found.size();
      found.resize(n, word(s::padding_val));
      found.push_back(count);
      std::copy(found.begin(), found.end(), out.begin() + static_cast<ptrdiff_t>(p * (n + 1)));
    }
    write_words(m_, v(0), out);
  }

  void topk() {
    namespace s = isa::slots::topk;
    const Floats in = floats(s::src);
    const size_t n = word(s::n), k = row(0);
    Floats best;
    Words places;
    for (size_t p = 0; p < v(0).partitions; ++p) {
      std::vector<std::pair<float, size_t>> all;
      for (size_t i = 0; i < n; ++i) all.emplace_back(in[(p / 16 * 16 + i % 16) * row(s::src) + i / 16], i);
      std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
        if (numerics::is_nan(a.first) || numerics::is_nan(b.first))
          return numerics::is_nan(a.first) && !numerics::is_nan(b.first);
        return a.first > b.first;
      });
      for (size_t i = k; i-- > 0;) best.push_back(all[i].first), places.push_back(all[i].second);
    }
    write_floats(m_, v(0), best);
    write_words(m_, v(1), places);
  }
};

}  // namespace presil::chip::reference
