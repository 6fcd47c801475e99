#include "graph/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

namespace presil::graph {
namespace {

constexpr std::array<std::string_view, kOpCount> kOpNames = {
    "elementwise", "cast",       "matmul", "conv",    "conv_transpose", "pool",  "reduce",
    "softmax",     "layer_norm", "resize", "reshape", "transpose",      "slice", "concat",
    "pad",         "gather",     "expand", "select",  "enter",          "leave"};

constexpr std::array<std::string_view, kElementwiseFnCount> kElementwiseNames = {
    "identity",      "neg",         "abs",        "sign",        "exp",        "log",         "sqrt",
    "rsqrt",         "reciprocal",  "square",     "sigmoid",     "tanh",       "erf",         "gelu",
    "gelu_tanh",     "silu",        "softplus",   "mish",        "relu",       "leaky_relu",  "hard_sigmoid",
    "hard_swish",    "elu",         "floor",      "ceil",        "trunc",      "round",       "sin",
    "cos",           "logical_not", "clip",       "saturate",    "add",        "sub",         "mul",
    "div",           "pow",         "max",        "min",         "mod",        "equal",       "greater",
    "greater_equal", "less",        "less_equal", "logical_and", "logical_or", "logical_xor", "where"};

}  // namespace

std::string_view op_name(Op op) { return kOpNames[static_cast<size_t>(op)]; }

std::string_view elementwise_name(ElementwiseFn fn) { return kElementwiseNames[static_cast<size_t>(fn)]; }

int elementwise_arity(ElementwiseFn fn) {
  if (fn == ElementwiseFn::where) return 3;
  return fn >= ElementwiseFn::add ? 2 : 1;
}

std::string op_histogram(const Graph& graph) {
  std::map<std::string, int> counts;
  for (const Node& node : graph.nodes) {
    std::string name(op_name(node.op));
    if (node.op == Op::elementwise) name += fmt::format(".{}", elementwise_name(node.attrs.fn));
    ++counts[name];
  }
  std::vector<std::pair<std::string, int>> rows(counts.begin(), counts.end());
  std::ranges::stable_sort(rows, [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string out;
  for (const auto& [name, count] : rows) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name, count);
  return out;
}

}  // namespace presil::graph
