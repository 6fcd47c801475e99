#include "compiler/compile.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "backend/link.h"
#include "base/text.h"
#include "compiler/emit.h"
#include "compiler/stages.h"
#include "compiler/steps.h"
#include "graph/raise_scalars.h"
#include "graph/simplify.h"
#include "graph/split_columns.h"
#include "graph/split_control.h"
#include "isa/rules.h"
#include "isa/slots.h"
#include "timing/cost.h"

namespace presil::compiler {
namespace {

Result<std::string> resolve_precision(const std::string& precision) {
  static const std::vector<std::string> names = {"auto", "fp32", "tf32", "bf16", "fp16"};
  if (precision == "fp8" || precision == "mxfp8") {
    return bad_input(
        fmt::format("'{}' needs {}, which a compiled graph does not have", precision,
                    precision == "fp8" ? "a scale for every activation, known before the run"
                                       : "activations with four numbers of the common dimension side by side"),
        "--precision", fmt::format("presil bench gemm --precision {} runs one product in it", precision));
  }
  if (std::find(names.begin(), names.end(), precision) == names.end()) {
    return bad_input(fmt::format("precision '{}' is not one of {}", precision, fmt::join(names, ", ")), "--precision",
                     nearest_hint(precision, names));
  }
  return precision;
}

void choose_blockings(const graph::Graph& graph, const spec::ChipSpec& spec, Plan& plan) {
  for (Step& step : plan.steps) {
    if (step.kind != StepKind::gemm) continue;
    const graph::Node& node = graph.nodes[step.anchor];
    const graph::Shape& a = graph.at(node.inputs[0]).shape;
    step.blocking =
        kernels::gemm_blocking(spec, a[0], graph.at(node.inputs[1]).shape[1], a[1],
                               plan.precision == "tf32" ? DType::tf32 : value_dtype(graph, plan, node.inputs[0]));
  }
}

// Steps whose products take the precision that was asked for; sums and resizes on the array keep fp32.
bool multiplies(std::string_view kind) {
  for (StepKind k : {StepKind::conv, StepKind::packed_conv, StepKind::conv_transpose, StepKind::linear,
                     StepKind::matmul, StepKind::gemm, StepKind::attention, StepKind::unfold}) {
    if (kind == step_kind_name(k)) return true;
  }
  return false;
}

// The array reads fp32 operands as tf32, which rounds them; memory holds fp32. Transposes keep their bits.
void multiply_in_tf32(tile::TileProgram& program) {
  namespace slot = isa::slots::nc_matmul;
  for (const isa::Instruction& i : program.code.code) {
    if (i.opcode != isa::Opcode::nc_matmul || program.code.word(i, slot::is_transpose) != 0) continue;
    if (i.source == isa::kNoSource || !multiplies(program.layers[program.sources[i.source].layer].kind)) continue;
    const std::span<isa::View> views = program.code.operands(i);
    if (views[slot::stationary].dtype != DType::fp32 || views[slot::moving].dtype != DType::fp32) continue;
    views[slot::stationary].dtype = views[slot::moving].dtype = DType::tf32;
  }
}

// Busy time of the busiest engines per layer, which are the steps in order.
void estimate(const tile::TileProgram& program, const spec::ChipSpec& spec, Plan& plan) {
  std::vector<std::array<Time, isa::kEngineKindCount>> busy(program.layers.size());
  for (const isa::Instruction& i : program.code.code) {
    if (isa::is_dma(i.opcode) || i.source == isa::kNoSource) continue;
    busy[program.sources[i.source].layer][static_cast<size_t>(i.engine)] +=
        timing::cost(program.code, i, spec).occupancy / isa::engine_spec(spec, i.engine).count;
  }
  for (size_t s = 0; s < plan.steps.size() && s < busy.size(); ++s)
    plan.steps[s].estimate_seconds = to_seconds(*std::max_element(busy[s].begin(), busy[s].end()));
}

// Bytes that all transfers of a program move to and from HBM.
uint64_t traffic_bytes(const isa::Executable& executable) {
  uint64_t bytes = 0;
  for (const isa::Program& queue : executable.queues) {
    std::vector<uint64_t> times(queue.code.size(), 1);
    for (const isa::Repeat& r : queue.repeats) {
      for (uint32_t pc = r.first; pc < r.last; ++pc) times[pc] *= r.count;
    }
    for (uint32_t pc = 0; pc < queue.code.size(); ++pc) {
      const isa::Instruction& i = queue.code[pc];
      if (!isa::is_dma(i.opcode)) continue;
      const isa::View &dst = queue.operand(i, isa::slots::dma_copy::dst),
                      &src = queue.operand(i, isa::slots::dma_copy::src);
      CHECK(i.opcode != isa::Opcode::dma_compute, "the compiler sums on engines");
      const uint64_t read = isa::moved(queue, i, isa::slots::dma_copy::src).bytes();
      bytes += times[pc] *
               ((dst.memory == isa::Memory::hbm ? dst.bytes() : 0) + (src.memory == isa::Memory::hbm ? read : 0));
    }
  }
  return bytes;
}

struct Attempt {
  Compilation compilation;
  double busy_seconds = 0, traffic_seconds = 0;
  bool spills = false;

