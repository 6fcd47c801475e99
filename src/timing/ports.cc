#include "timing/ports.h"

#include <algorithm>

#include "isa/control.h"
#include "timing/cost.h"

namespace presil::timing {
namespace {

using isa::EngineKind;
using spec::PortRule;

bool uses_sbuf(const isa::Program& p, const isa::Instruction& i) {
  return std::ranges::any_of(p.operands(i), [](const isa::View& v) { return v.memory == isa::Memory::sbuf; });
}

Ports bank_bit(uint64_t bank) { return Ports{2} << std::min<uint64_t>(bank, 62); }

}  // namespace

Ports psum_banks(const isa::Program& p, const isa::Instruction& i, std::span<const int64_t> offsets,
                 const spec::ChipSpec& spec) {
  const bool all = spec.vector.psum_with_scalar == PortRule::always;
  const auto bank_bytes = static_cast<int64_t>(spec.psum.bytes_per_partition / spec.psum.banks);
  Ports out = 0;
  for (int k = 0; k < i.operand_count; ++k) {
    const isa::View& view = p.operand(i, k);
    if (view.memory != isa::Memory::psum) continue;
    if (all) return ~kSbufPort;
    const int64_t growth = offsets.empty() ? 0 : offsets[static_cast<size_t>(k)];
    const isa::ByteRange bytes = isa::byte_range(view);
    const int64_t last = (bytes.end + growth - 1) / bank_bytes;
    for (int64_t bank = std::max<int64_t>(0, (bytes.begin + growth) / bank_bytes); bank <= last && bank < 64; ++bank)
      out |= bank_bit(static_cast<uint64_t>(bank));
  }
  return out;
}

Ports ports_of(const isa::Program& p, const isa::Instruction& i, const spec::ChipSpec& spec) {
  const bool vector = i.engine == EngineKind::vector, scalar = i.engine == EngineKind::scalar,
             gpsimd = i.engine == EngineKind::gpsimd;
  if (!(vector || scalar || gpsimd) || isa::is_dma(i.opcode) || isa::is_control(i.opcode)) return 0;
  Ports out = 0;
  if ((vector || scalar) && spec.vector.psum_with_scalar != PortRule::free) out |= psum_banks(p, i, {}, spec);
  const PortRule shared = spec.vector.sbuf_with_gpsimd;
  const bool taken = gpsimd || (vector && (shared == PortRule::always || performance_mode(p, i, spec)));
  if (shared != PortRule::free && taken && uses_sbuf(p, i)) out |= kSbufPort;
  return out;
}

}  // namespace presil::timing
