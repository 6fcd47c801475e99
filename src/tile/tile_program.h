// TileProgram: instructions on virtual SBUF/PSUM tiles and HBM tensors, in an order that is its sequential meaning.
// Compiler kernels, hand-written ones and front ends build it with tile/builder.h; backend/ turns it into an
// Executable: order, addresses, spilling, semaphores, DMA queues, encoding repeats.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "isa/executable.h"
#include "isa/program.h"

namespace presil::tile {

// A piece of SBUF or PSUM: `partitions` x `bytes` per partition. Lives from its first write to its last access.
struct Tile {
  isa::Memory memory = isa::Memory::sbuf;
  uint16_t partitions = 1;
  uint32_t bytes = 0;                       // per partition; PSUM tiles may not cross a bank
  std::optional<uint16_t> fixed_partition;  // start partition, when the maker insists; otherwise the backend's choice
  std::optional<uint32_t> fixed_offset;     // byte offset in the partition, when the maker insists
  std::string name;
};

// View::base of an SBUF or PSUM operand indexes `tiles`, of an HBM operand `tensors`; partition and offset are
// relative to it. HBM addresses are assigned by the backend. The code is flat: it has no repeats; the backend finds
// them. Loops and choices nest (tile/structure.h); their registers are numbers of the program, which the backend maps
// to those of each sequencer that needs them. An operand's delta moves it by a register times a step.
struct TileProgram {
  std::string model;
  std::string precision = "fp32";
  isa::Program code;
  std::vector<Tile> tiles;
  std::vector<isa::HbmTensor> tensors;
  std::vector<isa::Source> sources;
  std::vector<isa::Layer> layers;
  std::vector<numerics::ActivationTable> activations;  // custom0, custom1, ...
  uint32_t registers = 0;                              // used by its loops, choices and addresses
  // Extra order: instruction `after` starts only when `before` has completed.
  struct Order {
    uint32_t before = 0, after = 0;
  };
  std::vector<Order> order;
};

}  // namespace presil::tile
