#include "kernels/narrow_layout.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "numerics/convert.h"
#include "numerics/float_bits.h"
#include "numerics/mx.h"

namespace presil::kernels {
namespace {

using Kind = NarrowGemm::Kind;

constexpr int64_t kQuadrant = 32, kGroup = 8;  // partitions that share scales' places, and a scale
constexpr float kFp8Target = 128;              // weights are scaled below it: two powers of two below the largest, 240

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <class T>
void put(std::vector<std::byte>& bytes, int64_t element, T value) {
  std::memcpy(bytes.data() + static_cast<size_t>(element) * sizeof value, &value, sizeof value);
}

struct Packer {
  const NarrowGemm& g;
  const NarrowLayout& l;
  std::span<const float> a;
  NarrowWeights& out;

  float at(int64_t m, int64_t k) const { return a[static_cast<size_t>(m * g.k + k)]; }
  int64_t place(int64_t m_tile, int64_t p, int64_t kt, int64_t row) const {
    return ((m_tile * l.rows + p) * l.k_tiles + kt) * row;
  }

  void fp8(int64_t m_tile, int64_t kt, int64_t p) {
    for (int64_t part = 0; part < l.parts; ++part) {
      for (int64_t i = 0; i < l.m_count(m_tile); ++i) {
        const float x = at(m_tile * l.columns + i, l.row_of(kt, p, part)) / out.unit;
        put(out.numbers, place(m_tile, p, kt, l.row_numbers) + part * l.columns + i,
            static_cast<uint8_t>(numerics::from_fp32(l.number_type, x)));
      }
    }
  }

  // Numbers of an element, in bf16 as quantize_mx reads them.
  std::array<float, 4> element(int64_t m, int64_t kt, int64_t p) const {
    std::array<float, 4> values{};
    for (int64_t q = 0; q < 4; ++q) {
      const float x = at(m, l.row_of(kt, p, q));
      values[static_cast<size_t>(q)] = numerics::to_fp32(DType::bf16, numerics::from_fp32(DType::bf16, x));
    }
    return values;
  }
  void mx(int64_t m_tile, int64_t kt, int64_t group) {
    for (int64_t i = 0; i < l.m_count(m_tile); ++i) {
      const int64_t m = m_tile * l.columns + i;
      float largest = 0;
      for (int64_t p = group; p < group + kGroup; ++p) {
        for (float x : element(m, kt, p)) largest = std::max(largest, std::fabs(x));
      }
      const uint8_t scale = numerics::mx_scale(l.number_type, largest, numerics::MxScale::roomy);
      const int64_t scale_row = group / kQuadrant * kQuadrant + group % kQuadrant / kGroup;
      put(out.beside, place(m_tile, scale_row, kt, l.row_beside) + i, scale);
      for (int64_t p = group; p < group + kGroup; ++p) {
        put(out.numbers, place(m_tile, p, kt, l.row_numbers) + i,
            numerics::mx_pack(l.number_type, element(m, kt, p), scale, numerics::MxScale::roomy));
      }
    }
  }

