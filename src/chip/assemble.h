// Executables written by hand, for tests: one call per instruction, views by short helpers.
//
//   Assembler a;
//   a.dma(Q::sync, sbuf(0, 128, 0, 512), hbm(0, 128 * 512)).signal(0);
//   a.copy(Q::vector, sbuf(0, 128, 4096, 512), sbuf(0, 128, 0, 512)).wait(0, 16).signal(1);
#pragma once
#include <bit>
#include <initializer_list>
#include <utility>

#include "isa/executable.h"
#include "isa/slots.h"
#include "numerics/activation.h"
#include "numerics/alu.h"
#include "spec/chip_spec.h"

namespace presil::chip::testing {

using isa::Dim;
using isa::EngineKind;
using isa::Memory;
using isa::Opcode;
using isa::View;

inline View view(Memory memory, uint16_t partition, uint16_t partitions, int64_t offset,
                 std::initializer_list<Dim> dims, DType dtype = DType::fp32) {
  View v;
  v.memory = memory;
  v.dtype = dtype;
  v.partition = partition;
  v.partitions = partitions;
  v.offset = offset;
  for (const Dim& d : dims) v.dims[v.rank++] = d;
  return v;
}
// `count` fp32 elements per partition from byte `offset`.
inline View sbuf(uint16_t partitions, int64_t offset, uint32_t count, uint16_t partition = 0) {
  return view(Memory::sbuf, partition, partitions, offset, {{1, count}});
}
inline View psum(uint16_t partitions, int64_t offset, uint32_t count, uint16_t partition = 0) {
  return view(Memory::psum, partition, partitions, offset, {{1, count}});
}
// In the other core of a pair.
inline View of_peer(View v) {
  v.peer = 1;
  return v;
}
inline View hbm(int64_t offset, uint32_t count) { return view(Memory::hbm, 0, 1, offset, {{1, count}}); }

// A chip with round numbers: every clock 1 GHz, an instruction of n elements occupies max(n, 10) ns and ends 100 ns
// after its last element; a transfer starts 700 ns after its trigger and moves 1 byte per ns and engine.
inline spec::ChipSpec round_chip() {
  spec::ChipSpec s;
  s.name = "round";
  for (spec::EngineSpec* e :
       std::initializer_list<spec::EngineSpec*>{&s.tensor, &s.vector, &s.scalar, &s.gpsimd, &s.sync}) {
    e->clock_hz = 1'000'000'000;
    e->initiation_min_cycles = 10;
    e->latency = 100 * kNanosecond;
    e->reads = e->writes = {"sbuf", "psum"};
  }
  s.tensor.reads = {"sbuf"}, s.tensor.writes = {"psum"};
  s.sync.latency = 0;
  s.sync.reads = s.sync.writes = {};
  s.gpsimd.reads = s.gpsimd.writes = {"sbuf"};
  s.gpsimd.start_cycles = 0;
  s.scalar.table_load = 1000 * kNanosecond;
  s.sbuf = {.partitions = 128, .bytes_per_partition = 192 * 1024};
  s.psum = {.partitions = 128, .bytes_per_partition = 16 * 1024, .banks = 8};
  s.dma.engines = 4;
  s.dma.queues = 4;
  s.dma.engine_bytes_per_s = s.dma.queue_bytes_per_s = 1'000'000'000;
  s.dma.trigger_from_hbm = s.dma.trigger_from_sbuf = 8 * kNanosecond;
  s.dma.start_latency_from_hbm = s.dma.start_latency_from_sbuf = 700 * kNanosecond;
  s.dma.access_bytes_min = 1;
  s.dma.completion = 200 * kNanosecond;
  s.hbm = {.bytes = 1ull << 30, .bytes_per_s = 1'000'000'000'000};
  s.semaphores.wake = 30 * kNanosecond;
  return s;
}

struct Assembler {
  isa::Executable exe;

  // Queues: one per engine, in the order of EngineKind.
  Assembler() {
    exe.chip = "test";
    exe.queues.resize(isa::kEngineKindCount);
    exe.layers.push_back({"layer0", "test", 0, 0});
    exe.sources.push_back({0, "test", "node"});
  }

