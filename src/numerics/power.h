// The vector datapath's power operator.
#pragma once

namespace presil::numerics {

// a^b. NaN if either is NaN. Otherwise, in this order:
//  - b an integer in [-8, 8]: repeated fp32 multiplication (x^2 = x*x, x^3 = x^2*x, x^4 = x^2*x^2, x^5 = x^4*x,
//    x^6 = x^4*x^2, x^7 = x^6*x, x^8 = x^4*x^4); a negative b is 1 divided by that. So a^0 = 1.
//  - b = 0.5: sqrt(a); b = -0.5: 1 / sqrt(a). Negative a gives NaN.
//  - |a| = 0, |a| or |b| infinite: the limits that IEEE 754 names for pow. Negative a with b no integer: NaN.
//  - otherwise exp2(b * log2 |a|) with polynomials in double (activation_tables.inc), rounded once to fp32, negative
//  when
//    a is negative and b odd.
float power(float a, float b);

}  // namespace presil::numerics
