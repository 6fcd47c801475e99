#include "numerics/fit_activation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "numerics/float_bits.h"
#include "numerics/real_functions.h"

namespace presil::numerics {
namespace {

constexpr int kPoints = 65;  // of a piece while it is fitted; measured again at the end, more densely

struct Measured {
  double error = 0;
  float where = 0;
};

double error_at(double exact, float found, ErrorKind kind) {
  const double difference = std::fabs(exact - double{found});
  if (kind == ErrorKind::absolute || difference == 0) return difference;
  if (kind == ErrorKind::relative) return difference / std::fabs(exact);
  const double magnitude = std::fmax(std::fabs(exact), 0x1p-126);
  return difference / std::ldexp(1.0, std::ilogb(magnitude) - 23);
}

class Fitter {
 public:
  Fitter(const std::function<double(double)>& f, const FitOptions& options) : f_(f), o_(options) {}

  Result<Fit> run() {
    TRY(check());
    target_ = o_.error;
    width_max_ = double{o_.high} - double{o_.low};
    // Between the points of a piece's fit it may be a little worse: then everything is fitted more closely.
    constexpr int kAttempts = 5;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      fit_ = {};
      fit_.table.name = o_.name;
      TRY(add(o_.low, o_.high));
      ends();
      measure();
      if (fit_.error <= o_.error) return std::move(fit_);
      target_ *= 0.9 * o_.error / fit_.error;
      width_max_ /= 4;  // x - origin is rounded too
    }
    return out_of_reach(double{o_.high} - double{o_.low}, {fit_.error, fit_.where});
  }

 private:
  Result<void> check() const {
    if (!(o_.low < o_.high) || std::isinf(o_.low) || std::isinf(o_.high))
      return bad_input(fmt::format("{}:{} is no range", o_.low, o_.high), "--range", "LO:HI with LO < HI");
    if (!(o_.error > 0) || std::isinf(o_.error)) return bad_input(fmt::format("{} is no error", o_.error), "--error");
    return {};
  }

  // The cubic through the function at the Chebyshev nodes of [a, b], as powers of x - origin.
  ActivationPiece cubic(double a, double b) const {
    constexpr double kNodes[] = {-0.92387953251128674, -0.38268343236508977, 0.38268343236508977, 0.92387953251128674};
    ActivationPiece p{static_cast<float>(a), static_cast<float>(a), {}};
    std::array<double, 4> t{}, c{};  // Newton's divided differences
    for (size_t i = 0; i < 4; ++i) {
      const double x = (a + b) / 2 + (b - a) / 2 * kNodes[i];
      t[i] = x - double{p.origin};
      c[i] = f_(x);
    }
    for (size_t k = 1; k < 4; ++k) {
      for (size_t i = 3; i >= k; --i) c[i] = (c[i] - c[i - 1]) / (t[i] - t[i - k]);
    }
    std::array<double, 4> power{c[3], 0, 0, 0};
    for (size_t k = 3; k-- > 0;) {
      for (size_t i = 3; i > 0; --i) power[i] = power[i - 1] - t[k] * power[i];
      power[0] = c[k] - t[k] * power[0];
    }
    for (size_t i = 0; i < 4; ++i) p.coefficients[i] = static_cast<float>(power[i]);
    return p;
  }

  Measured worst_of(const ActivationTable& table, double a, double b, int points) const {
    Measured worst;
    for (int i = 0; i < points; ++i) {
      const auto x = static_cast<float>(a + (b - a) * i / (points - 1));
      const double exact = f_(x), error = error_at(exact, table_apply(table, x), o_.kind);
      if (!(error <= worst.error)) worst = {error, x};
    }
    return worst;
  }

