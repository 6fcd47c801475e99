#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/workload.h"
#include "isa/encode.h"
#include "isa/print.h"
#include "runtime/file.h"
#include "spec/chip_file.h"

namespace presil::cli {
namespace {

Result<std::string> text_of(const ShowOptions& options) {
  const std::string& path = options.what;
  if (has_suffix(path, ".onnx")) {
    return graph::print(
        TRY(load_graph(path, options.dims, options.shapes, /*with_data=*/false, /*double_as_fp32=*/true)));
  }
  if (has_suffix(path, ".presil")) {
    auto bytes = TRY(runtime::read_file(path));
    return isa::print(TRY(isa::decode(bytes, path)));
  }
  if (has_suffix(path, ".plan")) {
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
