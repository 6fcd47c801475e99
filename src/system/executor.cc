#include "system/executor.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "chip/execute.h"
#include "chip/places.h"
#include "chip/scoreboard.h"
#include "isa/control.h"

namespace presil::system {
namespace {

struct Here final : Executor {
  Here(const isa::Executable& executable, const spec::ChipSpec& spec, chip::CoreMemory& core_memory)
      : exe(executable),
        memory(core_memory),
        states(executable.lnc, chip::ExecuteState(spec, executable)),
        counts(executable.queues.size()) {}

  std::string executed(const chip::Executed& e) override {
    const isa::Program& program = exe.queues[e.queue];
    if (isa::is_control(program.code[e.instruction].opcode)) return {};
    const uint64_t execution = chip::execution_number(e.queue, counts[e.queue]++);
    chip::ExecuteState& state = states[program.core];
    chip::execute(program, program.code[e.instruction], e.offsets, memory, state, execution);
    return state.fault;
  }
  std::string finish() override { return {}; }

  const isa::Executable& exe;
  chip::CoreMemory& memory;
  std::vector<chip::ExecuteState> states;  // by physical core
  std::vector<uint64_t> counts;            // of instructions executed, by queue
};

struct Record {
  uint32_t queue = 0, instruction = 0, operands = 0;
  std::array<int64_t, chip::kMaxOperands> offsets{};
};
using Batch = std::vector<Record>;
constexpr size_t kBatch = 64, kBatchesMax = 64;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// For what is held for a microsecond: going to sleep for it would take longer.
class ShortMutex {
 public:
  void lock() {
    while (held_.test_and_set(std::memory_order_acquire)) {
      for (int spins = 0; held_.test(std::memory_order_relaxed); ++spins) {
        constexpr int kSpins = 2000;  // then its holder has probably lost its processor
        spins < kSpins ? pause() : std::this_thread::yield();
      }
    }
  }
  void unlock() { held_.clear(std::memory_order_release); }

 private:
  std::atomic_flag held_;
};

// Counts changes; who waits for one spins a while, as most changes are some microseconds away, and then sleeps.
class Changes {
 public:
  uint32_t seen() const { return count_.load(std::memory_order_acquire); }
  void announce() {
    count_.fetch_add(1, std::memory_order_release);
    count_.notify_all();
  }
  void wait(uint32_t seen) const {
    constexpr int kSpins = 10000;
    for (int spins = 0; spins < kSpins; ++spins) {
      if (count_.load(std::memory_order_acquire) != seen) return;
      pause();
    }
    count_.wait(seen, std::memory_order_acquire);
  }

 private:
  std::atomic<uint32_t> count_{0};
};

// The core's thread hands instructions over in batches. Everybody, it too when it has nothing else to do, takes them
// from the scoreboard; whoever looks for work refills the scoreboard first.
class Behind final : public Executor {
 public:
  Behind(const isa::Executable& executable, const spec::ChipSpec& spec, chip::CoreMemory& memory, uint32_t threads,
         const Cancel* cancel)
      : exe_(executable),
        memory_(memory),
        cancel_(cancel),
        counts_(executable.queues.size()),
        registers_(executable.lnc, chip::Registers(spec, executable)) {
    for (uint32_t t = 1; t < threads; ++t) workers_.emplace_back([this] { work(*chip::make_scratch(), false); });
  }
  ~Behind() override { finish(); }

  std::string executed(const chip::Executed& e) override {
    CHECK(e.offsets.size() <= Record{}.offsets.size(), "an instruction has at most this many operands");
    if (exe_.queues[e.queue].code[e.instruction].opcode == isa::Opcode::wait) return {};
    Record& r = batch_.emplace_back();
    r.queue = e.queue;
    r.instruction = e.instruction;
    r.operands = static_cast<uint32_t>(e.offsets.size());
    std::copy(e.offsets.begin(), e.offsets.end(), r.offsets.begin());
    if (batch_.size() == kBatch) {
      hand_over(false);
      work(*own_scratch_, true);
    }
    return {};
  }

  std::string finish() override {
    if (!workers_.empty()) {
      hand_over(true);
      work(*own_scratch_, false);
      for (std::thread& worker : workers_) worker.join();
      workers_.clear();
    }
    return fault_;
  }

 private:
  void hand_over(bool last) {
    const std::scoped_lock lock(mutex_);
    batches_.push_back(std::exchange(batch_, {}));
    ended_ = last;
    changes_.announce();
  }

  // Executes until everything is done, or, `until_room`, until the core may run ahead again.
  void work(chip::ExecuteScratch& scratch, bool until_room) {
    std::unique_lock<ShortMutex> lock(mutex_);
    while (!(until_room && batches_.size() < kBatchesMax)) {
      refill();
      if (board_.ready()) {
        const uint32_t slot = board_.take();
        if (board_.ready()) changes_.announce();
        const bool skip = !fault_.empty() || requested(cancel_);
        lock.unlock();
        chip::Registers& registers = registers_[bound_[slot].program->core];
        std::string fault = skip ? std::string() : chip::execute(bound_[slot], registers, scratch);
        lock.lock();
        if (fault_.empty()) fault_ = std::move(fault);
        board_.finish(slot);
      } else if (ended_ && batches_.empty() && board_.empty()) {
        return changes_.announce();
      } else {
        const uint32_t seen = changes_.seen();
        lock.unlock();
        changes_.wait(seen);
        lock.lock();
      }
    }
  }

  void refill() {
    while (!board_.full() && !batches_.empty()) {
      const Batch& batch = batches_.front();
      if (next_ == batch.size()) {
        batches_.pop_front();
        next_ = 0;
        if (batches_.size() + 1 == kBatchesMax) changes_.announce();
        continue;
      }
      enter(batch[next_++]);
    }
  }

  void enter(const Record& r) {
    if (!fault_.empty()) return;
    const isa::Program& program = exe_.queues[r.queue];
    chip::Bound bound;
    bound.execution = chip::execution_number(r.queue, counts_[r.queue]++);
    fault_ = chip::bind(program, program.code[r.instruction], {r.offsets.data(), r.operands}, memory_, bound);
    if (fault_.empty()) bound_[board_.enter(chip::boxes_of(bound).all())] = bound;
  }

  const isa::Executable& exe_;
  chip::CoreMemory& memory_;
  const Cancel* cancel_;
  Batch batch_;
  std::vector<uint64_t> counts_;  // of instructions executed, by queue; waits do not count
  std::shared_ptr<chip::ExecuteScratch> own_scratch_ = chip::make_scratch();

  ShortMutex mutex_;  // of what follows
  Changes changes_;
  std::deque<Batch> batches_;
  size_t next_ = 0;  // in the first batch
  bool ended_ = false;
  std::string fault_;
  chip::Scoreboard board_;
  std::array<chip::Bound, chip::Scoreboard::kSlots> bound_;  // by slot; read without the mutex while it is executed

  std::vector<chip::Registers> registers_;  // by physical core
  std::vector<std::thread> workers_;        // last: they use everything above
};

}  // namespace

std::unique_ptr<Executor> execute_here(const isa::Executable& executable, const spec::ChipSpec& spec,
                                       chip::CoreMemory& memory) {
  return std::make_unique<Here>(executable, spec, memory);
}

std::unique_ptr<Executor> execute_behind(const isa::Executable& executable, const spec::ChipSpec& spec,
                                         chip::CoreMemory& memory, uint32_t threads, const Cancel* cancel) {
  return std::make_unique<Behind>(executable, spec, memory, threads, cancel);
}

}  // namespace presil::system
