// A kernel as it was traced: tensors in HBM, tiles, and instructions of the table in program order, each with the line
// of source that issued it. What a front end passes is checked here, so that everything wrong is an Error at its line.
#pragma once
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "runtime/workload.h"
#include "spec/chip_spec.h"
#include "tile/builder.h"

namespace presil::nki {

// A view, so many bytes further for each unit of a register.
struct Move {
  uint32_t reg = 0;
  int64_t bytes = 0;
};
struct Operand {
  isa::View view{};
  std::vector<Move> moves{};
};

class Recording {
 public:
  explicit Recording(std::string kernel);

  // Ids of tensors and of tiles count from 0 separately.
  uint32_t tensor(std::string name, DType dtype, std::vector<int64_t> shape, isa::TensorRole role);
  // In SBUF or PSUM, `bytes` per partition.
  uint32_t tile(isa::Memory memory, uint32_t partitions, uint32_t bytes, std::string name, tile::Builder::Place place);

  // One row of the table: its operands in order (absent ones with no memory) and its attributes' words. `line` is
  // "file:line". Returns its number. Errors: an operand that leaves its tile or tensor.
  Result<uint32_t> append(isa::Opcode opcode, isa::EngineKind engine, std::span<const Operand> operands,
                          std::span<const uint32_t> attributes, const std::string& line);
  // Instruction `after` starts only when `before` has completed.
  void order(uint32_t before, uint32_t after) { builder_.order(before, after); }

  // Registers by number; `tile::Number` is one of them or a constant. What moves and what loops is checked when they
  // end (tile/verify.h), where addresses lie when they run.
  uint32_t make_register(const std::string& line);
  void assign(uint32_t to, tile::Number value, const std::string& line);
  Result<void> load_register(uint32_t to, const Operand& element, const std::string& line);
  Result<void> store_register(const Operand& element, uint32_t from, const std::string& line);
  // Loops on the device: the counter's register.
  uint32_t begin_loop(tile::Number from, tile::Number until, int32_t step, const std::string& line);
  void leave_unless(uint32_t condition, const std::string& line);
  void end_loop(const std::string& line);

  size_t instructions() const { return builder_.program.code.code.size(); }
  // Order, addresses, semaphores, DMA queues. Errors: rules of the chip that the kernel breaks, all of them, each with
  // its line; a kernel that does not fit. The recording is empty afterwards.
  Result<runtime::Workload> compile(spec::ChipSpec chip, const Cancel* cancel);
  // The same of a kernel on the two cores of a pair, as each of them traced it (backend/lower_pair.h). Both recordings
  // are empty afterwards.
  static Result<runtime::Workload> compile_pair(Recording& first, Recording& second, spec::ChipSpec chip,
                                                const Cancel* cancel);

 private:
  Result<void> check(const Operand& operand, std::string_view name, const std::string& line) const;
  isa::ByteRange reach(const Operand& operand) const;
  isa::View placed(const Operand& operand);

  struct Interval {
    int64_t low = 0, high = 0;  // what a counter's register may hold
  };
  tile::Builder builder_;
  std::map<uint32_t, Interval> counters_;  // those of constant loops
};

}  // namespace presil::nki
