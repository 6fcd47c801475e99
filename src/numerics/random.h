// Random numbers of the machine. Counter-based: a number is a function of (seed, stream, index), so that results do not
// depend on the order in which anything is computed. Philox 4x32-10: Salmon et al., "Parallel random numbers: as easy
// as 1, 2, 3", SC 2011. XORWOW, the generator of the engines' random instructions: Marsaglia, "Xorshift RNGs", 2003.
#pragma once
#include <array>
#include <cstdint>

namespace presil::numerics {

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// 32 random bits: word index % 4 of the block with counter (index / 4, stream) under the key `seed`.
uint32_t random_word(uint64_t seed, uint64_t stream, uint64_t index);

// State of one lane: x, y, z, w, v, d. A generator whose five x..v are all zero repeats only d's steps.
using Xorwow = std::array<uint32_t, 6>;
uint32_t next_word(Xorwow& state);

}  // namespace presil::numerics
