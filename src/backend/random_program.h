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
  uint32_t control_percent = 0;  // of steps that are loops, choices or work on registers
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
    if (shape_.control_percent > 0) {
      number_ = build_.tensor("number", DType::int8, {8}, isa::TensorRole::input);
      for (int k = 0; k < 2; ++k) registers_.push_back(build_.make_register(static_cast<int32_t>(random_.below(4))));
    }
    for (int k = 0; k < 2; ++k) add_tensor("out" + std::to_string(k), isa::TensorRole::output, false);
    add_tensor("scratch", isa::TensorRole::scratch, false);
    for (int k = 0; k < shape_.steps; ++k) step();
    return build_.take();
  }
  // Whose bytes are small numbers, which decide how often loops run.
  static constexpr std::string_view kNumbers = "number";

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

  tile::Register some_register() { return registers_[random_.below(registers_.size())]; }
  isa::View some_number() {
    return {.memory = isa::Memory::hbm,
            .dtype = DType::int8,
            .base = number_,
            .offset = static_cast<int64_t>(random_.below(8))};
  }

  void control() {
    switch (random_.below(6)) {
      case 0:
        return registers_.push_back(build_.load_register(some_number()));
      case 1: {
        const tile::Register r = build_.compute(AluOp::add, some_register(), static_cast<int32_t>(random_.below(3)));
        return registers_.push_back(build_.compute(AluOp::bit_and, r, 3));
      }
      case 2:
        return choice();
      default:
        return loop();
    }
  }

  // What is written on the way may not have been written behind it.
  void inner(uint64_t steps) {
    ++depth_;
    for (uint64_t k = 1 + random_.below(steps); k > 0; --k) step();
    --depth_;
  }
  struct Known {
    std::vector<Store> tensors, sbuf, psum;
    std::vector<tile::Register> registers;
  };
  Known known() const { return {tensors_, sbuf_, psum_, registers_}; }
  void forget(Known k) {
    tensors_ = std::move(k.tensors), sbuf_ = std::move(k.sbuf), psum_ = std::move(k.psum);
    registers_ = std::move(k.registers);
  }

  void loop() {
    if (depth_ == 3) return;
    const Known before = known();
    const bool counts = random_.below(2) != 0;
    const tile::Number until =
        counts ? tile::Number(static_cast<int32_t>(random_.below(6))) : tile::Number(some_register());
    const auto from = static_cast<int32_t>(random_.below(2));
    const tile::Register counter = build_.begin_loop(from, until, 1 + static_cast<int32_t>(random_.below(2)));
    if (random_.below(6) == 0) build_.leave_unless(some_register());
    registers_.push_back(build_.compute(AluOp::bit_and, counter, 3));
    if (random_.below(3) == 0) rows(counter);
    inner(depth_ == 0 ? 8 : 4);
    if (random_.below(6) == 0) build_.leave_unless(some_register());
    build_.end_loop();
    forget(before);
  }
  void choice() {
    if (depth_ == 3) return;
    const Known before = known();
    constexpr AluOp ops[] = {AluOp::eq, AluOp::lt, AluOp::ge, AluOp::ne};
    build_.begin_if(ops[random_.below(4)], some_register(), static_cast<int32_t>(random_.below(4)));
    if (random_.below(8) != 0) inner(5);
    forget(before);
    if (random_.below(2)) {
      build_.begin_else();
      if (random_.below(8) != 0) inner(5);
      forget(before);
    }
    build_.end_if();
  }
  // Loads and stores of rows that follow a counter below 6, or a register that is 3 at most.
  void rows(tile::Register counter) {
    const uint32_t row = 4 + static_cast<uint32_t>(random_.below(6));
    const bool own = random_.below(2) != 0;
    const tile::Register by = own ? counter : some_small();
    Store& in = tensors_[random_.below(2)];
    if (in.bytes < 6 * row) return;
    Store& to = fresh_tile(isa::Memory::sbuf);
    const uint32_t part = std::min(row, to.bytes);
    auto pattern = [&](uint32_t id, uint32_t from) {
      isa::View v{.memory = isa::Memory::hbm, .dtype = DType::uint8, .rank = 2};
      v.base = id, v.offset = from, v.dims[0] = {1, 1}, v.dims[1] = {1, part};
      return v;
    };
    const isa::View from = build_.moving(pattern(in.id, 0), by, row);
    isa::View piece{.memory = isa::Memory::sbuf, .dtype = DType::uint8, .rank = 2};
    piece.base = to.id, piece.dims[0] = {1, 1}, piece.dims[1] = {1, part};
    build_.dma(piece, from, {.engine = some_trigger()});
    each_byte(to, piece, [&](size_t b) { return to.written[b] = true; });
    to.writes.push_back(piece);
    if (random_.below(2)) inner(2);
    Store& out = tensors_[2 + random_.below(3)];
    if (out.bytes >= 6 * row) build_.dma(build_.moving(pattern(out.id, 0), by, row), piece, {.engine = some_trigger()});
  }
  tile::Register some_small() { return build_.compute(AluOp::bit_and, some_register(), 3); }

  void step() {
    if (shape_.control_percent > 0 && random_.below(100) < shape_.control_percent) return control();
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
  std::vector<tile::Register> registers_;  // hold 0 to 5
  uint32_t number_ = 0;
  int depth_ = 0;  // of loops and choices
};

}  // namespace presil::backend::testing
