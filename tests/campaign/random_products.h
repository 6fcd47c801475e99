// Random products of the tensor engine beyond the plain ones, and operands for them.
#pragma once
#include "tests/campaign/random_transfers.h"

namespace presil::campaign {

class ProductSteps : public TransferSteps {
 public:
  using TransferSteps::TransferSteps;
  void matmul_double_row();
  void matmul_tiled();
  void matmul_hinted();
  void matmul_mx();
  void matmul_sparse();
  void quantize_mx();

 private:
  DType result_type();
  uint32_t moving_columns();
  View in_parts(DType t, uint32_t partitions, uint32_t parts, uint32_t n);
  View at_partition(Memory m, DType t, uint32_t start, Shape s);
  View scales(uint32_t data_partitions, uint32_t columns);
  uint32_t tile_size(uint32_t whole);
};

}  // namespace presil::campaign
