// Products whose weights the array takes in a form of its own: two fp8 numbers or four MX numbers per row, or only the
// numbers that structured sparsity keeps. out[M, N] = a[M, K] x b[K, N]: a is weights, packed when they are loaded; b
// are activations, row-major in HBM, converted on the core.
#pragma once
#include <span>
#include <vector>

#include "base/result.h"
#include "spec/chip_spec.h"
#include "tile/tile_program.h"

namespace presil::kernels {

struct NarrowGemm {
  enum class Kind : uint8_t { fp8, mxfp8, sparse };
  Kind kind = Kind::fp8;
  int64_t m = 0, n = 0, k = 0;
  uint32_t kept = 4, of = 16;  // sparse
};

// As the program reads them: numbers, and scales (mxfp8) or tags (sparse) beside them.
struct NarrowWeights {
  std::vector<std::byte> numbers, beside;
  float unit = 1;  // fp8: a was divided by it, a power of two
};

// Sizes that the instructions cannot take, or a chip without them; no error names the chip but its generation.
Result<void> check_narrow_gemm(const spec::ChipSpec&, const NarrowGemm&);

// Packs row-major a [M, K]. fp8: fp8_e4m3 of a / unit, the largest magnitude in [64, 128) after that. mxfp8: as
// quantize_mx does. sparse: bf16, of every group the numbers of largest magnitude, the first of equal ones.
NarrowWeights pack_narrow_weights(const spec::ChipSpec&, const NarrowGemm&, std::span<const float> a);

// Tensors "b" (input, bf16), "a" and "a.beside" (constants; without data if `weights` has none) and "out" (output,
// bf16).
tile::TileProgram narrow_gemm(const spec::ChipSpec&, const NarrowGemm&, NarrowWeights weights);

}  // namespace presil::kernels
