// Reductions along the free axis or the partitions, and scans. The order is numerics/reduce.h's over the elements in
// pattern order.
#include <array>
#include <cstring>

#include "base/check.h"
#include "chip/execute_internal.h"
#include "isa/slots.h"
#include "numerics/alu_inline.h"
#include "numerics/alu_span.h"
#include "numerics/reduce.h"

namespace presil::chip {
namespace {

using numerics::AluForm;
using numerics::kReduceLanes;

// dst[i] = op over the elements of `reduced` (dims relative to the element i of `kept`).
struct Reduction {
  AluOp op;
  AluOp last;  // applied to the result and `by`
  float by;
  Strided dst, data;
  int split;               // free reduction: dims from here on are reduced
  bool across_partitions;  // else: dimension 0 is
  Strided kept, reduced;
};

float finished(const Reduction& r, float value) { return alu_apply(r.last, value, r.by); }

// One output after the other; the reduced elements are fed block by block.
void reduce_each(Context& c, const Reduction& r, const Nest& outputs) {
  Blocks inner = blocks_of(*join(std::array{r.reduced}), kRunMax / 2);
  const RunFormat in = run_format(r.kept.dtype), out = run_format(r.dst.dtype);
  float* buffer = c.scratch().runs[0].data();
  const bool in_lanes = numerics::reduces_in_lanes(r.op);
  const numerics::LaneReducer reducer(in_lanes ? r.op : AluOp::add);
  const auto reduce_one = [&](std::byte* origin) {
    inner.outer.base[0] = origin;
    numerics::LaneReducer::State lanes = reducer.start();
    std::optional<float> sequential;
    for_each_block(inner, kRunMax, [&](const std::array<Block, kMaxJoined>& blocks) {
      const std::span<const float> values(read_block(in, blocks[0], buffer), blocks[0].count());
      if (in_lanes) return reducer.feed(lanes, values);
      for (float x : values) sequential = sequential ? alu_apply(r.op, *sequential, x) : x;
    });
    return in_lanes ? reducer.finish(lanes) : *sequential;
  };
  for_each_run(outputs, [&](std::array<std::byte*, kMaxJoined> at) {
    for (uint32_t i = 0; i < outputs.run(); ++i) {
      const float value = finished(r, reduce_one(at[1]));
      out.store(&value, at[0], 1);
      at[0] += outputs.run_step(0);
      at[1] += outputs.run_step(1);
    }
  });
}

// Many outputs side by side: the same lanes and the same tree, one vector of outputs per lane.
class AcrossOutputs {
 public:
  AcrossOutputs(Context& c, const Reduction& r)
      : in_(run_format(r.kept.dtype)),
        inner_(*join(std::array{r.reduced})),
        vectors_(numerics::alu_kernel(r.op, AluForm::vector_vector)),
        first_(numerics::alu_kernel(r.op, AluForm::scalar_vector)),
        identity_(numerics::reduce_identity(r.op)),
        lanes_(c.scratch().rows[0].floats(kReduceLanes * kWide)),
        buffer_(c.scratch().runs[0].data()) {}

  static constexpr size_t kWide = 256;  // outputs at once

  // `outputs` tells where the first reduced element of each output lies. The results stay in a buffer of this object.
  float* run(const Block& outputs) {
    Nest moved = inner_;
    moved.base[0] = outputs.at;
    const size_t count = outputs.count();
    size_t position = 0;
    for_each_run(moved, [&](const std::array<std::byte*, kMaxJoined>& element) {
      Block block = outputs;
      block.at = element[0];
      for (uint32_t i = 0; i < inner_.run(); ++i, ++position, block.at += inner_.run_step(0)) {
        float* lane = lanes_ + position % kReduceLanes * kWide;
        const float* values = read_block(in_, block, buffer_);
        position < kReduceLanes ? first_(&identity_, values, lane, count) : vectors_(lane, values, lane, count);
      }
    });
    // A lane without elements holds the identity, which changes nothing.
    for (size_t width = kReduceLanes / 2; width > 0; width /= 2) {
      for (size_t j = 0; j < width && j + width < position; ++j) {
        vectors_(lanes_ + j * kWide, lanes_ + (j + width) * kWide, lanes_ + j * kWide, count);
      }
    }
    return lanes_;
  }

