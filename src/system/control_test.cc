// Do queues with registers, loops and branches do what their text says? Random ones against a plain interpreter, and
// loops of several engines that meet at semaphores.
#include "isa/control.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/prng.h"
#include "chip/assemble.h"
#include "isa/parse.h"
#include "isa/print.h"
#include "isa/rules.h"
#include "isa/slots.h"
#include "system/run.h"

namespace presil::system {
namespace {

using namespace chip::testing;
namespace slots = isa::slots;
using ::testing::HasSubstr;
constexpr uint32_t kWords = 32;

View word_at(int64_t address) { return view(Memory::hbm, 0, 1, address, {}, DType::int32); }

// A structured program of random instructions for one queue; reads x, writes its own y.
class Writer {
 public:
  Writer(Assembler& a, EngineKind engine, int64_t x, int64_t y, uint64_t seed)
      : a_(a), engine_(engine), x_(x), y_(y), random_(seed) {
    for (uint32_t r = 0; r < kFree; ++r) op(Opcode::register_move).word(0, r).word(2, draw(9));
    block(0);
    for (uint32_t r = 0; r < kFree; ++r) op(Opcode::register_store).operand(0, word_at(y_ + 4 * r)).word(0, r);
  }

 private:
  static constexpr uint32_t kFree = 6;  // registers; those above are masks and counters

  uint32_t draw(uint32_t n) { return static_cast<uint32_t>(random_.below(n)); }
  Assembler::Last op(Opcode o) { return a_.append(engine_, o); }
  uint32_t here() { return static_cast<uint32_t>(a_.queue(engine_).code.size()); }
  void target(uint32_t n, int slot) {
    isa::Program& p = a_.queue(engine_);
    p.attributes[p.code[n].attribute_begin + static_cast<uint32_t>(slot)] = here();
  }
  // An index below kWords in register 6.
  void index() {
    namespace s = slots::register_alu;
    op(Opcode::register_alu)
        .word(s::dst, 6)
        .word(s::op, static_cast<uint32_t>(AluOp::bit_and))
        .word(s::a, draw(kFree))
        .word(s::imm, kWords - 1);
  }
  void dynamic(Opcode o, int64_t base) {
    index();
    op(o).operand(0, word_at(base)).word(0, draw(kFree));
    a_.queue(engine_).deltas.push_back({isa::Delta::Target::operand, 0, 6, 4});
    a_.queue(engine_).deltas.back().of_register = true;
    a_.queue(engine_).code.back().delta_count = 1;
  }

  void statement(uint32_t depth) {
    static constexpr AluOp kOps[] = {AluOp::add,     AluOp::subtract, AluOp::multiply,   AluOp::max,
                                     AluOp::min,     AluOp::lt,       AluOp::ge,         AluOp::eq,
                                     AluOp::bit_and, AluOp::bit_xor,  AluOp::shift_right};
    switch (draw(depth < 3 ? 7 : 4)) {
      case 0:
        op(Opcode::register_move).word(0, draw(kFree)).word(1, draw(kFree));
        return;
      case 1: {
        namespace s = slots::register_alu;
        auto last = op(Opcode::register_alu);
        last.word(s::dst, draw(kFree)).word(s::op, static_cast<uint32_t>(kOps[draw(std::size(kOps))]));
        last.word(s::a, draw(kFree)).word(s::imm, draw(50) - 20);
        if (draw(2)) last.word(s::b, draw(kFree));
        return;
      }
      case 2:
        return dynamic(Opcode::register_load, x_);
      case 3:
        return dynamic(Opcode::register_store, y_);
      case 4:
        return loop(depth);
      case 5:
        return condition(depth);
      default: {
        const uint32_t first = here();
        const size_t repeat = a_.queue(engine_).repeats.size();
        a_.queue(engine_).repeats.push_back({first, 0, 1 + draw(3)});
        block(depth + 1);
        op(Opcode::register_move).word(0, draw(kFree)).word(1, draw(kFree));  // branches end inside
        a_.queue(engine_).repeats[repeat].last = here();
      }
    }
  }
  void block(uint32_t depth) {
    for (uint32_t n = 1 + draw(4); n-- > 0;) statement(depth);
  }
  void loop(uint32_t depth) {
    namespace s = slots::loop;
    const uint32_t bound = 10 + 2 * depth, counter = bound + 1, head = here() + 1;
    namespace m = slots::register_alu;
    op(Opcode::register_alu)
        .word(m::dst, bound)
        .word(m::op, static_cast<uint32_t>(AluOp::bit_and))
        .word(m::a, draw(kFree))
        .word(m::imm, 3);
    op(Opcode::loop)
        .word(s::counter, counter)
        .word(s::from_imm, draw(2))
        .word(s::until, bound)
        .word(s::step, 1 + draw(2));
    block(depth + 1);
    op(Opcode::register_alu).word(m::dst, draw(kFree)).word(m::a, counter).word(m::b, draw(kFree));
    op(Opcode::loop_end).word(0, head);
    target(head, s::to);
  }
  void condition(uint32_t depth) {
    namespace s = slots::branch;
    const uint32_t head = here();
    op(Opcode::branch)
        .word(s::op, static_cast<uint32_t>(draw(2) ? AluOp::gt : AluOp::eq))
        .word(s::a, draw(kFree))
        .word(s::imm, draw(4));
    block(depth + 1);
    const uint32_t skip = here();
    op(Opcode::branch);
    target(head, s::to);
    block(depth + 1);
    target(skip, s::to);
  }

