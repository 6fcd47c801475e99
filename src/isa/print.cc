#include "isa/print.h"

#include <fmt/format.h>

#include <cmath>

#include "base/check.h"
#include "base/hash.h"
#include "isa/pack.h"
#include "isa/rules.h"
#include "isa/text_form.h"
#include "isa/vocabulary.h"
#include "isa/walk.h"

namespace presil::isa {
namespace {

constexpr size_t kBase64Columns = 112;

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}
std::string in_quotes(std::string_view text) {
  std::string out;
  append_quoted(out, text);
  return out;
}

void append_deltas(std::string& out, const Program& p, const Instruction& i, Delta::Target target, size_t index) {
  char separator = '{';
  for (const Delta& d : p.deltas_of(i)) {
    if (d.target != target || d.index != index) continue;
    fmt::format_to(std::back_inserter(out), "{}{}{}{:+}", separator, d.of_register ? 'r' : 'L', d.level, d.step);
    separator = ' ';
  }
  if (separator == ' ') out += '}';
}

void append_view(std::string& out, const View& view) {
  auto to = std::back_inserter(out);
  fmt::format_to(to, "{}.{}[", memory_name(view.memory), dtype_name(view.dtype));
  size_t start = out.size();
  if (view.base != kAbsolute) fmt::format_to(to, "%{} ", view.base);
  if (view.peer != 0) out += "peer ";
  if (view.partition != 0 || view.partitions != 1) fmt::format_to(to, "p{}+{} ", view.partition, view.partitions);
  if (view.offset != 0) fmt::format_to(to, "@{} ", view.offset);
  for (size_t d = 0; d < view.rank; ++d) {
    const Dim& dim = view.dims[d];
    fmt::format_to(to, "{}", dim.count);
    if (dim.step != natural_step(view, d)) fmt::format_to(to, ":{}", dim.step);
    out += ' ';
  }
  if (out.size() > start) out.pop_back();
  out += ']';
}

void append_instruction(std::string& out, const Program& p, const Instruction& i) {
  auto to = std::back_inserter(out);
  const InstructionRow& r = row(i.opcode);
  out += engine_name(i.engine);
  if (i.engine_index != 0) fmt::format_to(to, ".{}", i.engine_index);
  fmt::format_to(to, " {}", r.name);
  for (size_t k = 0; k < r.operands.size(); ++k) {
    const View& view = p.operand(i, static_cast<int>(k));
    if (!view.present()) continue;
    fmt::format_to(to, " {}=", r.operands[k].name);
    append_view(out, view);
    append_deltas(out, p, i, Delta::Target::operand, k);
  }
  for (size_t k = 0; k < r.attributes.size(); ++k) {
    uint32_t word = p.word(i, static_cast<int>(k));
    if (word == r.attributes[k].initial) continue;
    fmt::format_to(to, " {}={}", r.attributes[k].name, print(r.attributes[k].kind, word));
  }
  if (i.dma_queue != 0) fmt::format_to(to, " queue={}", i.dma_queue);
  std::span<const Wait> waits = p.waits_of(i);
  for (size_t k = 0; k < waits.size(); ++k) {
    fmt::format_to(to, " wait=s{}>={}", waits[k].semaphore, waits[k].value);
    append_deltas(out, p, i, Delta::Target::wait, k);
  }
  if (i.signal != kNoSemaphore) {
    constexpr std::string_view whose[kSignalToCount] = {"", "peer.", "both."};
    fmt::format_to(to, " signal={}s{}", whose[static_cast<size_t>(i.signal_to)], i.signal);
  }
  if (i.source != kNoSource) fmt::format_to(to, " source={}", i.source);
}

// Indented by two per level; `level` is that of the program's own lines.
void append_program(std::string& out, const Program& p, size_t level) {
  std::vector<Finding> findings = check_structure(p);
  CHECK(findings.empty(), findings[0].text());
  std::vector<uint32_t> open;  // ends
  size_t next = 0;
  auto indent = [&] { out.append(2 * (level + open.size()), ' '); };
  for (uint32_t n = 0; n <= p.code.size(); ++n) {
    while (!open.empty() && open.back() == n) {
      open.pop_back();
      indent();
      out += "}\n";
    }
    if (n == p.code.size()) break;
    for (; next < p.repeats.size() && p.repeats[next].first == n; ++next) {
      indent();
      fmt::format_to(std::back_inserter(out), "repeat {} {{\n", p.repeats[next].count);
      open.push_back(p.repeats[next].last);
    }
    indent();
    append_instruction(out, p, p.code[n]);
    out += '\n';
  }
}

void append_tensor(std::string& out, const HbmTensor& t) {
  auto to = std::back_inserter(out);
  fmt::format_to(to, "tensor {} {} {}[{}] address={} bytes={}", role_name(t.role), in_quotes(t.name),
                 dtype_name(t.dtype), fmt::join(t.shape, " "), t.address, t.bytes);
  if (t.split_axis != HbmTensor::kNotSplit) fmt::format_to(to, " split={}", t.split_axis);
  if (!t.data.empty()) {
    fmt::format_to(to, " data={} xxh3={} {{\n", t.data.size(), hash_name(hash_bytes(t.data)));
    std::string digits = base64(packed(t.data));
    for (size_t i = 0; i < digits.size(); i += kBase64Columns) {
      fmt::format_to(to, "  {}\n", std::string_view(digits).substr(i, kBase64Columns));
    }
    out += '}';
  }
  out += '\n';
}

void append_settings(std::string& out, const Executable& e) {
  auto to = std::back_inserter(out);
  if (e.modes != Modes{}) {
    fmt::format_to(to, "modes stochastic={} seed={} cfp8_bias={}\n", e.modes.stochastic_rounding ? 1 : 0,
                   e.modes.rounding_seed, e.modes.cfp8_bias);
  }
  for (const numerics::ActivationTable& t : e.activations) {
    fmt::format_to(to, "activation {} {{\n", in_quotes(t.name));
    for (const numerics::ActivationPiece& p : t.pieces) {
      fmt::format_to(to, "  {} {}", p.start, p.origin);
      for (float c : p.coefficients) fmt::format_to(to, " {}", c);
      out += '\n';
    }
    out += "}\n";
  }
}

}  // namespace

