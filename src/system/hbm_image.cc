#include "system/hbm_image.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "system/parts.h"

namespace presil::system {
namespace {

Result<std::span<const std::byte>> find(const isa::HbmTensor& tensor, uint64_t bytes,
                                        const std::vector<Input>& inputs) {
  const Input* found = nullptr;
  for (const Input& input : inputs) {
    if (input.name != tensor.name) continue;
    if (found != nullptr) return bad_input("given twice", fmt::format("input '{}'", tensor.name));
    found = &input;
  }
  if (found == nullptr) return bad_input("no data given", fmt::format("input '{}'", tensor.name));
  if (found->bytes.size() != bytes) {
    return bad_input(fmt::format("{} bytes, expected {}", found->bytes.size(), bytes),
                     fmt::format("input '{}'", tensor.name));
  }
  return found->bytes;
}

Result<Filled> check_names(const isa::Executable& executable, const std::vector<Input>& inputs) {
  std::vector<std::string> names;
  for (const isa::HbmTensor& t : executable.tensors) {
    if (t.role == isa::TensorRole::input) names.push_back(t.name);
  }
  for (const Input& input : inputs) {
    if (std::find(names.begin(), names.end(), input.name) != names.end()) continue;
    return bad_input("the executable has no such input", fmt::format("input '{}'", input.name),
                     nearest_hint(input.name, names));
  }
  return Filled{};
}

}  // namespace

Result<Filled> fill_hbm(const isa::Executable& executable, const std::vector<Input>& inputs, uint32_t part,
                        chip::CoreMemory& memory, std::vector<std::vector<std::byte>>& storage) {
  TRY(check_names(executable, inputs));
  for (const isa::HbmTensor& t : executable.tensors) {
    const uint64_t bytes = isa::whole_bytes(t, executable.cores);
    if (t.role == isa::TensorRole::input) {
      const std::span<const std::byte> whole = TRY(find(t, bytes, inputs));
      memory.lend(t.address, part_of(t, executable.cores, part, whole, storage));
    } else if (t.role == isa::TensorRole::constant) {
      if (t.data.size() != bytes) {
        return bad_input(fmt::format("weights were not read: {} of {} bytes", t.data.size(), bytes),
                         fmt::format("tensor '{}'", t.name), "compile with data, or run without");
      }
      memory.lend(t.address, part_of(t, executable.cores, part, t.data, storage));
    }
  }
  return Filled{};
}

Result<std::vector<const isa::HbmTensor*>> fill_known(const isa::Executable& executable,
                                                      const std::vector<Input>& inputs, uint32_t part,
                                                      chip::CoreMemory& memory,
                                                      std::vector<std::vector<std::byte>>& storage) {
  TRY(check_names(executable, inputs));
  std::vector<const isa::HbmTensor*> known;
  for (const isa::HbmTensor& t : executable.tensors) {
    if (t.bytes == 0) continue;
    const bool given = std::ranges::any_of(inputs, [&](const Input& input) { return input.name == t.name; });
    const uint64_t bytes = isa::whole_bytes(t, executable.cores);
    const bool read = t.role == isa::TensorRole::constant && t.data.size() == bytes;
    if (!read && (t.role != isa::TensorRole::input || !given)) continue;
    const std::span<const std::byte> whole = read ? std::span<const std::byte>(t.data) : TRY(find(t, bytes, inputs));
    memory.lend(t.address, part_of(t, executable.cores, part, whole, storage));
    known.push_back(&t);
  }
  return known;
}

std::vector<Output> empty_outputs(const isa::Executable& executable) {
  std::vector<Output> outputs;
  for (const isa::HbmTensor& t : executable.tensors) {
    if (t.role != isa::TensorRole::output) continue;
    outputs.push_back({t.name, std::vector<std::byte>(isa::whole_bytes(t, executable.cores))});
  }
  return outputs;
}

void collect_outputs(const isa::Executable& executable, uint32_t part, chip::CoreMemory& memory,
                     std::vector<Output>& outputs) {
  auto output = outputs.begin();
  for (const isa::HbmTensor& t : executable.tensors) {
    if (t.role != isa::TensorRole::output) continue;
    const std::byte* begin = memory.hbm_at(t.address, t.address + t.bytes, false);
    join_part(t, executable.cores, part, {begin, t.bytes}, (output++)->bytes);
  }
}

}  // namespace presil::system