  struct Last {
    isa::Executable& exe;
    isa::Program& program;
    isa::Instruction& instruction() const { return program.code.back(); }
    const Last& signal(uint16_t semaphore) const {
      instruction().signal = semaphore;
      use(semaphore);
      return *this;
    }
    const Last& signal_peer(uint16_t semaphore) const {
      instruction().signal_to = isa::SignalTo::peer;
      return signal(semaphore);
    }
    const Last& signal_both(uint16_t semaphore) const {
      instruction().signal_to = isa::SignalTo::both;
      return signal(semaphore);
    }
    const Last& wait(uint16_t semaphore, uint32_t value) const {
      program.waits.push_back({semaphore, value});
      ++instruction().wait_count;
      use(semaphore);
      return *this;
    }
    // Operand or wait `index` grows by `step` with every iteration of the repeat at `level`.
    const Last& grow(isa::Delta::Target target, uint8_t index, uint8_t level, int64_t step) const {
      program.deltas.push_back({target, index, level, step});
      ++instruction().delta_count;
      return *this;
    }
    const Last& operand(int k, const View& v) const {
      program.views[instruction().operand_begin + static_cast<uint32_t>(k)] = v;
      return *this;
    }
    const Last& word(int k, uint32_t value) const {
      program.attributes[instruction().attribute_begin + static_cast<uint32_t>(k)] = value;
      return *this;
    }
    void use(uint16_t semaphore) const { exe.semaphores = std::max(exe.semaphores, semaphore + 1u); }
  };

  isa::Program& queue(EngineKind e) { return exe.queues[static_cast<size_t>(e)]; }
  Last append(EngineKind e, Opcode opcode) {
    queue(e).append(opcode, e).source = static_cast<uint32_t>(exe.sources.size() - 1);
    return {exe, queue(e)};
  }

  Last wait(EngineKind e) { return append(e, Opcode::wait); }
  Last copy(EngineKind e, const View& dst, const View& src) {
    return append(e, Opcode::tensor_copy).operand(0, dst).operand(1, src);
  }
  Last memset(EngineKind e, const View& dst, float value = 0) {
    return append(e, Opcode::memset).operand(0, dst).word(0, std::bit_cast<uint32_t>(value));
  }
  Last add(EngineKind e, const View& dst, const View& a, const View& b) {
    return append(e, Opcode::tensor_tensor)
        .operand(0, dst)
        .operand(1, a)
        .operand(2, b)
        .word(isa::slots::tensor_tensor::op, static_cast<uint32_t>(AluOp::add));
  }
  Last activation(Activation f, const View& dst, const View& data) {
    return append(EngineKind::scalar, Opcode::activation)
        .operand(isa::slots::activation::dst, dst)
        .operand(isa::slots::activation::data, data)
        .word(isa::slots::activation::op, static_cast<uint32_t>(f));
  }
  Last matmul(const View& dst, const View& stationary, const View& moving, bool accumulate = false) {
    return append(EngineKind::tensor, Opcode::nc_matmul)
        .operand(isa::slots::nc_matmul::dst, dst)
        .operand(isa::slots::nc_matmul::stationary, stationary)
        .operand(isa::slots::nc_matmul::moving, moving)
        .word(isa::slots::nc_matmul::accumulate, accumulate ? 1 : 0);
  }
  Last dma(EngineKind e, const View& dst, const View& src, uint8_t dma_queue = 0) {
    Last last = append(e, Opcode::dma_copy).operand(0, dst).operand(1, src);
    last.instruction().dma_queue = dma_queue;
    return last;
  }
  // The `count` latest instructions of a queue run `times` times.
  void repeat(EngineKind e, uint32_t count, uint32_t times) {
    auto last = static_cast<uint32_t>(queue(e).code.size());
    queue(e).repeats.push_back({last - count, last, times});
  }
  // A tensor at the end of the HBM map; its address.
  int64_t tensor(std::string name, isa::TensorRole role, int64_t count) {
    isa::HbmTensor t;
    t.name = std::move(name);
    t.shape = {count};
    t.role = role;
    t.address = exe.hbm_bytes;
    t.bytes = static_cast<uint64_t>(count) * 4;
    exe.hbm_bytes += t.bytes;
    exe.tensors.push_back(t);
    return static_cast<int64_t>(t.address);
  }
};

// The two as the cores of a pair, in the HBM map of the first; sources are those of the first, too.
inline isa::Executable pair_of(const Assembler& first, const Assembler& second) {
  isa::Executable e = first.exe;
  e.lnc = 2;
  e.semaphores = std::max(e.semaphores, second.exe.semaphores);
  for (isa::Program p : second.exe.queues) {
    p.core = 1;
    e.queues.push_back(std::move(p));
  }
  return e;
}
inline spec::ChipSpec pair_chip() {
  spec::ChipSpec s = round_chip();
  s.cores = s.lnc_max = 2;
  s.semaphores.remote_wake = 50 * kNanosecond;
  return s;
}

}  // namespace presil::chip::testing
