// Runs: one innermost loop of a nest, as fp32 in a buffer or as raw bits.
#pragma once
#include <cstddef>
#include <cstdint>

#include "numerics/convert.h"

namespace presil::chip {

inline constexpr size_t kRunMax = 1024;  // elements handled at once: a few such buffers stay in a first-level cache

// `count` elements `step` bytes apart as contiguous ones, and back. Element sizes 1, 2, 4, 8.
void gather_run(size_t element_bytes, const std::byte* from, int64_t step, size_t count, std::byte* to);
void scatter_run(size_t element_bytes, const std::byte* from, std::byte* to, int64_t step, size_t count);
// Both sides strided.
void copy_run(size_t element_bytes, const std::byte* from, int64_t from_step, std::byte* to, int64_t to_step,
              size_t count);

// How the elements of one operand are read and written.
struct RunFormat {
  DType dtype = DType::fp32;
  size_t bytes = 4;
  numerics::LoadFn load = nullptr;
  numerics::StoreFn store = nullptr;
};
RunFormat run_format(DType dtype);

// The run as fp32: where it lies if it is that already, else converted into `buffer`. count <= kRunMax.
const float* read_run(const RunFormat& format, const std::byte* from, int64_t step, size_t count, float* buffer);
// Where results go: the run itself if it is contiguous fp32, else `buffer`, which write_run then converts and spreads.
float* run_target(const RunFormat& format, std::byte* to, int64_t step, float* buffer);
void write_run(const RunFormat& format, const float* values, std::byte* to, int64_t step, size_t count);

}  // namespace presil::chip
