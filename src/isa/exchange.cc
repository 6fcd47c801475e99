#include "isa/exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "isa/control.h"
#include "isa/slots.h"

namespace presil::isa {
namespace {

// What exchanges of the two cores have in common by which they meet: a pipe, or the engine of barriers.
struct Channel {
  Opcode opcode = Opcode::sendrecv;
  uint32_t number = 0;
  auto operator<=>(const Channel&) const = default;
};

Channel channel_of(const Program& p, const Instruction& i) {
  if (i.opcode == Opcode::sendrecv) return {i.opcode, p.word(i, slots::sendrecv::pipe_id)};
  return {i.opcode, static_cast<uint32_t>(i.engine) << 8 | i.engine_index};
}

std::string name_of(const Channel& c) {
  if (c.opcode == Opcode::sendrecv) return fmt::format("sendrecv of pipe {}", static_cast<int32_t>(c.number));
  return fmt::format("core_barrier of {}", engine_name(static_cast<EngineKind>(c.number >> 8)));
}

// How many exchanges of its channel are before this one: base + sum over the repeats around it of step * iteration.
struct Count {
  int64_t base = 0;
  std::vector<int64_t> steps;
  std::vector<uint32_t> iterations;  // of the repeats around it, outermost first
  bool operator==(const Count&) const = default;
};

struct Place {
  uint32_t queue = 0, instruction = 0;
  Count count;
};

using Places = std::array<std::vector<Place>, 2>;  // by core

struct Semaphores {
  uint16_t ready = 0;
  std::array<uint16_t, 2> moved{};  // by the core whose transfer it is
};

// More than any semaphore counts to; sums of products of counts stay far inside 64 bits.
constexpr int64_t kMany = int64_t{1} << 33;

bool inside(const Repeat& r, uint32_t n) { return r.first <= n && n < r.last; }

// Executions of `n` per iteration of what `around` admits: the product of the counts of those repeats around n.
template <class Around>
int64_t times(const Program& p, uint32_t n, Around&& around) {
  int64_t product = 1;
  for (size_t r = 0; r < p.repeats.size(); ++r) {
    if (inside(p.repeats[r], n) && around(r))
      product = product > kMany / p.repeats[r].count ? kMany : product * p.repeats[r].count;
  }
  return product;
}

Count count_of(const Program& p, const std::vector<uint32_t>& channel, uint32_t n) {
  Count c;
  for (uint32_t other : channel) {
    if (other < n) c.base += times(p, other, [&](size_t r) { return !inside(p.repeats[r], n); });
  }
  for (size_t r = 0; r < p.repeats.size(); ++r) {
    if (!inside(p.repeats[r], n)) continue;
    int64_t body = 0;  // exchanges of one iteration
    for (uint32_t other : channel) {
      // Repeats of the same instructions are outer before inner.
      if (inside(p.repeats[r], other)) {
        body += times(p, other, [&](size_t q) {
          const bool within = p.repeats[q].first >= p.repeats[r].first && p.repeats[q].last <= p.repeats[r].last;
          return within && q > r;
        });
      }
    }
    c.steps.push_back(body);
    c.iterations.push_back(p.repeats[r].count);
  }
  return c;
}

class Expansion {
 public:
  Expansion(const Executable& executable, uint32_t dma_engines) : exe_(executable), dma_engines_(dma_engines) {}

  Result<Executable> run() {
    if (exe_.lnc != 2) return bad_input("sendrecv and core_barrier need a pair of cores, the executable is for one");
    TRY(find());
    out_ = exe_;
    uint32_t next = exe_.semaphores;
    for (const auto& [channel, places] : channels_) {
      TRY(check(channel, places));
      const uint32_t used = channel.opcode == Opcode::sendrecv ? 3 : 1;
      if (next + used >= kNoSemaphore) return bad_input("more exchanges than semaphores can be numbered");
      const auto id = static_cast<uint16_t>(next);
      semaphores_[channel] = {id, {static_cast<uint16_t>(id + 1), static_cast<uint16_t>(id + 2)}};
      next += used;
    }
    out_.semaphores = next;
    for (uint32_t q = 0; q < exe_.queues.size(); ++q) rewrite(q);
    return std::move(out_);
  }

 private:
  struct Done {};

