// Test support: random TilePrograms, swarm style. Shapes are arbitrary (the abstract meaning in interleaving.h does not
// need legal operands), but nothing is read before it is written.
#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "base/prng.h"
#include "tile/builder.h"

namespace presil::backend::testing {

struct ProgramShape {
  int steps = 60;
  uint32_t partitions = 8, sbuf_bytes = 4096, psum_bank_bytes = 64, psum_banks = 4;
  int live_sbuf_max = 6;  // tiles in use at a time
  uint32_t tile_bytes_max = 512;
  uint32_t vector_engines = 1;
};

class RandomProgram {
 public:
  RandomProgram(uint64_t seed, const ProgramShape& shape) : random_(seed), shape_(shape), build_("random") {
    for (int k = 0; k < 6; ++k) {
      weight_[k] = random_.below(4) == 0 ? 0 : 1 + static_cast<uint32_t>(random_.below(6));
    }
    weight_[0] += 1;  // always some loads and some stores
    weight_[3] += 1;
  }

  tile::TileProgram make() {
    build_.begin_layer("layer", "random");
    build_.set_source("step");
    for (int k = 0; k < 2; ++k) add_tensor("in" + std::to_string(k), isa::TensorRole::input, true);
    for (int k = 0; k < 2; ++k) add_tensor("out" + std::to_string(k), isa::TensorRole::output, false);
    add_tensor("scratch", isa::TensorRole::scratch, false);
    for (int k = 0; k < shape_.steps; ++k) step();
    return build_.take();
  }

 private:
  struct Store {
    uint32_t id = 0;
    isa::Memory memory = isa::Memory::sbuf;
    uint32_t partitions = 1, bytes = 0;
    std::vector<bool> written;  // partitions x bytes
    std::vector<isa::View> writes;
    bool input = false;
    bool written_by_tensor_engine = false;
  };

  void add_tensor(const std::string& name, isa::TensorRole role, bool input) {
    uint32_t bytes = 64 + static_cast<uint32_t>(random_.below(200));
    Store s{build_.tensor(name, DType::uint8, {bytes}, role), isa::Memory::hbm, 1, bytes, {}, {}, input, false};
    s.written.assign(bytes, input);
    if (input) s.writes.push_back(build_.whole(s.id));
    tensors_.push_back(std::move(s));
  }

  Store& fresh_tile(isa::Memory memory) {
    bool psum = memory == isa::Memory::psum;
    uint32_t partitions = 1 + static_cast<uint32_t>(random_.below(shape_.partitions));
    uint32_t limit = psum ? shape_.psum_bank_bytes : shape_.tile_bytes_max;
    uint32_t bytes = 4 + static_cast<uint32_t>(random_.below(limit - 3));
    std::string name = "t" + std::to_string(build_.program.tiles.size());
    Store s{psum ? build_.psum(partitions, bytes, name) : build_.sbuf(partitions, bytes, name),
            memory,
            partitions,
            bytes,
            {},
            {},
            false,
            false};
    s.written.assign(size_t{partitions} * bytes, false);
    std::vector<Store>& live = psum ? psum_ : sbuf_;
    size_t limit_live = psum ? shape_.psum_banks : static_cast<size_t>(shape_.live_sbuf_max);
    if (live.size() >= limit_live) live.erase(live.begin() + static_cast<ptrdiff_t>(random_.below(live.size())));
    live.push_back(std::move(s));
    return live.back();
  }
  // A tile in use, or now and then a new one.
  Store& some_tile(isa::Memory memory) {
    std::vector<Store>& live = memory == isa::Memory::psum ? psum_ : sbuf_;
    if (live.empty() || random_.below(3) == 0) return fresh_tile(memory);
    return live[random_.below(live.size())];
  }

  // A random pattern of bytes inside the store.
  isa::View random_view(const Store& s) {
    auto pick = [&](uint32_t n) { return 1 + static_cast<uint32_t>(random_.below(n)); };
    uint32_t partitions = random_.below(3) == 0 ? pick(s.partitions) : s.partitions;
    uint32_t partition = static_cast<uint32_t>(random_.below(s.partitions - partitions + 1));
    uint32_t inner = pick(std::min(s.bytes, 24u)), outer_step = inner + static_cast<uint32_t>(random_.below(8));
    uint32_t outer = random_.below(2) ? 1 : std::min(1 + (s.bytes - inner) / outer_step, 4u);
    int64_t extent = (outer - 1) * outer_step + inner;
    auto offset = static_cast<int64_t>(random_.below(s.bytes - static_cast<uint64_t>(extent) + 1));
    isa::View v{.memory = s.memory, .dtype = DType::uint8, .rank = 2};
    v.partition = static_cast<uint16_t>(partition), v.partitions = static_cast<uint16_t>(partitions);
    v.base = s.id, v.offset = offset;
    v.dims[0] = {static_cast<int32_t>(outer_step), outer}, v.dims[1] = {1, inner};
    return v;
  }

