#include "runtime/file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

namespace presil::runtime {
namespace {

// Between two looks at whether the write is cancelled.
constexpr size_t kWriteBytes = 1 << 20;

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

Error io_error(const std::string& path, std::string_view what, int code) {
  return {ErrorCode::io, fmt::format("{}: {}", what, std::strerror(code)), path, {}};
}

// A new file beside `path`; its name holds the process and a number, because threads may write the same path.
File create_beside(const std::string& path, std::string& name) {
  for (int number = 0;; ++number) {
    name = fmt::format("{}.{}.{}.part", path, getpid(), number);
    File file(std::fopen(name.c_str(), "wbx"), std::fclose);
    if (file || errno != EEXIST) return file;
  }
}

// 0 or errno; stops early when cancelled.
int write_all(std::FILE* file, std::span<const std::byte> bytes, const Cancel* cancel) {
  while (!bytes.empty() && !requested(cancel)) {
    const auto block = bytes.first(std::min(bytes.size(), kWriteBytes));
    if (std::fwrite(block.data(), 1, block.size(), file) != block.size()) return errno;
    bytes = bytes.subspan(block.size());
  }
  return 0;
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

Result<void> write_file(const std::string& path, std::span<const std::byte> bytes, const Cancel* cancel) {
  std::string temporary;
  File file = create_beside(path, temporary);
  if (!file) return io_error(path, "cannot be written", errno);
  int code = write_all(file.get(), bytes, cancel);
  if (std::fclose(file.release()) != 0 && code == 0) code = errno;
  if (code == 0 && !requested(cancel)) {
    if (std::rename(temporary.c_str(), path.c_str()) == 0) return {};
    code = errno;
  }
  std::remove(temporary.c_str());
  if (requested(cancel)) return cancelled();
  return io_error(path, "cannot be written", code);
}

Result<void> write_file(const std::string& path, std::string_view text, const Cancel* cancel) {
  return write_file(path, std::as_bytes(std::span(text)), cancel);
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
