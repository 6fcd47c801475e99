// Test support: what a program does to memory under an abstract meaning (results are hashes of what was read), run
// sequentially for a TileProgram, and under random legal interleavings for an Executable. Knows nothing of the backend:
// in-order queues, in-order completion per engine, operands read between start and completion, transfers split over
// the DMA engines which advance independently, semaphores that only count up.
#pragma once
#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/prng.h"
#include "isa/executable.h"
#include "isa/slots.h"
#include "tile/tile_program.h"
#include "tile/walk.h"

namespace presil::backend::testing {

using Bytes = std::vector<uint8_t>;

// All places of a view's elements, in order: (partition, byte offset).
struct Position {
  uint32_t partition = 0;
  int64_t offset = 0;
};
inline std::vector<Position> positions(const isa::View& v) {
  std::vector<Position> out;
  const auto size = static_cast<int64_t>(dtype_bytes(v.dtype));
  for (uint32_t p = 0; p < v.partitions; ++p) {
    std::vector<int64_t> offsets{v.offset};
    for (const isa::Dim& d : v.pattern()) {
      std::vector<int64_t> next;
      for (int64_t base : offsets) {
        for (uint32_t k = 0; k < d.count; ++k) next.push_back(base + int64_t{d.step} * k * size);
      }
      offsets = std::move(next);
    }
    for (int64_t o : offsets) out.push_back({v.partition + p, o});
  }
  return out;
}

// Bytes behind views: a callback resolves (view, partition, offset) to a byte, so that virtual and absolute programs
// share the meaning of an instruction.
template <class Memory>
uint64_t read_hash(Memory& memory, const isa::Program& program, const isa::Instruction& i, bool destination) {
  uint64_t h = hash_text("instruction", static_cast<uint64_t>(i.opcode));
  for (uint32_t a : program.attrs(i)) h = hash_bytes(std::as_bytes(std::span(&a, 1)), h);
  for (int k = 0; k < i.operand_count; ++k) {
    const isa::View& v = program.operand(i, k);
    if (!v.present()) continue;
    isa::Access access = isa::access_of(program, i, k);
    bool adds = i.engine == isa::EngineKind::tensor && access == isa::Access::read_write;
    if (access == isa::Access::write || adds != destination) continue;
    for (const Position& p : positions(v)) {
      for (size_t b = 0; b < dtype_bytes(v.dtype); ++b) {
        uint8_t byte = memory.at(v, p.partition, p.offset + static_cast<int64_t>(b));
        h = (h ^ byte) * 0x100000001b3ull;
      }
    }
  }
  return h;
}

template <class Memory>
void write_results(Memory& memory, const isa::Program& program, const isa::Instruction& i, uint64_t h) {
  uint64_t old = read_hash(memory, program, i, true);  // what an accumulation adds to
  uint64_t state = h ^ (old * 31);
  for (int k = 0; k < i.operand_count; ++k) {
    const isa::View& v = program.operand(i, k);
    if (!v.present() || isa::access_of(program, i, k) == isa::Access::read) continue;
    Prng bytes(state + static_cast<uint64_t>(k));
    for (const Position& p : positions(v)) {
      for (size_t b = 0; b < dtype_bytes(v.dtype); ++b) {
        memory.at(v, p.partition, p.offset + static_cast<int64_t>(b)) = static_cast<uint8_t>(bytes.next());
      }
    }
  }
}

inline bool is_transfer(const isa::Instruction& i) { return isa::is_dma(i.opcode); }

// The element of the source that element k of the destination receives. A gather picks some, by the first byte of an
// index.
template <class Memory>
size_t source_element(Memory& memory, const isa::Program& program, const isa::Instruction& i, size_t k) {
  if (isa::index_of(program, i) < 0) return k;
  const isa::View& index = program.operand(i, isa::index_of(program, i));
  const std::vector<Position> places = positions(index);
  const Position& place = places[k % places.size()];
  return (k + memory.at(index, place.partition, place.offset)) %
         program.operand(i, isa::slots::dma_copy::src).elements();
}

// What each engine's instructions read, in order: finer evidence than the memory they leave.
using Readings = std::map<std::pair<isa::EngineKind, uint8_t>, std::vector<uint64_t>>;

// --- sequential meaning of a TileProgram ---

struct VirtualMemory {
  const tile::TileProgram* program = nullptr;
  std::vector<Bytes> tiles, tensors;
  explicit VirtualMemory(const tile::TileProgram& p) : program(&p) {
    for (const tile::Tile& t : p.tiles) tiles.emplace_back(size_t{t.partitions} * t.bytes);
    for (const isa::HbmTensor& t : p.tensors) tensors.emplace_back(t.bytes);
  }
  uint8_t& at(const isa::View& v, uint32_t partition, int64_t offset) {
    auto o = static_cast<size_t>(offset);
    if (v.memory == isa::Memory::hbm) return tensors.at(v.base).at(o);
    return tiles.at(v.base).at(partition * size_t{program->tiles[v.base].bytes} + o);
  }
};

// The element of a view that a register is loaded from, and one that it is stored to.
template <class Memory>
uint32_t load_element(Memory& memory, const isa::View& v) {
  Bytes bytes;
  for (size_t b = 0; b < dtype_bytes(v.dtype); ++b)
    bytes.push_back(memory.at(v, v.partition, v.offset + static_cast<int64_t>(b)));
  return tile::register_value(v.dtype, bytes);
}
template <class Memory>
void store_element(Memory& memory, const isa::View& v, uint32_t value) {
  for (size_t b = 0; b < dtype_bytes(v.dtype); ++b)
    memory.at(v, v.partition, v.offset + static_cast<int64_t>(b)) = static_cast<uint8_t>(value >> (8 * b));
}

inline Readings run_sequentially(const tile::TileProgram& program, VirtualMemory& memory) {
  Readings readings;
  isa::Program code = program.code;  // with its operands where registers move them
  auto visit = [&](uint32_t n, std::span<const isa::View> views) {
    const isa::Instruction& i = code.code[n];
    std::copy(views.begin(), views.end(), code.views.begin() + i.operand_begin);
    if (!is_transfer(i)) {
      uint64_t h = read_hash(memory, code, i, false);
      readings[{i.engine, i.engine_index}].push_back(h);
      write_results(memory, code, i, h);
      return true;
    }
    const isa::View &dst = code.operand(i, 0), &src = code.operand(i, 1);
    std::vector<Position> to = positions(dst), from = positions(src);
    for (size_t e = 0; e < to.size(); ++e) {
      const size_t s = source_element(memory, code, i, e);
      for (size_t b = 0; b < dtype_bytes(dst.dtype); ++b) {
        auto o = static_cast<int64_t>(b);
        memory.at(dst, to[e].partition, to[e].offset + o) = memory.at(src, from[s].partition, from[s].offset + o);
      }
    }
    return true;
  };
  tile::walk(
      program.code, program.registers, [&](const isa::View& v) { return load_element(memory, v); },
      [&](const isa::View& v, uint32_t value) { store_element(memory, v, value); }, visit);
  return readings;
}

// --- interleavings of an Executable (repeats expanded) ---

struct Machine {
  struct Limits {
    uint32_t dma_engines = 16, sbuf_pitch = 0, psum_pitch = 0, partitions = 128;
    uint64_t hbm_bytes = 0;
  };
  Limits limits;
  Bytes sbuf, psum, hbm;
  explicit Machine(const Limits& l, uint64_t seed) : limits(l) {
    Prng garbage(seed);
    for (Bytes* m : {&sbuf, &psum, &hbm}) {
      uint64_t pitch = m == &sbuf ? l.sbuf_pitch : l.psum_pitch;
      m->resize(m == &hbm ? l.hbm_bytes : uint64_t{l.partitions} * pitch);
      for (uint8_t& b : *m) b = static_cast<uint8_t>(garbage.next());
    }
  }
  uint8_t& at(const isa::View& v, uint32_t partition, int64_t offset) {
    auto o = static_cast<size_t>(offset);
    if (v.memory == isa::Memory::hbm) return hbm.at(o);
    return v.memory == isa::Memory::sbuf ? sbuf.at(partition * size_t{limits.sbuf_pitch} + o)
                                         : psum.at(partition * size_t{limits.psum_pitch} + o);
  }
};

class Interleaving {
 public:
  Interleaving(const isa::Executable& executable, Machine& machine, uint64_t seed)
      : executable_(executable), machine_(machine), random_(seed), engines_(executable.queues.size()) {
    semaphores_.assign(executable.semaphores, 0);
    // Half of the runs are unfair in the extreme: nearly always the actor of the highest rank moves.
    uint64_t spread = random_.below(2) ? 6 : 40;
    for (size_t k = 0; k < 64; ++k) weights_.push_back(uint64_t{1} << random_.below(spread));
  }

