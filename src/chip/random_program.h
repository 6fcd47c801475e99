// Random programs for tests: instructions of every engine and transfers of several queues, with waits that only look
// back, so that no program deadlocks. Each DMA queue is triggered by one engine, each semaphore raised by one queue of
// either kind. A program depends on the seed and on how often a transfer raises its semaphore, on nothing else.
#pragma once
#include "base/prng.h"
#include "chip/assemble.h"

namespace presil::chip::testing {

struct RandomOptions {
  uint32_t instructions = 200;
  uint32_t dma_queues = 3;
  uint32_t shares = 4;   // DMA engines of the chip
  bool ordered = false;  // everything waits for everything before it: no races
  bool written = false;  // begins by writing all memories that it reads
  bool classes = false;  // transfers of several service classes, descriptors made by hardware
};

class RandomProgram {
 public:
  RandomProgram(uint64_t seed, const RandomOptions& options) : prng_(seed), options_(options) {
    x_ = a_.tensor("x", isa::TensorRole::input, kHbm);
    out_ = a_.tensor("out", isa::TensorRole::output, kHbm);
    raised_.assign(isa::kEngineKindCount + options.dma_queues, 0);
    if (options.written) write_all();
    for (uint32_t k = 0; k < options.instructions; ++k) add(k);
  }
  Assembler take() { return std::move(a_); }

 private:
  static constexpr uint32_t kHbm = 128 * 4096;

  // 16 buffers of 8 KiB per partition in SBUF, one per bank in PSUM.
  int64_t buffer() { return static_cast<int64_t>(prng_.below(16)) * 8192; }
  int64_t bank() { return static_cast<int64_t>(prng_.below(8)) * 2048; }
  uint32_t size() { return static_cast<uint32_t>(1 + prng_.below(prng_.below(3) == 0 ? 512 : 60)); }

  // Every buffer with values of its own, every bank started by a matmul; raised by the vector and the tensor engine.
  void write_all() {
    for (int64_t b = 0; b < 16; ++b) {
      a_.memset(EngineKind::vector, sbuf(128, b * 8192, 2048), static_cast<float>(b + 1) / 8).signal(1);
    }
    for (int64_t b = 0; b < 8; ++b) {
      a_.matmul(psum(64, b * 2048, 512), sbuf(128, b * 8192, 64), sbuf(128, b * 8192, 512)).wait(1, 16).signal(0);
    }
    raised_[0] = 8, raised_[1] = 16;
    for (EngineKind e : {EngineKind::vector, EngineKind::scalar, EngineKind::gpsimd, EngineKind::sync}) {
      a_.wait(e).wait(0, 8).wait(1, 16);
    }
  }

  void add(uint32_t index) {
    if (index % 40 == 0) {
      a_.exe.layers.push_back({"layer" + std::to_string(a_.exe.layers.size()), "test", 0, 0});
      a_.exe.sources.push_back({static_cast<uint32_t>(a_.exe.layers.size() - 1), "test", "node"});
    }
    auto engine = static_cast<EngineKind>(prng_.below(isa::kEngineKindCount));
    bool transfer = engine == EngineKind::sync || prng_.below(8) == 0;
    size_t semaphore = static_cast<size_t>(engine);
    auto last = transfer ? add_transfer(engine, semaphore) : add_compute(engine);
    add_waits(last);
    last.signal(static_cast<uint16_t>(semaphore));
    raised_[semaphore] += transfer ? options_.shares : 1;
  }

  Assembler::Last add_transfer(EngineKind engine, size_t& semaphore) {
    // Queue q belongs to engine q mod 5; without one of its own, the engine takes a compute semaphore's place.
    uint32_t queue = static_cast<uint32_t>(engine) % options_.dma_queues;
    EngineKind owner = static_cast<EngineKind>(queue == 0 ? 4 : queue);
    semaphore = isa::kEngineKindCount + queue;
    uint32_t n = size();
    View inside = sbuf(128, buffer(), n), outside = hbm(0, 128 * n);
    const bool load = prng_.below(2) == 0;
    outside.offset = load ? x_ : out_;
    const auto last = load ? a_.dma(owner, inside, outside, static_cast<uint8_t>(queue))
                           : a_.dma(owner, outside, inside, static_cast<uint8_t>(queue));
    if (options_.classes) classify(last, owner);
    return last;
  }

  void classify(const Assembler::Last& last, EngineKind owner) {
    namespace s = isa::slots::dma_copy;
    last.word(s::priority, static_cast<uint32_t>(prng_.below(isa::kServiceClasses)));
    const bool commands = owner == EngineKind::scalar || owner == EngineKind::sync;
    if (commands && prng_.below(3) == 0) last.word(s::dge_mode, static_cast<uint32_t>(isa::DgeMode::hwdge));
  }

  Assembler::Last add_compute(EngineKind engine) {
    uint32_t n = size();
    switch (engine) {
      case EngineKind::tensor:
        return a_.matmul(psum(64, bank(), n), sbuf(128, buffer(), 64), sbuf(128, buffer(), n), prng_.below(2) == 0);
      case EngineKind::scalar:
        return a_.activation(prng_.below(2)   ? Activation::exp
                             : prng_.below(2) ? Activation::tanh
                                              : Activation::relu,
                             sbuf(128, buffer(), n), sbuf(128, buffer(), n));
      case EngineKind::vector:
      case EngineKind::gpsimd:
      case EngineKind::sync:
        break;
    }
    if (engine == EngineKind::vector && prng_.below(2) == 0)
      return a_.copy(engine, sbuf(64, buffer(), n), psum(64, bank(), n));
    return a_.add(engine, sbuf(128, buffer(), n), sbuf(128, buffer(), n), sbuf(128, buffer(), n));
  }

  void add_waits(const Assembler::Last& last) {
    for (size_t s = 0; s < raised_.size(); ++s) {
      if (raised_[s] == 0) continue;
      if (options_.ordered) {
        last.wait(static_cast<uint16_t>(s), raised_[s]);
      } else if (prng_.below(6) == 0) {
        last.wait(static_cast<uint16_t>(s), static_cast<uint32_t>(1 + prng_.below(raised_[s])));
      }
    }
  }

  Prng prng_;
  RandomOptions options_;
  Assembler a_;
  int64_t x_ = 0, out_ = 0;
  std::vector<uint32_t> raised_;  // by semaphore: one per engine, then one per DMA queue
};

inline Assembler random_program(uint64_t seed, const RandomOptions& options = {}) {
  return RandomProgram(seed, options).take();
}

}  // namespace presil::chip::testing
