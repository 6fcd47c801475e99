// presil._core: the functions of runtime for python/presil, which gives them their Python shape. Values cross as texts,
// numbers and bytes; an Error becomes presil.Error.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>

#include "base/hash.h"
#include "isa/print.h"
#include "nki/profile.h"
#include "python/interruptible.h"
#include "python/program.h"
#include "runtime/artifacts.h"
#include "runtime/lists.h"
#include "runtime/run.h"
#include "runtime/workload.h"
#include "spec/chip_file.h"

namespace nb = nanobind;

namespace presil::python {
namespace {

struct Outcome {
  std::shared_ptr<const runtime::Workload> workload;
  runtime::Run run;
  std::string json;
  std::shared_ptr<const trace::Trace> trace;  // of a profiled run
};

using Dims = std::vector<std::pair<std::string, int64_t>>;
using Shapes = std::vector<std::pair<std::string, std::vector<int64_t>>>;

Program load(const std::string& path, const std::optional<std::string>& chip, const std::string& precision,
             const Dims& dims, const Shapes& shapes, bool double_as_fp32, bool data, bool retime, uint32_t cores) {
  runtime::WorkloadOptions options{.path = path, .precision = precision, .dims = dims};
  options.shapes.assign(shapes.begin(), shapes.end());
  options.double_as_fp32 = double_as_fp32;
  options.with_data = data;
  options.retime = retime;
  options.cores = cores;
  if (chip) options.chip = value_or_raise(spec::load_chip(*chip));
  auto loaded = Work().run([&options](const Cancel* cancel) {
    options.cancel = cancel;
    return runtime::load_workload(options);
  });
  return {std::make_shared<const runtime::Workload>(value_or_raise(std::move(loaded)))};
}

void save(const Program& program, const std::string& path) {
  value_or_raise(Work().run(
      [&](const Cancel* cancel) { return runtime::save_executable(*program.workload, path, "path", cancel); }));
}

using TensorType = std::tuple<std::string, std::string, std::vector<int64_t>>;

std::vector<TensorType> tensors(const Program& program, isa::TensorRole role) {
  std::vector<TensorType> list;
  for (const isa::HbmTensor& t : runtime::whole_tensors(program.workload->executable, role)) {
    list.emplace_back(t.name, std::string(dtype_name(t.dtype)), t.shape);
  }
  return list;
}

using Bytes = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using GivenArray = std::tuple<std::string, std::string, std::vector<int64_t>, Bytes>;

runtime::NamedArray array_of(const GivenArray& given) {
  const auto& [name, dtype, shape, bytes] = given;
  const auto known = dtype_from_name(dtype);
  CHECK(known.has_value(), "python/presil knows the dtypes");
  const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
  return {name, {*known, shape, {}}, {data, bytes.size()}};
}

Outcome run(const Program& program, const std::vector<GivenArray>& inputs, bool data, bool check, uint64_t seed,
            uint32_t threads, bool traced, uint64_t jumps_max) {
  runtime::RunOptions options{.data = data, .check = check, .seed = seed, .threads = threads, .jumps_max = jumps_max};
  auto trace = traced ? std::make_shared<trace::Trace>() : nullptr;
  std::vector<runtime::NamedArray> arrays;
  for (const GivenArray& given : inputs) arrays.push_back(array_of(given));
  const runtime::Workload& workload = *program.workload;
  auto done = Work().run([&](const Cancel* cancel) {
    options.cancel = cancel;
    return runtime::run(workload, options, std::move(arrays), trace.get());
  });
  Outcome outcome{program.workload, value_or_raise(std::move(done)), {}, std::move(trace)};
  outcome.json = run_json(workload, options, outcome.run, value_or_raise(write_outputs(workload, outcome.run, "")));
  return outcome;
}

using View = nb::ndarray<nb::numpy, uint8_t, nb::ndim<1>>;

// Views of the outcome's own bytes, which keep it alive.
nb::list outputs(nb::object self) {
  Outcome& outcome = nb::cast<Outcome&>(self);
  nb::list list;
  for (const isa::HbmTensor& t : runtime::whole_tensors(outcome.workload->executable, isa::TensorRole::output)) {
    auto value = std::ranges::find(outcome.run.result.outputs, t.name, &system::Output::name);
    if (value == outcome.run.result.outputs.end()) continue;
    View view(value->bytes.data(), {value->bytes.size()}, self);
    list.append(nb::make_tuple(t.name, std::string(dtype_name(t.dtype)), t.shape, view));
  }
  return list;
}

void write_report(const Outcome& o, const std::string& path) {
  value_or_raise(Work().run([&](const Cancel* cancel) {
    return o.trace ? runtime::write_report(path, *o.workload, o.run, *o.trace, cancel)
                   : runtime::rerun_for_report(path, *o.workload, o.run, cancel);
  }));
}

void write_trace(const Outcome& o, const std::string& path) {
  value_or_raise(Work().run([&](const Cancel* cancel) {
    return o.trace ? runtime::write_trace(path, *o.trace, cancel)
                   : runtime::rerun_for_trace(path, *o.workload, o.run, cancel);
  }));
}

std::string profile_json(const Outcome& outcome) {
  CHECK(outcome.trace != nullptr, "only a profiled run is asked");
  return nki::profile_json(*outcome.workload, outcome.run, *outcome.trace);
}

}  // namespace
}  // namespace presil::python

NB_MODULE(_core, m) {
  using namespace presil;
  using namespace presil::python;
  using namespace nb::literals;
  m.attr("__version__") = PRESIL_VERSION;
  m.def("chips_json", [] { return value_or_raise(runtime::chips_json()); });
  m.def("load", &load, "path"_a, "chip"_a.none(), "precision"_a, "dims"_a, "shapes"_a, "double_as_fp32"_a, "data"_a,
        "retime"_a, "cores"_a);
  nb::class_<Program>(m, "Program")
      .def("save", &save, "path"_a)
      .def("run", &run, "inputs"_a, "data"_a, "check"_a, "seed"_a, "threads"_a, "traced"_a, "jumps_max"_a)
      .def("inputs", [](const Program& p) { return tensors(p, isa::TensorRole::input); })
      .def("outputs", [](const Program& p) { return tensors(p, isa::TensorRole::output); })
      .def("text", [](const Program& p) { return isa::print(p.workload->executable); })
      .def_prop_ro("model", [](const Program& p) { return p.workload->executable.model; })
      .def_prop_ro("chip", [](const Program& p) { return p.workload->chip.name; })
      .def_prop_ro("spec_hash", [](const Program& p) { return hash_name(p.workload->executable.spec_hash); });
  nb::class_<Outcome>(m, "Outcome")
      .def_prop_ro("ok", [](const Outcome& o) { return o.run.result.outcome.ok(); })
      .def_prop_ro("text", [](const Outcome& o) { return chip::outcome_text(o.run.result.outcome); })
      .def_prop_ro("json", [](const Outcome& o) { return o.json; })
      .def("outputs", &outputs)
      .def("profile_json", &profile_json)
      .def("report", &write_report, "path"_a)
      .def("trace", &write_trace, "path"_a);
  bind_recording(m);
}
