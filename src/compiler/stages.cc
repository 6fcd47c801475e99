#include "compiler/stages.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "compiler/attention.h"
#include "compiler/stage_cost.h"
#include "compiler/steps.h"
#include "kernels/packed_conv.h"

namespace presil::compiler {
namespace {

using graph::Graph;
using graph::TensorId;

// Share of SBUF that values of a stage may fill: the rest holds weights, chains' temporaries and the next band's loads.
constexpr double kBandShare = 0.4;
constexpr double kSingleStepShare = 0.75;
// A tensor up to this share of SBUF stays there whole.
constexpr double kResidentShare = 0.25;
// A stage goes on over this many steps that touch no large tensor.
constexpr uint32_t kSmallBetween = 2;
// A stage is cut in two where that saves at least this share of its time.
constexpr double kWorthACut = 0.05;

struct Planner {
  const Graph& graph;
  const spec::ChipSpec& spec;
  Plan& plan;
  std::vector<uint32_t> producer;            // step, by tensor
  std::vector<std::vector<uint32_t>> users;  // steps, by tensor
  std::vector<bool> is_output, image;
  std::vector<bool> is_map;  // rows lie on partitions, by tensor

  int64_t lanes() const { return kernels::group_partitions(spec); }
  double sbuf() const { return static_cast<double>(spec.sbuf.bytes_per_partition); }

  // Bytes per partition of `rows` rows (rank 4) or the whole, one image when banded.
  double bytes(TensorId t, int64_t rows, bool one_image) const {
    const graph::Shape& s = graph.at(t).shape;
    double item = static_cast<double>(dtype_bytes(value_dtype(graph, plan, t)));
    if (s.size() == 4 && is_map[t.value]) {
      double groups = static_cast<double>((s[2] + lanes() - 1) / lanes());
      return groups * static_cast<double>(s[0] * s[1] * s[3]) * item;
    }
    if (image[t.value]) {
      double groups = static_cast<double>((s[1] + lanes() - 1) / lanes());
      return groups * static_cast<double>((one_image ? 1 : s[0]) * rows * s[3]) * item;
    }
    double total = static_cast<double>(graph::element_count(s));
    double used = s.empty() ? 1 : static_cast<double>(std::min(lanes(), *std::max_element(s.begin(), s.end())));
    return total / used * item;
  }
  double whole(TensorId t) const { return bytes(t, image[t.value] ? graph.at(t).shape[2] : 0, false); }
  bool big(TensorId t) const { return !graph.at(t).constant && whole(t) > kResidentShare * sbuf(); }

  void index() {
    image = image_tensors(graph);
    producer.assign(graph.tensors.size(), UINT32_MAX);
    users.resize(graph.tensors.size());
    is_output.assign(graph.tensors.size(), false);
    for (uint32_t s = 0; s < plan.steps.size(); ++s) {
      producer[plan.steps[s].output.value] = s;
      for (TensorId t : inputs_of(graph, plan.steps[s])) users[t.value].push_back(s);
    }
    for (TensorId t : graph.outputs) is_output[t.value] = true;
    is_map.assign(graph.tensors.size(), false);
    for (const Step& step : plan.steps) {
      bool follows = step.kind == StepKind::elementwise && inputs_of(graph, step).size() == 1 &&
                     is_map[inputs_of(graph, step)[0].value];
      is_map[step.output.value] = step.kind == StepKind::resize_matmul || follows;
    }
  }

  bool touches_big(const Step& step) const {
    bool found = big(step.output);
    for (TensorId t : inputs_of(graph, step)) found = found || (image[t.value] && big(t));
    return found;
  }
  bool bandable(const Step& step) const {
    bool by_rows = (row_local(graph, step) && image[step.output.value]) || reduces_rows(graph, step);
    return by_rows && touches_big(step);
  }

