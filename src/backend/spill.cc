#include "backend/spill.h"

#include <algorithm>
#include <map>

#include "backend/queues.h"
#include "backend/regions.h"
#include "backend/sbuf_map.h"
#include "isa/slots.h"
#include "tile/instructions.h"

namespace presil::backend {
namespace {

using isa::Instruction;
using isa::Memory;
using isa::View;
using tile::TileProgram;

// Copies between a tile and its scratch tensor, or a repeated load, to insert into the program.
struct Insertion {
  uint32_t at = 0;       // before this instruction of the original program
  bool save = false;     // else bring back
  uint32_t tile = 0;     // original
  uint32_t version = 0;  // tile of the new program
};

struct State {
  std::vector<uint32_t> uses;  // instructions, ascending
  size_t next_use = 0;
  uint32_t version = 0;  // tile of the new program
  bool resident = false;
  bool saved = false;  // the scratch tensor has the current content
  uint32_t last_write = 0;
  std::vector<View> writes;     // distinct
  std::vector<uint32_t> loads;  // the transfers that made the content, while nothing else wrote it
  bool only_loads = true;
  uint32_t scratch = UINT32_MAX;  // tensor of the new program
};

bool same_place(const View& a, const View& b) {
  return a.offset == b.offset && a.partition == b.partition && a.partitions == b.partitions && a.dtype == b.dtype &&
         a.rank == b.rank && a.dims == b.dims;
}

class Spiller {
 public:
  Spiller(const TileProgram& in, const spec::ChipSpec& spec, uint64_t budget, bool isolate)
      : in_(in), geometry_(geometry_of(spec.sbuf)), budget_(budget * quadrants()), isolate_(isolate) {}

  std::variant<Spilled, Oversize> run() {
    prepare();
    for (uint32_t i = 0; i < in_.code.code.size(); ++i) {
      if (auto oversize = make_room(i)) return *oversize;
      for (uint32_t t : operands(i)) bring_back(t, i);
      record(i);
      for (uint32_t t : operands(i)) leave_if_done(t);
    }
    rebuild();
    return Spilled{std::move(out_), counts_};
  }

 private:
  uint64_t quadrants() const { return geometry_.partitions / geometry_.quadrant_partitions; }
  uint64_t footprint(uint32_t t) const {
    const tile::Tile& tile = in_.tiles[t];
    uint64_t bytes = (tile.bytes + kSbufAlignment - 1) / kSbufAlignment * kSbufAlignment;
    return bytes * static_cast<uint64_t>(__builtin_popcount(legal_masks(geometry_, tile.partitions).front()));
  }

  void prepare() {
    out_.tiles = in_.tiles, out_.tensors = in_.tensors, out_.sources = in_.sources, out_.layers = in_.layers;
    out_.activations = in_.activations;
    out_.model = in_.model, out_.precision = in_.precision;
    states_.resize(in_.tiles.size());
    written_tensor_.resize(in_.tensors.size());
    versions_.resize(in_.code.views.size());
    for (uint32_t i = 0; i < in_.code.code.size(); ++i) {
      for (uint32_t t : operands(i)) states_[t].uses.push_back(i);
      const Instruction& instruction = in_.code.code[i];
      for (int k = 0; k < instruction.operand_count; ++k) {
        const View& v = in_.code.operand(instruction, k);
        if (v.memory == Memory::hbm && isa::access_of(in_.code, instruction, k) != isa::Access::read) {
          written_tensor_[v.base] = true;
        }
      }
    }
    for (uint32_t t = 0; t < states_.size(); ++t) states_[t].version = t;
  }

  // Distinct SBUF tiles of an instruction.
  std::vector<uint32_t> operands(uint32_t i) const {
    std::vector<uint32_t> out;
    for (const View& v : in_.code.operands(in_.code.code[i])) {
      if (v.memory == Memory::sbuf && std::find(out.begin(), out.end(), v.base) == out.end()) out.push_back(v.base);
    }
    return out;
  }

  std::optional<Oversize> make_room(uint32_t i) {
    std::vector<uint32_t> needed = operands(i);
    if (isolate_) evict_all();
    uint64_t missing = 0, total = 0;
    for (uint32_t t : needed) {
      total += footprint(t);
      if (!states_[t].resident) missing += footprint(t);
    }
    while (used_ + missing > budget_) {
      std::optional<uint32_t> victim;
      for (uint32_t t : resident_) {
        if (std::find(needed.begin(), needed.end(), t) != needed.end()) continue;
        if (!movable(t)) continue;
        if (!victim || next_use(t) > next_use(*victim)) victim = t;
      }
      if (!victim) return Oversize{i, (total + quadrants() - 1) / quadrants(), budget_ / quadrants()};
      evict(*victim);
    }
    return std::nullopt;
  }

