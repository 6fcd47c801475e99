#include "compiler/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <sstream>

#include "base/text.h"
#include "compiler/steps.h"

namespace presil::compiler {
namespace {

constexpr std::array<std::string_view, kStepKindCount> kStepKindNames = {
    "conv",   "packed_conv",   "depthwise", "conv_transpose", "linear",     "matmul",      "gemm",   "pool",
    "resize", "resize_matmul", "reduce",    "softmax",        "layer_norm", "elementwise", "stream", "view",
    "concat", "pad",           "gather",    "expand",         "attention",  "unfold"};
constexpr std::array<std::string_view, 4> kLocationNames = {"none", "hbm", "sbuf", "local"};
constexpr uint32_t kPlanVersion = 1;
constexpr size_t kCountMax = 10'000'000;

// A name as one word: whatever would end a word is written %XX, and so is what stands for no name.
std::string escaped(std::string_view name) {
  if (name == "-") return "%2d";
  std::string out;
  for (unsigned char c : name) {
    if (c <= ' ' || c == '%' || c == '#' || c == '=' || c == 0x7f)
      out += fmt::format("%{:02x}", c);
    else
      out += static_cast<char>(c);
  }
  return out;
}
std::string unescaped(std::string_view word) {
  std::string out;
  for (size_t i = 0; i < word.size(); ++i) {
    unsigned value = 0;
    bool code = word[i] == '%' && i + 2 < word.size() &&
                std::from_chars(word.data() + i + 1, word.data() + i + 3, value, 16).ptr == word.data() + i + 3;
    if (code)
      out += static_cast<char>(value), i += 2;
    else
      out += word[i];
  }
  return out;
}

// A line of `key=value` words after its first word.
struct Line {
  int number = 0;
  std::string kind;
  std::vector<std::pair<std::string, std::string>> words;

  std::string where() const { return fmt::format("plan:{}", number); }
  // Every word is one of `keys`.
  Result<void> only(std::vector<std::string> keys) const {
    for (const auto& [name, value] : words) {
      if (std::find(keys.begin(), keys.end(), name) == keys.end()) {
        return bad_input(fmt::format("'{}' has no word '{}'", kind, name), where(), nearest_hint(name, keys));
      }
    }
    return {};
  }
  Result<std::string> text(std::string_view key) const {
    for (const auto& [name, value] : words) {
      if (name == key) return value;
    }
    return bad_input(fmt::format("'{}' has no '{}='", kind, key), where());
  }
  template <class T>
  Result<T> number_of(std::string_view key) const {
    std::string value = TRY(text(key));
    T result{};
    auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
    bool finite = true;
    if constexpr (std::is_floating_point_v<T>) finite = std::isfinite(result);
    if (error != std::errc() || end != value.data() + value.size() || !finite) {
      return bad_input(fmt::format("'{}={}' is not a number in range", key, value), where());
    }
    return result;
  }
};

Line split(const std::string& text, int number) {
  Line line{.number = number, .kind = {}, .words = {}};
  std::istringstream in(text.substr(0, text.find('#')));
  in >> line.kind;
  for (std::string word; in >> word;) {
    size_t equals = word.find('=');
    line.words.emplace_back(word.substr(0, equals), equals == std::string::npos ? "" : word.substr(equals + 1));
  }
  return line;
}

template <size_t N>
Result<size_t> index_of(const std::array<std::string_view, N>& names, const std::string& name, const Line& line,
                        std::string_view what) {
  std::vector<std::string> candidates;
  for (size_t i = 0; i < N; ++i) {
    if (names[i] == name) return i;
    candidates.emplace_back(names[i]);
  }
  return bad_input(fmt::format("'{}' is not a {}", name, what), line.where(), nearest_hint(name, candidates));
}

Result<Step> parse_step(const Line& line) {
  Step step;
  step.kind = static_cast<StepKind>(TRY(index_of(kStepKindNames, TRY(line.text("kind")), line, "kind of step")));
  step.anchor = TRY(line.number_of<uint32_t>("anchor"));
  step.output = graph::TensorId(TRY(line.number_of<uint32_t>("output")));
  std::istringstream chain(TRY(line.text("chain")));
  for (std::string item; std::getline(chain, item, ',');) {
    uint32_t node = 0;
    auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), node);
    if (error != std::errc() || end != item.data() + item.size())
      return bad_input(fmt::format("chain entry '{}' is not a node number", item), line.where());
    step.chain.push_back(node);
  }
  if (step.kind == StepKind::gemm) {
    step.blocking = {TRY(line.number_of<int64_t>("m_block")), TRY(line.number_of<int64_t>("n_block"))};
  }
  step.estimate_seconds = TRY(line.number_of<double>("estimate_seconds"));
  return step;
}

}  // namespace

bool Step::operator==(const Step& o) const {
  return kind == o.kind && anchor == o.anchor && chain == o.chain && output == o.output &&
         blocking.m_block == o.blocking.m_block && blocking.n_block == o.blocking.n_block &&
         estimate_seconds == o.estimate_seconds;
}

