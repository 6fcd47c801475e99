// Instructions that move bits: copies, transposes, shuffles, gathers, and fills.
#include <fmt/format.h>

#include <cstring>

#include "base/check.h"
#include "chip/execute_internal.h"
#include "isa/slots.h"

namespace presil::chip {
namespace {

// dst[j][i] = src[i][j]: element (i, j) is read at i * from_outer + j * from_inner and written at i * to_outer +
// j * to_inner. Square blocks keep both sides' cache lines until they are used up.
template <class Word>
void copy_blocked(const std::byte* from, int64_t from_outer, int64_t from_inner, std::byte* to, int64_t to_outer,
                  int64_t to_inner, size_t outer, size_t inner) {
  constexpr size_t kBlock = 16;
  for (size_t i0 = 0; i0 < outer; i0 += kBlock) {
    const size_t i1 = std::min(outer, i0 + kBlock);
    for (size_t j0 = 0; j0 < inner; j0 += kBlock) {
      const size_t j1 = std::min(inner, j0 + kBlock);
      for (size_t i = i0; i < i1; ++i) {
        const std::byte* source = from + from_outer * static_cast<int64_t>(i) + from_inner * static_cast<int64_t>(j0);
        std::byte* target = to + to_outer * static_cast<int64_t>(i) + to_inner * static_cast<int64_t>(j0);
        for (size_t j = j0; j < j1; ++j, source += from_inner, target += to_inner) {
          Word word;
          std::memcpy(&word, source, sizeof word);
          std::memcpy(target, &word, sizeof word);
        }
      }
    }
  }
}

// The two innermost loops as a transpose, where one side is contiguous along the inner and the other along the outer.
bool copy_transposed(const Nest& nest, size_t element_bytes) {
  if (nest.rank < 2 || element_bytes > 4) return false;
  const auto inner = static_cast<size_t>(nest.rank - 1), outer = inner - 1;
  const auto packed = static_cast<int64_t>(element_bytes);
  const bool crossed = (nest.step[0][inner] == packed && nest.step[1][outer] == packed) ||
                       (nest.step[1][inner] == packed && nest.step[0][outer] == packed);
  if (!crossed || nest.count[outer] < 4 || nest.count[inner] < 4) return false;
  Nest outside = nest;
  outside.rank -= 1;
  outside.count[outer] = 1;  // its run is one block
  for_each_run(outside, [&](const std::array<std::byte*, kMaxJoined>& at) {
    const auto copy = element_bytes == 4   ? &copy_blocked<uint32_t>
                      : element_bytes == 2 ? &copy_blocked<uint16_t>
                                           : &copy_blocked<uint8_t>;
    copy(at[1], nest.step[1][outer], nest.step[1][inner], at[0], nest.step[0][outer], nest.step[0][inner],
         nest.count[outer], nest.count[inner]);
  });
  return true;
}

// The two innermost loops as elements that come twice, as in an image of twice the width.
bool copy_doubled(const Nest& nest, size_t element_bytes) {
  const auto bytes = static_cast<int64_t>(element_bytes);
  if (nest.rank < 2 || nest.run() != 2 || (bytes != 2 && bytes != 4)) return false;
  const auto outer = static_cast<size_t>(nest.rank - 2);
  if (nest.run_step(0) != bytes || nest.run_step(1) != 0) return false;
  if (nest.step[0][outer] != 2 * bytes || nest.step[1][outer] != bytes) return false;
  Nest rows = nest;
  rows.rank -= 1;
  for_each_run(
      rows, [&](const std::array<std::byte*, kMaxJoined>& at) { double_run(element_bytes, at[1], at[0], rows.run()); });
  return true;
}

// Runs lie far apart, where no hardware prefetcher follows.
class RunsAhead {
 public:
  RunsAhead(const Nest& nest, size_t element_bytes) {
    constexpr int64_t kAhead = 4, kBytesMax = 2048;
    const auto packed = static_cast<int64_t>(element_bytes);
    if (nest.rank < 2 || nest.run_step(0) != packed || nest.run_step(1) != packed) return;
    bytes_ = std::min(packed * nest.run(), kBytesMax);
    for (size_t k = 0; k < 2; ++k) distance_[k] = kAhead * nest.step[k][static_cast<size_t>(nest.rank - 2)];
  }
  void prefetch(const std::array<std::byte*, kMaxJoined>& at) const {
    constexpr int64_t kLine = 64;
    for (int64_t i = 0; i < bytes_; i += kLine) {
      __builtin_prefetch(at[0] + distance_[0] + i, 1);
      __builtin_prefetch(at[1] + distance_[1] + i, 0);
    }
  }