  bool movable(uint32_t t) const { return !in_.tiles[t].fixed_offset && !in_.tiles[t].fixed_partition; }
  void evict_all() {
    std::vector<uint32_t> resident = resident_;
    for (uint32_t t : resident) {
      if (movable(t)) evict(t);
    }
  }

  uint32_t next_use(uint32_t t) const { return states_[t].uses[states_[t].next_use]; }

  void evict(uint32_t t) {
    State& s = states_[t];
    if (!s.only_loads && !s.saved) {
      if (s.scratch == UINT32_MAX) s.scratch = make_scratch(t);
      insertions_.push_back({s.last_write + 1, true, t, s.version});
      regions_.push_back(union_of(s.writes));
      s.saved = true;
      ++counts_.saved;
    }
    s.resident = false;
    used_ -= footprint(t);
    resident_.erase(std::find(resident_.begin(), resident_.end(), t));
  }

  uint32_t make_scratch(uint32_t t) {
    const tile::Tile& tile = in_.tiles[t];
    isa::HbmTensor tensor{.name = "spill." + tile.name,
                          .dtype = DType::uint8,
                          .shape = {tile.partitions, tile.bytes},
                          .role = isa::TensorRole::scratch};
    tensor.bytes = uint64_t{tile.partitions} * tile.bytes;
    out_.tensors.push_back(std::move(tensor));
    return static_cast<uint32_t>(out_.tensors.size() - 1);
  }

  void bring_back(uint32_t t, uint32_t i) {
    State& s = states_[t];
    if (s.resident) return;
    s.resident = true;
    used_ += footprint(t);
    resident_.push_back(t);
    if (s.writes.empty()) return;  // begins here
    out_.tiles.push_back(in_.tiles[t]);
    s.version = static_cast<uint32_t>(out_.tiles.size() - 1);
    insertions_.push_back({i, false, t, s.version});
    if (s.only_loads) {
      regions_.push_back({});
      loads_[insertions_.size() - 1] = s.loads;
      ++counts_.reloaded;
    } else {
      regions_.push_back(union_of(s.writes));
      ++counts_.restored;
    }
  }

  // Notes the versions that instruction i works on and what it writes.
  void record(uint32_t i) {
    const Instruction& instruction = in_.code.code[i];
    for (int k = 0; k < instruction.operand_count; ++k) {
      uint32_t place = instruction.operand_begin + static_cast<uint32_t>(k);
      const View& v = in_.code.views[place];
      versions_[place] = v.memory == Memory::sbuf ? states_[v.base].version : v.base;
      if (v.memory != Memory::sbuf || isa::access_of(in_.code, instruction, k) == isa::Access::read) continue;
      State& s = states_[v.base];
      s.saved = false, s.last_write = i;
      bool known = std::any_of(s.writes.begin(), s.writes.end(), [&](const View& w) { return same_place(w, v); });
      if (!known) s.writes.push_back(v);
      s.only_loads = s.only_loads && is_load(instruction) && source_is_constant(instruction);
      if (s.only_loads) s.loads.push_back(i);
    }
  }
  // A gather cannot be repeated, its indices may be gone; nor a sum, whose other sources may be.
  bool is_load(const Instruction& i) const {
    return is_dma(i) && isa::index_of(in_.code, i) < 0 && i.opcode != isa::Opcode::dma_compute;
  }
  bool source_is_constant(const Instruction& dma) const {
    const View& src = in_.code.operand(dma, isa::slots::dma_copy::src);
    return src.memory == Memory::hbm && !written_tensor_[src.base];
  }

  void leave_if_done(uint32_t t) {
    State& s = states_[t];
    if (++s.next_use < s.uses.size()) return;
    s.resident = false;
    used_ -= footprint(t);
    resident_.erase(std::find(resident_.begin(), resident_.end(), t));
  }

  // --- the new program ---

  void rebuild() {
    std::vector<size_t> order(insertions_.size());
    for (size_t k = 0; k < order.size(); ++k) order[k] = k;
    // Saves first: they free memory for what comes back at the same place.
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return std::pair(insertions_[a].at, !insertions_[a].save) < std::pair(insertions_[b].at, !insertions_[b].save);
    });
    std::vector<uint32_t> moved_to;
    size_t next = 0;
    for (uint32_t i = 0; i < in_.code.code.size(); ++i) {
      for (; next < order.size() && insertions_[order[next]].at == i; ++next) insert(order[next], i);
      moved_to.push_back(static_cast<uint32_t>(out_.code.code.size()));
      copy(i, std::nullopt);
    }
    for (const TileProgram::Order& o : in_.order) out_.order.push_back({moved_to[o.before], moved_to[o.after]});
  }