  // Bytes per partition of some rows of an image while a band runs. A convolution with packed taps brings in just what
  // its outputs multiply.
  double part_bytes(TensorId t, const Rows& rows) const {
    const auto count = rows.end - rows.begin;
    const bool packed =
        producer[t.value] == UINT32_MAX && !users[t.value].empty() &&
        std::ranges::all_of(users[t.value], [&](uint32_t s) { return plan.steps[s].kind == StepKind::packed_conv; });
    if (!packed) return bytes(t, count, true);
    const kernels::Window w = window_of(graph, graph.nodes[plan.steps[users[t.value][0]].anchor]);
    const graph::Shape& out = graph.at(graph.nodes[plan.steps[users[t.value][0]].anchor].output).shape;
    const int64_t outputs = (count + w.stride[0] - 1) / w.stride[0];
    const int64_t beside = kernels::tap_packing(spec, w, graph.at(t).shape[1], out[1], outputs)->out_rows;
    return static_cast<double>((outputs + beside - 1) / beside * kernels::packed_columns(w, graph.at(t).shape[3])) *
           static_cast<double>(dtype_bytes(value_dtype(graph, plan, t)));
  }

  // Values live at once while a band runs, by step, in bytes per partition.
  double band_bytes(const Stage& stage, uint32_t band) const {
    BandRows rows = band_rows(graph, plan, stage, band);
    double peak = 0;
    for (uint32_t s = stage.first; s < stage.last; ++s) {
      double live = 0;
      for (uint32_t t = 0; t < graph.tensors.size(); ++t) {
        if (rows.needed[t].empty() || graph.tensors[t].constant) continue;
        uint32_t from = producer[t] != UINT32_MAX && producer[t] >= stage.first && producer[t] < stage.last
                            ? producer[t]
                            : UINT32_MAX;
        uint32_t last = 0, first = UINT32_MAX;
        for (uint32_t u : users[t]) {
          if (u >= stage.first && u < stage.last) last = std::max(last, u), first = std::min(first, u);
        }
        if (from != UINT32_MAX) first = from, last = std::max(last, from);
        if (first <= s && s <= last) live += part_bytes(TensorId(t), rows.needed[t]);
      }
      // A chain or a depthwise sum needs room of its own.
      peak = std::max(peak, live);
    }
    return peak;
  }

  // Every band owns at least a row of everything that leaves the stage.
  int64_t bands_max(Stage stage) const {
    stage.bands = 1;
    int64_t rows = INT64_MAX;
    for (const Rows& owned : band_rows(graph, plan, stage, 0).owned) {
      if (!owned.empty()) rows = std::min(rows, owned.end - owned.begin);
    }
    return rows;
  }

  void set_bands(Stage& stage, uint32_t bands) const { stage.bands = bands, stage.by_image = bands == 1; }
  int64_t images(const Stage& stage) const { return graph.at(plan.steps[stage.first].output).shape[0]; }

  // The fewest bands with which a stage's values leave room; nothing when even single rows are too large.
  std::optional<uint32_t> bands_of(Stage stage, double share) const {
    int64_t limit = bands_max(stage);
    for (int64_t bands = images(stage) > 1 ? 1 : 2; bands <= limit;
         bands = bands == limit ? limit + 1 : std::min(limit, bands + std::max<int64_t>(1, bands / 4))) {
      set_bands(stage, static_cast<uint32_t>(bands));
      if (std::max(band_bytes(stage, 0), band_bytes(stage, stage.bands / 2)) <= share * sbuf()) return stage.bands;
    }
    return std::nullopt;
  }

  // Bands of a long stage compute many rows twice. The step before which cutting it in two saves most, if it is worth
  // it: what crosses the cut then goes through HBM.
  std::optional<uint32_t> best_cut(const Stage& stage) const {
    auto seconds = [&](Stage part) -> std::optional<double> {
      auto bands = bands_of(part, part.last - part.first == 1 ? kSingleStepShare : kBandShare);
      if (!bands) return std::nullopt;
      set_bands(part, *bands);
      return stage_seconds(graph, spec, plan, part, [&](TensorId t) { return big(t); });
    };
    double best = (1 - kWorthACut) * stage_seconds(graph, spec, plan, stage, [&](TensorId t) { return big(t); });
    std::optional<uint32_t> cut;
    for (uint32_t at = stage.first + 1; at < stage.last; ++at) {
      auto before = seconds({stage.first, at, 2}), after = seconds({at, stage.last, 2});
      if (!before || !after || *before + *after >= best) continue;
      best = *before + *after;
      cut = at;
    }
    return cut;
  }

