#include "compiler/compile.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "compiler/emit.h"
#include "compiler/stages.h"
#include "compiler/steps.h"
#include "graph/raise_scalars.h"
#include "graph/simplify.h"
#include "timing/cost.h"

namespace presil::compiler {
namespace {

Result<std::string> resolve_precision(const std::string& precision) {
  static const std::vector<std::string> names = {"auto", "fp32", "bf16", "fp16"};
  if (std::find(names.begin(), names.end(), precision) == names.end()) {
    return bad_input("precision '" + precision + "' is not one of auto, fp32, bf16, fp16", "--precision",
                     nearest_hint(precision, names));
  }
  return precision;
}

void choose_blockings(const graph::Graph& graph, const spec::ChipSpec& spec, Plan& plan) {
  for (Step& step : plan.steps) {
    if (step.kind != StepKind::gemm) continue;
    const graph::Node& node = graph.nodes[step.anchor];
    const graph::Shape& a = graph.at(node.inputs[0]).shape;
    step.blocking = kernels::gemm_blocking(spec, a[0], graph.at(node.inputs[1]).shape[1], a[1],
                                           value_dtype(graph, plan, node.inputs[0]));
  }
}

// Busy time of the busiest engine per layer, which are the steps in order.
void estimate(const tile::TileProgram& program, const spec::ChipSpec& spec, Plan& plan) {
  std::vector<std::array<Time, isa::kEngineKindCount>> busy(program.layers.size());
  for (const isa::Instruction& i : program.code.code) {
    if (isa::is_dma(i.opcode) || i.source == isa::kNoSource) continue;
    busy[program.sources[i.source].layer][static_cast<size_t>(i.engine)] +=
        timing::cost(program.code, i, spec).occupancy;
  }
  for (size_t s = 0; s < plan.steps.size() && s < busy.size(); ++s)
    plan.steps[s].estimate_seconds = to_seconds(*std::max_element(busy[s].begin(), busy[s].end()));
}

}  // namespace

Result<Plan> make_plan(const graph::Graph& graph, const spec::ChipSpec& spec, const Options& options) {
  Plan plan{.model = graph.name, .chip = spec.name, .spec_hash = spec::spec_hash(spec)};
  plan.precision = TRY(resolve_precision(options.precision));
  plan.steps = TRY(make_steps(graph, spec));
  choose_dtypes(graph, plan);
  choose_blockings(graph, spec, plan);
  TRY(plan_stages(graph, spec, plan));
  return plan;
}

Result<Compilation> compile(graph::Graph graph, const spec::ChipSpec& spec, const Options& options) {
  graph = TRY(graph::raise_scalars(TRY(graph::simplify(std::move(graph)))));
  TRY(go_on_unless(options.cancel));
  Plan plan = TRY(make_plan(graph, spec, options));
  TRY(go_on_unless(options.cancel));
  tile::TileProgram program = TRY(emit(graph, plan, spec));
  TRY(go_on_unless(options.cancel));
  estimate(program, spec, plan);
  isa::Executable executable = TRY(backend::lower(std::move(program), spec, {.cancel = options.cancel}));
  return Compilation{std::move(graph), std::move(plan), std::move(executable)};
}

}  // namespace presil::compiler
