#include "graph/simplify.h"

#include "graph/fold.h"
#include "graph/rewriter.h"

namespace presil::graph {

namespace {

using Rewrites = std::vector<std::pair<std::string_view, Rewriter::Rewrite>>;

Result<Graph> sweep_until_stable(Graph graph, const Rewrites& rewrites) {
  // Each sweep shortens the graph or enriches a node, so that this ends; the bound only guards against our own
  // mistakes.
  for (size_t sweeps = 0, limit = 10 + graph.nodes.size(); sweeps < limit; ++sweeps) {
    Rewriter rewriter(std::move(graph));
    bool changed = rewriter.sweep(rewrites);
    graph = remove_dead(TRY(fold_constants(rewriter.take())));
    if (!changed) break;
  }
  return graph;
}

}  // namespace

// In order of preference at one node: cheaper forms of it first, then patterns that end at it.
Result<Graph> simplify(Graph graph) {
  static const Rewrites kRewrites = {
      {"remove_identity", remove_identity},
      {"merge_reshapes", merge_reshapes},
      {"merge_transposes", merge_transposes},
      {"reduce_to_reshape", reduce_to_reshape},
      {"drop_integer_round_trip", drop_integer_round_trip},
      {"fold_known_value", fold_known_value},
      {"merge_saturate", merge_saturate},
      {"simplify_power", simplify_power},
      {"match_clip", match_clip},
      {"match_rsqrt", match_rsqrt},
      {"match_gelu", match_gelu},
      {"match_hard_swish", match_hard_swish},
      {"match_hard_sigmoid", match_hard_sigmoid},
      {"match_self_gated", match_self_gated},
      {"match_layer_norm", match_layer_norm},
      {"fold_into_layer_norm", fold_into_layer_norm},
      {"fold_affine_after", fold_affine_after},
      {"fold_affine_before", fold_affine_before},
      {"merge_constants", merge_constants},
      {"merge_linear", merge_linear},
  };
  // Only once patterns were found, which a moved transpose may hide.
  static const Rewrites kRows = {
      {"transpose_after_linear", transpose_after_linear},
      {"transpose_before_linear", transpose_before_linear},
      {"merge_reshapes", merge_reshapes},
      {"merge_transposes", merge_transposes},
      {"remove_identity", remove_identity},
  };
  // Only once transposes have met: a reshape between two would keep them apart.
  static const Rewrites kReshapes = {
      {"transpose_to_reshape", transpose_to_reshape},
      {"remove_identity", remove_identity},
      {"merge_reshapes", merge_reshapes},
  };
  graph = TRY(sweep_until_stable(std::move(graph), kRewrites));
  graph = TRY(sweep_until_stable(std::move(graph), kRows));
  return sweep_until_stable(std::move(graph), kReshapes);
}

}  // namespace presil::graph
