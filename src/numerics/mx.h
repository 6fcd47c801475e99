// Microscaling: numbers of 8 or 4 bits in groups that share one power of two (OCP MX; fact sheet 6.4).
#pragma once
#include <array>
#include <cstdint>

#include "numerics/dtype.h"

namespace presil::numerics {

// Which power of two a group of numbers below 2^(e+1) in magnitude gets, for a type whose largest exponent is emax:
// roomy, 2^(e - emax + 1), leaves room to round the largest numbers up (documented since NKI 0.5.0); tight, 2^(e -
// emax), is OCP's sample and what came before: it saturates.
enum class MxScale : uint8_t { roomy, tight };

// The scale's byte, x for 2^(x - 127), of a group whose largest magnitude is `largest`; by the exponent field, so that
// infinities and NaN count as 2^128 and denormals as 0. The least is 2^-127, which a group of zeros has.
uint8_t mx_scale(DType packed, float largest, MxScale rule);

// An element of dtype `packed`: four numbers divided by the scale; saturated if `rule` is tight.
uint32_t mx_pack(DType packed, const std::array<float, 4>& values, uint8_t scale, MxScale rule);

// The four numbers of an element, each times the scale and rounded to fp32; NaN if the scale's byte is 255.
std::array<float, 4> mx_unpack(DType packed, uint32_t element, uint8_t scale);

}  // namespace presil::numerics
