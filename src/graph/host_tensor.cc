#include "graph/host_tensor.h"

#include <cstring>

#include "base/check.h"
#include "numerics/convert.h"

namespace presil::graph {
namespace {

template <class Stored, class Wide>
std::vector<Wide> widen(std::span<const std::byte> bytes) {
  std::vector<Wide> out(bytes.size() / sizeof(Stored));
  for (size_t i = 0; i < out.size(); ++i) {
    Stored value;
    std::memcpy(&value, bytes.data() + i * sizeof(Stored), sizeof(Stored));
    out[i] = static_cast<Wide>(value);
  }
  return out;
}

template <class Stored, class Wide>
std::vector<std::byte> narrow(std::span<const Wide> values) {
  std::vector<std::byte> out(values.size() * sizeof(Stored));
  for (size_t i = 0; i < values.size(); ++i) {
    Stored value = static_cast<Stored>(values[i]);
    std::memcpy(out.data() + i * sizeof(Stored), &value, sizeof(Stored));
  }
  return out;
}

}  // namespace

std::vector<double> load_floats(DType dtype, std::span<const std::byte> bytes) {
  std::vector<float> narrow(bytes.size() / dtype_bytes(dtype));
  if (!narrow.empty()) numerics::load_span(dtype, bytes.data(), narrow.data(), narrow.size());
  return {narrow.begin(), narrow.end()};
}

std::vector<std::byte> store_floats(DType dtype, std::span<const double> values) {
  std::vector<float> narrow(values.begin(), values.end());
  std::vector<std::byte> out(values.size() * dtype_bytes(dtype));
  if (!narrow.empty()) numerics::store_span(dtype, narrow.data(), out.data(), narrow.size());
  return out;
}

std::vector<int64_t> load_integers(DType dtype, std::span<const std::byte> bytes) {
  switch (dtype) {
    case DType::boolean:
    case DType::uint8:
      return widen<uint8_t, int64_t>(bytes);
    case DType::int8:
      return widen<int8_t, int64_t>(bytes);
    case DType::int16:
      return widen<int16_t, int64_t>(bytes);
    case DType::uint16:
      return widen<uint16_t, int64_t>(bytes);
    case DType::int32:
      return widen<int32_t, int64_t>(bytes);
    case DType::uint32:
      return widen<uint32_t, int64_t>(bytes);
    case DType::int64:
      return widen<int64_t, int64_t>(bytes);
    default:
      CHECK(false, "not an integer type");
      return {};
  }
}

std::vector<std::byte> store_integers(DType dtype, std::span<const int64_t> values) {
  switch (dtype) {
    case DType::boolean:
    case DType::uint8:
      return narrow<uint8_t>(values);
    case DType::int8:
      return narrow<int8_t>(values);
    case DType::int16:
      return narrow<int16_t>(values);
    case DType::uint16:
      return narrow<uint16_t>(values);
    case DType::int32:
      return narrow<int32_t>(values);
    case DType::uint32:
      return narrow<uint32_t>(values);
    case DType::int64:
      return narrow<int64_t>(values);
    default:
      CHECK(false, "not an integer type");
      return {};
  }
}

}  // namespace presil::graph