  // A stage whose single rows are too large together is cut in two; a single step may fill more of SBUF.
  Result<void> add_banded(uint32_t first, uint32_t last) {
    bool single = last - first == 1;
    Stage stage{first, last, 2};
    auto bands = bands_of(stage, single ? kSingleStepShare : kBandShare);
    if (bands) {
      set_bands(stage, *bands);
      if (auto cut = best_cut(stage)) {
        TRY(add_banded(first, *cut));
        return add_banded(*cut, last);
      }
      plan.stages.push_back(stage);
      return {};
    }
    if (single && bands_max(stage) < 2) {
      plan.stages.push_back({first, last, 1});
      return {};
    }
    if (!single) {
      TRY(add_banded(first, (first + last) / 2));
      return add_banded((first + last) / 2, last);
    }
    set_bands(stage, static_cast<uint32_t>(bands_max(stage)));
    return unsupported(
        fmt::format(
            "one row of what this step touches takes {:.0f} bytes per partition; values may fill {:.0f} of SBUF's {}",
            band_bytes(stage, stage.bands / 2), kSingleStepShare * sbuf(), spec.sbuf.bytes_per_partition),
        name_of(graph, plan.steps[first]));
  }

  Result<void> make_stages() {
    for (uint32_t s = 0; s < plan.steps.size();) {
      uint32_t end = s + 1;
      if (bandable(plan.steps[s])) {
        // A reduction ends its stage: what follows may need the total.
        while (const uint32_t next = joined_until(s, end)) end = next;
        TRY(add_banded(s, end));
      } else {
        plan.stages.push_back({s, end, 1});
      }
      s = end;
    }
    return {};
  }
  // The end of stage [first, end) when it goes on: over large tensors, and over few small ones between them, which are
  // no reason to send the large ones through HBM. 0 when it does not.
  uint32_t joined_until(uint32_t first, uint32_t end) const {
    for (uint32_t at = end; at < plan.steps.size() && at <= end + kSmallBetween; ++at) {
      if (reads_reduction(first, at)) return 0;
      if (bandable(plan.steps[at])) return at + 1;
      if (!row_local(graph, plan.steps[at]) || !image[plan.steps[at].output.value]) return 0;
    }
    return 0;
  }
  // Whether step `at` reads the result of a reduction in [first, at).
  bool reads_reduction(uint32_t first, uint32_t at) const {
    for (TensorId t : inputs_of(graph, plan.steps[at])) {
      uint32_t p = producer[t.value];
      if (p != UINT32_MAX && p >= first && p < at && plan.steps[p].kind == StepKind::reduce) return true;
    }
    return false;
  }

  const Stage& stage_of(uint32_t step) const {
    auto it = std::upper_bound(plan.stages.begin(), plan.stages.end(), step,
                               [](uint32_t s, const Stage& stage) { return s < stage.last; });
    return *it;
  }

  void place() {
    plan.tensors.assign(graph.tensors.size(), Location::none);
    for (TensorId t : graph.inputs) plan.tensors[t.value] = Location::hbm;
    for (uint32_t s = 0; s < plan.steps.size(); ++s) {
      TensorId t = plan.steps[s].output;
      const Stage& stage = stage_of(s);
      bool leaves = false;
      for (uint32_t u : users[t.value]) leaves = leaves || u < stage.first || u >= stage.last;
      Location& location = plan.tensors[t.value];
      if (is_output[t.value] || plan.steps[s].kind == StepKind::gemm || plan.steps[s].kind == StepKind::stream)
        location = Location::hbm;
      else if (stage.in_parts() && !leaves)
        location = Location::local;
      else if (stage.in_parts() && big(t))
        location = Location::hbm;
      else
        location = Location::sbuf;
    }
  }

