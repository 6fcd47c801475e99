// Conversion between element types and fp32: the definition (one value at a time) and fast spans, equal bit for bit.
//
// Rules. Floats round to nearest even, overflow to infinity, keep denormals, and turn every NaN into the canonical
// positive quiet one (fp32 to fp32 copies bits). Integers saturate after rounding to nearest even; NaN becomes 0. bool
// stores value != 0 and reads any non-zero byte as 1. tf32 is fp32 with 10 stored mantissa bits: reading rounds too, so
// that any fp32 pattern is a valid tf32 operand. fp8_e4m3 is the legacy IEEE-like format: bias 7, infinities, largest
// finite value 240. fp8_e5m2 is IEEE-like: bias 15, largest finite value 57344; fp8_e3m4 too: bias 3, largest 15.5.
// fp8_e4m3fn has one NaN per sign and no infinities (largest 448): what overflows becomes NaN. fp8_e8m0 is 2^(x - 127),
// 255 is NaN: the nearest power of two, upwards from halfway; zero and negative numbers become NaN (as
// ml_dtypes but below 2^-126, where that rounds up).
// A packed type holds four numbers of its format per element; fp4_e2m1fn saturates at 6, and NaN becomes 0 (assumed).
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "numerics/dtype.h"

namespace presil::numerics {

// One value, of a type that is not packed; `bits` holds the element in its low dtype_bytes(t) bytes.
float to_fp32(DType t, uint64_t bits);
uint64_t from_fp32(DType t, float value);

// As from_fp32, but fp32 values are rounded to bf16, fp16 and fp8 stochastically (float_format.h) by 32 random bits.
// The other types have no stochastic rounding.
uint64_t from_fp32_stochastic(DType t, float value, uint32_t random);

// The four numbers of an element of a packed type, and back.
std::array<float, 4> unpack(DType t, uint32_t bits);
uint32_t pack(DType t, const std::array<float, 4>& values);

// `count` contiguous elements. Unaligned addresses are fine; source and destination do not overlap (fp32 to fp32 may be
// the same address).
using LoadFn = void (*)(const std::byte* source, float* destination, size_t count);
using StoreFn = void (*)(const float* source, std::byte* destination, size_t count);
LoadFn load_fn(DType t);
StoreFn store_fn(DType t);
inline void load_span(DType t, const std::byte* source, float* destination, size_t count) {
  load_fn(t)(source, destination, count);
}
inline void store_span(DType t, const float* source, std::byte* destination, size_t count) {
  store_fn(t)(source, destination, count);
}

}  // namespace presil::numerics
