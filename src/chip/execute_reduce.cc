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
  bool negate;
  Strided dst, data;
  int split;               // free reduction: dims from here on are reduced
  bool across_partitions;  // else: dimension 0 is
  Strided kept, reduced;
};

float finished(const Reduction& r, float value) { return r.negate ? numerics::canonical(-1.0f * value) : value; }

// Feeds all reduced elements of one output, run by run.
template <class Feed>
void for_each_piece(const Nest& nest, const RunFormat& format, const std::byte* origin, float* buffer, Feed&& feed) {
  Nest moved = nest;
  moved.base[0] = const_cast<std::byte*>(origin);
  const size_t run = nest.run();
  const int64_t step = nest.run_step(0);
  for_each_run(moved, [&](const std::array<std::byte*, kMaxJoined>& at) {
    for (size_t done = 0; done < run; done += kRunMax) {
      const size_t count = std::min(run - done, kRunMax);
      feed(std::span<const float>(read_run(format, at[0] + step * static_cast<int64_t>(done), step, count, buffer),
                                  count));
    }
  });
}

void reduce_each(Context& c, const Reduction& r, const Nest& outputs) {
  const Nest inner = *join({&r.reduced, 1});
  const RunFormat in = run_format(r.kept.dtype), out = run_format(r.dst.dtype);
  float* buffer = c.scratch().runs[0].data();
  const bool in_lanes = numerics::reduces_in_lanes(r.op);
  const numerics::LaneReducer reducer(in_lanes ? r.op : AluOp::add);
  for_each_run(outputs, [&](std::array<std::byte*, kMaxJoined> at) {
    for (uint32_t i = 0; i < outputs.run(); ++i) {
      float value = 0.0f;
      if (in_lanes) {
        numerics::LaneReducer::State state = reducer.start();
        for_each_piece(inner, in, at[1], buffer, [&](std::span<const float> piece) { reducer.feed(state, piece); });
        value = reducer.finish(state);
      } else {
        bool first = true;
        for_each_piece(inner, in, at[1], buffer, [&](std::span<const float> piece) {
          for (float x : piece) {
            value = first ? x : alu_apply(r.op, value, x);
            first = false;
          }
        });
      }
      value = finished(r, value);
      out.store(&value, at[0], 1);
      at[0] += outputs.run_step(0);
      at[1] += outputs.run_step(1);
    }
  });
}

// Many outputs side by side: the same lanes and the same tree, one vector of outputs per lane.
void reduce_across(Context& c, const Reduction& r, const Nest& outputs) {
  constexpr size_t kWide = 256;
  const Nest inner = *join({&r.reduced, 1});
  const RunFormat in = run_format(r.kept.dtype), out = run_format(r.dst.dtype);
  const auto vectors = numerics::alu_kernel(r.op, AluForm::vector_vector);
  const auto first = numerics::alu_kernel(r.op, AluForm::scalar_vector);
  const auto negate = numerics::alu_kernel(AluOp::multiply, AluForm::vector_scalar);
  const float identity = numerics::reduce_identity(r.op), minus_one = -1.0f;
  float* lanes = c.scratch().rows[0].floats(kReduceLanes * kWide);
  float* buffer = c.scratch().runs[0].data();
  const size_t run = outputs.run();
  const int64_t to_step = outputs.run_step(0), from_step = outputs.run_step(1), reduced_step = inner.run_step(0);
  for_each_run(outputs, [&](const std::array<std::byte*, kMaxJoined>& at) {
    for (size_t done = 0; done < run; done += kWide) {
      const size_t count = std::min(run - done, kWide);
      Nest moved = inner;
      moved.base[0] = at[1] + from_step * static_cast<int64_t>(done);
      size_t position = 0;
      for_each_run(moved, [&](const std::array<std::byte*, kMaxJoined>& element) {
        const std::byte* from = element[0];
        for (uint32_t i = 0; i < inner.run(); ++i, ++position, from += reduced_step) {
          float* lane = lanes + position % kReduceLanes * kWide;
          const float* values = read_run(in, from, from_step, count, buffer);
          position < kReduceLanes ? first(&identity, values, lane, count) : vectors(lane, values, lane, count);
        }
      });
      // A lane without elements holds the identity, which changes nothing.
      for (size_t width = kReduceLanes / 2; width > 0; width /= 2) {
        for (size_t j = 0; j < width && j + width < position; ++j) {
          vectors(lanes + j * kWide, lanes + (j + width) * kWide, lanes + j * kWide, count);
        }
      }
      if (r.negate) negate(lanes, &minus_one, lanes, count);
      write_run(out, lanes, at[0] + to_step * static_cast<int64_t>(done), to_step, count);
    }
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
  const bool packed = r.reduced.rank > 0 && r.reduced.step[static_cast<size_t>(r.reduced.rank - 1)] ==
                                                static_cast<int64_t>(r.data.element_bytes());
  const bool across = (r.reduced.elements() <= kFew || !packed) && outputs->run() >= kSide;
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
             c.flag(slot::negate),
             c.operand(slot::dst),
             data,
             data.rank - axes,
             false,
             {},
             {}});
}

void execute_partition_reduce(Context& c) {
  namespace slot = isa::slots::tensor_partition_reduce;
  reduce(c,
         {static_cast<AluOp>(c.word(slot::op)), false, c.operand(slot::dst), c.operand(slot::data), 0, true, {}, {}});
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
  for (uint32_t p = 0; p < dst.count[0]; ++p) {
    read_row(c, inputs[0], p, a);
    read_row(c, inputs[1], p, b);
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
    write_row(c, dst, p, b);
  }
}

}  // namespace presil::chip
