// Seeded random networks over the primitives that the compiler lowers, small enough for the interpreter.
#pragma once
#include "base/prng.h"
#include "graph/builder.h"

namespace presil {

// A network over one input [N, C, H, W]: convolutions of all kinds, pooling, resizing, chains with residuals, squeeze
// and excitation, concatenation; ends in one output of rank 4. Values stay near 1 in size.
graph::Graph random_image_network(uint64_t seed);
// A network over one input [B, T, C]: matmuls, attention with heads, normalization, softmax.
graph::Graph random_token_network(uint64_t seed);
// A network over one input [B, T, C]: attention with all that exporters write around it.
graph::Graph random_attention_network(uint64_t seed);

}  // namespace presil
