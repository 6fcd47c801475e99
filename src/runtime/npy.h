// Tensors on disk: NumPy's .npy (format 1.0 written; 1.0, 2.0 and 3.0 read), little-endian and row-major.
// bf16 and the fp8 formats have no NumPy name: they are written as raw void elements ('<V2', '|V1'), as ml_dtypes does.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "numerics/dtype.h"

namespace presil::runtime {

struct Array {
  DType dtype = DType::fp32;
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;
};

// `bytes` are a whole file's; `where` names it in errors. '<V2' is read as bf16; '|V1' is refused as ambiguous.
Result<Array> parse_npy(std::span<const std::byte> bytes, const std::string& where);
std::vector<std::byte> print_npy(const Array& array);

Result<Array> read_npy(const std::string& path);
Result<void> write_npy(const std::string& path, const Array& array, const Cancel* cancel = nullptr);

}  // namespace presil::runtime
