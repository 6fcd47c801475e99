#include "cli/arguments.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string_view>

#include "spec/chip_file.h"

namespace presil::cli {
namespace {

std::optional<int64_t> parse_positive(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value <= 0) return std::nullopt;
  return value;
}

}  // namespace

Result<chip::Assumptions> parse_assumptions(const std::vector<std::string>& texts) {
  chip::Assumptions all;
  for (const std::string& text : texts) {
    const size_t at = text.rfind('=');
    uint32_t value = 0;
    const char *begin = text.data() + (at == std::string::npos ? 0 : at + 1), *past = text.data() + text.size();
    auto [end, error] = std::from_chars(begin, past, value);
    if (at == std::string::npos || at == 0 || error != std::errc() || end != past || begin == past)
      return bad_input(fmt::format("'{}' is not NODE=N", text), "--assume");
    if (!all.emplace(text.substr(0, at), value).second)
      return bad_input(fmt::format("'{}' is given twice", text.substr(0, at)), "--assume");
  }
  return all;
}

Result<std::pair<std::string, int64_t>> parse_dim(const std::string& text) {
  const size_t at = text.find('=');
  auto value = at == std::string::npos ? std::nullopt : parse_positive(std::string_view(text).substr(at + 1));
  if (!value || at == 0) return bad_input(fmt::format("'{}' is not NAME=N with N > 0", text), "--dim");
  return std::pair(text.substr(0, at), *value);
}

Result<std::pair<std::string, graph::Shape>> parse_shape(const std::string& text) {
  Error error = bad_input(fmt::format("'{}' is not NAME=1x3x224x224 with positive sizes", text), "--shape");
  const size_t at = text.find('=');
  if (at == std::string::npos || at == 0) return error;
  graph::Shape shape;
  std::string_view rest = std::string_view(text).substr(at + 1);
  while (true) {
    const size_t x = rest.find('x');
    auto size = parse_positive(rest.substr(0, x));
    if (!size) return error;
    shape.push_back(*size);
    if (x == std::string_view::npos) break;
    rest = rest.substr(x + 1);
  }
  return std::pair(text.substr(0, at), std::move(shape));
}

Result<runtime::Rounding> parse_rounding(const std::string& text) {
  if (text == "nearest") return runtime::Rounding{};
  constexpr std::string_view kStochastic = "stochastic";
  runtime::Rounding rounding{.stochastic = true};
  if (text == kStochastic) return rounding;
  const std::string_view seed = std::string_view(text).substr(std::min(text.size(), kStochastic.size() + 1));
  const auto [end, problem] = std::from_chars(seed.data(), seed.data() + seed.size(), rounding.seed);
  if (!text.starts_with("stochastic:") || problem != std::errc() || end != seed.data() + seed.size())
    return bad_input(fmt::format("'{}' is not nearest, stochastic or stochastic:SEED", text), "--rounding");
  return rounding;
}

Result<runtime::WorkloadOptions> workload_options(const WorkloadOptions& o, bool with_data, const Cancel* cancel) {
  runtime::WorkloadOptions options{.path = o.path,
                                   .precision = o.precision,
                                   .double_as_fp32 = o.double_as_fp32,
                                   .with_data = with_data,
                                   .retime = o.retime,
                                   .cancel = cancel};
  if (!o.chip.empty()) options.chip = TRY(spec::load_chip(o.chip));
  for (const std::string& dim : o.dims) options.dims.push_back(TRY(parse_dim(dim)));
  for (const std::string& shape : o.shapes) options.shapes.push_back(TRY(parse_shape(shape)));
  for (const std::string& text : o.activations) {
    const size_t at = text.find('=');
    if (at == std::string::npos || at == 0)
      return bad_input(fmt::format("'{}' is not NAME=FILE.toml", text), "--activation");
    options.activations.push_back({text.substr(0, at), TRY(runtime::read_activation(text.substr(at + 1)))});
  }
  if (!o.rounding.empty()) options.rounding = TRY(parse_rounding(o.rounding));
  if (o.cfp8_bias > isa::kCfp8BiasMax || o.cfp8_bias < -1)
    return bad_input(fmt::format("{}, expected 0 to {}", o.cfp8_bias, isa::kCfp8BiasMax), "--cfp8-bias");
  if (o.cfp8_bias >= 0) options.cfp8_bias = static_cast<uint8_t>(o.cfp8_bias);
  return options;
}

}  // namespace presil::cli
