#include "kernels/elementwise.h"

#include <algorithm>

#include "kernels/micro.h"

namespace presil::kernels {
namespace {

// Elements per partition of one instruction in a chain: long enough that fixed costs vanish, short enough that engines
// overlap on neighbouring chunks.
constexpr int64_t kChunkElements = 2048;

// Calls run(ranges, elements) for pieces of group g's free axes of at most kChunkElements.
template <class Run>
void for_each_chunk(const Block& block, size_t g, Run run) {
  std::vector<Range> ranges;
  for (int64_t extent : block.shape) ranges.push_back({0, extent, 1});
  ranges[static_cast<size_t>(block.partition_axis)].count = block.groups[g].partitions;
  auto walk = [&](auto&& self, int axis, int64_t elements) -> void {
    if (axis == block.partition_axis) return self(self, axis + 1, elements);
    if (axis >= block.rank() || elements <= kChunkElements) return run(ranges, elements);
    int64_t extent = block.shape[axis];
    int64_t inner = elements / extent;
    int64_t step = std::clamp<int64_t>(kChunkElements / inner, 1, extent);
    for (int64_t begin = 0; begin < extent; begin += step) {
      int64_t count = std::min(step, extent - begin);
      ranges[axis] = {begin, count, 1};
      if (step == 1)
        self(self, axis + 1, inner);
      else
        run(ranges, inner * count);
    }
    ranges[axis] = {0, extent, 1};
  };
  walk(walk, 0, block.free_elements());
}

// Emits the fused instructions of one chunk of one partition group.
class ChunkEmitter {
 public:
  ChunkEmitter(Context& context, const std::vector<Block>& inputs, const Block& out, DType temporaries, size_t group,
               const std::vector<Range>& ranges, int64_t elements)
      : context_(context),
        inputs_(inputs),
        out_(out),
        temporaries_(temporaries),
        group_(group),
        ranges_(ranges),
        elements_(elements) {
    partitions_ = out.groups[group].partitions;
  }

  void emit(const std::vector<Fused>& program, uint32_t last) {
    for (const Fused& f : program)
      one(f, f.result == last ? view(out_, group_, ranges_) : temporary(f.result, f.integer.value_or(temporaries_)));
  }

 private:
  isa::View temporary(uint32_t value, DType dtype) {
    uint32_t bytes = static_cast<uint32_t>(elements_ * static_cast<int64_t>(dtype_bytes(dtype)));
    uint32_t tile = context_.build.sbuf(static_cast<uint32_t>(partitions_), bytes, "chain");
    isa::View v = context_.build.tile_view(tile, dtype);
    if (value != UINT32_MAX) results_.emplace_back(value, v);
    return v;
  }
  isa::View value(uint32_t v) {
    for (const auto& [number, view] : results_) {
      if (number == v) return view;
    }
    CHECK(v < inputs_.size(), "a chain value is made before it is used");
    std::vector<Range> ranges = ranges_;
    for (int axis = 0; axis < out_.rank(); ++axis) {
      if (axis != out_.partition_axis && inputs_[v].shape[axis] == 1 && out_.shape[axis] != 1) {
        ranges[axis] = {0, ranges_[axis].count, 0};
      }
    }
    return view(inputs_[v], group_, ranges);
  }
  tile::Scalar bias(const ScalarOperand& s) {
    return s.column ? scalar(s) : activation_bias(context_, s.number, partitions_);
  }
  tile::Scalar scalar(const ScalarOperand& s) {
    if (!s.column) return s.number;
    return view(inputs_[*s.column], group_);
  }
  isa::View mask(isa::View v) const {
    v.dtype = dtype_bytes(v.dtype) == 4 ? DType::uint32 : dtype_bytes(v.dtype) == 2 ? DType::uint16 : DType::uint8;
    return v;
  }

  void affine(const Fused& f, const isa::View& dst) {
    bool copy = f.kind == Fused::Kind::activation, scales = !copy && f.op0 == AluOp::multiply;
    ScalarOperand zero, shift = copy ? zero : f.op0 == AluOp::add ? f.s0 : f.op1 == AluOp::add ? f.s1 : zero;
    context_.build.activation({.dst = dst,
                               .data = value(f.a),
                               .op = Activation::copy,
                               .scale = scales ? scalar(f.s0) : tile::Scalar(1.0f),
                               .bias = bias(shift)});
  }

  // max(x * scale + bias, 0) on the vector engine: two operators an instruction.
  void relu(const Fused& f, const isa::View& dst) {
    tile::TensorScalar a{.dst = dst, .data = value(f.a), .op0 = AluOp::max, .operand0 = 0.0f};
    const bool scales = f.scale.column || f.scale.number != 1.0f, shifts = f.bias.column || f.bias.number != 0.0f;
    if (scales && shifts) {
      context_.build.tensor_scalar({.dst = dst,
                                    .data = a.data,
                                    .op0 = AluOp::multiply,
                                    .operand0 = scalar(f.scale),
                                    .op1 = AluOp::add,
                                    .operand1 = scalar(f.bias)});
      a.data = dst;
    } else if (scales || shifts) {
      a.op0 = scales ? AluOp::multiply : AluOp::add, a.operand0 = scalar(scales ? f.scale : f.bias);
      a.op1 = AluOp::max, a.operand1 = 0.0f;
    }
    context_.build.tensor_scalar(a);
  }

