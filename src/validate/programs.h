// The workloads of the validation rows as tile programs, in the shape in which their sources describe them.
#pragma once
#include "tile/tile_program.h"

namespace presil::validate {

// Load bf16 [128,128], exp on the scalar engine, store (rows I09 to I17). The load is triggered by gpsimd. With
// `warm_table`, an exp on a small tile comes first, so that the table is loaded before the data is.
tile::TileProgram load_exp_store(bool warm_table);

// `length` ACTIVATEs (identity) of one fp32 element per partition, each reading the one before (I19).
tile::TileProgram activation_chain(uint32_t length);

// `count` independent matmuls of the same operands: stationary [rows, columns], moving [rows, moving] (I22, I28).
struct MatmulStream {
  DType dtype = DType::bf16;
  uint32_t rows = 128, columns = 128, moving = 512, count = 1;
};
tile::TileProgram matmul_stream(const MatmulStream& m);

tile::TileProgram vector_add(uint32_t partitions, uint32_t elements);  // fp32 tensor_tensor (I23)
tile::TileProgram psum_copy(uint32_t elements);                        // fp32, PSUM to SBUF (I32)
tile::TileProgram quantize(uint32_t elements);                         // bf16 to fp8 tensor_scalar (I38)

// `count` loads of 128 partitions x `bytes` on one queue (D rows).
tile::TileProgram load_stream(uint32_t bytes_per_partition, uint32_t count);

// GEMM out[M,N] = lhsT[K,M]^T rhs[K,N] of the tutorials. Loads of K05 and K07 use one queue, those of K02 as many as
// the backend likes; neither is documented.
struct Gemm {
  DType dtype = DType::bf16;
  uint32_t m = 4096, k = 8192, n = 8192;
};
// K05: per (m, n, k) one lhsT tile [128,128] and one rhs tile [128,512] are loaded, nothing is reused.
tile::TileProgram gemm_tiled(const Gemm& g);
// K02: all k tiles of one lhsT column once per m, all k tiles of one rhs column once per (m, n).
tile::TileProgram gemm_columns(const Gemm& g);
// K07: blocks of 256 x 1024: all k tiles [128,256] of lhsT once per block of rows, all k tiles [128,1024] of rhs once
// per block; four matmuls per k into four PSUM tiles.
tile::TileProgram gemm_blocked(const Gemm& g);

}  // namespace presil::validate
