#include "validate/suite.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "spec/fields.h"
#include "validate/rows.h"

namespace presil::validate {
namespace {

std::vector<const Parameter*> parameters_of(std::string_view row) {
  std::vector<const Parameter*> out;
  for (const Parameter& p : core_parameters()) {
    if (std::find(p.rows.begin(), p.rows.end(), row) != p.rows.end()) out.push_back(&p);
  }
  return out;
}

// The row's error when nothing was fitted to it.
double leave_one_out(const Row& row, const std::vector<const Parameter*>& parameters, Chips chips) {
  for (const Parameter* p : parameters) {
    std::vector<std::string_view> others;
    std::copy_if(p->rows.begin(), p->rows.end(), std::back_inserter(others),
                 [&](std::string_view id) { return id != row.id; });
    chips = refitted(*p, others, std::move(chips));
  }
  return relative_error(row, chips);
}

RowReport report_row(const Row& row, const Chips& chips) {
  const std::vector<const Parameter*> parameters = parameters_of(row.id);
  RowReport out{.id = std::string(row.id),
                .chip = std::string(row.chip),
                .workload = std::string(row.workload),
                .predicted = row.predict(chips.named(row.chip)),
                .published = row.published,
                .unit = std::string(row.unit),
                .reading_error = row.reading / row.published,
                .provenance = parameters.empty() ? "derived" : "calibrated",
                .grade = row.grade,
                .source = std::string(row.source),
                .is_bound = row.is_bound};
  out.error = out.predicted / out.published - 1;
  const bool alone = std::any_of(parameters.begin(), parameters.end(), [](auto* p) { return p->rows.size() == 1; });
  out.left_out_by = parameters.empty() ? "not fitted" : alone ? "stand-in" : "refit";
  out.leave_one_out_error = parameters.empty() ? out.error : leave_one_out(row, parameters, chips);
  for (const Parameter* p : parameters) out.fitted_parameters.emplace_back(p->field);
  return out;
}

ParameterReport report_parameter(const Parameter& p, const Chips& chips) {
  const spec::Field& field = *spec::find_field(p.field);
  ParameterReport out{.name = std::string(p.field),
                      .value = spec::print_quantity(field.get(chips.named(p.chips[0])), field.unit),
                      .without_rows = std::string(p.without_rows)};
  out.chips.assign(p.chips.begin(), p.chips.end());
  out.rows.assign(p.rows.begin(), p.rows.end());
  return out;
}

double beyond(double error, double reading) { return std::max(0.0, std::fabs(error) - reading); }

void summarize(SuiteReport& report) {
  int counted = 0;
  for (const RowReport& r : report.rows) {
    if (r.grade > 2) continue;
    ++counted;
    report.mean_abs_error += r.beyond_reading_error();
    report.worst_abs_error = std::max(report.worst_abs_error, r.beyond_reading_error());
    report.leave_one_out_error += beyond(r.leave_one_out_error, r.reading_error);
  }
  report.mean_abs_error /= counted;
  report.leave_one_out_error /= counted;
}

std::string joined(const std::vector<std::string>& list) { return fmt::format("{}", fmt::join(list, " ")); }

}  // namespace

double RowReport::beyond_reading_error() const { return beyond(error, reading_error); }

std::vector<std::string> suite_names() { return {"core", "kernels"}; }

Result<SuiteReport> run_suite(const std::string& name) {
  const std::vector<std::string> names = suite_names();
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    return bad_input(fmt::format("unknown suite '{}'; known: {}", name, joined(names)), {}, nearest_hint(name, names));
  }
  const Chips chips = bundled_chips();
  SuiteReport report{.name = name};
  const bool core = name == "core";
  for (const Row& row : core ? core_rows() : kernel_rows()) report.rows.push_back(report_row(row, chips));
  if (core) {
    for (const Parameter& p : core_parameters()) report.parameters.push_back(report_parameter(p, chips));
  }
  summarize(report);
  return report;
}

namespace {

// Mean leave-one-out error of the rows of grades 1 and 2 that other rows have something to say about.
double left_out_with_others(const SuiteReport& report) {
  double sum = 0;
  int counted = 0;
  for (const RowReport& r : report.rows) {
    if (r.grade > 2 || r.left_out_by == "stand-in") continue;
    sum += beyond(r.leave_one_out_error, r.reading_error);
    ++counted;
  }
  return sum / counted;
}

}  // namespace

std::string rows_markdown(const SuiteReport& report) {
  std::string out =
      "| row | chip | workload | published | predicted | error | reading | left out | provenance | grade |\n"
      "|---|---|---|---|---|---|---|---|---|---|\n";
  for (const RowReport& r : report.rows) {
    if (r.is_bound) {
      out += fmt::format("| {} | {} | {} | at most {:.6g} {} | {:.6g} | {} | | | {} | {} |\n", r.id, r.chip, r.workload,
                         r.published, r.unit, r.predicted, r.holds() ? "holds" : "broken", r.provenance, r.grade);
      continue;
    }
    out += fmt::format("| {} | {} | {} | {:.6g} {} | {:.6g} | {:+.1f} % | {:.1f} % | {:+.1f} % | {} | {} |\n", r.id,
                       r.chip, r.workload, r.published, r.unit, r.predicted, 100 * r.error, 100 * r.reading_error,
                       100 * r.leave_one_out_error, r.provenance, r.grade);
  }
  out += fmt::format(
      "\nGrades 1 and 2, beyond each row's reading error: mean {:.1f} %, worst {:.1f} %. Left out one at a time: mean "
      "{:.1f} %,\n"
      "{:.1f} % over the rows that a parameter's other rows predict, or that no parameter was fitted to.\n",
      100 * report.mean_abs_error, 100 * report.worst_abs_error, 100 * report.leave_one_out_error,
      100 * left_out_with_others(report));
  return out;
}

std::string parameters_markdown(const SuiteReport& report) {
  std::string out = "| parameter | chips | value | fitted to | without any row |\n|---|---|---|---|---|\n";
  for (const ParameterReport& p : report.parameters) {
    out +=
        fmt::format("| `{}` | {} | {} | {} | {} |\n", p.name, joined(p.chips), p.value, joined(p.rows), p.without_rows);
  }
  return out;
}

std::string contradictions_markdown() {
  std::string out = "| topic | found | what the model does |\n|---|---|---|\n";
  for (const Contradiction& c : contradictions()) out += fmt::format("| {} | {} | {} |\n", c.topic, c.found, c.choice);
  return out;
}

}  // namespace presil::validate