  // Element-wise steps over large tensors that have nothing to do with rows: streamed through SBUF as one long array.
  void choose_streams() {
    for (Step& step : plan.steps) {
      if (step.kind != StepKind::elementwise || !(big(step.output) || scattered(step.output))) continue;
      bool plain = true;
      for (TensorId t : inputs_of(graph, step)) {
        const graph::Tensor& tensor = graph.at(t);
        bool number = tensor.constant && graph::element_count(tensor.shape) == 1;
        bool from_hbm = std::find(graph.inputs.begin(), graph.inputs.end(), t) != graph.inputs.end() ||
                        tensor.constant || produced_in_hbm(t);
        plain = plain && (number || (tensor.shape == graph.at(step.output).shape && from_hbm));
      }
      if (plain) step.kind = StepKind::stream;
    }
  }
  // A vector, or another shape whose largest axis would take many partition groups and leave little in each.
  bool scattered(TensorId t) const {
    const graph::Shape& s = graph.at(t).shape;
    return s.size() < 3 && !s.empty() && *std::max_element(s.begin(), s.end()) > 8 * lanes();
  }
  bool produced_in_hbm(TensorId t) const {
    uint32_t p = producer[t.value];
    return p != UINT32_MAX && (plan.steps[p].kind == StepKind::gemm || plan.steps[p].kind == StepKind::stream);
  }
};

}  // namespace

void choose_dtypes(const Graph& graph, Plan& plan) {
  std::vector<bool> multiplied(graph.tensors.size(), false);
  for (const graph::Node& node : graph.nodes) {
    bool tensor_engine =
        node.op == graph::Op::conv || node.op == graph::Op::conv_transpose || node.op == graph::Op::matmul;
    bool depthwise =
        node.op == graph::Op::conv && node.attrs.group > 1 && node.attrs.group == graph.at(node.inputs[0]).shape[1];
    if (!tensor_engine || depthwise || node.attrs.integers) continue;
    for (size_t i = 0; i < 2; ++i) multiplied[node.inputs[i].value] = true;
  }
  for (const Step& step : plan.steps) {
    if (step.kind != StepKind::attention) continue;
    const auto a = find_attention(graph, uses_of(graph), softmax_of(graph, step));
    for (const AttentionOperand* o : {&a->q, &a->k, &a->v}) multiplied[o->source.value] = true;
  }
  auto inside = [&](uint32_t t) {
    DType own = graph.tensors[t].dtype;
    if (own == DType::boolean) return DType::uint8;
    if (own == DType::int64) return DType::int32;
    if (!is_float(own) || plan.precision == "auto") return own;
    // tf32 lies in memory as fp32.
    const DType operand = plan.precision == "tf32" ? DType::fp32 : *dtype_from_name(plan.precision);
    return multiplied[t] ? operand : own;
  };
  for (uint32_t t = 0; t < graph.tensors.size(); ++t) plan.dtypes.push_back(inside(t));
  // Views and copies keep their elements' type: back from a multiplied value to what it is a view of.
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    const graph::Node& node = graph.nodes[i];
    bool moves = node.op == graph::Op::reshape || node.op == graph::Op::transpose || node.op == graph::Op::slice ||
                 node.op == graph::Op::expand || node.op == graph::Op::concat || node.op == graph::Op::gather;
    if (!moves || !is_float(graph.at(node.output).dtype)) continue;
    for (TensorId t : node.inputs) {
      if (t.valid() && is_float(graph.at(t).dtype) && multiplied[node.output.value]) {
        multiplied[t.value] = true;
        plan.dtypes[t.value] = plan.dtypes[node.output.value];
      }
    }
  }
  // The largest of rounded values is the largest value, rounded: what only such pools read may be rounded before.
  const TensorUses uses = uses_of(graph);
  auto picks = [&](const graph::Node& node) {
    return node.op == graph::Op::pool && node.attrs.pool == graph::PoolKind::max && multiplied[node.output.value];
  };
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    const graph::TensorId in = graph.nodes[i].inputs.empty() ? graph::TensorId() : graph.nodes[i].inputs[0];
    if (!picks(graph.nodes[i]) || uses.is_output[in.value]) continue;
    const auto& users = uses.consumers[in.value];
    if (!std::ranges::all_of(users, [&](uint32_t u) { return picks(graph.nodes[u]); })) continue;
    multiplied[in.value] = true, plan.dtypes[in.value] = plan.dtypes[graph.nodes[i].output.value];
  }
  for (const graph::Node& node : graph.nodes) {
    bool views = node.op == graph::Op::reshape || node.op == graph::Op::transpose || node.op == graph::Op::slice ||
                 node.op == graph::Op::expand;
    if (views) plan.dtypes[node.output.value] = plan.dtypes[node.inputs[0].value];
  }
}

