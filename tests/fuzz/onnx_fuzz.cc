// Any bytes: importing gives a sound graph or an error, in bounded memory; simplifying keeps it sound.
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"
#include "graph/simplify.h"
#include "onnx/import.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace presil;
  std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
  // No folder: external data cannot be opened.
  onnx::ImportOptions options{.double_as_fp32 = true, .folder = "/nonexistent"};
  Result<graph::Graph> imported = onnx::import_model(file, options);
  if (!imported) {
    CHECK(!imported.error().message.empty(), "an error says what is wrong");
    return 0;
  }
  CHECK(graph::verify(*imported).empty(), "an imported graph is sound");
  Result<graph::Graph> simplified = graph::simplify(*std::move(imported));
  if (simplified) CHECK(graph::verify(*simplified).empty(), "a simplified graph is sound");
  return 0;
}
