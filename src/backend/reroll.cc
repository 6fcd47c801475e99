// A greedy search for periodic stretches, from left to right, over a list of nodes (instructions, then also loops).
//
// What must be equal between iterations is interned into one number per node, its id; what may move (operand offsets,
// wait values) are its fields. A stretch of k iterations of p nodes is a loop if the ids repeat with period p and every
// field moves by its own constant step. Candidate periods at a place are the distances to the next occurrence of the
// next 1, 4, 16, 64 ids; a rolling hash rejects most of them at once, an exact comparison decides. The body of a new
// loop is searched in turn, with its steps as part of what must be equal; then the list, loops included, once more.
#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>

#include "backend/repeats.h"

namespace presil::backend {
namespace {

using isa::Instruction;
using isa::Program;

constexpr std::array<size_t, 4> kGrams = {1, 4, 16, 64};
constexpr size_t kPeriodMax = 1 << 14;

struct Node {
  uint32_t id = 0;
  uint32_t instruction = 0;                   // leaf: in the flat program
  uint32_t count = 0;                         // loop: iterations; 0 for a leaf
  int depth = 0;                              // loops inside, this one included
  int64_t bytes = 0;                          // encoded
  uint32_t field_begin = 0, field_count = 0;  // of the first iteration
  std::vector<Node> body;                     // loop
  std::vector<std::vector<int64_t>> steps;    // leaf: by loop around it, outermost first, and field
};

template <class T>
void put(std::string& key, const T& value) {
  key.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// Ids of consecutive nodes, hashed so that any two ranges compare in constant time.
struct RangeHash {
  std::vector<uint64_t> prefix{0}, powers{1};
  explicit RangeHash(const std::vector<Node>& nodes) {
    constexpr uint64_t kBase = 0x9e3779b97f4a7c15ull;
    for (const Node& n : nodes) {
      prefix.push_back(prefix.back() * kBase + n.id + 1);
      powers.push_back(powers.back() * kBase);
    }
  }
  uint64_t at(size_t begin, size_t count) const { return prefix[begin + count] - prefix[begin] * powers[count]; }
};

// By place and length of gram: distance to the next place where the same ids follow; 0 if there is none near.
using Distances = std::vector<std::array<uint32_t, kGrams.size()>>;
Distances next_occurrences(const RangeHash& hash) {
  size_t nodes = hash.prefix.size() - 1;
  Distances out(nodes);
  for (size_t g = 0; g < kGrams.size() && kGrams[g] <= nodes; ++g) {
    std::unordered_map<uint64_t, size_t> next;
    for (size_t i = nodes - kGrams[g] + 1; i-- > 0;) {
      auto [at, fresh] = next.try_emplace(hash.at(i, kGrams[g]), i);
      size_t distance = at->second - i;
      out[i][g] = fresh || distance > kPeriodMax ? 0 : static_cast<uint32_t>(distance);
      at->second = i;
    }
  }
  return out;
}

class Reroller {
 public:
  explicit Reroller(const Program& in) : in_(in) {}

  Program run() {
    std::vector<Node> nodes;
    nodes.reserve(in_.code.size());
    fields_.reserve(in_.views.size() + in_.waits.size());
    for (uint32_t i = 0; i < in_.code.size(); ++i) nodes.push_back(leaf(i));
    for (Node& n : compress(std::move(nodes), 0)) emit(n);
    return std::move(out_);
  }

 private:
  uint32_t intern(const std::string& key) {
    auto known = ids_.find(key);
    if (known != ids_.end()) return known->second;
    return ids_.emplace(key, static_cast<uint32_t>(ids_.size())).first->second;
  }

  Node leaf(uint32_t index) {
    const Instruction& i = in_.code[index];
    std::string& key = key_;
    key.clear();
    key.push_back('I');
    for (uint32_t part : {uint32_t(i.opcode), uint32_t(i.engine), uint32_t(i.engine_index), uint32_t(i.dma_queue),
                          uint32_t(i.operand_count), uint32_t(i.attribute_count), uint32_t(i.wait_count),
                          uint32_t(i.signal), i.source}) {
      put(key, part);
    }
    Node n{.instruction = index, .field_begin = static_cast<uint32_t>(fields_.size())};
    for (const isa::View& v : in_.operands(i)) {
      put(key, v.memory), put(key, v.dtype), put(key, v.rank), put(key, v.partition), put(key, v.partitions);
      put(key, v.base);
      for (const isa::Dim& d : v.pattern()) put(key, d.step), put(key, d.count);
      fields_.push_back(v.offset);
    }
    for (uint32_t a : in_.attrs(i)) put(key, a);
    for (const isa::Wait& w : in_.waits_of(i)) put(key, w.semaphore), fields_.push_back(w.value);
    n.field_count = static_cast<uint32_t>(fields_.size()) - n.field_begin;
    n.id = intern(key);
    n.bytes = static_cast<int64_t>(sizeof(Instruction) + i.operand_count * sizeof(isa::View) +
                                   i.attribute_count * sizeof(uint32_t) + i.wait_count * sizeof(isa::Wait));
    return n;
  }

  const int64_t* fields(const Node& n) const { return fields_.data() + n.field_begin; }

  // Searches until nothing more is found. `around`: loops around this list.
  std::vector<Node> compress(std::vector<Node> nodes, int around) {
    for (int round = around; round < kRepeatLevelsMax; ++round) {
      size_t before = nodes.size();
      nodes = search(std::move(nodes), around);
      if (nodes.size() == before) break;
    }
    return nodes;
  }

  struct Found {
    size_t period = 0, count = 0;
    int64_t gain = 0;  // bytes
  };

  std::vector<Node> search(std::vector<Node> nodes, int around) {
    RangeHash hash(nodes);
    Distances distances = next_occurrences(hash);
    std::vector<Node> out;
    for (size_t i = 0; i < nodes.size();) {
      Found best;
      for (size_t g = 0; g < kGrams.size(); ++g) {
        size_t period = distances[i][g];
        if (period == 0 || (g > 0 && period == distances[i][g - 1])) continue;
        if (i + 2 * period > nodes.size() || hash.at(i, period) != hash.at(i + period, period)) continue;
        Found found = measure(nodes, i, period, around);
        if (found.gain > best.gain) best = found;
      }
      if (best.gain <= 0) {
        out.push_back(std::move(nodes[i++]));
      } else {
        out.push_back(loop(nodes, i, best, around));
        i += best.period * best.count;
      }
    }
    return out;
  }

  // How often the `period` nodes at `i` repeat with constant steps, and what storing them once saves.
  Found measure(const std::vector<Node>& nodes, size_t i, size_t period, int around) const {
    int64_t bytes = 0, moving = 0;
    for (size_t t = 0; t < period; ++t) {
      const Node &a = nodes[i + t], &b = nodes[i + period + t];
      if (a.id != b.id || around + 1 + a.depth > kRepeatLevelsMax) return {};
      bytes += a.bytes;
      for (uint32_t f = 0; f < a.field_count; ++f) moving += fields(a)[f] != fields(b)[f];
    }
    size_t count = 2;
    while (i + (count + 1) * period <= nodes.size() && continues(nodes, i + count * period, period)) ++count;
    int64_t cost = moving * static_cast<int64_t>(sizeof(isa::Delta)) + static_cast<int64_t>(sizeof(isa::Repeat));
    return {period, count, static_cast<int64_t>(count - 1) * bytes - cost};
  }

  // Do the `period` nodes at `i` follow the two iterations before by the same steps?
  bool continues(const std::vector<Node>& nodes, size_t i, size_t period) const {
    for (size_t t = 0; t < period; ++t) {
      const Node &a = nodes[i - 2 * period + t], &b = nodes[i - period + t], &c = nodes[i + t];
      if (b.id != c.id) return false;
      for (uint32_t f = 0; f < c.field_count; ++f) {
        if (fields(c)[f] - fields(b)[f] != fields(b)[f] - fields(a)[f]) return false;
      }
    }
    return true;
  }

  // The loop over nodes [i, i + period * count), made of the first iteration's nodes.
  Node loop(std::vector<Node>& nodes, size_t i, const Found& found, int around) {
    Node out{.count = static_cast<uint32_t>(found.count)};
    std::vector<Node> body;
    for (size_t t = 0; t < found.period; ++t) {
      Node &a = nodes[i + t], &b = nodes[i + found.period + t];
      std::vector<int64_t> steps(a.field_count);
      for (uint32_t f = 0; f < a.field_count; ++f) steps[f] = fields(b)[f] - fields(a)[f];
      std::string key = "S";
      put(key, a.id);
      key.append(reinterpret_cast<const char*>(steps.data()), steps.size() * sizeof steps[0]);
      a.id = intern(key);
      add_steps(a, steps.data(), around);
      body.push_back(std::move(a));
    }
    out.body = compress(std::move(body), around + 1);
    std::string key = "L";
    put(key, out.count);
    std::vector<int64_t> moved;
    for (const Node& n : out.body) {
      put(key, n.id);
      moved.insert(moved.end(), fields(n), fields(n) + n.field_count);
      out.depth = std::max(out.depth, n.depth);
      out.bytes += n.bytes;
    }
    out.depth += 1;
    out.id = intern(key);
    out.field_begin = static_cast<uint32_t>(fields_.size());
    out.field_count = static_cast<uint32_t>(moved.size());
    fields_.insert(fields_.end(), moved.begin(), moved.end());
    return out;
  }

  // Hands the node's leaves their steps in a loop that has `around` loops around it; returns the first step not taken.
  const int64_t* add_steps(Node& n, const int64_t* steps, int around) {
    if (n.count == 0) {
      n.steps.insert(n.steps.begin() + around, std::vector<int64_t>(steps, steps + n.field_count));
      return steps + n.field_count;
    }
    for (Node& inner : n.body) steps = add_steps(inner, steps, around);
    return steps;
  }

  void emit(const Node& n) {
    if (n.count == 0) return emit_leaf(n);
    size_t repeat = out_.repeats.size();
    out_.repeats.push_back({static_cast<uint32_t>(out_.code.size()), 0, n.count});
    for (const Node& inner : n.body) emit(inner);
    out_.repeats[repeat].last = static_cast<uint32_t>(out_.code.size());
  }

  void emit_leaf(const Node& n) {
    Instruction i = in_.code[n.instruction];
    auto append = [](auto& pool, const auto& values) {
      auto begin = static_cast<uint32_t>(pool.size());
      pool.insert(pool.end(), values.begin(), values.end());
      return begin;
    };
    const Instruction& from = in_.code[n.instruction];
    i.operand_begin = append(out_.views, in_.operands(from));
    i.attribute_begin = append(out_.attributes, in_.attrs(from));
    i.wait_begin = append(out_.waits, in_.waits_of(from));
    i.delta_begin = static_cast<uint32_t>(out_.deltas.size());
    for (size_t level = 0; level < n.steps.size(); ++level) {
      for (uint32_t f = 0; f < n.field_count; ++f) {
        if (n.steps[level][f] == 0) continue;
        bool operand = f < i.operand_count;
        out_.deltas.push_back({operand ? isa::Delta::Target::operand : isa::Delta::Target::wait,
                               static_cast<uint8_t>(operand ? f : f - i.operand_count), static_cast<uint8_t>(level),
                               n.steps[level][f]});
      }
    }
    i.delta_count = static_cast<uint8_t>(out_.deltas.size() - i.delta_begin);
    out_.code.push_back(i);
  }

  const Program& in_;
  Program out_;
  std::unordered_map<std::string, uint32_t> ids_;
  std::vector<int64_t> fields_;
  std::string key_;
};

}  // namespace

isa::Program reroll(const isa::Program& program) { return Reroller(program).run(); }

}  // namespace presil::backend
