#include "runtime/activation_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <set>

#include "base/text.h"
#include "isa/slots.h"
#include "numerics/activation.h"
#include "numerics/convert.h"
#include "runtime/file.h"
#include "runtime/npy.h"

#undef NDEBUG
#define TOML_ASSERT(condition) static_assert(true)
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace presil::runtime {
namespace {

using numerics::ActivationPiece;
using numerics::ActivationTable;

constexpr size_t kFileBytesMax = 4 << 20;
constexpr size_t kNumbers = 6;  // of a piece

std::string place(const std::string& where, const toml::node& node) {
  return fmt::format("{}:{}", where, node.source().begin.line);
}

Result<ActivationPiece> read_piece(const toml::node& node, const std::string& where) {
  const toml::array* numbers = node.as_array();
  if (numbers == nullptr || numbers->size() != kNumbers)
    return bad_input("a piece is not [start, origin, c0, c1, c2, c3]", place(where, node));
  std::array<float, kNumbers> values{};
  for (size_t i = 0; i < kNumbers; ++i) {
    const auto value = numbers->get(i)->value<double>();
    if (!value) return bad_input("a piece is not six numbers", place(where, node));
    values[i] = static_cast<float>(*value);
  }
  return ActivationPiece{values[0], values[1], {values[2], values[3], values[4], values[5]}};
}

// The attribute that names an instruction's function, if it has one.
std::optional<uint32_t> function_slot(const isa::Instruction& i) {
  switch (i.opcode) {
    case isa::Opcode::activation:
    case isa::Opcode::activation_reduce:
    case isa::Opcode::activate2:
      return i.attribute_begin + isa::slots::activation::op;
    default:
      return std::nullopt;
  }
}

bool replaceable(Activation f) { return activation_table(f) != 0 && !is_custom(f); }

// body(function's attribute, graph node) for every instruction that applies a function which can be replaced.
template <class Body>
void for_each_function(isa::Executable& e, Body&& body) {
  for (isa::Program& queue : e.queues) {
    for (const isa::Instruction& i : queue.code) {
      const auto slot = function_slot(i);
      if (!slot || !replaceable(static_cast<Activation>(queue.attributes[*slot]))) continue;
      body(queue.attributes[*slot], i.source < e.sources.size() ? e.sources[i.source].graph_node : std::string());
    }
  }
}

Result<size_t> replace(isa::Executable& e, const Replacement& r, uint32_t custom) {
  const auto function = activation_from_name(r.name);
  std::set<uint32_t> found;
  for_each_function(e, [&](uint32_t f, const std::string& node) {
    if (function ? f == static_cast<uint32_t>(*function) : node == r.name) found.insert(f);
  });
  if (found.size() > 1) {
    std::vector<std::string_view> names;
    for (uint32_t f : found) names.push_back(activation_name(static_cast<Activation>(f)));
    return bad_input(fmt::format("layer '{}' applies {}; name one of them", r.name, fmt::join(names, ", ")),
                     "--activation");
  }
  size_t count = 0;
  for_each_function(e, [&](uint32_t& f, const std::string& node) {
    if (function ? f != static_cast<uint32_t>(*function) : node != r.name) return;
    f = custom, ++count;
  });
  return count;
}

Error not_there(isa::Executable& e, const std::string& name) {
  std::set<std::string> functions, nodes;
  for_each_function(e, [&](uint32_t f, const std::string& node) {
    functions.emplace(activation_name(static_cast<Activation>(f)));
    if (!node.empty()) nodes.insert(node);
  });
  std::vector<std::string> all(functions.begin(), functions.end());
  const std::string list = functions.empty() ? "no function" : fmt::format("{}", fmt::join(functions, ", "));
  all.insert(all.end(), nodes.begin(), nodes.end());
  return bad_input(fmt::format("nothing applies '{}'; the program applies {}", name, list), "--activation",
                   nearest_hint(name, all));
}

}  // namespace

std::string print_activation(const numerics::Fit& fit, const numerics::FitOptions& o, std::string_view origin) {
  const auto kind = numerics::kErrorKindNames[static_cast<size_t>(o.kind)];
  std::string out = fmt::format("# {}, {} to {}; {} error {:.3g} at {} of {} points.\n", origin, o.low, o.high, kind,
                                fit.error, fit.where, fit.points);
  auto to = std::back_inserter(out);
  fmt::format_to(to, "# Below: {}, above: {}. Pieces: from where, origin, coefficients of powers of x - origin.\n",
                 numerics::kOutsideNames[static_cast<size_t>(o.below)],
                 numerics::kOutsideNames[static_cast<size_t>(o.above)]);
  fmt::format_to(to, "name = \"{}\"\npieces = [\n", fit.table.name);
  // As doubles, whose shortest text gives the same float back.
  const auto text = [](float x) { return std::isinf(x) ? std::string("-inf") : fmt::format("{:#}", double{x}); };
  for (const ActivationPiece& p : fit.table.pieces) {
    fmt::format_to(to, "  [{}, {}", text(p.start), text(p.origin));
    for (float c : p.coefficients) fmt::format_to(to, ", {}", text(c));
    out += "],\n";
  }
  return out + "]\n";
}

Result<ActivationTable> parse_activation(std::string_view text, const std::string& where) {
  if (text.size() > kFileBytesMax)
    return bad_input(fmt::format("{} bytes, at most {}", text.size(), kFileBytesMax), where);
  toml::table file;
  try {
    file = toml::parse(text, where);
  } catch (const toml::parse_error& e) {
    return bad_input(std::string(e.description()), fmt::format("{}:{}", where, e.source().begin.line));
  }
  ActivationTable table;
  for (const auto& [key, node] : file) {
    if (key == "name") {
      const auto* name = node.as_string();
      if (name == nullptr || name->get().empty() || name->get().find('"') != std::string::npos)
        return bad_input("name is no text", place(where, node));
      table.name = name->get();
    } else if (key == "pieces") {
      const toml::array* pieces = node.as_array();
      if (pieces == nullptr) return bad_input("pieces is no list", place(where, node));
      for (const toml::node& piece : *pieces) table.pieces.push_back(TRY(read_piece(piece, where)));
    } else {
      const std::vector<std::string> known{"name", "pieces"};
      return bad_input(fmt::format("unknown key '{}'", key.str()), place(where, node), nearest_hint(key.str(), known));
    }
  }
  if (table.name.empty()) return bad_input("has no name", where);
  if (const std::string problem = problem_of(table); !problem.empty()) return bad_input(problem, where);
  return table;
}

Result<ActivationTable> read_activation(const std::string& path) {
  const auto bytes = TRY(read_file(path));
  return parse_activation({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
}

Result<std::pair<std::vector<double>, std::vector<double>>> read_samples(const std::string& path) {
  std::vector<double> x, y;
  if (path.ends_with(".npy")) {
    const Array a = TRY(read_npy(path));
    if (a.shape.size() != 2 || a.shape[1] != 2 || !is_float(a.dtype) || is_packed(a.dtype))
      return bad_input("is no [n, 2] array of floats", path);
    const size_t size = dtype_bytes(a.dtype);
    for (size_t i = 0; i < a.bytes.size() / size; ++i) {
      uint64_t bits = 0;
      std::memcpy(&bits, a.bytes.data() + i * size, size);
      (i % 2 == 0 ? x : y).push_back(numerics::to_fp32(a.dtype, bits));
    }
    return std::pair(std::move(x), std::move(y));
  }
  const auto bytes = TRY(read_file(path));
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (size_t number = 1; !rest.empty(); ++number) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.find_first_not_of(" \r") == std::string_view::npos) continue;
    double a = 0, b = 0;
    const char* stop = line.data() + line.size();
    auto first = std::from_chars(line.data(), stop, a);
    while (first.ec == std::errc{} && first.ptr < stop && (*first.ptr == ' ' || *first.ptr == ',')) ++first.ptr;
    const auto second = first.ec == std::errc{} ? std::from_chars(first.ptr, stop, b) : first;
    if (second.ec != std::errc{}) {
      if (number == 1) continue;  // names
      return bad_input(fmt::format("'{}' is not x,y", line), fmt::format("{}:{}", path, number));
    }
    x.push_back(a), y.push_back(b);
  }
  return std::pair(std::move(x), std::move(y));
}

Result<void> replace_activations(isa::Executable& e, std::span<const Replacement> replacements) {
  for (const Replacement& r : replacements) {
    if (const auto f = activation_from_name(r.name); f && !replaceable(*f))
      return bad_input(fmt::format("{} needs no table and may run on any engine", r.name), "--activation",
                       "name another function");
    if (e.activations.size() == kCustomActivations)
      return bad_input(fmt::format("more than {} tables in a program", kCustomActivations), "--activation");
    const auto custom = static_cast<uint32_t>(Activation::custom0) + static_cast<uint32_t>(e.activations.size());
    if (TRY(replace(e, r, custom)) == 0) return not_there(e, r.name);
    e.activations.push_back(r.table);
  }
  return {};
}

}  // namespace presil::runtime
