// A kernel as it was traced: tensors in HBM, tiles, and instructions of the table in program order, each with the line
// of source that issued it. What a front end passes is checked here, so that everything wrong is an Error at its line.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "runtime/workload.h"
#include "spec/chip_spec.h"
#include "tile/builder.h"

namespace presil::nki {

class Recording {
 public:
  explicit Recording(std::string kernel);

  // Ids of tensors and of tiles count from 0 separately.
  uint32_t tensor(std::string name, DType dtype, std::vector<int64_t> shape, isa::TensorRole role);
  // In SBUF or PSUM, `bytes` per partition.
  uint32_t tile(isa::Memory memory, uint32_t partitions, uint32_t bytes, std::string name, tile::Builder::Place place);

  // One row of the table: its operands in order (absent ones with no memory) and its attributes' words. `line` is
  // "file:line". Errors: an operand that leaves its tile or tensor.
  Result<void> append(isa::Opcode opcode, isa::EngineKind engine, std::span<const isa::View> operands,
                      std::span<const uint32_t> attributes, const std::string& line);

  size_t instructions() const { return builder_.program.code.code.size(); }
  // Order, addresses, semaphores, DMA queues. Errors: rules of the chip that the kernel breaks, all of them, each with
  // its line; a kernel that does not fit. The recording is empty afterwards.
  Result<runtime::Workload> compile(spec::ChipSpec chip, const Cancel* cancel);

 private:
  Result<void> check(const isa::View& view, std::string_view operand, const std::string& line) const;
  tile::Builder builder_;
};

}  // namespace presil::nki