  Error error(const Place& at, std::string message) const {
    return bad_input(std::move(message), fmt::format("queue {} instruction {}", at.queue, at.instruction));
  }

  // The last value awaited, and every step to it.
  bool too_many(const Count& c) const {
    __int128 last = c.base + 1;
    for (size_t level = 0; level < c.steps.size(); ++level)
      last += static_cast<__int128>(c.steps[level]) * (c.iterations[level] - 1);
    return last * dma_engines_ > UINT32_MAX;
  }

  Result<Done> find() {
    for (uint32_t q = 0; q < exe_.queues.size(); ++q) {
      const Program& p = exe_.queues[q];
      if (p.core >= exe_.lnc)
        return bad_input(fmt::format("is for core {} of a logical core, which has {}", p.core, exe_.lnc),
                         fmt::format("queue {}", q));
      std::map<Channel, std::vector<uint32_t>> found;
      for (uint32_t n = 0; n < p.code.size(); ++n) {
        if (!is_exchange(p.code[n].opcode)) continue;
        if (has_control(p)) return error({q, n, {}}, "an exchange in a queue with branches: nobody can count it");
        found[channel_of(p, p.code[n])].push_back(n);
      }
      for (const auto& [channel, all] : found) {
        std::vector<Place>& places = channels_[channel][p.core];
        if (!places.empty())
          return error({q, all[0], {}}, fmt::format("{} is used by queue {}, too: a pipe is in one order",
                                                    name_of(channel), places[0].queue));
        for (uint32_t n : all) {
          places.push_back({q, n, count_of(p, all, n)});
          if (too_many(places.back().count))
            return error(places.back(), fmt::format("more of {} than a semaphore counts", name_of(channel)));
        }
      }
    }
    return Done{};
  }

  Result<Done> check(const Channel& channel, const Places& places) const {
    for (uint32_t core = 0; channel.opcode == Opcode::sendrecv && core < 2; ++core) {
      for (const Place& p : places[core]) {
        const uint32_t rank = exe_.queues[p.queue].word(at(p), slots::sendrecv::send_to_rank);
        if (rank == core) return error(p, fmt::format("core {} sends to core {}, which is itself", core, rank));
      }
    }
    if (places[0].size() != places[1].size()) {
      const Place& some = places[0].empty() ? places[1][0] : places[0][0];
      return error(some, fmt::format("{} instructions of core 0 meet {} of core 1: {}", places[0].size(),
                                     places[1].size(), name_of(channel)));
    }
    for (size_t k = 0; k < places[0].size(); ++k) {
      const Place &a = places[0][k], &b = places[1][k];
      if (a.count != b.count) {
        return error(
            a, fmt::format("meets instruction {} of queue {}, which is repeated otherwise", b.instruction, b.queue));
      }
      if (channel.opcode == Opcode::sendrecv) {
        TRY(check_shapes(a, b));
        TRY(check_shapes(b, a));
      }
    }
    return Done{};
  }

  const Instruction& at(const Place& p) const { return exe_.queues[p.queue].code[p.instruction]; }
  const View& view(const Place& p, int operand) const { return exe_.queues[p.queue].operand(at(p), operand); }

  Result<Done> check_shapes(const Place& from, const Place& to) const {
    const View &src = view(from, slots::sendrecv::src), &dst = view(to, slots::sendrecv::dst);
    const bool same = src.dtype == dst.dtype && src.partitions == dst.partitions &&
                      src.elements_per_partition() == dst.elements_per_partition();
    if (same) return Done{};
    return error(from, fmt::format("sends {} x {} {}, instruction {} of queue {} receives {} x {} {}", src.partitions,
                                   src.elements_per_partition(), dtype_name(src.dtype), to.instruction, to.queue,
                                   dst.partitions, dst.elements_per_partition(), dtype_name(dst.dtype)));
  }

  // The queue with its exchanges carried out; repeats move along.
  void rewrite(uint32_t q) {
    const Program& p = exe_.queues[q];
    if (std::ranges::none_of(p.code, [](const Instruction& i) { return is_exchange(i.opcode); })) return;
    Program& to = out_.queues[q];
    to.code.clear();
    std::vector<uint32_t> moved;  // to where instructions have gone
    for (uint32_t n = 0; n < p.code.size(); ++n) {
      moved.push_back(static_cast<uint32_t>(to.code.size()));
      if (is_exchange(p.code[n].opcode)) {
        exchange(to, q, n);
      } else {
        to.code.push_back(p.code[n]);
      }
    }
    moved.push_back(static_cast<uint32_t>(to.code.size()));
    for (Repeat& r : to.repeats) r.first = moved[r.first], r.last = moved[r.last];
  }

