#include "isa/reference.h"

#include <fmt/format.h>

#include "base/json_writer.h"
#include "isa/encode.h"
#include "isa/print.h"
#include "isa/vocabulary.h"

namespace presil::isa {
namespace {

constexpr std::string_view kIntroduction = R"(# Instructions

Generated from the instruction table (`src/isa/opcode.cc`) by `isa_test`; do not edit.

Semantics and constraints follow the NKI documentation. Arithmetic is defined in `docs/model.md`, cost in the same
place. What a program may name and how large it may be is checked by `check_instruction` and `verify`
(`src/isa/rules.h`); all limits come from the chip file. In short:

- An operand is a **view**: a memory, an element type, consecutive partitions, and up to five strided dimensions of
  the free axis. It lies inside its memory, its offset is a multiple of the element, and its engine reaches the
  memory.
- Engines walk at most 4 dimensions after merging contiguous ones, with at most 65535 elements each and steps from
  -32768 to 32767. More than half of the partitions start at partition 0, more than a quarter at a half, others at a
  quarter.

## Text

One instruction per line: engine (and `.index` from the second of its kind on), instruction, then fields in any order.
Fields that are left out have their initial value. `presil show FILE.presil` prints this form.

```
)";

constexpr std::string_view kExample = R"(queue {
  repeat 4 {
    sync dma_copy dst=sbuf.bf16[p0+128 512]{L0+1024} src=hbm.bf16[128:2048 512]{L0+1024} signal=s0 source=0
  }
}
queue {
  repeat 4 {
    scalar activation dst=sbuf.fp32[p0+128 @8192 512] data=sbuf.bf16[p0+128 512]{L0+1024} op=exp wait=s0>=16{L0+16}
  }
}
)";

constexpr std::string_view kTextRules = R"(```

| text | meaning |
|---|---|
| `sbuf.bf16[p32+64 @1024 4:512 100]` | partitions 32 to 95, byte 1024 of each, 4 rows of 100 elements, 512 apart |
| `p32+64` left out | partition 0 alone, as in HBM |
| `@1024` left out | byte 0 |
| `4` for `4:100` | a step that continues the inner dimension is left out |
| `%7` first in the brackets | relative to tile or tensor 7, before addresses are assigned |
| `{L0+128 L1-64}` | per iteration of the outermost repeat (0) 128 bytes more, of the next one 64 less |
| `{r2+128}` | 128 bytes more for every unit in register 2; on a wait, `{r2+1}` adds the register |
| `wait=s3>=16{L0+16}` | starts when semaphore 3 is at least 16, 16 more with every iteration |
| `signal=s4` | increments semaphore 4 when results are visible; a DMA once per DMA engine |
| `to=7` | place in the queue, counted from 0; `counter=r5`: a register of the sequencer |
| `queue=2` | DMA queue; `source=5`: row of the table of sources |
| `0x7fc00000` | the bits of a number that decimal digits do not give |
| `# ...` | a comment |

)";

constexpr std::string_view kFileRules = R"(## File

`FILE.presil`, all numbers little-endian: magic `89 50 52 45 53 49 4c 0a`, version (4 bytes), number of sections (4),
hash of the instruction table (8), hash of the chip (8); per section its kind (4), zero (4), stored bytes (8), raw
bytes (8), XXH3 of the stored bytes (8); XXH3 of everything so far (8); then the sections, each a zstd frame. Section
1 is the summary, then come the queues, then the constants' data. This is version {}.

)";

constexpr std::string_view kKindNames[] = {"fp32",    "int32",    "32 bits", "flag", "operator", "function",
                                           "command", "register", "place",   "mode", "dge_mode", "oob_mode"};
constexpr std::string_view kAccessNames[] = {"read", "write", "read and write"};

std::string_view access_name(Access a) { return kAccessNames[static_cast<size_t>(a)]; }
std::string_view kind_name(AttributeKind k) { return kKindNames[static_cast<size_t>(k)]; }

void append_row(std::string& out, const InstructionRow& r) {
  auto to = std::back_inserter(out);
  fmt::format_to(to, "### {}\n\n{}\n\nEngines: {}. Generation {} on.\n\n", r.name, r.summary,
                 fmt::join(engine_names(r.engines), ", "), r.first_generation);
  if (!r.operands.empty()) out += "| operand | access | memories |\n|---|---|---|\n";
  for (const OperandRow& o : r.operands) {
    fmt::format_to(to, "| `{}`{} | {} | {} |\n", o.name, o.optional ? ", optional" : "", access_name(o.access),
                   fmt::join(memory_names(o.memories), ", "));
  }
  if (!r.operands.empty()) out += '\n';
  if (!r.attributes.empty()) out += "| attribute | kind | initial |\n|---|---|---|\n";
  for (const AttributeRow& a : r.attributes) {
    fmt::format_to(to, "| `{}` | {} | {} |\n", a.name, kind_name(a.kind), print(a.kind, a.initial));
  }
  if (!r.attributes.empty()) out += '\n';
}

void append_names(std::string& out) {
  out += "## Names\n\n| kind | values |\n|---|---|\n";
  const auto line = [&](std::string_view kind, std::span<const std::string> names) {
    fmt::format_to(std::back_inserter(out), "| {} | `{}` |\n", kind, fmt::join(names, "` `"));
  };
  line("type", vocabulary().dtypes);
  for (AttributeKind k : {AttributeKind::alu_op, AttributeKind::activation, AttributeKind::reduce_command,
                          AttributeKind::matmul_mode, AttributeKind::dge_mode, AttributeKind::oob_mode})
    line(kind_name(k), value_names(k));
  out += '\n';
}

void write_names(JsonWriter& json, std::string_view key, const std::vector<std::string_view>& names) {
  json.key(key).begin_array();
  for (std::string_view name : names) json.value(name);
  json.end_array();
}

void write_row(JsonWriter& json, const InstructionRow& r) {
  json.begin_object().member("name", r.name).member("summary", r.summary);
  write_names(json, "engines", engine_names(r.engines));
  json.member("generation", r.first_generation).key("operands").begin_array();
  for (const OperandRow& o : r.operands) {
    json.begin_object().member("name", o.name).member("access", access_name(o.access));
    write_names(json, "memories", memory_names(o.memories));
    json.member("optional", o.optional).end_object();
  }
  json.end_array().key("attributes").begin_array();
  for (const AttributeRow& a : r.attributes) {
    json.begin_object().member("name", a.name).member("kind", kind_name(a.kind));
    json.member("initial", print(a.kind, a.initial)).end_object();
  }
  json.end_array().end_object();
}

}  // namespace

std::string reference_markdown() {
  std::string out(kIntroduction);
  out += kExample;
  out += kTextRules;
  fmt::format_to(std::back_inserter(out), kFileRules, kFormatVersion);
  append_names(out);
  out += "## Table\n\n";
  for (const InstructionRow& r : all_rows()) append_row(out, r);
  out.pop_back();  // the empty line after the last table
  return out;
}

std::string isa_json() {
  JsonWriter json;
  json.begin_array();
  for (const InstructionRow& r : all_rows()) write_row(json, r);
  json.end_array();
  return json.take();
}

}  // namespace presil::isa