  Assembler& a_;
  EngineKind engine_;
  int64_t x_, y_;
  Prng random_;
};

// One queue at a time, instruction by instruction, repeats by recursion.
struct Plain {
  const isa::Program& p;
  std::vector<int32_t>& memory;
  std::array<uint32_t, 64> r{};

  uint32_t value(uint32_t reg, uint32_t imm) const { return reg == isa::kNoRegister ? imm : r[reg]; }

  // Runs [pc, end) inside `depth` repeats.
  void run(uint32_t pc, uint32_t end, size_t depth) {
    while (pc < end) {
      std::vector<isa::Repeat> around;
      for (const isa::Repeat& repeat : p.repeats) {
        if (repeat.first <= pc && pc < repeat.last) around.push_back(repeat);
      }
      if (around.size() == depth) {
        pc = step(pc);
        continue;
      }
      const isa::Repeat& next = around[depth];
      for (uint32_t n = 0; n < next.count; ++n) run(next.first, next.last, depth + 1);
      pc = next.last;
    }
  }

  uint32_t step(uint32_t pc) {
    const isa::Instruction& i = p.code[pc];
    auto w = [&](int k) { return p.word(i, k); };
    switch (i.opcode) {
      case Opcode::register_move:
        r[w(0)] = value(w(1), w(2));
        return pc + 1;
      case Opcode::register_alu:
        r[w(0)] = *isa::register_apply(static_cast<AluOp>(w(1)), r[w(2)], value(w(3), w(4)));
        return pc + 1;
      case Opcode::branch: {
        const auto op = static_cast<AluOp>(w(0));
        if (op == AluOp::bypass) return w(4);
        return *isa::register_apply(op, r[w(1)], value(w(2), w(3))) ? w(4) : pc + 1;
      }
      case Opcode::loop:
        r[w(0)] = value(w(1), w(2));
        return static_cast<int32_t>(r[w(0)]) < static_cast<int32_t>(value(w(3), w(4))) ? pc + 1 : w(6);
      case Opcode::loop_end: {
        const isa::Instruction& head = p.code[w(0)];
        uint32_t& counter = r[p.word(head, 0)];
        counter += p.word(head, 5);
        return static_cast<int32_t>(counter) < static_cast<int32_t>(value(p.word(head, 3), p.word(head, 4))) ? w(0) + 1
                                                                                                             : pc + 1;
      }
      default: {
        int64_t at = p.operand(i, 0).offset;
        for (const isa::Delta& d : p.deltas_of(i)) at += d.step * static_cast<int32_t>(r[d.level]);
        int32_t& element = memory[static_cast<size_t>(at / 4)];
        if (i.opcode == Opcode::register_load)
          r[w(0)] = static_cast<uint32_t>(element);
        else
          element = static_cast<int32_t>(r[w(0)]);
        return pc + 1;
      }
    }
  }
};

TEST(Control, RandomQueuesDoWhatAPlainInterpreterDoes) {
  uint64_t instructions = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    Assembler a;
    const int64_t x = a.tensor("x", isa::TensorRole::input, kWords);
    a.exe.tensors[0].dtype = DType::int32;
    const EngineKind engines[] = {EngineKind::vector, EngineKind::sync};
    for (size_t e = 0; e < 2; ++e) {
      const int64_t y = a.tensor("y" + std::to_string(e), isa::TensorRole::output, kWords);
      a.exe.tensors.back().dtype = DType::int32;
      for (uint32_t k = 0; k < kWords; ++k) {
        if (k == 0) a.append(engines[e], Opcode::register_move).word(0, 9);
        a.append(engines[e], Opcode::register_store).operand(0, word_at(y + 4 * k)).word(0, 9);
      }
      Writer(a, engines[e], x, y, 2 * seed + e);
    }
    spec::ChipSpec spec = round_chip();
    spec.sequencer.register_operation = 8 * kNanosecond;
    for (const isa::Program& p : a.exe.queues) {
      const auto found = isa::check_control(p, 64);
      ASSERT_TRUE(found.empty()) << "seed " << seed << ": " << found[0].text() << isa::print(p);
    }
    Prng random(seed);
    std::vector<int32_t> memory(3 * kWords);
    for (uint32_t k = 0; k < kWords; ++k) memory[k] = static_cast<int32_t>(random.below(60)) - 25;
    const std::vector<int32_t> input(memory.begin(), memory.begin() + kWords);
    const std::vector<Input> given{{"x", std::as_bytes(std::span(input))}};
    Result<RunResult> with = run(a.exe, spec, {.data = true, .check = true}, given);
    Result<RunResult> without = run(a.exe, spec, {}, given);
    ASSERT_TRUE(with && without) << (with ? without : with).error().text();
    ASSERT_TRUE(with->outcome.ok()) << "seed " << seed << ": " << chip::outcome_text(with->outcome);
    EXPECT_EQ(with->trace_hash, without->trace_hash) << "seed " << seed;
    for (EngineKind e : engines) {
      const isa::Program& p = a.queue(e);
      Plain{p, memory}.run(0, static_cast<uint32_t>(p.code.size()), 0);
    }
    for (size_t e = 0; e < 2; ++e) {
      EXPECT_EQ(std::memcmp(with->outputs[e].bytes.data(), memory.data() + (e + 1) * kWords, kWords * 4), 0)
          << "seed " << seed << " queue " << e << "\n"
          << isa::print(a.queue(engines[e]));
    }
    instructions += with->counters.instructions;
    if (HasFailure()) return;
  }
  EXPECT_GT(instructions, 50'000u);
}

// vector: x += 1 in every iteration; sync stores x after each of them to its own row of y.
std::string rows_program(std::string_view vector_wait, std::string_view store_wait) {
  return fmt::format(R"(presil executable 1
chip "round" 0000000000000000
model "rows"
precision "fp32"
semaphores 3
hbm_bytes 4096
queue {{
  vector register_load dst=r1 src=hbm.int32[] source=0
  vector register_move dst=r2
  vector memset dst=sbuf.fp32[4] signal=s2
  vector loop counter=r0 until=r1 to=7 source=0
  vector tensor_scalar dst=sbuf.fp32[4] data=sbuf.fp32[4] op0=add imm0=1 wait=s2>=1{{r0+1}}{} signal=s0
  vector register_alu dst=r2 a=r2 imm=4
  vector loop_end to=3
  vector wait
}}
queue {{
  sync register_load dst=r1 src=hbm.int32[] source=0
  sync loop counter=r0 until=r1 to=4 source=0
  sync dma_copy dst=hbm.fp32[@64 4]{{r0+16}} src=sbuf.fp32[4] {} signal=s1
  sync loop_end to=1
}}
layer 0 "l" "k" macs=0 bytes=0
source 0 layer=0 "count" "rows"
tensor input "n" int32[] address=0 bytes=4
tensor output "y" fp32[64] address=64 bytes=256
)",
                     vector_wait, store_wait);
}
// The vector engine waits for its own last result, and for the stores of all iterations before.
constexpr std::string_view kVectorWait = " wait=s1>=0{r2+1}", kStoreWait = "wait=s0>=1{r0+1}";

isa::Executable rows(std::string_view vector_wait = kVectorWait, std::string_view store_wait = kStoreWait) {
  std::string text = rows_program(vector_wait, store_wait);
  // s2 counts the memset only: the results of the loop raise s0.
  text.replace(text.find("wait=s2>=1{r0+1}"), 16, "wait=s2>=1 wait=s0>=0{r0+1}");
  Result<isa::Executable> e = isa::parse_executable(text, "rows.txt");
  EXPECT_TRUE(e) << e.error().text();
  return *e;
}

Result<RunResult> run_rows(const isa::Executable& exe, int32_t n, Options options = {.data = true, .check = true}) {
  return run(exe, round_chip(), options, {{"n", std::as_bytes(std::span(&n, 1))}});
}

TEST(Control, WaitsAndAddressesFollowRegisters) {
  const isa::Executable exe = rows();
  EXPECT_EQ(isa::verify(
                exe,
                [] {
                  auto s = round_chip();
                  s.sbuf.partitions = 128;
                  return s;
                }(),
                isa::Waits::can_end)
                .size(),
            0u);
  for (int32_t n : {0, 1, 5, 16}) {
    Result<RunResult> r = run_rows(exe, n);
    ASSERT_TRUE(r) << r.error().text();
    EXPECT_TRUE(r->outcome.ok()) << chip::outcome_text(r->outcome);
    for (int k = 0; k < 16; ++k) {
      float value = 0;
      std::memcpy(&value, r->outputs[0].bytes.data() + 16 * k, 4);
      EXPECT_EQ(value, k < n ? static_cast<float>(k + 1) : 0.0f) << n << " " << k;
    }
    EXPECT_EQ(run_rows(exe, n, {})->trace_hash, r->trace_hash);
    EXPECT_EQ(run(exe, round_chip(), {.assume = {{"rows", static_cast<uint32_t>(n)}}})->trace_hash, r->trace_hash);
  }
}

TEST(Control, TheCheckerSeesWhatALoopDoesNotWaitFor) {
  Result<RunResult> r = run_rows(rows("", kStoreWait), 5);
  ASSERT_TRUE(r);
  EXPECT_EQ(r->outcome.kind, chip::Outcome::Kind::race);
  EXPECT_THAT(r->outcome.detail, HasSubstr("no semaphore orders it after"));
  r = run_rows(rows(kVectorWait, "wait=s0>=1"), 5);
  ASSERT_TRUE(r);
  EXPECT_EQ(r->outcome.kind, chip::Outcome::Kind::race);
}

TEST(Control, WhatGoesWrongIsSaid) {
  Result<RunResult> r = run_rows(rows(), 17);
  ASSERT_TRUE(r);
  EXPECT_EQ(r->outcome.kind, chip::Outcome::Kind::done) << "rows beyond y are still in HBM";
  isa::Executable small = rows();
  small.hbm_bytes = 320;
  r = run_rows(small, 17);
  ASSERT_TRUE(r);
  EXPECT_EQ(chip::outcome_text(r->outcome),
            "fault: sync instruction 2 (unknown source): dma_copy dst touches bytes [320, 336) of hbm; the executable "
            "uses 320 bytes");
  r = run_rows(rows(), 1000, {.jumps_max = 10});
  ASSERT_TRUE(r);
  EXPECT_EQ(r->outcome.kind, chip::Outcome::Kind::loop_limit);
  EXPECT_THAT(r->outcome.detail,
              HasSubstr("(loop_end) jumps back for the 11th time of all: more than the limit of 10"));
  Result<RunResult> unknown = run(rows(), round_chip(), {});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().text(),
            "rows: the program goes on by a value that a run without data does not know (count of rows (layer l)) "
            "(--assume 'rows=N', an --input that it follows from, or a run with data)");
  Result<RunResult> other = run(rows(), round_chip(), {.assume = {{"row", 3}}});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().text(),
            "assumed node 'row': no branch or loop of the program stems from it (did you mean 'rows'?)");
  isa::Executable halted = rows();
  halted.queues[1].append(Opcode::halt, EngineKind::sync);
  r = run_rows(halted, 1);
  ASSERT_TRUE(r);
  EXPECT_EQ(chip::outcome_text(r->outcome),
            "fault: sync instruction 4 (unknown source): sync instruction 4 (halt) stops the machine");
}

}  // namespace
}  // namespace presil::system
