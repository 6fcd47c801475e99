// Imports an ONNX model and runs its Graph on the reference interpreter: what the differential tests compare with
// onnxruntime. Tensors travel as raw files.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "base/hash.h"
#include "graph/interpret.h"
#include "graph/shape.h"
#include "graph/simplify.h"
#include "onnx/import.h"
#include "onnx/operators.h"

namespace {

using namespace presil;

std::pair<std::string, std::string> split_at(const std::string& text, char separator) {
  size_t at = text.rfind(separator);
  CHECK(at != std::string::npos, "NAME=VALUE");
  return {text.substr(0, at), text.substr(at + 1)};
}

graph::Shape parse_shape(const std::string& text) {
  graph::Shape shape;
  for (size_t at = 0; at <= text.size() && !text.empty();) {
    size_t end = std::min(text.find('x', at), text.size());
    shape.push_back(std::stoll(text.substr(at, end - at)));
    at = end + 1;
  }
  return shape;
}

Result<void> run(const std::string& model, const onnx::ImportOptions& options, const std::vector<std::string>& files,
                 const std::string& folder, bool simplify, bool print) {
  graph::Graph g = TRY(onnx::import_file(model, options));
  if (simplify) g = TRY(graph::simplify(std::move(g)));
  for (const graph::Finding& f : graph::verify(g)) return bad_input(f.message, f.where);
  fmt::print("histogram {}\n", graph::op_histogram(g));
  fmt::print("hash {}\n", hash_name(hash_text(graph::print(g))));
  if (print) fmt::print("{}", graph::print(g));
  if (files.empty() && !g.inputs.empty()) return {};
  std::vector<graph::HostTensor> inputs;
  for (size_t i = 0; i < g.inputs.size() && i < files.size(); ++i) {
    std::ifstream in(files[i], std::ios::binary);
    std::vector<char> raw{std::istreambuf_iterator<char>(in), {}};
    const graph::Tensor& t = g.at(g.inputs[i]);
    const auto* bytes = reinterpret_cast<const std::byte*>(raw.data());
    inputs.push_back({t.dtype, t.shape, {bytes, bytes + raw.size()}});
  }
  std::vector<graph::HostTensor> outputs = TRY(graph::interpret(g, inputs));
  for (size_t i = 0; i < outputs.size(); ++i) {
    std::string file = fmt::format("{}/output{}.raw", folder, i);
    std::ofstream(file, std::ios::binary)
        .write(reinterpret_cast<const char*>(outputs[i].bytes.data()),
               static_cast<std::streamsize>(outputs[i].bytes.size()));
    fmt::print("output {} {} {}\n", dtype_name(outputs[i].dtype), graph::shape_text(outputs[i].shape), file);
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Runs an ONNX model on the reference interpreter.");
  std::string model, folder = ".";
  std::vector<std::string> dims, shapes, files;
  onnx::ImportOptions options;
  bool simplify = false, print = false, no_data = false, operators = false;
  app.add_option("model", model);
  app.add_flag("--operators", operators, "list the supported ONNX operators and their opsets");
  app.add_option("--dim", dims, "NAME=N");
  app.add_option("--shape", shapes, "NAME=1x3x48x320");
  app.add_option("--input", files, "raw file, in the order of the graph's inputs");
  app.add_option("--output-dir", folder);
  app.add_flag("--simplify", simplify);
  app.add_flag("--print", print);
  app.add_flag("--no-data", no_data);
  app.add_flag("--double-as-fp32", options.double_as_fp32);
  CLI11_PARSE(app, argc, argv);
  if (operators) {
    for (const onnx::OperatorRow& row : onnx::operators()) {
      fmt::print("{} {} {}\n", row.name, row.min_opset, row.max_opset);
    }
    return 0;
  }
  options.with_data = !no_data;
  for (const std::string& d : dims)
    options.dims.emplace_back(split_at(d, '=').first, std::stoll(split_at(d, '=').second));
  for (const std::string& s : shapes)
    options.shapes.emplace_back(split_at(s, '=').first, parse_shape(split_at(s, '=').second));
  Result<void> done = run(model, options, files, folder, simplify, print);
  if (done) return 0;
  fmt::print(stderr, "{}\n", done.error().text());
  return 2;
}
