// Files: read whole; written atomically, so that a failure leaves nothing half-written.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"

namespace presil::runtime {

Result<std::vector<std::byte>> read_file(const std::string& path);

// Writes beside `path` under a temporary name and renames. When cancelled nothing is left.
Result<void> write_file(const std::string& path, std::span<const std::byte> bytes, const Cancel* cancel = nullptr);
Result<void> write_file(const std::string& path, std::string_view text, const Cancel* cancel = nullptr);

// Whether the folder in which `path` would be written exists; an empty path is no file. For asking before work is done.
Result<void> check_folder_of(const std::string& path, const std::string& option);

// Creates the folder and its parents if they are not there.
Result<void> make_folder(const std::string& path);

}  // namespace presil::runtime
