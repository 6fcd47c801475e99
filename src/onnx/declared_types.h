// What a model says about the types of its values, against what they are. A file that contradicts itself is damaged or
// was edited by hand; running it would answer another question than the one its reader sees.
#pragma once
#include <map>
#include <string>

#include "graph/graph.h"
#include "onnx/import.h"
#include "onnx/model.h"

namespace presil::onnx {

class DeclaredTypes {
 public:
  // Keeps references to both. `inside`: a graph inside a node; its sizes are those of an example, too.
  DeclaredTypes(const GraphValue& graph, const ImportOptions& options, bool inside = false);

  // Errors: `name` is declared with another element type, rank or size. Symbolic and unknown dimensions fit everything.
  // Sizes between the nodes of a model with dynamic inputs are not compared: exporters leave those of their example.
  Result<void> check(const std::string& name, const graph::Tensor& tensor, const std::string& where) const;

 private:
  struct Row {
    const ValueInfo* info = nullptr;
    bool sizes = true;
  };
  const ImportOptions& options_;
  std::map<std::string, Row> rows_;
};

}  // namespace presil::onnx
