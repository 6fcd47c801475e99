// A Trace as bytes, so that reports can be computed later: columns of variable-length integers, compressed (zstd), with
// a hash over the content. Versioned; a file of another version is refused.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "trace/trace.h"

namespace presil::trace {

std::vector<std::byte> save(const Trace& trace);

// `where` names the bytes in errors.
Result<Trace> load(std::span<const std::byte> bytes, const std::string& where);

}  // namespace presil::trace
