// Fitted parameters: which fields of which chips, to which rows, and how they are refitted when rows are left out.
#include <algorithm>

#include "spec/fields.h"
#include "validate/rows.h"

namespace presil::validate {
namespace {

uint64_t zero(const Chips&) { return 0; }

const std::vector<Parameter>& table() {
  static const std::vector<Parameter> parameters = {
      {"tensor.issue_overhead", {"trn2"}, {"I28"}, "0: none is documented", zero},
      {"tensor.latency", {"trn1", "trn2"}, {"I22", "I30"}, "", nullptr},
      {"vector.latency", {"trn1", "trn2"}, {"I32", "I23"}, "", nullptr},
      {"scalar.latency",
       {"trn2"},
       {"I15"},
       "that of trn1",
       [](const Chips& c) { return static_cast<uint64_t>(c.trn1.scalar.latency); }},
      {"scalar.latency",
       {"trn1"},
       {"I19D"},
       "that of trn2",
       [](const Chips& c) { return static_cast<uint64_t>(c.trn2.scalar.latency); }},
      {"scalar.table_load", {"trn2"}, {"I16"}, "0: none is documented", zero},
      {"semaphores.wake", {"trn1", "trn2"}, {"I19"}, "0: none is documented", zero},
      {"dma.start_latency_from_hbm",
       {"trn2"},
       {"I09"},
       "that from SBUF (I13)",
       [](const Chips& c) { return static_cast<uint64_t>(c.trn2.dma.start_latency_from_sbuf); }},
      {"dma.start_latency_from_sbuf",
       {"trn2"},
       {"I13"},
       "that from HBM (I09)",
       [](const Chips& c) { return static_cast<uint64_t>(c.trn2.dma.start_latency_from_hbm); }},
      {"dma.dispatch_per_descriptor", {"trn2"}, {"I10"}, "0: none is documented", zero},
      {"dma.completion", {"trn2"}, {"I17"}, "0: none is documented", zero},
      {"dma.descriptor", {"trn2"}, {"I11", "K02P"}, "", nullptr},
      {"dma.transfer_floor", {"trn2"}, {"D02", "D05", "D07"}, "", nullptr},
      {"dma.queue_bandwidth", {"trn1"}, {"K05", "K07"}, "", nullptr},
  };
  return parameters;
}

void set(const Parameter& parameter, uint64_t value, Chips& chips) {
  const spec::Field* field = spec::find_field(parameter.field);
  CHECK(field != nullptr, "a fitted parameter is a spec field");
  for (const std::string_view chip : parameter.chips) field->set(chips.named(chip), value);
}

double sum_of_squares(std::span<const double> errors) {
  double sum = 0;
  for (const double e : errors) sum += e * e;
  return sum;
}

std::vector<double> errors_at(uint64_t value, const Parameter& parameter, std::span<const std::string_view> rows,
                              Chips chips) {
  set(parameter, value, chips);
  std::vector<double> out;
  for (const std::string_view id : rows) out.push_back(relative_error(core_row(id), chips));
  return out;
}

// One step from `value`, where the errors are `here`.
uint64_t improved(uint64_t value, std::span<const double> here, const Parameter& parameter,
                  std::span<const std::string_view> rows, const Chips& chips) {
  const spec::Field& field = *spec::find_field(parameter.field);
  const uint64_t nudge = std::max<uint64_t>(1, value / 50);
  const std::vector<double> there = errors_at(value + nudge, parameter, rows, chips);
  double along = 0, steepness = 0;
  for (size_t k = 0; k < here.size(); ++k) {
    const double slope = (there[k] - here[k]) / static_cast<double>(nudge);
    along += here[k] * slope, steepness += slope * slope;
  }
  if (steepness == 0) return value;
  const double best = static_cast<double>(value) - along / steepness + 0.5;
  return static_cast<uint64_t>(std::clamp(best, static_cast<double>(field.least), static_cast<double>(field.most)));
}

}  // namespace

std::span<const Parameter> core_parameters() { return table(); }

// Gauss-Newton in one variable; predictions are linear in a parameter, or nearly so, as long as it matters.
Chips refitted(const Parameter& parameter, std::span<const std::string_view> rows, Chips chips) {
  if (rows.empty()) {
    set(parameter, parameter.without(chips), chips);
    return chips;
  }
  const spec::Field& field = *spec::find_field(parameter.field);
  uint64_t value = field.get(chips.named(parameter.chips[0]));
  std::vector<double> here = errors_at(value, parameter, rows, chips);
  uint64_t target = improved(value, here, parameter, rows, chips);
  for (int evaluations = 0; evaluations < 20; ++evaluations) {
    const uint64_t change = target > value ? target - value : value - target;
    if (change <= value / 1000) break;
    std::vector<double> there = errors_at(target, parameter, rows, chips);
    if (sum_of_squares(there) < sum_of_squares(here)) {
      value = target, here = std::move(there);
      target = improved(value, here, parameter, rows, chips);
    } else {
      target = target > value ? value + change / 2 : value - change / 2;
    }
  }
  set(parameter, value, chips);
  return chips;
}

}  // namespace presil::validate
