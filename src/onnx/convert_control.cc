// Graphs inside nodes. What is known while importing is decided here: the branch of an If, the iterations of a Loop and
// of a Scan, which are written out one after the other.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "graph/shape.h"
#include "onnx/converters.h"

namespace presil::onnx {
namespace {

// Iterations that are written out.
constexpr int64_t kIterationsMax = 4096;

Result<std::optional<bool>> known_condition(Conversion& c, TensorId id, const std::string& what) {
  const graph::Tensor& t = c.builder.at(id);
  if (t.dtype != DType::boolean || graph::element_count(t.shape) != 1) {
    return c.error(
        fmt::format("{} is {} {}, expected one boolean", what, dtype_name(t.dtype), graph::shape_text(t.shape)));
  }
  auto values = c.builder.integer_values(id);
  return values ? std::optional((*values)[0] != 0) : std::nullopt;
}

// [parts...] stacked along a new axis.
Result<TensorId> stacked(Conversion& c, const Tensors& parts, int64_t axis) {
  Tensors rows;
  for (TensorId part : parts) {
    Shape shape = c.builder.shape(part);
    shape.insert(shape.begin() + axis, 1);
    rows.push_back(TRY(c.builder.reshape(part, shape)));
  }
  return c.builder.concat(rows, axis);
}

Result<void> check_same_types(Conversion& c, const Tensors& before, const Tensors& after, std::string_view what) {
  for (size_t i = 0; i < before.size(); ++i) {
    const graph::Tensor &a = c.builder.at(before[i]), &b = c.builder.at(after[i]);
    if (a.dtype == b.dtype && a.shape == b.shape) continue;
    return c.refuse(fmt::format("{} {} changes from {} {} to {} {}", what, i, dtype_name(a.dtype),
                                graph::shape_text(a.shape), dtype_name(b.dtype), graph::shape_text(b.shape)));
  }
  return {};
}

struct ScanOptions {
  size_t inputs = 0;  // the last ones of the node, of which an iteration sees a slice
  std::vector<int64_t> input_axes, output_axes;
  std::vector<int64_t> input_directions, output_directions;  // 1: from the end
};

Result<std::vector<int64_t>> per_operand(Conversion& c, const std::string& name, size_t count) {
  std::vector<int64_t> values = TRY(c.integers(name, std::vector<int64_t>(count, 0)));
  if (values.size() == count) return values;
  return c.error(fmt::format("{} has {} entries, expected {}", name, values.size(), count));
}

Result<ScanOptions> scan_options(Conversion& c, size_t body_outputs) {
  ScanOptions s;
  const int64_t count = TRY(c.integer("num_scan_inputs", 0));
  if (count < 1 || static_cast<size_t>(count) > c.inputs.size())
    return c.error(fmt::format("num_scan_inputs is {}, it has {} inputs", count, c.inputs.size()));
  s.inputs = static_cast<size_t>(count);
  const size_t states = c.inputs.size() - s.inputs;
  if (body_outputs < states)
    return c.error(fmt::format("its body has {} outputs, {} states need one each", body_outputs, states));
  s.input_axes = TRY(per_operand(c, "scan_input_axes", s.inputs));
  s.input_directions = TRY(per_operand(c, "scan_input_directions", s.inputs));
  s.output_axes = TRY(per_operand(c, "scan_output_axes", body_outputs - states));
  s.output_directions = TRY(per_operand(c, "scan_output_directions", body_outputs - states));
  for (size_t k = 0; k < s.inputs; ++k) s.input_axes[k] = TRY(c.axis(s.input_axes[k], c.rank(states + k)));
  return s;
}

// Slice `index` of x along `axis`, without that axis.
Result<TensorId> scan_slice(Conversion& c, TensorId x, int64_t axis, int64_t index) {
  Shape shape = c.builder.shape(x);
  shape.erase(shape.begin() + axis);
  return c.builder.reshape(TRY(c.builder.slice(x, axis, index, index + 1)), shape);
}

}  // namespace

Result<Tensors> convert_if(Conversion& c) {
  TRY(c.want_inputs(1, 1));
  const GraphValue* branches[2] = {TRY(c.body("else_branch")), TRY(c.body("then_branch"))};
  for (const GraphValue* branch : branches) {
    if (branch->outputs.size() == c.node.outputs.size()) continue;
    return c.error(fmt::format("branch '{}' has {} outputs, the node {}", branch->graph_name, branch->outputs.size(),
                               c.node.outputs.size()));
  }
  const std::optional<bool> known = TRY(known_condition(c, c.inputs[0], "the condition"));
  if (known) return c.convert_body(*branches[*known], {});
  // A branch whose shapes contradict each other for these inputs can only fail when it is taken.
  const Result<Tensors> taken[2] = {c.convert_body(*branches[0], {}), c.convert_body(*branches[1], {})};
  for (const bool which : {false, true}) {
    if (taken[which]) continue;
    const bool contradicts = taken[which].error().code == ErrorCode::bad_input;
    if (!contradicts || !taken[!which]) return taken[which].error();
  }
  c.builder.set_source(c.node.title());
  if (taken[0] && taken[1]) TRY(check_same_types(c, *taken[0], *taken[1], "with the branch, output"));
  Tensors results;
  for (size_t i = 0; i < c.node.outputs.size(); ++i) {
    Tensors inputs{c.inputs[0]};
    for (const bool which : {true, false}) {
      if (taken[which]) inputs.push_back((*taken[which])[i]);
    }
    results.push_back(TRY(c.builder.add(Op::select, inputs, {.expected = taken[1].has_value()})));
  }
  return results;
}

// A loop of the device, where data decides how often it runs, or too often to be written out.
Result<Tensors> device_loop(Conversion& c, const GraphValue& body, TensorId trips, TensorId go,
                            const Tensors& initial) {
  graph::Builder& b = c.builder;
  if (body.outputs.size() > initial.size() + 1)
    return c.refuse(fmt::format("how often it runs is known only when the model runs, and so is the length of its {}",
                                count_text(body.outputs.size() - initial.size() - 1, "scan output")));
  const auto number = static_cast<int64_t>(b.graph().tensors.size());
  const TensorId first = b.constant_integers(DType::int64, {}, {0});
  const std::vector<int64_t> counts{number, INT32_MAX};
  Tensors entered,
      inputs{TRY(b.add(Op::enter, {first}, {.loop = counts})), b.constant_integers(DType::boolean, {}, {1})};
  for (TensorId state : initial) entered.push_back(TRY(b.add(Op::enter, {state}, {.loop = {number}})));
  inputs.insert(inputs.end(), entered.begin(), entered.end());
  const Tensors outputs = TRY(c.convert_body(body, inputs));
  b.set_source(c.node.title());
  const Tensors next(outputs.begin() + 1, outputs.end());
  TRY(check_same_types(c, entered, next, "state"));
  Tensors results;
  for (size_t k = 0; k < entered.size(); ++k) {
    Tensors operands{trips, go, outputs[0], entered[k], next[k]};
    for (size_t other = 0; other < entered.size(); ++other) {
      if (other != k) operands.push_back(entered[other]), operands.push_back(next[other]);
    }
    results.push_back(TRY(b.add(Op::leave, operands, {.loop = {number}})));
  }
  return results;
}

// Inputs: trip count, condition, states. The body takes iteration, condition, states, and gives condition, states,
// scan outputs.
Result<Tensors> convert_loop(Conversion& c) {
  if (c.inputs.size() < 2) return c.error(fmt::format("has {} inputs, takes at least 2", c.inputs.size()));
  const GraphValue* body = TRY(c.body("body"));
  const size_t states = c.inputs.size() - 2;
  if (body->outputs.size() < states + 1)
    return c.error(
        fmt::format("its body has {} outputs, {} states and a condition need one each", body->outputs.size(), states));
  TensorId condition = c.has(1) ? c.inputs[1] : c.builder.constant_integers(DType::boolean, {}, {1});
  Tensors values(c.inputs.begin() + 2, c.inputs.end());
  const Tensors initial = values;
  const TensorId begins = condition;
  const TensorId limit = c.has(0) ? c.inputs[0] : c.builder.constant_integers(DType::int64, {}, {int64_t{INT32_MAX}});
  const auto known_trips = c.builder.integer_values(limit);
  const int64_t trips = !c.has(0) ? INT64_MAX : known_trips ? (*known_trips)[0] : 0;
  if (!known_trips) return device_loop(c, *body, limit, begins, initial);
  std::vector<Tensors> scanned(body->outputs.size() - 1 - states);
  for (int64_t i = 0; i < trips; ++i) {
    const std::optional<bool> goes_on = TRY(known_condition(c, condition, "the condition"));
    if (!goes_on) return device_loop(c, *body, limit, begins, initial);
    if (!*goes_on) break;
    if (i == kIterationsMax && scanned.empty()) return device_loop(c, *body, limit, begins, initial);
    if (i == kIterationsMax) return c.refuse(fmt::format("more than {} iterations", kIterationsMax));
    Tensors inputs{c.builder.constant_integers(DType::int64, {}, {i}), condition};
    inputs.insert(inputs.end(), values.begin(), values.end());
    Tensors outputs = TRY(c.convert_body(*body, inputs));
    condition = outputs[0];
    Tensors after(outputs.begin() + 1, outputs.begin() + 1 + static_cast<int64_t>(states));
    TRY(check_same_types(c, values, after, "state"));
    values = std::move(after);
    for (size_t k = 0; k < scanned.size(); ++k) scanned[k].push_back(outputs[1 + states + k]);
  }
  for (const Tensors& parts : scanned) {
    if (parts.empty()) return c.refuse("no iteration runs, and it has scan outputs");
    values.push_back(TRY(stacked(c, parts, 0)));
  }
  return values;
}

Result<Tensors> convert_scan(Conversion& c) {
  const GraphValue* body = TRY(c.body("body"));
  ScanOptions s = TRY(scan_options(c, body->outputs.size()));
  const size_t states = c.inputs.size() - s.inputs;
  const int64_t length = c.shape(states)[static_cast<size_t>(s.input_axes[0])];
  if (length > kIterationsMax) return c.refuse(fmt::format("{} iterations, at most {}", length, kIterationsMax));
  Tensors values(c.inputs.begin(), c.inputs.begin() + static_cast<int64_t>(states));
  std::vector<Tensors> scanned(body->outputs.size() - states);
  for (int64_t i = 0; i < length; ++i) {
    Tensors inputs = values;
    for (size_t k = 0; k < s.inputs; ++k) {
      const int64_t extent = c.shape(states + k)[static_cast<size_t>(s.input_axes[k])];
      if (extent != length)
        return c.error(fmt::format("scan input {} has {} slices, the first has {}", k, extent, length));
      inputs.push_back(
          TRY(scan_slice(c, c.inputs[states + k], s.input_axes[k], s.input_directions[k] == 1 ? length - 1 - i : i)));
    }
    Tensors outputs = TRY(c.convert_body(*body, inputs));
    Tensors after(outputs.begin(), outputs.begin() + static_cast<int64_t>(states));
    TRY(check_same_types(c, values, after, "state"));
    values = std::move(after);
    for (size_t k = 0; k < scanned.size(); ++k) scanned[k].push_back(outputs[states + k]);
  }
  for (size_t k = 0; k < scanned.size(); ++k) {
    if (s.output_directions[k] == 1) std::ranges::reverse(scanned[k]);
    if (scanned[k].empty()) return c.refuse("no iteration runs");
    const int64_t rank = static_cast<int64_t>(c.builder.shape(scanned[k][0]).size()) + 1;
    values.push_back(TRY(stacked(c, scanned[k], TRY(c.axis(s.output_axes[k], static_cast<size_t>(rank))))));
  }
  return values;
}

}  // namespace presil::onnx
