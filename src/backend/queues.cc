#include "backend/queues.h"

#include <algorithm>

#include "isa/slots.h"
#include "tile/instructions.h"

namespace presil::backend {

bool is_dma(const isa::Instruction& i) { return isa::is_dma(i.opcode); }

void choose_queues(tile::TileProgram& program, const spec::ChipSpec& spec, const Options& options) {
  uint32_t all = std::max(1u, spec.dma.queues);
  uint32_t loads = std::clamp(all * options.load_queues_percent / 100, 1u, std::max(1u, all - 1));
  uint32_t stores = std::max(1u, all - loads);
  uint32_t next_load = 0, next_store = 0;
  for (isa::Instruction& i : program.code.code) {
    if (i.dma_queue != tile::kAnyQueue) continue;
    bool load = program.code.operand(i, isa::slots::dma_copy::src).memory == isa::Memory::hbm &&
                program.code.operand(i, isa::slots::dma_copy::dst).memory == isa::Memory::sbuf;
    uint32_t queue = load ? next_load++ % loads : (all - stores) + next_store++ % stores;
    i.dma_queue = static_cast<uint8_t>(queue);
  }
}

}  // namespace presil::backend
