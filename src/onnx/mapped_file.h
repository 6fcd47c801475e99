// A file mapped for reading: only the pages that are looked at are read.
#pragma once
#include <cstddef>
#include <span>
#include <string>

#include "base/result.h"

namespace presil::onnx {

class MappedFile {
 public:
  // Errors: io, with the system's reason; a folder is refused.
  static Result<MappedFile> open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  explicit MappedFile(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes_;
};

}  // namespace presil::onnx