 private:
  RunFormat in_;
  Nest inner_;
  numerics::AluKernel vectors_, first_;
  float identity_;
  float* lanes_;
  float* buffer_;
};

void reduce_across(Context& c, const Reduction& r, const Nest& outputs) {
  AcrossOutputs across(c, r);
  const RunFormat out = run_format(r.dst.dtype);
  const auto last = numerics::alu_kernel(r.last, AluForm::vector_scalar);
  constexpr size_t kWide = AcrossOutputs::kWide;
  const Blocks b = blocks_of(outputs, kWide / 2);
  for_each_block(b, kWide, [&](const std::array<Block, kMaxJoined>& blocks) {
    float* values = across.run(blocks[1]);
    if (r.last != AluOp::bypass) last(values, &r.by, values, blocks[0].count());
    write_block(out, values, blocks[0]);
  });
}

// Raw bits of integer types, from the first element to the last.
void reduce_bits(const Reduction& r, const Nest& outputs) {
  const Nest inner = *join({&r.reduced, 1});
  const size_t bytes = r.kept.element_bytes();
  for_each_run(outputs, [&](std::array<std::byte*, kMaxJoined> at) {
    for (uint32_t i = 0; i < outputs.run(); ++i) {
      uint64_t result = 0;
      bool first = true;
      Nest moved = inner;
      moved.base[0] = at[1];
      for_each_run(moved, [&](const std::array<std::byte*, kMaxJoined>& element) {
        const std::byte* from = element[0];
        for (uint32_t j = 0; j < inner.run(); ++j, from += inner.run_step(0)) {
          uint64_t word = 0;
          std::memcpy(&word, from, bytes);
          result = first ? word : bit_apply(r.op, result, word, static_cast<int>(8 * bytes));
          first = false;
        }
      });
      std::memcpy(at[0], &result, r.dst.element_bytes());
      at[0] += outputs.run_step(0);
      at[1] += outputs.run_step(1);
    }
  });
}

// Sets kept and reduced from data, laid out anew first if `copy`.
void split_data(Context& c, Reduction& r, bool copy) {
  Strided data = r.data;
  if (copy) stage(c, data, 0);
  if (r.across_partitions) {
    r.kept = with_dims(data, 1, data.rank);
    r.reduced = with_dims(data, 0, 1);
    return;
  }
  r.kept = with_dims(data, 0, r.split);
  r.reduced = with_dims(r.data, r.split, r.data.rank);
  if (!copy) return;
  const uint64_t inputs = r.reduced.elements();
  r.kept = contiguous(data.base, data.dtype, data.elements() / inputs);
  r.kept.step[0] *= static_cast<int64_t>(inputs);
  r.reduced = contiguous(data.base, data.dtype, inputs);
}

void reduce(Context& c, Reduction r) {
  if (r.data.elements() == 0) return c.fault("nothing to reduce");
  // Outputs are written while later inputs are still to be read.
  split_data(c, r, may_overlap(r.dst, r.data));
  if (r.kept.elements() != r.dst.elements())
    return c.fault("dst does not have one element for each that is left of data");
  std::optional<Nest> outputs = join(std::array{r.dst, r.kept});
  if (!outputs) {
    split_data(c, r, true);
    outputs = join(std::array{r.dst, r.kept});
    CHECK(outputs.has_value(), "a contiguous source follows any pattern");
  }
  if (is_bitvec(r.op)) return reduce_bits(r, *outputs);
  constexpr uint64_t kFew = 32;
  constexpr uint32_t kSide = 8;
  const Blocks side = blocks_of(*outputs, kSide);
  const bool packed = r.reduced.rank > 0 && r.reduced.step[static_cast<size_t>(r.reduced.rank - 1)] ==
                                                static_cast<int64_t>(r.data.element_bytes());
  const bool across = (r.reduced.elements() <= kFew || !packed) && side.rows * side.columns >= kSide;
  if (across && numerics::reduces_in_lanes(r.op)) return reduce_across(c, r, *outputs);
  reduce_each(c, r, *outputs);
}

}  // namespace

void execute_tensor_reduce(Context& c) {
  namespace slot = isa::slots::tensor_reduce;
  const Strided& data = c.operand(slot::data);
  const auto axes = static_cast<int>(c.word(slot::axes));
  if (axes < 1 || axes >= data.rank) return c.fault("axes counts trailing free dimensions of data");
  reduce(c, {static_cast<AluOp>(c.word(slot::op)),
             c.flag(slot::negate) ? AluOp::multiply : AluOp::bypass,
             -1.0f,
             c.operand(slot::dst),
             data,
             data.rank - axes,
             false,
             {},
             {}});
}

void execute_partition_reduce(Context& c) {
  namespace slot = isa::slots::tensor_partition_reduce;
  const Strided& data = c.operand(slot::data);
  reduce(c, {static_cast<AluOp>(c.word(slot::op)),
             c.flag(slot::average) ? AluOp::divide : AluOp::bypass,
             static_cast<float>(data.count[0]),
             c.operand(slot::dst),
             data,
             0,
             true,
             {},
             {}});
}

void execute_scan(Context& c) {
  namespace slot = isa::slots::tensor_tensor_scan;
  const Strided& dst = c.operand(slot::dst);
  const auto op0 = static_cast<AluOp>(c.word(slot::op0)), op1 = static_cast<AluOp>(c.word(slot::op1));
  const bool reverse0 = c.flag(slot::reverse0), reverse1 = c.flag(slot::reverse1);
  std::array<Strided, 3> inputs = {c.operand(slot::data0), c.operand(slot::data1), Strided{}};
  if (c.has(slot::initial)) inputs[2] = c.operand(slot::initial);
  for (size_t k = 0; k < inputs.size(); ++k) {
    if (k < 2 && (inputs[k].elements() != dst.elements() || inputs[k].count[0] != dst.count[0]))
      return c.fault("operands have different shapes");
    stage_overlap(c, dst, inputs[k], k, true);
  }
  const uint64_t row = row_elements(dst);
  float* a = c.scratch().rows[0].floats(row);
  float* b = c.scratch().rows[1].floats(row);
  const Rows from0(inputs[0]), from1(inputs[1]), to(dst);
  for (uint32_t p = 0; p < dst.count[0]; ++p) {
    from0.read(p, a);
    from1.read(p, b);
    float state = c.has(slot::initial) ? read_value(inputs[2], p) : c.f32(slot::imm);
    const auto scan = [&](auto first, auto second) {
      for (uint64_t i = 0; i < row; ++i) {
        const float t = reverse0 ? first(state, a[i]) : first(a[i], state);
        state = reverse1 ? second(b[i], t) : second(t, b[i]);
        b[i] = state;
      }
    };
    const auto any0 = [&](float x, float y) { return alu_apply(op0, x, y); };
    const auto any1 = [&](float x, float y) { return alu_apply(op1, x, y); };
    const auto multiply = [](float x, float y) { return numerics::alu_apply_inline(AluOp::multiply, x, y); };
    const auto add = [](float x, float y) { return numerics::alu_apply_inline(AluOp::add, x, y); };
    if (op0 == AluOp::multiply && op1 == AluOp::add) {
      scan(multiply, add);
    } else {
      scan(any0, any1);
    }
    to.write(p, b);
  }
}

}  // namespace presil::chip
