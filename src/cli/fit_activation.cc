#include <fmt/format.h>

#include <charconv>
#include <filesystem>

#include "base/text.h"
#include "cli/commands.h"
#include "numerics/formula.h"
#include "runtime/activation_file.h"
#include "runtime/file.h"

namespace presil::cli {
namespace {

template <class Enum, size_t N>
Result<Enum> one_of(const std::string& text, const std::string_view (&names)[N], const std::string& option) {
  for (size_t i = 0; i < N; ++i) {
    if (names[i] == text) return static_cast<Enum>(i);
  }
  const std::vector<std::string> known(std::begin(names), std::end(names));
  return bad_input(fmt::format("'{}' is unknown", text), option, nearest_hint(text, known));
}

Result<std::pair<float, float>> parse_range(const std::string& text) {
  const size_t colon = text.find(':');
  float low = 0, high = 0;
  const auto number = [](std::string_view part, float& out) {
    const auto [end, problem] = std::from_chars(part.data(), part.data() + part.size(), out);
    return problem == std::errc{} && end == part.data() + part.size();
  };
  if (colon == std::string::npos || !number(std::string_view(text).substr(0, colon), low) ||
      !number(std::string_view(text).substr(colon + 1), high))
    return bad_input(fmt::format("'{}' is not LO:HI", text), "--range");
  return std::pair(low, high);
}

}  // namespace

Result<int> run_fit_activation(const FitActivationOptions& o) {
  if (o.formula.empty() == o.samples.empty()) return bad_input("give one of --formula and --samples", "fit-activation");
  if (!o.output.ends_with(".toml")) return bad_input(fmt::format("'{}' does not end in .toml", o.output), "-o");
  numerics::FitOptions options{.name = std::filesystem::path(o.output).stem().string(), .error = o.error};
  std::tie(options.low, options.high) = TRY(parse_range(o.range));
  options.kind = TRY(one_of<numerics::ErrorKind>(o.kind, numerics::kErrorKindNames, "--kind"));
  options.below = TRY(one_of<numerics::Outside>(o.below, numerics::kOutsideNames, "--below"));
  options.above = TRY(one_of<numerics::Outside>(o.above, numerics::kOutsideNames, "--above"));
  TRY(runtime::check_folder_of(o.output, "-o"));
  std::function<double(double)> f;
  if (!o.formula.empty()) {
    f = TRY(numerics::parse_formula(o.formula));
  } else {
    auto [x, y] = TRY(runtime::read_samples(o.samples));
    if (!x.empty() && (options.low < x.front() || options.high > x.back()))
      return bad_input(fmt::format("{} leaves the points, {} to {}", o.range, x.front(), x.back()), "--range");
    f = TRY(numerics::function_through(std::move(x), std::move(y)));
  }
  const numerics::Fit fit = TRY(numerics::fit_activation(f, options));
  const std::string origin =
      o.formula.empty() ? fmt::format("Points of {}", o.samples) : fmt::format("f(x) = {}", o.formula);
  TRY(runtime::write_file(o.output, runtime::print_activation(fit, options, origin)));
  fmt::print("{}: {} pieces, worst {} error {:.3g} at {} (of {} points; asked for {})\n", o.output,
             fit.table.pieces.size(), o.kind, fit.error, fit.where, fit.points, o.error);
  return 0;
}

}  // namespace presil::cli
