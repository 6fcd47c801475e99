#include "isa/encode.h"

#include <bit>

#include "base/hash.h"
#include "isa/byte_stream.h"
#include "isa/container.h"
#include "isa/rules.h"
#include "isa/vocabulary.h"

namespace presil::isa {
namespace {

void write_view(ByteWriter& w, const View& v) {
  w.number(static_cast<uint64_t>(v.memory) + 4u * v.peer);
  if (!v.present()) return;
  w.number(static_cast<uint64_t>(v.dtype));
  w.number(v.partition);
  w.number(v.partitions);
  w.number(v.base == kAbsolute ? 0 : uint64_t{v.base} + 1);
  w.signed_number(v.offset);
  w.number(v.rank);
  for (const Dim& d : v.pattern()) {
    w.signed_number(d.step);
    w.number(d.count);
  }
}

void write_instruction(ByteWriter& w, const Program& p, const Instruction& i) {
  w.number(static_cast<uint64_t>(i.opcode));
  w.number(static_cast<uint64_t>(i.engine));
  w.number(i.engine_index);
  w.number(i.dma_queue);
  w.number(i.signal == kNoSemaphore ? 0 : i.signal + 1u);
  w.number(static_cast<uint64_t>(i.signal_to));
  w.number(i.source == kNoSource ? 0 : uint64_t{i.source} + 1);
  w.number(i.wait_count);
  w.number(i.delta_count);
  for (const View& v : p.operands(i)) write_view(w, v);
  for (uint32_t word : p.attrs(i)) w.number(word);
  for (const Wait& wait : p.waits_of(i)) {
    w.number(wait.semaphore);
    w.number(wait.value);
  }
  for (const Delta& d : p.deltas_of(i)) {
    w.number(static_cast<uint64_t>(d.target) + (d.of_register ? 2 : 0));
    w.number(d.index);
    w.number(d.level);
    w.signed_number(d.step);
  }
}

Bytes queue_bytes(const Program& p) {
  ByteWriter w;
  w.number(p.code.size());
  for (const Instruction& i : p.code) write_instruction(w, p, i);
  w.number(p.repeats.size());
  for (const Repeat& r : p.repeats) {
    w.number(r.first);
    w.number(r.last);
    w.number(r.count);
  }
  return std::move(w).take();
}

void write_tensor(ByteWriter& w, const HbmTensor& t) {
  w.text(t.name);
  w.number(static_cast<uint64_t>(t.dtype));
  w.number(static_cast<uint64_t>(t.role));
  w.number(t.address);
  w.number(t.bytes);
  w.number(t.shape.size());
  for (int64_t d : t.shape) w.signed_number(d);
  w.signed_number(t.split_axis);
  w.number(t.data.empty() ? 0 : 1);  // 1: one of the constant sections, in order
}

void write_settings(ByteWriter& w, const Executable& e) {
  w.number(e.modes.stochastic_rounding);
  w.number(e.modes.rounding_seed);
  w.number(e.modes.cfp8_bias);
  w.number(e.activations.size());
  for (const numerics::ActivationTable& t : e.activations) {
    w.text(t.name);
    w.number(t.pieces.size());
    for (const numerics::ActivationPiece& p : t.pieces) {
      for (float x : {p.start, p.origin}) w.number(std::bit_cast<uint32_t>(x));
      for (float x : p.coefficients) w.number(std::bit_cast<uint32_t>(x));
    }
  }
}

Bytes summary_bytes(const Executable& e) {
  ByteWriter w;
  for (const std::string* s : {&e.chip, &e.model, &e.precision}) w.text(*s);
  w.number(e.cores);
  w.number(e.lnc);
  w.number(e.semaphores);
  w.number(e.hbm_bytes);
  w.number(e.queues.size());
  for (const Program& p : e.queues) {
    if (e.lnc > 1) w.number(p.core);
  }
  w.number(e.tensors.size());
  for (const HbmTensor& t : e.tensors) write_tensor(w, t);
  w.number(e.sources.size());
  for (const Source& s : e.sources) {
    w.number(s.layer);
    w.text(s.tile_op);
    w.text(s.graph_node);
  }
  w.number(e.layers.size());
  for (const Layer& l : e.layers) {
    w.text(l.name);
    w.text(l.kind);
    w.number(l.macs);
    w.number(l.bytes);
  }
  write_settings(w, e);
  return std::move(w).take();
}

}  // namespace

uint64_t table_hash() {
  std::string all;
  auto add = [&](std::string_view word) { all.append(word).push_back('\n'); };
  for (const InstructionRow& r : all_rows()) {
    add(r.name);
    for (const OperandRow& o : r.operands) add(o.name);
    for (const AttributeRow& a : r.attributes) {
      add(a.name);
      all.push_back(static_cast<char>('a' + static_cast<int>(a.kind)));
    }
  }
  const Vocabulary& v = vocabulary();
  for (const auto* names :
       {&v.engines, &v.memories, &v.dtypes, &v.alu_ops, &v.activations, &v.reduce_commands, &v.roles}) {
    all.push_back('\n');
    for (const std::string& name : *names) add(name);
  }
  return hash_text(all);
}

Result<std::vector<std::byte>> encode(const Executable& e) {
  Container container{table_hash(), e.spec_hash, {}};
  container.sections.push_back({SectionKind::summary, summary_bytes(e)});
  for (uint32_t q = 0; q < e.queues.size(); ++q) {
    std::vector<Finding> findings = check_structure(e.queues[q]);
    if (!findings.empty()) {
      findings[0].queue = q;
      return bad_input(findings[0].text());
    }
    container.sections.push_back({SectionKind::queue, queue_bytes(e.queues[q])});
  }
  for (const HbmTensor& t : e.tensors) {
    if (!t.data.empty()) container.sections.push_back({SectionKind::constant, t.data});
  }
  return write_container(container);
}

}  // namespace presil::isa
