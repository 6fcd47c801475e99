#include <fmt/format.h>

#include <cstring>

#include "base/check.h"
#include "chip/execute_internal.h"
#include "isa/opcode.h"

namespace presil::chip {

std::byte* Buffer::bytes(size_t count) {
  if (count > capacity_) {
    constexpr size_t kAlignment = 64;
    capacity_ = (std::max(count, 2 * capacity_) + kAlignment - 1) / kAlignment * kAlignment;
    data_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlignment, capacity_)));
    CHECK(data_ != nullptr, "the host is out of memory");
  }
  return data_.get();
}

std::shared_ptr<ExecuteScratch> make_scratch() { return std::make_shared<ExecuteScratch>(); }

void Context::fault(std::string_view why) {
  why_faulted = fmt::format("{}: {}", isa::row(instruction.opcode).name, why);
}

void stage(Context& c, Strided& src, size_t slot) {
  const uint64_t count = src.elements();
  Strided copy = contiguous(c.scratch().staging[slot].bytes(count * src.element_bytes()), src.dtype, count);
  copy_elements(c, copy, src);
  if (src.rank > 0 && count > 0) {
    const uint64_t row = count / src.count[0];
    copy.rank = 2;
    copy.count = {src.count[0], static_cast<uint32_t>(row)};
    copy.step = {static_cast<int64_t>(row) * copy.step[0], copy.step[0]};
  }
  src = copy;
}

void stage_overlap(Context& c, const Strided& dst, Strided& src, size_t slot, bool element_wise) {
  if (!may_overlap(dst, src)) return;
  if (element_wise && same_places(dst, src)) return;
  stage(c, src, slot);
}

Nest prepare_nest(Context& c, const Strided& dst, std::span<const Strided> inputs) {
  std::array<Strided, kMaxJoined> operands;
  operands[0] = dst;
  const size_t count = inputs.size() + 1;
  for (size_t k = 1; k < count; ++k) {
    operands[k] = inputs[k - 1];
    stage_overlap(c, dst, operands[k], k, true);
  }
  std::optional<Nest> nest = join({operands.data(), count});
  if (!nest) {
    // No common loops: inputs laid out in order can be cut at any place.
    for (size_t k = 1; k < count; ++k) {
      if (operands[k].memory != isa::Memory::none) stage(c, operands[k], k);
    }
    nest = join({operands.data(), count});
    CHECK(nest.has_value(), "contiguous inputs follow any pattern");
  }
  return *nest;
}

namespace {

// From how many elements on a run is worth a call of its own: many, unless a value per run saves a pass over the block.
size_t long_run(const Nest& nest) {
  constexpr size_t kLong = kRunMax / 2, kLongWithValues = 16;
  if (nest.rank < 2) return kLong;
  for (size_t k = 1; k < static_cast<size_t>(nest.operands); ++k) {
    const bool value_per_run =
        nest.run_step(static_cast<int>(k)) == 0 && nest.step[k][static_cast<size_t>(nest.rank - 2)] != 0;
    if (value_per_run) return kLongWithValues;
  }
  return kLong;
}

}  // namespace

Map prepare_map(Context& c, const Strided& dst, std::span<const Strided> inputs) {
  const Nest nest = prepare_nest(c, dst, inputs);
  Map map;
  map.nest = nest;
  map.repeats_places = overlaps_itself(dst);
  map.blocks = blocks_of(nest, long_run(nest));
  for (size_t k = 0; k < static_cast<size_t>(nest.operands); ++k) {
    map.format[k] = run_format(k == 0 ? dst.dtype : inputs[k - 1].dtype);
    map.scalar[k] = k > 0 && map.blocks.step[k] == 0 && (map.blocks.rows == 1 || map.blocks.row_step[k] == 0);
  }
  return map;
}

namespace {

constexpr size_t kPlanesMax = 4096;  // floats of converted planes: a few such buffers stay in a first-level cache

// Operand k as a side of a slab, if it can be one.
std::optional<SlabMap::Side> slab_side(const Nest& nest, size_t k, const RunFormat& format) {
  const auto rank = static_cast<size_t>(nest.rank);
  const auto bytes = static_cast<int64_t>(format.bytes);
  const auto step = [&](size_t from_inner) { return rank > from_inner ? nest.step[k][rank - 1 - from_inner] : 0; };
  SlabMap::Side side;
  // Two loops: one row per plane, so that planes are what lies far apart.
  side.plane_step = step(rank == 2 ? 1 : 2);
  side.row_step = rank == 2 ? 0 : step(1);
  side.value = k > 0 && step(0) == 0;
  const auto whole = [](int64_t n) { return n % static_cast<int64_t>(sizeof(float)) == 0; };
  const bool aligned = reinterpret_cast<uintptr_t>(nest.base[k]) % alignof(float) == 0 &&
                       std::all_of(nest.step[k].begin(), nest.step[k].begin() + nest.rank, whole);
  if (format.dtype == DType::fp32 && aligned && (side.value || step(0) == bytes)) return side;
  if (side.value || step(0) % bytes != 0) return std::nullopt;
  side.converted = true;
  if (k > 0) side.load = numerics::load_windows_fn(format.dtype, step(0) / bytes);
  if (k == 0 && step(0) == bytes) side.store = numerics::store_windows_fn(format.dtype, false);
  if (side.load == nullptr && side.store == nullptr) return std::nullopt;
  return side;
}

// Some planes of a side as the kernel sees them.
numerics::SlabSide in_place(const SlabMap::Side& side, std::byte* at) {
  const auto floats = [](int64_t bytes) { return bytes / static_cast<int64_t>(sizeof(float)); };
  return {reinterpret_cast<float*>(at), floats(side.plane_step), floats(side.row_step)};
}

}  // namespace