std::string_view step_kind_name(StepKind k) { return kStepKindNames[static_cast<size_t>(k)]; }

std::string print(const Plan& plan, const graph::Graph* graph) {
  std::string out = fmt::format("plan version={} model={} chip={} spec={:016x} precision={} cores={}\n", kPlanVersion,
                                plan.model.empty() ? "-" : escaped(plan.model), plan.chip, plan.spec_hash,
                                plan.precision, plan.cores);
  for (const Stage& s : plan.stages) {
    out += fmt::format("stage first={} last={} bands={}{}\n", s.first, s.last, s.bands, s.by_image ? " by=image" : "");
  }
  for (const Step& s : plan.steps) {
    out += fmt::format("step kind={} anchor={} output={} chain={}", step_kind_name(s.kind), s.anchor, s.output.value,
                       fmt::join(s.chain, ","));
    if (s.kind == StepKind::gemm) out += fmt::format(" m_block={} n_block={}", s.blocking.m_block, s.blocking.n_block);
    out += fmt::format(" estimate_seconds={}", s.estimate_seconds);
    if (graph != nullptr) out += fmt::format("  # {}", name_of(*graph, s));
    out += "\n";
  }
  for (size_t i = 0; i < plan.tensors.size(); ++i) {
    out += fmt::format("tensor id={} location={} dtype={}", i, kLocationNames[static_cast<size_t>(plan.tensors[i])],
                       dtype_name(plan.dtypes[i]));
    if (graph != nullptr)
      out += fmt::format("  # {} {}[{}]", graph->tensors[i].name, dtype_name(graph->tensors[i].dtype),
                         fmt::join(graph->tensors[i].shape, "x"));
    out += "\n";
  }
  return out;
}

Result<Plan> parse_plan(std::string_view text) {
  Plan plan;
  std::istringstream in{std::string(text)};
  std::string raw;
  bool header = false;
  for (int number = 1; std::getline(in, raw); ++number) {
    Line line = split(raw, number);
    if (line.kind.empty()) continue;
    if (!header && line.kind != "plan")
      return bad_input(fmt::format("a plan begins with 'plan version=...', found '{}'", line.kind), line.where());
    if (line.kind == "plan") {
      TRY(line.only({"version", "model", "chip", "spec", "precision", "cores"}));
      uint32_t version = TRY(line.number_of<uint32_t>("version"));
      if (version != kPlanVersion)
        return bad_input(fmt::format("plan version {}, this presil reads {}", version, kPlanVersion), line.where());
      if (header) return bad_input("a second line 'plan'", line.where());
      std::string model = TRY(line.text("model"));
      if (model != "-") plan.model = unescaped(model);
      plan.chip = TRY(line.text("chip"));
      plan.precision = TRY(line.text("precision"));
      if (line.text("cores")) plan.cores = TRY(line.number_of<uint32_t>("cores"));
      std::string hash = TRY(line.text("spec"));
      auto [end, error] = std::from_chars(hash.data(), hash.data() + hash.size(), plan.spec_hash, 16);
      if (error != std::errc() || end != hash.data() + hash.size())
        return bad_input(fmt::format("spec hash '{}' is not hexadecimal", hash), line.where());
      header = true;
    } else if (line.kind == "stage") {
      TRY(line.only({"first", "last", "bands", "by"}));
      Result<std::string> by = line.text("by");
      if (by && *by != "image") return bad_input(fmt::format("'by={}' is not 'by=image'", *by), line.where());
      plan.stages.push_back({TRY(line.number_of<uint32_t>("first")), TRY(line.number_of<uint32_t>("last")),
                             TRY(line.number_of<uint32_t>("bands")), by.has_value()});
    } else if (line.kind == "step") {
      TRY(line.only({"kind", "anchor", "output", "chain", "m_block", "n_block", "estimate_seconds"}));
      plan.steps.push_back(TRY(parse_step(line)));
    } else if (line.kind == "tensor") {
      TRY(line.only({"id", "location", "dtype"}));
      uint32_t id = TRY(line.number_of<uint32_t>("id"));
      if (id != plan.tensors.size() || id > kCountMax)
        return bad_input(fmt::format("tensor id {} where {} is next", id, plan.tensors.size()), line.where());
      plan.tensors.push_back(
          static_cast<Location>(TRY(index_of(kLocationNames, TRY(line.text("location")), line, "location"))));
      std::string name = TRY(line.text("dtype"));
      auto dtype = dtype_from_name(name);
      if (!dtype) return bad_input(fmt::format("'{}' is not a dtype", name), line.where());
      plan.dtypes.push_back(*dtype);
    } else {
      return bad_input(fmt::format("'{}' is not a line of a plan", line.kind), line.where(),
                       nearest_hint(line.kind, std::vector<std::string>{"plan", "stage", "step", "tensor"}));
    }
  }
  if (!header) return bad_input("the plan is empty");
  return plan;
}

}  // namespace presil::compiler
