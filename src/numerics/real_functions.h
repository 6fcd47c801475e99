// Functions of real numbers in double, to about 1e-14, without a mathematical library: what activation tables are
// fitted to must be the same numbers on every machine.
#pragma once

namespace presil::numerics::real {

double exp(double x);
double log(double x);  // NaN for negative numbers
double sin(double x);
double cos(double x);
double atan(double x);
double tanh(double x);
double erf(double x);
double power(double a, double b);  // a > 0, or b a whole number of magnitude up to 64

}  // namespace presil::numerics::real
