// Random programs and executables for round trips: sound structure, every field anywhere in its range and often at its
// ends; not meant to keep a chip's rules.
#pragma once
#include <cmath>
#include <limits>

#include "base/prng.h"
#include "isa/executable.h"
#include "isa/vocabulary.h"

namespace presil::isa::testing {

class RandomPrograms {
 public:
  explicit RandomPrograms(uint64_t seed) : random_(seed) {}

  template <class Integer>
  Integer any() {
    constexpr Integer low = std::numeric_limits<Integer>::min(), high = std::numeric_limits<Integer>::max();
    switch (random_.below(6)) {
      case 0:
        return low;
      case 1:
        return high;
      case 2:
        return Integer{1};
      case 3:
        return static_cast<Integer>(random_.below(128));
      default:
        return static_cast<Integer>(random_.next());
    }
  }

  View view() {
    View v;
    v.memory = static_cast<Memory>(random_.between(1, 3));
    v.dtype = static_cast<DType>(random_.below(kDTypeCount));
    v.rank = static_cast<uint8_t>(random_.below(kMaxRank + 1));
    v.peer = random_.below(8) == 0;
    if (random_.below(2)) v.partition = any<uint16_t>(), v.partitions = any<uint16_t>();
    if (random_.below(4) == 0) v.base = any<uint32_t>();
    if (random_.below(2)) v.offset = any<int64_t>();
    int64_t natural = 1;
    for (size_t d = v.rank; d-- > 0;) {
      Dim& dim = v.dims[d];
      dim = {static_cast<int32_t>(natural),
             random_.below(2) ? any<uint32_t>() : static_cast<uint32_t>(random_.below(9))};
      if (random_.below(3) == 0) dim.step = any<int32_t>();
      if (natural < INT32_MAX) natural *= dim.count;
    }
    return v;
  }

  uint32_t word(AttributeKind kind) {
    if (kind == AttributeKind::flag) return static_cast<uint32_t>(random_.below(2));
    size_t names = value_names(kind).size();
    return names > 0 ? static_cast<uint32_t>(random_.below(names)) : any<uint32_t>();
  }

  void instruction(Program& p, Opcode opcode, size_t levels) {
    Instruction& i = p.append(opcode, static_cast<EngineKind>(random_.below(kEngineKindCount)));
    const InstructionRow& r = row(opcode);
    for (size_t k = 0; k < r.operands.size(); ++k) {
      if (random_.below(5) > 0) p.views[i.operand_begin + k] = view();
    }
    for (size_t k = 0; k < r.attributes.size(); ++k) {
      if (random_.below(3) > 0) p.attributes[i.attribute_begin + k] = word(r.attributes[k].kind);
    }
    if (random_.below(3) == 0) i.engine_index = any<uint8_t>(), i.dma_queue = any<uint8_t>();
    if (random_.below(3) == 0) i.signal = any<uint16_t>();
    if (i.signal != kNoSemaphore) i.signal_to = static_cast<SignalTo>(random_.below(kSignalToCount));
    if (random_.below(3) == 0) i.source = any<uint32_t>();
    while (random_.below(3) == 0 && i.wait_count < 255) {
      p.waits.push_back({any<uint16_t>(), any<uint32_t>()});
      ++i.wait_count;
    }
    deltas(p, levels);
  }

  // About `size` instructions of any opcode in random repeats.
  Program program(size_t size) {
    Program p;
    while (p.code.size() < size) block(p, 0);
    return p;
  }

  std::string text() {
    static constexpr std::string_view pieces[] = {"conv", " ", "\"", "\\", "\n", "\x01", "\x7f", "é", "/", "#", "}"};
    std::string out;
    while (random_.below(5) > 0) out += pieces[random_.below(std::size(pieces))];
    return out;
  }

  HbmTensor tensor() {
    HbmTensor t{text(),
                static_cast<DType>(random_.below(kDTypeCount)),
                {},
                static_cast<TensorRole>(random_.below(4)),
                any<uint64_t>(),
                any<uint64_t>(),
                {}};
    while (random_.below(3) > 0) t.shape.push_back(any<int64_t>());
    t.split_axis = static_cast<int32_t>(random_.below(t.shape.size() + 1)) - 1;
    if (random_.below(2)) t.data.resize(random_.below(3000));
    if (random_.below(2)) {
      for (std::byte& b : t.data) b = static_cast<std::byte>(random_.next());
    }
    return t;
  }

  Executable executable() {
    Executable e{any<uint64_t>(), text(), text(), text()};
    e.cores = 1 + static_cast<uint32_t>(random_.below(4));
    e.lnc = 1 + static_cast<uint32_t>(random_.below(2));
    e.semaphores = any<uint32_t>(), e.hbm_bytes = any<uint64_t>();
    for (uint64_t n = random_.below(4); n-- > 0;) e.tensors.push_back(tensor());
    for (uint64_t n = random_.below(4); n-- > 0;) {
      e.queues.push_back(program(random_.below(20)));
      e.queues.back().core = e.lnc > 1 ? any<uint8_t>() : 0;
    }
    for (uint64_t n = random_.below(4); n-- > 0;) e.sources.push_back({any<uint32_t>(), text(), text()});
    for (uint64_t n = random_.below(4); n-- > 0;)
      e.layers.push_back({text(), text(), any<uint64_t>(), any<uint64_t>()});
    if (random_.below(2)) e.modes = {random_.below(2) != 0, any<uint64_t>(), static_cast<uint8_t>(random_.below(16))};
    for (uint64_t n = random_.below(3); n-- > 0;) {
      numerics::ActivationTable& t = e.activations.emplace_back(numerics::ActivationTable{text(), {}});
      for (uint64_t m = random_.below(5); m-- > 0;) {
        const auto number = [&] { return random_.below(9) == 0 ? -INFINITY : random_.normal(); };
        t.pieces.push_back({number(), number(), {number(), number(), number(), number()}});
      }
    }
    return e;
  }

  Prng& prng() { return random_; }

 private:
  void deltas(Program& p, size_t levels) {
    Instruction& i = p.code.back();
    while (random_.below(2) == 0 && i.delta_count < 255) {
      Delta d{Delta::Target::operand, 0, 0, any<int64_t>()};
      d.of_register = levels == 0 || random_.below(3) == 0;
      d.level = d.of_register ? any<uint8_t>() : static_cast<uint8_t>(random_.below(levels));
      if (i.wait_count > 0 && random_.below(2)) {
        d.target = Delta::Target::wait;
        d.index = static_cast<uint8_t>(random_.below(i.wait_count));
      } else if (i.operand_count > 0) {
        d.index = static_cast<uint8_t>(random_.below(i.operand_count));
        if (!p.operand(i, d.index).present()) continue;
      } else {
        continue;
      }
      p.deltas.push_back(d);
      ++i.delta_count;
    }
  }

  void block(Program& p, size_t levels) {
    bool repeated = levels < 5 && random_.below(3) == 0;
    size_t repeat = p.repeats.size();
    if (repeated) {
      p.repeats.push_back({static_cast<uint32_t>(p.code.size()), 0, std::max<uint32_t>(1, any<uint32_t>())});
      ++levels;
    }
    do {
      if (repeated && random_.below(4) == 0) block(p, levels);
      instruction(p, static_cast<Opcode>(random_.below(kOpcodeCount)), levels);
      if (repeated && random_.below(4) == 0) block(p, levels);
    } while (repeated && random_.below(2) == 0);
    if (repeated) p.repeats[repeat].last = static_cast<uint32_t>(p.code.size());
  }

  Prng random_;
};

}  // namespace presil::isa::testing
