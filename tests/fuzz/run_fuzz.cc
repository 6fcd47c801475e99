// Whole runs of arbitrary executables, in their text form: what parses is refused, or runs to its end, a fault, a
// deadlock or a limit, in the same time alone, with the checker and with data.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "isa/parse.h"
#include "spec/chip_file.h"
#include "system/run.h"

namespace {

using namespace presil;

constexpr uint64_t kHbmBytesMax = 1 << 20, kEventsMax = 20'000;

// Memories so small that making them takes no time.
const spec::ChipSpec& machine() {
  static const spec::ChipSpec spec = [] {
    spec::ChipSpec s = spec::load_chip("trn2").value();
    s.sbuf.bytes_per_partition = 8 << 10;
    s.hbm.bytes = kHbmBytesMax;
    return s;
  }();
  return spec;
}

void run(const isa::Executable& exe) {
  std::vector<std::vector<std::byte>> zeros;
  std::vector<system::Input> inputs;
  for (const isa::HbmTensor& t : exe.tensors) {
    if (t.bytes > kHbmBytesMax) return;
    if (t.role == isa::TensorRole::input) zeros.emplace_back(t.bytes), inputs.push_back({t.name, {}});
  }
  for (size_t k = 0; k < zeros.size(); ++k) inputs[k].bytes = zeros[k];
  // Branches may need inputs in runs without data, too.
  Result<system::RunResult> time = system::run(exe, machine(), {.event_limit = kEventsMax}, inputs);
  Result<system::RunResult> check = system::run(exe, machine(), {.check = true, .event_limit = kEventsMax}, inputs);
  CHECK(time.has_value() == check.has_value(), "the checker refuses nothing");
  if (!time) {
    CHECK(!time.error().message.empty(), "an error says what is wrong");
    return;
  }
  CHECK(time->trace_hash == check->trace_hash, "the checker changes no time");
  Result<system::RunResult> data = system::run(exe, machine(), {.data = true, .event_limit = kEventsMax}, inputs);
  if (data && data->outcome.ok()) CHECK(data->trace_hash == time->trace_hash, "data changes no time");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto exe = isa::parse_executable({reinterpret_cast<const char*>(data), size});
  if (exe && exe->hbm_bytes <= kHbmBytesMax) run(*exe);
  return 0;
}
