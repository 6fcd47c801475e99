// presil._core.Recording: what presil.nki traces into. Operands and attributes cross as tuples of integers, since one
// call per instruction has to be quick.
#include "nki/recording.h"

#include <fmt/format.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>

#include "isa/opcode.h"
#include "numerics/activation.h"
#include "numerics/alu.h"
#include "python/interruptible.h"
#include "python/program.h"
#include "spec/chip_file.h"

namespace nb = nanobind;

namespace presil::python {
namespace {

using nki::Recording;

DType dtype_of(const std::string& name) {
  const auto dtype = dtype_from_name(name);
  CHECK(dtype.has_value(), "python/presil knows the dtypes");
  return *dtype;
}

isa::Memory memory_of(const std::string& name) {
  return name == "psum" ? isa::Memory::psum : name == "hbm" ? isa::Memory::hbm : isa::Memory::sbuf;
}

int64_t item(nb::handle tuple, Py_ssize_t index) {
  const int64_t value = PyLong_AsLongLong(PyTuple_GetItem(tuple.ptr(), index));
  if (value == -1 && PyErr_Occurred() != nullptr) throw nb::python_error();
  return value;
}

// (memory, dtype, base, partition, partitions, byte offset, step, count, step, count ...), or () for an absent operand.
// One that moves: (that, register, bytes, register, bytes ...).
nki::Operand operand_of(nb::handle tuple) {
  const Py_ssize_t size = PyTuple_Size(tuple.ptr());
  nki::Operand operand;
  isa::View& v = operand.view;
  if (size == 0) return operand;
  nb::handle first(PyTuple_GetItem(tuple.ptr(), 0));
  if (PyTuple_Check(first.ptr())) {
    operand = operand_of(first);
    for (Py_ssize_t i = 1; i + 1 < size; i += 2)
      operand.moves.push_back({static_cast<uint32_t>(item(tuple, i)), item(tuple, i + 1)});
    return operand;
  }
  CHECK(size >= 6 && size % 2 == 0 && (size - 6) / 2 <= isa::kMaxRank, "a view's tuple");
  v.memory = static_cast<isa::Memory>(item(tuple, 0));
  v.dtype = static_cast<DType>(item(tuple, 1));
  v.base = static_cast<uint32_t>(item(tuple, 2));
  v.partition = static_cast<uint16_t>(item(tuple, 3));
  v.partitions = static_cast<uint16_t>(item(tuple, 4));
  v.offset = item(tuple, 5);
  for (Py_ssize_t i = 6; i < size; i += 2) {
    v.dims[v.rank].step = static_cast<int32_t>(item(tuple, i));
    v.dims[v.rank++].count = static_cast<uint32_t>(item(tuple, i + 1));
  }
  return operand;
}

uint32_t append(Recording& r, uint32_t opcode, uint32_t engine, nb::tuple operands, nb::tuple attributes,
                const std::string& line) {
  std::array<nki::Operand, 20> views;
  std::array<uint32_t, 20> words;
  CHECK(opcode < isa::kOpcodeCount && operands.size() <= views.size() && attributes.size() <= words.size(), "a row");
  for (size_t k = 0; k < operands.size(); ++k) views[k] = operand_of(operands[k]);
  for (size_t k = 0; k < attributes.size(); ++k)
    words[k] = static_cast<uint32_t>(item(attributes, static_cast<Py_ssize_t>(k)));
  return value_or_raise(r.append(static_cast<isa::Opcode>(opcode), static_cast<isa::EngineKind>(engine),
                                 {views.data(), operands.size()}, {words.data(), attributes.size()}, line));
}

// A register as (number,), or a constant.
tile::Number number_of(nb::handle value) {
  if (PyTuple_Check(value.ptr())) return tile::Register{static_cast<uint32_t>(item(value, 0))};
  return nb::cast<int32_t>(value);
}

template <class Compile>
Program compiled(const std::string& chip, Compile&& compile) {
  auto spec = value_or_raise(spec::load_chip(chip));
  auto done = Work().run([&](const Cancel* cancel) { return compile(std::move(spec), cancel); });
  return {std::make_shared<const runtime::Workload>(value_or_raise(std::move(done)))};
}

Program compile(Recording& r, const std::string& chip) {
  return compiled(chip, [&](spec::ChipSpec spec, const Cancel* cancel) { return r.compile(std::move(spec), cancel); });
}

Program compile_pair(Recording& first, Recording& second, const std::string& chip) {
  return compiled(chip, [&](spec::ChipSpec spec, const Cancel* cancel) {
    return Recording::compile_pair(first, second, std::move(spec), cancel);
  });
}

// name -> (opcode, engines, operand names, attributes as (name, kind, word when left out)).
nb::dict instruction_table() {
  nb::dict table;
  for (const isa::InstructionRow& row : isa::all_rows()) {
    nb::list engines, operands, attributes;
    for (int e = 0; e < isa::kEngineKindCount; ++e) {
      if ((row.engines >> e & 1) != 0) engines.append(std::string(isa::engine_name(static_cast<isa::EngineKind>(e))));
    }
    for (const isa::OperandRow& o : row.operands) operands.append(std::string(o.name));
    for (const isa::AttributeRow& a : row.attributes)
      attributes.append(nb::make_tuple(std::string(a.name), static_cast<int>(a.kind), a.initial));
    table[std::string(row.name).c_str()] = nb::make_tuple(static_cast<int>(row.opcode), engines, operands, attributes);
  }
  return table;
}

template <class E>
std::optional<int> number(std::optional<E> e) {
  return e ? std::optional(static_cast<int>(*e)) : std::nullopt;
}

}  // namespace

void bind_recording(nb::module_& m) {
  using namespace nb::literals;
  m.def("chip_generation", [](const std::string& chip) { return value_or_raise(spec::load_chip(chip)).generation; });
  m.def("chip_pairs", [](const std::string& chip) { return value_or_raise(spec::load_chip(chip)).lnc_max > 1; });
  m.def("instruction_table", &instruction_table);
  m.def("dtype_number", [](const std::string& name) { return number(dtype_from_name(name)); });
  m.def("memory_number", [](const std::string& name) { return static_cast<int>(memory_of(name)); });
  m.def("engine_number", [](const std::string& name) { return number(isa::engine_from_name(name)); });
  m.def("alu_number", [](const std::string& name) { return number(alu_op_from_name(name)); });
  m.def("activation_number", [](const std::string& name) { return number(activation_from_name(name)); });
  nb::class_<Recording>(m, "Recording")
      .def(nb::init<std::string>(), "kernel"_a)
      .def(
          "tensor",
          [](Recording& r, const std::string& name, const std::string& dtype, std::vector<int64_t> shape,
             const std::string& role) {
            const isa::TensorRole kind = role == "input"    ? isa::TensorRole::input
                                         : role == "output" ? isa::TensorRole::output
                                                            : isa::TensorRole::scratch;
            return r.tensor(name, dtype_of(dtype), std::move(shape), kind);
          },
          "name"_a, "dtype"_a, "shape"_a, "role"_a)
      .def(
          "tile",
          [](Recording& r, const std::string& memory, uint32_t partitions, uint32_t bytes, const std::string& name,
             std::optional<uint16_t> partition, std::optional<uint32_t> offset) {
            return r.tile(memory_of(memory), partitions, bytes, name, {partition, offset});
          },
          "memory"_a, "partitions"_a, "bytes"_a, "name"_a, "partition"_a.none(), "offset"_a.none())
      .def("append", &append, "opcode"_a, "engine"_a, "operands"_a, "attributes"_a, "line"_a)
      .def("order", &Recording::order, "before"_a, "after"_a)
      .def("make_register", &Recording::make_register, "line"_a)
      .def(
          "assign",
          [](Recording& r, uint32_t to, nb::object value, const std::string& line) {
            r.assign(to, number_of(value), line);
          },
          "to"_a, "value"_a, "line"_a)
      .def(
          "load_register",
          [](Recording& r, uint32_t to, nb::tuple element, const std::string& line) {
            value_or_raise(r.load_register(to, operand_of(element), line));
          },
          "to"_a, "element"_a, "line"_a)
      .def(
          "store_register",
          [](Recording& r, nb::tuple element, uint32_t from, const std::string& line) {
            value_or_raise(r.store_register(operand_of(element), from, line));
          },
          "element"_a, "source"_a, "line"_a)
      .def(
          "begin_loop",
          [](Recording& r, nb::object from, nb::object until, int32_t step, const std::string& line) {
            return r.begin_loop(number_of(from), number_of(until), step, line);
          },
          "lower"_a, "upper"_a, "step"_a, "line"_a)
      .def("leave_unless", &Recording::leave_unless, "condition"_a, "line"_a)
      .def("end_loop", &Recording::end_loop, "line"_a)
      .def("compile", &compile, "chip"_a)
      .def_prop_ro("instructions", &Recording::instructions);
  m.def("compile_pair", &compile_pair, "first"_a, "second"_a, "chip"_a);
}

}  // namespace presil::python
