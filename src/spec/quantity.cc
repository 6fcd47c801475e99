#include "spec/quantity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <span>
#include <vector>

namespace presil::spec {
namespace {

struct Scale {
  std::string_view name;
  uint64_t factor;
};

constexpr uint64_t kKi = 1024, kMi = kKi * kKi, kGi = kMi * kKi, kTi = kGi * kKi;
constexpr uint64_t kKilo = 1000, kMega = kKilo * kKilo, kGiga = kMega * kKilo, kTera = kGiga * kKilo;

// Largest first: the printer takes the first that divides.
constexpr Scale kPercent[] = {{"%", 1}};
constexpr Scale kHertz[] = {{"GHz", kGiga}, {"MHz", kMega}, {"kHz", kKilo}, {"Hz", 1}};
constexpr Scale kBytes[] = {{"TiB", kTi},  {"GiB", kGi},  {"MiB", kMi},  {"KiB", kKi}, {"TB", kTera},
                            {"GB", kGiga}, {"MB", kMega}, {"kB", kKilo}, {"B", 1}};
constexpr Scale kRates[] = {{"TB/s", kTera}, {"GB/s", kGiga}, {"MB/s", kMega}, {"kB/s", kKilo}, {"TiB/s", kTi},
                            {"GiB/s", kGi},  {"MiB/s", kMi},  {"KiB/s", kKi},  {"B/s", 1}};
constexpr Scale kDurations[] = {{"s", kGiga* kMega}, {"ms", kTera}, {"us", kGiga},
                                {"ns", kMega},       {"ps", kKilo}, {"fs", 1}};

std::span<const Scale> scales(Unit unit) {
  switch (unit) {
    case Unit::count:
    case Unit::cycles:
      return {};
    case Unit::percent:
      return kPercent;
    case Unit::hertz:
      return kHertz;
    case Unit::bytes:
      return kBytes;
    case Unit::bytes_per_second:
      return kRates;
    case Unit::duration:
      return kDurations;
  }
  return {};
}

std::string unit_list(Unit unit) {
  std::string out;
  for (const Scale& s : scales(unit)) out += (out.empty() ? "" : ", ") + std::string(s.name);
  return out;
}

Error expected(std::string_view found, Unit unit) {
  return bad_input(
      fmt::format("expected {} with a unit such as {}, found \"{}\"", unit_meaning(unit), unit_example(unit), found));
}

struct Decimal {
  unsigned __int128 digits = 0;
  unsigned fraction_digits = 0;
};

// [0-9]+(.[0-9]+)?, at most 24 digits.
std::optional<Decimal> parse_decimal(std::string_view text) {
  Decimal out;
  bool point = false;
  size_t digits = 0;
  for (char c : text) {
    if (c == '.' && !point && digits > 0) {
      point = true;
    } else if (std::isdigit(static_cast<unsigned char>(c)) && digits < 24) {
      out.digits = out.digits * 10 + static_cast<unsigned>(c - '0');
      out.fraction_digits += point ? 1 : 0;
      ++digits;
    } else {
      return std::nullopt;
    }
  }
  if (digits == 0 || text.back() == '.') return std::nullopt;
  return out;
}

unsigned __int128 power_of_ten(unsigned exponent) {
  unsigned __int128 out = 1;
  for (unsigned i = 0; i < exponent; ++i) out *= 10;
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

bool has_unit_text(Unit unit) { return !scales(unit).empty(); }

std::string_view unit_meaning(Unit unit) {
  switch (unit) {
    case Unit::count:
      return "a whole number";
    case Unit::cycles:
      return "a whole number of cycles";
    case Unit::percent:
      return "a percentage";
    case Unit::hertz:
      return "a frequency";
    case Unit::bytes:
      return "a size";
    case Unit::bytes_per_second:
      return "a bandwidth";
    case Unit::duration:
      return "a duration";
  }
  return {};
}

std::string_view unit_example(Unit unit) {
  switch (unit) {
    case Unit::count:
      return "128";
    case Unit::cycles:
      return "64";
    case Unit::percent:
      return "\"90 %\"";
    case Unit::hertz:
      return "\"2.4 GHz\"";
    case Unit::bytes:
      return "\"24 MiB\"";
    case Unit::bytes_per_second:
      return "\"23 GB/s\"";
    case Unit::duration:
      return "\"739 ns\"";
  }
  return {};
}

Result<uint64_t> parse_quantity(std::string_view text, Unit unit) {
  CHECK(has_unit_text(unit), "counts and cycles are integers, not texts");
  const std::string_view whole = trimmed(text);
  if (!whole.empty() && whole.front() == '-') {
    return bad_input(fmt::format("expected {} that is not negative, found \"{}\"", unit_meaning(unit), text));
  }
  const size_t number_size = std::min(whole.find_first_not_of("0123456789."), whole.size());
  const std::optional<Decimal> number = parse_decimal(whole.substr(0, number_size));
  const std::string_view name = trimmed(whole.substr(number_size));
  if (!number || name.empty()) return expected(text, unit);
  const auto units = scales(unit);
  const auto scale = std::find_if(units.begin(), units.end(), [&](const Scale& s) { return s.name == name; });
  if (scale == units.end()) {
    return bad_input(fmt::format("unknown unit \"{}\" for {} in \"{}\"; known: {}", name, unit_meaning(unit), text,
                                 unit_list(unit)));
  }
  // 24 digits times the largest factor (10^15) overflows 128 bits; anything near is out of range anyway.
  if (number->digits > power_of_ten(22)) return bad_input(fmt::format("\"{}\" is too large", text));
  const unsigned __int128 scaled = number->digits * scale->factor;
  const unsigned __int128 divisor = power_of_ten(number->fraction_digits);
  if (scaled % divisor != 0) {
    return bad_input(fmt::format("\"{}\" is not a whole number of {}", text, scales(unit).back().name));
  }
  if (scaled / divisor > INT64_MAX) return bad_input(fmt::format("\"{}\" is too large", text));
  return static_cast<uint64_t>(scaled / divisor);
}

std::string print_quantity(uint64_t value, Unit unit) {
  if (!has_unit_text(unit)) return fmt::format("{}", value);
  const auto units = scales(unit);
  // Up to three decimals in a larger unit read better than many digits in a smaller one; sizes stay whole.
  const uint64_t decimals = unit == Unit::bytes || unit == Unit::percent ? 1 : 1000;
  for (const Scale& s : units) {
    if (value < s.factor || s.factor % decimals != 0 || value % (s.factor / decimals) != 0) continue;
    std::string out = fmt::format("{}", value / s.factor);
    if (const uint64_t rest = value % s.factor / (s.factor / decimals); rest != 0) {
      std::string fraction = fmt::format("{:03}", rest);
      fraction.erase(fraction.find_last_not_of('0') + 1);
      out += "." + fraction;
    }
    return fmt::format("{} {}", out, s.name);
  }
  return fmt::format("{} {}", value, units.back().name);
}

}  // namespace presil::spec
