#include "kernels/block.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace presil::kernels {
namespace {

using Extents = std::vector<int64_t>;

constexpr size_t kFreeDimsMax = 4;

int64_t product(const int64_t* begin, const int64_t* end) {
  return std::accumulate(begin, end, int64_t{1}, std::multiplies<>());
}
int64_t product(const Extents& v) { return product(v.data(), v.data() + v.size()); }

// A tensor of its own starts at row 0.
void whole_rows(Block& block) {
  block.row_begin = 0;
  block.full_rows = block.rank() > 2 ? block.shape[2] : 0;
}

// Where the partition axis is in `shape`: as many elements lie before it as before. An axis of extent 1 can be found in
// several places; the old position is preferred.
std::optional<int> partition_axis_in(const Block& block, const Extents& shape) {
  const auto p = static_cast<size_t>(block.partition_axis);
  const int64_t before = product(block.shape.data(), block.shape.data() + p);
  auto fits = [&](size_t axis) {
    return axis < shape.size() && shape[axis] == block.shape[p] && product(shape.data(), shape.data() + axis) == before;
  };
  if (fits(p)) return block.partition_axis;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (fits(axis)) return static_cast<int>(axis);
  }
  return std::nullopt;
}

bool same_free_layout(const Block& a, const Block& b) {
  if (a.dtype != b.dtype || a.memory != b.memory || a.rank() != b.rank() || a.partition_axis != b.partition_axis) {
    return false;
  }
  for (size_t axis = 0; axis < a.shape.size(); ++axis) {
    if (static_cast<int>(axis) == a.partition_axis) continue;
    if (a.shape[axis] != b.shape[axis]) return false;
    if (a.shape[axis] > 1 && a.strides[axis] != b.strides[axis]) return false;
  }
  return true;
}

// The groups that hold `range` of the partition axis, the last one shortened.
std::optional<std::vector<Group>> sliced_groups(const Block& block, Range range) {
  if (range.step != 1 && range.count > 1) return std::nullopt;
  std::vector<Group> out;
  int64_t begin = 0;
  for (const Group& group : block.groups) {
    const int64_t left = range.begin + range.count - begin;
    if (begin >= range.begin && left > 0) {
      out.push_back(group);
      out.back().partitions = std::min(group.partitions, left);
    }
    begin += group.partitions;
    if (out.empty() && begin > range.begin) return std::nullopt;
  }
  return out;
}

// Dense strides over the free axes; a tile per entry of `cut`.
Block allocate_groups(Context& context, DType dtype, Extents shape, int partition_axis, const std::vector<int64_t>& cut,
                      const std::string& name) {
  Block block{.dtype = dtype, .shape = std::move(shape), .partition_axis = partition_axis};
  block.strides.assign(block.shape.size(), 0);
  int64_t stride = 1;
  for (int axis = block.rank() - 1; axis >= 0; --axis) {
    if (axis == partition_axis) continue;
    block.strides[static_cast<size_t>(axis)] = stride;
    stride *= block.shape[static_cast<size_t>(axis)];
  }
  const auto bytes = static_cast<uint32_t>(stride * static_cast<int64_t>(dtype_bytes(dtype)));
  for (int64_t partitions : cut) {
    block.groups.push_back({context.build.sbuf(static_cast<uint32_t>(partitions), bytes, name), partitions, 0});
  }
  whole_rows(block);
  return block;
}

}  // namespace

int64_t Block::free_elements() const {
  int64_t n = 1;
  for (size_t axis = 0; axis < shape.size(); ++axis) n *= static_cast<int>(axis) == partition_axis ? 1 : shape[axis];
  return n;
}

