#include "chip/runs.h"

#include <cstring>

#include "base/check.h"

namespace presil::chip {
namespace {

template <class Word>
void copy_words(const std::byte* from, int64_t from_step, std::byte* to, int64_t to_step, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    Word word;
    std::memcpy(&word, from, sizeof word);
    std::memcpy(to, &word, sizeof word);
    from += from_step;
    to += to_step;
  }
}

}  // namespace

void copy_run(size_t element_bytes, const std::byte* from, int64_t from_step, std::byte* to, int64_t to_step,
              size_t count) {
  const auto packed = static_cast<int64_t>(element_bytes);
  if (from_step == packed && to_step == packed) {
    std::memcpy(to, from, count * element_bytes);
    return;
  }
  switch (element_bytes) {
    case 1:
      return copy_words<uint8_t>(from, from_step, to, to_step, count);
    case 2:
      return copy_words<uint16_t>(from, from_step, to, to_step, count);
    case 4:
      return copy_words<uint32_t>(from, from_step, to, to_step, count);
    case 8:
      return copy_words<uint64_t>(from, from_step, to, to_step, count);
    default:
      break;
  }
  CHECK(false, "elements have 1, 2, 4 or 8 bytes");
}

void gather_run(size_t element_bytes, const std::byte* from, int64_t step, size_t count, std::byte* to) {
  copy_run(element_bytes, from, step, to, static_cast<int64_t>(element_bytes), count);
}

void scatter_run(size_t element_bytes, const std::byte* from, std::byte* to, int64_t step, size_t count) {
  copy_run(element_bytes, from, static_cast<int64_t>(element_bytes), to, step, count);
}

RunFormat run_format(DType dtype) {
  return {dtype, dtype_bytes(dtype), numerics::load_fn(dtype), numerics::store_fn(dtype)};
}

const float* read_run(const RunFormat& format, const std::byte* from, int64_t step, size_t count, float* buffer) {
  const bool packed = step == static_cast<int64_t>(format.bytes);
  if (format.dtype == DType::fp32) {
    if (packed && reinterpret_cast<uintptr_t>(from) % alignof(float) == 0) return reinterpret_cast<const float*>(from);
    gather_run(sizeof(float), from, step, count, reinterpret_cast<std::byte*>(buffer));
    return buffer;
  }
  if (packed) {
    format.load(from, buffer, count);
    return buffer;
  }
  alignas(64) std::byte words[kRunMax * 8];
  gather_run(format.bytes, from, step, count, words);
  format.load(words, buffer, count);
  return buffer;
}

float* run_target(const RunFormat& format, std::byte* to, int64_t step, float* buffer) {
  const bool direct =
      format.dtype == DType::fp32 && step == sizeof(float) && reinterpret_cast<uintptr_t>(to) % alignof(float) == 0;
  return direct ? reinterpret_cast<float*>(to) : buffer;
}

void write_run(const RunFormat& format, const float* values, std::byte* to, int64_t step, size_t count) {
  if (reinterpret_cast<const std::byte*>(values) == to) return;
  if (step == static_cast<int64_t>(format.bytes)) {
    format.store(values, to, count);
    return;
  }
  alignas(64) std::byte words[kRunMax * 8];
  format.store(values, words, count);
  scatter_run(format.bytes, words, to, step, count);
}

}  // namespace presil::chip