  Result<void> add(double a, double b) {
    for (double x : {a, (a + b) / 2, b}) {
      if (!std::isfinite(f_(x))) return bad_input(fmt::format("the function is {} at {}", f_(x), x), "--range");
    }
    ActivationPiece p = cubic(a, b);
    ActivationTable alone{"", {p}};
    alone.pieces[0].start = -kInfinity;
    const Measured worst = worst_of(alone, a, b, kPoints);
    if (worst.error <= target_ && b - a <= width_max_) {
      fit_.table.pieces.push_back(p);
      return {};
    }
    const auto middle = double{static_cast<float>((a + b) / 2)};
    if (fit_.table.pieces.size() + 4 > kActivationPiecesMax || !(a < middle && middle < b)) {
      return out_of_reach(b - a, worst);
    }
    TRY(add(a, middle));
    return add(middle, b);
  }

  Error out_of_reach(double width, const Measured& worst) const {
    return bad_input(
        fmt::format("{} error {} is out of reach: with pieces of {:.3g} it is {:.3g} near {}",
                    kErrorKindNames[static_cast<size_t>(o_.kind)], o_.error, width, worst.error, worst.where),
        "--error", "a larger error, a smaller range, or another kind");
  }

  // What holds below and above.
  void ends() {
    auto& pieces = fit_.table.pieces;
    const ActivationPiece first = pieces.front(), last = pieces.back();
    if (o_.below == Outside::extrapolate) {
      pieces.front().start = -kInfinity;
    } else {
      const double slope = double{first.coefficients[1]};
      pieces.insert(pieces.begin(), edge(-kInfinity, o_.low, f_(o_.low), o_.below, slope));
    }
    if (o_.above == Outside::extrapolate) return;
    const double t = double{o_.high} - double{last.origin};
    const auto& c = last.coefficients;
    const double slope = double{c[1]} + t * (2 * double{c[2]} + t * 3 * double{c[3]});
    pieces.push_back(edge(o_.high, o_.high, f_(o_.high), o_.above, slope));
  }
  static ActivationPiece edge(float start, float origin, double value, Outside outside, double slope) {
    ActivationPiece p{start, origin, {static_cast<float>(value), 0, 0, 0}};
    if (outside == Outside::linear) p.coefficients[1] = static_cast<float>(slope);
    return p;
  }

  void measure() {
    constexpr int kDense = 1'000'001;
    const Measured worst = worst_of(fit_.table, o_.low, o_.high, kDense);
    fit_.error = worst.error, fit_.where = worst.where, fit_.points = kDense;
  }

  const std::function<double(double)>& f_;
  const FitOptions& o_;
  double target_ = 0, width_max_ = 0;
  Fit fit_;
};

}  // namespace

Result<Fit> fit_activation(const std::function<double(double)>& f, const FitOptions& options) {
  return Fitter(f, options).run();
}

Result<std::function<double(double)>> function_through(std::vector<double> x, std::vector<double> y) {
  if (x.size() != y.size() || x.size() < 4)
    return bad_input(fmt::format("{} points, at least 4", x.size()), "--samples");
  for (size_t i = 1; i < x.size(); ++i) {
    if (!(x[i] > x[i - 1]))
      return bad_input(fmt::format("x of point {} is {}, after {}: they ascend", i, x[i], x[i - 1]), "--samples");
  }
  return std::function<double(double)>([x = std::move(x), y = std::move(y)](double at) {
    const auto after = std::ranges::upper_bound(x.begin() + 1, x.end() - 1, at);
    const auto i = static_cast<size_t>(after - x.begin()) - 1;
    const auto slope = [&](size_t k) {
      const size_t a = k == 0 ? 0 : k - 1, b = std::min(k + 1, x.size() - 1);
      return (y[b] - y[a]) / (x[b] - x[a]);
    };
    const double h = x[i + 1] - x[i], t = (at - x[i]) / h;
    const double rise = y[i + 1] - y[i], m0 = slope(i) * h, m1 = slope(i + 1) * h;
    return y[i] + t * (m0 + t * ((3 * rise - 2 * m0 - m1) + t * (m0 + m1 - 2 * rise)));
  });
}

}  // namespace presil::numerics
