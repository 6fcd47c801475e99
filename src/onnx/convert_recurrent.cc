// LSTM, GRU and RNN, step by step: the products with the inputs of all steps at once, then per step those with the
// state, one per gate. Source: the operators' pages of ONNX.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "graph/shape.h"
#include "onnx/converters.h"

namespace presil::onnx {
namespace {

using graph::Builder;

constexpr int64_t kStepsMax = 4096;

struct Function {
  std::string name;
  float alpha = 0, beta = 0;
};

struct Recurrent {
  int64_t gates = 1;
  int64_t steps = 0, batch = 0, hidden = 0;
  bool batch_first = false;
  std::vector<bool> backward;       // by direction
  std::vector<Function> functions;  // per direction one after the other
  std::optional<float> clip;
  TensorId x, lengths;
};

Result<std::vector<Function>> functions_of(Conversion& c, size_t directions, std::vector<std::string> defaults) {
  struct Row {
    std::string_view name;
    std::optional<float> alpha, beta;  // defaults of those that the function takes
  };
  static const Row kRows[] = {{"affine", 1, 0},         {"elu", 1, {}},       {"hardsigmoid", 0.2f, 0.5f},
                              {"leakyrelu", 0.01f, {}}, {"relu", {}, {}},     {"scaledtanh", 1, 1},
                              {"sigmoid", {}, {}},      {"softplus", {}, {}}, {"softsign", {}, {}},
                              {"tanh", {}, {}}};
  std::vector<std::string> names = TRY(c.texts("activations"));
  const std::vector<float> alphas = TRY(c.reals("activation_alpha")), betas = TRY(c.reals("activation_beta"));
  if (names.empty()) {
    for (size_t d = 0; d < directions; ++d) names.insert(names.end(), defaults.begin(), defaults.end());
  }
  if (names.size() != directions * defaults.size())
    return c.error(fmt::format("has {} activations, expected {}", names.size(), directions * defaults.size()));
  std::vector<Function> out;
  size_t alpha = 0, beta = 0;
  for (const std::string& given : names) {
    std::string name = given;
    std::ranges::transform(name, name.begin(), [](unsigned char ch) { return static_cast<char>(std::tolower(ch)); });
    auto row = std::ranges::find(kRows, name, &Row::name);
    if (row == std::end(kRows)) return c.refuse(fmt::format("activation '{}' is not supported", given));
    Function f{name};
    if (row->alpha) f.alpha = alpha < alphas.size() ? alphas[alpha++] : *row->alpha;
    if (row->beta) f.beta = beta < betas.size() ? betas[beta++] : *row->beta;
    out.push_back(std::move(f));
  }
  return out;
}

Result<TensorId> applied(Builder& b, const Function& f, TensorId x) {
  if (f.name == "sigmoid") return b.unary(ElementwiseFn::sigmoid, x);
  if (f.name == "tanh") return b.unary(ElementwiseFn::tanh, x);
  if (f.name == "relu") return b.unary(ElementwiseFn::relu, x);
  if (f.name == "softplus") return b.unary(ElementwiseFn::softplus, x);
  if (f.name == "elu") return b.unary(ElementwiseFn::elu, x, f.alpha);
  if (f.name == "leakyrelu") return b.unary(ElementwiseFn::leaky_relu, x, f.alpha);
  if (f.name == "hardsigmoid") return b.unary(ElementwiseFn::hard_sigmoid, x, f.alpha, f.beta);
  if (f.name == "affine") return b.binary(ElementwiseFn::add, TRY(b.binary(ElementwiseFn::mul, x, f.alpha)), f.beta);
  if (f.name == "scaledtanh") {
    TensorId t = TRY(b.unary(ElementwiseFn::tanh, TRY(b.binary(ElementwiseFn::mul, x, f.beta))));
    return b.binary(ElementwiseFn::mul, t, f.alpha);
  }
  TensorId size = TRY(b.binary(ElementwiseFn::add, TRY(b.unary(ElementwiseFn::abs, x)), 1));  // softsign
  return b.binary(ElementwiseFn::div, x, size);
}

Result<Recurrent> recurrent_of(Conversion& c, int64_t gates, std::vector<std::string> functions) {
  Recurrent r{.gates = gates};
  std::string direction = TRY(c.text("direction", "forward"));
  if (direction == "bidirectional")
    r.backward = {false, true};
  else if (direction == "forward" || direction == "reverse")
    r.backward = {direction == "reverse"};
  else
    return c.error(fmt::format("direction='{}', expected forward, reverse or bidirectional", direction));
  if (c.opset >= 14) r.batch_first = TRY(c.flag("layout", false));
  if (c.rank(0) != 3) return c.error(fmt::format("X has rank {}, expected 3", c.rank(0)));
  r.x = c.inputs[0];
  if (r.batch_first) r.x = TRY(c.builder.transpose(r.x, {1, 0, 2}));
  const Shape x = c.builder.shape(r.x), w = c.shape(1), recurrence = c.shape(2);
  const auto directions = static_cast<int64_t>(r.backward.size());
  if (recurrence.size() != 3) return c.error(fmt::format("R has rank {}, expected 3", recurrence.size()));
  r.steps = x[0], r.batch = x[1], r.hidden = TRY(c.integer("hidden_size", recurrence[2]));
  const Shape expected_w{directions, gates * r.hidden, x[2]}, expected_r{directions, gates * r.hidden, r.hidden};
  if (w != expected_w)
    return c.error(fmt::format("W is {}, expected {}", graph::shape_text(w), graph::shape_text(expected_w)));
  if (recurrence != expected_r)
    return c.error(fmt::format("R is {}, expected {}", graph::shape_text(recurrence), graph::shape_text(expected_r)));
  if (r.steps < 1 || r.steps > kStepsMax)
    return c.refuse(fmt::format("{} steps, from 1 to {} are supported", r.steps, kStepsMax));
  if (c.has_attribute("clip")) r.clip = TRY(c.real("clip", 0));
  r.functions = TRY(functions_of(c, r.backward.size(), std::move(functions)));
  if (c.has(4)) r.lengths = c.inputs[4];
  return r;
}

// Rows [begin, begin + rows) of operand `i` of direction d; [rows, columns...].
Result<TensorId> rows_of(Conversion& c, size_t i, int64_t d, int64_t begin, int64_t rows) {
  Builder& b = c.builder;
  TensorId part = TRY(b.slice(TRY(b.slice(c.inputs[i], 0, d, d + 1)), 1, begin, begin + rows));
  Shape shape = b.shape(part);
  shape.erase(shape.begin());
  return b.reshape(part, shape);
}

// The bias of a gate: that of the inputs, that of the state, or both. Not valid where the node has none.
Result<TensorId> bias_of(Conversion& c, const Recurrent& r, int64_t d, int64_t gate, bool of_input, bool of_state) {
  if (!c.has(3)) return TensorId();
  TensorId sum;
  for (int64_t half = 0; half < 2; ++half) {
    if (!(half == 0 ? of_input : of_state)) continue;
    TensorId part = TRY(rows_of(c, 3, d, (half * r.gates + gate) * r.hidden, r.hidden));
    sum = sum.valid() ? TRY(c.builder.binary(ElementwiseFn::add, sum, part)) : part;
  }
  return sum;
}

Result<TensorId> product(Conversion& c, TensorId x, TensorId matrix, TensorId bias) {
  Tensors operands{x, matrix};
  if (bias.valid()) operands.push_back(bias);
  return c.builder.add(Op::matmul, operands);
}

// Of one direction: what every gate takes from the inputs, [steps * batch, hidden], and its matrix for the state.
struct Gates {
  Tensors from_input, recurrence, state_bias;
};
Result<Gates> gates_of(Conversion& c, const Recurrent& r, int64_t d, bool split_last) {
  Builder& b = c.builder;
  Gates out;
  const Shape x = b.shape(r.x);
  TensorId flat = TRY(b.reshape(r.x, {r.steps * r.batch, x[2]}));
  for (int64_t g = 0; g < r.gates; ++g) {
    const bool split = split_last && g + 1 == r.gates;
    TensorId w = TRY(b.transpose(TRY(rows_of(c, 1, d, g * r.hidden, r.hidden)), {1, 0}));
    out.from_input.push_back(TRY(product(c, flat, w, TRY(bias_of(c, r, d, g, true, !split)))));
    out.recurrence.push_back(TRY(b.transpose(TRY(rows_of(c, 2, d, g * r.hidden, r.hidden)), {1, 0})));
    out.state_bias.push_back(split ? TRY(bias_of(c, r, d, g, false, true)) : TensorId());
  }
  return out;
}

Result<TensorId> step_of(Conversion& c, const Recurrent& r, TensorId all, int64_t t) {
  return c.builder.slice(all, 0, t * r.batch, (t + 1) * r.batch);
}

Result<TensorId> clipped(Conversion& c, const Recurrent& r, TensorId x) {
  return r.clip ? c.builder.unary(ElementwiseFn::clip, x, -*r.clip, *r.clip) : Result<TensorId>(x);
}

// A gate before its function: from the inputs of step t, and from the state.
Result<TensorId> gate(Conversion& c, const Recurrent& r, const Gates& gates, int64_t g, int64_t t, TensorId state) {
  TensorId sum = TRY(c.builder.binary(ElementwiseFn::add, TRY(product(c, state, gates.recurrence[g], {})),
                                      TRY(step_of(c, r, gates.from_input[g], t))));
  return sum;
}

// Initial state `i` of direction d, [batch, hidden]: zeros where the node has none.
Result<TensorId> initial_state(Conversion& c, const Recurrent& r, size_t i, int64_t d) {
  if (!c.has(i)) {
    std::vector<double> zeros(static_cast<size_t>(r.batch * r.hidden));
    return c.builder.constant_floats(c.dtype(0), {r.batch, r.hidden}, zeros);
  }
  const int axis = r.batch_first ? 1 : 0;
  Shape expected{static_cast<int64_t>(r.backward.size()), r.batch, r.hidden};
  if (r.batch_first) std::swap(expected[0], expected[1]);
  if (c.shape(i) != expected)
    return c.error(fmt::format("initial state {} is {}, expected {}", i, graph::shape_text(c.shape(i)),
                               graph::shape_text(expected)));
  return c.builder.reshape(TRY(c.builder.slice(c.inputs[i], axis, d, d + 1)), {r.batch, r.hidden});
}

// `now` where the sequence is longer than t, else `before`.
Result<TensorId> while_running(Conversion& c, const Recurrent& r, int64_t t, TensorId now, TensorId before) {
  if (!r.lengths.valid()) return now;
  Builder& b = c.builder;
  TensorId running = TRY(b.binary(ElementwiseFn::greater, r.lengths, static_cast<double>(t)));
  running = TRY(b.reshape(running, {r.batch, 1}));
  return b.add(Op::elementwise, {running, now, before}, {.fn = ElementwiseFn::where});
}

// What a step makes of the states; the first one is what leaves.
using Step = std::function<Result<Tensors>(int64_t direction, const Gates&, int64_t t, const Tensors& states)>;

// Y [steps, directions, batch, hidden], then the last states [directions, batch, hidden].
Result<Tensors> run(Conversion& c, const Recurrent& r, const std::vector<size_t>& initial, bool split_last,
                    const Step& step) {
  Builder& b = c.builder;
  std::vector<Tensors> outputs(static_cast<size_t>(r.steps));
  std::vector<Tensors> last(initial.size());
  for (size_t d = 0; d < r.backward.size(); ++d) {
    const auto direction = static_cast<int64_t>(d);
    const Gates gates = TRY(gates_of(c, r, direction, split_last));
    Tensors states;
    for (size_t i : initial) states.push_back(TRY(initial_state(c, r, i, direction)));
    for (int64_t k = 0; k < r.steps; ++k) {
      const int64_t t = r.backward[d] ? r.steps - 1 - k : k;
      Tensors after = TRY(step(direction, gates, t, states));
      TensorId out = after[0];
      if (r.lengths.valid()) out = TRY(while_running(c, r, t, out, b.scalar(c.dtype(0), 0)));
      outputs[static_cast<size_t>(t)].push_back(TRY(b.reshape(out, {1, 1, r.batch, r.hidden})));
      for (size_t s = 0; s < states.size(); ++s) states[s] = TRY(while_running(c, r, t, after[s], states[s]));
    }
    for (size_t s = 0; s < states.size(); ++s) last[s].push_back(TRY(b.reshape(states[s], {1, r.batch, r.hidden})));
  }
  Tensors rows, results;
  for (const Tensors& of_step : outputs) rows.push_back(TRY(b.concat(of_step, 1)));
  results.push_back(TRY(b.concat(rows, 0)));
  for (const Tensors& of_state : last) results.push_back(TRY(b.concat(of_state, 0)));
  if (!r.batch_first) return results;
  results[0] = TRY(b.transpose(results[0], {2, 0, 1, 3}));
  for (size_t s = 1; s < results.size(); ++s) results[s] = TRY(b.transpose(results[s], {1, 0, 2}));
  return results;
}

}  // namespace

// Gates: input, output, forget, cell. Peepholes: input, output, forget.
Result<Tensors> convert_lstm(Conversion& c) {
  TRY(c.want_inputs(3, 8));
  const Recurrent r = TRY(recurrent_of(c, 4, {"Sigmoid", "Tanh", "Tanh"}));
  const bool coupled = TRY(c.flag("input_forget", false));
  Builder& b = c.builder;
  auto peephole = [&](TensorId sum, int64_t d, int64_t gate, TensorId cell) -> Result<TensorId> {
    if (!c.has(7)) return sum;
    TensorId weights = TRY(rows_of(c, 7, d, gate * r.hidden, r.hidden));
    return b.binary(ElementwiseFn::add, sum, TRY(b.binary(ElementwiseFn::mul, cell, weights)));
  };
  return run(c, r, {5, 6}, false, [&](int64_t d, const Gates& gates, int64_t t, const Tensors& s) -> Result<Tensors> {
    const Function* f = &r.functions[static_cast<size_t>(d) * 3];
    auto gate_of = [&](int64_t g, const Function& function, int64_t peep, TensorId cell) -> Result<TensorId> {
      TensorId sum = TRY(gate(c, r, gates, g, t, s[0]));
      if (peep >= 0) sum = TRY(peephole(sum, d, peep, cell));
      return applied(b, function, TRY(clipped(c, r, sum)));
    };
    TensorId input = TRY(gate_of(0, f[0], 0, s[1]));
    TensorId forget;
    if (coupled)
      forget = TRY(b.binary(ElementwiseFn::sub, b.scalar(c.dtype(0), 1), input));
    else
      forget = TRY(gate_of(2, f[0], 2, s[1]));
    TensorId fresh = TRY(gate_of(3, f[1], -1, {}));
    TensorId cell = TRY(b.binary(ElementwiseFn::add, TRY(b.binary(ElementwiseFn::mul, forget, s[1])),
                                 TRY(b.binary(ElementwiseFn::mul, input, fresh))));
    TensorId output = TRY(gate_of(1, f[0], 1, cell));
    TensorId state = TRY(b.binary(ElementwiseFn::mul, output, TRY(applied(b, f[2], cell))));
    return Tensors{state, cell};
  });
}

// Gates: update, reset, hidden.
Result<Tensors> convert_gru(Conversion& c) {
  TRY(c.want_inputs(3, 6));
  const Recurrent r = TRY(recurrent_of(c, 3, {"Sigmoid", "Tanh"}));
  const bool reset_after = TRY(c.flag("linear_before_reset", false));
  Builder& b = c.builder;
  return run(c, r, {5}, true, [&](int64_t d, const Gates& gates, int64_t t, const Tensors& s) -> Result<Tensors> {
    const Function* f = &r.functions[static_cast<size_t>(d) * 2];
    TensorId update = TRY(applied(b, f[0], TRY(clipped(c, r, TRY(gate(c, r, gates, 0, t, s[0]))))));
    TensorId reset = TRY(applied(b, f[0], TRY(clipped(c, r, TRY(gate(c, r, gates, 1, t, s[0]))))));
    TensorId kept = reset_after ? s[0] : TRY(b.binary(ElementwiseFn::mul, reset, s[0]));
    TensorId from_state = TRY(product(c, kept, gates.recurrence[2], gates.state_bias[2]));
    if (reset_after) from_state = TRY(b.binary(ElementwiseFn::mul, reset, from_state));
    TensorId sum = TRY(b.binary(ElementwiseFn::add, from_state, TRY(step_of(c, r, gates.from_input[2], t))));
    TensorId fresh = TRY(applied(b, f[1], TRY(clipped(c, r, sum))));
    TensorId rest = TRY(b.binary(ElementwiseFn::sub, b.scalar(c.dtype(0), 1), update));
    return Tensors{TRY(b.binary(ElementwiseFn::add, TRY(b.binary(ElementwiseFn::mul, rest, fresh)),
                                TRY(b.binary(ElementwiseFn::mul, update, s[0]))))};
  });
}

Result<Tensors> convert_rnn(Conversion& c) {
  TRY(c.want_inputs(3, 6));
  const Recurrent r = TRY(recurrent_of(c, 1, {"Tanh"}));
  return run(c, r, {5}, false, [&](int64_t d, const Gates& gates, int64_t t, const Tensors& s) -> Result<Tensors> {
    TensorId sum = TRY(clipped(c, r, TRY(gate(c, r, gates, 0, t, s[0]))));
    return Tensors{TRY(applied(c.builder, r.functions[static_cast<size_t>(d)], sum))};
  });
}

}  // namespace presil::onnx
