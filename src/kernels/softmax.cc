// exp(x - max) / sum. Long rows: one activation per row subtracts the maximum, and adds up on its way. Many short rows:
// whole-block instructions with the maximum and the sum repeated along the row, since each instruction has a least
// cost.
#include <fmt/format.h>

#include "kernels/kernels.h"
#include "kernels/pieces.h"
#include "kernels/reduce.h"

namespace presil::kernels {
namespace {

// Rows this short cost less together: two broadcast passes of the vector engine against an instruction per row.
constexpr int64_t kShortRow = 32;

struct Softmax {
  Context& context;
  size_t axis;
  const Block& in;
  const Block& out;
  Block exps;     // fp32; out itself if that is fp32
  Block maximum;  // of each row, fp32, extent 1 on the axis
  Block sum;      // of each row; then its reciprocal
};

// Loops over all free axes; `row` blocks stand still along the softmax axis.
std::vector<Loop> loops(const Softmax& s, std::initializer_list<const Block*> blocks) {
  std::vector<Loop> out;
  for (size_t axis = 0; axis < s.in.shape.size(); ++axis) {
    if (static_cast<int>(axis) == s.in.partition_axis) continue;
    Loop loop{.count = s.in.shape[axis]};
    size_t k = 0;
    for (const Block* block : blocks) {
      loop.steps[k++] = block->shape[axis] == s.in.shape[axis] ? block->strides[axis] : 0;
    }
    out.push_back(loop);
  }
  return out;
}

void reciprocal_of_sums(const Softmax& s, size_t g) {
  std::vector<Loop> rows;
  for (size_t axis = 0; axis < s.sum.shape.size(); ++axis) {
    if (static_cast<int>(axis) == s.sum.partition_axis) continue;
    rows.push_back({s.sum.shape[axis], {s.sum.strides[axis], s.sum.strides[axis]}});
  }
  for_each_piece({origin(s.sum, g), origin(s.sum, g)}, rows, {},
                 [&](std::span<const isa::View> v) { s.context.build.reciprocal({.dst = v[0], .data = v[1]}); });
}

void short_rows(const Softmax& s, size_t g) {
  tile::Builder& build = s.context.build;
  auto views = [&](const Block& a, const Block& b, const Block& c) {
    return std::vector<isa::View>{origin(a, g), origin(b, g), origin(c, g)};
  };
  for_each_piece(views(s.exps, s.in, s.maximum), loops(s, {&s.exps, &s.in, &s.maximum}), {},
                 [&](std::span<const isa::View> v) {
                   build.tensor_tensor({.dst = v[0], .data1 = v[1], .data2 = v[2], .op = AluOp::subtract});
                   build.activation({.dst = v[0], .data = v[0], .op = Activation::exp});
                 });
}

void short_rows_scaled(const Softmax& s, size_t g) {
  for_each_piece({origin(s.out, g), origin(s.exps, g), origin(s.sum, g)}, loops(s, {&s.out, &s.exps, &s.sum}), {},
                 [&](std::span<const isa::View> v) {
                   s.context.build.tensor_tensor({.dst = v[0], .data1 = v[1], .data2 = v[2], .op = AluOp::multiply});
                 });
}

// exps of one row and their sum; `at` is the row's first element.
void long_row(const Softmax& s, size_t g, const std::vector<int64_t>& at) {
  const int64_t partitions = s.in.groups[g].partitions, n = s.in.shape[s.axis];
  std::vector<std::pair<isa::View, isa::View>> pieces;
  for_each_piece({origin(s.exps, g, 0, partitions, at), origin(s.in, g, 0, partitions, at)},
                 {{n, {s.exps.strides[s.axis], s.in.strides[s.axis]}}}, {},
                 [&](std::span<const isa::View> v) { pieces.emplace_back(v[0], v[1]); });
  for (size_t k = 0; k < pieces.size(); ++k) {
    tile::ActivationArgs a{.dst = pieces[k].first, .data = pieces[k].second, .op = Activation::exp};
    a.bias = origin(s.maximum, g, 0, partitions, at);
    a.reduce_cmd = k == 0 ? ReduceCommand::reset_reduce : ReduceCommand::reduce;
    if (k + 1 == pieces.size()) a.reduce_res = origin(s.sum, g, 0, partitions, at);
    s.context.build.activation(a);
  }
}

void long_row_scaled(const Softmax& s, size_t g, const std::vector<int64_t>& at) {
  const int64_t partitions = s.in.groups[g].partitions;
  for_each_piece(
      {origin(s.out, g, 0, partitions, at), origin(s.exps, g, 0, partitions, at)},
      {{s.in.shape[s.axis], {s.out.strides[s.axis], s.exps.strides[s.axis]}}}, {}, [&](std::span<const isa::View> v) {
        s.context.build.tensor_scalar(
            {.dst = v[0], .data = v[1], .op0 = AluOp::multiply, .operand0 = origin(s.sum, g, 0, partitions, at)});
      });
}

}  // namespace

void softmax(Context& context, int axis, const Block& in, const Block& out) {
  CHECK(axis != in.partition_axis && in.shape == out.shape && in.partition_axis == out.partition_axis &&
            same_cut(in, out),
        fmt::format("softmax of [{}] over axis {}, {} on partitions", fmt::join(in.shape, ", "), axis,
                    in.partition_axis));
  const auto a = static_cast<size_t>(axis);
  std::vector<int64_t> row_shape = in.shape;
  row_shape[a] = 1;
  const int64_t rows = in.free_elements() / in.shape[a];
  const bool together = rows > 2 && in.shape[a] < kShortRow;
  const Block exps = out.dtype == DType::fp32 ? out : allocate_like(context, in, DType::fp32, in.shape, "exp");
  const Softmax s{context,
                  a,
                  in,
                  out,
                  exps,
                  allocate_like(context, in, DType::fp32, row_shape, "row maximum"),
                  allocate_like(context, in, DType::fp32, row_shape, "row sum")};
  reduce_free_axes(context, AluOp::max, {axis}, in, s.maximum, !together);
  std::vector<int64_t> row_index = row_shape;
  row_index[static_cast<size_t>(in.partition_axis)] = 1;
  for (size_t g = 0; g < in.groups.size(); ++g) {
    if (together) {
      short_rows(s, g);
    } else {
      for_each_index(row_index, [&](const std::vector<int64_t>& at) { long_row(s, g, at); });
    }
  }
  if (together) reduce_free_axes(context, AluOp::add, {axis}, exps, s.sum);
  for (size_t g = 0; g < in.groups.size(); ++g) {
    reciprocal_of_sums(s, g);
    if (together) {
      short_rows_scaled(s, g);
    } else {
      for_each_index(row_index, [&](const std::vector<int64_t>& at) { long_row_scaled(s, g, at); });
    }
  }
}

}  // namespace presil::kernels
