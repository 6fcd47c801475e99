#include "system/executor.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "base/check.h"
#include "chip/execute.h"
#include "chip/team.h"

namespace presil::system {
namespace {

struct Here final : Executor {
  Here(const isa::Executable& executable, const spec::ChipSpec& spec, chip::CoreMemory& core_memory)
      : exe(executable), memory(core_memory), state(spec) {}

  std::string executed(const chip::Executed& e) override {
    const isa::Program& program = exe.queues[e.queue];
    chip::execute(program, program.code[e.instruction], e.offsets, memory, state);
    return state.fault;
  }
  std::string finish() override { return {}; }

  const isa::Executable& exe;
  chip::CoreMemory& memory;
  chip::ExecuteState state;
};

struct Record {
  uint32_t queue = 0, instruction = 0, operands = 0;
  std::array<int64_t, 8> offsets{};
};
using Batch = std::vector<Record>;
constexpr size_t kBatch = 64, kBatchesMax = 64;

class Behind final : public Executor {
 public:
  Behind(const isa::Executable& executable, const spec::ChipSpec& spec, chip::CoreMemory& memory, uint32_t threads,
         const Cancel* cancel)
      : here_(executable, spec, memory), cancel_(cancel), thread_([this] { work(); }) {
    for (uint32_t more = 2; more < threads; ++more) helpers_.emplace_back([this] { team_.help(); });
  }
  ~Behind() override { finish(); }

  std::string executed(const chip::Executed& e) override {
    CHECK(e.offsets.size() <= Record{}.offsets.size(), "an instruction has at most eight operands");
    Record& r = batch_.emplace_back();
    r.queue = e.queue;
    r.instruction = e.instruction;
    r.operands = static_cast<uint32_t>(e.offsets.size());
    std::copy(e.offsets.begin(), e.offsets.end(), r.offsets.begin());
    if (batch_.size() == kBatch) hand_over(false);
    return {};
  }

  std::string finish() override {
    if (thread_.joinable()) {
      hand_over(true);
      team_.help();  // nothing else to do
      thread_.join();
      for (std::thread& helper : helpers_) helper.join();
    }
    return fault_;
  }

 private:
  void hand_over(bool last) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return batches_.size() < kBatchesMax; });
    batches_.push_back(std::move(batch_));
    batch_.clear();
    ended_ = last;
    changed_.notify_all();
  }

  // After a fault, or when cancelled, nothing is executed any more, but batches are still taken.
  void work() {
    here_.state.team = &team_;
    take_batches();
    team_.close();
  }

  void take_batches() {
    while (true) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !batches_.empty() || ended_; });
      if (batches_.empty()) return;
      Batch batch = std::move(batches_.front());
      batches_.pop_front();
      changed_.notify_all();
      lock.unlock();
      for (const Record& r : batch) {
        if (!fault_.empty() || requested(cancel_)) break;
        fault_ = here_.executed({r.queue, r.instruction, {r.offsets.data(), r.operands}, {}});
      }
    }
  }

  Here here_;
  const Cancel* cancel_;
  Batch batch_;
  std::string fault_;  // of the thread, until it has ended
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> batches_;
  bool ended_ = false;
  chip::Team team_;
  std::vector<std::thread> helpers_;
  std::thread thread_;  // last: it uses everything above
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
