// Microscaling: products of MX operands, and the instruction that makes them.
#include <fmt/format.h>

#include <cstring>

#include "chip/products.h"
#include "isa/slots.h"
#include "isa/touched.h"
#include "numerics/float_bits.h"
#include "numerics/mx.h"

namespace presil::chip {
namespace {

constexpr size_t kPacked = 4;  // numbers of an element

// Every operand in fp32 words or bytes, rows one after the other: `elements` of each partition.
template <class Word>
const Word* words_of(Context& c, const Strided& s, Buffer& buffer) {
  std::byte* bytes = buffer.bytes(s.elements() * sizeof(Word));
  copy_elements(c, contiguous(bytes, s.dtype, s.elements()), s);
  return reinterpret_cast<const Word*>(bytes);
}

// The row of the scales' operand for the group of data partition p.
uint32_t scale_row(uint32_t p) {
  return p / isa::kMxQuadrant * isa::kMxQuadrant + p % isa::kMxQuadrant / isa::kMxGroup;
}

// All numbers that an element of up to 8 bits can hold.
std::array<float, 256> numbers_of(DType packed) {
  std::array<float, 256> out{};
  for (uint32_t bits = 0; bits < 256; ++bits) out[bits] = numerics::unpack(packed, bits)[0];
  return out;
}

// The scaled numbers as a matrix of four rows per partition: row 4 p + q has number q of each element.
Matrix dequantized(Context& c, const Strided& data, const Strided& scale, Buffer& buffer) {
  const size_t columns = row_elements(data), stride = scratch_stride(columns);
  const uint32_t partitions = data.count[0];
  float* out = buffer.floats(stride * kPacked * partitions);
  const auto* scales = words_of<uint8_t>(c, scale, c.scratch().rows[0]);
  const bool half = data.element_bytes() == 2;
  const std::byte* elements =
      half ? reinterpret_cast<const std::byte*>(words_of<uint16_t>(c, data, c.scratch().rows[1]))
           : reinterpret_cast<const std::byte*>(words_of<uint32_t>(c, data, c.scratch().rows[1]));
  const std::array<float, 256> numbers = numbers_of(data.dtype);
  const uint32_t bits = half ? 4 : 8, mask = (1u << bits) - 1;
  for (uint32_t p = 0; p < partitions; ++p) {
    const uint8_t* row_scales = scales + scale_row(p) * columns;
    for (size_t i = 0; i < columns; ++i) {
      uint32_t element = 0;
      std::memcpy(&element, elements + (p * columns + i) * data.element_bytes(), data.element_bytes());
      const float factor = numerics::to_fp32(DType::fp8_e8m0, row_scales[i]);
      for (size_t q = 0; q < kPacked; ++q)
        out[(p * kPacked + q) * stride + i] = numerics::canonical(numbers[element >> (bits * q) & mask] * factor);
    }
  }
  return {out, stride};
}

// Scales for all data, and operands that fit each other.
bool fits(const Strided& data, const Strided& scale, size_t columns) {
  return data.count[0] % isa::kMxQuadrant == 0 && scale.count[0] > scale_row(data.count[0] - 1) &&
         row_elements(scale) == columns && scale.element_bytes() == 1;
}

}  // namespace

void execute_matmul_mx(Context& c) {
  namespace slot = isa::slots::nc_matmul_mx;
  const Strided& dst = c.operand(slot::dst);
  const Strided &stationary = c.operand(slot::stationary), &moving = c.operand(slot::moving);
  const Strided &stationary_scale = c.operand(slot::stationary_scale), &moving_scale = c.operand(slot::moving_scale);
  const bool packed = is_packed(stationary.dtype) && is_packed(moving.dtype);
  if (!packed || stationary.count[0] != moving.count[0] || row_elements(stationary) != dst.count[0] ||
      row_elements(moving) != row_elements(dst) || !fits(stationary, stationary_scale, dst.count[0]) ||
      !fits(moving, moving_scale, row_elements(dst))) {
    return c.fault(fmt::format("stationary [{}, {}], moving [{}, {}] and their scales do not give dst [{}, {}]",
                               stationary.count[0], row_elements(stationary), moving.count[0], row_elements(moving),
                               dst.count[0], row_elements(dst)));
  }
  const Matrix a = dequantized(c, stationary, stationary_scale, c.scratch().stationary);
  const Matrix b = dequantized(c, moving, moving_scale, c.scratch().moving);
  numerics::Matmul product;
  product.k = kPacked * stationary.count[0];
  product.stationary = a.data, product.stationary_stride = a.stride;
  product.moving = b.data, product.moving_stride = b.stride;
  product.accumulate = c.flag(slot::accumulate);
  multiply(c, dst, product);
}

void execute_quantize_mx(Context& c) {
  namespace slot = isa::slots::quantize_mx;
  const Strided &dst = c.operand(slot::dst), &src = c.operand(slot::src), &dst_scale = c.operand(slot::dst_scale);
  const size_t columns = row_elements(dst), elements = kPacked * columns;
  const bool quantizes = dst.dtype == DType::fp8_e4m3fn_x4 || dst.dtype == DType::fp8_e5m2_x4;
  if (!quantizes || dst.count[0] != src.count[0] || row_elements(src) != elements || !fits(src, dst_scale, columns)) {
    return c.fault(fmt::format("src [{}, {}] does not give dst [{}, {}] and dst_scale [{}, {}]", src.count[0],
                               row_elements(src), dst.count[0], columns, dst_scale.count[0], row_elements(dst_scale)));
  }
  const auto rule = c.flag(slot::tight_scale) ? numerics::MxScale::tight : numerics::MxScale::roomy;
  const size_t stride = elements + numerics::kRowsSlack;
  float* values = c.scratch().moving.floats(stride * src.count[0]);
  const Rows rows(src);
  for (uint32_t p = 0; p < src.count[0]; ++p) rows.read(p, values + p * stride);
  std::byte* words = c.scratch().product.bytes(columns * sizeof(uint32_t));
  std::byte* scales = c.scratch().rows[0].bytes(columns);
  for (uint32_t group = 0; group < src.count[0]; group += isa::kMxGroup) {
    for (size_t i = 0; i < columns; ++i) {
      uint32_t largest = 0;  // magnitudes order as their bits do
      for (uint32_t p = group; p < group + isa::kMxGroup; ++p) {
        for (size_t q = 0; q < kPacked; ++q)
          largest = std::max(largest, numerics::bits_of(values[p * stride + i * kPacked + q]) & ~numerics::kSignBit);
      }
      scales[i] = std::byte{numerics::mx_scale(dst.dtype, numerics::float_of(largest), rule)};
    }
    for (uint32_t p = group; p < group + isa::kMxGroup; ++p) {
      for (size_t i = 0; i < columns; ++i) {
        const float* x = values + p * stride + i * kPacked;
        const uint32_t word =
            numerics::mx_pack(dst.dtype, {x[0], x[1], x[2], x[3]}, std::to_integer<uint8_t>(scales[i]), rule);
        std::memcpy(words + i * sizeof word, &word, sizeof word);
      }
      copy_elements(c, row_of(dst, p), contiguous(words, dst.dtype, columns));
    }
    copy_elements(c, row_of(dst_scale, scale_row(group)), contiguous(scales, dst_scale.dtype, columns));
  }
}

}  // namespace presil::chip