  template <class F>
  static bool each_byte(const Store& s, const isa::View& v, F f) {
    for (uint32_t p = v.partition; p < uint32_t{v.partition} + v.partitions; ++p) {
      for (uint32_t o = 0; o < v.dims[0].count; ++o) {
        for (uint32_t k = 0; k < v.dims[1].count; ++k) {
          if (!f(size_t{p} * s.bytes + static_cast<size_t>(v.offset) + o * static_cast<size_t>(v.dims[0].step) + k))
            return false;
        }
      }
    }
    return true;
  }
  isa::View write_view(Store& s) {
    isa::View v = random_view(s);
    each_byte(s, v, [&](size_t b) { return s.written[b] = true; });
    s.writes.push_back(v);
    return v;
  }
  // A view of written bytes; nothing if the store is empty.
  std::optional<isa::View> read_view(const Store& s) {
    if (s.writes.empty()) return std::nullopt;
    for (int attempt = 0; attempt < 4; ++attempt) {
      isa::View v = random_view(s);
      if (each_byte(s, v, [&](size_t b) { return static_cast<bool>(s.written[b]); })) return v;
    }
    return s.writes[random_.below(s.writes.size())];
  }
  std::optional<isa::View> read_any(std::vector<Store>& stores) {
    if (stores.empty()) return std::nullopt;
    return read_view(stores[random_.below(stores.size())]);
  }

  // As many elements of `s` as `count`, dense from a random place, clipped to what fits (then `count` shrinks).
  static isa::View prefix(const isa::View& v, uint64_t count) {
    isa::View out = v;
    out.partitions = 1, out.dims[0].count = 1;
    out.dims[1].count = static_cast<uint32_t>(std::min<uint64_t>(count, v.dims[1].count));
    return out;
  }

  void step() {
    uint32_t total = 0;
    for (uint32_t w : weight_) total += w;
    uint32_t pick = static_cast<uint32_t>(random_.below(total));
    int kind = 0;
    while (pick >= weight_[kind]) pick -= weight_[kind++];
    size_t before = build_.program.code.code.size();
    switch (kind) {
      case 0:
        load();
        break;
      case 1:
        compute();
        break;
      case 2:
        matmul();
        break;
      case 3:
        store();
        break;
      case 4:
        move();
        break;
      default:
        copy();
        break;
    }
    size_t after = build_.program.code.code.size();
    if (after > before && after > 1 && random_.below(20) == 0) {
      build_.order(static_cast<uint32_t>(random_.below(after - 1)), static_cast<uint32_t>(after - 1));
    }
  }

  tile::Engine some_trigger() {
    constexpr isa::EngineKind kinds[] = {isa::EngineKind::sync, isa::EngineKind::gpsimd, isa::EngineKind::scalar};
    return kinds[random_.below(3)];
  }
  void transfer(const isa::View& dst, const isa::View& src) {
    uint64_t n = std::min<uint64_t>(dst.dims[1].count, src.rank == 1 ? src.dims[0].count : src.dims[1].count);
    isa::View from = src;
    if (src.rank == 1) from.rank = 2, from.dims[1] = src.dims[0], from.dims[0] = {1, 1};
    if (dst.elements() == from.elements()) return void(build_.dma(dst, from, {.engine = some_trigger()}));
    build_.dma(prefix(dst, n), prefix(from, n), {.engine = some_trigger()});
  }
  // Marks exactly what the transfer will write.
  void transfer_into(Store& to, const isa::View& src) {
    isa::View dst = random_view(to);
    size_t index = build_.program.code.code.size();
    transfer(dst, src);
    const isa::Program& code = build_.program.code;
    isa::View written = code.operand(code.code[index], 0);
    each_byte(to, written, [&](size_t b) { return to.written[b] = true; });
    to.writes.push_back(written);
  }
  void load() {
    auto src = read_any(tensors_), index = random_.below(4) == 0 ? read_any(sbuf_) : std::nullopt;
    if (src && index) {
      // A destination over its own indices has no meaning.
      Store& to = some_tile(isa::Memory::sbuf);
      if (to.id != index->base) build_.dma_gather(write_view(to), *src, *index);
    }
    if (src && !index) transfer_into(some_tile(isa::Memory::sbuf), *src);
  }
  void store() {
    auto src = read_any(sbuf_);
    if (src) transfer_into(tensors_[2 + random_.below(3)], *src);
  }
  void move() {
    auto src = read_any(sbuf_);
    if (!src) return;
    Store& to = some_tile(isa::Memory::sbuf);
    if (to.id != src->base) transfer_into(to, *src);  // a transfer onto itself has no defined order
  }
  void copy() {
    auto src = read_any(psum_);
    if (!src) return;
    isa::EngineKind engine = random_.below(2) ? isa::EngineKind::vector : isa::EngineKind::scalar;
    build_.tensor_copy({.dst = write_view(some_tile(isa::Memory::sbuf)), .src = *src, .engine = engine});
  }
  void compute() {
    auto a = read_any(sbuf_), b = read_any(sbuf_);
    if (!a || !b) return;
    auto index = static_cast<uint8_t>(random_.below(shape_.vector_engines));
    tile::Engine engine = random_.below(2) ? tile::Engine(isa::EngineKind::vector, index) : isa::EngineKind::gpsimd;
    build_.tensor_tensor({.dst = write_view(some_tile(isa::Memory::sbuf)), .data1 = *a, .data2 = *b, .engine = engine});
  }
  void matmul() {
    auto a = read_any(sbuf_), b = read_any(sbuf_);
    if (!a || !b) return;
    Store& to = some_tile(isa::Memory::psum);
    if (!to.writes.empty() && random_.below(2)) {
      isa::View again = to.writes[random_.below(to.writes.size())];
      build_.matmul({.dst = again, .stationary = *a, .moving = *b, .accumulate = true});
    } else {
      build_.matmul({.dst = write_view(to), .stationary = *a, .moving = *b});
    }
  }

  Prng random_;
  ProgramShape shape_;
  tile::Builder build_;
  uint32_t weight_[6] = {};
  std::vector<Store> tensors_, sbuf_, psum_;
};

}  // namespace presil::backend::testing
