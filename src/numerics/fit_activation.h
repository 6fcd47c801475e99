// Turns a function into an activation table of cubics whose error is at most what was asked for: pieces are halved
// until each is good enough, measured on the fp32 results that the engine will give.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "numerics/activation_table.h"

namespace presil::numerics {

enum class ErrorKind : uint8_t { absolute, relative, ulp };  // ulp: in units of the fp32 result
inline constexpr std::string_view kErrorKindNames[] = {"absolute", "relative", "ulp"};
// What holds outside of the range: the value at its end, the line through it, or the last cubic.
enum class Outside : uint8_t { clamp, linear, extrapolate };
inline constexpr std::string_view kOutsideNames[] = {"clamp", "linear", "extrapolate"};

struct FitOptions {
  std::string name = "custom";
  float low = 0, high = 0;
  double error = 0;
  ErrorKind kind = ErrorKind::absolute;
  Outside below = Outside::clamp, above = Outside::clamp;
};
struct Fit {
  ActivationTable table;
  double error = 0;  // the worst that was measured, in the kind asked for
  float where = 0;   // there
  size_t points = 0;
};

// Error: a range or an error without meaning, a function that is not a number there, or one that kActivationPiecesMax
// pieces do not follow closely enough.
Result<Fit> fit_activation(const std::function<double(double)>& f, const FitOptions& options);

// A function given at points, x ascending: a cubic between neighbours through them and with the slopes of their
// neighbours (Catmull-Rom). Error: fewer than four points, or x that do not ascend.
Result<std::function<double(double)>> function_through(std::vector<double> x, std::vector<double> y);

}  // namespace presil::numerics
