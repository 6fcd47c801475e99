// Layout of a file: "\x93NUMPY", major, minor, header length (u16 in 1.0, u32 later), header text, elements. The header
// is the literal of a Python dictionary with the keys descr, fortran_order and shape. Source: NumPy, NEP 1.
#include "runtime/npy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include "runtime/file.h"

namespace presil::runtime {
namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);
constexpr size_t kAlignment = 64;

// clang-format off
struct Row {
  DType dtype;
  std::string_view descr;
};
constexpr Row kRows[] = {
    {DType::fp32, "<f4"},           {DType::tf32, "<f4"},          {DType::bf16, "<V2"},
    {DType::fp16, "<f2"},           {DType::fp8_e4m3, "|V1"},      {DType::fp8_e5m2, "|V1"},
    {DType::fp8_e4m3fn, "|V1"},     {DType::fp8_e3m4, "|V1"},      {DType::fp8_e8m0, "|V1"},
    {DType::fp8_e4m3fn_x4, "<u4"},  {DType::fp8_e5m2_x4, "<u4"},   {DType::fp4_e2m1fn_x4, "<u2"},
    {DType::int8, "|i1"},           {DType::uint8, "|u1"},         {DType::int16, "<i2"},
    {DType::uint16, "<u2"},         {DType::int32, "<i4"},         {DType::uint32, "<u4"},
    {DType::int64, "<i8"},          {DType::boolean, "|b1"},
};
// clang-format on

std::optional<DType> dtype_of(std::string_view descr) {
  if (descr == "|V1") return std::nullopt;
  if (descr == "|V2") return DType::bf16;
  for (const Row& row : kRows) {
    if (row.descr == descr && !is_packed(row.dtype)) return row.dtype;
  }
  return std::nullopt;
}

std::string_view descr_of(DType dtype) {
  for (const Row& row : kRows) {
    if (row.dtype == dtype) return row.descr;
  }
  CHECK(false, "every dtype has a row");
}

// The text of a value in the header's dictionary: from behind "'key':" up to ',', or through `closer` if that is not 0.
std::optional<std::string_view> header_value(std::string_view header, std::string_view key, char closer = 0) {
  size_t at = header.find(fmt::format("'{}':", key));
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = header.substr(at + key.size() + 3);
  size_t begin = std::min(rest.find_first_not_of(' '), rest.size());
  size_t end = rest.find(closer ? closer : ',', begin);
  if (end == std::string_view::npos) return std::nullopt;
  return rest.substr(begin, end - begin + (closer ? 1 : 0));
}

std::optional<int64_t> parse_dim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  int64_t dim = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), dim);
  if (error != std::errc() || end != text.data() + text.size() || dim < 0) return std::nullopt;
  return dim;
}

// "(2, 3)", "(5,)" or "()".
std::optional<std::vector<int64_t>> parse_shape(std::string_view text) {
  if (text.size() < 2 || text.front() != '(' || text.back() != ')') return std::nullopt;
  text = text.substr(1, text.size() - 2);
  std::vector<int64_t> shape;
  while (text.find_first_not_of(' ') != std::string_view::npos) {
    size_t comma = text.find(',');
    auto dim = parse_dim(text.substr(0, comma));
    if (!dim) return std::nullopt;
    shape.push_back(*dim);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return shape;
}

// Bytes of all elements; nothing when that overflows.
std::optional<uint64_t> total_bytes(DType dtype, const std::vector<int64_t>& shape) {
  uint64_t bytes = dtype_bytes(dtype);
  for (int64_t dim : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(dim), &bytes)) return std::nullopt;
  }
  return bytes;
}

struct Head {
  size_t bytes = 0;  // everything before the elements
  std::string_view text;
};
std::optional<Head> find_head(std::string_view file) {
  if (!file.starts_with(kMagic) || file.size() < 10) return std::nullopt;
  int major = file[6];
  size_t field = major == 1 ? 2 : 4;
  if (major < 1 || major > 3 || file.size() < 8 + field) return std::nullopt;
  uint32_t length = 0;
  std::memcpy(&length, file.data() + 8, field);
  if (file.size() - 8 - field < length) return std::nullopt;
  return Head{8 + field + length, file.substr(8 + field, length)};
}

}  // namespace

Result<Array> parse_npy(std::span<const std::byte> bytes, const std::string& where) {
  auto head = find_head({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (!head) return bad_input("not a complete .npy file (format 1.0 to 3.0 expected)", where);
  auto descr = header_value(head->text, "descr");
  auto order = header_value(head->text, "fortran_order");
  auto shape_text = header_value(head->text, "shape", ')');
  auto shape = shape_text ? parse_shape(*shape_text) : std::nullopt;
  if (!descr || descr->size() < 2 || !order || !shape) {
    return bad_input("the .npy header lacks descr, fortran_order or shape", where);
  }
  std::string_view name = descr->substr(1, descr->size() - 2);
  auto dtype = dtype_of(name);
  if (!dtype) {
    return unsupported(
        fmt::format("element type '{}'; expected little-endian f4 f2 V2 (bf16) i1 u1 i2 u2 i4 u4 i8 or b1", name),
        where);
  }
  if (!order->starts_with("False")) {
    return unsupported("column-major order", where, "save numpy.ascontiguousarray(x)");
  }
  size_t found = bytes.size() - head->bytes;
  if (total_bytes(*dtype, *shape) != found) {
    return bad_input(fmt::format("{} bytes of elements do not fill shape [{}] of {}", found, fmt::join(*shape, ", "),
                                 dtype_name(*dtype)),
                     where);
  }
  return Array{*dtype, std::move(*shape), {bytes.begin() + static_cast<ptrdiff_t>(head->bytes), bytes.end()}};
}

std::vector<std::byte> print_npy(const Array& array) {
  std::string dims = fmt::format("{}", fmt::join(array.shape, ", "));
  if (array.shape.size() == 1) dims += ',';
  std::string header =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr_of(array.dtype), dims);
  size_t unpadded = 10 + header.size() + 1;
  header.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  header += '\n';
  std::string file(kMagic);
  file += {'\x01', '\x00', static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  file += header;
  std::vector<std::byte> out(file.size() + array.bytes.size());
  std::memcpy(out.data(), file.data(), file.size());
  if (!array.bytes.empty()) std::memcpy(out.data() + file.size(), array.bytes.data(), array.bytes.size());
  return out;
}

Result<Array> read_npy(const std::string& path) { return parse_npy(TRY(read_file(path)), path); }

Result<void> write_npy(const std::string& path, const Array& array, const Cancel* cancel) {
  return write_file(path, print_npy(array), cancel);
}

}  // namespace presil::runtime