std::optional<SlabMap> slab_map(const Map& map) {
  const Nest& nest = map.nest;
  const auto rank = static_cast<size_t>(nest.rank);
  if (rank == 0 || map.repeats_places) return std::nullopt;
  SlabMap out;
  bool converts = false;
  for (size_t k = 0; k < static_cast<size_t>(nest.operands); ++k) {
    const std::optional<SlabMap::Side> side = slab_side(nest, k, map.format[k]);
    if (!side) return std::nullopt;
    out.sides[k] = *side;
    converts |= side->converted;
  }
  out.columns = nest.run();
  if (rank == 2) out.planes = nest.count[0];
  if (rank > 2) out.planes = nest.count[rank - 3], out.rows = nest.count[rank - 2];
  if (converts && out.rows * out.columns > kPlanesMax) return std::nullopt;
  out.outer = nest;
  out.outer.rank = std::max(0, nest.rank - 2);
  return out;
}

void run_slabs(Context& c, const SlabMap& map, numerics::SlabKernel kernel, float alpha) {
  const auto operands = static_cast<size_t>(map.outer.operands);
  const auto converted = [](const SlabMap::Side& s) { return s.converted; };
  const bool converts = std::any_of(map.sides.begin(), map.sides.begin() + map.outer.operands, converted);
  const size_t plane = map.rows * map.columns,
               together = converts ? std::max<size_t>(1, kPlanesMax / plane) : map.planes;
  for_each_run(map.outer, [&](const std::array<std::byte*, kMaxJoined>& at) {
    for (size_t first = 0; first < map.planes; first += together) {
      numerics::Slab slab;
      slab.planes = std::min(together, map.planes - first);
      slab.rows = map.rows;
      slab.columns = map.columns;
      slab.alpha = alpha;
      numerics::Windows out;
      for (size_t k = operands; k-- > 0;) {
        const SlabMap::Side& side = map.sides[k];
        std::byte* base = at[k] + side.plane_step * static_cast<int64_t>(first);
        numerics::SlabSide& seen = k == 0 ? slab.out : slab.in[k - 1];
        seen = in_place(side, base);
        if (!side.converted) continue;
        seen = {c.scratch().planes[k].floats(kPlanesMax), static_cast<int64_t>(plane),
                static_cast<int64_t>(map.columns)};
        const numerics::Windows windows{base, side.plane_step, side.row_step, slab.planes, map.rows, map.columns};
        k == 0 ? void(out = windows) : side.load(windows, seen.at, plane);
      }
      if (operands == 2) slab.in[1] = slab.in[0];
      kernel(slab);
      if (map.sides[0].converted) map.sides[0].store(slab.out.at, plane, out);
    }
  });
}

uint64_t row_elements(const Strided& s) {
  uint64_t n = 1;
  for (int d = 1; d < s.rank; ++d) n *= s.count[static_cast<size_t>(d)];
  return n;
}

Strided row_of(const Strided& s, uint32_t p) {
  Strided row = with_dims(s, 1, s.rank);
  row.base += s.step[0] * static_cast<int64_t>(p);
  return row;
}

Rows::Rows(const Strided& s) : format_(run_format(s.dtype)), pitch_(s.step[0]) {
  blocks_ = blocks_of(*join(std::array{row_of(s, 0)}), kRunMax / 2);
}

Blocks Rows::of_partition(uint32_t p) const {
  Blocks out = blocks_;
  out.outer.base[0] += pitch_ * static_cast<int64_t>(p);
  return out;
}

void Rows::read(uint32_t p, float* out) const {
  for_each_block(of_partition(p), kRunMax, [&](const std::array<Block, kMaxJoined>& blocks) {
    const float* values = read_block(format_, blocks[0], out);
    if (values != out) std::memcpy(out, values, blocks[0].count() * sizeof(float));
    out += blocks[0].count();
  });
}

void Rows::write(uint32_t p, const float* values) const {
  for_each_block(of_partition(p), kRunMax, [&](const std::array<Block, kMaxJoined>& blocks) {
    write_block(format_, values, blocks[0]);
    values += blocks[0].count();
  });
}

float read_value(const Strided& s, uint32_t p) {
  uint64_t bits = 0;
  std::memcpy(&bits, s.base + s.step[0] * static_cast<int64_t>(p), s.element_bytes());
  return numerics::to_fp32(s.dtype, bits);
}

void write_value(const Strided& s, uint32_t p, float value) {
  const uint64_t bits = numerics::from_fp32(s.dtype, value);
  std::memcpy(s.base + s.step[0] * static_cast<int64_t>(p), &bits, s.element_bytes());
}

}  // namespace presil::chip