  // One group of the pattern: `kept` partitions from p on.
  void sparse(int64_t m_tile, int64_t kt, int64_t p) {
    std::array<uint32_t, 16> order{};
    for (int64_t i = 0; i < l.m_count(m_tile); ++i) {
      const int64_t m = m_tile * l.columns + i, first = l.row_of(kt, p, 0);
      std::iota(order.begin(), order.begin() + g.of, 0u);
      std::stable_sort(order.begin(), order.begin() + g.of, [&](uint32_t x, uint32_t y) {
        return std::fabs(at(m, first + x)) > std::fabs(at(m, first + y));
      });
      std::sort(order.begin(), order.begin() + g.kept);
      for (uint32_t j = 0; j < g.kept; ++j) {
        put(out.numbers, place(m_tile, p + j, kt, l.row_numbers) + i,
            static_cast<uint16_t>(numerics::from_fp32(DType::bf16, at(m, first + order[j]))));
        const auto at_tag = static_cast<size_t>(place(m_tile, p + j, kt, l.row_beside) + i / 4) * 2;
        uint16_t word = 0;
        std::memcpy(&word, out.beside.data() + at_tag, 2);
        word = static_cast<uint16_t>(word | order[j] << (4 * (i % 4)));
        std::memcpy(out.beside.data() + at_tag, &word, 2);
      }
    }
  }
};

// A power of two that brings the largest magnitude into [64, 128); 1 if there is none.
float unit_of(std::span<const float> a) {
  float largest = 0;
  for (float x : a) largest = std::max(largest, std::fabs(x));
  if (largest == 0 || !std::isfinite(largest)) return 1;
  int exponent = 0;
  std::frexp(largest / kFp8Target, &exponent);
  return numerics::power_of_two(std::clamp(exponent, -60, 60));
}

}  // namespace

NarrowLayout::NarrowLayout(const spec::ChipSpec& spec, const NarrowGemm& g)
    : rows(spec.tensor.rows), columns(spec.tensor.columns), m_(g.m), k_(g.k), kind_(g.kind) {
  switch (g.kind) {
    case Kind::fp8:
      parts = spec.generation >= 3 ? 2 : 1;
      row_numbers = int64_t{parts} * columns;
      break;
    case Kind::mxfp8:
      parts = packed = 4;
      number_type = DType::fp8_e4m3fn_x4, beside_type = DType::fp8_e8m0;
      row_numbers = row_beside = columns;
      break;
    case Kind::sparse:
      parts = g.of / g.kept;
      grouped = true;
      number_type = DType::bf16;
      row_numbers = columns;
      row_beside = ceil_div(columns, 4);
      break;
  }
  depth = int64_t{rows} * parts;
  k_tiles = ceil_div(k_, depth);
  m_tiles = ceil_div(m_, columns);
}

uint32_t NarrowLayout::partitions(int64_t kt) const {
  return static_cast<uint32_t>(std::min(depth, k_ - kt * depth) / parts);
}
uint32_t NarrowLayout::m_count(int64_t m_tile) const {
  return static_cast<uint32_t>(std::min<int64_t>(columns, m_ - m_tile * columns));
}
NarrowLayout::Steps NarrowLayout::row_steps(int64_t kt) const {
  if (grouped) return {static_cast<int32_t>(parts), 1};
  return {1, static_cast<int32_t>(partitions(kt))};
}
int64_t NarrowLayout::row_of(int64_t kt, int64_t partition, int64_t part) const {
  const Steps s = row_steps(kt);
  return kt * depth + partition * s.partition + part * s.part;
}
std::vector<int64_t> NarrowLayout::shape(int64_t row) const { return {m_tiles, rows, k_tiles * row}; }
int64_t NarrowLayout::panel_bytes() const {
  return row_numbers * static_cast<int64_t>(dtype_bytes(number_type)) +
         row_beside * static_cast<int64_t>(dtype_bytes(beside_type));
}
uint64_t NarrowLayout::bytes() const { return static_cast<uint64_t>(m_tiles * rows * k_tiles * panel_bytes()); }
int64_t NarrowLayout::moving_bytes(int64_t n) const {
  if (kind_ == Kind::sparse) return staged_bytes(n);
  return kind_ == Kind::mxfp8 ? 5 * n : int64_t{parts} * n;
}

NarrowWeights pack_narrow_weights(const spec::ChipSpec& spec, const NarrowGemm& g, std::span<const float> a) {
  const NarrowLayout l(spec, g);
  NarrowWeights out;
  const auto elements = static_cast<size_t>(l.m_tiles * l.rows * l.k_tiles);
  out.numbers.resize(elements * static_cast<size_t>(l.row_numbers) * dtype_bytes(l.number_type));
  out.beside.resize(elements * static_cast<size_t>(l.row_beside) * dtype_bytes(l.beside_type));
  if (g.kind == Kind::fp8) out.unit = unit_of(a);
  Packer pack{g, l, a, out};
  const int64_t step = g.kind == Kind::fp8 ? 1 : g.kind == Kind::mxfp8 ? kGroup : int64_t{g.kept};
  for (int64_t m_tile = 0; m_tile < l.m_tiles; ++m_tile) {
    for (int64_t kt = 0; kt < l.k_tiles; ++kt) {
      for (int64_t p = 0; p < l.partitions(kt); p += step) {
        if (g.kind == Kind::fp8) pack.fp8(m_tile, kt, p);
        if (g.kind == Kind::mxfp8) pack.mx(m_tile, kt, p);
        if (g.kind == Kind::sparse) pack.sparse(m_tile, kt, p);
      }
    }
  }
  return out;
}

}  // namespace presil::kernels
