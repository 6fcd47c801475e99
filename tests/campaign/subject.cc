#include "tests/campaign/subject.h"

#include <algorithm>
#include <cstring>

#include "backend/lower.h"
#include "backend/repeats.h"
#include "base/prng.h"
#include "compiler/compile.h"
#include "graph/host_tensor.h"
#include "isa/control.h"
#include "numerics/convert.h"
#include "tests/campaign/random_chip.h"
#include "tests/campaign/random_tile_program.h"
#include "tests/compiler/random_graph.h"

namespace presil::campaign {
namespace {

constexpr uint64_t kInstructionsMax = 250;

uint64_t executed(const isa::Executable& exe) {
  uint64_t total = 0;
  for (const isa::Program& queue : exe.queues) total += isa::executed_count(queue);
  return total;
}

}  // namespace

std::vector<system::Input> Subject::views() const {
  std::vector<system::Input> out;
  for (const system::Output& o : inputs) out.push_back({o.name, o.bytes});
  return out;
}

std::vector<system::Output> random_inputs(const isa::Executable& exe, Prng& random) {
  std::vector<system::Output> inputs;
  for (const isa::HbmTensor& t : exe.tensors) {
    if (t.role != isa::TensorRole::input) continue;
    std::vector<std::byte> bytes(t.bytes);
    const size_t size = dtype_bytes(t.dtype);
    for (size_t at = 0; at < bytes.size(); at += size) {
      const uint64_t word = numerics::from_fp32(t.dtype, random.normal());
      std::memcpy(bytes.data() + at, &word, size);
    }
    inputs.push_back({t.name, std::move(bytes)});
  }
  return inputs;
}

Subject random_subject(uint64_t seed, uint64_t steps_max) {
  Prng random(seed);
  Subject s{.exe = {}, .spec = random_chip(random.next()), .inputs = {}};
  const ProgramOptions sizes{.steps = static_cast<int>(1 + random.below(steps_max)),
                             .live_tiles_max = static_cast<int>(2 + random.below(5)),
                             .row_max = static_cast<uint32_t>(1 + random.below(20))};
  RandomTileProgram made = random_tile_program(random.next(), s.spec, sizes);
  for (const system::Input& i : made.inputs()) s.inputs.push_back({i.name, {i.bytes.begin(), i.bytes.end()}});
  const backend::Options options{.reorder_gain_percent = 0, .reroll = random.below(2) != 0};
  s.exe = backend::lower(std::move(made.program), s.spec, options).value();
  return s;
}

Subject looping_subject(uint64_t seed) {
  // Not every program fits every machine; most of those with branches and transfers by index are long enough.
  for (Prng random(seed);;) {
    Subject s{.exe = {}, .spec = random_chip(random.next()), .inputs = {}};
    if (s.spec.generation < 3) continue;
    const ProgramOptions sizes{.steps = static_cast<int>(4 + random.below(9)),
                               .live_tiles_max = static_cast<int>(2 + random.below(5)),
                               .row_max = static_cast<uint32_t>(1 + random.below(12)),
                               .control_percent = 25 + random.below(30),
                               .transfer_percent = 30 + random.below(30)};
    RandomTileProgram made = random_tile_program(random.next(), s.spec, sizes);
    for (const system::Input& i : made.inputs()) s.inputs.push_back({i.name, {i.bytes.begin(), i.bytes.end()}});
    auto exe = backend::lower(std::move(made.program), s.spec, {});
    if (!exe || !isa::has_control(*exe) || executed(*exe) > kInstructionsMax) continue;
    s.exe = std::move(*exe);
    return s;
  }
}

Subject compiled_subject(uint64_t seed) {
  // Not every network fits every machine, and some are long.
  for (Prng random(seed);;) {
    Subject s{.exe = {}, .spec = random_chip(random.next()), .inputs = {}};
    const graph::Graph network =
        random.below(2) ? random_image_network(random.next()) : random_token_network(random.next());
    auto compiled = compiler::compile(network, s.spec, {});
    if (!compiled || executed(compiled->executable) > kInstructionsMax) continue;
    s.exe = std::move(compiled->executable);
    s.inputs = random_inputs(s.exe, random);
    return s;
  }
}

isa::Executable without_repeats(isa::Executable exe) {
  for (isa::Program& queue : exe.queues) queue = backend::expand(queue);
  return exe;
}

}  // namespace presil::campaign
