// include/presil/presil.h over the functions of this room. Every entry catches: an exception must not reach C.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <presil/presil.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <new>

#include "base/hash.h"
#include "runtime/api_error.h"
#include "runtime/artifacts.h"
#include "runtime/run.h"
#include "runtime/workload.h"
#include "spec/bundled.h"
#include "spec/chip_file.h"

using presil::bad_input;
using presil::Cancel;
using presil::Error;
using presil::Result;

struct presil_cancel {
  Cancel cancel;
};

struct presil_chip {
  presil::spec::ChipSpec spec;
  std::string hash, toml;
};

// Shared with its results, which outlive it.
struct ProgramState {
  presil::runtime::Workload workload;
  std::vector<presil::isa::HbmTensor> whole_inputs, whole_outputs;
  std::vector<presil_tensor> inputs, outputs;  // names and shapes are those of the whole ones
};
struct presil_program {
  std::shared_ptr<const ProgramState> state;
};

struct presil_result {
  std::shared_ptr<const ProgramState> program;
  presil::runtime::Run run;
  std::string outcome, json;
  std::vector<presil_tensor> outputs;
};

namespace {

thread_local std::string error_message;

presil_status fail(presil_status status, std::string_view message) noexcept {
  try {
    error_message = message;
  } catch (const std::bad_alloc&) {
    error_message.clear();
    status = PRESIL_NO_MEMORY;
  }
  return status;
}

presil_status status_of(presil::ErrorCode code) {
  switch (code) {
    case presil::ErrorCode::bad_input:
      return PRESIL_BAD_INPUT;
    case presil::ErrorCode::unsupported:
      return PRESIL_UNSUPPORTED;
    case presil::ErrorCode::io:
      return PRESIL_IO;
    case presil::ErrorCode::cancelled:
      return PRESIL_CANCELLED;
  }
  return PRESIL_INTERNAL;
}

// Runs `body`, a function that returns Result<void>.
template <class Body>
presil_status guarded(Body body) noexcept {
  try {
    Result<void> result = body();
    if (result) return PRESIL_OK;
    return fail(status_of(result.error().code), presil::runtime::api_text(result.error()));
  } catch (const std::bad_alloc&) {
    return fail(PRESIL_NO_MEMORY, "the host has not enough memory");
  } catch (const std::exception& e) {
    return fail(PRESIL_INTERNAL, e.what());
  }
}

Result<void> not_null(const void* pointer, const char* function, const char* parameter) {
  if (pointer != nullptr) return {};
  return bad_input(fmt::format("'{}' is NULL", parameter), function);
}

template <class Options>
Result<void> check_size(const Options& options, const char* function, const char* macro) {
  if (options.size == sizeof(Options)) return {};
  return bad_input(fmt::format("'options.size' is {}, expected {}", options.size, sizeof(Options)), function,
                   fmt::format("initialize with {}", macro));
}

const Cancel* cancel_of(const presil_cancel* cancel) { return cancel == nullptr ? nullptr : &cancel->cancel; }

// --- Tensors ---

bool is_dtype(presil_dtype dtype) { return dtype >= 0 && static_cast<int>(dtype) < presil::kDTypeCount; }

static_assert(PRESIL_FP32 == static_cast<int>(presil::DType::fp32));
static_assert(PRESIL_FP8_E5M2 == static_cast<int>(presil::DType::fp8_e5m2));
static_assert(PRESIL_FP4_E2M1FN_X4 == static_cast<int>(presil::DType::fp4_e2m1fn_x4));
static_assert(PRESIL_INT8 == static_cast<int>(presil::DType::int8));
static_assert(PRESIL_BOOL == static_cast<int>(presil::DType::boolean));
static_assert(presil::kDTypeCount == PRESIL_BOOL + 1);

presil_tensor tensor_of(const presil::isa::HbmTensor& t, const void* data) {
  return {t.name.c_str(), static_cast<presil_dtype>(t.dtype), t.shape.size(), t.shape.data(), data, t.bytes};
}

std::vector<presil_tensor> list_of(const std::vector<presil::isa::HbmTensor>& tensors) {
  std::vector<presil_tensor> list;
  for (const auto& t : tensors) list.push_back(tensor_of(t, nullptr));
  return list;
}

// Bytes of all elements; nothing when a size is negative or the product overflows.
std::optional<size_t> bytes_of(presil_dtype dtype, const std::vector<int64_t>& shape) {
  size_t bytes = presil_dtype_bytes(dtype);
  for (int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(bytes, static_cast<size_t>(size), &bytes)) return std::nullopt;
  }
  return bytes;
}

