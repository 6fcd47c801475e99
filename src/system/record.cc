#include "system/record.h"

#include "system/residency.h"

namespace presil::system {
namespace {

constexpr uint32_t kSlicesMax = 1024;

// The core shows an instruction to its observers and then to the sink.
class Recorder final : public chip::Observer, public trace::Sink {
 public:
  Recorder(const isa::Executable& executable, const spec::ChipSpec& spec, trace::Trace& trace)
      : trace_(trace), residency_(executable, spec), offsets_(executable.queues.size()) {}

  std::string executed(const chip::Executed& e) override {
    offsets_[e.queue].assign(e.offsets.begin(), e.offsets.end());
    return {};
  }
  void lanes(const std::vector<trace::Lane>& lanes) override { trace_.lanes(lanes); }
  uint32_t event(const trace::Event& e) override {
    const uint32_t index = trace_.event(e);
    if (e.instruction == trace::kNoInstruction) {
      residency_.prolong(e.trigger, e.end);
    } else {
      residency_.access(e.lane, e.instruction, offsets_[e.lane], e.start, e.end, index);
    }
    return index;
  }
  void finish(Time elapsed) { trace_.about.memories = residency_.finish(elapsed, kSlicesMax); }

 private:
  trace::Trace& trace_;
  Residency residency_;
  std::vector<std::vector<int64_t>> offsets_;  // by queue
};

}  // namespace

Result<RunResult> record(const isa::Executable& executable, const spec::ChipSpec& spec, Options options,
                         const std::vector<Input>& inputs, trace::Trace& trace) {
  Recorder recorder(executable, spec, trace);
  options.observer = &recorder;
  RunResult result = TRY(run(executable, spec, options, inputs, &recorder));
  recorder.finish(result.elapsed);
  return result;
}

}  // namespace presil::system
