#include "tests/campaign/random_operands.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "isa/rules.h"
#include "numerics/convert.h"

namespace presil::campaign {
namespace {

// Legal starts of an engine's operand (tile/verify.cc).
uint32_t start_step(uint32_t partitions, uint32_t total) {
  if (partitions > total / 2) return total;
  return partitions > total / 4 ? total / 2 : std::max(1u, total / 4);
}

constexpr uint32_t kTileBytesMin = 64;

}  // namespace

bool Operands::lists(const std::vector<std::string>& names, Memory m) {
  return std::ranges::find(names, isa::memory_name(m)) != names.end();
}

Shape Operands::shape(uint32_t partitions_max, uint32_t row_max) {
  const uint32_t all = partitions_max ? std::min(partitions_max, spec.sbuf.partitions) : spec.sbuf.partitions;
  // Wherever the operand lies and whatever its type.
  const uint32_t longest = std::min(row_max ? row_max : options.row_max, room(Memory::psum) / 4);
  Shape s{chance(30) ? all : chance(20) ? 1 : upto(all), chance(20) ? longest : chance(20) ? 1 : upto(longest)};
  return s;
}

uint32_t Operands::room(Memory m) const {
  const spec::SramSpec& s = m == Memory::psum ? spec.psum : spec.sbuf;
  return static_cast<uint32_t>(s.bytes_per_partition / (m == Memory::psum ? s.banks : 1));
}

uint32_t Operands::make(Memory m, Shape bytes, bool fixed) {
  tile::Builder::Place place;
  if (fixed) place.partition = static_cast<uint16_t>(0);
  const std::string name = fmt::format("t{}", build.program.tiles.size());
  const uint32_t id = m == Memory::psum ? build.psum(bytes.partitions, bytes.row, name, place)
                                        : build.sbuf(bytes.partitions, bytes.row, name, place);
  fixed_.resize(id + 1);
  fixed_[id] = fixed;
  live_.push_back({id, m, bytes, fixed});
  const auto same = [&](const Store& s) { return s.memory == m; };
  const auto limit = m == Memory::psum ? static_cast<ptrdiff_t>(spec.psum.banks / 2) : options.live_tiles_max;
  if (std::ranges::count_if(live_, same) > limit) {
    auto old = std::ranges::find_if(live_, same);
    retire(*old);
    live_.erase(old);
  }
  return id;
}

void Operands::initialize(uint32_t tile, Memory m, Shape bytes) {
  const uint32_t elements = bytes.row / 4;
  const View all = build.tile_view(tile, DType::fp32, 0, bytes.partitions, 0, {{1, elements}});
  if (m == Memory::sbuf) return void(build.dma(all, tensor_input(DType::fp32, all.elements())));
  const float value = random.normal();
  build.memset({.dst = all, .value = value, .engine = EngineKind::vector});
}

uint32_t Operands::find_tile(Memory m, DType t, Shape s, bool fixed, bool fresh) {
  const auto bytes = static_cast<uint32_t>(s.row * dtype_bytes(t));
  std::vector<uint32_t> fitting;
  for (const Store& store : live_) {
    const bool fits = store.memory == m && store.bytes.partitions >= s.partitions && store.bytes.row >= bytes;
    if (fits && (store.fixed || !fixed)) fitting.push_back(store.id);
  }
  if (!fresh && !fitting.empty() && !chance(15)) return fitting[random.below(fitting.size())];
  const uint32_t spare = chance(50) ? 0 : static_cast<uint32_t>(random.below(bytes + 1));
  // Also of PSUM no more than SBUF has, where its contents end up.
  Shape whole{s.partitions,
              std::min(std::max(kTileBytesMin, (bytes + spare + 3) / 4 * 4), std::min(room(m), room(Memory::sbuf)))};
  if (chance(30)) whole.partitions = std::max(s.partitions, upto(spec.sbuf.partitions));
  const uint32_t id = make(m, whole, fixed);
  initialize(id, m, whole);
  return id;
}

std::vector<uint32_t> Operands::factors(uint32_t n, size_t rank_max) {
  std::vector<uint32_t> out;
  while (out.size() + 1 < rank_max && chance(40)) {
    std::vector<uint32_t> divisors;
    for (uint32_t d = 1; d <= n; ++d) {
      if (n % d == 0) divisors.push_back(d);
    }
    out.push_back(divisors[random.below(divisors.size())]);
    n /= out.back();
  }
  out.push_back(n);
  return out;
}

View Operands::patterned(uint32_t tile, DType t, Shape s, const std::vector<uint32_t>& counts, bool output) {
  const tile::Tile& whole = build.program.tiles[tile];
  const auto size = static_cast<int64_t>(dtype_bytes(t));
  const int64_t capacity = whole.bytes / size;
  std::vector<size_t> order;  // innermost first
  for (size_t d = counts.size(); d-- > 0;) order.push_back(d);
  if (chance(20)) std::swap(order[random.below(order.size())], order[random.below(order.size())]);
  View v{.memory = whole.memory, .dtype = t, .rank = static_cast<uint8_t>(counts.size())};
  int64_t step = 1, first = 0, left = 1;
  for (uint32_t n : counts) left *= n;
  for (size_t d : order) {
    const auto count = static_cast<int64_t>(counts[d]);
    if (chance(20) && step * 2 * left <= capacity) step *= 2;
    if (chance(10) && (step + 3) * left <= capacity) step += 3;
    left /= count;
    if (!output && count > 1 && chance(5)) {
      v.dims[d] = {0, counts[d]};
      continue;
    }
    const bool reversed = chance(8);
    v.dims[d] = {static_cast<int32_t>(reversed ? -step : step), counts[d]};
    if (reversed) first += step * (count - 1);
    step *= count;
  }
  const uint32_t total = spec.sbuf.partitions, unit = start_step(s.partitions, total);
  const uint32_t starts = (whole.partitions - s.partitions) / unit + 1;
  v.partition = static_cast<uint16_t>(unit * random.below(starts));
  v.partitions = static_cast<uint16_t>(s.partitions);
  v.base = tile;
  v.offset = (first + static_cast<int64_t>(random.below(static_cast<uint64_t>(capacity - step + 1)))) * size;
  return v;
}

View Operands::input(Memory m, DType t, Shape s, bool fresh) {
  return patterned(find_tile(m, t, s, false, fresh), t, s, factors(s.row, 3), false);
}

View Operands::output(Memory m, DType t, Shape s, bool fixed, bool fresh) {
  return patterned(find_tile(m, t, s, fixed, fresh), t, s, factors(s.row, 3), true);
}

// Mostly values of the size of 1, as far as the type has them; sometimes any bits.
View Operands::tensor_input(DType t, uint64_t elements) {
  const std::string name = fmt::format("x{}", build.program.tensors.size());
  const uint32_t id = build.tensor(name, t, {static_cast<int64_t>(elements)}, isa::TensorRole::input);
  const size_t size = dtype_bytes(t);
  std::vector<std::byte> bytes(elements * size);
  const bool bits = chance(20);
  for (size_t k = 0; k < elements; ++k) {
    const uint64_t word =
        bits || chance(1) ? random.next() : numerics::from_fp32(t, random.normal() * (is_float(t) ? 1 : 20));
    std::memcpy(bytes.data() + k * size, &word, size);
  }
  data.push_back(std::move(bytes));
  return build.whole(id);
}

View Operands::tensor_output(DType t, uint64_t elements) {
  const std::string name = fmt::format("y{}", build.program.tensors.size());
  return build.whole(build.tensor(name, t, {static_cast<int64_t>(elements)}, isa::TensorRole::output));
}

void Operands::retire(const Store& store) {
  const View all = build.tile_view(store.id, DType::uint8, 0, store.bytes.partitions, 0, {{1, store.bytes.row}});
  if (store.memory == Memory::sbuf) return void(build.dma(tensor_output(DType::uint8, all.elements()), all));
  // PSUM is out of the DMA's reach.
  const View words = build.tile_view(store.id, DType::uint32, 0, store.bytes.partitions, 0, {{1, store.bytes.row / 4}});
  const uint32_t copy = build.sbuf(store.bytes.partitions, store.bytes.row, fmt::format("c{}", store.id));
  fixed_.resize(copy + 1);
  const View to = build.tile_view(copy, DType::uint32, 0, store.bytes.partitions, 0, {{1, store.bytes.row / 4}});
  build.tensor_copy({.dst = to, .src = words});
  build.dma(tensor_output(DType::uint32, to.elements()), to);
}

View Operands::moving_input(DType t, uint64_t elements) {
  const Counter c = counters[random.below(counters.size())];
  View v = tensor_input(t, elements * (c.most + 1));
  v.dims[0].count = static_cast<uint32_t>(elements);
  return build.moving(v, c.number, static_cast<int64_t>(elements * dtype_bytes(t)));
}

View Operands::moving_output(DType t, uint64_t elements) {
  const Counter c = counters[random.below(counters.size())];
  View v = tensor_output(t, elements * (c.most + 1));
  v.dims[0].count = static_cast<uint32_t>(elements);
  return build.moving(v, c.number, static_cast<int64_t>(elements * dtype_bytes(t)));
}

View Operands::moving_tile(DType t, Shape s, bool output) {
  const Counter c = counters[random.below(counters.size())];
  const uint32_t tile = find_tile(Memory::sbuf, t, {s.partitions, s.row + c.most}, false, chance(50));
  View v = patterned(tile, t, {s.partitions, s.row + c.most}, {s.row + c.most}, output);
  if (v.dims[0].step < 0) v.offset += int64_t{v.dims[0].step} * c.most * static_cast<int64_t>(dtype_bytes(t));
  v.dims[0].count = s.row;
  return build.moving(v, c.number, std::abs(int64_t{v.dims[0].step}) * static_cast<int64_t>(dtype_bytes(t)));
}

void Operands::forget_from(uint32_t from, bool store) {
  std::vector<Store> left;
  for (const Store& s : live_) {
    if (s.id < from)
      left.push_back(s);
    else if (store)
      retire(s);
  }
  live_ = std::move(left);
}

void Operands::store_all() {
  for (const Store& store : live_) retire(store);
  live_.clear();
}

}  // namespace presil::campaign
