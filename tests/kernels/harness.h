// Runs a TileProgram as its sequential meaning says: every tile at a place of its own, instructions in order, never
// written bytes NaN. Every instruction must keep the rules of the chip.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/prng.h"
#include "kernels/hbm.h"
#include "kernels/kernels.h"

namespace presil::testing {

using Extents = std::vector<int64_t>;

int64_t volume(const Extents& shape);

// A tensor on the host. Indices are checked.
struct Tensor {
  Extents shape;
  std::vector<float> values;
  explicit Tensor(Extents s = {}) : shape(std::move(s)), values(static_cast<size_t>(volume(shape))) {}
  float& at(const Extents& index);
  float at(const Extents& index) const;
};

// Calls fn with every index of `shape`, row-major.
void for_each_index(const Extents& shape, const std::function<void(const Extents&)>& fn);
Tensor random_tensor(Prng& prng, const Extents& shape, DType dtype);  // about normal, rounded to dtype
// As random_tensor, integers in [low, high].
Tensor random_integers(Prng& prng, const Extents& shape, int64_t low, int64_t high);

struct Chip {
  std::string name;
  spec::ChipSpec spec;
};
// trn2 and variations: generation 2, arrays of 64 and 256, small banks.
const std::vector<Chip>& chips();
const spec::ChipSpec& trn2();

// Rows of axis 2; all of them by default.
struct Rows {
  int64_t begin = 0, count = -1;
};

// A program under construction with inputs from and outputs to the host.
class Machine {
 public:
  explicit Machine(const spec::ChipSpec& spec);
  Machine(const Machine&) = delete;

  tile::Builder build;
  kernels::Context context;

  // A block with the values of a tensor, loaded from HBM. `strided` leaves gaps and another order between free axes.
  kernels::Block input(const Tensor& tensor, DType dtype, int partition_axis, Rows rows = {}, bool strided = false);
  kernels::Block block(DType dtype, const Extents& shape, int partition_axis, Rows rows = {}, bool strided = false);
  // Marks a block's values as a result.
  void output(const kernels::Block& block);
  // A result that the program itself stores.
  kernels::HbmView stored_output(const Extents& shape);

  // Runs everything; results in the order of output(). Failures of rules are test failures.
  std::vector<Tensor> run();
  size_t instructions() const { return build.program.code.code.size(); }

 private:
  spec::ChipSpec spec_;
  std::vector<uint32_t> outputs_;
};

// Largest |actual - expected| over the root mean square of expected (1 if that is 0) is at most `tolerance`.
void expect_close(const Tensor& actual, const Tensor& expected, double tolerance);

// Relative error of rounding once to `dtype`, a few times over.
double tolerance_of(DType dtype);

}  // namespace presil::testing
