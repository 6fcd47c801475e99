#include "base/hash.h"
#include "base/json_writer.h"
#include "report/confidence.h"
#include "runtime/host.h"
#include "runtime/run.h"

namespace presil::runtime {
namespace {

void write_outcome(JsonWriter& json, const chip::Outcome& outcome) {
  json.key("outcome").begin_object().member("kind", chip::outcome_name(outcome.kind));
  if (!outcome.ok()) {
    json.member("engine", outcome.engine).member("instruction", outcome.instruction);
    json.member("source", outcome.source).member("detail", outcome.detail);
  }
  json.end_object();
}

void write_engines(JsonWriter& json, const report::Summary& s) {
  json.key("engines").begin_object();
  for (const report::EngineRow& row : s.engines) {
    json.key(row.name).begin_object().member("instructions", row.instructions);
    json.member("busy_fraction", row.busy_fraction).member("utilization", row.utilization);
    json.key("waits").begin_object();
    for (const auto& [cause, part] : row.waits) json.member(cause, part);
    json.end_object().end_object();
  }
  json.end_object();
}

void write_cores(JsonWriter& json, const Workload& w, const system::RunResult& result) {
  json.key("per_core").begin_array();
  for (const system::CoreRun& core : result.cores) {
    const report::Summary s = report::summarize(w.executable, w.chip, result, core);
    json.begin_object().member("core", core.core).member("seconds", s.seconds);
    json.member("trace_hash", hash_name(core.trace_hash)).member("instructions", s.instructions);
    write_engines(json, s);
    json.member("hbm_read_bytes", s.hbm_read_bytes).member("hbm_write_bytes", s.hbm_write_bytes).end_object();
  }
  json.end_array();
}

void write_confidence(JsonWriter& json, const report::Confidence& c) {
  json.key("confidence").begin_object().member("level", c.level).key("suite");
  c.suite.empty() ? json.null() : json.value(c.suite);
  json.key("mean_abs_error");
  c.suite.empty() ? json.null() : json.value(c.mean_abs_error);
  json.end_object();
}

void write_layers(JsonWriter& json, const report::Summary& s) {
  json.key("layers").begin_array();
  for (const report::LayerRow& row : s.layers) {
    json.begin_object().member("name", row.name).member("kind", row.kind).member("seconds", row.seconds);
    json.member("share", row.share).member("macs", row.macs).member("bytes", row.bytes);
    json.member("bound_by", row.bound_by).end_object();
  }
  json.end_array();
}

void write_output_rows(JsonWriter& json, const std::vector<OutputRow>& outputs) {
  json.key("outputs").begin_array();
  for (const OutputRow& row : outputs) {
    json.begin_object().member("name", row.name).member("dtype", row.dtype).key("shape").begin_array();
    for (int64_t dim : row.shape) json.value(dim);
    json.end_array().key("file");
    row.file.empty() ? json.null() : json.value(row.file);
    json.end_object();
  }
  json.end_array();
}

}  // namespace

std::optional<compiler::LowerBound> lower_bound_of(const Workload& w, const report::Summary& s) {
  if (!w.graph || !w.plan) return std::nullopt;
  return compiler::lower_bound(*w.graph, *w.plan, w.chip, s.bytes_seconds);
}

std::string run_json(const Workload& w, const RunOptions& options, const Run& run,
                     const std::vector<OutputRow>& outputs) {
  const report::Summary& s = run.summary;
  JsonWriter json;
  json.begin_object().member("model", w.executable.model);
  json.key("chip").begin_object().member("name", w.chip.name).member("spec_hash", hash_name(w.executable.spec_hash));
  json.end_object()
      .member("cores", w.executable.cores)
      .member("lnc", w.executable.lnc)
      .member("precision", s.precision);
  json.key("dims").begin_object();
  for (const auto& [name, value] : w.dims) json.member(name, value);
  json.end_object().member("seed", options.seed).member("data", options.data);
  json.key("assumptions").begin_array();
  for (const auto& [node, value] : options.assume)
    json.begin_object().member("node", node).member("value", value).end_object();
  json.end_array();
  write_outcome(json, run.result.outcome);
  json.key("findings").begin_array();
  for (const chip::Finding& finding : run.result.findings) json.value(finding.text);
  json.end_array().member("trace_hash", hash_name(run.result.trace_hash)).member("seconds", s.seconds);
  json.key("cycles").begin_object();
  for (const auto& [domain, cycles] : s.cycles) json.member(domain, cycles);
  json.end_object().member("instructions", s.instructions);
  write_engines(json, s);
  json.key("hbm").begin_object().member("read_bytes", s.hbm_read_bytes).member("write_bytes", s.hbm_write_bytes);
  json.member("bound_bytes_per_second", s.hbm_bound_bytes_per_s).member("bound_fraction", s.hbm_bound_fraction);
  json.end_object().member("macs", s.macs).member("mfu", s.mfu).member("bound_by", s.bound_by);
  json.member("ideal_seconds", s.ideal_seconds).key("lower_bound");
  if (const auto bound = lower_bound_of(w, s)) {
    json.begin_object().member("seconds", bound->seconds()).member("resource", bound->resource());
    json.member("tensor_seconds", bound->tensor).member("elementwise_seconds", bound->elementwise);
    json.member("hbm_seconds", bound->hbm).end_object();
  } else {
    json.null();
  }
  write_cores(json, w, run.result);
  write_confidence(json, report::confidence_in(w.chip));
  write_layers(json, s);
  write_output_rows(json, outputs);
  json.key("host").begin_object().member("compile_seconds", w.compile_seconds);
  json.member("simulate_seconds", run.simulate_seconds).member("peak_rss_bytes", peak_rss_bytes());
  return json.end_object().end_object().take();
}

}  // namespace presil::runtime
