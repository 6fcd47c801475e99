// Validation: published measurements of real hardware against what the simulator says about the same workload. Rows,
// fitted parameters and contradictions are data (rows.cc, parameters.cc, contradictions.cc); docs/model.md shows them.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"

namespace presil::validate {

// Errors are relative and signed: predicted / published - 1.
struct RowReport {
  std::string id, chip, workload;
  double predicted = 0, published = 0;
  std::string unit;
  double error = 0;
  double reading_error = 0;        // of the published figure, relative
  double leave_one_out_error = 0;  // with every parameter that this row was fitted to refitted without it
  std::string left_out_by;         // "refit" to other rows, "stand-in" where there are none, "not fitted"
  std::string provenance;          // "calibrated": a parameter is fitted to this row; "derived": none is
  int grade = 1;                   // 1 printed, 2 read from a figure, 3 read by eye: reported, not averaged
  std::string source;
  std::vector<std::string> fitted_parameters;  // those fitted to this row
  bool is_bound = false;                       // hardware took at most what is published: a test's limit
  double beyond_reading_error() const;         // |error| less the reading error, not below 0
  bool holds() const { return !is_bound || predicted <= published; }
};

// A number of a chip file that was chosen so that rows come out right.
struct ParameterReport {
  std::string name;                // "dma.descriptor"
  std::vector<std::string> chips;  // whose files it stands in
  std::vector<std::string> rows;
  std::string value;         // "1.05 ns"
  std::string without_rows;  // what a leave-one-out prediction uses when no other row is left, and why
};

struct SuiteReport {
  std::string name;
  std::vector<RowReport> rows;
  std::vector<ParameterReport> parameters;
  // Over rows of grade 1 and 2, beyond each row's reading error.
  double mean_abs_error = 0, worst_abs_error = 0, leave_one_out_error = 0;
};

std::vector<std::string> suite_names();

// "core": instructions, transfers and GEMMs, to which parameters were fitted; "kernels": whole kernels, to which none
// was. Runs everything, several seconds. Unknown name: an error with the nearest one.
Result<SuiteReport> run_suite(const std::string& name);

// Facts of the sources that do not fit each other, and what the model does about it.
struct Contradiction {
  std::string topic, found, choice;
};
std::vector<Contradiction> contradictions();

// Tables of docs/model.md.
std::string rows_markdown(const SuiteReport& report);
std::string parameters_markdown(const SuiteReport& report);
std::string contradictions_markdown();

}  // namespace presil::validate
