#include "tests/campaign/unroll.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "backend/repeats.h"
#include "isa/control.h"
#include "tests/campaign/meaning.h"
#include "tile/walk.h"

namespace presil::campaign {
namespace {

using chip::reference::Machine;
using isa::Instruction;
using isa::Memory;
using isa::Opcode;
using isa::Program;
using isa::View;
using End = Unrolled::End;

// The memories of a pair's cores behind one another.
spec::ChipSpec memories_of(spec::ChipSpec spec, uint32_t cores) {
  spec.sbuf.bytes_per_partition *= cores, spec.psum.bytes_per_partition *= cores;
  return spec;
}

class Unroller {
 public:
  Unroller(const isa::Executable& executable, const spec::ChipSpec& spec, uint64_t jumps_max)
      : exe_(executable),
        spec_(spec),
        jumps_max_(jumps_max),
        machine_(memories_of(spec, executable.lnc), executable.hbm_bytes),
        semaphores_(size_t{executable.semaphores} * executable.lnc) {
    for (Program& queue : exe_.queues) {
      if (!isa::has_control(queue)) queue = with_core(backend::expand(queue), queue.core);
      CHECK(queue.repeats.empty(), "the backend makes no repeats in queues with branches");
    }
    queues_.resize(exe_.queues.size());
    out_.flat = exe_;
    for (Program& p : out_.flat.queues) p = with_core({}, p.core);
  }

  Unrolled run(const std::vector<system::Input>& inputs) {
    fill(inputs);
    for (bool progress = true; progress && out_.end == End::done;) {
      progress = false;
      for (uint32_t q = 0; q < queues_.size(); ++q) {
        while (out_.end == End::done && step(q)) progress = true;
      }
    }
    if (out_.end == End::done) add_stuck();
    if (out_.end == End::done) collect();
    return std::move(out_);
  }

 private:
  struct Queue {
    uint32_t next = 0;
    std::vector<uint32_t> registers = std::vector<uint32_t>(isa::kRegistersMax);
  };

  static Program with_core(Program p, uint8_t core) {
    p.core = core;
    return p;
  }

  void fill(const std::vector<system::Input>& inputs) {
    for (const isa::HbmTensor& t : exe_.tensors) {
      auto given = std::ranges::find(inputs, t.name, &system::Input::name);
      std::span<const std::byte> bytes = given == inputs.end() ? std::span(t.data) : given->bytes;
      std::copy(bytes.begin(), bytes.end(), machine_.hbm[0].begin() + static_cast<ptrdiff_t>(t.address));
    }
  }
  void collect() {
    for (const isa::HbmTensor& t : exe_.tensors) {
      if (t.role != isa::TensorRole::output) continue;
      const auto at = machine_.hbm[0].begin() + static_cast<ptrdiff_t>(t.address);
      out_.outputs.push_back({t.name, {at, at + static_cast<ptrdiff_t>(t.bytes)}});
    }
  }

  void end(End how, uint32_t q, const std::string& why) {
    out_.end = how;
    out_.why = fmt::format("queue {} at {}: {}", q, queues_[q].next, why);
  }

  // A wait whose register brings it below zero always holds.
  std::vector<isa::Wait> waits_now(uint32_t q, const Instruction& i) const {
    const Program& p = exe_.queues[q];
    std::vector<isa::Wait> out(p.waits_of(i).begin(), p.waits_of(i).end());
    std::vector<int64_t> values;
    for (const isa::Wait& w : out) values.push_back(w.value);
    for (const isa::Delta& d : p.deltas_of(i)) {
      if (d.target == isa::Delta::Target::wait)
        values[d.index] += d.step * static_cast<int32_t>(queues_[q].registers[d.level]);
    }
    for (size_t k = 0; k < out.size(); ++k)
      out[k].value = static_cast<uint32_t>(std::clamp<int64_t>(values[k], 0, UINT32_MAX));
    return out;
  }

  // The instruction as it is now, alone.
  Program now(uint32_t q, const Instruction& i) const {
    const Program& p = exe_.queues[q];
    Program one;
    Instruction& copy = one.code.emplace_back(i);
    copy.operand_begin = copy.attribute_begin = copy.wait_begin = copy.delta_begin = 0, copy.delta_count = 0;
    one.views.assign(p.operands(i).begin(), p.operands(i).end());
    const std::vector<int64_t> moved = tile::moved_by(p, i, queues_[q].registers);
    for (size_t k = 0; k < moved.size(); ++k) one.views[k].offset += moved[k];
    one.attributes.assign(p.attrs(i).begin(), p.attrs(i).end());
    one.waits = waits_now(q, i);
    return one;
  }
  void append(uint32_t q, const Program& one) {
    Program& out = out_.flat.queues[q];
    Instruction& copy = out.code.emplace_back(one.code.front());
    copy.operand_begin = static_cast<uint32_t>(out.views.size());
    copy.attribute_begin = static_cast<uint32_t>(out.attributes.size());
    copy.wait_begin = static_cast<uint32_t>(out.waits.size());
    out.views.insert(out.views.end(), one.views.begin(), one.views.end());
    out.attributes.insert(out.attributes.end(), one.attributes.begin(), one.attributes.end());
    out.waits.insert(out.waits.end(), one.waits.begin(), one.waits.end());
  }