BandRows band_rows(const Graph& graph, const Plan& plan, const Stage& stage, uint32_t band) {
  BandRows rows{std::vector<Rows>(graph.tensors.size()), std::vector<Rows>(graph.tensors.size())};
  auto share = [&](int64_t count) { return Rows{count * band / stage.bands, count * (band + 1) / stage.bands}; };
  // What leaves the stage is owned in equal parts; a reduction owns equal parts of what it reads.
  std::vector<bool> inside(graph.tensors.size(), false);
  for (uint32_t s = stage.first; s < stage.last; ++s) inside[plan.steps[s].output.value] = true;
  std::vector<bool> leaves(graph.tensors.size(), false);
  for (uint32_t s = 0; s < plan.steps.size(); ++s) {
    if (s >= stage.first && s < stage.last) continue;
    for (TensorId t : inputs_of(graph, plan.steps[s])) leaves[t.value] = inside[t.value] || leaves[t.value];
  }
  for (TensorId t : graph.outputs) leaves[t.value] = inside[t.value] || leaves[t.value];
  for (uint32_t s = stage.first; s < stage.last; ++s) {
    const Step& step = plan.steps[s];
    if (step.kind == StepKind::reduce) {
      TensorId in = graph.nodes[step.anchor].inputs[0];
      rows.owned[in.value] = share(graph.at(in).shape[2]);
      rows.needed[in.value] = rows.owned[in.value];
    } else if (leaves[step.output.value]) {
      rows.owned[step.output.value] = share(graph.at(step.output).shape[2]);
      rows.needed[step.output.value] = rows.owned[step.output.value];
    }
  }
  for (uint32_t s = stage.last; s-- > stage.first;) {
    const Step& step = plan.steps[s];
    if (step.kind == StepKind::reduce) continue;
    Rows out = rows.needed[step.output.value];
    if (out.empty()) continue;
    for (uint32_t n : nodes_of(step)) {
      const graph::Node& node = graph.nodes[n];
      bool is_anchor = n == step.anchor;
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        TensorId t = node.inputs[i];
        // Constants are weights, or columns, but for parts of a concatenation.
        bool whole = t.valid() && graph.at(t).constant && node.op != graph::Op::concat;
        if (!t.valid() || whole || graph.at(t).shape.size() != 4) continue;
        Rows needed = is_anchor                                                ? rows_needed(graph, node, i, out)
                      : graph.at(t).shape[2] == graph.at(step.output).shape[2] ? out
                                                                               : Rows{0, graph.at(t).shape[2]};
        rows.needed[t.value] = hull(rows.needed[t.value], needed);
      }
    }
  }
  return rows;
}

Result<void> plan_stages(const Graph& graph, const spec::ChipSpec& spec, Plan& plan) {
  Planner planner{graph, spec, plan, {}, {}, {}, {}};
  planner.index();
  planner.choose_streams();
  TRY(planner.make_stages());
  planner.place();
  return {};
}

}  // namespace presil::compiler
