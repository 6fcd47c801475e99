// The reader of .npy files on arbitrary bytes. What it reads must come back from the writer.
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"
#include "runtime/npy.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace presil;
  Result<runtime::Array> array = runtime::parse_npy({reinterpret_cast<const std::byte*>(data), size}, "fuzz.npy");
  if (!array) {
    CHECK(!array.error().message.empty(), "an error says what is wrong");
    return 0;
  }
  const runtime::Array again = runtime::parse_npy(runtime::print_npy(*array), "printed.npy").value();
  CHECK(again.dtype == array->dtype && again.shape == array->shape && again.bytes == array->bytes,
        "a read array comes back");
  return 0;
}
