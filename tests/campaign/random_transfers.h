// Random transfers of rows that indices name.
#pragma once
#include "tests/campaign/random_special.h"

namespace presil::campaign {

class TransferSteps : public SpecialSteps {
 public:
  using SpecialSteps::SpecialSteps;

 protected:
  uint32_t priority() { return spec.generation < 4 ? 0 : static_cast<uint32_t>(random.below(isa::kServiceClasses)); }
  void dma_rows();
  void dma_rows_transposed();

 private:
  // first, first + step ... of partitions, and how many rows there must be, or some more.
  struct Indices {
    isa::View view;
    uint32_t rows = 0;
  };
  Indices indices(uint32_t partitions, uint32_t step, DType t);
  static isa::View as_table(isa::View tensor, uint32_t rows, uint32_t row);
};

}  // namespace presil::campaign
