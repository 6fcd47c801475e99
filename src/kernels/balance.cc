// Which of the engines that can both do something has less to do.
#include <algorithm>

#include "kernels/block.h"
#include "timing/cost.h"

namespace presil::kernels {
namespace {

bool contiguous(const isa::View& v) { return v.rank == 0 || v.dims[v.rank - 1u].step == 1; }

// Elements per cycle of the vector engine (its performance modes).
double vector_rate(const spec::VectorSpec& vector, const isa::View& dst, const isa::View& src) {
  auto narrow = [](const isa::View& v) { return is_float(v.dtype) && dtype_bytes(v.dtype) == 2 && contiguous(v); };
  const bool psum = src.memory == isa::Memory::psum || dst.memory == isa::Memory::psum;
  const bool fast = narrow(dst) && narrow(src);
  if (psum) return fast ? vector.fast_copy_psum_16bit : 1;
  return fast ? vector.fast_copy_16bit : vector.fast_copy_other;
}

Time& busy(Context& c, isa::EngineKind e) { return c.load.busy[static_cast<size_t>(e)]; }

void count_new_instructions(Context& c) {
  const isa::Program& code = c.build.program.code;
  for (; c.load.counted < code.code.size(); ++c.load.counted) {
    const isa::Instruction& i = code.code[c.load.counted];
    const bool counts = i.engine == isa::EngineKind::vector || i.engine == isa::EngineKind::scalar ||
                        i.engine == isa::EngineKind::tensor;
    if (!counts) continue;
    const bool moves = i.opcode == isa::Opcode::dma_copy || i.opcode == isa::Opcode::dma_transpose;
    if (!moves) busy(c, i.engine) += timing::cost(code, i, c.spec).occupancy;
  }
}

}  // namespace

isa::EngineKind lighter_engine(Context& c, const isa::View& dst, const isa::View& src) {
  count_new_instructions(c);
  Time &vector = busy(c, isa::EngineKind::vector), &scalar = busy(c, isa::EngineKind::scalar);
  vector = std::max(vector, scalar - kLoadWindow);
  scalar = std::max(scalar, vector - kLoadWindow);
  const auto n = static_cast<double>(dst.elements_per_partition());
  const double on_vector = n / vector_rate(c.spec.vector, dst, src) / static_cast<double>(c.spec.vector.clock_hz);
  const double on_scalar = n / static_cast<double>(c.spec.scalar.clock_hz);
  const bool vector_first = to_seconds(vector) + on_vector <= to_seconds(scalar) + on_scalar;
  return vector_first ? isa::EngineKind::vector : isa::EngineKind::scalar;
}

bool adds_after_psum(Context& c, const isa::View& out, const isa::View& psum, bool relu) {
  count_new_instructions(c);
  const spec::VectorSpec& v = c.spec.vector;
  const auto n = static_cast<double>(out.elements_per_partition());
  auto behind = [&](isa::EngineKind e) {
    const Time most = std::max(
        {busy(c, isa::EngineKind::tensor), busy(c, isa::EngineKind::vector), busy(c, isa::EngineKind::scalar)});
    return to_seconds(std::max(busy(c, e), most - 200'000 * kNanosecond));
  };
  const double tensor = behind(isa::EngineKind::tensor), vector = behind(isa::EngineKind::vector),
               scalar = behind(isa::EngineKind::scalar);
  const auto hz = static_cast<double>(v.clock_hz);
  const double leave_scalar = n / static_cast<double>(c.spec.scalar.clock_hz);
  const double leave_vector = n / vector_rate(v, out, psum) / hz;
  const double add = n / v.fast_tensor_tensor_16bit / hz + (relu ? n / v.fast_copy_16bit / hz : 0);
  const double before = std::max(tensor + n / static_cast<double>(c.spec.tensor.clock_hz),
                                 std::min(vector + leave_vector, scalar + leave_scalar));
  const double after = std::max(
      tensor, std::min(std::max(vector + add, scalar + leave_scalar), std::max(vector + leave_vector + add, scalar)));
  return after < before;
}

}  // namespace presil::kernels