  // Appends instruction i; operands on `only`.first go to tile `only`.second, the others to their recorded versions.
  void copy(uint32_t i, std::optional<std::pair<uint32_t, uint32_t>> only) {
    const Instruction& from = in_.code.code[i];
    Instruction to = from;
    to.operand_begin = static_cast<uint32_t>(out_.code.views.size());
    to.attribute_begin = static_cast<uint32_t>(out_.code.attributes.size());
    to.wait_begin = to.delta_begin = 0;
    for (uint32_t k = 0; k < from.operand_count; ++k) {
      View v = in_.code.views[from.operand_begin + k];
      bool moved = only && v.memory == Memory::sbuf && v.base == only->first;
      v.base = moved ? only->second : versions_[from.operand_begin + k];
      out_.code.views.push_back(v);
    }
    for (uint32_t a : in_.code.attrs(from)) out_.code.attributes.push_back(a);
    out_.code.code.push_back(to);
  }

  void insert(size_t n, uint32_t at) {
    const Insertion& x = insertions_[n];
    if (auto loads = loads_.find(n); loads != loads_.end()) {
      for (uint32_t i : loads->second) copy(i, std::pair(x.tile, x.version));
      return;
    }
    uint32_t source = source_like(in_.code.code[at].source, x.save ? "spill" : "restore");
    for (const Region& r : regions_[n]) {
      View tile = tile_side(x, r), hbm = hbm_side(x, r, tile.dtype);
      Instruction& i =
          out_.code.append(isa::Opcode::dma_copy, x.save ? isa::EngineKind::gpsimd : isa::EngineKind::sync);
      out_.code.views[i.operand_begin] = x.save ? hbm : tile;
      out_.code.views[i.operand_begin + 1] = x.save ? tile : hbm;
      i.dma_queue = tile::kAnyQueue;
      i.source = source;
    }
  }

  // The widest element that divides everything.
  DType element(const Insertion& x, const Region& r) const {
    auto divides = [&](int64_t n) {
      return r.offset % n == 0 && r.run % n == 0 && r.stride % n == 0 && in_.tiles[x.tile].bytes % n == 0;
    };
    return divides(4) ? DType::uint32 : divides(2) ? DType::uint16 : DType::uint8;
  }
  View tile_side(const Insertion& x, const Region& r) const {
    View v{.memory = Memory::sbuf, .dtype = element(x, r), .rank = 2};
    const auto size = static_cast<int64_t>(dtype_bytes(v.dtype));
    v.partition = static_cast<uint16_t>(r.partition), v.partitions = static_cast<uint16_t>(r.partitions);
    v.base = x.version, v.offset = r.offset;
    v.dims[0] = {static_cast<int32_t>(r.stride / size), r.count};
    v.dims[1] = {1, static_cast<uint32_t>(r.run / size)};
    return v;
  }
  View hbm_side(const Insertion& x, const Region& r, DType dtype) const {
    View v{.memory = Memory::hbm, .dtype = dtype, .rank = 3};
    const auto size = static_cast<int64_t>(dtype_bytes(dtype)), pitch = int64_t{in_.tiles[x.tile].bytes};
    v.base = states_[x.tile].scratch, v.offset = r.partition * pitch + r.offset;
    v.dims[0] = {static_cast<int32_t>(pitch / size), r.partitions};
    v.dims[1] = {static_cast<int32_t>(r.stride / size), r.count};
    v.dims[2] = {1, static_cast<uint32_t>(r.run / size)};
    return v;
  }

  uint32_t source_like(uint32_t source, const char* tile_op) {
    if (source == isa::kNoSource) return source;
    auto [at, fresh] = sources_.try_emplace({source, tile_op}, static_cast<uint32_t>(out_.sources.size()));
    if (fresh) {
      isa::Source s = in_.sources[source];
      s.tile_op = tile_op;
      out_.sources.push_back(std::move(s));
    }
    return at->second;
  }

  const TileProgram& in_;
  Geometry geometry_;
  uint64_t budget_ = 0, used_ = 0;  // bytes times quadrants
  bool isolate_ = false;
  TileProgram out_;
  SpillCounts counts_;
  std::vector<State> states_;       // by original tile
  std::vector<uint32_t> resident_;  // original tiles
  std::vector<bool> written_tensor_;
  std::vector<uint32_t> versions_;  // by original view: the base in the new program
  std::vector<Insertion> insertions_;
  std::vector<std::vector<Region>> regions_;       // by insertion
  std::map<size_t, std::vector<uint32_t>> loads_;  // by insertion: instructions to repeat
  std::map<std::pair<uint32_t, std::string>, uint32_t> sources_;
};

}  // namespace

std::variant<Spilled, Oversize> spill(const TileProgram& program, const spec::ChipSpec& spec, uint64_t budget_bytes,
                                      bool isolate) {
  return Spiller(program, spec, budget_bytes, isolate).run();
}

}  // namespace presil::backend
