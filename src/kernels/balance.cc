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
    if (i.engine != isa::EngineKind::sync && !isa::is_dma(i.opcode))
      busy(c, i.engine) += timing::cost(code, i, c.spec).occupancy;
  }
}

double seconds_on(const Context& c, isa::EngineKind engine, const isa::View& dst, const isa::View& src) {
  const auto n = static_cast<double>(dst.elements_per_partition());
  if (engine == isa::EngineKind::vector)
    return n / vector_rate(c.spec.vector, dst, src) / static_cast<double>(c.spec.vector.clock_hz);
  if (engine == isa::EngineKind::scalar) return n / static_cast<double>(c.spec.scalar.clock_hz);
  return (c.spec.gpsimd.start_cycles + n) / static_cast<double>(c.spec.gpsimd.clock_hz);
}

isa::EngineKind earlier_of(Context& c, isa::EngineKind a, isa::EngineKind b, const isa::View& dst,
                           const isa::View& src) {
  count_new_instructions(c);
  Time &of_a = busy(c, a), &of_b = busy(c, b);
  of_a = std::max(of_a, of_b - kLoadWindow);
  of_b = std::max(of_b, of_a - kLoadWindow);
  const double on_a = to_seconds(of_a) + seconds_on(c, a, dst, src);
  const double on_b = to_seconds(of_b) + seconds_on(c, b, dst, src);
  return on_a <= on_b ? a : b;
}

}  // namespace

isa::EngineKind lighter_engine(Context& c, const isa::View& dst, const isa::View& src) {
  return earlier_of(c, isa::EngineKind::vector, isa::EngineKind::scalar, dst, src);
}

isa::EngineKind aside_engine(Context& c, const isa::View& dst, const isa::View& src) {
  return earlier_of(c, isa::EngineKind::vector, isa::EngineKind::gpsimd, dst, src);
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
