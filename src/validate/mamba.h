// The three kernels of the fused Mamba tutorial (nki/guides/tutorials/fused_mamba.rst) as tile programs: per channel
// and state the scan h = exp(delta A) h + delta u B over the sequence, and out = sum over states of C h. All fp32.
#pragma once
#include "tile/tile_program.h"

namespace presil::validate {

struct Mamba {
  uint32_t channels = 256, sequence = 512, states = 16;
};

// States outside, channels inside: delta and u are loaded again for each state; broadcasts of B and C serve all
// channels (K09). Tensors: delta, u [channels, sequence], a [channels, states], b, c [states, sequence], out.
tile::TileProgram mamba_v1(const Mamba& m);
// Channels outside: delta and u are loaded once (K16, K20).
tile::TileProgram mamba_v2(const Mamba& m);
// The same in pieces of 512 of the sequence, the scan carried from one to the next (K24, K27, K30).
tile::TileProgram mamba_v3(const Mamba& m);

}  // namespace presil::validate
