#include "report/run_document.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "base/text.h"
#include "report/critical_path.h"

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

Section headline(const isa::Executable& executable, const Summary& s) {
  Section section{.heading = "Result", .paragraphs = {}, .table = {{"quantity", "value"}, {}}};
  auto& rows = section.table.rows;
  rows.push_back({"chip", fmt::format("{} (spec {})", executable.chip, hash_name(executable.spec_hash))});
  rows.push_back({"precision", s.precision});
  rows.push_back({"time on one core", seconds_text(s.seconds)});
  rows.push_back({"ideal time (peak macs, compulsory bytes)", seconds_text(s.ideal_seconds)});
  rows.push_back({"bound by", s.bound_by});
  rows.push_back({"useful macs", fmt::format("{:.3f} G", static_cast<double>(s.macs) * 1e-9)});
  rows.push_back({"model macs utilization (mfu)", percent(s.mfu)});
  rows.push_back({"instructions", fmt::format("{}", s.instructions)});
  rows.push_back({"HBM read, written", bytes_text(s.hbm_read_bytes) + ", " + bytes_text(s.hbm_write_bytes)});
  rows.push_back({"HBM bound reached", percent(s.hbm_bound_fraction)});
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
      .paragraphs = {"The chain of events that decided the time. A resource twice as fast gains at most half "
                     "of the time for which it works on this chain."},
      .table = {{"resource", "works", "latency behind it", "twice as fast gains at most"}, {}}};
  for (const PathRow& row : path_rows(trace)) {
    const double works = to_seconds(row.busy) / seconds;
    section.table.rows.push_back(
        {row.resource, percent(works), percent(to_seconds(row.latency) / seconds), percent(works / 2)});
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

Document run_document(const isa::Executable& executable, const Summary& summary, const trace::Trace& trace) {
  return {.title = fmt::format("{} on {}", executable.model, executable.chip),
          .sections = {headline(executable, summary), engines(summary), path(trace, summary.seconds), layers(summary)}};
}

}  // namespace presil::report
