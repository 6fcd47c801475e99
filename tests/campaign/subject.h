// Programs to plant faults into: random TilePrograms and small compiled networks, on random machines.
#pragma once
#include "base/prng.h"
#include "isa/executable.h"
#include "spec/chip_spec.h"
#include "system/run.h"

namespace presil::campaign {

struct Subject {
  isa::Executable exe;
  spec::ChipSpec spec;
  std::vector<system::Output> inputs;  // by name
  std::vector<system::Input> views() const;
};

// Of a random TileProgram of up to so many instructions, besides those that give their operands values.
Subject random_subject(uint64_t seed, uint64_t steps_max);
// The same, of a program with loops, choices, work on registers and transfers by index, on a machine that has them.
Subject looping_subject(uint64_t seed);
Subject compiled_subject(uint64_t seed);  // of a random network: real kernels, repeats

std::vector<system::Output> random_inputs(const isa::Executable& exe, Prng& random);

isa::Executable without_repeats(isa::Executable executable);

}  // namespace presil::campaign
