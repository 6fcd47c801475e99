#include "isa/executable.h"

namespace presil::isa {

std::string_view role_name(TensorRole r) {
  constexpr std::string_view names[] = {"input", "output", "constant", "scratch"};
  return names[static_cast<size_t>(r)];
}

Raised raised_by(const Executable& e, uint32_t core, const Instruction& i) {
  Raised out;
  if (i.signal == kNoSemaphore) return out;
  const uint32_t other = core ^ 1;
  if (i.signal_to != SignalTo::peer) out.number[static_cast<size_t>(out.count++)] = semaphore_number(e, core, i.signal);
  if (i.signal_to != SignalTo::own) out.number[static_cast<size_t>(out.count++)] = semaphore_number(e, other, i.signal);
  return out;
}

std::vector<int64_t> whole_shape(const HbmTensor& tensor, uint32_t cores) {
  std::vector<int64_t> shape = tensor.shape;
  if (tensor.split_axis != HbmTensor::kNotSplit) shape[static_cast<size_t>(tensor.split_axis)] *= cores;
  return shape;
}

uint64_t whole_bytes(const HbmTensor& tensor, uint32_t cores) {
  return tensor.split_axis == HbmTensor::kNotSplit ? tensor.bytes : tensor.bytes * cores;
}

}  // namespace presil::isa