Block allocate(Context& context, DType dtype, Extents shape, int partition_axis, const std::string& name) {
  CHECK(
      partition_axis >= 0 && partition_axis < static_cast<int>(shape.size()) && product(shape) > 0,
      fmt::format("block '{}' of shape [{}] with axis {} on partitions", name, fmt::join(shape, ", "), partition_axis));
  std::vector<int64_t> cut;
  const int64_t extent = shape[static_cast<size_t>(partition_axis)], most = group_partitions(context.spec);
  for (int64_t begin = 0; begin < extent; begin += most) cut.push_back(std::min(extent - begin, most));
  return allocate_groups(context, dtype, std::move(shape), partition_axis, cut, name);
}

Block allocate_like(Context& context, const Block& like, DType dtype, Extents shape, const std::string& name) {
  std::vector<int64_t> cut;
  for (const Group& group : like.groups) cut.push_back(group.partitions);
  Block block = allocate_groups(context, dtype, std::move(shape), like.partition_axis, cut, name);
  CHECK(block.shape[static_cast<size_t>(like.partition_axis)] == like.shape[static_cast<size_t>(like.partition_axis)],
        fmt::format("block '{}' has another extent on partitions", name));
  return block;
}

bool same_cut(const Block& a, const Block& b) {
  return std::equal(a.groups.begin(), a.groups.end(), b.groups.begin(), b.groups.end(),
                    [](const Group& x, const Group& y) { return x.partitions == y.partitions; });
}

isa::View view(const Block& block, size_t g, const std::vector<Range>& ranges) {
  CHECK(g < block.groups.size() && ranges.size() == block.shape.size(), "a range per axis of one of the groups");
  const Group& group = block.groups[g];
  isa::View out{.memory = block.memory, .dtype = block.dtype, .base = group.tile, .offset = group.byte_offset};
  std::vector<isa::Dim> dims;
  for (size_t axis = 0; axis < ranges.size(); ++axis) {
    const Range& range = ranges[axis];
    const bool on_partitions = static_cast<int>(axis) == block.partition_axis;
    const int64_t extent = on_partitions ? group.partitions : block.shape[axis];
    const int64_t last = range.begin + (range.count - 1) * range.step;
    CHECK(range.count > 0 && std::min(range.begin, last) >= 0 && std::max(range.begin, last) < extent,
          fmt::format("elements {} to {} of an axis of {}", range.begin, last, extent));
    if (on_partitions) {
      CHECK(range.step == 1 || range.count == 1, "partitions are consecutive");
      out.partition = static_cast<uint16_t>(range.begin);
      out.partitions = static_cast<uint16_t>(range.count);
      continue;
    }
    out.offset += range.begin * block.strides[axis] * static_cast<int64_t>(dtype_bytes(block.dtype));
    if (range.count == 1) continue;
    const auto step = static_cast<int32_t>(range.step * block.strides[axis]);
    const auto count = static_cast<uint32_t>(range.count);
    if (!dims.empty() && dims.back().step == static_cast<int64_t>(step) * count) {
      dims.back() = {step, dims.back().count * count};
    } else {
      dims.push_back({step, count});
    }
  }
  CHECK(dims.size() <= kFreeDimsMax, fmt::format("{} dims, an engine walks {}", dims.size(), kFreeDimsMax));
  std::copy(dims.begin(), dims.end(), out.dims.begin());
  out.rank = static_cast<uint8_t>(dims.size());
  return out;
}

isa::View view(const Block& block, size_t g) {
  std::vector<Range> ranges;
  for (int64_t extent : block.shape) ranges.push_back({0, extent, 1});
  ranges[static_cast<size_t>(block.partition_axis)].count = block.groups[g].partitions;
  return view(block, g, ranges);
}