  Readings readings;

  // Runs to the end; a message if nothing can advance any more, or if two transfers of one semaphore are under way:
  // then its value does not say which of them is complete.
  std::optional<std::string> run() {
    while (true) {
      std::vector<Action> actions;
      collect(actions);
      if (actions.empty()) return finished() ? std::nullopt : std::optional<std::string>(stuck());
      uint64_t total = 0;
      for (const Action& a : actions) total += weight(a);
      uint64_t pick = random_.below(total);
      size_t k = 0;
      while (pick >= weight(actions[k])) pick -= weight(actions[k++]);
      perform(actions[k]);
      if (ambiguous_) return "two unfinished transfers on one semaphore";
    }
  }

 private:
  static constexpr size_t kInFlightMax = 4;
  struct InFlight {
    const isa::Program* program = nullptr;
    uint32_t instruction = 0;
    std::optional<uint64_t> hash;
    uint32_t value = 0;  // that a register_store writes
  };
  struct Engine {
    uint32_t next = 0;
    bool loading = false;  // a register, which holds up what follows
    std::vector<uint32_t> registers = std::vector<uint32_t>(isa::kRegistersMax);
    std::deque<InFlight> in_flight;
  };
  struct Share {
    const isa::Program* program = nullptr;
    uint32_t instruction = 0;
    std::vector<size_t> elements;
    size_t read = 0, written = 0;
    std::vector<std::array<uint8_t, 8>> buffer;
  };
  struct Action {
    enum class Kind { start, read, complete, dma_read, dma_write, dma_finish } kind;
    uint32_t actor = 0;  // queue, or DMA lane
    uint32_t item = 0;
  };

