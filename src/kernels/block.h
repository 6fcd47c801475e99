// Block: a tensor, or some rows of it, in SBUF or PSUM. One logical axis lies on partitions, cut into groups of
// consecutive partitions (a tile each); the others lie in the free axis with a stride each. Reshapes, slices and
// transposes that leave the partition axis alone, and concatenations along it, are new Blocks over the same tiles.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "isa/view.h"
#include "spec/chip_spec.h"
#include "tile/builder.h"

namespace presil::kernels {

struct Group {
  uint32_t tile = 0;        // TileProgram tile
  int64_t partitions = 1;   // extent of the partition axis in this group
  int64_t byte_offset = 0;  // of the group's first element in its partitions
};

struct Block {
  DType dtype = DType::fp32;
  isa::Memory memory = isa::Memory::sbuf;
  std::vector<int64_t> shape;    // of this piece, logical axes
  std::vector<int64_t> strides;  // elements within a partition, per axis; 0 on the partition axis
  int partition_axis = 0;
  std::vector<Group> groups;  // in order along the partition axis
  // Where the piece lies in its tensor along axis 2 of [N, C, H, W] (rows); a whole tensor has 0 and shape[2].
  int64_t row_begin = 0, full_rows = 0;

  int rank() const { return static_cast<int>(shape.size()); }
  int64_t free_elements() const;  // elements per partition
};

// Part of one axis: `count` elements from `begin`, every `step`-th. step 0 repeats one element.
struct Range {
  int64_t begin = 0, count = 1, step = 1;
};

// How busy the instructions built so far keep each engine, in timing's occupancies; see lighter_engine.
struct EngineLoad {
  size_t counted = 0;  // instructions
  std::array<Time, isa::kEngineKindCount> busy{};
};

struct Context {
  tile::Builder& build;
  const spec::ChipSpec& spec;
  EngineLoad load;
  // Estimated seconds of depthwise convolutions given so far to the two engines that can both add, by that engine.
  double depthwise_tensor_seconds = 0, depthwise_vector_seconds = 0;
  std::map<DType, uint32_t> identities;                   // tiles, see identity.h
  std::map<std::pair<int64_t, float>, uint32_t> columns;  // tiles filled with a number, by partitions and number
};
// A number as an activation's bias: an immediate, or before generation 3 a column that holds it (fact: NKI ISA,
// activation).
tile::Scalar activation_bias(Context&, float number, int64_t partitions);
// Vector or scalar engine, whichever ends earlier with an affine or plain move of `src` to `dst` on top of what it has.
// Work that lies further back than kLoadWindow is forgotten: it is over when the instruction runs.
inline constexpr Time kLoadWindow = 10'000 * kNanosecond;  // assumed
isa::EngineKind lighter_engine(Context&, const isa::View& dst, const isa::View& src);
// The same of the vector and the gpsimd engine, both operands in SBUF.
isa::EngineKind aside_engine(Context&, const isa::View& dst, const isa::View& src);
// Whether a 16-bit addend of `out` is better added by the vector engine, to what has left PSUM, than by the tensor
// engine before: not while the engines that empty PSUM are behind. `relu`: applied to the sum.
bool adds_after_psum(Context&, const isa::View& out, const isa::View& psum, bool relu);

// Partitions that one group may take: as many as one matmul can write.
inline int64_t group_partitions(const spec::ChipSpec& spec) {
  return std::min(spec.sbuf.partitions, spec.tensor.columns);
}
// A fresh dense block: partition axis cut into groups of at most group_partitions(), other axes row-major in order.
Block allocate(Context&, DType, std::vector<int64_t> shape, int partition_axis, const std::string& name);
// As `allocate`, with the partition axis of `like` and its extent, cut into the same groups.
Block allocate_like(Context&, const Block& like, DType, std::vector<int64_t> shape, const std::string& name);
// Whether the partition axes have equal groups.
bool same_cut(const Block& a, const Block& b);

// View of group `g` with a range per logical axis; the range of the partition axis is relative to the group. Axes keep
// their order; dims merge where they are contiguous. CHECKs that at most 4 remain.
isa::View view(const Block&, size_t g, const std::vector<Range>& ranges);
// All of group g.
isa::View view(const Block&, size_t g);

// The same elements under another shape, if no data has to move (the partition axis keeps its extent; free axes merge
// or split where strides allow); nothing otherwise.
std::optional<Block> reshaped(const Block&, const std::vector<int64_t>& shape);
Block transposed(const Block&, const std::vector<int64_t>& permutation);
// Slice along one axis: a free axis (steps allowed), or consecutive partitions that begin where a group begins; nothing
// when a group would be entered in its middle.
std::optional<Block> sliced(const Block&, int axis, Range);
// Strides of the same elements in the same order under another shape; nothing when no strides can say it.
std::optional<std::vector<int64_t>> reshape_strides(const std::vector<int64_t>& shape,
                                                    const std::vector<int64_t>& strides,
                                                    const std::vector<int64_t>& new_shape);
// Blocks side by side along their partition axis: the groups' lists are joined; nothing when free strides differ.
std::optional<Block> joined(const std::vector<Block>&);

}  // namespace presil::kernels
