#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "isa/byte_stream.h"
#include "isa/container.h"
#include "isa/encode.h"
#include "isa/rules.h"
#include "isa/vocabulary.h"

namespace presil::isa {
namespace {

template <class Enum>
Enum read_enum(ByteReader& r, std::string_view what, const std::vector<std::string>& names) {
  return static_cast<Enum>(r.number<uint8_t>(what, names.size()));
}

View read_view(ByteReader& r) {
  const Vocabulary& names = vocabulary();
  View v;
  const auto memory = r.number<uint8_t>("memory", 8);
  v.memory = static_cast<Memory>(memory % 4), v.peer = memory / 4;
  if (!v.present()) return v;
  v.dtype = read_enum<DType>(r, "type", names.dtypes);
  v.partition = r.number<uint16_t>("partition");
  v.partitions = r.number<uint16_t>("partitions");
  uint64_t base = r.number<uint64_t>("base", uint64_t{kAbsolute} + 1);
  v.base = base == 0 ? kAbsolute : static_cast<uint32_t>(base - 1);
  v.offset = r.signed_number("offset");
  v.rank = r.number<uint8_t>("dimensions", kMaxRank + 1);
  for (size_t d = 0; d < v.rank; ++d) {
    int64_t step = r.signed_number("step");
    if (step != static_cast<int32_t>(step)) r.fail(fmt::format("step {} of more than 32 bits", step));
    v.dims[d] = {static_cast<int32_t>(step), r.number<uint32_t>("count")};
  }
  return v;
}

void read_instruction(ByteReader& r, Program& p) {
  const Vocabulary& names = vocabulary();
  auto opcode = read_enum<Opcode>(r, "opcode", names.opcodes);
  Instruction& i = p.append(opcode, read_enum<EngineKind>(r, "engine", names.engines));
  i.engine_index = r.number<uint8_t>("engine index");
  i.dma_queue = r.number<uint8_t>("DMA queue");
  i.signal = static_cast<uint16_t>(r.number<uint32_t>("signal", kNoSemaphore + 1u) - 1);
  i.signal_to = static_cast<SignalTo>(r.number<uint8_t>("whose signal", kSignalToCount));
  i.source = static_cast<uint32_t>(r.number<uint64_t>("source", uint64_t{kNoSource} + 1) - 1);
  i.wait_count = r.number<uint8_t>("waits");
  i.delta_count = r.number<uint8_t>("deltas");
  for (View& v : p.operands(i)) v = read_view(r);
  for (size_t k = 0; k < i.attribute_count; ++k) p.attributes[i.attribute_begin + k] = r.number<uint32_t>("attribute");
  for (size_t k = 0; k < i.wait_count && !r.failed(); ++k) {
    auto semaphore = r.number<uint16_t>("semaphore");
    p.waits.push_back({semaphore, r.number<uint32_t>("value")});
  }
  for (size_t k = 0; k < i.delta_count && !r.failed(); ++k) {
    Delta d;
    const auto target = r.number<uint8_t>("target", 4);
    d.target = static_cast<Delta::Target>(target % 2);
    d.of_register = target >= 2;
    d.index = r.number<uint8_t>("index");
    d.level = r.number<uint16_t>("level");
    d.step = r.signed_number("step");
    p.deltas.push_back(d);
  }
}

// An instruction finds its slots with 32 bits.
bool pools_full(const Program& p) {
  constexpr size_t most = UINT32_MAX - 256;
  return p.views.size() > most || p.attributes.size() > most || p.waits.size() > most || p.deltas.size() > most;
}

Program read_queue(ByteReader& r) {
  Program p;
  for (size_t n = r.count("instructions"); n > 0 && !r.failed(); --n) {
    read_instruction(r, p);
    if (pools_full(p)) r.fail("more operands, attributes, waits or deltas than 32 bits can count");
  }
  for (size_t n = r.count("repeats"); n > 0 && !r.failed(); --n) {
    auto first = r.number<uint32_t>("first"), last = r.number<uint32_t>("last");
    p.repeats.push_back({first, last, r.number<uint32_t>("count")});
  }
  r.expect_end();
  if (r.failed()) return p;
  std::vector<Finding> findings = check_structure(p);
  if (!findings.empty()) r.fail(findings[0].text());
  return p;
}

HbmTensor read_tensor(ByteReader& r, bool& has_data) {
  const Vocabulary& names = vocabulary();
  HbmTensor t;
  t.name = r.text("name");
  t.dtype = read_enum<DType>(r, "type", names.dtypes);
  t.role = read_enum<TensorRole>(r, "role", names.roles);
  t.address = r.number<uint64_t>("address");
  t.bytes = r.number<uint64_t>("bytes");
  for (size_t n = r.count("dimensions"); n > 0 && !r.failed(); --n) t.shape.push_back(r.signed_number("dimension"));
  const int64_t split = r.signed_number("split axis");
  if (split < HbmTensor::kNotSplit || split >= static_cast<int64_t>(t.shape.size())) {
    r.fail(fmt::format("split axis {} of {} dimensions", split, t.shape.size()));
  }
  t.split_axis = static_cast<int32_t>(split);
  has_data = r.number<uint8_t>("data", 2) != 0;
  return t;
}

float read_float(ByteReader& r) {
  const auto value = std::bit_cast<float>(r.number<uint32_t>("number"));
  if (std::isnan(value)) r.fail("a number of an activation is NaN");
  return value;
}

void read_settings(ByteReader& r, Executable& e) {
  e.modes.stochastic_rounding = r.number<uint8_t>("rounding", 2) != 0;
  e.modes.rounding_seed = r.number<uint64_t>("seed");
  e.modes.cfp8_bias = r.number<uint8_t>("bias", kCfp8BiasMax + 1);
  for (size_t n = r.count("activations"); n > 0 && !r.failed(); --n) {
    numerics::ActivationTable& t = e.activations.emplace_back();
    t.name = r.text("name");
    for (size_t m = r.count("pieces"); m > 0 && !r.failed(); --m) {
      numerics::ActivationPiece& p = t.pieces.emplace_back();
      p.start = read_float(r), p.origin = read_float(r);
      for (float& c : p.coefficients) c = read_float(r);
    }
  }
}

struct Summary {
  Executable executable;
  size_t queues = 0;
  std::vector<uint8_t> cores;     // of each queue, in a pair
  std::vector<size_t> with_data;  // tensors whose bytes are in constant sections
};

Summary read_summary(ByteReader& r) {
  Summary s;
  Executable& e = s.executable;
  for (std::string* text : {&e.chip, &e.model, &e.precision}) *text = r.text("text");
  e.cores = r.number<uint32_t>("cores");
  if (e.cores == 0) r.fail("no core");
  e.lnc = r.number<uint32_t>("lnc");
  if (e.lnc == 0) r.fail("no physical core");
  e.semaphores = r.number<uint32_t>("semaphores");
  e.hbm_bytes = r.number<uint64_t>("hbm bytes");
  s.queues = r.number<uint32_t>("queues");
  for (size_t q = 0; q < s.queues && e.lnc > 1 && !r.failed(); ++q) s.cores.push_back(r.number<uint8_t>("core"));
  for (size_t n = r.count("tensors"); n > 0 && !r.failed(); --n) {
    bool has_data = false;
    e.tensors.push_back(read_tensor(r, has_data));
    if (has_data) s.with_data.push_back(e.tensors.size() - 1);
  }
  for (size_t n = r.count("sources"); n > 0 && !r.failed(); --n) {
    Source& source = e.sources.emplace_back();
    source.layer = r.number<uint32_t>("layer");
    source.tile_op = r.text("tile op");
    source.graph_node = r.text("graph node");
  }
  for (size_t n = r.count("layers"); n > 0 && !r.failed(); --n) {
    Layer& layer = e.layers.emplace_back();
    layer.name = r.text("name");
    layer.kind = r.text("kind");
    layer.macs = r.number<uint64_t>("macs");
    layer.bytes = r.number<uint64_t>("bytes");
  }
  read_settings(r, e);
  r.expect_end();
  return s;
}

// A summary, then its queues, then its constants.
Result<void> check_sections(const Container& c, size_t queues, size_t constants) {
  bool right = c.sections.size() == 1 + uint64_t{queues} + constants;
  for (size_t i = 1; right && i < c.sections.size(); ++i) {
    right = c.sections[i].kind == (i <= queues ? SectionKind::queue : SectionKind::constant);
  }
  if (right) return {};
  return bad_input(fmt::format("{} sections do not match the summary's {} queues and {} constants", c.sections.size(),
                               queues, constants));
}

Result<Executable> decode_sections(Container& c) {
  if (c.sections.empty() || c.sections[0].kind != SectionKind::summary) {
    return bad_input("the first section is not a summary");
  }
  ByteReader reader(c.sections[0].bytes);
  Summary summary = read_summary(reader);
  if (reader.failed()) return bad_input(fmt::format("summary: {}", reader.error()));
  TRY(check_sections(c, summary.queues, summary.with_data.size()));
  Executable& e = summary.executable;
  e.spec_hash = c.spec_hash;
  for (size_t q = 0; q < summary.queues; ++q) {
    ByteReader queue(c.sections[1 + q].bytes);
    e.queues.push_back(read_queue(queue));
    if (q < summary.cores.size()) e.queues.back().core = summary.cores[q];
    if (queue.failed()) return bad_input(fmt::format("queue {}: {}", q, queue.error()));
    c.sections[1 + q].bytes = {};
  }
  for (size_t k = 0; k < summary.with_data.size(); ++k) {
    e.tensors[summary.with_data[k]].data = std::move(c.sections[1 + summary.queues + k].bytes);
  }
  return std::move(e);
}

}  // namespace

Result<Executable> decode(std::span<const std::byte> file, std::string_view name) {
  Result<Container> container = read_container(file, table_hash());
  Result<Executable> executable = container ? decode_sections(*container) : container.error();
  if (executable) return executable;
  Error error = executable.error();
  error.where = name;
  return error;
}

}  // namespace presil::isa
