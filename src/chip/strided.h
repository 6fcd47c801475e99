// Operands as strided loops over bytes. A View, resolved against a memory, is a base address and up to six dimensions
// (partition first); several of them are joined into one loop nest, whose innermost loop is handed to a kernel as runs.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "chip/memory.h"
#include "isa/opcode.h"
#include "isa/view.h"

namespace presil::chip {

inline constexpr int kMaxDims = isa::kMaxRank + 1;

struct Strided {
  std::byte* base = nullptr;
  DType dtype = DType::fp32;
  int rank = 0;
  std::array<uint32_t, kMaxDims> count{};
  std::array<int64_t, kMaxDims> step{};  // bytes
  // Where the bytes lie, for overlap tests: a memory (none: private to this instruction), partitions, bytes within.
  isa::Memory memory = isa::Memory::none;
  uint8_t core = 0;  // whose SBUF or PSUM it is; 0 for HBM
  uint32_t partition_begin = 0, partition_end = 0;
  int64_t byte_begin = 0, byte_end = 0;

  size_t element_bytes() const { return dtype_bytes(dtype); }
  uint64_t elements() const;
};

// Dimension 0 is the partition. `core` executes the instruction. Empty if a byte lies outside the memory.
std::optional<Strided> resolve(const isa::View& view, int64_t offset_delta, isa::Access access, CoreMemory& memory,
                               uint8_t core = 0);

// The same operand with fewer dimensions: [begin, end) of its own.
Strided with_dims(const Strided& s, int begin, int end);
// One value per partition, repeated over `elements` places of the free axis.
Strided broadcast_over_free(const Strided& s, uint64_t elements);
// `count` contiguous elements at `base`.
Strided contiguous(std::byte* base, DType dtype, uint64_t count);

bool may_overlap(const Strided& a, const Strided& b);
bool overlaps_itself(const Strided& s);                // some address is visited twice
bool same_places(const Strided& a, const Strided& b);  // equal addresses in equal order, and equal element sizes

inline constexpr int kMaxJoined = 4, kMaxLoops = kMaxJoined * kMaxDims;

// Loops outermost first; operand k's element lies at base[k] + sum of index * step[k].
struct Nest {
  int operands = 0, rank = 0;
  std::array<uint32_t, kMaxLoops> count{};
  std::array<std::byte*, kMaxJoined> base{};
  std::array<std::array<int64_t, kMaxLoops>, kMaxJoined> step{};

  uint32_t run() const { return rank == 0 ? 1 : count[static_cast<size_t>(rank - 1)]; }  // length of a run
  int64_t run_step(int k) const { return rank == 0 ? 0 : step[static_cast<size_t>(k)][static_cast<size_t>(rank - 1)]; }
};

// The common loops of operands with equally many elements, matched in order. Empty if their shapes have no common
// refinement (2 x 3 against 3 x 2 with gaps).
std::optional<Nest> join(std::span<const Strided> operands);
// Makes a longer loop innermost where runs are very short. Only where the order of elements does not matter.
void prefer_long_runs(Nest& nest);

// The two innermost loops as blocks of rows x columns, for nests whose runs are short; one row otherwise. The elements
// of a block are still in order.
struct Blocks {
  Nest outer;  // its runs are blocks
  size_t rows = 1, columns = 1;
  std::array<int64_t, kMaxJoined> row_step{}, step{};
};
// Runs of `long_run` elements and more stay single rows.
Blocks blocks_of(const Nest& nest, size_t long_run);

// body(pointers) once per run, in order.
template <class Body>
void for_each_run(const Nest& nest, Body&& body) {
  std::array<std::byte*, kMaxJoined> at = nest.base;
  if (nest.rank <= 1) {
    body(at);
    return;
  }
  std::array<uint32_t, kMaxLoops> index{};
  while (true) {
    body(at);
    int loop = nest.rank - 2;
    for (; loop >= 0; --loop) {
      const auto l = static_cast<size_t>(loop);
      for (size_t k = 0; k < static_cast<size_t>(nest.operands); ++k) at[k] += nest.step[k][l];
      if (++index[l] < nest.count[l]) break;
      for (size_t k = 0; k < static_cast<size_t>(nest.operands); ++k) at[k] -= nest.step[k][l] * nest.count[l];
      index[l] = 0;
    }
    if (loop < 0) return;
  }
}

}  // namespace presil::chip
