#include "runtime/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/hash.h"
#include "base/text.h"
#include "isa/encode.h"
#include "isa/exchange.h"
#include "isa/parse.h"
#include "isa/rules.h"
#include "onnx/import.h"
#include "runtime/file.h"
#include "runtime/host.h"
#include "spec/chip_file.h"

namespace presil::runtime {
namespace {

constexpr const char* kDefaultChip = "trn2";

Result<spec::ChipSpec> chip_or(const WorkloadOptions& options, const std::string& fallback) {
  if (options.chip) return *options.chip;
  return spec::load_chip(fallback);
}

// An executable is compiled for one shape and precision; saying another would change nothing.
Result<void> refuse_model_options(const WorkloadOptions& options) {
  const char* option = !options.shapes.empty() ? "--shape" : !options.dims.empty() ? "--dim" : nullptr;
  if (options.precision != "auto") option = "--precision";
  if (option != nullptr)
    return bad_input(fmt::format("'{}' is compiled already", options.path), option, "compile the model again");
  return {};
}

// A program that breaks its chip's rules is refused before anything runs, with all that is wrong. One that runs on
// another chip as it is (--retime) meets that chip's limits as faults.
Result<void> refuse_illegal(const isa::Executable& executable, const spec::ChipSpec& chip, const std::string& path) {
  const auto findings = isa::verify(executable, chip, isa::Waits::may_deadlock);
  if (findings.empty()) return {};
  constexpr size_t kShown = 20;
  std::string list;
  for (size_t i = 0; i < std::min(findings.size(), kShown); ++i) list += "\n  " + findings[i].text();
  if (findings.size() > kShown) list += fmt::format("\n  and {} more", findings.size() - kShown);
  return bad_input(fmt::format("{} broken rule{} of chip '{}':{}", findings.size(), findings.size() == 1 ? "" : "s",
                               chip.name, list),
                   path);
}

// What the options say about every instruction of the program.
Result<void> apply_settings(isa::Executable& executable, const WorkloadOptions& options) {
  if (options.rounding) {
    executable.modes.stochastic_rounding = options.rounding->stochastic;
    executable.modes.rounding_seed = options.rounding->seed;
  }
  if (options.cfp8_bias) executable.modes.cfp8_bias = *options.cfp8_bias;
  return replace_activations(executable, options.activations);
}

Result<Workload> load_executable(const WorkloadOptions& options) {
  auto bytes = TRY(read_file(options.path));
  Workload w;
  if (options.path.ends_with(".txt")) {
    w.executable =
        TRY(isa::parse_executable({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, options.path));
  } else {
    w.executable = TRY(isa::decode(bytes, options.path));
  }
  TRY(refuse_model_options(options));
  if (options.cores != 0 && options.cores != w.executable.cores) {
    return bad_input(fmt::format("'{}' is compiled for {}, {} asked for", options.path,
                                 count_text(w.executable.cores, "core"), options.cores),
                     "--cores", "compile the model again");
  }
  w.chip = TRY(chip_or(options, w.executable.chip));
  const uint64_t hash = spec_hash(w.chip);
  if (w.executable.spec_hash != hash && !options.retime) {
    return bad_input(fmt::format("compiled for chip '{}' with spec {}, but chip '{}' has spec {}", w.executable.chip,
                                 hash_name(w.executable.spec_hash), w.chip.name, hash_name(hash)),
                     options.path, "compile it again, or run it as it is with --retime");
  }
  if (!options.retime) TRY(refuse_illegal(w.executable, w.chip, options.path));
  w.executable.spec_hash = hash;
  // From here on, whoever names an instruction names what runs.
  if (isa::has_exchanges(w.executable)) {
    auto expanded = isa::expand_exchanges(w.executable, w.chip.dma.engines);
    if (!expanded)
      return bad_input(expanded.error().message, fmt::format("{}: {}", options.path, expanded.error().where));
    w.executable = std::move(*expanded);
  }
  return w;
}

// The compiler knows no files; an option that it names needs none.
Error in_file(const std::string& path, Error error) {
  if (error.code == ErrorCode::cancelled || error.where.starts_with("--")) return error;
  error.where = error.where.empty() ? path : path + ": " + error.where;
  return error;
}

Result<Workload> compile_model(const WorkloadOptions& options) {
  spec::ChipSpec chip = TRY(chip_or(options, kDefaultChip));
  auto graph = TRY(load_graph(options));
  TRY(go_on_unless(options.cancel));
  auto compiled =
      compile_workload(std::move(graph), std::move(chip), {options.precision, options.cancel, options.cores});
  if (!compiled) return in_file(options.path, compiled.error());
  Workload w = std::move(*compiled);
  w.dims.insert(options.dims.begin(), options.dims.end());
  w.executable.model = std::filesystem::path(options.path).filename().string();
  w.compile_for = [options, cores = w.executable.cores](const spec::ChipSpec& chip,
                                                        const Cancel* cancel) -> Result<isa::Executable> {
    WorkloadOptions again = options;
    again.with_data = false;
    auto graph = TRY(load_graph(again));
    isa::Executable executable =
        TRY(compile_workload(std::move(graph), chip, {options.precision, cancel, cores})).executable;
    TRY(apply_settings(executable, options));
    return executable;
  };
  return w;
}

}  // namespace

std::vector<isa::HbmTensor> whole_tensors(const isa::Executable& executable, isa::TensorRole role) {
  std::vector<isa::HbmTensor> tensors;
  for (const isa::HbmTensor& t : executable.tensors) {
    if (t.role != role) continue;
    tensors.push_back({.name = t.name,
                       .dtype = t.dtype,
                       .shape = isa::whole_shape(t, executable.cores),
                       .role = role,
                       .bytes = isa::whole_bytes(t, executable.cores)});
  }
  return tensors;
}

bool is_executable_file(const std::string& path) { return path.ends_with(".presil") || path.ends_with(".txt"); }

Result<graph::Graph> load_graph(const WorkloadOptions& options) {
  onnx::ImportOptions import{.with_data = options.with_data, .double_as_fp32 = options.double_as_fp32};
  import.dims = options.dims;
  import.shapes = options.shapes;
  return onnx::import_file(options.path, std::move(import));
}

Result<Workload> compile_workload(graph::Graph graph, spec::ChipSpec chip, const compiler::Options& options) {
  Workload w{.chip = std::move(chip)};
  auto compiled = TRY(compiler::compile(std::move(graph), w.chip, options));
  w.graph = std::move(compiled.graph);
  w.plan = std::move(compiled.plan);
  w.executable = std::move(compiled.executable);
  return w;
}

Result<Workload> load_workload(const WorkloadOptions& options) {
  Stopwatch watch;
  Workload w = is_executable_file(options.path) ? TRY(load_executable(options)) : TRY(compile_model(options));
  TRY(apply_settings(w.executable, options));
  w.compile_seconds = watch.seconds();
  return w;
}

Result<void> check_executable_path(const std::string& path, const std::string& option) {
  if (!path.ends_with(".presil")) return bad_input(fmt::format("'{}' does not end in .presil", path), option);
  return check_folder_of(path, option);
}

Result<uint64_t> save_executable(const Workload& workload, const std::string& path, const std::string& option,
                                 const Cancel* cancel) {
  TRY(check_executable_path(path, option));
  const auto bytes = TRY(isa::encode(workload.executable));
  TRY(write_file(path, bytes, cancel));
  return bytes.size();
}

}  // namespace presil::runtime
