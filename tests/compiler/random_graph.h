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
// A network over one input [B, T] of indices, of which negative ones are legal: embeddings, attention that masks index
// 0, lookups along other axes.
inline constexpr int64_t kLookupRows = 37;
graph::Graph random_lookup_network(uint64_t seed);

}  // namespace presil
