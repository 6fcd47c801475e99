// Conversion between element types and fp32: the definition (one value at a time) and fast spans, equal bit for bit.
//
// Rules. Floats round to nearest even, overflow to infinity, keep denormals, and turn every NaN into the canonical
// positive quiet one (fp32 to fp32 copies bits). Integers saturate after rounding to nearest even; NaN becomes 0. bool
// stores value != 0 and reads any non-zero byte as 1. tf32 is fp32 with 10 stored mantissa bits: reading rounds too, so
// that any fp32 pattern is a valid tf32 operand. fp8_e4m3 is the legacy IEEE-like format: bias 7, infinities, largest
// finite value 240. fp8_e5m2 is IEEE-like: bias 15, largest finite value 57344.
#pragma once
#include <cstddef>
#include <cstdint>

#include "numerics/dtype.h"

namespace presil::numerics {

// One value; `bits` holds the element in its low dtype_bytes(t) bytes.
float to_fp32(DType t, uint64_t bits);
uint64_t from_fp32(DType t, float value);

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
