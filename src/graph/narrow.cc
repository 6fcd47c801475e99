#include "graph/narrow.h"

#include <fmt/format.h>

#include "graph/host_tensor.h"

namespace presil::graph {

Result<Graph> narrow_int64(Graph graph) {
  for (Tensor& t : graph.tensors) {
    if (t.dtype != DType::int64) continue;
    t.dtype = DType::int32;
    if (!t.data) continue;
    std::vector<int64_t> values = load_integers(DType::int64, *t.data);
    for (int64_t v : values) {
      if (v == static_cast<int32_t>(v)) continue;
      return unsupported(fmt::format("int64 value {} does not fit into int32", v),
                         fmt::format("constant '{}'", t.name));
    }
    t.data = std::make_shared<const std::vector<std::byte>>(store_integers(DType::int32, values));
  }
  return graph;
}

}  // namespace presil::graph
