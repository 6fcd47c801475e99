// Loops, choices and work on registers, for random programs: what they contain is drawn by whoever derives from this.
#pragma once
#include "tests/campaign/random_products.h"

namespace presil::campaign {

class ControlSteps : public ProductSteps {
 public:
  using ProductSteps::ProductSteps;
  virtual ~ControlSteps() = default;

 protected:
  virtual void any_step() = 0;
  void begin_control();  // before everything else
  void control();

 private:
  // A register of 0 to kNumberMax: a constant, from memory, or computed.
  static constexpr uint32_t kNumberMax = 3;
  tile::Register number();
  tile::Register some_number();
  void arithmetic();
  void inside();  // steps whose tiles and registers nobody knows behind them: they may not have run
  void loop();
  void choice();

  std::vector<tile::Register> numbers_;
  std::vector<tile::Register> known_;  // from the beginning: nothing may stand before a branch that leaves at once
  int depth_ = 0;                      // of loops and choices
};

}  // namespace presil::campaign
