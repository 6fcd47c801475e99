// Rules of one operand: memory, access pattern, place.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "isa/control.h"
#include "isa/instruction_check.h"
#include "isa/vocabulary.h"

namespace presil::isa {
namespace {

constexpr uint32_t kDimCountMax = 65535;  // size field of an access pattern, 16 bit
constexpr int32_t kDimStepMin = -32768, kDimStepMax = 32767;
constexpr int kEngineDimsMax = 4;
constexpr uint64_t kFreeElementsMax = 65536;  // of one operand of the vector and scalar engines

void check_memory(const InstructionCheck& c, int k, const OperandRow& r) {
  const View& v = c.operand(k);
  if (!(r.memories & memory_bit(v.memory))) {
    return c.fail_operand(
        k, fmt::format("is in {}; legal: {}", memory_name(v.memory), fmt::join(memory_names(r.memories), ", ")));
  }
  if (c.moved_by_dma() || is_control(c.instruction.opcode)) return;
  const spec::EngineSpec& engine = engine_spec(c.spec, c.instruction.engine);
  auto require = [&](const std::vector<std::string>& legal, std::string_view verb) {
    if (std::find(legal.begin(), legal.end(), memory_name(v.memory)) != legal.end()) return;
    c.fail_operand(k, fmt::format("is in {}; the {} engine {} only {}", memory_name(v.memory),
                                  engine_name(c.instruction.engine), verb, fmt::join(legal, ", ")));
  };
  if (r.access != Access::write) require(engine.reads, "reads");
  if (r.access != Access::read) require(engine.writes, "writes");
}

// SBUF of the other core is for the DMA engines, and for what they move, not for the indices that they follow.
void check_peer(const InstructionCheck& c, int k) {
  const View& v = c.operand(k);
  if (v.peer == 0) return;
  if (v.memory != Memory::sbuf)
    return c.fail_operand(k, fmt::format("is in {} of the other core; legal: sbuf", memory_name(v.memory)));
  const bool index = c.is_dma() && k == index_of(c.program, c.instruction);
  if (!c.is_dma() || index) {
    return c.fail_operand(
        k, fmt::format("is in the other core's sbuf, where only {} reaches", index ? "what is moved" : "a DMA"));
  }
  if (c.spec.lnc_max < 2) c.fail_operand(k, fmt::format("is in the other core of a pair, {} has none", c.spec.name));
}

void check_free_size(const InstructionCheck& c, int k) {
  const View& v = c.operand(k);
  uint64_t limit = v.memory == Memory::psum ? c.spec.psum.bytes_per_partition / 4 : kFreeElementsMax;
  bool limited = c.instruction.engine == EngineKind::vector || c.instruction.engine == EngineKind::scalar;
  if (limited && c.elements(k) > limit) {
    c.fail_operand(
        k, fmt::format("{} elements per partition, at most {} in {}", c.elements(k), limit, memory_name(v.memory)));
  }
}

// Elements of an operand per partition, so that products of sizes stay far inside 64 bits.
constexpr double kElementsMax = 0x1p40;

// Sizes and steps that an instruction can encode.
bool check_pattern(const InstructionCheck& c, int k) {
  const View& v = c.operand(k);
  size_t before = c.findings.size();
  bool engine = !c.moved_by_dma();
  for (int d = 0; d < v.rank; ++d) {
    const Dim& dim = v.dims[static_cast<size_t>(d)];
    if (dim.count == 0) c.fail_operand(k, fmt::format("dimension {} has count 0, at least 1", d));
    if (engine && dim.count > kDimCountMax) {
      c.fail_operand(k, fmt::format("dimension {} has count {}, at most {}", d, dim.count, kDimCountMax));
    }
    if (engine && dim.count > 1 && (dim.step < kDimStepMin || dim.step > kDimStepMax)) {
      c.fail_operand(k, fmt::format("dimension {} has step {}, from {} to {}", d, dim.step, kDimStepMin, kDimStepMax));
    }
  }
  double elements = 1;
  for (const Dim& dim : v.pattern()) elements *= dim.count;
  if (elements > kElementsMax)
    c.fail_operand(k, fmt::format("{:.3g} elements, at most {:.3g}", elements, kElementsMax));
  if (engine && simplified(v).rank > kEngineDimsMax) {
    c.fail_operand(k, fmt::format("{} dimensions, an engine walks at most {}", simplified(v).rank, kEngineDimsMax));
  }
  if (engine && v.dtype == DType::int64) c.fail_operand(k, "type is int64, the engines work on up to 32 bits");
  if (v.partitions == 0) c.fail_operand(k, "0 partitions, at least 1");
  return c.findings.size() == before;
}

// Fact sheet 6.1.
constexpr uint32_t first_generation(DType t) {
  return is_packed(t) || t == DType::fp8_e4m3fn || t == DType::fp8_e8m0 ? 4 : 2;
}

// Instructions that move elements as they are, packed ones too.
constexpr bool moves_elements(Opcode o) {
  return o == Opcode::tensor_copy || o == Opcode::nc_stream_shuffle || o == Opcode::memset || o == Opcode::sendrecv ||
         (is_dma(o) && o != Opcode::dma_compute);
}

void check_type(const InstructionCheck& c, int k) {
  const View& v = c.operand(k);
  if (c.spec.generation < first_generation(v.dtype)) {
    c.fail_operand(k, fmt::format("type is {}, needs generation {}", dtype_name(v.dtype), first_generation(v.dtype)));
  }
  const Opcode opcode = c.instruction.opcode;
  const bool takes_packed = opcode == Opcode::nc_matmul_mx || opcode == Opcode::quantize_mx;
  if (!is_packed(v.dtype) || takes_packed) return;
  if (!moves_elements(opcode)) {
    return c.fail_operand(k, fmt::format("type is {}, expected one number per element", dtype_name(v.dtype)));
  }
  if (c.instruction.operand_count < 2) return;
  const DType other = c.operand(1 - std::min(k, 1)).dtype;  // destination and source come first
  if (k < 2 && other != v.dtype) {
    c.fail_operand(k,
                   fmt::format("type is {}, does not convert to or from {}", dtype_name(v.dtype), dtype_name(other)));
  }
}

void check_alignment(const InstructionCheck& c, int k) {
  const View& v = c.operand(k);
  const auto size = static_cast<int64_t>(dtype_bytes(v.dtype));
  if (v.offset % size != 0) {
    c.fail_operand(k, fmt::format("offset {} is not a multiple of the element's {} bytes", v.offset, size));
  }
  for (const Delta& d : c.program.deltas_of(c.instruction)) {
    if (d.target == Delta::Target::operand && d.index == k && d.step % size != 0) {
      c.fail_operand(k, fmt::format("repeat step {} is not a multiple of the element's {} bytes", d.step, size));
    }
  }
}

// Fact sheet 2.2, for 128 partitions: 65..128 start at 0, 33..64 at 0 or 64, 1..32 at a quarter.
void check_start_partition(const InstructionCheck& c, int k, uint32_t total) {
  const View& v = c.operand(k);
  uint32_t step = v.partitions > total / 2 ? total : v.partitions > total / 4 ? total / 2 : std::max(1u, total / 4);
  if (v.partition % step == 0) return;
  std::string legal = step == total ? "partition 0" : fmt::format("a multiple of {}", step);
  c.fail_operand(k, fmt::format("starts at partition {}, {} partitions start at {}", v.partition, v.partitions, legal));
}

void check_partitions(const InstructionCheck& c, int k, uint32_t total) {
  const View& v = c.operand(k);
  if (uint32_t{v.partition} + v.partitions > total) {
    return c.fail_operand(k, fmt::format("partitions {} to {}, {} has {}", v.partition, v.partition + v.partitions - 1,
                                         memory_name(v.memory), total));
  }
  const Opcode opcode = c.instruction.opcode;
  if (!c.moved_by_dma() && !is_control(opcode) && !is_mx_scale(opcode, k)) check_start_partition(c, k, total);
}

// Offsets of operand k over all iterations, one for each place in a bank. All lie inside a partition, so they are few.
std::vector<int64_t> offsets_in_banks(const InstructionCheck& c, int k, int64_t bank) {
  std::vector<int64_t> offsets{c.operand(k).offset};
  for (const Delta& d : c.program.deltas_of(c.instruction)) {
    if (d.of_register || d.target != Delta::Target::operand || d.index != k || d.step % bank == 0) continue;
    // Each round doubles the number of iterations covered.
    for (int64_t covered = 1, count = c.around[d.level].count; covered < count; covered *= 2) {
      int64_t more = std::min(covered, count - covered) * d.step;
      for (size_t n = offsets.size(); n-- > 0;) offsets.push_back(offsets[n] + more);
      std::ranges::sort(offsets);
      offsets.erase(std::unique(offsets.begin(), offsets.end()), offsets.end());
    }
  }
  return offsets;
}

// Until generation 3 the result of one tensor-engine instruction stays in one PSUM bank (fact sheet 2.5).
void check_bank(const InstructionCheck& c, int k) {
  View v = c.operand(k);
  if (c.instruction.engine != EngineKind::tensor || v.memory != Memory::psum || c.spec.generation > 3) return;
  const auto bank = static_cast<int64_t>(c.spec.psum.bytes_per_partition / c.spec.psum.banks);
  for (const Delta& d : c.program.deltas_of(c.instruction)) {
    if (!d.of_register || d.target != Delta::Target::operand || d.index != k || d.step % bank == 0) continue;
    return c.fail_operand(k, fmt::format("register step {} may cross a PSUM bank, banks have {} bytes", d.step, bank));
  }
  for (int64_t offset : offsets_in_banks(c, k, bank)) {
    v.offset = offset;
    ByteRange range = byte_range(v);
    if (range.begin / bank == (range.end - 1) / bank) continue;
    return c.fail_operand(
        k, fmt::format("bytes {} to {} cross a PSUM bank, banks have {} bytes", range.begin, range.end - 1, bank));
  }
}

void check_place(const InstructionCheck& c, int k) {
  const View& v = c.operand(k);
  bool sram = v.memory != Memory::hbm;
  const spec::SramSpec& memory = v.memory == Memory::psum ? c.spec.psum : c.spec.sbuf;
  if (sram) {
    check_partitions(c, k, memory.partitions);
  } else if (v.partition != 0 || v.partitions != 1) {
    c.fail_operand(k, fmt::format("partition {} and {} partitions, hbm has no partitions", v.partition, v.partitions));
  }
  if (moved_by_register(c, Delta::Target::operand, k)) return check_bank(c, k);  // known when it runs
  View first = v, last = v;
  SweptRange offsets = swept(c, Delta::Target::operand, k, v.offset);
  first.offset = offsets.low, last.offset = offsets.high;
  int64_t begin = byte_range(first).begin, end = byte_range(last).end;
  uint64_t limit = sram ? memory.bytes_per_partition : c.spec.hbm.bytes;
  if (begin < 0 || static_cast<uint64_t>(end) > limit) {
    return c.fail_operand(k,
                          fmt::format("bytes {} to {}, {} has {}", begin, end - 1,
                                      sram ? fmt::format("a partition of {}", memory_name(v.memory)) : "hbm", limit));
  }
  check_bank(c, k);
}

}  // namespace

bool check_operand(const InstructionCheck& c, int k) {
  const OperandRow& r = row(c.instruction.opcode).operands[static_cast<size_t>(k)];
  if (!c.present(k)) {
    if (!r.optional) c.fail_operand(k, "is missing");
    return r.optional;
  }
  check_memory(c, k, r);
  check_peer(c, k);
  check_type(c, k);
  check_alignment(c, k);
  if (!check_pattern(c, k)) return false;
  check_free_size(c, k);
  if (c.operand(k).base == kAbsolute) check_place(c, k);
  return true;
}

bool moved_by_register(const InstructionCheck& c, Delta::Target target, int k) {
  return std::ranges::any_of(c.program.deltas_of(c.instruction),
                             [&](const Delta& d) { return d.of_register && d.target == target && d.index == k; });
}

SweptRange swept(const InstructionCheck& c, Delta::Target target, int k, int64_t start) {
  __int128 low = start, high = start;
  for (const Delta& d : c.program.deltas_of(c.instruction)) {
    if (d.of_register || d.target != target || d.index != k || d.level >= c.around.size()) continue;
    __int128 reach = static_cast<__int128>(d.step) * (c.around[d.level].count - 1);
    (reach < 0 ? low : high) += reach;
  }
  constexpr int64_t least = std::numeric_limits<int64_t>::min(), most = std::numeric_limits<int64_t>::max();
  return {static_cast<int64_t>(std::max<__int128>(low, least)), static_cast<int64_t>(std::min<__int128>(high, most))};
}

}  // namespace presil::isa
