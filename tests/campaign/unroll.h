// What the queues of an Executable execute, as a program without branches, registers and repeats: one legal order of
// events, instruction by instruction, with values from the plain semantics (chip/execute_reference.h). Nothing knows of
// time, of shares of a transfer, or of the chip's sequencers.
//
// If no two accesses of that program race, every legal order takes the same way: a first branch or address that
// differed would stem from a register loaded with another value, by a race among instructions that both orders have.
#pragma once
#include <string>
#include <vector>

#include "isa/executable.h"
#include "spec/chip_spec.h"
#include "system/run.h"

namespace presil::campaign {

struct Unrolled {
  enum class End : uint8_t {
    done,
    stuck,        // queues wait for ever; what they wait at is their last instruction
    endless,      // more jumps back than allowed
    outside,      // an access leaves its memory
    meaningless,  // an instruction cannot work on what it reads (meaning.h)
  };
  End end = End::done;
  std::string why;
  bool unspecified = false;  // a product of no permutation, or two results that share bytes: any will do
  uint64_t jumps = 0;        // back
  isa::Executable flat;
  std::vector<system::Output> outputs;  // if done
};

// `inputs` for every input tensor. The executable is legal for `spec` and has no exchanges; of a pair's instructions
// none keeps registers of its engine (accumulators, random numbers).
Unrolled unroll(const isa::Executable& executable, const spec::ChipSpec& spec, const std::vector<system::Input>& inputs,
                uint64_t jumps_max);

}  // namespace presil::campaign
