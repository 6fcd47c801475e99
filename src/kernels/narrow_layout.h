// How packed weights lie in HBM and SBUF: per M-tile of the array's columns, per partition, one row per K-tile; so that
// one transfer brings all K-tiles of an M-tile. Unused places hold zeros. Private to narrow_gemm.
#pragma once
#include "kernels/narrow_gemm.h"
#include "numerics/dtype.h"

namespace presil::kernels {

struct NarrowLayout {
  NarrowLayout(const spec::ChipSpec& spec, const NarrowGemm& gemm);

  uint32_t rows, columns;  // of the array
  uint32_t parts = 1;      // rows of b per partition of a K-tile
  uint32_t packed = 1;     // numbers of an element of the weights
  bool grouped = false;    // the rows of a partition follow each other in b (else they are `partitions` apart)
  int64_t depth = 0;       // rows of b per K-tile
  int64_t k_tiles = 0, m_tiles = 0;
  DType number_type = DType::fp8_e4m3, beside_type = DType::uint16;
  int64_t row_numbers = 0, row_beside = 0;  // elements per partition and K-tile

  uint32_t partitions(int64_t kt) const;   // of a K-tile
  uint32_t m_count(int64_t m_tile) const;  // columns of an M-tile
  struct Steps {
    int32_t partition, part;
  };
  Steps row_steps(int64_t kt) const;  // rows of b
  int64_t row_of(int64_t kt, int64_t partition, int64_t part) const;

  std::vector<int64_t> shape(int64_t row) const;  // [m_tiles, rows, k_tiles * row]
  uint64_t bytes() const;                         // of all weights
  // Per partition and K-tile: weights of an M-tile; moving activations, and before conversion, of `n` columns.
  int64_t panel_bytes() const;
  int64_t moving_bytes(int64_t n) const;
  int64_t staged_bytes(int64_t n) const { return 2 * parts * n; }

 private:
  int64_t m_, k_;
  NarrowGemm::Kind kind_;
};

}  // namespace presil::kernels