  void one(const Fused& f, const isa::View& dst) {
    tile::Builder& b = context_.build;
    if (f.affine && lighter_engine(context_, dst, value(f.a)) == isa::EngineKind::scalar) return affine(f, dst);
    if (f.kind == Fused::Kind::activation && f.function == Activation::relu &&
        lighter_engine(context_, dst, value(f.a)) == isa::EngineKind::vector)
      return relu(f, dst);
    switch (f.kind) {
      case Fused::Kind::activation:
        if (f.affine)
          b.tensor_copy({.dst = dst, .src = value(f.a)});
        else
          b.activation({.dst = dst,
                        .data = value(f.a),
                        .op = f.function,
                        .scale = scalar(f.scale),
                        .bias = bias(f.bias),
                        .alpha = f.alpha});
        return;
      case Fused::Kind::tensor_scalar:
        b.tensor_scalar({.dst = dst,
                         .data = value(f.a),
                         .op0 = f.op0,
                         .operand0 = scalar(f.s0),
                         .reverse0 = f.reverse0,
                         .op1 = f.op1,
                         .operand1 = scalar(f.s1),
                         .reverse1 = f.reverse1,
                         .engine = uses_power(f) ? isa::EngineKind::gpsimd : isa::EngineKind::vector});
        return;
      case Fused::Kind::scalar_tensor_tensor:
        b.scalar_tensor_tensor({.dst = dst,
                                .data = value(f.a),
                                .op0 = f.op0,
                                .operand0 = scalar(f.s0),
                                .reverse0 = f.reverse0,
                                .op1 = f.op1,
                                .operand1 = value(f.b),
                                .reverse1 = f.reverse1});
        return;
      case Fused::Kind::tensor_tensor:
        b.tensor_tensor({.dst = dst,
                         .data1 = value(f.a),
                         .data2 = value(f.b),
                         .op = f.op0,
                         .engine = uses_power(f) ? isa::EngineKind::gpsimd : isa::EngineKind::vector});
        return;
      case Fused::Kind::reciprocal:
        b.reciprocal({.dst = dst, .data = value(f.a)});
        return;
      case Fused::Kind::predicate: {
        b.tensor_copy({.dst = dst, .src = value(f.b)});
        isa::View chosen = value(f.c);
        if (chosen.dtype != dst.dtype) {
          isa::View converted = temporary(UINT32_MAX, dst.dtype);
          b.tensor_copy({.dst = converted, .src = chosen});
          chosen = converted;
        }
        b.tensor_copy_predicated({.dst = dst, .src = chosen, .predicate = mask(value(f.a))});
        return;
      }
      case Fused::Kind::round: {
        // Through int32 where that is exact; from 2^23 on every number is whole, and infinities and NaN stay.
        isa::View x = value(f.a);
        isa::View integer = temporary(UINT32_MAX, DType::int32), rounded = temporary(UINT32_MAX, dst.dtype);
        isa::View small = temporary(UINT32_MAX, DType::fp32);
        b.tensor_copy({.dst = integer, .src = x});
        b.tensor_copy({.dst = rounded, .src = integer});
        b.activation({.dst = small, .data = x, .op = Activation::abs});
        b.tensor_scalar({.dst = small, .data = small, .op0 = AluOp::lt, .operand0 = 0x1p23f});
        b.tensor_copy({.dst = dst, .src = x});
        b.tensor_copy_predicated({.dst = dst, .src = rounded, .predicate = mask(small)});
        return;
      }
    }
  }
  static bool uses_power(const Fused& f) { return f.op0 == AluOp::power || f.op1 == AluOp::power; }

  Context& context_;
  const std::vector<Block>& inputs_;
  const Block& out_;
  DType temporaries_;
  size_t group_;
  const std::vector<Range>& ranges_;
  int64_t elements_;
  int64_t partitions_;
  std::vector<std::pair<uint32_t, isa::View>> results_;
};

}  // namespace

Result<void> elementwise(Context& context, const Expression& expression, const std::vector<Block>& inputs,
                         const std::vector<InputKind>& kinds, const Block& out, DType temporaries) {
  std::vector<Micro> micros = TRY(expand(expression, kinds));
  std::vector<Fused> program = fuse(micros, expression.inputs);
  uint32_t last = expression.inputs + static_cast<uint32_t>(micros.size()) - 1;
  for (size_t g = 0; g < out.groups.size(); ++g) {
    for_each_chunk(out, g, [&](const std::vector<Range>& ranges, int64_t elements) {
      ChunkEmitter(context, inputs, out, temporaries, g, ranges, elements).emit(program, last);
    });
  }
  return {};
}

bool elementwise_supported(graph::ElementwiseFn fn) {
  Expression probe{3, {{.fn = fn, .arguments = {value_argument(0), value_argument(1), value_argument(2)}}}};
  return static_cast<bool>(expand(probe, {InputKind::full, InputKind::full, InputKind::full}));
}

}  // namespace presil::kernels
