#include <fmt/format.h>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "isa/encode.h"
#include "isa/print.h"
#include "runtime/file.h"
#include "spec/chip_file.h"

namespace presil::cli {
namespace {

Result<std::string> text_of(const ShowOptions& options) {
  const std::string& path = options.what;
  if (path.ends_with(".onnx")) {
    const WorkloadOptions model{.path = path, .dims = options.dims, .shapes = options.shapes, .double_as_fp32 = true};
    return graph::print(TRY(runtime::load_graph(TRY(workload_options(model, /*with_data=*/false, nullptr)))));
  }
  if (path.ends_with(".presil")) {
    auto bytes = TRY(runtime::read_file(path));
    return isa::print(TRY(isa::decode(bytes, path)));
  }
  if (path.ends_with(".plan")) {
    auto bytes = TRY(runtime::read_file(path));
    return compiler::print(TRY(compiler::parse_plan({reinterpret_cast<const char*>(bytes.data()), bytes.size()})));
  }
  return spec::print_toml(TRY(spec::load_chip(path)));
}

}  // namespace

Result<int> run_show(const ShowOptions& options) {
  fmt::print("{}", TRY(text_of(options)));
  return 0;
}

}  // namespace presil::cli
