// The reader of saved traces on arbitrary bytes. The hash would stop nearly every mutation at the door, so the input is
// read twice: as a file, and as the content of one, sealed properly. What loads must come back from save().
#include <zstd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "base/check.h"
#include "base/hash.h"
#include "trace/save.h"

namespace {

using presil::trace::Trace;

void check_file(std::span<const std::byte> file) {
  presil::Result<Trace> trace = presil::trace::load(file, "fuzz");
  if (!trace) return;
  const std::vector<std::byte> saved = presil::trace::save(*trace);
  CHECK(presil::trace::save(presil::trace::load(saved, "saved").value()) == saved, "a loaded trace comes back");
}

// The header of trace/save.cc: magic, version, bytes and hash of the content.
std::vector<std::byte> sealed(std::span<const std::byte> content) {
  const uint64_t header[] = {0, 2, content.size(), presil::hash_bytes(content)};
  std::vector<std::byte> file(sizeof header + ZSTD_compressBound(content.size()));
  std::memcpy(file.data(), header, sizeof header);
  std::memcpy(file.data(), "presiltr", 8);
  file.resize(sizeof header + ZSTD_compress(file.data() + sizeof header, file.size() - sizeof header, content.data(),
                                            content.size(), 1));
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::span<const std::byte> input(reinterpret_cast<const std::byte*>(data), size);
  check_file(input);
  check_file(sealed(input));
  return 0;
}
