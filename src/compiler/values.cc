#include "compiler/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "compiler/steps.h"

namespace presil::compiler {

using kernels::Block;
using kernels::HbmView;
using kernels::Range;

namespace {

constexpr int64_t kPartShare = 20;  // a part of a tensor on its way takes at most this share of SBUF: one in ...
constexpr int64_t kKeptShare = 8;   // an input stays in SBUF if it takes no more than one byte in so many

// Beyond this many elements, a copy whose runs would be single elements goes through the tensor engine's transpose.
constexpr int64_t kScatteredElementsMax = 4096;

// The axis (not `axis`) to put on partitions while the innermost stays contiguous.
int other_axis(const std::vector<int64_t>& shape, int axis) {
  int best = -1;
  for (int i = 0; i < static_cast<int>(shape.size()); ++i) {
    if (i != axis && shape[i] > 1 && (best < 0 || shape[i] > shape[best])) best = i;
  }
  return best;
}

// Whether a transfer between `shape` with `axis` on partitions and memory would move many single elements, which
// another axis on partitions would not.
bool is_scattered(const std::vector<int64_t>& shape, const std::vector<int64_t>& strides, int axis, int other) {
  return strides[static_cast<size_t>(axis)] == 1 && shape[static_cast<size_t>(axis)] > 1 && other >= 0 &&
         graph::element_count(shape) > kScatteredElementsMax;
}

struct Halves {
  int axis = 0;
  std::array<Range, 2> parts;
};
// Where to cut what is too large for a detour: along a third axis, else along the one that the detour puts on
// partitions.
std::optional<Halves> halves(const std::vector<int64_t>& shape, int axis, int other) {
  int best = other;
  for (int i = 0; i < static_cast<int>(shape.size()); ++i) {
    bool third = i != axis && i != other && shape[static_cast<size_t>(i)] > 1;
    if (third && (best == other || shape[static_cast<size_t>(i)] > shape[static_cast<size_t>(best)])) best = i;
  }
  const int64_t extent = shape[static_cast<size_t>(best)], half = extent / 2;
  if (half == 0) return std::nullopt;
  return Halves{best, {Range{0, half, 1}, Range{half, extent - half, 1}}};
}

}  // namespace

Block allocate_cut(kernels::Context& c, DType dtype, const std::vector<int64_t>& shape, int axis,
                   const std::vector<int64_t>& cut, const std::string& name) {
  std::vector<Block> parts;
  for (int64_t partitions : cut) {
    std::vector<int64_t> part = shape;
    part[static_cast<size_t>(axis)] = partitions;
    parts.push_back(allocate(c, dtype, part, axis, name));
  }
  return *joined(parts);
}

std::vector<int64_t> cut_of(const Block& block) {
  std::vector<int64_t> cut;
  for (const kernels::Group& g : block.groups) cut.push_back(g.partitions);
  return cut;
}

void copy_block(kernels::Context& c, const Block& src, const Block& dst) {
  kernels::Expression copy{1, {{.fn = graph::ElementwiseFn::identity, .arguments = {kernels::value_argument(0)}}}};
  elementwise(c, copy, {src}, {kernels::InputKind::full}, dst).value();
}

Values::Values(kernels::Context& context, const graph::Graph& graph, const Plan& plan)
    : context_(context), graph_(graph), plan_(plan), values_(graph.tensors.size()), image_(image_tensors(graph)) {}

uint32_t Values::tensor(const std::string& name, DType dtype, const std::vector<int64_t>& shape, isa::TensorRole role,
                        std::vector<std::byte> data) {
  uint32_t uses = names_[name]++;
  std::string unique = uses == 0 ? name : fmt::format("{}#{}", name, uses);
  if (uses > 0) names_[unique] = 1;
  return context_.build.tensor(unique, dtype, shape, role, std::move(data));
}

uint32_t Values::constant(const std::string& name, HostTensor host) {
  return tensor(name, host.dtype, host.shape, isa::TensorRole::constant, std::move(host.data));
}

HbmView Values::constant(graph::TensorId t, DType dtype) {
  auto found = constants_.find({t.value, dtype});
  if (found == constants_.end()) {
    const graph::Tensor& own = graph_.at(t);
    HbmView view = kernels::row_major(constant(own.name, converted(own, dtype)), dtype, own.shape);
    found = constants_.emplace(std::pair(t.value, dtype), view).first;
  }
  return found->second;
}

Block Values::with_axis(const Block& block, int axis) {
  if (block.partition_axis == axis) return block;
  Block out = allocate(context_, block.dtype, block.shape, axis, "relayout");
  relayout(context_, block, out);
  return out;
}

bool Values::small_enough(const std::vector<int64_t>& shape, int axis, DType dtype, int64_t share) const {
  int64_t lanes = kernels::group_partitions(context_.spec), extent = shape[static_cast<size_t>(axis)];
  int64_t bytes =
      graph::element_count(shape) / extent * ((extent + lanes - 1) / lanes) * static_cast<int64_t>(dtype_bytes(dtype));
  return bytes <= static_cast<int64_t>(context_.spec.sbuf.bytes_per_partition) / share;
}

Block Values::loaded(const HbmView& view, int axis, DType dtype, const std::string& name) {
  int other = other_axis(view.shape, axis);
  if (is_scattered(view.shape, view.strides, axis, other) && small_enough(view.shape, other, dtype))
    return with_axis(loaded(view, other, dtype, name), axis);
  Block block = allocate(context_, dtype, view.shape, axis, name);
  load_into(view, block, name);
  return block;
}

void Values::load_into(const HbmView& view, const Block& block, const std::string& name) {
  int axis = block.partition_axis, other = other_axis(view.shape, axis);
  if (!is_scattered(view.shape, view.strides, axis, other)) return load(context_, view, block);
  // In small parts, if it can be cut: what lies there twice leaves less to everything else.
  const bool part = small_enough(view.shape, other, block.dtype, kPartShare);
  auto cut = part ? std::nullopt : halves(view.shape, axis, other);
  if (!cut && small_enough(view.shape, other, block.dtype))
    return relayout(context_, loaded(view, other, block.dtype, name), block);
  if (!cut) return load(context_, view, block);
  for (Range r : cut->parts) load_into(sliced(view, cut->axis, r), *sliced(block, cut->axis, r), name);
}

void Values::store(const Block& block, const HbmView& to) {
  int axis = block.partition_axis, other = other_axis(block.shape, axis);
  if (!is_scattered(block.shape, to.strides, axis, other)) return kernels::store(context_, block, to);
  if (small_enough(block.shape, other, block.dtype)) return store(with_axis(block, other), to);
  auto cut = halves(block.shape, axis, other);
  if (!cut) return kernels::store(context_, block, to);
  for (Range part : cut->parts) store(*sliced(block, cut->axis, part), sliced(to, cut->axis, part));
}

HbmView Values::stored(const Block& block, const std::string& name) {
  HbmView view =
      kernels::row_major(tensor(name, block.dtype, block.shape, isa::TensorRole::scratch), block.dtype, block.shape);
  store(block, view);
  return view;
}

HbmView Values::hbm(graph::TensorId t) {
  const graph::Tensor& own = graph_.at(t);
  if (own.constant) return constant(t, value_dtype(graph_, plan_, t));
  Value& value = values_[t.value];
  if (!value.hbm) {
    CHECK(value.block.has_value(), "a value exists before it is used: " + own.name);
    value.hbm = stored(*value.block, own.name);
  }
  return *value.hbm;
}

int Values::natural_axis(graph::TensorId t, const std::vector<int64_t>& avoid) {
  auto avoided = [&](int axis) { return std::find(avoid.begin(), avoid.end(), axis) != avoid.end(); };
  const Value& value = values_[t.value];
  if (value.block && !avoided(value.block->partition_axis)) return value.block->partition_axis;
  const graph::Shape& shape = graph_.at(t).shape;
  if (image_[t.value] && !avoided(1) && shape[1] > 1) return 1;
  int best = -1;
  for (int i = 0; i < static_cast<int>(shape.size()); ++i) {
    if (!avoided(i) && (best < 0 || shape[i] > shape[best])) best = i;
  }
  return best;
}

Block Values::block(graph::TensorId t, int axis) {
  Value& value = values_[t.value];
  if (value.block) return with_axis(*value.block, axis);
  const bool is_input = std::ranges::find(graph_.inputs, t) != graph_.inputs.end();
  return is_input ? input_block(t, axis) : loaded(hbm(t), axis, value_dtype(graph_, plan_, t), graph_.at(t).name);
}

// A small input stays in SBUF for whatever reads it next.
Block Values::input_block(graph::TensorId t, int axis) {
  const HbmView view = hbm(t);
  const DType dtype = value_dtype(graph_, plan_, t);
  const int other = other_axis(view.shape, axis);
  if (!small_enough(view.shape, axis, dtype, kKeptShare)) return loaded(view, axis, dtype, graph_.at(t).name);
  if (const Block* kept = kept_input(t, axis)) return *kept;
  const bool turned =
      is_scattered(view.shape, view.strides, axis, other) && small_enough(view.shape, other, dtype, kKeptShare);
  const Block block = turned ? with_axis(input_block(t, other), axis) : loaded(view, axis, dtype, graph_.at(t).name);
  return inputs_.emplace(std::pair{t.value, axis}, block).first->second;
}

const Block* Values::kept_input(graph::TensorId t, int axis) const {
  const auto kept = inputs_.find({t.value, axis});
  return kept == inputs_.end() ? nullptr : &kept->second;
}

Block Values::rows(graph::TensorId t, int64_t image, const Rows& rows) {
  Value& value = values_[t.value];
  int64_t full = graph_.at(t).shape[2];
  if (value.block) {
    Block block = *sliced(with_axis(*value.block, 1), 0, Range{image, 1, 1});
    block.row_begin = 0, block.full_rows = full;
    return block;
  }
  HbmView view = sliced(sliced(hbm(t), 0, Range{image, 1, 1}), 2, Range{rows.begin, rows.end - rows.begin, 1});
  Block block = allocate(context_, value_dtype(graph_, plan_, t), view.shape, 1, graph_.at(t).name);
  load(context_, view, block);
  block.row_begin = rows.begin, block.full_rows = full;
  return block;
}

}  // namespace presil::compiler