std::optional<Extents> reshape_strides(const Extents& shape, const Extents& strides, const Extents& new_shape) {
  if (product(shape) != product(new_shape)) return std::nullopt;
  // Runs of axes that form one strided dimension, innermost first; new axes are cut from them, innermost first.
  std::vector<std::pair<int64_t, int64_t>> runs;  // extent, stride
  for (size_t axis = shape.size(); axis-- > 0;) {
    if (shape[axis] == 1) continue;
    if (!runs.empty() && strides[axis] == runs.back().first * runs.back().second) {
      runs.back().first *= shape[axis];
    } else {
      runs.emplace_back(shape[axis], strides[axis]);
    }
  }
  Extents out(new_shape.size(), 0);
  size_t run = 0;
  int64_t used = 1;
  for (size_t axis = new_shape.size(); axis-- > 0;) {
    if (new_shape[axis] == 1) continue;
    if (run < runs.size() && used == runs[run].first) ++run, used = 1;
    if (run == runs.size() || runs[run].first % (used * new_shape[axis]) != 0) return std::nullopt;
    out[axis] = runs[run].second * used;
    used *= new_shape[axis];
  }
  return out;
}

std::optional<Block> reshaped(const Block& block, const Extents& shape) {
  const std::optional<int> q = partition_axis_in(block, shape);
  if (!q || product(shape) != product(block.shape)) return std::nullopt;
  auto part = [](const Extents& v, int begin, int end) { return Extents(v.begin() + begin, v.begin() + end); };
  const int p = block.partition_axis, rank = block.rank(), new_rank = static_cast<int>(shape.size());
  auto outer = reshape_strides(part(block.shape, 0, p), part(block.strides, 0, p), part(shape, 0, *q));
  auto inner =
      reshape_strides(part(block.shape, p + 1, rank), part(block.strides, p + 1, rank), part(shape, *q + 1, new_rank));
  if (!outer || !inner) return std::nullopt;
  Block out = block;
  out.shape = shape;
  out.partition_axis = *q;
  out.strides = *outer;
  out.strides.push_back(0);
  out.strides.insert(out.strides.end(), inner->begin(), inner->end());
  const bool same_rows = rank > 2 && new_rank > 2 && part(block.shape, 0, 3) == part(shape, 0, 3);
  if (!same_rows) whole_rows(out);
  return out;
}

Block transposed(const Block& block, const std::vector<int64_t>& permutation) {
  CHECK(permutation.size() == block.shape.size(), "a permutation of all axes");
  Block out = block;
  for (size_t axis = 0; axis < permutation.size(); ++axis) {
    const auto from = static_cast<size_t>(permutation[axis]);
    out.shape[axis] = block.shape[from];
    out.strides[axis] = block.strides[from];
    if (static_cast<int>(from) == block.partition_axis) out.partition_axis = static_cast<int>(axis);
  }
  if (permutation.size() > 2 && permutation[2] != 2) whole_rows(out);
  return out;
}

std::optional<Block> sliced(const Block& block, int axis, Range range) {
  CHECK(axis >= 0 && axis < block.rank() && range.count > 0, "a slice of an axis");
  Block out = block;
  const auto a = static_cast<size_t>(axis);
  out.shape[a] = range.count;
  if (axis == block.partition_axis) {
    std::optional<std::vector<Group>> groups = sliced_groups(block, range);
    if (!groups) return std::nullopt;
    out.groups = std::move(*groups);
  } else {
    for (Group& group : out.groups) {
      group.byte_offset += range.begin * block.strides[a] * static_cast<int64_t>(dtype_bytes(block.dtype));
    }
    out.strides[a] = block.strides[a] * range.step;
  }
  if (axis == 2) whole_rows(out);
  return out;
}

std::optional<Block> joined(const std::vector<Block>& blocks) {
  CHECK(!blocks.empty(), "at least one block to join");
  Block out = blocks.front();
  const auto p = static_cast<size_t>(out.partition_axis);
  for (size_t i = 1; i < blocks.size(); ++i) {
    if (!same_free_layout(out, blocks[i])) return std::nullopt;
    out.shape[p] += blocks[i].shape[p];
    out.groups.insert(out.groups.end(), blocks[i].groups.begin(), blocks[i].groups.end());
  }
  if (p == 2) whole_rows(out);
  return out;
}

}  // namespace presil::kernels
