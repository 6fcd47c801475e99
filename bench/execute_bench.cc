// Rates of the instructions' semantics on one host core: matmul in FLOP/s, the others in elements/s. The shapes are
// those of convolutional networks: whole tiles, and windows of 2-D maps.
#include <benchmark/benchmark.h>

#include <string>

#include "chip/execute.h"
#include "isa/slots.h"
#include "numerics/activation.h"
#include "numerics/alu.h"

namespace presil::chip {
namespace {

using isa::EngineKind;
using isa::Memory;
using isa::Opcode;
using isa::View;
namespace slots = isa::slots;

spec::ChipSpec machine() {
  spec::ChipSpec spec;
  spec.sbuf = {128, 196608, 1};
  spec.psum = {128, 16384, 8};
  return spec;
}

// Patterns outermost first, [step, count].
View view(Memory m, DType t, int64_t offset, std::initializer_list<isa::Dim> dims, uint16_t partitions = 128) {
  View v;
  v.memory = m;
  v.dtype = t;
  v.partitions = partitions;
  v.offset = offset;
  for (const isa::Dim& d : dims) v.dims[v.rank++] = d;
  return v;
}

struct Case {
  std::string name;
  Opcode opcode;
  EngineKind engine;
  std::vector<View> views;
  std::vector<std::pair<int, uint32_t>> attributes;
  uint64_t work;  // elements, or floating-point operations
};

void run_case(benchmark::State& state, const Case& c) {
  isa::Program program;
  isa::Instruction& i = program.append(c.opcode, c.engine);
  for (size_t k = 0; k < c.views.size(); ++k) program.views[i.operand_begin + k] = c.views[k];
  for (auto [slot, word] : c.attributes) program.attributes[i.attribute_begin + static_cast<uint32_t>(slot)] = word;
  const spec::ChipSpec spec = machine();
  CoreMemory memory(spec, 64 << 20);
  ExecuteState execution(spec);
  for (Memory m : {Memory::sbuf, Memory::psum, Memory::hbm}) {
    for (uint32_t p = 0; p < memory.plane(m).partitions; ++p) {
      for (std::byte& b : memory.partition(m, p)) b = std::byte{0x3f};  // 0.747 as fp32, 0.746 as bf16
    }
  }
  for (auto _ : state) execute(program, program.code[0], {}, memory, execution);
  if (!execution.fault.empty()) state.SkipWithError(execution.fault.c_str());
  state.counters["rate"] =
      benchmark::Counter(static_cast<double>(c.work * state.iterations()), benchmark::Counter::kIsRate);
}

uint32_t word(AluOp op) { return static_cast<uint32_t>(op); }
uint32_t word(Activation f) { return static_cast<uint32_t>(f); }

std::vector<Case> cases() {
  const Memory S = Memory::sbuf, P = Memory::psum, H = Memory::hbm;
  std::vector<Case> out;
  for (DType t : {DType::fp32, DType::bf16}) {
    const std::string name(dtype_name(t));
    const auto size = static_cast<int32_t>(dtype_bytes(t));
    const uint64_t tile = 128 * 512, map = 128 * 20 * 20, flops = 2ull * 128 * 128 * 512;
    const View a = view(S, t, 0, {{1, 512}}), b = view(S, t, 8192, {{1, 512}}), c = view(S, t, 16384, {{1, 512}});
    const View psum = view(P, DType::fp32, 0, {{1, 512}}), w = view(S, t, 65536, {{1, 128}});
    // A 20 x 20 map inside a padded one of 24 x 24, and every second element of a 40 x 40 map.
    const View window = view(S, t, 32768 + 26 * size, {{24, 20}, {1, 20}}), dense = view(S, t, 0, {{1, 400}});
    const View strided = view(S, t, 32768, {{84, 20}, {2, 20}}), column = view(S, DType::fp32, 100000, {});
    const View psum_map = view(P, DType::fp32, 0, {{1, 400}});
    out.push_back({"matmul_128x128x512/" + name, Opcode::nc_matmul, EngineKind::tensor, {psum, w, a}, {{0, 1}}, flops});
    out.push_back({"matmul_window_20x20_m128/" + name,
                   Opcode::nc_matmul,
                   EngineKind::tensor,
                   {psum_map, w, window},
                   {{0, 1}},
                   2ull * 128 * 128 * 400});
    const View psum16 = view(P, DType::fp32, 0, {{1, 400}}, 16), w16 = view(S, t, 65536, {{1, 16}});
    out.push_back({"matmul_window_20x20_m16/" + name,
                   Opcode::nc_matmul,
                   EngineKind::tensor,
                   {psum16, w16, window},
                   {{0, 1}},
                   2ull * 128 * 16 * 400});
    out.push_back({"matmul_strided_20x20_m128/" + name,
                   Opcode::nc_matmul,
                   EngineKind::tensor,
                   {psum_map, w, strided},
                   {{0, 1}},
                   2ull * 128 * 128 * 400});
    out.push_back({"tensor_copy/" + name, Opcode::tensor_copy, EngineKind::vector, {b, a}, {}, tile});
    out.push_back({"tensor_copy_from_psum/" + name, Opcode::tensor_copy, EngineKind::vector, {b, psum}, {}, tile});
    out.push_back({"tensor_tensor_add/" + name,
                   Opcode::tensor_tensor,
                   EngineKind::vector,
                   {c, a, b},
                   {{0, word(AluOp::add)}},
                   tile});
    out.push_back({"tensor_scalar_mul_add/" + name,
                   Opcode::tensor_scalar,
                   EngineKind::vector,
                   {b, a, column},
                   {{0, word(AluOp::multiply)}, {3, word(AluOp::add)}},
                   tile});
    out.push_back({"stt_mul_add/" + name,
                   Opcode::scalar_tensor_tensor,
                   EngineKind::vector,
                   {b, a, column, b},
                   {{0, word(AluOp::multiply)}, {3, word(AluOp::add)}},
                   tile});
    out.push_back({"stt_tap_20x20/" + name,
                   Opcode::scalar_tensor_tensor,
                   EngineKind::vector,
                   {dense, window, column, dense},
                   {{0, word(AluOp::multiply)}, {3, word(AluOp::add)}},
                   map});
    out.push_back({"stt_tap_strided_20x20/" + name,
                   Opcode::scalar_tensor_tensor,
                   EngineKind::vector,
                   {dense, strided, column, dense},
                   {{0, word(AluOp::multiply)}, {3, word(AluOp::add)}},
                   map});
    for (Activation f : {Activation::copy, Activation::relu, Activation::exp, Activation::sigmoid, Activation::gelu}) {
      out.push_back({"activation_" + std::string(activation_name(f)) + "/" + name,
                     Opcode::activation,
                     EngineKind::scalar,
                     {b, a, column, column},
                     {{0, word(f)}},
                     tile});
    }
    out.push_back({"reduce_add_row/" + name,
                   Opcode::tensor_reduce,
                   EngineKind::vector,
                   {column, a},
                   {{0, word(AluOp::add)}},
                   tile});
    out.push_back({"reduce_max_3x3/" + name,
                   Opcode::tensor_reduce,
                   EngineKind::vector,
                   {dense, view(S, t, 32768, {{24, 20}, {1, 20}, {24, 3}, {1, 3}})},
                   {{0, word(AluOp::max)}, {1, 2}},
                   map * 9});
    out.push_back({"column_multiply/" + name,
                   Opcode::tensor_tensor,
                   EngineKind::vector,
                   {view(S, t, 0, {}), view(S, t, 64, {}), view(S, t, 128, {})},
                   {{0, word(AluOp::multiply)}},
                   128});
    out.push_back({"memset/" + name, Opcode::memset, EngineKind::vector, {a}, {}, tile});
    out.push_back({"nc_transpose_128/" + name,
                   Opcode::nc_transpose,
                   EngineKind::tensor,
                   {view(P, t, 0, {{1, 128}}), view(S, t, 0, {{1, 128}})},
                   {},
                   128 * 128});
    out.push_back(
        {"dma_load/" + name, Opcode::dma_copy, EngineKind::sync, {a, view(H, t, 0, {{1, 65536}}, 1)}, {}, tile});
    out.push_back({"dma_load_rows_20x20/" + name,
                   Opcode::dma_copy,
                   EngineKind::sync,
                   {window, view(H, t, 0, {{1, 51200}}, 1)},
                   {},
                   map});
    out.push_back({"dma_transpose/" + name,
                   Opcode::dma_transpose,
                   EngineKind::sync,
                   {a, view(H, t, 0, {{128, 512}, {1, 128}}, 1)},
                   {},
                   tile});
  }
  return out;
}

}  // namespace
}  // namespace presil::chip

int main(int argc, char** argv) {
  for (const presil::chip::Case& c : presil::chip::cases()) {
    benchmark::RegisterBenchmark(c.name.c_str(), [c](benchmark::State& state) { presil::chip::run_case(state, c); });
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
