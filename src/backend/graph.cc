#include "backend/graph.h"

#include <algorithm>
#include <map>
#include <memory>

#include "backend/dependences.h"
#include "backend/queues.h"
#include "isa/slots.h"
#include "numerics/alu.h"

namespace presil::backend {
namespace {

using isa::Instruction;
using tile::TileProgram;

class Builder {
 public:
  explicit Builder(const TileProgram& program)
      : program_(program), needs_(program.code.code.size()), nothing_known_(program.code.code.size()) {
    tiles_.resize(program.tiles.size()), tensors_.resize(program.tensors.size());
    for (const Instruction& i : program.code.code) {
      for (int k = 0; k < i.operand_count; ++k) {
        const isa::View& v = program.code.operand(i, k);
        if (!v.present()) continue;
        Storage& s = storage(v);
        ++s.accesses;
        s.written |= isa::access_of(program.code, i, k) != isa::Access::read;
      }
    }
    orders_ = program.order;
    std::sort(orders_.begin(), orders_.end(),
              [](const auto& a, const auto& b) { return std::pair(a.after, a.before) < std::pair(b.after, b.before); });
  }

  Graph run() {
    for (uint32_t i = 0; i < program_.code.code.size(); ++i) {
      graph_.begin.push_back(static_cast<uint32_t>(graph_.edges.size()));
      add(i);
    }
    graph_.begin.push_back(static_cast<uint32_t>(graph_.edges.size()));
    return std::move(graph_);
  }

 private:
  struct Storage {
    size_t accesses = 0;
    bool written = false;
    std::unique_ptr<AccessLog> log;
  };
  Storage& storage(const isa::View& v) { return v.memory == isa::Memory::hbm ? tensors_[v.base] : tiles_[v.base]; }

  void add(uint32_t i) {
    const Instruction& instruction = program_.code.code[i];
    // What is read needs results; what is only written has to come later, unless another unit did the work.
    for (bool reading : {true, false}) {
      needs_.clear();
      for (int k = 0; k < instruction.operand_count; ++k) {
        isa::Access a = isa::access_of(program_.code, instruction, k);
        if ((a != isa::Access::write) == reading) operand(i, k, a);
      }
      for (uint32_t from : needs_.streams()) push(from, i, reading);
    }
    for (; next_order_ < orders_.size() && orders_[next_order_].after == i; ++next_order_) {
      graph_.edges.push_back({orders_[next_order_].before, true});
    }
    if (!isa::uses_registers(program_.code, instruction)) return;
    auto [last, fresh] = registers_.try_emplace({instruction.engine, instruction.engine_index}, i);
    if (!fresh) graph_.edges.push_back({last->second, false});
    last->second = i;
  }

  void push(uint32_t from, uint32_t to, bool reading) {
    const Instruction &a = program_.code.code[from], &b = program_.code.code[to];
    bool same_engine = !is_dma(a) && !is_dma(b) && a.engine == b.engine && a.engine_index == b.engine_index;
    bool adds = same_engine && b.engine == isa::EngineKind::tensor;  // to PSUM: the adder keeps its own order
    graph_.edges.push_back({from, !same_engine || (reading && !adds)});
  }

  void operand(uint32_t i, int k, isa::Access a) {
    const isa::View& v = program_.code.operand(program_.code.code[i], k);
    if (!v.present()) return;
    Storage& s = storage(v);
    if (!s.written) return;
    uint64_t bytes = v.memory == isa::Memory::hbm ? program_.tensors[v.base].bytes : program_.tiles[v.base].bytes;
    if (!s.log) s.log = std::make_unique<AccessLog>(bytes, s.accesses);
    // Every instruction is a stream of its own, so that nothing is taken for ordered by an engine.
    Access access{&v, a != isa::Access::write, a != isa::Access::read, false, true, {i, 1}};
    s.log->access(access, nothing_known_, needs_);
  }

  const TileProgram& program_;
  Graph graph_;
  Needs needs_;
  std::vector<uint32_t> nothing_known_;
  std::vector<Storage> tiles_, tensors_;
  std::vector<TileProgram::Order> orders_;
  size_t next_order_ = 0;
  std::map<std::pair<isa::EngineKind, uint8_t>, uint32_t> registers_;  // last instruction that touched them
};

}  // namespace

Graph dependence_graph(const TileProgram& program) { return Builder(program).run(); }

}  // namespace presil::backend