  uint64_t weight(const Action& a) const {
    bool dma = a.kind >= Action::Kind::dma_read;
    return weights_[(a.actor * 3 + (dma ? 17 : 0) + (a.kind == Action::Kind::start ? 1 : 0)) % weights_.size()];
  }

  void collect(std::vector<Action>& actions) {
    for (uint32_t q = 0; q < engines_.size(); ++q) {
      Engine& e = engines_[q];
      const isa::Program& p = executable_.queues[q];
      const bool free = !e.loading && e.next < p.code.size() && e.in_flight.size() < kInFlightMax;
      if (free && ready(e, p, p.code[e.next])) {
        actions.push_back({Action::Kind::start, q, 0});
      }
      for (uint32_t k = 0; k < e.in_flight.size(); ++k) {
        if (!e.in_flight[k].hash) actions.push_back({Action::Kind::read, q, k});
      }
      if (!e.in_flight.empty() && e.in_flight[0].hash) actions.push_back({Action::Kind::complete, q, 0});
    }
    for (auto& [lane, shares] : lanes_) {
      if (shares.empty()) continue;
      Share& s = shares.front();
      if (s.read < s.elements.size()) actions.push_back({Action::Kind::dma_read, lane, 0});
      if (s.written < s.read) actions.push_back({Action::Kind::dma_write, lane, 0});
      if (s.written == s.elements.size()) actions.push_back({Action::Kind::dma_finish, lane, 0});
    }
  }

  bool ready(const Engine& e, const isa::Program& p, const isa::Instruction& i) const {
    for (uint8_t k = 0; k < i.wait_count; ++k) {
      const isa::Wait& w = p.waits_of(i)[k];
      int64_t value = w.value;
      for (const isa::Delta& d : p.deltas_of(i)) {
        if (d.target == isa::Delta::Target::wait && d.index == k) value += static_cast<int32_t>(e.registers[d.level]);
      }
      if (static_cast<int64_t>(semaphores_.at(w.semaphore)) < value) return false;
    }
    return true;
  }

  // The instruction with its operands where registers move them now, as one of its own.
  std::pair<const isa::Program*, uint32_t> placed(const Engine& e, const isa::Program& p, uint32_t n) {
    const isa::Instruction& i = p.code[n];
    if (!isa::reads_registers(p, i)) return {&p, n};
    isa::Program& own = moved_.emplace_back();
    isa::Instruction& copy = own.append(i.opcode, i.engine);
    const std::vector<int64_t> offsets = tile::moved_by(p, i, e.registers);
    for (size_t k = 0; k < own.views.size(); ++k) {
      own.views[k] = p.operand(i, static_cast<int>(k));
      own.views[k].offset += offsets[k];
    }
    std::copy(p.attrs(i).begin(), p.attrs(i).end(), own.attributes.begin());
    copy.engine_index = i.engine_index, copy.dma_queue = i.dma_queue, copy.signal = i.signal;
    return {&own, 0};
  }

  void signal(const isa::Instruction& i) {
    if (i.signal != isa::kNoSemaphore) ++semaphores_.at(i.signal);
  }

