// A Graph as text and back. The text says everything but the bytes of constants above 16 elements: a parsed graph has
// those without data, as one imported without data has.
//
//   graph "main"
//   input %0 fp32[1, 3, 48, 320] "x"
//   constant %1 fp32[16, 3, 3, 3] "w"
//   constant %2 fp32[1] "half" = [0.5]
//   %3 fp32[1, 16, 24, 160] "a" = conv(%0, %1) strides=[2, 2] dilations=[1, 1] pads=[1, 1, 1, 1] from "Conv_0"
//   %4 fp32[1, 16, 24, 160] "y" = mul(%3, %2) from "Mul_1"
//   output %4
#pragma once
#include <string>
#include <string_view>

#include "graph/graph.h"

namespace presil::graph {

// Errors name the line, what was found and expected. The graph is verified.
Result<Graph> parse(std::string_view text);

// Of the text and all constants' bytes.
uint64_t content_hash(const Graph& graph);

}  // namespace presil::graph
