// What a TileProgram means, as plainly as possible: tiles and tensors lie side by side in memories of any size,
// instructions run one after the other in the program's order (chip/execute_reference.h), nothing knows of queues,
// semaphores, addresses or time.
#pragma once
#include <string>
#include <vector>

#include "system/run.h"
#include "tile/tile_program.h"

namespace presil::campaign {

struct PlainResult {
  std::vector<system::Output> outputs;  // by tensor, as a run gives them
  std::string undefined;                // why the program has no meaning; empty if it has one
  std::vector<uint64_t> executed;       // by opcode
};

// `inputs` for every input tensor. The program has passed tile::verify for `spec`.
PlainResult interpret(const tile::TileProgram& program, const spec::ChipSpec& spec,
                      const std::vector<system::Input>& inputs);

}  // namespace presil::campaign
