#include "isa/program_parser.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "isa/text_form.h"
#include "isa/vocabulary.h"

namespace presil::isa {
namespace {

constexpr size_t kLevelsMax = 256;  // a delta names its level with 8 bits
constexpr size_t kPerInstructionMax = 255;

// Steps left out continue the inner dimension.
Result<void> complete_steps(Cursor& c, View& v, const std::array<bool, kMaxRank>& has_step) {
  for (size_t d = 0; d < v.rank; ++d) {
    if (has_step[d]) continue;
    int64_t step = natural_step(v, d);
    if (step > INT32_MAX) return c.error_at(fmt::format("dimension {} needs its step: {} does not fit", d, step));
    v.dims[d].step = static_cast<int32_t>(step);
  }
  return {};
}

Result<View> parse_view(Cursor& c) {
  const Vocabulary& names = vocabulary();
  View v;
  v.memory = static_cast<Memory>(TRY(c.one_of("a memory", names.memories)));
  if (!v.present()) return c.error_at("an operand in memory none; leave it out instead");
  TRY(c.expect("."));
  v.dtype = static_cast<DType>(TRY(c.one_of("a type", names.dtypes)));
  TRY(c.expect("["));
  if (c.accept("%")) v.base = TRY(c.integer<uint32_t>("a tile or tensor"));
  if (c.accept_word("peer")) v.peer = 1;
  if (c.accept("p")) {
    v.partition = TRY(c.integer<uint16_t>("a partition"));
    TRY(c.expect("+"));
    v.partitions = TRY(c.integer<uint16_t>("a number of partitions"));
  }
  if (c.accept("@")) v.offset = TRY(c.integer<int64_t>("an offset"));
  std::array<bool, kMaxRank> has_step{};
  while (!c.accept("]")) {
    if (v.rank == kMaxRank) return c.error(fmt::format("] after {} dimensions", kMaxRank));
    Dim& dim = v.dims[v.rank];
    dim.count = TRY(c.integer<uint32_t>("a count or ]"));
    has_step[v.rank] = c.accept(":");
    if (has_step[v.rank]) dim.step = TRY(c.integer<int32_t>("a step"));
    ++v.rank;
  }
  TRY(complete_steps(c, v, has_step));
  return v;
}

Result<uint32_t> parse_value(Cursor& c, AttributeKind kind) {
  bool real = kind == AttributeKind::f32;
  if (real || kind == AttributeKind::bits) {
    if (c.accept("0x")) return static_cast<uint32_t>(TRY(c.hex("eight hexadecimal digits after 0x", 8)));
    if (!real) return c.error("0x and eight hexadecimal digits");
    return std::bit_cast<uint32_t>(TRY(c.real("a number")));
  }
  if (kind == AttributeKind::sequencer_register) {
    if (c.accept_word("none")) return kNoRegister;
    TRY(c.expect("r"));
    return TRY(c.integer<uint32_t>("a register"));
  }
  if (kind == AttributeKind::i32) return static_cast<uint32_t>(TRY(c.integer<int32_t>("an integer")));
  std::span<const std::string> names = value_names(kind);
  if (names.empty() || c.digit_next()) return TRY(c.integer<uint32_t>("a number"));
  return static_cast<uint32_t>(TRY(c.one_of("an operator", names)));
}

}  // namespace

Result<void> ProgramParser::line(Cursor& c) {
  if (c.accept_word("repeat")) return open_repeat(c);
  const Vocabulary& names = vocabulary();
  auto engine = static_cast<EngineKind>(TRY(c.one_of("an engine or 'repeat'", names.engines)));
  uint8_t index = c.accept(".") ? TRY(c.integer<uint8_t>("an engine's index")) : 0;
  auto opcode = static_cast<Opcode>(TRY(c.one_of("an instruction", names.opcodes)));
  program_.append(opcode, engine).engine_index = index;
  std::vector<std::string_view> seen;
  while (!c.done()) {
    std::string_view key = c.word();
    if (key.empty()) return c.error("a field");
    if (key != "wait" && std::ranges::find(seen, key) != seen.end()) return c.error_at(fmt::format("'{}' twice", key));
    seen.push_back(key);
    TRY(c.expect("="));
    TRY(field(c, key));
  }
  return {};
}

Result<void> ProgramParser::field(Cursor& c, std::string_view key) {
  Instruction& i = program_.code.back();
  if (TRY(operand_or_attribute(c, key))) return {};
  if (key == "wait") return wait(c);
  if (key == "queue") {
    i.dma_queue = TRY(c.integer<uint8_t>("a queue"));
  } else if (key == "signal") {
    i.signal_to = c.accept("peer.") ? SignalTo::peer : c.accept("both.") ? SignalTo::both : SignalTo::own;
    TRY(c.expect("s"));
    i.signal = TRY(c.integer<uint16_t>("a semaphore"));
  } else if (key == "source") {
    i.source = TRY(c.integer<uint32_t>("a source"));
  } else {
    return unknown(c, key);
  }
  return {};
}

Result<bool> ProgramParser::operand_or_attribute(Cursor& c, std::string_view key) {
  Instruction& i = program_.code.back();
  const InstructionRow& r = row(i.opcode);
  for (size_t k = 0; k < r.operands.size(); ++k) {
    if (r.operands[k].name != key) continue;
    program_.views[i.operand_begin + k] = TRY(parse_view(c));
    TRY(deltas(c, Delta::Target::operand, k));
    return true;
  }
  for (size_t k = 0; k < r.attributes.size(); ++k) {
    if (r.attributes[k].name != key) continue;
    program_.attributes[i.attribute_begin + k] = TRY(parse_value(c, r.attributes[k].kind));
    return true;
  }
  return false;
}

Result<void> ProgramParser::wait(Cursor& c) {
  Instruction& i = program_.code.back();
  if (i.wait_count == kPerInstructionMax) return c.error_at(fmt::format("more than {} waits", kPerInstructionMax));
  Wait w;
  TRY(c.expect("s"));
  w.semaphore = TRY(c.integer<uint16_t>("a semaphore"));
  TRY(c.expect(">="));
  w.value = TRY(c.integer<uint32_t>("a value"));
  program_.waits.push_back(w);
  ++i.wait_count;
  return deltas(c, Delta::Target::wait, i.wait_count - 1u);
}

Result<void> ProgramParser::deltas(Cursor& c, Delta::Target target, size_t index) {
  Instruction& i = program_.code.back();
  if (!c.accept("{")) return {};
  while (!c.accept("}")) {
    Delta d{target, static_cast<uint8_t>(index), 0, 0};
    d.of_register = c.accept("r");
    if (!d.of_register) TRY(c.expect("L"));
    d.level = TRY(c.integer<uint16_t>(d.of_register ? "a register" : "a repeat's level"));
    if (!d.of_register && d.level >= open_.size()) {
      return c.error_at(fmt::format("repeat level {}, {} are around the instruction", d.level, open_.size()));
    }
    d.step = TRY(c.integer<int64_t>("a step"));
    if (i.delta_count == kPerInstructionMax) return c.error_at(fmt::format("more than {} steps", kPerInstructionMax));
    program_.deltas.push_back(d);
    ++i.delta_count;
  }
  return {};
}

Error ProgramParser::unknown(Cursor& c, std::string_view key) {
  const InstructionRow& r = row(program_.code.back().opcode);
  std::vector<std::string> known{"queue", "wait", "signal", "source"};
  for (const OperandRow& o : r.operands) known.emplace_back(o.name);
  for (const AttributeRow& a : r.attributes) known.emplace_back(a.name);
  return c.error_at(fmt::format("{} has no '{}'", r.name, key), nearest_hint(key, known));
}

Result<void> ProgramParser::open_repeat(Cursor& c) {
  Repeat r;
  r.first = static_cast<uint32_t>(program_.code.size());
  r.count = TRY(c.integer<uint32_t>("a number of iterations", 1));
  TRY(c.expect("{"));
  TRY(c.expect_end());
  if (open_.size() == kLevelsMax) return c.error_at(fmt::format("more than {} repeats inside each other", kLevelsMax));
  open_.push_back({program_.repeats.size(), c.error_at("this repeat is not closed")});
  program_.repeats.push_back(r);
  return {};
}

Result<void> ProgramParser::close_repeat(Cursor& c) {
  Repeat& r = program_.repeats[open_.back().repeat];
  r.last = static_cast<uint32_t>(program_.code.size());
  if (r.first == r.last) return c.error_at("a repeat without instructions");
  open_.pop_back();
  return c.expect_end();
}

Result<Program> ProgramParser::finish() && {
  if (!open_.empty()) return open_.back().not_closed;
  return std::move(program_);
}

}  // namespace presil::isa
