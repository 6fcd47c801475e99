// Columns of the outputs in parts, one on each of several cores: each has its part of the weights that make them, and
// everything before it whole.
#pragma once
#include <optional>

#include "graph/split_batch.h"

namespace presil::graph {

// Part `part` of 1 / parts of the outputs' last axis, or of their channels (axis 1). All parts have the same nodes and
// shapes; they differ in the values of constants. Nothing where some node on the way from the weights mixes columns,
// where a value is needed whole and in parts, or where parts does not divide the columns.
std::optional<BatchPart> column_part(const Graph& graph, int64_t parts, int64_t part);

}  // namespace presil::graph
