#include "report/page.h"

#include <algorithm>

#include "base/hash.h"
#include "base/json_writer.h"
#include "report/critical_path.h"
#include "report/packed.h"
#include "report/page_bundle.h"
#include "report/summary.h"

namespace presil::report {
namespace {

using Kind = trace::WhatIf::Kind;

std::string_view kind_name(Kind kind) {
  return kind == Kind::rate ? "rate" : kind == Kind::latency ? "latency" : "size";
}

void write_headline(JsonWriter& json, const trace::About& about, const Summary& s) {
  json.member("model", about.model)
      .member("cores", about.cores)
      .member("chip", about.chip)
      .member("chipFile", about.chip_file);
  json.member("specHash", hash_name(about.spec_hash)).member("traceHash", hash_name(about.trace_hash));
  json.member("precision", s.precision).member("outcome", about.outcome).member("confidence", about.confidence);
  json.member("seconds", s.seconds).member("elapsedFs", about.elapsed).member("idealSeconds", s.ideal_seconds);
  json.member("macsSeconds", s.macs_seconds).member("bytesSeconds", s.bytes_seconds);
  json.member("compulsoryBytes", about.compulsory_bytes).member("boundBy", s.bound_by);
  json.member("macs", s.macs).member("mfu", s.mfu).member("instructions", s.instructions);
  json.member("hbmReadBytes", s.hbm_read_bytes).member("hbmWriteBytes", s.hbm_write_bytes);
  json.member("hbmBoundBytesPerSecond", s.hbm_bound_bytes_per_s).member("hbmBoundFraction", s.hbm_bound_fraction);
  json.member("peakMacsPerSecond", about.peak_macs_per_s);
}

void write_lanes(JsonWriter& json, const trace::Trace& trace) {
  json.key("lanes").begin_array();
  for (size_t k = 0; k < trace.lane_list.size(); ++k) {
    const trace::Lane& lane = trace.lane_list[k];
    json.begin_object().member("name", lane.name).member("dma", lane.kind == trace::Lane::Kind::dma).end_object();
  }
  json.end_array();
}

void write_engines(JsonWriter& json, const Summary& s) {
  json.key("engines").begin_array();
  for (const EngineRow& row : s.engines) {
    json.begin_object().member("name", row.name).member("instructions", row.instructions);
    json.member("busy", row.busy_fraction).key("waits").begin_array();
    for (const auto& [cause, part] : row.waits) json.begin_array().value(cause).value(part).end_array();
    json.end_array().end_object();
  }
  json.end_array();
}

void write_layers(JsonWriter& json, const trace::About& about, const Summary& s) {
  json.key("layers").begin_array();
  for (size_t k = 0; k < s.layers.size(); ++k) {
    const LayerRow& row = s.layers[k];
    json.begin_object().member("name", row.name).member("kind", row.kind).member("seconds", row.seconds);
    json.member("share", row.share).member("macs", row.macs).member("bytes", row.bytes);
    json.member("instructions", about.layers[k].instructions).member("boundBy", row.bound_by).end_object();
  }
  json.end_array();
}

void write_path(JsonWriter& json, const trace::Trace& trace) {
  json.key("path").begin_array();
  for (const PathRow& row : path_rows(trace)) {
    json.begin_object().member("resource", row.resource).member("kind", kind_name(row.kind));
    json.member("seconds", to_seconds(row.time)).member("gainMostSeconds", to_seconds(row.gain_most)).end_object();
  }
  json.end_array();
}

void write_what_ifs(JsonWriter& json, const trace::About& about) {
  json.key("whatIfs").begin_array();
  for (const trace::WhatIf& w : about.what_ifs) {
    json.begin_object().member("resource", w.resource).member("kind", kind_name(w.kind));
    json.member("sameProgramSeconds", to_seconds(w.same_program));
    json.member("compiledSeconds", to_seconds(w.compiled_for_it)).key("changes").begin_array();
    for (const trace::WhatIf::Change& c : w.changes) {
      json.begin_object().member("section", c.section).member("key", c.key);
      json.member("before", c.before).member("after", c.after).end_object();
    }
    json.end_array().end_object();
  }
  json.end_array();
}

void write_chip(JsonWriter& json, const trace::About& about) {
  json.key("fields").begin_array();
  for (const trace::ChipField& f : about.fields) {
    json.begin_array().value(f.section).value(f.key).value(f.value).value(f.source).end_array();
  }
  json.end_array();
}

std::string run_json(const trace::Trace& trace) {
  const Summary s = summarize(trace.about);
  JsonWriter json;
  json.begin_object();
  write_headline(json, trace.about, s);
  write_lanes(json, trace);
  write_engines(json, s);
  write_layers(json, trace.about, s);
  write_path(json, trace);
  write_what_ifs(json, trace.about);
  write_chip(json, trace.about);
  json.member("notes", trace.about.chip_notes);
  return json.end_object().take();
}

// For text between tags; JSON between script tags has its '<' as an escape.
std::string escaped(const std::string& text, std::string_view lower_than) {
  std::string out;
  for (char c : text) {
    if (c == '<') {
      out += lower_than;
    } else if (c == '&' && lower_than[0] == '&') {
      out += "&amp;";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::string print_page(const trace::Trace& trace) {
  const trace::About& about = trace.about;
  const std::string title = escaped((about.model.empty() ? "run" : about.model) + " on " + about.chip, "&lt;");
  std::string html =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n<title>";
  html += title + "</title>\n<style>\n";
  html += kPageStyle;
  html += "</style>\n</head>\n<body>\n<main id=\"report\"><h1>" + title + "</h1>";
  html += "<noscript>This report needs JavaScript; it loads nothing from anywhere.</noscript></main>\n";
  html += "<script type=\"application/json\" id=\"run\">\n" + escaped(run_json(trace), "\\u003c") + "</script>\n";
  html += "<script type=\"text/plain\" id=\"packed\">" + packed_events(trace) + "</script>\n<script>\n";
  html += kPageScript;
  html += "</script>\n</body>\n</html>\n";
  return html;
}

}  // namespace presil::report