  void perform(const Action& a) {
    switch (a.kind) {
      case Action::Kind::start:
        return start(a.actor);
      case Action::Kind::read: {
        InFlight& f = engines_[a.actor].in_flight[a.item];
        const isa::Program& p = *f.program;
        const isa::Instruction& i = p.code[f.instruction];
        f.hash = read_hash(machine_, p, i, false);
        if (i.opcode != isa::Opcode::register_load) return;
        engines_[a.actor].registers[p.word(i, 0)] = load_element(machine_, p.operand(i, 0));
        engines_[a.actor].loading = false;
        return;
      }
      case Action::Kind::complete: {
        InFlight f = engines_[a.actor].in_flight.front();
        engines_[a.actor].in_flight.pop_front();
        const isa::Program& p = *f.program;
        const isa::Instruction& i = p.code[f.instruction];
        if (i.opcode == isa::Opcode::register_store) store_element(machine_, p.operand(i, 0), f.value);
        if (!isa::is_control(i.opcode) && i.opcode != isa::Opcode::wait) {
          readings[{i.engine, i.engine_index}].push_back(*f.hash);
          write_results(machine_, p, i, *f.hash);
        }
        return signal(i);
      }
      case Action::Kind::dma_read:
      case Action::Kind::dma_write:
      case Action::Kind::dma_finish:
        return advance(a);
    }
  }

  void start(uint32_t q) {
    Engine& e = engines_[q];
    const isa::Program& p = executable_.queues[q];
    const auto [program, index] = placed(e, p, e.next);
    const isa::Instruction& i = program->code[index];
    if (isa::is_control(i.opcode)) {
      const bool loads = i.opcode == isa::Opcode::register_load, stores = i.opcode == isa::Opcode::register_store;
      e.loading = loads;
      e.in_flight.push_back({program, index, {}, stores ? e.registers[program->word(i, 0)] : 0});
      if (!loads) e.in_flight.back().hash = 0;
      e.next = loads || stores ? e.next + 1 : tile::control_step(p, e.next, e.registers);
      return;
    }
    ++e.next;
    if (!is_transfer(i)) {
      e.in_flight.push_back({program, index, {}, 0});
      return;
    }
    ambiguous_ |= unfinished_[i.signal] > 0;
    unfinished_[i.signal] = limits().dma_engines;
    size_t elements = program->operand(i, 0).elements();
    uint32_t used = 1 + static_cast<uint32_t>(random_.below(limits().dma_engines));
    for (uint32_t d = 0; d < limits().dma_engines; ++d) {
      Share s{program, index, {}, 0, 0, {}};
      for (size_t k = 0; k < elements; ++k) {
        if (k * used / elements == d) s.elements.push_back(k);
      }
      s.buffer.resize(s.elements.size());
      lanes_[i.dma_queue * limits().dma_engines + d].push_back(std::move(s));
    }
  }

  void advance(const Action& a) {
    std::deque<Share>& shares = lanes_[a.actor];
    Share& s = shares.front();
    const isa::Instruction& i = s.program->code[s.instruction];
    if (a.kind == Action::Kind::dma_finish) {
      signal(i);
      --unfinished_[i.signal];
      shares.pop_front();
      return;
    }
    bool reading = a.kind == Action::Kind::dma_read;
    const isa::View& v = s.program->operand(i, reading ? 1 : 0);
    size_t slot = reading ? s.read++ : s.written++;
    size_t element = s.elements[slot];
    if (reading) element = source_element(machine_, *s.program, i, element);
    Position p = positions_of(v)[element];
    for (size_t b = 0; b < dtype_bytes(v.dtype); ++b) {
      uint8_t& byte = machine_.at(v, p.partition, p.offset + static_cast<int64_t>(b));
      (reading ? s.buffer[slot][b] : byte) = reading ? byte : s.buffer[slot][b];
    }
  }

  const std::vector<Position>& positions_of(const isa::View& v) {
    std::vector<Position>& list = positions_[&v];
    if (list.empty()) list = positions(v);
    return list;
  }

  bool finished() const {
    for (size_t q = 0; q < engines_.size(); ++q) {
      if (engines_[q].next < executable_.queues[q].code.size()) return false;
    }
    return true;
  }

  std::string stuck() const {
    std::string out = "deadlock:";
    for (size_t q = 0; q < engines_.size(); ++q) {
      const isa::Program& p = executable_.queues[q];
      if (engines_[q].next >= p.code.size()) continue;
      out += " queue " + std::to_string(q) + " at " + std::to_string(engines_[q].next);
    }
    return out;
  }

  const Machine::Limits& limits() const { return machine_.limits; }

  const isa::Executable& executable_;
  Machine& machine_;
  Prng random_;
  std::vector<Engine> engines_;
  std::map<uint32_t, std::deque<Share>> lanes_;  // (queue, DMA engine)
  std::vector<uint64_t> semaphores_;
  std::map<uint16_t, uint32_t> unfinished_;  // by semaphore: shares of its transfer under way
  bool ambiguous_ = false;
  std::deque<isa::Program> moved_;  // instructions whose operands registers have moved
  std::vector<uint64_t> weights_;
  std::map<const isa::View*, std::vector<Position>> positions_;
};

}  // namespace presil::backend::testing