  double seconds() const { return std::max(busy_seconds, traffic_seconds); }
  // What is brought back from HBM takes longer than all computing.
  bool thrashes() const { return spills && traffic_seconds > busy_seconds; }
};

Result<Attempt> attempt(graph::Graph graph, const spec::ChipSpec& spec, const Options& options) {
  Plan plan = TRY(make_plan(graph, spec, options));
  TRY(go_on_unless(options.cancel));
  tile::TileProgram program = TRY(emit(graph, plan, spec));
  if (plan.precision == "tf32") multiply_in_tf32(program);
  TRY(go_on_unless(options.cancel));
  estimate(program, spec, plan);
  backend::Statistics statistics;
  isa::Executable executable = TRY(backend::lower(
      std::move(program), spec, {.semaphores_max = options.semaphores_max, .cancel = options.cancel}, &statistics));
  Attempt out;
  for (const Step& step : plan.steps) out.busy_seconds += step.estimate_seconds;
  const uint64_t rate = std::min(spec.hbm.bytes_per_s, spec.dma.engines * spec.dma.engine_bytes_per_s);
  out.traffic_seconds = static_cast<double>(traffic_bytes(executable)) / static_cast<double>(rate);
  out.spills = statistics.spills.saved + statistics.spills.restored + statistics.spills.reloaded > 0;
  out.compilation = {std::move(graph), std::move(plan), std::move(executable)};
  return out;
}

// The graph of one core and how many run it.
struct Share {
  graph::Graph graph;
  uint32_t cores = 1;
  std::vector<int> input_axes, output_axes;  // where parts lie side by side
  std::vector<graph::Graph> others;          // of the cores after the first, where their constants differ
};

// About: products at full speed, or everything through HBM once.
double rough_seconds(const graph::Graph& graph, const spec::ChipSpec& spec) {
  std::vector<bool> used(graph.tensors.size());
  for (const graph::Node& node : graph.nodes) {
    for (graph::TensorId t : node.inputs) {
      if (t.valid() && graph.at(t).constant) used[t.value] = true;
    }
  }
  for (graph::TensorId t : graph.inputs) used[t.value] = true;
  for (graph::TensorId t : graph.outputs) used[t.value] = true;
  double bytes = 0;
  for (size_t t = 0; t < used.size(); ++t) {
    if (used[t]) bytes += static_cast<double>(graph::element_count(graph.tensors[t].shape));
  }
  bytes *= 2;  // as half precision
  const auto peak = static_cast<double>(spec.tensor.rows * spec.tensor.columns * spec.tensor.count) *
                    static_cast<double>(spec.tensor.clock_hz);
  return std::max(static_cast<double>(macs_of(graph)) / peak, bytes / static_cast<double>(spec.hbm.bytes_per_s));
}

// The columns of the outputs over cores, if that spares each of them a good part of the work.
Result<std::optional<Share>> column_share(const graph::Graph& graph, const spec::ChipSpec& spec, int64_t cores) {
  constexpr double kWorthwhile = 0.75;  // of the time of the whole
  std::optional<graph::BatchPart> first =
      graph::has_choices(graph) ? std::nullopt : graph::column_part(graph, cores, 0);
  if (!first) return std::optional<Share>();
  Share share{TRY(graph::simplify(std::move(first->graph))), static_cast<uint32_t>(cores), first->input_axes,
              first->output_axes};
  if (rough_seconds(share.graph, spec) > kWorthwhile * rough_seconds(graph, spec)) return std::optional<Share>();
  const std::string nodes = graph::print(share.graph);
  for (int64_t part = 1; part < cores; ++part) {
    graph::Graph other = TRY(graph::simplify(std::move(graph::column_part(graph, cores, part)->graph)));
    // Values of small constants may have decided something.
    if (graph::print(other) != nodes) return std::optional<Share>();
    share.others.push_back(std::move(other));
  }
  return std::optional<Share>(std::move(share));
}

Result<Share> share_of(graph::Graph graph, const spec::ChipSpec& spec, uint32_t asked) {
  if (asked > spec.cores) {
    return bad_input(fmt::format("{} cores asked for, chip '{}' has {}", asked, spec.name, spec.cores), "--cores");
  }
  for (int64_t cores = asked == 0 ? spec.cores : asked; cores > 1; --cores) {
    std::optional<Share> columns = TRY(column_share(graph, spec, cores));
    std::optional<graph::BatchPart> part = graph::batch_part(graph, cores);
    const bool batch = part && (!columns || rough_seconds(part->graph, spec) <= rough_seconds(columns->graph, spec));
    if (!batch && columns) return std::move(*columns);
    if (!part) continue;
    return Share{TRY(graph::simplify(std::move(part->graph))), static_cast<uint32_t>(cores), part->input_axes,
                 part->output_axes};
  }
  return Share{std::move(graph), 1, {}, {}};
}

// Marks inputs and outputs as parts of the whole.
void split_tensors(const Share& share, Compilation& c) {
  c.executable.cores = share.cores;
  if (c.plan) c.plan->cores = share.cores;
  auto mark = [&](isa::TensorRole role, const std::vector<graph::TensorId>& tensors, const std::vector<int>& axes) {
    for (isa::HbmTensor& t : c.executable.tensors) {
      for (size_t n = 0; n < tensors.size() && t.role == role; ++n) {
        const bool split = share.graph.at(tensors[n]).name == t.name && axes[n] != graph::BatchPart::kWhole;
        if (split) t.split_axis = axes[n];
      }
    }
  };
  mark(isa::TensorRole::input, share.graph.inputs, share.input_axes);
  mark(isa::TensorRole::output, share.graph.outputs, share.output_axes);
}

// Puts the constants of another core behind those that are known already, where they differ from the first one's.
void add_constants(isa::Executable& all, const isa::Executable& other, size_t part) {
  CHECK(all.queues == other.queues && all.tensors.size() == other.tensors.size(), "parts of columns compile alike");
  for (size_t n = 0; n < all.tensors.size(); ++n) {
    isa::HbmTensor& to = all.tensors[n];
    const isa::HbmTensor& from = other.tensors[n];
    if (to.role != isa::TensorRole::constant || to.data.empty()) continue;
    CHECK(from.data.size() == to.bytes, "parts of columns have equal constants");
    if (to.split_axis == isa::HbmTensor::kNotSplit) {
      if (from.data == to.data) continue;
      CHECK(!to.shape.empty(), "a part of a constant has columns");
      to.split_axis = 0;
      const std::vector<std::byte> first = to.data;
      for (size_t p = 1; p < part; ++p) to.data.insert(to.data.end(), first.begin(), first.end());
    }
    to.data.insert(to.data.end(), from.data.begin(), from.data.end());
  }
}

bool has_data(const isa::Executable& executable) {
  return std::ranges::any_of(executable.tensors, [](const isa::HbmTensor& t) {
    return t.role == isa::TensorRole::constant && !t.data.empty();
  });
}

// The whole of it on one core: at once, or, where it does not fit, the batch in parts one after the other.
Result<Compilation> compile_core(const graph::Graph& graph, const spec::ChipSpec& spec, const Options& options) {
  Result<Attempt> best = attempt(graph, spec, options);
  if (best && !best->thrashes()) return std::move(best->compilation);
  const int64_t batch = graph::batch_of(graph);
  for (int64_t parts = 2; parts <= batch; ++parts) {
    if (batch % parts != 0) continue;
    TRY(go_on_unless(options.cancel));
    std::optional<graph::Graph> split = graph::split_batch(graph, parts);
    if (!split) break;
    Result<Attempt> next = attempt(TRY(graph::simplify(*std::move(split))), spec, options);
    const bool better = next && (!best || next->seconds() < best->seconds());
    if (better) best = std::move(next);
    if (best && !best->thrashes()) break;
  }
  TRY(go_on_unless(options.cancel));
  if (!best) return best.error();
  return std::move(best->compilation);
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

namespace {

// Parts that have semaphores of their own: of a branch those of the longer way, but of both in a loop.
size_t parts_of(const graph::Pieces& pieces, bool in_loop) {
  size_t parts = 0;
  for (const graph::Piece& p : pieces) {
    const size_t then = parts_of(p.then, in_loop), otherwise = parts_of(p.otherwise, in_loop);
    if (p.loop) {
      parts += parts_of(p.loop->body, true) + 2;
    } else if (p.node.empty()) {
      ++parts;
    } else {
      parts += in_loop ? then + otherwise : std::max(then, otherwise);
    }
  }
  return parts;
}

Result<backend::LinkParts> compile_pieces(graph::Pieces pieces, const spec::ChipSpec& spec, const Options& options);

Result<backend::LinkLoop> compile_loop(graph::PieceLoop loop, const spec::ChipSpec& spec, const Options& options) {
  backend::LinkLoop out{std::move(loop.trips), std::move(loop.go), std::move(loop.again), loop.trips_most, {}, {}};
  if (loop.once) out.trips_most = std::min<int64_t>(out.trips_most, 1);
  if (!loop.runs) out.trips_most = 0, out.trips.clear();
  const graph::Tensor& number = loop.iteration_type;
  if (!loop.iteration.empty()) {
    out.iteration = {.name = loop.iteration,
                     .dtype = boundary_dtype(number.dtype),
                     .shape = number.shape,
                     .role = isa::TensorRole::output};
    out.iteration.bytes = dtype_bytes(out.iteration.dtype);
  }
  out.body = TRY(compile_pieces(std::move(loop.body), spec, options));
  return out;
}

Result<backend::LinkParts> compile_pieces(graph::Pieces pieces, const spec::ChipSpec& spec, const Options& options) {
  backend::LinkParts parts;
  for (graph::Piece& p : pieces) {
    backend::LinkPart& part = parts.emplace_back();
    if (p.node.empty()) {
      part.code = TRY(compile(std::move(p.graph), spec, options)).executable;
      continue;
    }
    if (p.loop) {
      part.node = p.node;
      part.loop = TRY(compile_loop(std::move(*p.loop), spec, options));
      continue;
    }
    part.node = p.node, part.condition = p.condition;
    part.then_halts = p.then_impossible, part.otherwise_halts = p.otherwise_impossible;
    part.then = TRY(compile_pieces(std::move(p.then), spec, options));
    part.otherwise = TRY(compile_pieces(std::move(p.otherwise), spec, options));
  }
  return parts;
}

// The graph's inputs and outputs as they lie in HBM.
std::vector<isa::HbmTensor> ends_of(const graph::Graph& graph) {
  std::vector<isa::HbmTensor> ends;
  auto add = [&](graph::TensorId id, isa::TensorRole role) {
    const graph::Tensor& t = graph.at(id);
    const DType dtype = boundary_dtype(t.dtype);
    ends.push_back({t.name,
                    dtype,
                    t.shape,
                    role,
                    0,
                    static_cast<uint64_t>(graph::element_count(t.shape)) * dtype_bytes(dtype),
                    {}});
  };
  for (graph::TensorId t : graph.inputs) add(t, isa::TensorRole::input);
  for (graph::TensorId t : graph.outputs) add(t, isa::TensorRole::output);
  return ends;
}

Result<Compilation> compile_branches(graph::Graph graph, const spec::ChipSpec& spec, Options options) {
  graph::Pieces pieces = graph::split_control(graph);
  options.cores = 1;
  options.semaphores_max = backend::part_semaphores(spec, parts_of(pieces, false));
  const backend::LinkParts parts = TRY(compile_pieces(std::move(pieces), spec, options));
  Compilation out;
  out.executable = TRY(backend::link(parts, ends_of(graph), spec));
  out.graph = std::move(graph);
  return out;
}

}  // namespace

Result<Compilation> compile(graph::Graph graph, const spec::ChipSpec& spec, const Options& options) {
  graph = TRY(graph::raise_scalars(TRY(graph::simplify(std::move(graph)))));
  TRY(go_on_unless(options.cancel));
  const Share share = TRY(share_of(std::move(graph), spec, options.cores));
  Compilation compilation = graph::has_choices(share.graph) ? TRY(compile_branches(share.graph, spec, options))
                                                            : TRY(compile_core(share.graph, spec, options));
  if (share.cores > 1) split_tensors(share, compilation);
  for (size_t part = 1; part <= share.others.size() && has_data(compilation.executable); ++part) {
    const Compilation other = TRY(compile_core(share.others[part - 1], spec, options));
    add_constants(compilation.executable, other.executable, part);
  }
  return compilation;
}

}  // namespace presil::compiler
