// The reading half of text.h: a line scanner, then one function per kind of line.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/text.h"
#include "graph/attribute_table.h"
#include "graph/fold.h"
#include "graph/host_tensor.h"
#include "graph/shape.h"
#include "graph/text.h"

namespace presil::graph {
namespace {

class Scanner {
 public:
  Scanner(std::string_view line, int number) : rest_(line), number_(number) {}

  bool done() {
    skip_spaces();
    return rest_.empty();
  }
  bool accept(std::string_view token) {
    skip_spaces();
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  Result<void> expect(std::string_view token) {
    if (accept(token)) return {};
    return error(fmt::format("expected '{}'", token));
  }
  std::string word() {
    skip_spaces();
    size_t end = 0;
    while (end < rest_.size() && (std::isalnum(static_cast<unsigned char>(rest_[end])) || rest_[end] == '_')) ++end;
    std::string out(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return out;
  }
  template <class Number>
  Result<Number> number() {
    skip_spaces();
    Number value{};
    auto [end, failed] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (failed != std::errc()) return error("expected a number");
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return value;
  }
  template <class Number>
  Result<std::vector<Number>> list() {
    TRY(expect("["));
    std::vector<Number> out;
    while (!accept("]")) {
      if (!out.empty()) TRY(expect(","));
      out.push_back(TRY(number<Number>()));
    }
    return out;
  }
  Result<TensorId> id() {
    TRY(expect("%"));
    uint32_t value = TRY(number<uint32_t>());
    if (value > kTensorsMax) return error(fmt::format("tensor %{} is beyond %{}", value, kTensorsMax));
    return TensorId(value);
  }
  Result<std::string> string() {
    TRY(expect("\""));
    std::string out;
    while (!rest_.empty() && rest_.front() != '"') {
      char c = take();
      if (c == '\\' && !rest_.empty()) c = rest_.front() == 'x' ? TRY(hexadecimal()) : take();
      out += c;
    }
    TRY(expect("\""));
    return out;
  }
  Error error(std::string message, std::string hint = {}) const {
    std::string found = rest_.empty() ? "the end of the line" : fmt::format("'{}'", rest_.substr(0, 20));
    return bad_input(fmt::format("{}, found {}", message, found), fmt::format("line {}", number_), std::move(hint));
  }

 private:
  static constexpr uint32_t kTensorsMax = 1 << 20;

  void skip_spaces() {
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
  }
  char take() {
    char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }
  Result<char> hexadecimal() {
    unsigned value = 0;
    if (rest_.size() < 3) return error("expected \\xHH");
    auto [end, failed] = std::from_chars(rest_.data() + 1, rest_.data() + 3, value, 16);
    if (failed != std::errc() || end != rest_.data() + 3) return error("expected \\xHH");
    rest_.remove_prefix(3);
    return static_cast<char>(value);
  }

  std::string_view rest_;
  int number_;
};

// The tensor that a line declares, at its place in the graph.
Result<TensorId> declare(Graph& graph, std::vector<bool>& declared, Scanner& s) {
  TensorId id = TRY(s.id());
  if (id.value >= graph.tensors.size()) {
    graph.tensors.resize(id.value + 1);
    declared.resize(id.value + 1, false);
  }
  if (declared[id.value]) return s.error(fmt::format("tensor %{} is declared twice", id.value));
  declared[id.value] = true;
  std::string type = s.word();
  std::optional<DType> dtype = dtype_from_name(type);
  if (!dtype) return s.error(fmt::format("'{}' is no element type", type));
  Shape shape = TRY(s.list<int64_t>());
  if (!checked_count(shape)) return s.error(fmt::format("shape {} is negative or too large", shape_text(shape)));
  graph.at(id) = {.name = TRY(s.string()), .dtype = *dtype, .shape = std::move(shape)};
  return id;
}

Result<void> read_constant(Graph& graph, std::vector<bool>& declared, Scanner& s) {
  Tensor& t = graph.at(TRY(declare(graph, declared, s)));
  t.constant = true;
  int64_t bytes = element_count(t.shape) * static_cast<int64_t>(dtype_bytes(t.dtype));
  t.causal = s.accept("causal");
  t.opaque = s.accept("opaque");
  if (!s.accept("=")) {
    t.opaque = t.opaque || bytes > kSmallConstantBytes;
    return {};
  }
  std::vector<std::byte> data;
  if (is_float(t.dtype)) {
    std::vector<float> values = TRY(s.list<float>());
    data = store_floats(t.dtype, std::vector<double>(values.begin(), values.end()));
  } else {
    data = store_integers(t.dtype, TRY(s.list<int64_t>()));
  }
  t.data = std::make_shared<const std::vector<std::byte>>(std::move(data));
  return {};
}

Result<void> set_operation(Node& node, const std::string& name, const Scanner& s) {
  std::vector<std::string> names;
  for (int i = 0; i < kOpCount; ++i) {
    Op op = static_cast<Op>(i);
    if (op == Op::elementwise) continue;
    if (op_name(op) == name) node.op = op;
    names.emplace_back(op_name(op));
  }
  for (int i = 0; i < kElementwiseFnCount; ++i) {
    ElementwiseFn fn = static_cast<ElementwiseFn>(i);
    if (elementwise_name(fn) == name) node.attrs.fn = fn;
    names.emplace_back(elementwise_name(fn));
  }
  if (std::ranges::count(names, name) > 0) return {};
  return s.error(fmt::format("there is no op '{}'", name), nearest_hint(name, names));
}

Result<bool> read_enum(Attributes& attrs, const std::string& field, Scanner& s) {
  bool known = false, valid = false;
  std::string value;
  for_each_enum_field([&](std::string_view name, auto member, std::span<const std::string_view> names) {
    if (name != field) return;
    known = true;
    value = s.word();
    auto found = std::ranges::find(names, value);
    valid = found != names.end();
    using Enum = std::remove_reference_t<decltype(attrs.*member)>;
    if (valid) attrs.*member = static_cast<Enum>(found - names.begin());
  });
  if (known && !valid) return s.error(fmt::format("'{}' is no value of {}", value, field));
  return known;
}

Result<void> read_attribute(Attributes& attrs, Scanner& s) {
  std::string field = s.word();
  TRY(s.expect("="));
  for (const auto& [name, member] : kListFields) {
    if (name != field) continue;
    attrs.*member = TRY(s.list<int64_t>());
    return {};
  }
  for (const auto& [name, member] : kFloatFields) {
    if (name != field) continue;
    attrs.*member = TRY(s.number<float>());
    return {};
  }
  for (const auto& [name, member] : kBoolFields) {
    if (name != field) continue;
    attrs.*member = s.accept("true");
    if (!(attrs.*member)) TRY(s.expect("false"));
    return {};
  }
  if (field == "group") {
    attrs.group = TRY(s.number<int64_t>());
  } else if (field == "scales") {
    attrs.scales = TRY(s.list<float>());
  } else if (!TRY(read_enum(attrs, field, s))) {
    return s.error(fmt::format("there is no attribute '{}'", field));
  }
  return {};
}

Result<void> read_node(Graph& graph, std::vector<bool>& declared, Scanner& s) {
  Node node;
  node.output = TRY(declare(graph, declared, s));
  TRY(s.expect("="));
  TRY(set_operation(node, s.word(), s));
  TRY(s.expect("("));
  while (!s.accept(")")) {
    if (!node.inputs.empty()) TRY(s.expect(","));
    node.inputs.push_back(TRY(s.id()));
  }
  while (!s.accept("from")) TRY(read_attribute(node.attrs, s));
  node.source = TRY(s.string());
  graph.nodes.push_back(std::move(node));
  return {};
}

Result<void> read_line(Graph& graph, std::vector<bool>& declared, Scanner& s) {
  if (s.accept("input ")) {
    graph.inputs.push_back(TRY(declare(graph, declared, s)));
  } else if (s.accept("constant ")) {
    TRY(read_constant(graph, declared, s));
  } else if (s.accept("output ")) {
    graph.outputs.push_back(TRY(s.id()));
  } else if (s.accept("graph ")) {
    graph.name = TRY(s.string());
  } else {
    TRY(read_node(graph, declared, s));
  }
  return s.done() ? Result<void>() : s.error("expected the end of the line");
}

}  // namespace

Result<Graph> parse(std::string_view text) {
  Graph graph;
  std::vector<bool> declared;
  for (int number = 1; !text.empty(); ++number) {
    size_t end = std::min(text.find('\n'), text.size());
    Scanner scanner(text.substr(0, end), number);
    if (!scanner.done()) TRY(read_line(graph, declared, scanner));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  for (const Finding& finding : verify(graph)) return bad_input(finding.message, finding.where);
  return graph;
}

}  // namespace presil::graph
