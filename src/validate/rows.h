// The rows of the suite as data, and the parameters that were fitted to them.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spec/chip_spec.h"

namespace presil::validate {

// The machines that rows run on; a fit changes a field of one or several of them.
struct Chips {
  spec::ChipSpec trn1, trn2;
  const spec::ChipSpec& named(std::string_view name) const { return name == "trn1" ? trn1 : trn2; }
  spec::ChipSpec& named(std::string_view name) { return name == "trn1" ? trn1 : trn2; }
};
Chips bundled_chips();

struct Row {
  std::string_view id, chip, workload;
  double published = 0;
  std::string_view unit;
  double reading = 0;  // how far the published figure may be from what was measured, in `unit`
  int grade = 1;
  std::string_view source;
  double (*predict)(const spec::ChipSpec&) = nullptr;  // in `unit`
  bool is_bound = false;                               // hardware took at most what is published
};
std::span<const Row> core_rows();
std::span<const Row> kernel_rows();  // nothing is fitted to them
const Row& core_row(std::string_view id);

struct Parameter {
  std::string_view field;               // spec field that was fitted ...
  std::vector<std::string_view> chips;  // ... in these files
  std::vector<std::string_view> rows;   // to these rows: least sum of squared relative errors
  std::string_view without_rows;        // value of a leave-one-out prediction when no row is left, and why
  uint64_t (*without)(const Chips&) = nullptr;
};
std::span<const Parameter> core_parameters();

double relative_error(const Row& row, const Chips& chips);

// `chips` with the parameter at its best for `rows`; with its stand-in value if there are none.
Chips refitted(const Parameter& parameter, std::span<const std::string_view> rows, Chips chips);

}  // namespace presil::validate
