// ONNX model to Graph of primitives: static shapes, constants folded, one dtype per tensor. Opsets 7 and later.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace presil::onnx {

struct ImportOptions {
  std::vector<std::pair<std::string, int64_t>> dims;         // dynamic dimension by name
  std::vector<std::pair<std::string, graph::Shape>> shapes;  // whole input shape by input name
  bool with_data = true;        // false: constants above graph::kSmallConstantBytes are never read
  bool double_as_fp32 = false;  // otherwise double is refused
  std::string folder = ".";     // where external data lies; import_file sets it
};

// Tensors keep their ONNX names, nodes their ONNX node's name in `source`. Each graph output is produced by a node of
// its own. int64 values that remain at run time are int32. Errors name the node or tensor, what was found and expected.
Result<graph::Graph> import_model(std::span<const std::byte> file, const ImportOptions& options = {});
Result<graph::Graph> import_file(const std::string& path, ImportOptions options = {});

}  // namespace presil::onnx