 private:
  int64_t bytes_ = 0;
  std::array<int64_t, 2> distance_{};
};

// Permutes the dims of a matrix operand so that its elements come in the order of its transpose: the trailing dims that
// make up `columns` elements move to the front. Empty if no dims make up that number.
std::optional<Strided> transposed(const Strided& s, uint64_t columns) {
  uint64_t product = 1;
  int split = s.rank;
  while (split > 0 && product < columns) product *= s.count[static_cast<size_t>(--split)];
  if (product != columns) return std::nullopt;
  Strided out = s;
  for (int d = 0; d < s.rank; ++d) {
    const int from = (d + split) % s.rank;
    out.count[static_cast<size_t>(d)] = s.count[static_cast<size_t>(from)];
    out.step[static_cast<size_t>(d)] = s.step[static_cast<size_t>(from)];
  }
  return out;
}

// Bits between equal types; generation 2 transposes narrow floats into fp32.
void transpose_into(Context& c, const Strided& dst, const Strided& src) {
  const std::optional<Strided> turned = transposed(src, dst.count[0]);
  if (!turned || turned->elements() != dst.elements()) return c.fault("dst is not shaped like the transposed source");
  Strided from = *turned;
  if (src.dtype != dst.dtype) return convert_elements(c, dst, from);
  stage_overlap(c, dst, from, 0, false);
  copy_elements(c, dst, from);
}

}  // namespace

void convert_elements(Context& c, const Strided& dst, const Strided& src) {
  Map map = prepare_map(c, dst, {&src, 1});
  if (const std::optional<SlabMap> slabs = slab_map(map); slabs && !slabs->sides[1].value)
    return run_slabs(c, *slabs, numerics::alu_slab(AluOp::bypass, numerics::AluForm::vector_vector));
  map.scalar[1] = false;
  run_map(c, map, [](const std::array<const float*, kMaxJoined>& in, float* out, size_t count) {
    std::memcpy(out, in[0], count * sizeof(float));
  });
}

void copy_elements(Context& c, const Strided& dst, const Strided& src) {
  const size_t bytes = dst.element_bytes();
  Strided operands[] = {dst, src};
  std::optional<Nest> nest = join(operands);
  if (!nest) {
    stage(c, operands[1], 0);
    nest = join(operands);
    CHECK(nest.has_value(), "a contiguous source follows any pattern");
  }
  // Where dst is written more than once, the last element in order counts.
  if (!overlaps_itself(dst)) {
    if (copy_transposed(*nest, bytes) || copy_doubled(*nest, bytes)) return;
    prefer_long_runs(*nest);
  }
  const int64_t to_step = nest->run_step(0), from_step = nest->run_step(1);
  const size_t run = nest->run();
  const RunsAhead ahead(*nest, bytes);
  for_each_run(*nest, [&](const std::array<std::byte*, kMaxJoined>& at) {
    ahead.prefetch(at);
    if (at[0] != at[1]) copy_run(bytes, at[1], from_step, at[0], to_step, run);
  });
}

void execute_copy(Context& c) {
  const Strided& dst = c.operand(isa::slots::tensor_copy::dst);
  Strided src = c.operand(isa::slots::tensor_copy::src);
  if (src.elements() != dst.elements()) return c.fault("dst and src have different numbers of elements");
  if (src.dtype == dst.dtype) {
    if (same_places(dst, src)) return;
    stage_overlap(c, dst, src, 1, false);
    return copy_elements(c, dst, src);
  }
  convert_elements(c, dst, src);
}

void execute_nc_transpose(Context& c) {
  transpose_into(c, c.operand(isa::slots::nc_transpose::dst), c.operand(isa::slots::nc_transpose::data));
}

void execute_dma_copy(Context& c) { c.has(isa::slots::dma_copy::index) ? execute_indirect_copy(c) : execute_copy(c); }

void execute_dma_transpose(Context& c) {
  if (c.has(isa::slots::dma_transpose::index)) return execute_indirect_transpose(c);
  transpose_into(c, c.operand(isa::slots::dma_transpose::dst), c.operand(isa::slots::dma_transpose::src));
}

// Partial sums are fp32, from the first source to the last.
void execute_dma_compute(Context& c) {
  if (c.has(isa::slots::dma_compute::index)) return execute_indirect_sum(c);
  const Strided& dst = c.operand(isa::slots::dma_compute::dst);
  const uint64_t count = dst.elements();
  float* sum = c.scratch().rows[0].floats(count);
  float* term = c.scratch().rows[1].floats(count);
  const auto add = numerics::alu_kernel(AluOp::add, numerics::AluForm::vector_vector);
  for (int k = isa::slots::dma_compute::src0; k <= isa::kComputeSources && c.has(k); ++k) {
    if (c.operand(k).elements() != count) return c.fault("sources and dst have different numbers of elements");
    const bool first = k == isa::slots::dma_compute::src0;
    convert_elements(c, contiguous(reinterpret_cast<std::byte*>(first ? sum : term), DType::fp32, count), c.operand(k));
    if (!first) add(sum, term, sum, count);
  }
  Strided result = contiguous(reinterpret_cast<std::byte*>(sum), DType::fp32, count);
  dst.dtype == DType::fp32 ? copy_elements(c, dst, result) : convert_elements(c, dst, result);
}

void execute_memset(Context& c) {
  const Strided& dst = c.operand(isa::slots::memset::dst);
  const float fill = c.f32(isa::slots::memset::value);
  if (is_packed(dst.dtype) && fill != 0) return c.fault("elements of four numbers can be filled with zeros only");
  const uint64_t bits = is_packed(dst.dtype) ? 0 : numerics::from_fp32(dst.dtype, fill);
  Strided value = contiguous(nullptr, dst.dtype, dst.elements());
  alignas(8) std::array<std::byte, 8> word;
  std::memcpy(word.data(), &bits, sizeof bits);
  value.base = word.data();
  value.step[0] = 0;
  copy_elements(c, dst, value);
}

void execute_shuffle(Context& c) {
  constexpr uint32_t kQuadrant = 32, kKeep = 255;
  const Strided& dst = c.operand(isa::slots::nc_stream_shuffle::dst);
  Strided src = c.operand(isa::slots::nc_stream_shuffle::src);
  if (src.dtype != dst.dtype || src.elements() != dst.elements()) return c.fault("src and dst differ in type or size");
  const uint32_t partitions = dst.count[0];
  std::array<uint8_t, kQuadrant> mask;
  for (size_t i = 0; i < kQuadrant; ++i)
    mask[i] = static_cast<uint8_t>(c.word(static_cast<int>(i / 4)) >> (8 * (i % 4)));
  stage_overlap(c, dst, src, 1, false);
  for (uint32_t p = 0; p < partitions; ++p) {
    const uint32_t pick = mask[p % kQuadrant];
    if (pick == kKeep) continue;
    const uint32_t from = p - p % kQuadrant + pick;
    if (pick >= kQuadrant || from >= partitions)
      return c.fault(fmt::format("mask entry {} names partition {} of {}", p % kQuadrant, from, partitions));
    copy_elements(c, row_of(dst, p), row_of(src, from));
  }
}

void execute_gather(Context& c) {
  const Strided& dst = c.operand(isa::slots::nc_n_gather::dst);
  Strided data = c.operand(isa::slots::nc_n_gather::data), indices = c.operand(isa::slots::nc_n_gather::indices);
  if (!is_integer(indices.dtype)) return c.fault("indices are integers");
  if (indices.elements() != dst.elements()) return c.fault("indices and dst have different numbers of elements");
  stage_overlap(c, dst, data, 1, false);
  stage_overlap(c, dst, indices, 2, false);
  const uint64_t row = row_elements(data), count = row_elements(dst);
  const uint32_t partitions = dst.count[0];
  const size_t index_bytes = indices.element_bytes(), bytes = data.element_bytes();
  // Rows of data and indices laid out in order; results too, then spread over dst.
  std::byte* values = c.scratch().rows[0].bytes(row * bytes);
  std::byte* places = c.scratch().rows[1].bytes(count * index_bytes);
  std::byte* results = c.scratch().rows[2].bytes(count * bytes);
  for (uint32_t p = 0; p < partitions; ++p) {
    copy_elements(c, contiguous(values, data.dtype, row), row_of(data, p));
    copy_elements(c, contiguous(places, indices.dtype, count), row_of(indices, p));
    for (uint64_t i = 0; i < count; ++i) {
      uint64_t index = 0;
      std::memcpy(&index, places + i * index_bytes, index_bytes);
      if (index >= row)
        return c.fault(fmt::format("index {} of partition {} is {}, the row has {} elements", i, p, index, row));
      std::memcpy(results + i * bytes, values + index * bytes, bytes);
    }
    Strided from = contiguous(results, data.dtype, count);
    if (data.dtype == dst.dtype) {
      copy_elements(c, row_of(dst, p), from);
      continue;
    }
    float* converted = c.scratch().rows[3].floats(count);
    numerics::load_span(data.dtype, results, converted, count);
    Rows(dst).write(p, converted);
  }
}

}  // namespace presil::chip
