#include "runtime/narrow_gemm.h"

#include <fmt/format.h>

#include "backend/lower.h"
#include "numerics/convert.h"

namespace presil::runtime {
namespace {

Result<std::vector<float>> weights_of(const NarrowGemmOptions& o) {
  isa::Executable tensors;
  tensors.tensors.push_back(
      {.name = "a", .dtype = DType::bf16, .shape = {o.gemm.m, o.gemm.k}, .role = isa::TensorRole::input});
  std::vector<NamedArray> given;
  if (o.weights) given.push_back(*o.weights);
  const auto made = TRY(make_inputs(tensors, std::move(given), o.seed, true, o.cancel));
  std::vector<float> values(static_cast<size_t>(o.gemm.m * o.gemm.k));
  numerics::load_span(DType::bf16, made[0].array.bytes.data(), values.data(), values.size());
  return values;
}

Result<isa::Executable> compiled(const NarrowGemmOptions& o, const spec::ChipSpec& chip) {
  if (o.cores > chip.cores) {
    return bad_input(fmt::format("{} cores asked for, chip '{}' has {}", o.cores, chip.name, chip.cores), "--cores");
  }
  TRY(kernels::check_narrow_gemm(chip, o.gemm));
  uint32_t cores = o.cores == 0 ? chip.cores : o.cores;
  while (o.gemm.n % cores != 0) --cores;
  kernels::NarrowGemm part = o.gemm;
  part.n /= cores;
  kernels::NarrowWeights weights;
  if (o.with_data) weights = kernels::pack_narrow_weights(chip, o.gemm, TRY(weights_of(o)));
  TRY(go_on_unless(o.cancel));
  isa::Executable e =
      TRY(backend::lower(kernels::narrow_gemm(chip, part, std::move(weights)), chip, {.cancel = o.cancel}));
  e.cores = cores;
  for (isa::HbmTensor& t : e.tensors) {
    if (cores > 1 && (t.role == isa::TensorRole::input || t.role == isa::TensorRole::output)) t.split_axis = 1;
  }
  return e;
}

}  // namespace

Result<Workload> narrow_gemm_workload(const NarrowGemmOptions& options, spec::ChipSpec chip) {
  Workload w{.chip = std::move(chip)};
  w.executable = TRY(compiled(options, w.chip));
  w.executable.model = fmt::format("gemm {}x{}x{}", options.gemm.m, options.gemm.n, options.gemm.k);
  w.compile_for = [options](const spec::ChipSpec& other, const Cancel* cancel) -> Result<isa::Executable> {
    NarrowGemmOptions again = options;
    again.with_data = false, again.cancel = cancel;
    return compiled(again, other);
  };
  return w;
}

}  // namespace presil::runtime
