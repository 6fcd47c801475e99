// Products of the tensor engine and the making of MX operands, as plainly as they can be written.
#pragma once
#include "chip/reference_rows.h"
#include "isa/opcode.h"
#include "numerics/mx.h"

namespace presil::chip::reference {

class ProductRun : public RowRun {
 public:
  using RowRun::RowRun;

 protected:
  void matmul() {
    namespace s = isa::slots::nc_matmul;
    const size_t k_count = v(s::stationary).partitions, m_count = v(s::dst).partitions, n_count = row(s::dst);
    const Floats a = floats(s::stationary), b = floats(s::moving);
    if (word(s::is_transpose) != 0) {
      const Words bits = read_words(m_, v(s::stationary));
      Words out(m_count * n_count, 0);
      for (size_t m = 0; m < m_count; ++m) {
        for (size_t n = 0; n < n_count; ++n) {
          for (size_t k = 0; k < k_count; ++k) {
            if (b[k * n_count + n] != 0.0f) out[m * n_count + n] = bits[k * m_count + m];
          }
        }
      }
      return write_words(m_, v(s::dst), out);
    }
    // In double_row both halves of a partition meet before the next partition.
    const size_t parts = word(s::perf_mode) == static_cast<uint32_t>(isa::MatmulMode::double_row) ? 2 : 1;
    chains(k_count * parts, [&](size_t k, size_t m, size_t n) {
      const size_t p = k / parts, j = k % parts;
      return Factors{a[(p * parts + j) * m_count + m], b[(p * parts + j) * n_count + n]};
    });
  }

  void matmul_mx() {
    namespace s = isa::slots::nc_matmul_mx;
    const auto number = [&](int data, int scale, size_t k, size_t i) {
      const size_t p = k / 4, columns = row(data);
      const View one = element(v(data), p, i), its_scale = element(v(scale), p / 32 * 32 + p % 32 / 8, i);
      CHECK(columns == row(scale), "a scale for every element");
      return numerics::mx_unpack(v(data).dtype, static_cast<uint32_t>(read_words(m_, one)[0]),
                                 static_cast<uint8_t>(read_words(m_, its_scale)[0]))[k % 4];
    };
    chains(v(s::stationary).partitions * size_t{4}, [&](size_t k, size_t m, size_t n) {
      return Factors{number(s::stationary, s::stationary_scale, k, m), number(s::moving, s::moving_scale, k, n)};
    });
  }

  void matmul_sparse() {
    namespace s = isa::slots::nc_matmul_sparse;
    const size_t m_count = v(s::dst).partitions, n_count = row(s::dst), kept = word(s::kept);
    const size_t ratio = word(s::of) / kept;
    const Floats a = floats(s::stationary), b = floats(s::moving);
    const Words tags = read_words(m_, v(s::tags));
    chains(v(s::stationary).partitions, [&](size_t p, size_t m, size_t n) {
      const uint64_t tag = tags[p * row(s::tags) + m / 4] >> (4 * (m % 4)) & 15;
      const size_t partition = p / kept * kept + tag / ratio, c = tag % ratio;
      return Factors{a[p * m_count + m], b[(partition * ratio + c) * n_count + n]};
    });
  }

  void quantize_mx() {
    namespace s = isa::slots::quantize_mx;
    const Floats in = floats(s::src);
    const size_t columns = row(s::dst), partitions = v(s::src).partitions;
    const auto rule = word(s::tight_scale) != 0 ? numerics::MxScale::tight : numerics::MxScale::roomy;
    const auto at = [&](size_t p, size_t i, size_t q) { return in[p * 4 * columns + 4 * i + q]; };
    for (size_t p = 0; p < partitions; ++p) {
      for (size_t i = 0; i < columns; ++i) {
        float largest = 0;  // NaN is larger than everything
        for (size_t other = p / 8 * 8; other < p / 8 * 8 + 8; ++other) {
          for (size_t q = 0; q < 4; ++q) {
            const float x = std::fabs(at(other, i, q));
            if (std::isnan(x) || x > largest) largest = std::isnan(largest) ? largest : x;
          }
        }
        const uint8_t scale = numerics::mx_scale(v(s::dst).dtype, largest, rule);
        const uint32_t word =
            numerics::mx_pack(v(s::dst).dtype, {at(p, i, 0), at(p, i, 1), at(p, i, 2), at(p, i, 3)}, scale, rule);
        write_words(m_, element(v(s::dst), p, i), {word});
        if (p % 8 == 0) write_words(m_, element(v(s::dst_scale), p / 32 * 32 + p % 32 / 8, i), {scale});
      }
    }
  }

 private:
  struct Factors {
    float a, b;
  };

  // Element i of partition p of a view, as a view.
  static View element(View v, size_t p, size_t i) {
    for (size_t d = v.rank; d-- > 0;) {
      v.offset +=
          static_cast<int64_t>(i % v.dims[d].count) * v.dims[d].step * static_cast<int64_t>(dtype_bytes(v.dtype));
      i /= v.dims[d].count;
    }
    v.partition = static_cast<uint16_t>(v.partition + p);
    v.partitions = 1, v.rank = 0;
    return v;
  }

  // One chain of fused multiply-adds per element of operand 0, which may add to what is there (attribute 0).
  template <class F>
  void chains(size_t k_count, F factors) {
    const size_t m_count = v(0).partitions, n_count = row(0);
    const auto at = places(m_, v(0));
    const DType t = v(0).dtype;
    for (size_t m = 0; m < m_count; ++m) {
      for (size_t n = 0; n < n_count; ++n) {
        float sum = 0.0f;
        for (size_t k = 0; k < k_count; ++k) {
          const Factors f = factors(k, m, n);
          sum = std::fma(f.a, f.b, sum);
        }
        uint64_t old = 0;
        std::memcpy(&old, at[m * n_count + n], dtype_bytes(t));
        if (word(0) != 0) sum = numerics::to_fp32(t, old) + numerics::canonical(sum);
        const uint64_t result = numerics::from_fp32(t, numerics::canonical(sum));
        std::memcpy(at[m * n_count + n], &result, dtype_bytes(t));
      }
    }
  }
};

}  // namespace presil::chip::reference