Result<presil::runtime::NamedArray> array_of(const presil_tensor& t, size_t index) {
  if (t.name == nullptr) return bad_input("'name' is NULL", fmt::format("inputs[{}]", index));
  const std::string where = fmt::format("input '{}'", t.name);
  if (!is_dtype(t.dtype)) return bad_input(fmt::format("{} is no presil_dtype", static_cast<int>(t.dtype)), where);
  if (t.rank > 0 && t.shape == nullptr) return bad_input("'shape' is NULL", where);
  presil::runtime::Array array{static_cast<presil::DType>(t.dtype), {t.shape, t.shape + t.rank}, {}};
  const auto expected = bytes_of(t.dtype, array.shape);
  if (expected != t.bytes) {
    return bad_input(fmt::format("{} bytes do not fill shape [{}] of {}", t.bytes, fmt::join(array.shape, ", "),
                                 presil_dtype_name(t.dtype)),
                     where);
  }
  if (t.data == nullptr && t.bytes > 0) return bad_input("'data' is NULL", where);
  const auto* data = static_cast<const std::byte*>(t.data);
  return presil::runtime::NamedArray{t.name, std::move(array), {data, t.bytes}};
}

std::vector<presil_tensor> outputs_of(const ProgramState& program, const presil::runtime::Run& run) {
  std::vector<presil_tensor> list;
  for (const auto& t : program.whole_outputs) {
    auto value = std::ranges::find(run.result.outputs, t.name, &presil::system::Output::name);
    if (value != run.result.outputs.end()) list.push_back(tensor_of(t, value->bytes.data()));
  }
  return list;
}

const presil_tensor* at(const std::vector<presil_tensor>& list, size_t index) {
  return index < list.size() ? &list[index] : nullptr;
}

// --- Chips and programs ---

presil_chip* new_chip(presil::spec::ChipSpec spec) {
  std::string hash = presil::hash_name(spec_hash(spec)), toml = print_toml(spec);
  return new presil_chip{std::move(spec), std::move(hash), std::move(toml)};
}

presil_program* new_program(presil::runtime::Workload workload) {
  auto state = std::make_shared<ProgramState>();
  state->workload = std::move(workload);
  state->whole_inputs = presil::runtime::whole_tensors(state->workload.executable, presil::isa::TensorRole::input);
  state->whole_outputs = presil::runtime::whole_tensors(state->workload.executable, presil::isa::TensorRole::output);
  state->inputs = list_of(state->whole_inputs);
  state->outputs = list_of(state->whole_outputs);
  return new presil_program{std::move(state)};
}

Result<presil::runtime::WorkloadOptions> workload_options(const char* path, const presil_chip* chip,
                                                          const presil_compile_options& o) {
  presil::runtime::WorkloadOptions options{.path = path};
  if (chip != nullptr) options.chip = chip->spec;
  if (o.precision != nullptr) options.precision = o.precision;
  if (o.dim_count > 0) TRY(not_null(o.dims, "presil_compile", "options.dims"));
  for (size_t i = 0; i < o.dim_count; ++i) {
    TRY(not_null(o.dims[i].name, "presil_compile", "options.dims[].name"));
    options.dims.emplace_back(o.dims[i].name, o.dims[i].size);
  }
  if (o.shape_count > 0) TRY(not_null(o.shapes, "presil_compile", "options.shapes"));
  for (size_t i = 0; i < o.shape_count; ++i) {
    const presil_shape& shape = o.shapes[i];
    TRY(not_null(shape.input, "presil_compile", "options.shapes[].input"));
    if (shape.rank > 0) TRY(not_null(shape.sizes, "presil_compile", "options.shapes[].sizes"));
    options.shapes.emplace_back(shape.input, presil::graph::Shape(shape.sizes, shape.sizes + shape.rank));
  }
  options.double_as_fp32 = o.double_as_fp32;
  options.with_data = !o.no_data;
  options.cancel = cancel_of(o.cancel);
  options.cores = o.cores;
  return options;
}

