// fp32 as bits: classification, canonical NaN, exact powers of two. Shared by the plain definitions of this room.
#pragma once
#include <bit>
#include <cstdint>

namespace presil::numerics {

inline constexpr uint32_t kSignBit = 0x80000000u;
inline constexpr uint32_t kInfinityBits = 0x7f800000u;
inline constexpr uint32_t kCanonicalNanBits = 0x7fc00000u;

inline uint32_t bits_of(float x) { return std::bit_cast<uint32_t>(x); }
inline float float_of(uint32_t bits) { return std::bit_cast<float>(bits); }

inline constexpr float kNan = std::bit_cast<float>(kCanonicalNanBits);
inline constexpr float kInfinity = std::bit_cast<float>(kInfinityBits);

inline bool is_nan(float x) { return x != x; }

// Every NaN becomes the one NaN that the machine produces: positive, quiet, empty payload.
inline float canonical(float x) { return is_nan(x) ? kNan : x; }

// 2^exponent for -126 <= exponent <= 127.
inline float power_of_two(int exponent) { return float_of(static_cast<uint32_t>(exponent + 127) << 23); }

// Rounds away the low `shift` bits of a magnitude, to nearest even; a carry runs into the exponent, as it should.
inline uint32_t round_off(uint32_t magnitude, int shift) {
  return (magnitude + (1u << (shift - 1)) - 1 + (magnitude >> shift & 1u)) >> shift;
}

}  // namespace presil::numerics
