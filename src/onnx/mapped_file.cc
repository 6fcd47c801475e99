#include "onnx/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace presil::onnx {
namespace {

Error io_error(const std::string& path, std::string_view reason) {
  return {ErrorCode::io, fmt::format("cannot be read: {}", reason), path, {}};
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path) {
  int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return io_error(path, std::strerror(errno));
  struct stat status {};
  int failed = ::fstat(file, &status);
  if (failed != 0 || !S_ISREG(status.st_mode)) {
    ::close(file);
    return io_error(path, "it is not a regular file");
  }
  size_t size = static_cast<size_t>(status.st_size);
  // An empty file cannot be mapped; it is an empty span.
  void* address = size == 0 ? nullptr : ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  int reason = errno;
  ::close(file);
  if (address == MAP_FAILED) return io_error(path, std::strerror(reason));
  return MappedFile({static_cast<const std::byte*>(address), size});
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace presil::onnx
