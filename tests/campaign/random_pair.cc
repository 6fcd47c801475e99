#include "tests/campaign/random_pair.h"

#include <cstring>

#include "base/prng.h"
#include "chip/assemble.h"
#include "isa/exchange.h"
#include "tests/campaign/judge.h"

namespace presil::campaign {
namespace {

using namespace chip::testing;

constexpr uint16_t kPartitions = 8;
constexpr uint32_t kColumns = 5, kElements = kPartitions * kColumns;
constexpr int64_t kBytes = kColumns * 4;
constexpr uint32_t kBuffers = 4, kSlots = 3;  // SBUF buffers of a core, parts of the HBM that both share
// What a core raises: one semaphore per engine, one per DMA queue, one for exchanges.
enum : uint16_t { kVector, kScalar, kGpsimd, kTensor, kSync, kFirstQueue, kSecondQueue, kExchange, kPerCore };

spec::ChipSpec small_chip(uint64_t seed) {
  Prng random(seed);
  spec::ChipSpec s = pair_chip();
  s.sbuf.bytes_per_partition = 1024, s.psum.bytes_per_partition = 1024;
  s.hbm.bytes = 1 << 20;
  s.dma.engines = static_cast<uint32_t>(1 + random.below(4));
  for (Time* t : {&s.semaphores.wake, &s.semaphores.remote_wake, &s.dma.completion, &s.dma.start_latency_from_hbm,
                  &s.dma.start_latency_from_sbuf, &s.vector.latency, &s.gpsimd.latency}) {
    *t = static_cast<Time>(random.below(500)) * kNanosecond;
  }
  return s;
}

class Maker {
 public:
  Maker(uint64_t seed, const spec::ChipSpec& spec) : random_(seed), spec_(spec) {
    x_ = cores_[0].tensor("x", isa::TensorRole::input, 2 * kBuffers * kElements);
    shared_ = cores_[0].tensor("shared", isa::TensorRole::scratch, kSlots * kElements);
    out_ = cores_[0].tensor("out", isa::TensorRole::output, 2 * kBuffers * kElements);
  }

  isa::Executable make(int instructions) {
    for (uint32_t b = 0; b < 2 * kBuffers; ++b)
      finish(queue(b / kBuffers, place(b % kBuffers), part(x_, b), 0), b / kBuffers, kFirstQueue);
    for (uint32_t s = 0; s < kSlots; ++s) finish(queue(s % 2, part(shared_, s), any(), 0), s % 2, kFirstQueue);
    for (int n = 0; n < instructions; ++n) add(static_cast<uint32_t>(random_.below(2)));
    for (uint32_t b = 0; b < 2 * kBuffers; ++b)
      finish(queue(b / kBuffers, part(out_, b), place(b % kBuffers), 0), b / kBuffers, kFirstQueue);
    return isa::expand_exchanges(pair_of(cores_[0], cores_[1]), spec_.dma.engines).value();
  }

 private:
  static View place(int64_t b) { return sbuf(kPartitions, b * kBytes, kColumns); }
  static View part(int64_t tensor, int64_t k) { return hbm(tensor + k * kElements * 4, kElements); }
  View any() { return place(static_cast<int64_t>(random_.below(kBuffers))); }
  View slot() { return part(shared_, static_cast<int64_t>(random_.below(kSlots))); }

  Assembler::Last queue(uint32_t core, const View& dst, const View& src, uint8_t number) {
    return cores_[core].dma(number == 0 ? EngineKind::sync : EngineKind::scalar, dst, src, number);
  }
  void transfer(uint32_t core, const View& dst, const View& src) {
    const auto number = static_cast<uint8_t>(random_.below(2));
    finish(queue(core, dst, src, number), core, static_cast<uint16_t>(kFirstQueue + number));
  }

  void add(uint32_t core) {
    Assembler& a = cores_[core];
    switch (random_.below(9)) {
      case 0:
        return finish(a.add(EngineKind::vector, any(), any(), any()), core, kVector);
      case 1:
        return finish(a.activation(Activation::relu, any(), any()), core, kScalar);
      case 2:
        return finish(a.add(EngineKind::gpsimd, any(), any(), any()), core, kGpsimd);
      case 3: {
        const View product = psum(kColumns, 0, kColumns);
        finish(a.matmul(product, any(), any()), core, kTensor);
        const View to = sbuf(kColumns, static_cast<int64_t>(random_.below(kBuffers)) * kBytes, kColumns);
        return finish(a.copy(EngineKind::vector, to, product), core, kVector);
      }
      case 4:
        return transfer(core, of_peer(any()), any());
      case 5: {
        const View dst = any();
        return transfer(core, dst, of_peer(any()));
      }
      case 6:
        return transfer(core, slot(), any());
      case 7:
        return transfer(core, any(), slot());
      default:
        return random_.below(2) ? exchange() : meet();
    }
  }

