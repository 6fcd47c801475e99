// Random accumulations, random numbers and searches.
#pragma once
#include "tests/campaign/random_operands.h"

namespace presil::campaign {

class SpecialSteps : public Operands {
 public:
  using Operands::Operands;
  void special(isa::Opcode opcode);

 private:
  ReduceCommand accumulation();
  tile::Scalar initial(ReduceCommand command, uint32_t partitions);
  void tensor_scalar_reduce();
  void tensor_scalar_cumulative();
  void match_replace8();
  void activation_reduce();
  void random_numbers(isa::Opcode opcode);
  uint32_t groups();
  void local_gather();
  void sequence_bounds();
  void nonzero();
  void topk();
  void exponential();
  void rand2();
  void activate2();
  void dma_compute();
};

}  // namespace presil::campaign
