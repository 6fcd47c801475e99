// Element types and their host storage. Values are bit patterns; conversions are in convert.h.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace presil {

// clang-format off
enum class DType : uint8_t {
  fp32, tf32, bf16, fp16, fp8_e4m3, fp8_e5m2, fp8_e4m3fn, fp8_e3m4,
  fp8_e8m0,                                     // a power of two, for scales
  fp8_e4m3fn_x4, fp8_e5m2_x4, fp4_e2m1fn_x4,    // four numbers in one element, the first in the lowest bits
  int8, uint8, int16, uint16, int32, uint32, int64, boolean,
};
// clang-format on
inline constexpr int kDTypeCount = 20;

constexpr size_t dtype_bytes(DType t) {
  switch (t) {
    case DType::fp32:
    case DType::tf32:
    case DType::fp8_e4m3fn_x4:
    case DType::fp8_e5m2_x4:
    case DType::int32:
    case DType::uint32:
      return 4;
    case DType::bf16:
    case DType::fp16:
    case DType::fp4_e2m1fn_x4:
    case DType::int16:
    case DType::uint16:
      return 2;
    case DType::fp8_e4m3:
    case DType::fp8_e5m2:
    case DType::fp8_e4m3fn:
    case DType::fp8_e3m4:
    case DType::fp8_e8m0:
    case DType::int8:
    case DType::uint8:
    case DType::boolean:
      return 1;
    case DType::int64:
      return 8;
  }
  return 0;
}
constexpr bool is_float(DType t) { return t <= DType::fp8_e8m0; }
constexpr bool is_packed(DType t) { return t >= DType::fp8_e4m3fn_x4 && t <= DType::fp4_e2m1fn_x4; }
constexpr size_t dtype_numbers(DType t) { return is_packed(t) ? 4 : 1; }  // in one element
constexpr bool is_integer(DType t) { return t >= DType::int8 && t <= DType::int64; }
constexpr bool is_signed(DType t) {
  return t == DType::int8 || t == DType::int16 || t == DType::int32 || t == DType::int64;
}

std::string_view dtype_name(DType t);  // "bf16"
std::optional<DType> dtype_from_name(std::string_view name);

}  // namespace presil
