#include <fmt/format.h>

#include <cmath>

#include "base/json_writer.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/host.h"
#include "validate/suite.h"

namespace presil::cli {
namespace {

// The mean error that a suite may have beyond what its sources can be read to.
constexpr double kMeanErrorMax = 0.10;

void write_rows(JsonWriter& json, const std::vector<validate::SuiteReport>& suites) {
  json.key("rows").begin_array();
  for (const validate::SuiteReport& suite : suites) {
    for (const validate::RowReport& row : suite.rows) {
      json.begin_object().member("id", row.id).member("suite", suite.name).member("chip", row.chip);
      json.member("workload", row.workload).member("predicted", row.predicted).member("published", row.published);
      json.member("unit", row.unit).member("error", row.error).member("reading_error", row.reading_error);
      json.member("leave_one_out_error", row.leave_one_out_error).member("provenance", row.provenance);
      json.member("grade", row.grade)
          .member("is_bound", row.is_bound)
          .member("source", row.source)
          .key("fitted_parameters")
          .begin_array();
      for (const std::string& name : row.fitted_parameters) json.value(name);
      json.end_array().end_object();
    }
  }
  json.end_array();
}

void write_suites(JsonWriter& json, const std::vector<validate::SuiteReport>& suites) {
  json.key("suites").begin_array();
  for (const validate::SuiteReport& suite : suites) {
    json.begin_object().member("name", suite.name).member("mean_abs_error", suite.mean_abs_error);
    json.member("worst_abs_error", suite.worst_abs_error).member("leave_one_out_error", suite.leave_one_out_error);
    json.key("parameters").begin_array();
    for (const validate::ParameterReport& p : suite.parameters) {
      json.begin_object().member("name", p.name).member("value", p.value).key("rows").begin_array();
      for (const std::string& row : p.rows) json.value(row);
      json.end_array().end_object();
    }
    json.end_array().end_object();
  }
  json.end_array();
}

std::string json_text(const std::vector<validate::SuiteReport>& suites) {
  JsonWriter json;
  json.begin_object();
  write_rows(json, suites);
  write_suites(json, suites);
  return json.end_object().take();
}

void print_suite(const validate::SuiteReport& suite) {
  fmt::print("suite {}\n{:<8}{:<6}{:<52}{:>12}{:>12} {:<8}{:>8}{:>9}{:>10}  {:<11}{}\n", suite.name, "row", "chip",
             "workload", "predicted", "published", "unit", "error", "reading", "left out", "provenance", "grade");
  for (const validate::RowReport& row : suite.rows) {
    if (row.is_bound) {
      fmt::print("{:<8}{:<6}{:<52.51}{:>12.5g}{:>12} {:<8}{:>8}{:>19}  {:<11}{}\n", row.id, row.chip, row.workload,
                 row.predicted, fmt::format("<= {:.5g}", row.published), row.unit, row.holds() ? "holds" : "BROKEN", "",
                 row.provenance, row.grade);
      continue;
    }
    fmt::print("{:<8}{:<6}{:<52.51}{:>12.5g}{:>12.5g} {:<8}{:>+7.1f}%{:>8.1f}%{:>+9.1f}%  {:<11}{}\n", row.id, row.chip,
               row.workload, row.predicted, row.published, row.unit, 100 * row.error, 100 * row.reading_error,
               100 * row.leave_one_out_error, row.provenance, row.grade);
  }
  fmt::print("beyond reading error, grades 1 and 2: mean {:.1f} %, worst {:.1f} %, left out {:.1f} %\n",
             100 * suite.mean_abs_error, 100 * suite.worst_abs_error, 100 * suite.leave_one_out_error);
}

}  // namespace

Result<int> run_validate(const ValidateOptions& options) {
  const auto names = options.suite.empty() ? validate::suite_names() : std::vector<std::string>{options.suite};
  Progress progress("validating");
  std::vector<validate::SuiteReport> suites;
  bool within = true;
  for (const std::string& name : names) {
    progress.phase("suite " + name);
    suites.push_back(TRY(validate::run_suite(name)));
    within = within && suites.back().mean_abs_error <= kMeanErrorMax;
    for (const validate::RowReport& row : suites.back().rows) within = within && row.holds();
  }
  progress.clear();
  if (options.json) {
    fmt::print("{}", json_text(suites));
  } else {
    for (const validate::SuiteReport& suite : suites) print_suite(suite);
  }
  return within ? 0 : 1;
}

}  // namespace presil::cli
