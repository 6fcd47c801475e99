#include "onnx/tensor_data.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <filesystem>

#include "graph/host_tensor.h"
#include "graph/shape.h"
#include "onnx/mapped_file.h"

namespace presil::onnx {
namespace {

constexpr int32_t kDouble = 11;

struct DataTypeRow {
  std::string_view name;
  std::optional<DType> dtype;
  size_t bytes;
};
// Indexed by TensorProto.DataType. FLOAT8E4M3FN is not our fp8_e4m3, which has infinities.
constexpr std::array<DataTypeRow, 17> kDataTypes = {{
    {"UNDEFINED", {}, 0},
    {"FLOAT", DType::fp32, 4},
    {"UINT8", DType::uint8, 1},
    {"INT8", DType::int8, 1},
    {"UINT16", DType::uint16, 2},
    {"INT16", DType::int16, 2},
    {"INT32", DType::int32, 4},
    {"INT64", DType::int64, 8},
    {"STRING", {}, 0},
    {"BOOL", DType::boolean, 1},
    {"FLOAT16", DType::fp16, 2},
    {"DOUBLE", {}, 8},
    {"UINT32", DType::uint32, 4},
    {"UINT64", {}, 8},
    {"COMPLEX64", {}, 8},
    {"COMPLEX128", {}, 16},
    {"BFLOAT16", DType::bf16, 2},
}};

const DataTypeRow* row_of(int32_t data_type) {
  bool known = data_type > 0 && data_type < static_cast<int32_t>(kDataTypes.size());
  return known ? &kDataTypes[data_type] : nullptr;
}

std::string where_of(const TensorValue& t) { return fmt::format("tensor '{}'", t.name); }

Error external_error(const TensorValue& t, std::string message) {
  return bad_input(std::move(message), where_of(t), "external data lies beside the model, in the file that it names");
}

// The path of an external tensor's file; it may not leave the model's folder.
Result<std::string> external_path(const TensorValue& t, const ImportOptions& options) {
  std::filesystem::path location(t.location);
  bool escapes = t.location.empty() || location.is_absolute();
  for (const auto& part : location) escapes |= part == "..";
  if (escapes) return external_error(t, fmt::format("external data '{}' is outside the model's folder", t.location));
  std::error_code ignored;
  std::filesystem::path folder = std::filesystem::weakly_canonical(options.folder, ignored);
  std::filesystem::path file = std::filesystem::weakly_canonical(folder / location, ignored);
  std::filesystem::path relative = file.lexically_relative(folder);
  if (relative.empty() || *relative.begin() == "..") {
    return external_error(t, fmt::format("external data '{}' links outside the model's folder", t.location));
  }
  return file.string();
}

Result<std::vector<std::byte>> read_external(const TensorValue& t, size_t expected, const ImportOptions& options) {
  if (t.malformed_external) return external_error(t, "offset or length of its external data is not a number");
  std::string path = TRY(external_path(t, options));
  Result<MappedFile> file = MappedFile::open(path);
  if (!file) return external_error(t, fmt::format("external data '{}' {}", t.location, file.error().message));
  std::span<const std::byte> bytes = file->bytes();
  int64_t offset = t.offset.value_or(0), available = static_cast<int64_t>(bytes.size());
  if (offset < 0 || offset > available) {
    return external_error(
        t, fmt::format("external data '{}' starts at byte {}, the file has {}", t.location, offset, available));
  }
  int64_t length = t.length.value_or(std::min<int64_t>(available - offset, static_cast<int64_t>(expected)));
  if (length != static_cast<int64_t>(expected) || length > available - offset) {
    return external_error(t, fmt::format("external data '{}' has {} bytes from byte {}, the shape needs {}", t.location,
                                         std::min(length, available - offset), offset, expected));
  }
  return std::vector<std::byte>(bytes.begin() + offset, bytes.begin() + offset + length);
}

Result<std::vector<std::byte>> read_elements(const TensorValue& t, size_t expected, const ImportOptions& options) {
  if (t.external) return read_external(t, expected, options);
  std::span<const std::byte> source = t.has_raw ? t.raw : std::span<const std::byte>(t.typed);
  if (source.size() != expected) {
    return bad_input(fmt::format("has {} bytes of data, {} {} needs {}", source.size(), data_type_name(t.data_type),
                                 graph::shape_text(t.dims), expected),
                     where_of(t));
  }
  return std::vector<std::byte>(source.begin(), source.end());
}

std::vector<std::byte> double_to_fp32(const std::vector<std::byte>& bytes) {
  std::vector<double> values(bytes.size() / sizeof(double));
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return graph::store_floats(DType::fp32, values);
}

}  // namespace

std::string data_type_name(int32_t data_type) {
  const DataTypeRow* row = row_of(data_type);
  return row ? std::string(row->name) : fmt::format("data type {}", data_type);
}

Result<DType> to_dtype(int32_t data_type, const ImportOptions& options, const std::string& where) {
  if (data_type == kDouble) {
    if (options.double_as_fp32) return DType::fp32;
    return unsupported("double is not supported", where, "--double-as-fp32 converts");
  }
  const DataTypeRow* row = row_of(data_type);
  if (row && row->dtype) return *row->dtype;
  return unsupported(fmt::format("{} is not supported", data_type_name(data_type)), where,
                     "supported are FLOAT, FLOAT16, BFLOAT16, BOOL and integers up to INT64 but UINT64");
}

Result<graph::TensorId> add_tensor(graph::Builder& builder, const TensorValue& t, const ImportOptions& options) {
  DType dtype = TRY(to_dtype(t.data_type, options, where_of(t)));
  std::optional<int64_t> count = graph::checked_count(t.dims);
  if (!count) {
    return bad_input(fmt::format("shape {} is negative or has more than {} elements", graph::shape_text(t.dims),
                                 graph::kElementsMax),
                     where_of(t));
  }
  size_t bytes = static_cast<size_t>(*count) * row_of(t.data_type)->bytes;
  bool large = *count * static_cast<int64_t>(dtype_bytes(dtype)) > graph::kSmallConstantBytes;
  graph::Bytes data;
  if (options.with_data || !large) {
    std::vector<std::byte> elements = TRY(read_elements(t, bytes, options));
    if (t.data_type == kDouble) elements = double_to_fp32(elements);
    data = std::make_shared<const std::vector<std::byte>>(std::move(elements));
  } else if (!t.external && (t.has_raw ? t.raw.size() : t.typed.size()) != bytes) {
    // The size is known without reading; a wrong one is an error with and without data alike.
    return read_elements(t, bytes, options).error();
  }
  return builder.constant(t.name, {dtype, t.dims}, std::move(data));
}

}  // namespace presil::onnx
