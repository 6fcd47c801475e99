// How many instructions per second the core runs without data, on one host core: a pipeline with about the mix of a
// convolutional network (per output tile nine matmuls, a copy out of PSUM, an activation, a load and a store).
#include <benchmark/benchmark.h>

#include "chip/assemble.h"
#include "chip/checker.h"
#include "chip/core.h"
#include "spec/chip_file.h"

namespace presil::chip {
namespace {

using namespace testing;
using Target = isa::Delta::Target;

Assembler convolution(uint32_t tiles, uint32_t shares) {
  enum Semaphore : uint16_t { kWeights, kLoaded, kProduct, kCopied, kActivated, kStored };
  Assembler a;
  int64_t x = a.tensor("x", isa::TensorRole::input, 128 * 512);
  int64_t out = a.tensor("out", isa::TensorRole::output, 128 * 512);
  int64_t w = a.tensor("w", isa::TensorRole::constant, 128 * 9 * 128);
  a.dma(EngineKind::sync, sbuf(128, 65536, 9 * 128), hbm(w, 128 * 9 * 128)).signal(kWeights);
  a.dma(EngineKind::sync, sbuf(128, 0, 512), hbm(x, 128 * 512))
      .wait(kProduct, 0)
      .grow(Target::wait, 0, 0, 1)
      .signal(kLoaded);
  a.repeat(EngineKind::sync, 1, tiles);
  for (int k = 0; k < 9; ++k) {
    auto m = a.matmul(psum(128, 0, 512), sbuf(128, 65536 + 512 * k, 128), sbuf(128, 0, 512), k > 0);
    if (k == 0) {
      m.wait(kLoaded, shares)
          .wait(kCopied, 0)
          .wait(kWeights, shares)
          .grow(Target::wait, 0, 0, shares)
          .grow(Target::wait, 1, 0, 1);
    }
    if (k == 8) m.signal(kProduct);
  }
  a.repeat(EngineKind::tensor, 9, tiles);
  a.copy(EngineKind::vector, sbuf(128, 4096, 512), psum(128, 0, 512))
      .wait(kProduct, 1)
      .wait(kActivated, 0)
      .grow(Target::wait, 0, 0, 1)
      .grow(Target::wait, 1, 0, 1)
      .signal(kCopied);
  a.repeat(EngineKind::vector, 1, tiles);
  a.activation(Activation::silu, sbuf(128, 8192, 512), sbuf(128, 4096, 512))
      .wait(kCopied, 1)
      .wait(kStored, 0)
      .grow(Target::wait, 0, 0, 1)
      .grow(Target::wait, 1, 0, shares)
      .signal(kActivated);
  a.repeat(EngineKind::scalar, 1, tiles);
  a.dma(EngineKind::gpsimd, hbm(out, 128 * 512), sbuf(128, 8192, 512), 1)
      .wait(kActivated, 1)
      .grow(Target::wait, 0, 0, 1)
      .signal(kStored);
  a.repeat(EngineKind::gpsimd, 1, tiles);
  return a;
}

void simulate(benchmark::State& state, bool checked) {
  const spec::ChipSpec spec = *spec::load_chip("trn2");
  const Assembler a = convolution(10'000, spec.dma.engines);
  const Loaded loaded = *load(a.exe, spec);
  uint64_t instructions = 0, events = 0;
  for (auto _ : state) {
    Checker checker(a.exe, spec);
    CoreOptions options;
    if (checked) options.observers = {&checker};
    CoreResult r = run_core(a.exe, loaded, spec, options, nullptr);
    CHECK(r.outcome.ok() && checker.findings().empty(), outcome_text(r.outcome));
    instructions += r.counters.instructions;
    events += r.counters.events;
  }
  state.SetItemsProcessed(static_cast<int64_t>(instructions));
  state.counters["events/instruction"] = static_cast<double>(events) / static_cast<double>(instructions);
}
void BM_Simulate(benchmark::State& state) { simulate(state, false); }
void BM_SimulateChecked(benchmark::State& state) { simulate(state, true); }
BENCHMARK(BM_Simulate);
BENCHMARK(BM_SimulateChecked);

}  // namespace
}  // namespace presil::chip

BENCHMARK_MAIN();
