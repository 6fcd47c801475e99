#include "system/parts.h"

#include <algorithm>

namespace presil::system {
namespace {

// A part is `rows` pieces of `piece` bytes, each `cores` pieces after the one before.
struct Pieces {
  size_t rows = 1, piece = 0;
};

Pieces pieces_of(const isa::HbmTensor& tensor) {
  if (tensor.split_axis == isa::HbmTensor::kNotSplit) return {1, tensor.bytes};
  size_t rows = 1;
  for (int32_t axis = 0; axis < tensor.split_axis; ++axis) {
    rows *= static_cast<size_t>(tensor.shape[static_cast<size_t>(axis)]);
  }
  return {rows, rows == 0 ? 0 : tensor.bytes / rows};
}

}  // namespace

std::span<const std::byte> part_of(const isa::HbmTensor& tensor, uint32_t cores, uint32_t part,
                                   std::span<const std::byte> whole, std::vector<std::vector<std::byte>>& storage) {
  if (tensor.split_axis == isa::HbmTensor::kNotSplit || cores == 1) return whole;
  const auto [rows, piece] = pieces_of(tensor);
  if (rows == 1) return whole.subspan(part * piece, piece);
  std::vector<std::byte>& own = storage.emplace_back();
  own.reserve(tensor.bytes);
  for (size_t row = 0; row < rows; ++row) {
    const auto from = whole.subspan((row * cores + part) * piece, piece);
    own.insert(own.end(), from.begin(), from.end());
  }
  return own;
}

void join_part(const isa::HbmTensor& tensor, uint32_t cores, uint32_t part, std::span<const std::byte> bytes,
               std::span<std::byte> whole) {
  if (tensor.split_axis == isa::HbmTensor::kNotSplit) cores = 1, part = 0;
  const auto [rows, piece] = pieces_of(tensor);
  for (size_t row = 0; row < rows; ++row) {
    std::ranges::copy(bytes.subspan(row * piece, piece), whole.begin() + (row * cores + part) * piece);
  }
}

}  // namespace presil::system
