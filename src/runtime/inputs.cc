#include "runtime/inputs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

#include "base/hash.h"
#include "base/prng.h"
#include "base/text.h"
#include "graph/host_tensor.h"
#include "numerics/convert.h"
#include "runtime/workload.h"

namespace presil::runtime {
namespace {

// Integers are drawn below this: small enough for an index, large enough to differ.
constexpr uint64_t kIntegerBound = 10;
// Drawn at a time: little memory beside the tensor, and soon cancelled.
constexpr size_t kBlockElements = 1 << 16;

std::string shape_text(const std::vector<int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

std::vector<std::byte> draw_block(Prng& prng, DType dtype, size_t count) {
  if (is_float(dtype)) {
    std::vector<double> values(count);
    for (double& v : values) v = prng.normal();
    return graph::store_floats(dtype, values);
  }
  if (is_packed(dtype)) {
    std::vector<std::byte> bytes(count * dtype_bytes(dtype));
    for (size_t i = 0; i < count; ++i) {
      const uint32_t bits = numerics::pack(dtype, {prng.normal(), prng.normal(), prng.normal(), prng.normal()});
      std::memcpy(bytes.data() + i * dtype_bytes(dtype), &bits, dtype_bytes(dtype));
    }
    return bytes;
  }
  std::vector<int64_t> values(count);
  const uint64_t bound = dtype == DType::boolean ? 2 : kIntegerBound;
  for (int64_t& v : values) v = static_cast<int64_t>(prng.below(bound));
  return graph::store_integers(dtype, values);
}

Result<Array> drawn(const isa::HbmTensor& tensor, uint64_t seed, const Cancel* cancel) {
  Prng prng(hash_text(tensor.name, seed));
  Array array{tensor.dtype, tensor.shape, {}};
  const auto count = static_cast<size_t>(graph::element_count(tensor.shape));
  array.bytes.reserve(count * dtype_bytes(tensor.dtype));
  for (size_t begin = 0; begin < count; begin += kBlockElements) {
    TRY(go_on_unless(cancel));
    const auto block = draw_block(prng, tensor.dtype, std::min(kBlockElements, count - begin));
    array.bytes.insert(array.bytes.end(), block.begin(), block.end());
  }
  return array;
}

Result<NamedArray> narrowed(const NamedArray& given, const std::string& where) {
  const auto values = graph::load_integers(given.array.dtype, given.bytes());
  for (int64_t v : values) {
    if (v < INT32_MIN || v > INT32_MAX) {
      return bad_input(fmt::format("value {} of int64 does not fit int32, in which the core computes", v), where);
    }
  }
  return NamedArray{given.name, {DType::int32, given.array.shape, graph::store_integers(DType::int32, values)}};
}

Result<NamedArray> fitted(NamedArray given, const isa::HbmTensor& tensor) {
  Array& array = given.array;
  const std::string where = fmt::format("input '{}'", tensor.name);
  if (array.shape != tensor.shape) {
    return bad_input(fmt::format("shape {}, expected {}", shape_text(array.shape), shape_text(tensor.shape)), where);
  }
  if (array.dtype == DType::int64 && tensor.dtype == DType::int32) return narrowed(given, where);
  if (array.dtype == DType::boolean && tensor.dtype == DType::uint8) array.dtype = DType::uint8;
  const bool holds_packed = is_packed(tensor.dtype) && is_integer(array.dtype) && !is_signed(array.dtype);
  if (holds_packed && dtype_bytes(array.dtype) == dtype_bytes(tensor.dtype)) array.dtype = tensor.dtype;
  if (array.dtype != tensor.dtype) {
    return bad_input(fmt::format("dtype {}, expected {}", dtype_name(array.dtype), dtype_name(tensor.dtype)), where);
  }
  return given;
}

Result<void> check_names(const std::vector<isa::HbmTensor>& wanted, const std::vector<NamedArray>& given) {
  std::vector<std::string> names;
  for (const isa::HbmTensor& tensor : wanted) names.push_back(tensor.name);
  for (size_t i = 0; i < given.size(); ++i) {
    const std::string& name = given[i].name;
    if (std::ranges::find(names, name) == names.end()) {
      return bad_input(fmt::format("the model has no input '{}'; it has {}", name, fmt::join(names, ", ")), "--input",
                       nearest_hint(name, names));
    }
    for (size_t other = 0; other < i; ++other) {
      if (given[other].name == name) return bad_input(fmt::format("input '{}' is given twice", name), "--input");
    }
  }
  return {};
}

}  // namespace

Result<NamedArray> read_named(const std::string& argument) {
  const size_t at = argument.find('=');
  if (at == std::string::npos || at == 0 || at + 1 == argument.size()) {
    return bad_input(fmt::format("'{}' is not NAME=FILE.npy", argument), "--input");
  }
  return NamedArray{argument.substr(0, at), TRY(read_npy(argument.substr(at + 1)))};
}

Result<std::vector<NamedArray>> make_inputs(const isa::Executable& executable, std::vector<NamedArray> given,
                                            uint64_t seed, bool draw, const Cancel* cancel) {
  const std::vector<isa::HbmTensor> wanted = whole_tensors(executable, isa::TensorRole::input);
  TRY(check_names(wanted, given));
  std::vector<NamedArray> inputs;
  for (const isa::HbmTensor& tensor : wanted) {
    auto it = std::ranges::find(given, tensor.name, &NamedArray::name);
    if (it == given.end() && !draw) continue;
    inputs.push_back(it == given.end() ? NamedArray{tensor.name, TRY(drawn(tensor, seed, cancel))}
                                       : TRY(fitted(std::move(*it), tensor)));
  }
  return inputs;
}

}  // namespace presil::runtime