  bool step(uint32_t q) {
    Queue& queue = queues_[q];
    const Program& p = exe_.queues[q];
    if (queue.next >= p.code.size()) return false;
    const Instruction& i = p.code[queue.next];
    Program one = now(q, i);
    for (const isa::Wait& w : one.waits) {
      if (semaphores_[isa::semaphore_number(exe_, p.core, w.semaphore)] < w.value) return false;
    }
    append(q, one);
    if (!inside(q, one)) return false;
    const uint32_t next = execute(q, i, one);
    if (out_.end != End::done) return false;
    const uint32_t count = isa::is_dma(i.opcode) ? spec_.dma.engines : 1;
    for (uint32_t number : isa::raised_by(exe_, p.core, i)) semaphores_[number] += count;
    if (next <= queue.next && ++out_.jumps > jumps_max_) {
      end(End::endless, q, "jumps back too often");
      return false;
    }
    queue.next = next;
    return true;
  }

  uint64_t room(const View& v) const {
    if (v.memory == Memory::hbm) return exe_.hbm_bytes;
    return v.memory == Memory::sbuf ? spec_.sbuf.bytes_per_partition : spec_.psum.bytes_per_partition;
  }
  bool inside(uint32_t q, const Program& one) {
    for (const View& v : one.views) {
      if (!v.present()) continue;
      const isa::ByteRange bytes = isa::byte_range(v);
      if (bytes.begin >= 0 && static_cast<uint64_t>(bytes.end) <= room(v)) continue;
      end(End::outside, q, "leaves its memory");
      return false;
    }
    return true;
  }

  // Executes `one`, which is `i`; the place in the queue behind it.
  uint32_t execute(uint32_t q, const Instruction& i, Program& one) {
    Queue& queue = queues_[q];
    const Program& p = exe_.queues[q];
    const Instruction& placed = one.code.front();
    if (exe_.lnc > 1) {
      CHECK(!isa::uses_registers(one, placed), "the registers of a pair's engines lie in one machine here");
      for (View& v : one.views) place(v, p.core);
    }
    if (i.opcode == Opcode::register_load) {
      const View& v = one.operand(placed, 0);
      const std::byte* at = chip::reference::places(machine_, v).at(0);
      queue.registers[p.word(i, isa::slots::register_load::dst)] =
          tile::register_value(v.dtype, {reinterpret_cast<const uint8_t*>(at), dtype_bytes(v.dtype)});
      return queue.next + 1;
    }
    if (i.opcode == Opcode::register_store) {
      const View& v = one.operand(placed, 0);
      const uint32_t value = queue.registers[p.word(i, isa::slots::register_store::src)];
      std::memcpy(chip::reference::places(machine_, v).at(0), &value, dtype_bytes(v.dtype));
      return queue.next + 1;
    }
    if (isa::is_control(i.opcode)) return tile::control_step(p, queue.next, queue.registers);
    const std::string problem = meaningless(one, placed, machine_);
    out_.unspecified |= problem.ends_with(kNoPermutation) || results_meet(one, placed);
    if (!problem.empty() && !problem.ends_with(kNoPermutation)) {
      end(End::meaningless, q, problem);
      return queue.next;
    }
    chip::reference::Run(one, placed, machine_).execute();
    return queue.next + 1;
  }
  // Whether two results of one instruction share a byte: which of them stays is said nowhere.
  bool results_meet(const Program& one, const Instruction& i) {
    std::vector<View> written;
    for (int k = 0; k < i.operand_count; ++k) {
      if (one.operand(i, k).present() && isa::access_of(one, i, k) != isa::Access::read)
        written.push_back(one.operand(i, k));
    }
    if (written.size() < 2) return false;
    std::set<const std::byte*> taken;
    for (const View& v : written) {
      std::set<const std::byte*> own;
      for (const std::byte* at : chip::reference::places(machine_, v)) {
        for (size_t b = 0; b < dtype_bytes(v.dtype); ++b) own.insert(at + b);
      }
      for (const std::byte* at : own) {
        if (!taken.insert(at).second) return true;
      }
    }
    return false;
  }
  void place(View& v, uint8_t core) const {
    if (!v.present() || v.memory == Memory::hbm) return;
    v.offset += static_cast<int64_t>((core ^ v.peer) * room(v));
    v.peer = 0;
  }

  void add_stuck() {
    for (uint32_t q = 0; q < queues_.size(); ++q) {
      const Program& p = exe_.queues[q];
      if (queues_[q].next >= p.code.size()) continue;
      end(End::stuck, q, "waits for ever");
      append(q, now(q, p.code[queues_[q].next]));
    }
  }

  isa::Executable exe_;
  const spec::ChipSpec& spec_;
  uint64_t jumps_max_ = 0;
  Machine machine_;
  std::vector<uint64_t> semaphores_;
  std::vector<Queue> queues_;
  Unrolled out_;
};

}  // namespace

Unrolled unroll(const isa::Executable& executable, const spec::ChipSpec& spec, const std::vector<system::Input>& inputs,
                uint64_t jumps_max) {
  return Unroller(executable, spec, jumps_max).run(inputs);
}

}  // namespace presil::campaign
