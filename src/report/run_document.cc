#include "report/run_document.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "base/text.h"
#include "report/critical_path.h"
#include "report/summary.h"
#include "report/what_if.h"

namespace presil::report {
namespace {

std::string percent(double fraction) { return fmt::format("{:.1f} %", 100 * fraction); }

std::string waits_text(const EngineRow& row) {
  auto waits = row.waits;
  std::ranges::stable_sort(waits, std::ranges::greater(), &std::pair<std::string, double>::second);
  std::string text;
  for (const auto& [cause, part] : waits) {
    if (part >= 0.0005) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", cause, percent(part));
  }
  return text;
}

Section headline(const trace::About& about, const Summary& s) {
  Section section{.heading = "Result", .paragraphs = {}, .table = {{"quantity", "value"}, {}}};
  auto& rows = section.table.rows;
  if (!about.outcome.empty()) rows.push_back({"outcome", about.outcome});
  rows.push_back({"chip", fmt::format("{} (spec {})", about.chip, hash_name(about.spec_hash))});
  rows.push_back({"precision", s.precision});
  rows.push_back({"time on one core", seconds_text(s.seconds)});
  rows.push_back({"ideal time (peak macs, compulsory bytes)", seconds_text(s.ideal_seconds)});
  rows.push_back({"bound by", s.bound_by});
  if (!about.confidence.empty()) rows.push_back({"confidence", about.confidence});
  rows.push_back({"useful macs", fmt::format("{:.3f} G", static_cast<double>(s.macs) * 1e-9)});
  rows.push_back({"model macs utilization (mfu)", percent(s.mfu)});
  rows.push_back({"instructions", fmt::format("{}", s.instructions)});
  rows.push_back({"HBM read, written", bytes_text(s.hbm_read_bytes) + ", " + bytes_text(s.hbm_write_bytes)});
  rows.push_back({"HBM bound reached", percent(s.hbm_bound_fraction)});
  return section;
}

// "double vector.clock: 0.96 GHz to 1.92 GHz"
std::string change_text(const trace::WhatIf& w) {
  std::string text;
  for (const trace::WhatIf::Change& c : w.changes) {
    text += fmt::format("{}{}.{} = {}", text.empty() ? "" : ", ", c.section, c.key, c.after);
  }
  return text;
}

Section what_to_change(const trace::About& about) {
  Section section{.heading = "What to change",
                  .paragraphs = {"One resource at a time, twice as good, and the time that the run takes then."},
                  .table = {{"resource", "in the chip file", "same program", "compiled for it", "gain"}, {}}};
  std::vector<trace::WhatIf> rows = about.what_ifs;
  std::ranges::stable_sort(rows, {}, predicted);
  for (const trace::WhatIf& w : rows) {
    const Time time = predicted(w);
    if (time == 0) continue;
    auto text = [](Time t) { return t == 0 ? std::string("-") : seconds_text(to_seconds(t)); };
    section.table.rows.push_back({w.resource, change_text(w), text(w.same_program), text(w.compiled_for_it),
                                  percent(1 - static_cast<double>(time) / static_cast<double>(about.elapsed))});
  }
  return section;
}

Section engines(const Summary& s) {
  Section section{
      .heading = "Engines", .paragraphs = {}, .table = {{"engine", "instructions", "busy", "waits for"}, {}}};
  for (const EngineRow& row : s.engines) {
    section.table.rows.push_back(
        {row.name, fmt::format("{}", row.instructions), percent(row.busy_fraction), waits_text(row)});
  }
  return section;
}

Section path(const trace::Trace& trace, double seconds) {
  Section section{
      .heading = "Critical path",
      .paragraphs = {"The chain of events that decided the time, by what they spend it on. If that were twice as fast, "
                     "this program would gain at most what the last column says."},
      .table = {{"resource", "part", "time", "twice as fast gains at most"}, {}}};
  for (const PathRow& row : path_rows(trace)) {
    section.table.rows.push_back({row.resource, row.kind == trace::WhatIf::Kind::rate ? "work" : "latency",
                                  percent(to_seconds(row.time) / seconds),
                                  percent(to_seconds(row.gain_most) / seconds)});
  }
  return section;
}

Section layers(const Summary& s) {
  Section section{
      .heading = "Layers",
      .paragraphs = {"Longest first. Each instant belongs to one layer, so that the times sum to the run's."},
      .table = {{"layer", "kind", "time", "share", "macs", "HBM bytes", "bound by"}, {}}};
  std::vector<LayerRow> rows = s.layers;
  std::ranges::stable_sort(rows, std::ranges::greater(), &LayerRow::seconds);
  for (const LayerRow& row : rows) {
    section.table.rows.push_back({row.name, row.kind, seconds_text(row.seconds), percent(row.share),
                                  fmt::format("{:.3f} M", static_cast<double>(row.macs) * 1e-6), bytes_text(row.bytes),
                                  row.bound_by});
  }
  return section;
}

}  // namespace

Document run_document(const trace::Trace& trace) {
  const trace::About& about = trace.about;
  const Summary s = summarize(about);
  return {.title = fmt::format("{} on {}", about.model, about.chip),
          .sections = {headline(about, s), what_to_change(about), engines(s), path(trace, s.seconds), layers(s)}};
}

}  // namespace presil::report
