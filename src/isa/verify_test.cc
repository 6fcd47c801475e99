// Does verify() find what is wrong with an Executable as a whole, and only that?
#include <gmock/gmock.h>

#include "isa/rules.h"
#include "isa/test_programs.h"

namespace presil::isa {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

void add_wait(Program& p, Wait w) {
  Instruction& i = p.code.back();
  if (i.wait_count++ == 0) i.wait_begin = static_cast<uint32_t>(p.waits.size());
  p.waits.push_back(w);
}

// The sync queue loads x four times, the scalar queue uses each load and tells semaphore 1.
Executable example() {
  Executable e;
  e.semaphores = 2;
  e.hbm_bytes = 8192;
  e.tensors = {{"x", DType::bf16, {32, 20}, TensorRole::input, 0, 1280, {}},
               {"y", DType::fp32, {32, 20}, TensorRole::output, 2048, 2560, {}},
               {"w", DType::fp32, {4}, TensorRole::constant, 4608, 16, std::vector<std::byte>(16)},
               {"t", DType::fp32, {4}, TensorRole::scratch, 4624, 16, {}},
               {"u", DType::fp32, {8}, TensorRole::scratch, 4624, 32, {}}};
  e.layers = {{"conv", "conv", 10, 20}};
  e.sources = {{0, "load", "n"}};
  Program load = legal(Opcode::dma_copy), use = legal(Opcode::activation);
  load.code[0].signal = 0;
  load.code[0].source = 0;
  load.code[0].delta_count = 1;
  load.deltas = {{Delta::Target::operand, slots::dma_copy::dst, 0, 128}};
  load.repeats = {{0, 1, 4}};
  use.code[0].signal = 1;
  use.code[0].delta_count = 1;
  use.deltas = {{Delta::Target::wait, 0, 0, 16}};
  use.repeats = {{0, 1, 4}};
  add_wait(use, {0, 16});
  e.queues = {load, use};
  e.queues[0].code[0].engine = EngineKind::sync;
  return e;
}

std::vector<std::string> verified(const Executable& e, const spec::ChipSpec& spec = chip()) {
  std::vector<std::string> out;
  for (const Finding& f : verify(e, spec)) out.push_back(f.text());
  return out;
}

TEST(Verify, ASoundExecutable) {
  EXPECT_THAT(verified(example()), IsEmpty());
  EXPECT_THAT(verified(Executable{}), IsEmpty());
}

TEST(Verify, Settings) {
  Executable e = example();
  e.modes.cfp8_bias = 16;
  EXPECT_THAT(verified(e), ElementsAre("modes: cfp8_bias is 16, at most 15"));
  e = example();
  e.activations.assign(9, {"f", {{-INFINITY, 0, {}}}});
  EXPECT_THAT(verified(e), ElementsAre("activations: 9 tables, at most 8"));
  e.activations = {{"f", {}}};
  EXPECT_THAT(verified(e), ElementsAre("activation 'f': 0 pieces, from 1 to 4096"));
  e = example();
  e.queues[1].attributes[slots::activation::op] = static_cast<uint32_t>(Activation::custom1);
  EXPECT_THAT(verified(e), ElementsAre("queue 1, instruction 0: activation op: custom1, there are 0 tables"));
  e.activations.assign(2, {"f", {{-INFINITY, 0, {}}}});
  EXPECT_THAT(verified(e), IsEmpty());
}

TEST(Verify, Pools) {
  Executable e = example();
  e.queues[0].code[0].operand_begin = UINT32_MAX;
  e.queues[1].code[0].attribute_count = 4;
  EXPECT_THAT(verified(e),
              ElementsAre("queue 0, instruction 0: dma_copy: operands 4294967295 to 4294967298, the pool ends at 3",
                          "queue 1, instruction 0: activation: 4 attributes, the table has 5"));
}

TEST(Verify, Repeats) {
  Executable e = example();
  Program p;
  for (int i = 0; i < 6; ++i) p.append(Opcode::wait, EngineKind::vector);
  e.queues.push_back(p);
  auto with = [&](std::vector<Repeat> repeats) {
    e.queues[2].repeats = std::move(repeats);
    return verified(e);
  };
  EXPECT_THAT(with({{0, 6, 2}, {0, 3, 2}, {1, 3, 1}, {3, 6, 9}}), IsEmpty());
  EXPECT_THAT(with({{0, 7, 2}}), ElementsAre("queue 2: repeat 0: instructions 0 to 7, the queue has 6"));
  EXPECT_THAT(with({{2, 2, 2}}), ElementsAre("queue 2: repeat 0: instructions 2 to 2, the queue has 6"));
  EXPECT_THAT(with({{0, 1, 0}}), ElementsAre("queue 2: repeat 0: count 0, at least 1"));
  EXPECT_THAT(with({{0, 3, 2}, {2, 4, 2}}),
              ElementsAre("queue 2: repeat 1: instructions 2 to 4 leave the repeat of 0 to 3 around it"));
  EXPECT_THAT(with({{3, 4, 2}, {1, 2, 2}}), ElementsAre("queue 2: repeat 1: begins at 1, the one before at 3"));
}

TEST(Verify, Deltas) {
  auto with = [](Delta delta) {
    Executable e = example();
    e.queues[1].deltas.push_back(delta);
    e.queues[1].code[0].delta_count = 2;
    return verified(e);
  };
  EXPECT_THAT(with({Delta::Target::operand, slots::activation::bias, 0, 4}), IsEmpty());
  EXPECT_THAT(with({Delta::Target::operand, slots::activation::scale, 0, 4}),
              ElementsAre("queue 1, instruction 0: activation: a delta moves scale, which is absent"));
  EXPECT_THAT(with({Delta::Target::operand, 5, 0, 4}),
              ElementsAre("queue 1, instruction 0: activation: a delta names operand 5, there are 5"));
  EXPECT_THAT(with({Delta::Target::wait, 1, 0, 4}),
              ElementsAre("queue 1, instruction 0: activation: a delta names wait 1, there are 1"));
  EXPECT_THAT(with({Delta::Target::wait, 0, 1, 4}),
              ElementsAre("queue 1, instruction 0: activation: a delta names repeat level 1, 1 are around it"));
}

TEST(Verify, Queues) {
  Executable e = example();
  e.queues[0].append(Opcode::wait, EngineKind::gpsimd);
  EXPECT_THAT(verified(e),
              ElementsAre("queue 0, instruction 1: wait: is for gpsimd engine 0, the queue is for sync engine 0"));
  e = example();
  e.queues.push_back(e.queues[1]);
  EXPECT_THAT(verified(e), ElementsAre("queue 2: queue: is a second one for scalar engine 0"));
  e.queues[2].code[0].engine_index = 1;
  spec::ChipSpec two = chip();
  two.scalar.count = 2;
  EXPECT_THAT(verified(e, two), IsEmpty());
}

TEST(Verify, Semaphores) {
  Executable e = example();
  e.semaphores = 1;
  EXPECT_THAT(verified(e), ElementsAre("queue 1, instruction 0: activation: semaphore 1, the executable uses 1"));
  e.semaphores = 257;
  EXPECT_THAT(verified(e), ElementsAre("semaphores: uses 257, the core has 256"));
  e = example();
  e.queues[1].waits[0].value = 17;
  EXPECT_THAT(verified(e), ElementsAre("queue 1, instruction 0: activation: waits for semaphore 0 to reach 65, "
                                       "all signals make 64"));
  spec::ChipSpec one_engine = chip();
  one_engine.dma.engines = 1;
  EXPECT_THAT(verified(example(), one_engine),
              ElementsAre("queue 1, instruction 0: activation: waits for semaphore 0 to reach 64, all signals make 4"));
  spec::ChipSpec narrow = chip();
  narrow.semaphores.maximum = 63;
  EXPECT_THAT(verified(example(), narrow),
              ElementsAre("queue 1, instruction 0: activation wait: values 16 to 64, a semaphore counts to 63",
                          "semaphore 0: is signalled 64 times, it counts to 63"));
}

TEST(Verify, Placement) {
  Executable e = example();
  e.queues[0].views[0].base = 3;
  EXPECT_THAT(verified(e), ElementsAre("queue 0, instruction 0: dma_copy dst: is on tile or tensor 3, not placed"));
  e = example();
  e.queues[0].views[1].offset = 8000;
  EXPECT_THAT(verified(e), ElementsAre("queue 0, instruction 0: dma_copy src: ends at byte 9280, the hbm map at 8192"));
  e = example();
  e.queues[0].deltas[0] = {Delta::Target::operand, slots::dma_copy::src, 0, 2304};  // 3 * 2304 + 1280 = 8192
  EXPECT_THAT(verified(e), IsEmpty());
  e.queues[0].deltas[0].step = 2306;
  EXPECT_THAT(verified(e), ElementsAre("queue 0, instruction 0: dma_copy src: ends at byte 8198, the hbm map at 8192"));
  e = example();
  e.queues[0].code[0].source = 1;
  EXPECT_THAT(verified(e), ElementsAre("queue 0, instruction 0: dma_copy: source 1, there are 1"));
  e = example();
  e.sources[0].layer = 1;
  EXPECT_THAT(verified(e), ElementsAre("source 0: layer 1, there are 1"));
}

TEST(Verify, HbmMap) {
  auto changed = [](auto change) {
    Executable e = example();
    change(e);
    return verified(e);
  };
  EXPECT_THAT(changed([](Executable& e) { e.hbm_bytes = (1 << 30) + 1; }),
              ElementsAre("hbm: uses 1073741825 bytes, the core reaches 1073741824"));
  EXPECT_THAT(changed([](Executable& e) { e.tensors[1].address = 1276; }),
              ElementsAre("tensor 'y': begins at byte 1276, 'x' ends at 1280"));
  EXPECT_THAT(changed([](Executable& e) { e.tensors[3].address = 4620; }),
              ElementsAre("tensor 't': begins at byte 4620, 'w' ends at 4624"));
  EXPECT_THAT(changed([](Executable& e) { e.tensors[4].role = TensorRole::output; }),
              ElementsAre("tensor 'u': begins at byte 4624, 't' ends at 4640"));
  EXPECT_THAT(changed([](Executable& e) { e.tensors[1].bytes = 2559; }),
              ElementsAre("tensor 'y': 2559 bytes, its shape needs 2560"));
  EXPECT_THAT(changed([](Executable& e) { e.tensors[4].bytes = 3569; }),
              ElementsAre("tensor 'u': ends at byte 8193, the hbm map at 8192"));
  EXPECT_THAT(changed([](Executable& e) { e.tensors[0].address = 1; }),
              ElementsAre("tensor 'x': address 1 is not a multiple of the element's 2 bytes"));
  EXPECT_THAT(changed([](Executable& e) {
                e.tensors[0].shape = {32, -20};
              }),
              ElementsAre("tensor 'x': dimension -20, at least 0"));
  EXPECT_THAT(changed([](Executable& e) { e.tensors[1].name = "x"; }),
              ElementsAre("tensor 'x': is a second one of that name"));
  EXPECT_THAT(changed([](Executable& e) { e.tensors[2].data.resize(15); }),
              ElementsAre("tensor 'w': 15 bytes of data, expected 16"));
  EXPECT_THAT(changed([](Executable& e) { e.cores = 3, e.tensors[2].split_axis = 0; }),
              ElementsAre("tensor 'w': 16 bytes of data, expected 48"));
  EXPECT_THAT(changed([](Executable& e) { e.tensors[2].role = TensorRole::input; }),
              ElementsAre("tensor 'w': has data, but is input, not constant"));
}

// The scalar queue is core 1's, and core 0's loads raise its semaphore.
TEST(Verify, PairsOfCores) {
  spec::ChipSpec pairs = chip(), alone = chip();
  alone.lnc_max = 1;
  Executable e = example();
  e.lnc = 2;
  e.queues[1].core = 1;
  EXPECT_THAT(verified(e, pairs), ElementsAre("queue 1, instruction 0: activation: waits for semaphore 0 to reach 64, "
                                              "all signals make 0"));
  for (const SignalTo to : {SignalTo::peer, SignalTo::both}) {
    e.queues[0].code[0].signal_to = to;
    EXPECT_THAT(verified(e, pairs), IsEmpty());
  }
  e.queues[1].core = 0, e.queues.push_back(e.queues[1]), e.queues[2].core = 1;
  EXPECT_THAT(verified(e, pairs), IsEmpty()) << "each core has its own engines";
  EXPECT_THAT(verified(e, alone),
              ElementsAre("queue 0, instruction 0: dma_copy signal: goes to the other core of a pair, test "
                          "has none",
                          "lnc: a logical core of 2 physical cores, test has logical cores of 1"));
  e.lnc = 1;
  EXPECT_THAT(
      verified(e, pairs),
      ElementsAre("queue 0, instruction 0: dma_copy: signals the other core's semaphore 0, the executable is for "
                  "one",
                  "queue 2: queue: is for core 1 of a logical core, which has 1"));
  e.queues.pop_back();
  e.queues[0].code[0].signal_to = SignalTo::own;
  e.queues[0].views[slots::dma_copy::dst].peer = 1;
  EXPECT_THAT(
      verified(e, pairs),
      ElementsAre("queue 0, instruction 0: dma_copy dst: is in the other core's sbuf, the executable is for one "
                  "core"));
}

}  // namespace
}  // namespace presil::isa
