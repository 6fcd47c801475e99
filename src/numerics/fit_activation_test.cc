// Do formulas mean what they say, does a fitted table keep the error it states, and what is refused?
#include "numerics/fit_activation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/prng.h"
#include "numerics/activation_span.h"
#include "numerics/float_bits.h"
#include "numerics/formula.h"
#include "numerics/real_functions.h"

namespace presil::numerics {
namespace {

TEST(RealFunctions, AgreeWithTheLibraryToThirteenDigits) {
  struct Row {
    double (*ours)(double);
    double (*theirs)(double);
    double low, high;
  };
  const Row rows[] = {{real::exp, std::exp, -700, 700}, {real::log, std::log, 1e-300, 1e300},
                      {real::sin, std::sin, -50, 50},   {real::cos, std::cos, -50, 50},
                      {real::atan, std::atan, -50, 50}, {real::tanh, std::tanh, -20, 20},
                      {real::erf, std::erf, -5, 5}};
  Prng random(7);
  for (const Row& row : rows) {
    for (int i = 0; i < 20'000; ++i) {
      const double u = random.unit();
      double x = row.low + (row.high - row.low) * u;
      if (i % 2 == 0 && row.low < 0) x = std::ldexp(x, -static_cast<int>(random.below(40)));
      if (row.low > 0) x = std::exp(std::log(row.low) + (std::log(row.high) - std::log(row.low)) * u);
      const double expected = row.theirs(x);
      ASSERT_NEAR(row.ours(x), expected, 2e-13 * std::fmax(std::fabs(expected), 1e-3)) << x;
    }
  }
  EXPECT_EQ(real::exp(800), INFINITY);
  EXPECT_EQ(real::exp(-800), 0);
  EXPECT_TRUE(std::isnan(real::log(-1)));
  EXPECT_EQ(real::power(-2, 3), -8);
  EXPECT_NEAR(real::power(2, 0.5), std::sqrt(2), 1e-14);
}

TEST(Formula, Values) {
  const auto at = [](std::string_view text, double x) { return (*parse_formula(text))(x); };
  EXPECT_DOUBLE_EQ(at("1 + 2 * 3 - x", 4), 3);
  EXPECT_DOUBLE_EQ(at("2 ^ 3 ^ 2", 0), 512);
  EXPECT_DOUBLE_EQ(at("-x^2", 3), -9);
  EXPECT_DOUBLE_EQ(at("(1 + x) / 4", 1), 0.5);
  EXPECT_DOUBLE_EQ(at("max(x, 0.25) - min(1, 2)", -3), -0.75);
  EXPECT_NEAR(at("x*sigmoid(1.702*x)", 0.5), 0.5 / (1 + std::exp(-0.851)), 1e-14);
  EXPECT_NEAR(at("gelu(x)", -1), -0.5 * std::erfc(std::sqrt(0.5)), 1e-14);
  EXPECT_NEAR(at("sin(pi / 2) + log(e)", 0), 2, 1e-14);
}

TEST(Formula, Errors) {
  const auto error = [](std::string_view text) { return parse_formula(text).error().text(); };
  EXPECT_EQ(error("x +"), "formula, character 4: expected a number, x or a function, found the end");
  EXPECT_EQ(error("sigmod(x)"),
            "formula, character 1: expected a number, x or a function, found 'sigmod(x)' (did you mean 'sigmoid'?)");
  EXPECT_EQ(error("(x"), "formula, character 3: expected ')', found the end");
  EXPECT_EQ(error("max(x)"), "formula, character 6: expected ',', found ')'");
  EXPECT_EQ(error("x y"), "formula, character 3: expected an operator or the end, found 'y'");
  EXPECT_EQ(error(std::string(200, '(')),
            "formula, character 101: expected fewer parentheses and signs, found "
            "'(((((((((((('");
}

TEST(ActivationTable, EvaluatesPieceByPiece) {
  const ActivationTable t{"step", {{-kInfinity, 0, {-1}}, {0, 0, {0, 1, 0.5f, 0}}, {2, 2, {4, 1}}}};
  EXPECT_EQ(problem_of(t), "");
  const std::pair<float, float> cases[] = {{-kInfinity, -1}, {-0.5f, -1},           {-0.0f, 0}, {1, 1.5f}, {2, 4},
                                           {3, 5},           {kInfinity, kInfinity}};
  for (const auto& [x, y] : cases) EXPECT_EQ(table_apply(t, x), y) << x;
  EXPECT_EQ(bits_of(table_apply(t, -NAN)), kCanonicalNanBits);
  const float in[] = {-3, 0.5f, 4};
  float out[3];
  table_span(t, in, out, 3, {2.0f, -1.0f, 0.0f});
  EXPECT_EQ(out[0], -1);
  EXPECT_EQ(out[1], 0);
  EXPECT_EQ(out[2], 9);
}

TEST(ActivationTable, Problems) {
  EXPECT_EQ(problem_of({"", {}}), "0 pieces, from 1 to 4096");
  EXPECT_EQ(problem_of({"", {{0, 0, {}}}}), "the first piece does not begin at -inf");
  EXPECT_EQ(problem_of({"", {{-kInfinity, 0, {}}, {1, 0, {}}, {1, 0, {}}}}),
            "piece 2 does not begin after the one before");
  EXPECT_EQ(problem_of({"", {{-kInfinity, 0, {kInfinity}}}}), "piece 0 has a number that is not finite");
}

TEST(FitActivation, KeepsTheErrorThatItStates) {
  struct Row {
    const char* formula;
    float low, high;
    double error;
    ErrorKind kind;
  };
  const Row rows[] = {{"x*sigmoid(x)", -20, 20, 4e-6, ErrorKind::absolute},
                      {"tanh(x)", -8, 8, 3e-7, ErrorKind::absolute},
                      {"exp(x)", -4, 4, 1e-5, ErrorKind::relative},
                      {"1/x", 0.5f, 8, 4, ErrorKind::ulp},
                      {"sin(3*x)+x^2", -2, 2, 1e-5, ErrorKind::absolute}};
  for (const Row& row : rows) {
    const auto f = *parse_formula(row.formula);
    const auto fit = fit_activation(f, {.low = row.low, .high = row.high, .error = row.error, .kind = row.kind});
    ASSERT_TRUE(fit.has_value()) << fit.error().text();
    EXPECT_EQ(problem_of(fit->table), "");
    EXPECT_LE(fit->error, row.error) << row.formula;
    Prng random(9);
    for (int i = 0; i < 50'000; ++i) {
      const auto x = static_cast<float>(row.low + (row.high - row.low) * random.unit());
      const double exact = f(x), off = std::fabs(exact - table_apply(fit->table, x));
      const double unit = row.kind == ErrorKind::absolute   ? 1
                          : row.kind == ErrorKind::relative ? std::fabs(exact)
                                                            : std::ldexp(1.0, std::ilogb(exact) - 23);
      ASSERT_LE(off / unit, 1.1 * row.error) << row.formula << " at " << x;
    }
  }
}

TEST(FitActivation, Outside) {
  const auto f = *parse_formula("x*x");
  const auto at = [&](Outside outside, float x) {
    return table_apply(
        fit_activation(f, {.low = -1, .high = 1, .error = 1e-6, .below = outside, .above = outside})->table, x);
  };
  EXPECT_NEAR(at(Outside::clamp, 5), 1, 1e-6);
  EXPECT_NEAR(at(Outside::clamp, -kInfinity), 1, 1e-6);
  EXPECT_NEAR(at(Outside::linear, 3), 5, 1e-5);
  EXPECT_NEAR(at(Outside::linear, -3), 5, 1e-5);
  EXPECT_NEAR(at(Outside::extrapolate, 3), 9, 1e-4);
  EXPECT_EQ(at(Outside::linear, kInfinity), kInfinity);
}

TEST(FitActivation, Errors) {
  const auto error = [](const char* formula, FitOptions o) {
    return fit_activation(*parse_formula(formula), o).error().text();
  };
  EXPECT_EQ(error("x", {.low = 2, .high = 1, .error = 1}), "--range: 2:1 is no range (LO:HI with LO < HI)");
  EXPECT_EQ(error("x", {.low = 1, .high = 2, .error = 0}), "--error: 0 is no error");
  EXPECT_EQ(error("log(x)", {.low = -1, .high = 1, .error = 0.1}), "--range: the function is nan at -1");
  const std::string reach = error("exp(x)", {.low = -4, .high = 4, .error = 1e-12});
  EXPECT_EQ(reach.find("--error: absolute error 1e-12 is out of reach: with pieces of "), 0u) << reach;
}

TEST(FitActivation, PassesThroughItsPoints) {
  std::vector<double> x, y;
  for (int i = 0; i <= 100; ++i) x.push_back(i * 0.1), y.push_back(std::sin(i * 0.1));
  const auto f = *function_through(x, y);
  for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(f(x[i]), y[i], 1e-15);
  EXPECT_NEAR(f(0.55), std::sin(0.55), 1e-5);
  EXPECT_EQ(function_through({1, 2}, {1, 2}).error().text(), "--samples: 2 points, at least 4");
  EXPECT_EQ(function_through({1, 2, 2, 3}, {1, 2, 3, 4}).error().text(),
            "--samples: x of point 2 is 2, after 2: they ascend");
}

}  // namespace
}  // namespace presil::numerics
