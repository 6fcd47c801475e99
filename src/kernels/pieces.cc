#include "kernels/pieces.h"

#include <algorithm>

namespace presil::kernels {
namespace {

constexpr int kDimsMax = 4;
constexpr int64_t kCountMax = 65535, kStepMax = 32767;
constexpr int64_t kPsumElementsMax = 4096;

struct Nest {
  const std::vector<isa::View>& operands;
  const Limits& limits;
  const std::function<void(std::span<const isa::View>)>& emit;
};

// Operand k walked by the loops: own dims innermost. Merges loops, but never with the operand's own dims.
std::optional<isa::View> walked(const isa::View& operand, size_t k, const std::vector<Loop>& loops, bool engine) {
  std::array<isa::Dim, isa::kMaxRank> dims;
  size_t rank = 0;
  for (const Loop& loop : loops) {
    const int64_t step = loop.steps[k];
    if (loop.count == 1) continue;
    if (rank > 0 && dims[rank - 1].step == step * loop.count) {
      dims[rank - 1] = {static_cast<int32_t>(step), static_cast<uint32_t>(dims[rank - 1].count * loop.count)};
    } else {
      if (rank + operand.rank >= kDimsMax) return std::nullopt;
      dims[rank++] = {static_cast<int32_t>(step), static_cast<uint32_t>(loop.count)};
    }
  }
  isa::View out = operand;
  std::copy(operand.dims.begin(), operand.dims.begin() + operand.rank, dims.begin() + rank);
  out.rank = static_cast<uint8_t>(rank + operand.rank);
  std::copy(dims.begin(), dims.begin() + out.rank, out.dims.begin());
  for (const isa::Dim& dim : out.pattern()) {
    if (engine && (dim.count > kCountMax || std::abs(int64_t{dim.step}) > kStepMax)) return std::nullopt;
  }
  return out;
}

int64_t elements(const isa::View& operand, const std::vector<Loop>& loops) {
  auto n = static_cast<int64_t>(operand.elements_per_partition());
  for (const Loop& loop : loops) n *= loop.count;
  return n;
}

int64_t elements_max(const Nest& nest, const isa::View& operand) {
  const bool psum = operand.memory == isa::Memory::psum;
  return psum ? std::min(nest.limits.elements, kPsumElementsMax) : nest.limits.elements;
}

void walk(const Nest& nest, const std::vector<isa::View>& operands, const std::vector<Loop>& loops);

// The nest in pieces of `step` iterations of loop `l`.
void split(const Nest& nest, const std::vector<isa::View>& operands, const std::vector<Loop>& loops, size_t l,
           int64_t step) {
  std::vector<isa::View> moved = operands;
  std::vector<Loop> piece = loops;
  for (int64_t begin = 0; begin < loops[l].count; begin += step) {
    piece[l].count = std::min(step, loops[l].count - begin);
    for (size_t k = 0; k < operands.size(); ++k) {
      moved[k].offset =
          operands[k].offset + begin * loops[l].steps[k] * static_cast<int64_t>(dtype_bytes(operands[k].dtype));
    }
    walk(nest, moved, piece);
  }
}

// Which loop to unroll when the pattern cannot be encoded: one whose step is out of range, else the shortest.
size_t loop_to_unroll(const std::vector<isa::View>& operands, const std::vector<Loop>& loops, bool engine) {
  size_t best = loops.size();
  for (size_t l = 0; l < loops.size(); ++l) {
    if (loops[l].count == 1) continue;
    for (size_t k = 0; engine && k < operands.size(); ++k) {
      if (std::abs(loops[l].steps[k]) > kStepMax) return l;
    }
    if (best == loops.size() || loops[l].count < loops[best].count) best = l;
  }
  CHECK(best < loops.size(), "an operand's own dims fit an access pattern");
  return best;
}

void walk(const Nest& nest, const std::vector<isa::View>& operands, const std::vector<Loop>& loops) {
  for (const isa::View& operand : operands) {
    const int64_t n = elements(operand, loops), most = elements_max(nest, operand);
    if (n <= most) continue;
    auto outer = std::find_if(loops.begin(), loops.end(), [](const Loop& loop) { return loop.count > 1; });
    CHECK(outer != loops.end(), "an operand's own dims fit an instruction");
    const int64_t fit = std::max<int64_t>(1, most / (n / outer->count));
    const int64_t pieces = (outer->count + fit - 1) / fit;
    return split(nest, operands, loops, static_cast<size_t>(outer - loops.begin()),
                 (outer->count + pieces - 1) / pieces);
  }
  std::vector<isa::View> views;
  for (size_t k = 0; k < operands.size(); ++k) {
    std::optional<isa::View> v = walked(operands[k], k, loops, nest.limits.engine);
    if (!v) return split(nest, operands, loops, loop_to_unroll(operands, loops, nest.limits.engine), 1);
    views.push_back(*v);
  }
  nest.emit(views);
}

}  // namespace

void for_each_piece(const std::vector<isa::View>& operands, const std::vector<Loop>& loops, const Limits& limits,
                    const std::function<void(std::span<const isa::View>)>& emit) {
  CHECK(operands.size() <= kOperandsMax, "few operands");
  walk({operands, limits, emit}, operands, loops);
}

isa::View origin(const Block& block, size_t g, int64_t partition, int64_t partitions, const std::vector<int64_t>& at) {
  const Group& group = block.groups[g];
  CHECK(partition >= 0 && partitions > 0 && partition + partitions <= group.partitions, "partitions of a group");
  isa::View out{.memory = block.memory, .dtype = block.dtype, .base = group.tile, .offset = group.byte_offset};
  out.partition = static_cast<uint16_t>(partition);
  out.partitions = static_cast<uint16_t>(partitions);
  for (size_t axis = 0; axis < at.size(); ++axis) {
    if (static_cast<int>(axis) == block.partition_axis) continue;
    out.offset += at[axis] * block.strides[axis] * static_cast<int64_t>(dtype_bytes(block.dtype));
  }
  return out;
}
isa::View origin(const Block& block, size_t g) { return origin(block, g, 0, block.groups[g].partitions, {}); }

std::vector<Cut> cuts(const Block& block, int64_t most) {
  std::vector<Cut> out;
  int64_t begin = 0;
  for (size_t g = 0; g < block.groups.size(); ++g) {
    const int64_t partitions = block.groups[g].partitions;
    for (int64_t p = 0; p < partitions; p += most) out.push_back({g, p, std::min(most, partitions - p), begin + p});
    begin += partitions;
  }
  return out;
}

void for_each_index(const std::vector<int64_t>& extents, const std::function<void(const std::vector<int64_t>&)>& fn) {
  std::vector<int64_t> index(extents.size(), 0);
  for (int64_t extent : extents) {
    if (extent == 0) return;
  }
  while (true) {
    fn(index);
    size_t axis = extents.size();
    while (axis > 0 && ++index[axis - 1] == extents[axis - 1]) index[--axis] = 0;
    if (axis == 0) return;
  }
}

}  // namespace presil::kernels
