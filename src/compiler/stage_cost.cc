#include "compiler/stage_cost.h"

#include <algorithm>

#include "compiler/stages.h"
#include "compiler/steps.h"

namespace presil::compiler {
namespace {

using graph::Graph;
using graph::Op;
using graph::TensorId;

// Share of the less busy resources' time that does not hide behind the busiest one.
constexpr double kExposed = 0.25;
// Passes of an engine over the elements of a step that is not a matmul: a resize or pooling takes several.
constexpr double kPasses = 3;

double groups(int64_t channels, int64_t lanes) { return static_cast<double>((channels + lanes - 1) / lanes); }

struct Busy {
  double tensor = 0, vector = 0, hbm = 0;  // seconds
  double together() const {
    double most = std::max({tensor, vector, hbm});
    return most + kExposed * (tensor + vector + hbm - most);
  }
};

// One row of a step's result, of one image.
Busy row_of(const Graph& graph, const spec::ChipSpec& spec, const Plan& plan, const Step& step) {
  const graph::Node& node = graph.nodes[step.anchor];
  const graph::Shape& out = graph.at(step.output).shape;
  auto elements = static_cast<double>(out[3]) * groups(out[1], spec.sbuf.partitions);
  Busy busy;
  bool product = step.kind == StepKind::conv || step.kind == StepKind::packed_conv;
  if (product) {
    const graph::Shape& w = graph.at(node.inputs[1]).shape;
    double taps = step.kind == StepKind::conv ? static_cast<double>(w[2] * w[3]) : 1;
    double passes = value_dtype(graph, plan, node.inputs[0]) == DType::fp32 ? spec.tensor.fp32_passes : 1;
    double inputs = groups(w[1] * node.attrs.group, spec.tensor.rows);
    busy.tensor = static_cast<double>(out[3]) * groups(out[1], spec.tensor.columns) * inputs * taps * passes /
                  static_cast<double>(spec.tensor.clock_hz);
  }
  busy.vector = elements * (product ? 1 : kPasses) / static_cast<double>(spec.vector.clock_hz + spec.scalar.clock_hz);
  return busy;
}

double row_bytes(const Graph& graph, const Plan& plan, TensorId t) {
  const graph::Shape& s = graph.at(t).shape;
  return static_cast<double>(s[1] * s[3]) * static_cast<double>(dtype_bytes(value_dtype(graph, plan, t)));
}

}  // namespace

double stage_seconds(const Graph& graph, const spec::ChipSpec& spec, const Plan& plan, const Stage& stage,
                     const std::function<bool(TensorId)>& in_hbm) {
  // The band in the middle stands for all.
  BandRows rows = band_rows(graph, plan, stage, stage.bands / 2);
  auto size = [](const Rows& r) { return static_cast<double>(r.end - r.begin); };
  double rate = std::min(static_cast<double>(spec.hbm.bytes_per_s),
                         static_cast<double>(spec.dma.engine_bytes_per_s) * spec.dma.engines);
  std::vector<bool> seen(graph.tensors.size(), false);
  Busy band;
  for (uint32_t s = stage.first; s < stage.last; ++s) seen[plan.steps[s].output.value] = true;
  for (uint32_t s = stage.first; s < stage.last; ++s) {
    const Step& step = plan.steps[s];
    for (TensorId t : inputs_of(graph, step)) {
      if (seen[t.value] || graph.at(t).constant || graph.at(t).shape.size() != 4 || !in_hbm(t)) continue;
      seen[t.value] = true;
      band.hbm += size(rows.needed[t.value]) * row_bytes(graph, plan, t) / rate;
    }
    if (graph.at(step.output).shape.size() != 4 || step.kind == StepKind::reduce) continue;
    double count = size(rows.needed[step.output.value]);
    Busy row = row_of(graph, spec, plan, step);
    band.tensor += count * row.tensor, band.vector += count * row.vector;
    if (in_hbm(step.output))
      band.hbm += size(rows.owned[step.output.value]) * row_bytes(graph, plan, step.output) / rate;
  }
  auto images = static_cast<double>(graph.at(plan.steps[stage.first].output).shape[0]);
  return band.together() * stage.bands * images;
}

}  // namespace presil::compiler
