#include "tests/campaign/random_control.h"

namespace presil::campaign {

void ControlSteps::begin_control() {
  for (int k = 0; k < 2; ++k) known_.push_back(number());
  numbers_ = known_;
}

void ControlSteps::control() {
  switch (random.below(6)) {
    case 0:
      return void(numbers_.push_back(number()));
    case 1:
      return arithmetic();
    case 2:
      return choice();
    default:
      return loop();
  }
}

tile::Register ControlSteps::number() {
  if (chance(30)) return build.make_register(static_cast<int32_t>(random.below(kNumberMax + 1)));
  const DType t = pick({DType::int8, DType::uint8, DType::int16, DType::int32, DType::uint32});
  std::vector<std::byte> bytes(dtype_bytes(t));
  bytes[0] = static_cast<std::byte>(random.below(kNumberMax + 1));
  const std::string name = "n" + std::to_string(build.program.tensors.size());
  return build.load_register(build.whole(build.tensor(name, t, {1}, isa::TensorRole::constant, bytes)));
}
tile::Register ControlSteps::some_number() {
  if (numbers_.empty() || chance(10)) numbers_.push_back(number());
  return numbers_[random.below(numbers_.size())];
}
void ControlSteps::arithmetic() {
  const AluOp op = pick({AluOp::add, AluOp::subtract, AluOp::multiply, AluOp::max, AluOp::min, AluOp::bit_xor});
  const tile::Register a = some_number(), b = some_number();
  const tile::Register wide =
      chance(50) ? build.compute(op, a, b) : build.compute(op, a, static_cast<int32_t>(upto(9)));
  numbers_.push_back(build.compute(AluOp::bit_and, wide, static_cast<int32_t>(kNumberMax)));
  if (!chance(30)) return;
  const View to = tensor_output(pick({DType::int32, DType::int16, DType::uint8}), 1);
  build.store_register(to, wide, pick({EngineKind::sync, kS, kG, kV}));
}

void ControlSteps::inside() {
  const std::vector<tile::Register> before = numbers_;
  const auto tiles = static_cast<uint32_t>(build.program.tiles.size());
  ++depth_;
  for (uint64_t k = upto(4); k > 0; --k) any_step();
  --depth_;
  forget_from(tiles, chance(70));
  numbers_ = before;
}
void ControlSteps::loop() {
  if (depth_ == 2) return;
  const tile::Number until =
      chance(50) ? tile::Number(static_cast<int32_t>(random.below(kNumberMax + 2))) : tile::Number(some_number());
  const tile::Register counter = build.begin_loop(0, until, static_cast<int32_t>(upto(2)));
  const auto leaves = [&] {
    if (chance(15)) build.leave_unless(known_[random.below(known_.size())]);
  };
  leaves();
  counters.push_back({counter, kNumberMax});
  inside();
  counters.pop_back();
  leaves();
  build.end_loop();
}
void ControlSteps::choice() {
  if (depth_ == 2) return;
  const tile::Register a = some_number();
  const tile::Number b = chance(50) ? tile::Number(some_number()) : tile::Number(static_cast<int32_t>(random.below(4)));
  build.begin_if(pick({AluOp::eq, AluOp::ne, AluOp::lt, AluOp::le, AluOp::gt, AluOp::ge}), a, b);
  if (!chance(10)) inside();
  if (chance(50)) {
    build.begin_else();
    if (!chance(10)) inside();
  }
  build.end_if();
}

}  // namespace presil::campaign
