#include "validate/suite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "spec/fields.h"
#include "validate/rows.h"

namespace presil::validate {
namespace {

std::string read(const std::string& path) {
  std::ifstream in(path);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

const SuiteReport& core() {
  static const SuiteReport report = *run_suite("core");
  return report;
}

TEST(Suite, NoRowIsHidden) {
  std::vector<std::string> ids;
  for (const RowReport& r : core().rows) ids.push_back(r.id);
  EXPECT_THAT(ids,
              testing::ElementsAre("I09", "I10", "I11", "I13", "I15", "I16", "I17", "I19", "I19D", "I22", "I23", "I28",
                                   "I30", "I32", "I38", "D02", "D05", "D07", "D09", "K02", "K02P", "K05", "K07"));
}

// What the model promises (10 %) and what it has reached; a change that makes rows worse must say so here.
TEST(Suite, ErrorsAreSmall) {
  EXPECT_LT(core().mean_abs_error, 0.01);
  EXPECT_LT(core().worst_abs_error, 0.035);
  EXPECT_GE(core().worst_abs_error, core().mean_abs_error);
  for (const RowReport& r : core().rows) EXPECT_LT(std::fabs(r.error), 0.035) << r.id;
}

// Of the rows that no parameter was fitted to.
TEST(Suite, DerivedRows) {
  std::map<std::string, double> derived;
  for (const RowReport& r : core().rows) {
    EXPECT_EQ(r.provenance, r.fitted_parameters.empty() ? "derived" : "calibrated") << r.id;
    if (r.provenance != "derived") continue;
    derived[r.id] = r.error;
    EXPECT_EQ(r.leave_one_out_error, r.error) << r.id;
  }
  ASSERT_EQ(derived.size(), 3u);
  EXPECT_NEAR(derived["K02"], -0.003, 0.002);
  EXPECT_NEAR(derived["D09"], 0.017, 0.003);
  EXPECT_NEAR(derived["I38"], -0.011, 0.003);
}

// With every other row in place, what remains of a parameter's rows predicts the one left out; without any, nothing
// does.
TEST(Suite, LeftOutRows) {
  for (const RowReport& r : core().rows) {
    const bool alone = r.left_out_by == "stand-in";
    EXPECT_EQ(r.left_out_by == "not fitted", r.provenance == "derived") << r.id;
    EXPECT_TRUE(alone || std::fabs(r.leave_one_out_error) < 0.25) << r.id;
    EXPECT_TRUE(!alone || std::fabs(r.leave_one_out_error) > std::fabs(r.error)) << r.id;
  }
}

TEST(Suite, SummaryIsOfGradesOneAndTwoBeyondReading) {
  double sum = 0, left_out = 0;
  int n = 0;
  for (const RowReport& r : core().rows) {
    EXPECT_NEAR(r.error, r.predicted / r.published - 1, 1e-12);
    if (r.grade > 2) continue;
    ++n;
    sum += std::max(0.0, std::fabs(r.error) - r.reading_error);
    left_out += std::max(0.0, std::fabs(r.leave_one_out_error) - r.reading_error);
  }
  EXPECT_EQ(n, 22);
  EXPECT_NEAR(core().mean_abs_error, sum / n, 1e-12);
  EXPECT_NEAR(core().leave_one_out_error, left_out / n, 1e-12);
}

// The values in the chip files are what the rows ask for, up to rounding.
TEST(Suite, FittedParametersAreFits) {
  const Chips chips = bundled_chips();
  for (const Parameter& p : core_parameters()) {
    const spec::Field& field = *spec::find_field(p.field);
    const Chips best = refitted(p, p.rows, chips);
    for (const std::string_view chip : p.chips) {
      const double in_file = static_cast<double>(field.get(chips.named(chip)));
      EXPECT_NEAR(in_file, static_cast<double>(field.get(best.named(chip))), 0.006 * in_file) << p.field << " " << chip;
    }
    EXPECT_EQ(p.rows.size() == 1, p.without != nullptr) << p.field;
  }
}

// From a wrong start the fit comes back.
TEST(Suite, FitsConverge) {
  const Chips chips = bundled_chips();
  Chips wrong = chips;
  wrong.trn2.dma.transfer_floor *= 2;
  for (const Parameter& p : core_parameters()) {
    if (p.field != "dma.transfer_floor") continue;
    const double right = static_cast<double>(refitted(p, p.rows, chips).trn2.dma.transfer_floor);
    EXPECT_NEAR(static_cast<double>(refitted(p, p.rows, wrong).trn2.dma.transfer_floor), right, 0.01 * right);
  }
}

// "section.key" -> rows, of the lines "key = value  # fitted: rows".
std::map<std::string, std::string> fits_in_file(const std::string& chip) {
  std::map<std::string, std::string> out;
  std::istringstream in(read(std::string(PRESIL_SOURCE_DIR) + "/specs/chips/" + chip + ".toml"));
  const std::string mark = "# fitted: ";
  std::string section;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("[")) section = line.substr(1, line.find(']') - 1);
    if (line.starts_with("#") || line.find(mark) == std::string::npos) continue;
    out[section + "." + line.substr(0, line.find(' '))] = line.substr(line.find(mark) + mark.size());
  }
  return out;
}

// `# fitted: ROWS` in a chip file and the table of parameters say the same.
TEST(Suite, ChipFilesNameTheRowsOfTheirFits) {
  for (const std::string chip : {"trn1", "trn2"}) {
    std::map<std::string, std::string> in_table;
    for (const ParameterReport& p : core().parameters) {
      if (std::find(p.chips.begin(), p.chips.end(), chip) == p.chips.end()) continue;
      for (const std::string& row : p.rows) in_table[p.name] += (in_table[p.name].empty() ? "" : " ") + row;
    }
    EXPECT_EQ(fits_in_file(chip), in_table) << chip;
  }
}

const SuiteReport& kernels() {
  static const SuiteReport report = *run_suite("kernels");
  return report;
}

// No parameter is fitted to whole kernels: tight where the model reaches it, on both sides.
TEST(Suite, Kernels) {
  std::map<std::string, double> errors;
  int bounds = 0;
  for (const RowReport& r : kernels().rows) {
    EXPECT_EQ(r.provenance, "derived") << r.id;
    EXPECT_TRUE(r.holds()) << r.id;
    bounds += r.is_bound;
    if (!r.is_bound) errors[r.id] = r.error;
  }
  EXPECT_EQ(bounds, 7);
  ASSERT_EQ(errors.size(), 6u);
  EXPECT_NEAR(errors["K09"], -0.007, 0.003);
  EXPECT_NEAR(errors["K16"], -0.089, 0.003);
  EXPECT_NEAR(errors["K20"], -0.123, 0.003);
  EXPECT_NEAR(errors["K24"], -0.025, 0.003);
  EXPECT_NEAR(errors["K27"], -0.030, 0.003);
  EXPECT_NEAR(errors["K30"], -0.038, 0.003);
  EXPECT_LT(kernels().mean_abs_error, 0.05);
}

TEST(Suite, UnknownNameIsAnError) {
  EXPECT_EQ(run_suite("cor").error().text(), "unknown suite 'cor'; known: core kernels (did you mean 'core'?)");
}

// docs/model.md holds the tables; PRESIL_UPDATE=1 writes them.
std::string with_table(std::string page, const std::string& name, const std::string& table) {
  const std::string begin = "<!-- " + name + ": generated by validate_test -->\n", end = "<!-- end -->";
  const size_t from = page.find(begin) + begin.size(), to = page.find(end, from);
  return page.substr(0, from) + table + page.substr(to);
}

TEST(Suite, ModelPageIsUpToDate) {
  const std::string path = std::string(PRESIL_SOURCE_DIR) + "/docs/model.md", page = read(path);
  std::string wanted = with_table(page, "rows", rows_markdown(core()));
  wanted = with_table(wanted, "kernels", rows_markdown(kernels()));
  wanted = with_table(wanted, "parameters", parameters_markdown(core()));
  wanted = with_table(wanted, "contradictions", contradictions_markdown());
  if (std::getenv("PRESIL_UPDATE") != nullptr) std::ofstream(path) << wanted;
  EXPECT_EQ(read(path), wanted);
}

}  // namespace
}  // namespace presil::validate
