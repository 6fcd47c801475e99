#include "numerics/activation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <sstream>
#include <vector>

#include "base/prng.h"
#include "numerics/float_bits.h"

namespace presil {
namespace {

using numerics::bits_of;
using numerics::kCanonicalNanBits;

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double softplus(double x) { return std::fmax(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }

struct Row {
  Activation f;
  double low, high;  // documented range; the fact sheet's, or wider
  std::function<double(double)> exact;
  double relative = 4e-7;
  double absolute = 2e-7;  // where `relative` is 0
};

double logistic_slope(double x) { return 1.0 / (2.0 + std::exp(x) + std::exp(-x)); }

const std::vector<Row>& rows() {
  static const std::vector<Row> table = {
      {Activation::exp, -87, 88.7, [](double x) { return std::exp(x); }},
      {Activation::log, 0x1p-126, 0x1p127, [](double x) { return std::log(x); }},
      {Activation::sqrt, 0x1p-126, 0x1p127, [](double x) { return std::sqrt(x); }},
      {Activation::rsqrt, 0x1p-126, 0x1p127, [](double x) { return 1.0 / std::sqrt(x); }},
      {Activation::reciprocal, 0x1p-126, 0x1p125, [](double x) { return 1.0 / x; }},
      {Activation::sigmoid, -87, 40, sigmoid},
      {Activation::tanh, -30, 30, [](double x) { return std::tanh(x); }},
      {Activation::erf, -10, 10, [](double x) { return std::erf(x); }},
      {Activation::gelu, -12.9, 30, [](double x) { return 0.5 * x * std::erfc(-x * std::sqrt(0.5)); }},
      {Activation::gelu_apprx_tanh, -10, 30,
       [](double x) { return x * sigmoid(2.0 * std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)); }},
      {Activation::silu, -87, 90, [](double x) { return x * sigmoid(x); }},
      {Activation::softplus, -87, 90, softplus},
      {Activation::mish, -87, 90,
       [](double x) {
         const double e = std::exp(-std::fabs(x));
         const double n = x < 0 ? e * (e + 2.0) : 1.0 + 2.0 * e;
         return x * n / (n + (x < 0 ? 2.0 : 2.0 * e * e));
       }},
      {Activation::sin, -M_PI, M_PI, [](double x) { return std::sin(x); }},
      {Activation::sin, -8192, 8192, [](double x) { return std::sin(x); }, 0.0},
      {Activation::arctan, -1e4, 1e4, [](double x) { return std::atan(x); }},
      {Activation::gelu_apprx_sigmoid, -51, 50, [](double x) { return x * sigmoid(double{1.702f} * x); }},
      {Activation::erf_dx, -9.2, 9.2, [](double x) { return 2.0 / std::sqrt(M_PI) * std::exp(-x * x); }},
      // Slopes change their sign; what holds is an absolute error.
      {Activation::gelu_dx, -20, 20,
       [](double x) {
         return 0.5 * std::erfc(-x * std::sqrt(0.5)) + x * std::exp(-0.5 * x * x) / std::sqrt(2.0 * M_PI);
       },
       0.0},
      {Activation::silu_dx, -100, 100, [](double x) { return sigmoid(x) + x * logistic_slope(x); }, 0.0},
      {Activation::gelu_apprx_sigmoid_dx, -60, 60,
       [](double x) { return sigmoid(double{1.702f} * x) + double{1.702f} * x * logistic_slope(double{1.702f} * x); },
       0.0},
  };
  return table;
}

// Half of the points are spread over the values, half over the exponents.
float sample(Prng& random, const Row& row) {
  if (random.below(2) == 0) return static_cast<float>(row.low + (row.high - row.low) * random.unit());
  while (true) {
    const float x = numerics::float_of(static_cast<uint32_t>(random.next()));
    if (x >= row.low && x <= row.high) return x;
  }
}

TEST(Activation, WithinTheStatedErrorOfTheRealFunction) {
  Prng random(5);
  for (const Row& row : rows()) {
    double worst = 0.0;
    float where = 0.0f;
    for (int i = 0; i < 300'000; ++i) {
      const float x = sample(random, row);
      const double exact = row.exact(x), error = std::fabs(activation_apply(row.f, x) - exact);
      // Denormal results are good to a few of their units; sin beyond pi is stated as an absolute error.
      const double allowed = row.relative > 0.0 ? row.relative * std::fabs(exact) + 0x1p-147 : row.absolute;
      if (error / allowed > worst) worst = error / allowed, where = x;
    }
    EXPECT_LE(worst, 1.0) << activation_name(row.f) << "(" << where << ")";
    if (row.relative > 0.0) {
      RecordProperty(std::string(activation_name(row.f)), std::to_string(worst * row.relative));
      std::printf("  %-16s worst relative error %.2e at %g\n", std::string(activation_name(row.f)).c_str(),
                  worst * row.relative, static_cast<double>(where));
    }
  }
}

TEST(Activation, SpecialValues) {
  const auto at = [](Activation f, float x) { return bits_of(activation_apply(f, x, 0.01f)); };
  const float inf = INFINITY;
  for (int i = 1; i < kActivationCount; ++i) EXPECT_EQ(at(static_cast<Activation>(i), -NAN), kCanonicalNanBits) << i;
  EXPECT_EQ(at(Activation::copy, numerics::float_of(0xffc00001)), 0xffc00001u);
  struct Case {
    Activation f;
    float x, y;
  };
  const Case cases[] = {{Activation::exp, 0, 1},
                        {Activation::exp, inf, inf},
                        {Activation::exp, -inf, 0},
                        {Activation::exp, 89, inf},
                        {Activation::exp, -104, 0},
                        {Activation::log, 1, 0},
                        {Activation::log, 0, -inf},
                        {Activation::log, -0.0f, -inf},
                        {Activation::log, inf, inf},
                        {Activation::sqrt, -0.0f, -0.0f},
                        {Activation::sqrt, inf, inf},
                        {Activation::rsqrt, 0, inf},
                        {Activation::rsqrt, inf, 0},
                        {Activation::reciprocal, -0.0f, -inf},
                        {Activation::sigmoid, 0, 0.5f},
                        {Activation::sigmoid, inf, 1},
                        {Activation::sigmoid, -inf, 0},
                        {Activation::tanh, -0.0f, -0.0f},
                        {Activation::tanh, inf, 1},
                        {Activation::tanh, -inf, -1},
                        {Activation::erf, -0.0f, -0.0f},
                        {Activation::erf, inf, 1},
                        {Activation::erf, -inf, -1},
                        {Activation::gelu, 0, 0},
                        {Activation::gelu, inf, inf},
                        {Activation::gelu, -inf, -0.0f},
                        {Activation::gelu_apprx_tanh, inf, inf},
                        {Activation::gelu_apprx_tanh, -inf, -0.0f},
                        {Activation::silu, inf, inf},
                        {Activation::silu, -inf, -0.0f},
                        {Activation::softplus, inf, inf},
                        {Activation::softplus, -inf, 0},
                        {Activation::mish, inf, inf},
                        {Activation::mish, -inf, -0.0f},
                        {Activation::gelu_apprx_sigmoid, inf, inf},
                        {Activation::gelu_apprx_sigmoid, -inf, -0.0f},
                        {Activation::gelu_dx, 0, 0.5f},
                        {Activation::gelu_dx, inf, 1},
                        {Activation::gelu_dx, -inf, -0.0f},
                        {Activation::silu_dx, 0, 0.5f},
                        {Activation::silu_dx, inf, 1},
                        {Activation::silu_dx, -inf, 0},
                        {Activation::gelu_apprx_sigmoid_dx, -inf, 0},
                        {Activation::erf_dx, 0, 0x1.20dd76p+0f},
                        {Activation::erf_dx, inf, 0},
                        {Activation::erf_dx, -inf, 0},
                        {Activation::sin, -0.0f, -0.0f},
                        {Activation::arctan, -0.0f, -0.0f},
                        {Activation::sign, -0.0f, 0},
                        {Activation::sign, -3, -1},
                        {Activation::abs, -3, 3},
                        {Activation::square, -3, 9},
                        {Activation::relu, -0.0f, 0},
                        {Activation::relu, -3, 0},
                        {Activation::leaky_relu, -100, -1},
                        {Activation::leaky_relu, 5, 5},
                        {Activation::log, 0x1p-149f, -103.27893f}};
  for (const Case& c : cases) EXPECT_EQ(at(c.f, c.x), bits_of(c.y)) << activation_name(c.f) << "(" << c.x << ")";
  for (Activation f : {Activation::log, Activation::sqrt, Activation::rsqrt})
    EXPECT_EQ(at(f, -1.0f), kCanonicalNanBits);
  for (float x : {inf, -inf, 8193.0f}) EXPECT_EQ(at(Activation::sin, x), kCanonicalNanBits) << x;
}

TEST(Activation, ExactFunctionsNeedNoTable) {
  EXPECT_EQ(activation_table(Activation::relu), 0);
  EXPECT_EQ(activation_table(Activation::exp), activation_table(Activation::sigmoid));
  EXPECT_NE(activation_table(Activation::exp), activation_table(Activation::gelu));
}

TEST(Activation, NamesRoundTrip) {
  for (int i = 0; i < kActivationCount; ++i) {
    EXPECT_EQ(activation_from_name(activation_name(static_cast<Activation>(i))), static_cast<Activation>(i));
  }
}

// The checked-in coefficients are what the script fits, on every machine.
TEST(Activation, TablesAreWhatTheScriptPrints) {
  const std::string source = PRESIL_SOURCE_DIR;
  FILE* pipe = popen(("python3 '" + source + "/tools/fit_activation_tables.py' 2>/dev/null").c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string printed;
  char buffer[4096];
  while (const size_t got = fread(buffer, 1, sizeof buffer, pipe)) printed.append(buffer, got);
  ASSERT_EQ(pclose(pipe), 0);
  std::ifstream file(source + "/src/numerics/activation_tables.inc");
  std::stringstream checked_in;
  checked_in << file.rdbuf();
  EXPECT_EQ(printed, checked_in.str());
}

}  // namespace
}  // namespace presil