  void exchange(Program& to, uint32_t q, uint32_t n) {
    const Program& p = exe_.queues[q];
    const Instruction& i = p.code[n];
    const Channel channel = channel_of(p, i);
    const Places& places = channels_.at(channel);
    const std::vector<Place>& own = places[p.core];
    const auto k = static_cast<size_t>(
        std::ranges::find_if(own, [&](const Place& x) { return x.queue == q && x.instruction == n; }) - own.begin());
    const Semaphores& s = semaphores_.at(channel);

    Instruction& here = begin(to, Opcode::wait, i);
    here.signal = s.ready, here.signal_to = SignalTo::peer;
    for (const Wait& w : p.waits_of(i)) to.waits.push_back(w), ++here.wait_count;
    for (const Delta& d : p.deltas_of(i)) {
      if (d.target == Delta::Target::wait) to.deltas.push_back(d), ++here.delta_count;
    }
    if (i.opcode == Opcode::sendrecv) {
      transfer(to, own[k], places[p.core ^ 1][k], s);
      Instruction& both = begin(to, Opcode::wait, i);
      for (const uint16_t moved : s.moved) await(to, both, moved, own[k].count, dma_engines_);
      both.signal = i.signal, both.signal_to = i.signal_to;
      return;
    }
    Instruction& met = begin(to, Opcode::wait, i);
    await(to, met, s.ready, own[k].count, 1);
    met.signal = i.signal, met.signal_to = i.signal_to;
  }

  void transfer(Program& to, const Place& own, const Place& other, const Semaphores& s) {
    const Program &p = exe_.queues[own.queue], &q = exe_.queues[other.queue];
    Instruction& copy = begin(to, Opcode::dma_copy, at(own));
    copy.dma_queue = at(own).dma_queue;
    View dst = view(other, slots::sendrecv::dst);
    dst.peer = 1;
    to.views[copy.operand_begin + slots::dma_copy::dst] = dst;
    to.views[copy.operand_begin + slots::dma_copy::src] = view(own, slots::sendrecv::src);
    await(to, copy, s.ready, own.count, 1);
    auto follow = [&](const Program& from, const Instruction& i, int operand, uint8_t as) {
      for (Delta d : from.deltas_of(i)) {
        if (d.target != Delta::Target::operand || d.index != operand) continue;
        d.index = as;
        to.deltas.push_back(d), ++copy.delta_count;
      }
    };
    follow(q, at(other), slots::sendrecv::dst, slots::dma_copy::dst);
    follow(p, at(own), slots::sendrecv::src, slots::dma_copy::src);
    copy.signal = s.moved[p.core], copy.signal_to = SignalTo::both;
  }

  static Instruction& begin(Program& to, Opcode opcode, const Instruction& like) {
    Instruction& i = to.append(opcode, like.engine);
    i.engine_index = like.engine_index;
    i.source = like.source;
    return i;
  }

  // Until the exchange with this count has raised the semaphore, `each` per exchange.
  static void await(Program& to, Instruction& i, uint16_t semaphore, const Count& count, int64_t each) {
    for (uint8_t level = 0; level < count.steps.size(); ++level) {
      to.deltas.push_back({Delta::Target::wait, i.wait_count, level, count.steps[level] * each});
      ++i.delta_count;
    }
    to.waits.push_back({semaphore, static_cast<uint32_t>((count.base + 1) * each)});
    ++i.wait_count;
  }

  const Executable& exe_;
  uint32_t dma_engines_;
  std::map<Channel, Places> channels_;
  std::map<Channel, Semaphores> semaphores_;
  Executable out_;
};

}  // namespace

bool has_exchanges(const Executable& executable) {
  return std::ranges::any_of(executable.queues, [](const Program& p) {
    return std::ranges::any_of(p.code, [](const Instruction& i) { return is_exchange(i.opcode); });
  });
}

Result<Executable> expand_exchanges(const Executable& executable, uint32_t dma_engines) {
  return Expansion(executable, dma_engines).run();
}

}  // namespace presil::isa
