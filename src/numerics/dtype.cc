#include "numerics/dtype.h"

#include <array>

#include "numerics/names.h"

namespace presil {
namespace {
constexpr std::array<std::string_view, kDTypeCount> kNames = {
    "fp32",     "tf32",     "bf16",          "fp16",        "fp8_e4m3",      "fp8_e5m2", "fp8_e4m3fn",
    "fp8_e3m4", "fp8_e8m0", "fp8_e4m3fn_x4", "fp8_e5m2_x4", "fp4_e2m1fn_x4", "int8",     "uint8",
    "int16",    "uint16",   "int32",         "uint32",      "int64",         "bool"};
}

std::string_view dtype_name(DType t) { return kNames[static_cast<size_t>(t)]; }

std::optional<DType> dtype_from_name(std::string_view name) { return numerics::enum_from_name<DType>(kNames, name); }

}  // namespace presil
