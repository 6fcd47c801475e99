#include "runtime/file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

namespace presil::runtime {
namespace {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

Error io_error(const std::string& path, std::string_view what, int code) {
  return {ErrorCode::io, fmt::format("{}: {}", what, std::strerror(code)), path, {}};
}

}  // namespace

Result<std::vector<std::byte>> read_file(const std::string& path) {
  std::error_code code;
  if (std::filesystem::is_directory(path, code)) return io_error(path, "cannot be read", EISDIR);
  File file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file) return io_error(path, "cannot be read", errno);
  std::vector<std::byte> bytes;
  std::byte block[1 << 16];
  while (size_t n = std::fread(block, 1, sizeof block, file.get())) bytes.insert(bytes.end(), block, block + n);
  if (std::ferror(file.get())) return io_error(path, "cannot be read", errno);
  return bytes;
}

Result<void> write_file(const std::string& path, std::span<const std::byte> bytes) {
  std::string temporary = fmt::format("{}.{}.part", path, getpid());
  std::FILE* file = std::fopen(temporary.c_str(), "wb");
  if (file == nullptr) return io_error(path, "cannot be written", errno);
  bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  int code = errno;
  if (std::fclose(file) != 0 && written) written = false, code = errno;
  if (written && std::rename(temporary.c_str(), path.c_str()) != 0) written = false, code = errno;
  if (written) return {};
  std::remove(temporary.c_str());
  return io_error(path, "cannot be written", code);
}

Result<void> write_file(const std::string& path, std::string_view text) {
  return write_file(path, std::as_bytes(std::span(text)));
}

Result<void> check_folder_of(const std::string& path, const std::string& option) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (folder.empty() || std::filesystem::is_directory(folder, error)) return {};
  return Error{
      ErrorCode::io, fmt::format("'{}' cannot be written: there is no folder '{}'", path, folder.string()), option, {}};
}

Result<void> make_folder(const std::string& path) {
  std::error_code code;
  std::filesystem::create_directories(path, code);
  if (code) return io_error(path, "cannot be created", code.value());
  return {};
}

}  // namespace presil::runtime
