#include "nki/profile.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "base/json_writer.h"
#include "base/time.h"
#include "isa/slots.h"

namespace presil::nki {
namespace {

// What a multiplication in this type takes, against bf16 (profile schema reference, adjusted_hardware_flops).
double weight_of(DType moving, uint32_t generation) {
  switch (moving) {
    case DType::fp32:
      return 4;
    case DType::fp8_e4m3:
    case DType::fp8_e5m2:
    case DType::fp8_e4m3fn:
    case DType::fp8_e3m4:
      return generation < 3 ? 1 : 0.5;
    case DType::uint8:
      return 0.5;
    case DType::fp8_e4m3fn_x4:
    case DType::fp8_e5m2_x4:
    case DType::fp4_e2m1fn_x4:
      return 0.25;
    default:
      return 1;
  }
}

struct Flops {
  double all = 0, transposes = 0, adjusted = 0;
};

Flops flops_of(const isa::Program& p, const isa::Instruction& i, uint32_t generation) {
  if (i.engine != isa::EngineKind::tensor || i.operand_count == 0) return {};
  Flops f;
  if (i.opcode == isa::Opcode::nc_transpose) {  // data stays, an identity of its partitions moves
    const isa::View& data = p.operand(i, isa::slots::nc_transpose::data);
    f.all = 2.0 * static_cast<double>(data.elements()) * data.partitions;
    return {f.all, f.all, f.all * weight_of(data.dtype, generation)};
  }
  if (!isa::is_matmul(i.opcode)) return {};
  const isa::View& stationary = p.operand(i, isa::slots::nc_matmul::stationary);
  const double held = static_cast<double>(stationary.elements() * dtype_numbers(stationary.dtype));
  f.all = 2 * held * static_cast<double>(p.operand(i, isa::slots::nc_matmul::dst).elements_per_partition());
  if (i.opcode == isa::Opcode::nc_matmul && p.word(i, isa::slots::nc_matmul::is_transpose) != 0) f.transposes = f.all;
  f.adjusted = f.all * weight_of(p.operand(i, isa::slots::nc_matmul::moving).dtype, generation);
  return f;
}

class Lines {
 public:
  Lines(const isa::Executable& executable) : executable_(executable) {}

  void add(const trace::Trace& trace) {
    std::map<uint32_t, Time> ends;  // by trigger: the last byte
    for (const trace::Event& e : trace.events) {
      if (e.instruction != trace::kNoInstruction) {
        LineRow& row = row_of(e);
        ++row.executed;
        row.busy_seconds += to_seconds(e.busy_until - e.start);
      } else if (e.trigger != trace::kNoEvent) {
        Time& end = ends[e.trigger];
        end = std::max(end, e.end);
      }
    }
    for (const auto& [trigger, end] : ends) {
      const trace::Event& e = trace.events[trigger];
      row_of(e).transfer_seconds += to_seconds(end - e.start);
    }
  }

  std::vector<LineRow> sorted() const {
    std::vector<LineRow> rows;
    for (const auto& [key, row] : rows_) rows.push_back(row);
    auto time = [](const LineRow& r) { return std::max(r.busy_seconds, r.transfer_seconds); };
    std::ranges::stable_sort(rows, [&](const LineRow& a, const LineRow& b) { return time(a) > time(b); });
    return rows;
  }

 private:
  LineRow& row_of(const trace::Event& e) {
    const isa::Program& queue = executable_.queues[e.lane];
    const isa::Instruction& i = queue.code[e.instruction];
    const bool known = e.source < executable_.sources.size();
    const std::string line = known ? executable_.sources[e.source].graph_node : "";
    const std::string name(isa::row(i.opcode).name), engine(isa::engine_name(i.engine));
    return rows_.try_emplace({line, name, engine}, LineRow{.line = line, .instruction = name, .engine = engine})
        .first->second;
  }

  const isa::Executable& executable_;
  std::map<std::tuple<std::string, std::string, std::string>, LineRow> rows_;
};

void add_flops(const runtime::Workload& w, const trace::Trace& trace, Profile& profile) {
  for (const trace::Event& e : trace.events) {
    if (e.instruction == trace::kNoInstruction) continue;
    const isa::Program& queue = w.executable.queues[e.lane];
    const Flops f = flops_of(queue, queue.code[e.instruction], w.chip.generation);
    profile.hardware_flops += f.all;
    profile.transpose_flops += f.transposes;
    profile.adjusted_flops += f.adjusted;
  }
}

void add_dma(const spec::ChipSpec& chip, const chip::Counters& counters, Profile& profile) {
  Time active = 0, all = 0;
  for (const chip::DmaCounters& engine : counters.dma) {
    profile.dma_bytes += engine.bytes;
    active += engine.busy + engine.waiting;
    all += engine.busy + engine.waiting + engine.idle;
  }
  if (active == 0) return;
  profile.dma_active_fraction = static_cast<double>(active) / static_cast<double>(all);
  profile.dma_efficiency =
      static_cast<double>(profile.dma_bytes) / (to_seconds(active) * static_cast<double>(chip.dma.engine_bytes_per_s));
}

}  // namespace

Profile profile(const runtime::Workload& w, const runtime::Run& run, const trace::Trace& trace) {
  Profile p;
  Lines lines(w.executable);
  lines.add(trace);
  p.lines = lines.sorted();
  add_flops(w, trace, p);
  add_dma(w.chip, run.result.counters, p);
  const double elapsed = to_seconds(run.result.elapsed);
  if (elapsed == 0) return p;
  const spec::TensorSpec& t = w.chip.tensor;
  const double array = 2.0 * t.rows * t.columns * static_cast<double>(t.clock_hz) * t.count * w.executable.lnc;
  p.hfu = p.hardware_flops / (array * elapsed);
  const auto bytes = static_cast<double>(run.summary.hbm_read_bytes + run.summary.hbm_write_bytes);
  p.mbu = bytes / (elapsed * static_cast<double>(w.chip.hbm.bytes_per_s));
  return p;
}

std::string profile_json(const runtime::Workload& w, const runtime::Run& run, const trace::Trace& trace) {
  const Profile p = profile(w, run, trace);
  JsonWriter json;
  json.begin_object().member("hardware_flops", p.hardware_flops).member("transpose_flops", p.transpose_flops);
  json.member("adjusted_flops", p.adjusted_flops).member("hfu", p.hfu).member("mbu", p.mbu);
  json.member("dma_bytes", p.dma_bytes).member("dma_active_fraction", p.dma_active_fraction);
  json.member("dma_efficiency", p.dma_efficiency).key("memories").begin_array();
  for (const trace::Residency& r : trace.about.memories) {
    json.begin_object().member("memory", r.memory).member("peak_bytes", r.peak_bytes);
    json.member("capacity_bytes", r.capacity_bytes).end_object();
  }
  json.end_array().key("lines").begin_array();
  for (const LineRow& row : p.lines) {
    json.begin_object().member("line", row.line).member("instruction", row.instruction).member("engine", row.engine);
    json.member("executed", row.executed).member("busy_seconds", row.busy_seconds);
    json.member("transfer_seconds", row.transfer_seconds).end_object();
  }
  return json.end_array().end_object().take();
}

}  // namespace presil::nki