  void exchange() {
    namespace s = isa::slots::sendrecv;
    const auto from = static_cast<int64_t>(random_.below(kBuffers));
    const auto to = (from + 1 + static_cast<int64_t>(random_.below(kBuffers - 1))) % kBuffers;
    const std::vector<uint32_t> before = raised_;
    for (uint32_t core = 0; core < 2; ++core) {
      const Assembler::Last last = cores_[core].append(EngineKind::sync, Opcode::sendrecv);
      last.operand(s::dst, place(to)).operand(s::src, place(from));
      last.word(s::send_to_rank, 1 - core).word(s::recv_from_rank, 1 - core);
      finish(last, core, kExchange, &before);
    }
  }
  void meet() {
    const std::vector<uint32_t> before = raised_;
    for (uint32_t core = 0; core < 2; ++core) {
      const Assembler::Last last = cores_[core].append(EngineKind::gpsimd, Opcode::core_barrier);
      finish(last.operand(0, part(shared_, 0)), core, kGpsimd, &before);
    }
  }

  // After everything before it on either core, and both cores hear of it.
  void finish(const Assembler::Last& last, uint32_t core, uint16_t semaphore,
              const std::vector<uint32_t>* before = nullptr) {
    const std::vector<uint32_t>& awaited = before ? *before : raised_;
    for (uint16_t s = 0; s < awaited.size(); ++s) {
      if (awaited[s] > 0) last.wait(s, awaited[s]);
    }
    const uint32_t id = core * kPerCore + semaphore;
    last.signal_both(static_cast<uint16_t>(id));
    raised_[id] += isa::is_dma(last.instruction().opcode) ? spec_.dma.engines : 1;
  }

  Prng random_;
  const spec::ChipSpec& spec_;
  Assembler cores_[2];
  int64_t x_ = 0, shared_ = 0, out_ = 0;
  std::vector<uint32_t> raised_ = std::vector<uint32_t>(2 * kPerCore);
};

// Without the waits that are satisfied from the start.
void compact(isa::Program& p) {
  std::vector<isa::Wait> kept;
  for (isa::Instruction& i : p.code) {
    const auto begin = static_cast<uint32_t>(kept.size());
    for (const isa::Wait& w : p.waits_of(i)) {
      if (w.value > 0) kept.push_back(w);
    }
    i.wait_begin = begin, i.wait_count = static_cast<uint8_t>(kept.size() - begin);
  }
  p.waits = std::move(kept);
}

bool in_order(const isa::Executable& exe, const spec::ChipSpec& spec) {
  return judge(exe, spec).verdict == Verdict::ordered && system::run(exe, spec, {.check = true}).value().outcome.ok();
}

// Takes away waits, in random order, and then increments, as long as judge and checker find everything in order.
void spare(isa::Executable& exe, const spec::ChipSpec& spec, uint64_t seed) {
  Prng random(seed);
  std::vector<uint32_t*> values;
  for (isa::Program& p : exe.queues) {
    for (isa::Wait& w : p.waits) values.push_back(&w.value);
  }
  for (size_t k = values.size(); k > 1; --k) std::swap(values[k - 1], values[random.below(k)]);
  for (uint32_t* value : values) {
    const uint32_t before = std::exchange(*value, 0);
    if (!in_order(exe, spec)) *value = before;
  }
  for (isa::Program& p : exe.queues) {
    compact(p);
    for (isa::Instruction& i : p.code) {
      const uint16_t before = std::exchange(i.signal, isa::kNoSemaphore);
      if (!in_order(exe, spec)) i.signal = before;
    }
  }
}

}  // namespace

Subject random_pair(uint64_t seed, int instructions) {
  Prng random(seed);
  Subject s{.exe = {}, .spec = small_chip(random.next()), .inputs = {}};
  s.exe = Maker(random.next(), s.spec).make(instructions);
  if (random.below(4) != 0) spare(s.exe, s.spec, random.next());
  s.inputs = random_inputs(s.exe, random);
  return s;
}

}  // namespace presil::campaign