std::string print(AttributeKind kind, uint32_t word) {
  std::span<const std::string> names = value_names(kind);
  if (word < names.size()) return names[word];
  if (kind == AttributeKind::sequencer_register) return word == kNoRegister ? "none" : fmt::format("r{}", word);
  if (kind == AttributeKind::i32) return fmt::format("{}", static_cast<int32_t>(word));
  if (kind == AttributeKind::bits) return fmt::format("{:#010x}", word);
  if (kind != AttributeKind::f32) return fmt::format("{}", word);
  float value = std::bit_cast<float>(word);
  return std::isnan(value) ? fmt::format("{:#010x}", word) : fmt::format("{}", value);
}

std::string print(const View& view) {
  std::string out;
  append_view(out, view);
  return out;
}

std::string print(const Program& program, const Instruction& instruction) {
  std::string out;
  append_instruction(out, program, instruction);
  return out;
}

std::string print(const Program& program) {
  std::string out;
  append_program(out, program, 0);
  return out;
}

std::string print(const Executable& e) {
  std::string out = fmt::format("presil executable {}\n", kTextVersion);
  auto to = std::back_inserter(out);
  fmt::format_to(to, "chip {} {}\nmodel {}\nprecision {}\n", in_quotes(e.chip), hash_name(e.spec_hash),
                 in_quotes(e.model), in_quotes(e.precision));
  if (e.cores != 1) fmt::format_to(to, "cores {}\n", e.cores);
  if (e.lnc != 1) fmt::format_to(to, "lnc {}\n", e.lnc);
  fmt::format_to(to, "semaphores {}\nhbm_bytes {}\n", e.semaphores, e.hbm_bytes);
  append_settings(out, e);
  for (const Program& queue : e.queues) {
    out += queue.core == 0 ? "queue {\n" : fmt::format("queue core={} {{\n", queue.core);
    append_program(out, queue, 1);
    out += "}\n";
  }
  for (size_t n = 0; n < e.layers.size(); ++n) {
    const Layer& l = e.layers[n];
    fmt::format_to(to, "layer {} {} {} macs={} bytes={}\n", n, in_quotes(l.name), in_quotes(l.kind), l.macs, l.bytes);
  }
  for (size_t n = 0; n < e.sources.size(); ++n) {
    const Source& s = e.sources[n];
    fmt::format_to(to, "source {} layer={} {} {}\n", n, s.layer, in_quotes(s.tile_op), in_quotes(s.graph_node));
  }
  for (const HbmTensor& t : e.tensors) append_tensor(out, t);
  return out;
}

}  // namespace presil::isa
