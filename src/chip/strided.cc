#include "chip/strided.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "base/check.h"

namespace presil::chip {

uint64_t Strided::elements() const {
  uint64_t n = 1;
  for (int d = 0; d < rank; ++d) n *= count[static_cast<size_t>(d)];
  return n;
}

std::optional<Strided> resolve(const isa::View& view, int64_t offset_delta, isa::Access access, CoreMemory& memory,
                               uint8_t core) {
  const bool shared = view.memory == isa::Memory::hbm;
  const uint8_t owner = shared ? 0 : core ^ view.peer;
  const Plane& plane = memory.plane(view.memory, owner);
  isa::ByteRange range = isa::byte_range(view);
  int64_t offset = 0, begin = 0, end = 0;
  if (__builtin_add_overflow(view.offset, offset_delta, &offset)) return std::nullopt;
  if (__builtin_add_overflow(range.begin, offset_delta, &begin)) return std::nullopt;
  if (__builtin_add_overflow(range.end, offset_delta, &end)) return std::nullopt;
  const uint32_t last = uint32_t{view.partition} + view.partitions;
  if (begin < 0 || end < begin || static_cast<uint64_t>(end) > plane.bytes_per_partition || last > plane.partitions) {
    return std::nullopt;
  }
  Strided s;
  s.base = plane.data + view.partition * plane.pitch + offset;
  if (shared) {
    const bool writes = access != isa::Access::read;
    s.base = memory.hbm_at(static_cast<uint64_t>(begin), static_cast<uint64_t>(end), writes) + (offset - begin);
  }
  s.dtype = view.dtype;
  s.rank = view.rank + 1;
  s.count[0] = view.partitions;
  s.step[0] = static_cast<int64_t>(plane.pitch);
  const auto bytes = static_cast<int64_t>(dtype_bytes(view.dtype));
  for (size_t d = 0; d < view.rank; ++d) {
    s.count[d + 1] = view.dims[d].count;
    s.step[d + 1] = view.dims[d].step * bytes;
  }
  s.memory = view.memory;
  s.core = owner;
  s.partition_begin = view.partition;
  s.partition_end = last;
  s.byte_begin = begin;
  s.byte_end = end;
  return s;
}

Strided with_dims(const Strided& s, int begin, int end) {
  Strided out = s;
  out.rank = end - begin;
  for (int d = 0; d < out.rank; ++d) {
    out.count[static_cast<size_t>(d)] = s.count[static_cast<size_t>(begin + d)];
    out.step[static_cast<size_t>(d)] = s.step[static_cast<size_t>(begin + d)];
  }
  return out;
}

Strided broadcast_over_free(const Strided& s, uint64_t elements) {
  Strided out = with_dims(s, 0, 1);
  out.rank = 2;
  out.count[1] = static_cast<uint32_t>(elements);
  out.step[1] = 0;
  return out;
}

Strided contiguous(std::byte* base, DType dtype, uint64_t count) {
  CHECK(count <= UINT32_MAX, "an instruction's elements are counted in 32 bits");
  Strided out;
  out.base = base;
  out.dtype = dtype;
  out.rank = 1;
  out.count[0] = static_cast<uint32_t>(count);
  out.step[0] = static_cast<int64_t>(dtype_bytes(dtype));
  return out;
}

bool may_overlap(const Strided& a, const Strided& b) {
  return a.memory != isa::Memory::none && a.memory == b.memory && a.core == b.core &&
         a.partition_begin < b.partition_end && b.partition_begin < a.partition_end && a.byte_begin < b.byte_end &&
         b.byte_begin < a.byte_end;
}

bool overlaps_itself(const Strided& s) {
  std::array<size_t, kMaxDims> order;  // dims by the length of their steps
  size_t rank = 0;
  for (size_t d = 0; d < static_cast<size_t>(s.rank); ++d) {
    if (s.count[d] == 1) continue;
    size_t place = rank++;
    for (; place > 0 && std::abs(s.step[order[place - 1]]) > std::abs(s.step[d]); --place)
      order[place] = order[place - 1];
    order[place] = d;
  }
  auto extent = static_cast<int64_t>(s.element_bytes());
  for (size_t d = 0; d < rank; ++d) {
    const int64_t step = std::abs(s.step[order[d]]);
    if (step < extent) return true;
    extent += step * (s.count[order[d]] - 1);
  }
  return false;
}

bool same_places(const Strided& a, const Strided& b) {
  if (a.base != b.base || a.element_bytes() != b.element_bytes()) return false;
  const Strided both[] = {a, b};
  const std::optional<Nest> nest = join(both);
  if (!nest) return false;
  for (size_t l = 0; l < static_cast<size_t>(nest->rank); ++l) {
    if (nest->step[0][l] != nest->step[1][l]) return false;
  }
  return true;
}

namespace {

// What is left of an operand while loops are taken from its inner end. Dims that continue each other count as one.
struct Cursor {
  const Strided* s;
  int dim;
  uint32_t count = 1;
  int64_t step = 0;
  void advance() {
    while (count == 1 && dim >= 0) {
      count = s->count[static_cast<size_t>(dim)];
      step = s->step[static_cast<size_t>(dim)];
      --dim;
    }
    for (; dim >= 0; --dim) {
      const auto d = static_cast<size_t>(dim);
      const bool continues = s->count[d] == 1 || s->step[d] == step * count;
      if (!continues || uint64_t{count} * s->count[d] > UINT32_MAX) return;
      count *= s->count[d];
    }
  }
};

// Loops were collected innermost first; merges neighbours that continue each other, and turns the order round.
Nest finished(const Nest& inner_first) {
  Nest out = inner_first;
  out.rank = 0;
  const auto operands = static_cast<size_t>(inner_first.operands);
  for (size_t l = 0; l < static_cast<size_t>(inner_first.rank); ++l) {
    const auto last = static_cast<size_t>(out.rank - 1);
    bool continues = out.rank > 0 && uint64_t{out.count[last]} * inner_first.count[l] <= UINT32_MAX;
    for (size_t k = 0; continues && k < operands; ++k) {
      continues = inner_first.step[k][l] == out.step[k][last] * out.count[last];
    }
    if (continues) {
      out.count[last] *= inner_first.count[l];
      continue;
    }
    out.count[last + 1] = inner_first.count[l];
    for (size_t k = 0; k < operands; ++k) out.step[k][last + 1] = inner_first.step[k][l];
    ++out.rank;
  }
  const auto rank = static_cast<size_t>(out.rank);
  std::reverse(out.count.begin(), out.count.begin() + out.rank);
  for (size_t k = 0; k < operands; ++k)
    std::reverse(out.step[k].begin(), out.step[k].begin() + static_cast<ptrdiff_t>(rank));
  return out;
}

}  // namespace

std::optional<Nest> join(std::span<const Strided> operands) {
  CHECK(operands.size() <= kMaxJoined, "a nest joins four operands at most");
  Nest nest;
  nest.operands = static_cast<int>(operands.size());
  std::array<Cursor, kMaxJoined> cursors;
  for (size_t k = 0; k < operands.size(); ++k) {
    nest.base[k] = operands[k].base;
    cursors[k] = {&operands[k], operands[k].rank - 1};
    cursors[k].advance();
  }
  while (true) {
    uint32_t common = 0, largest = 1;
    for (size_t k = 0; k < operands.size(); ++k) {
      common = std::gcd(common, cursors[k].count);
      largest = std::max(largest, cursors[k].count);
    }
    if (largest == 1) return finished(nest);
    if (common == 1) return std::nullopt;
    const auto l = static_cast<size_t>(nest.rank++);
    nest.count[l] = common;
    for (size_t k = 0; k < operands.size(); ++k) {
      Cursor& c = cursors[k];
      nest.step[k][l] = c.step;
      c.count /= common;
      c.step *= common;
      c.advance();
    }
  }
}

void prefer_long_runs(Nest& nest) {
  constexpr uint32_t kShort = 4, kWorthIt = 8;
  if (nest.rank < 2 || nest.run() > kShort) return;
  const auto inner = static_cast<size_t>(nest.rank - 1);
  const auto longest =
      static_cast<size_t>(std::max_element(nest.count.begin(), nest.count.begin() + nest.rank) - nest.count.begin());
  if (nest.count[longest] < kWorthIt) return;
  std::swap(nest.count[longest], nest.count[inner]);
  for (size_t k = 0; k < static_cast<size_t>(nest.operands); ++k) std::swap(nest.step[k][longest], nest.step[k][inner]);
}

Blocks blocks_of(const Nest& nest, size_t long_run) {
  Blocks out;
  out.outer = nest;
  out.columns = nest.run();
  for (int k = 0; k < nest.operands; ++k) out.step[static_cast<size_t>(k)] = nest.run_step(k);
  if (nest.rank < 2 || out.columns >= long_run) return out;
  const auto row_loop = static_cast<size_t>(nest.rank - 2);
  out.outer.rank -= 1;
  out.rows = nest.count[row_loop];
  for (size_t k = 0; k < static_cast<size_t>(nest.operands); ++k) out.row_step[k] = nest.step[k][row_loop];
  return out;
}

}  // namespace presil::chip
