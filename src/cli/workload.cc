#include "cli/workload.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>

#include "base/hash.h"
#include "cli/host.h"
#include "isa/encode.h"
#include "isa/parse.h"
#include "onnx/import.h"
#include "runtime/file.h"
#include "spec/chip_file.h"

namespace presil::cli {

bool has_suffix(const std::string& path, std::string_view suffix) { return path.ends_with(suffix); }

namespace {

constexpr std::string_view kDefaultChip = "trn2";

std::optional<int64_t> parse_positive(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value <= 0) return std::nullopt;
  return value;
}

Result<spec::ChipSpec> load_chip(const std::string& name) {
  return spec::load_chip(name.empty() ? std::string(kDefaultChip) : name);
}

// An executable is compiled for one shape and precision; saying another would change nothing.
Result<void> refuse_model_options(const WorkloadOptions& options) {
  const char* option = !options.shapes.empty() ? "--shape" : !options.dims.empty() ? "--dim" : nullptr;
  if (options.precision != "auto") option = "--precision";
  if (option != nullptr)
    return bad_input(fmt::format("'{}' is compiled already", options.path), option, "compile the model again");
  return {};
}

Result<Workload> load_executable(const WorkloadOptions& options) {
  auto bytes = TRY(runtime::read_file(options.path));
  Workload w;
  if (has_suffix(options.path, ".txt")) {
    w.executable =
        TRY(isa::parse_executable({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, options.path));
  } else {
    w.executable = TRY(isa::decode(bytes, options.path));
  }
  TRY(refuse_model_options(options));
  w.chip = TRY(load_chip(options.chip.empty() ? w.executable.chip : options.chip));
  const uint64_t hash = spec_hash(w.chip);
  if (w.executable.spec_hash != hash && !options.retime) {
    return bad_input(fmt::format("compiled for chip '{}' with spec {}, but chip '{}' has spec {}", w.executable.chip,
                                 hash_name(w.executable.spec_hash), w.chip.name, hash_name(hash)),
                     options.path, "compile it again, or run it as it is with --retime");
  }
  w.executable.spec_hash = hash;
  return w;
}

// The compiler knows no files; an option that it names needs none.
Error in_file(const std::string& path, Error error) {
  if (!error.where.starts_with("--")) error.where = error.where.empty() ? path : path + ": " + error.where;
  return error;
}

}  // namespace

Result<std::pair<std::string, int64_t>> parse_dim(const std::string& text) {
  const size_t at = text.find('=');
  auto value = at == std::string::npos ? std::nullopt : parse_positive(std::string_view(text).substr(at + 1));
  if (!value || at == 0) return bad_input(fmt::format("'{}' is not NAME=N with N > 0", text), "--dim");
  return std::pair(text.substr(0, at), *value);
}

Result<std::pair<std::string, graph::Shape>> parse_shape(const std::string& text) {
  Error error = bad_input(fmt::format("'{}' is not NAME=1x3x224x224 with positive sizes", text), "--shape");
  const size_t at = text.find('=');
  if (at == std::string::npos || at == 0) return error;
  graph::Shape shape;
  std::string_view rest = std::string_view(text).substr(at + 1);
  while (true) {
    const size_t x = rest.find('x');
    auto size = parse_positive(rest.substr(0, x));
    if (!size) return error;
    shape.push_back(*size);
    if (x == std::string_view::npos) break;
    rest = rest.substr(x + 1);
  }
  return std::pair(text.substr(0, at), std::move(shape));
}

Result<graph::Graph> load_graph(const std::string& path, const std::vector<std::string>& dims,
                                const std::vector<std::string>& shapes, bool with_data, bool double_as_fp32) {
  onnx::ImportOptions import{.with_data = with_data, .double_as_fp32 = double_as_fp32};
  for (const std::string& dim : dims) import.dims.push_back(TRY(parse_dim(dim)));
  for (const std::string& shape : shapes) import.shapes.push_back(TRY(parse_shape(shape)));
  return onnx::import_file(path, std::move(import));
}

Result<Workload> load_workload(const WorkloadOptions& options, bool with_data) {
  Stopwatch watch;
  if (has_suffix(options.path, ".presil") || has_suffix(options.path, ".txt")) {
    Workload w = TRY(load_executable(options));
    w.compile_seconds = watch.seconds();
    return w;
  }
  Workload w{.chip = TRY(load_chip(options.chip))};
  for (const std::string& dim : options.dims) w.dims.insert(TRY(parse_dim(dim)));
  auto graph = TRY(load_graph(options.path, options.dims, options.shapes, with_data, options.double_as_fp32));
  auto compiled = compiler::compile(std::move(graph), w.chip, {.precision = options.precision});
  if (!compiled) return in_file(options.path, compiled.error());
  w.graph = std::move(compiled->graph);
  w.plan = std::move(compiled->plan);
  w.executable = std::move(compiled->executable);
  w.executable.model = std::filesystem::path(options.path).filename().string();
  w.compile_seconds = watch.seconds();
  return w;
}

}  // namespace presil::cli