Result<presil::runtime::RunOptions> run_options(const presil_run_options* given) {
  if (given == nullptr) return presil::runtime::RunOptions{};
  TRY(check_size(*given, "presil_run", "PRESIL_RUN_OPTIONS_DEFAULTS"));
  return presil::runtime::RunOptions{.data = !given->no_data,
                                     .check = !given->no_check,
                                     .seed = given->seed,
                                     .threads = given->threads,
                                     .cancel = cancel_of(given->cancel)};
}

}  // namespace

extern "C" {

const char* presil_error_message(void) { return error_message.c_str(); }

const char* presil_version(void) { return PRESIL_VERSION; }

presil_cancel* presil_cancel_new(void) { return new (std::nothrow) presil_cancel; }
void presil_cancel_request(presil_cancel* cancel) {
  if (cancel != nullptr) cancel->cancel.request();
}
void presil_cancel_free(presil_cancel* cancel) { delete cancel; }

presil_status presil_chip_load(const char* name_or_file, presil_chip** chip) {
  return guarded([&]() -> Result<void> {
    TRY(not_null(name_or_file, "presil_chip_load", "name_or_file"));
    TRY(not_null(chip, "presil_chip_load", "chip"));
    *chip = new_chip(TRY(presil::spec::load_chip(name_or_file)));
    return {};
  });
}

presil_status presil_chip_parse(const char* toml, const char* where, presil_chip** chip) {
  return guarded([&]() -> Result<void> {
    TRY(not_null(toml, "presil_chip_parse", "toml"));
    TRY(not_null(chip, "presil_chip_parse", "chip"));
    *chip = new_chip(TRY(presil::spec::parse_chip(toml, where == nullptr ? "chip" : where)));
    return {};
  });
}

void presil_chip_free(presil_chip* chip) { delete chip; }
const char* presil_chip_name(const presil_chip* chip) { return chip == nullptr ? nullptr : chip->spec.name.c_str(); }
const char* presil_chip_hash(const presil_chip* chip) { return chip == nullptr ? nullptr : chip->hash.c_str(); }
const char* presil_chip_toml(const presil_chip* chip) { return chip == nullptr ? nullptr : chip->toml.c_str(); }

const char* presil_bundled_chip(size_t index) {
  const auto chips = presil::spec::bundled_chips();
  return index < chips.size() ? chips[index].name.data() : nullptr;  // literals: they end with 0
}

const char* presil_dtype_name(presil_dtype dtype) {
  return is_dtype(dtype) ? presil::dtype_name(static_cast<presil::DType>(dtype)).data() : nullptr;  // literals
}
size_t presil_dtype_bytes(presil_dtype dtype) {
  return is_dtype(dtype) ? presil::dtype_bytes(static_cast<presil::DType>(dtype)) : 0;
}

presil_status presil_compile(const char* model, const presil_chip* chip, const presil_compile_options* options,
                             presil_program** program) {
  return guarded([&]() -> Result<void> {
    TRY(not_null(model, "presil_compile", "model"));
    TRY(not_null(program, "presil_compile", "program"));
    presil_compile_options defaults = PRESIL_COMPILE_OPTIONS_DEFAULTS;
    if (options == nullptr) options = &defaults;
    TRY(check_size(*options, "presil_compile", "PRESIL_COMPILE_OPTIONS_DEFAULTS"));
    if (presil::runtime::is_executable_file(model)) {
      return bad_input("is compiled already", model, "presil_program_load reads it");
    }
    *program = new_program(TRY(presil::runtime::load_workload(TRY(workload_options(model, chip, *options)))));
    return {};
  });
}

presil_status presil_program_load(const char* path, const presil_chip* chip, bool retime, presil_program** program) {
  return guarded([&]() -> Result<void> {
    TRY(not_null(path, "presil_program_load", "path"));
    TRY(not_null(program, "presil_program_load", "program"));
    if (!presil::runtime::is_executable_file(path)) {
      return bad_input("expected a compiled program, FILE.presil", path, "presil_compile compiles models");
    }
    presil::runtime::WorkloadOptions load{.path = path, .retime = retime};
    if (chip != nullptr) load.chip = chip->spec;
    *program = new_program(TRY(presil::runtime::load_workload(load)));
    return {};
  });
}

presil_status presil_program_save(const presil_program* program, const char* path) {
  return guarded([&]() -> Result<void> {
    TRY(not_null(program, "presil_program_save", "program"));
    TRY(not_null(path, "presil_program_save", "path"));
    TRY(presil::runtime::save_executable(program->state->workload, path, "path"));
    return {};
  });
}

void presil_program_free(presil_program* program) { delete program; }

const presil_tensor* presil_program_input(const presil_program* program, size_t index) {
  return program == nullptr ? nullptr : at(program->state->inputs, index);
}
const presil_tensor* presil_program_output(const presil_program* program, size_t index) {
  return program == nullptr ? nullptr : at(program->state->outputs, index);
}

presil_status presil_run(const presil_program* program, const presil_tensor* inputs, size_t input_count,
                         const presil_run_options* options, presil_result** result) {
  return guarded([&]() -> Result<void> {
    TRY(not_null(program, "presil_run", "program"));
    TRY(not_null(result, "presil_run", "result"));
    if (input_count > 0) TRY(not_null(inputs, "presil_run", "inputs"));
    std::vector<presil::runtime::NamedArray> arrays;
    for (size_t i = 0; i < input_count; ++i) arrays.push_back(TRY(array_of(inputs[i], i)));
    const auto run_with = TRY(run_options(options));
    const presil::runtime::Workload& workload = program->state->workload;
    auto out = std::make_unique<presil_result>();
    out->program = program->state;
    out->run = TRY(presil::runtime::run(workload, run_with, std::move(arrays)));
    out->outcome = presil::chip::outcome_text(out->run.result.outcome);
    out->json = run_json(workload, run_with, out->run, TRY(write_outputs(workload, out->run, "")));
    out->outputs = outputs_of(*program->state, out->run);
    *result = out.release();
    return {};
  });
}

void presil_result_free(presil_result* result) { delete result; }

bool presil_result_ok(const presil_result* result) { return result != nullptr && result->run.result.outcome.ok(); }
const char* presil_result_outcome(const presil_result* result) {
  return result == nullptr ? nullptr : result->outcome.c_str();
}
double presil_result_seconds(const presil_result* result) {
  return result == nullptr ? 0 : result->run.summary.seconds;
}
double presil_result_cycles(const presil_result* result, const char* clock) {
  if (result == nullptr || clock == nullptr) return 0;
  for (const auto& [name, cycles] : result->run.summary.cycles) {
    if (name == clock) return cycles;
  }
  return 0;
}
uint64_t presil_result_instructions(const presil_result* result) {
  return result == nullptr ? 0 : result->run.summary.instructions;
}
uint64_t presil_result_macs(const presil_result* result) { return result == nullptr ? 0 : result->run.summary.macs; }
double presil_result_mfu(const presil_result* result) { return result == nullptr ? 0 : result->run.summary.mfu; }
const char* presil_result_json(const presil_result* result) {
  return result == nullptr ? nullptr : result->json.c_str();
}
const presil_tensor* presil_result_output(const presil_result* result, size_t index) {
  return result == nullptr ? nullptr : at(result->outputs, index);
}

presil_status presil_result_write_report(const presil_result* result, const char* path) {
  return guarded([&]() -> Result<void> {
    TRY(not_null(result, "presil_result_write_report", "result"));
    TRY(not_null(path, "presil_result_write_report", "path"));
    return presil::runtime::rerun_for_report(path, result->program->workload, result->run);
  });
}

presil_status presil_result_write_trace(const presil_result* result, const char* path) {
  return guarded([&]() -> Result<void> {
    TRY(not_null(result, "presil_result_write_trace", "result"));
    TRY(not_null(path, "presil_result_write_trace", "path"));
    return presil::runtime::rerun_for_trace(path, result->program->workload, result->run);
  });
}

}  // extern "C"
