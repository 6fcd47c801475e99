#include "isa/parse.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "isa/pack.h"
#include "isa/program_parser.h"
#include "isa/text_form.h"
#include "isa/vocabulary.h"

namespace presil::isa {
namespace {

// The lines of a text that hold something.
class Lines {
 public:
  Lines(std::string_view text, std::string_view file) : rest_(text), file_(file) {}

  bool next() {
    while (!rest_.empty()) {
      size_t end = std::min(rest_.find('\n'), rest_.size());
      line_ = rest_.substr(0, end);
      rest_.remove_prefix(std::min(end + 1, rest_.size()));
      ++number_;
      if (!Cursor(line_, {}).done()) return true;
    }
    line_ = {};
    return false;
  }
  Cursor cursor() const { return Cursor(line_, fmt::format("{}:{}", file_, number_)); }

 private:
  std::string_view rest_, line_, file_;
  size_t number_ = 0;
};

// "name=" and a number.
template <class Integer>
Result<Integer> field(Cursor& c, std::string_view name) {
  TRY(c.expect(name));
  TRY(c.expect("="));
  return c.integer<Integer>("a number");
}

// Instructions up to the '}' of the queue whose head `c` has just read.
Result<Program> parse_queue(Lines& lines, Cursor c) {
  uint8_t core = 0;
  if (c.accept("core=")) core = TRY(c.integer<uint8_t>("a core"));
  TRY(c.expect("{"));
  TRY(c.expect_end());
  ProgramParser parser;
  Error not_closed = c.error_at("this queue is not closed");
  while (lines.next()) {
    Cursor line = lines.cursor();
    if (!line.accept("}")) {
      TRY(parser.line(line));
    } else if (parser.inside_repeat()) {
      TRY(parser.close_repeat(line));
    } else {
      TRY(line.expect_end());
      Program program = TRY(std::move(parser).finish());
      program.core = core;
      return program;
    }
  }
  return not_closed;
}

// An item of a table: its index, which must be the next one.
Result<void> expect_index(Cursor& c, size_t index) {
  auto found = TRY(c.integer<uint32_t>("an index"));
  if (found != index) return c.error_at(fmt::format("index {}, expected {}", found, index));
  return {};
}

Result<Layer> parse_layer(Cursor& c, size_t index) {
  TRY(expect_index(c, index));
  Layer l;
  l.name = TRY(c.quoted());
  l.kind = TRY(c.quoted());
  l.macs = TRY(field<uint64_t>(c, "macs"));
  l.bytes = TRY(field<uint64_t>(c, "bytes"));
  return l;
}

Result<Source> parse_source(Cursor& c, size_t index) {
  TRY(expect_index(c, index));
  Source s;
  s.layer = TRY(field<uint32_t>(c, "layer"));
  s.tile_op = TRY(c.quoted());
  s.graph_node = TRY(c.quoted());
  return s;
}

// "data=SIZE xxh3=HASH {", then lines of base64, then "}".
Result<Bytes> parse_data(Lines& lines, Cursor& c) {
  auto size = TRY(field<uint64_t>(c, "data"));
  TRY(c.expect("xxh3="));
  uint64_t hash = TRY(c.hex("16 hexadecimal digits", 16));
  TRY(c.expect("{"));
  TRY(c.expect_end());
  std::string digits;
  while (true) {
    if (!lines.next()) return c.error_at("this data is not closed");
    Cursor line = lines.cursor();
    if (line.accept("}")) break;
    digits += line.until_space();
    TRY(line.expect_end());
  }
  auto here = [&](Error e) { return c.error_at(e.message); };
  Result<Bytes> stored = from_base64(digits);
  if (!stored) return here(stored.error());
  Result<Bytes> bytes = unpacked(*stored, size);
  if (!bytes) return here(bytes.error());
  if (hash_bytes(*bytes) != hash) {
    return c.error_at(fmt::format("data has hash {}, expected {}", hash_name(hash_bytes(*bytes)), hash_name(hash)));
  }
  return bytes;
}

Result<HbmTensor> parse_tensor(Lines& lines, Cursor& c) {
  HbmTensor t;
  t.role = static_cast<TensorRole>(TRY(c.one_of("a role", vocabulary().roles)));
  t.name = TRY(c.quoted());
  t.dtype = static_cast<DType>(TRY(c.one_of("a type", vocabulary().dtypes)));
  TRY(c.expect("["));
  while (!c.accept("]")) t.shape.push_back(TRY(c.integer<int64_t>("a dimension or ]")));
  t.address = TRY(field<uint64_t>(c, "address"));
  t.bytes = TRY(field<uint64_t>(c, "bytes"));
  if (c.accept("split=")) {
    const auto rank = static_cast<int32_t>(t.shape.size());
    t.split_axis = TRY(c.integer<int32_t>("an axis", 0));
    if (t.split_axis >= rank) return c.error_at(fmt::format("split axis {} of {} dimensions", t.split_axis, rank));
  }
  if (!c.done()) t.data = TRY(parse_data(lines, c));
  return t;
}

Result<Modes> parse_modes(Cursor& c) {
  Modes m;
  m.stochastic_rounding = TRY(field<uint8_t>(c, "stochastic")) != 0;
  m.rounding_seed = TRY(field<uint64_t>(c, "seed"));
  m.cfp8_bias = TRY(field<uint8_t>(c, "cfp8_bias"));
  return m;
}

// A name and {, then lines of start, origin and four coefficients, then }.
Result<numerics::ActivationTable> parse_activation(Lines& lines, Cursor& c) {
  numerics::ActivationTable t;
  t.name = TRY(c.quoted());
  TRY(c.expect("{"));
  TRY(c.expect_end());
  while (true) {
    if (!lines.next()) return c.error_at("this activation is not closed");
    Cursor line = lines.cursor();
    if (line.accept("}")) {
      TRY(line.expect_end());
      return t;
    }
    numerics::ActivationPiece& p = t.pieces.emplace_back();
    p.start = TRY(line.real("where the piece starts"));
    p.origin = TRY(line.real("its origin"));
    for (float& x : p.coefficients) x = TRY(line.real("a coefficient"));
    TRY(line.expect_end());
  }
}

Result<void> parse_item(Lines& lines, Executable& e) {
  static const std::vector<std::string> items{"chip",  "model",      "precision", "semaphores", "hbm_bytes",
                                              "queue", "layer",      "source",    "tensor",     "cores",
                                              "modes", "activation", "lnc"};
  Cursor c = lines.cursor();
  switch (TRY(c.one_of("an item of an executable", items))) {
    case 0:
      e.chip = TRY(c.quoted());
      e.spec_hash = TRY(c.hex("16 hexadecimal digits", 16));
      break;
    case 1:
      e.model = TRY(c.quoted());
      break;
    case 2:
      e.precision = TRY(c.quoted());
      break;
    case 3:
      e.semaphores = TRY(c.integer<uint32_t>("a number"));
      break;
    case 4:
      e.hbm_bytes = TRY(c.integer<uint64_t>("a number"));
      break;
    case 5:
      e.queues.push_back(TRY(parse_queue(lines, c)));
      return {};
    case 6:
      e.layers.push_back(TRY(parse_layer(c, e.layers.size())));
      break;
    case 7:
      e.sources.push_back(TRY(parse_source(c, e.sources.size())));
      break;
    case 8:
      e.tensors.push_back(TRY(parse_tensor(lines, c)));
      return {};
    case 9:
      e.cores = TRY(c.integer<uint32_t>("a number of cores", 1));
      break;
    case 10:
      e.modes = TRY(parse_modes(c));
      break;
    case 11:
      e.activations.push_back(TRY(parse_activation(lines, c)));
      return {};
    case 12:
      e.lnc = TRY(c.integer<uint32_t>("a number of physical cores", 1));
      break;
  }
  return c.expect_end();
}

}  // namespace

Result<Program> parse_program(std::string_view text, std::string_view file) {
  Lines lines(text, file);
  ProgramParser parser;
  while (lines.next()) {
    Cursor c = lines.cursor();
    if (!c.accept("}")) {
      TRY(parser.line(c));
    } else if (parser.inside_repeat()) {
      TRY(parser.close_repeat(c));
    } else {
      return c.error_at("} closes nothing");
    }
  }
  return std::move(parser).finish();
}

Result<Executable> parse_executable(std::string_view text, std::string_view file) {
  Lines lines(text, file);
  lines.next();
  Cursor c = lines.cursor();
  if (!c.accept("presil executable ")) return c.error("'presil executable' and a version");
  auto version = TRY(c.integer<uint32_t>("a version", 1));
  if (version > kTextVersion) {
    return c.error_at(fmt::format("text is version {}, this presil reads up to {}", version, kTextVersion));
  }
  TRY(c.expect_end());
  Executable e;
  while (lines.next()) TRY(parse_item(lines, e));
  return e;
}

}  // namespace presil::isa
