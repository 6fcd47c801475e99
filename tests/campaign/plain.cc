#include "tests/campaign/plain.h"

#include <algorithm>
#include <cstring>

#include "chip/execute_reference.h"
#include "isa/touched.h"
#include "tests/campaign/meaning.h"
#include "tile/walk.h"

namespace presil::campaign {
namespace {

using chip::reference::Machine;
using isa::Memory;
using isa::View;

enum Shadow : uint8_t { kNothing, kByTensorEngine, kByOther };

constexpr uint64_t kAlignment = 64;

class Interpreter {
 public:
  Interpreter(const tile::TileProgram& program, const spec::ChipSpec& spec)
      : program_(program),
        placed_(place()),
        machine_(spacious(spec), hbm_bytes_),
        shadow_(spacious(spec), hbm_bytes_) {}

  PlainResult run(const std::vector<system::Input>& inputs) {
    PlainResult result;
    result.executed.resize(isa::kOpcodeCount);
    fill(inputs);
    const isa::Program code = placed_;  // the operands of `placed_` are where registers move them
    auto visit = [&](uint32_t n, std::span<const View> views) {
      const isa::Instruction& i = placed_.code[n];
      std::ranges::copy(views, placed_.views.begin() + i.operand_begin);
      result.undefined = problem(i);
      if (!result.undefined.empty()) return false;
      chip::reference::Run(placed_, i, machine_).execute();
      mark(i);
      ++result.executed[static_cast<size_t>(i.opcode)];
      return true;
    };
    tile::walk(
        code, program_.registers, [&](const View& v) { return load(v); },
        [&](const View& v, uint32_t value) { store(v, value); }, visit);
    if (!result.undefined.empty()) return result;
    for (size_t t = 0; t < program_.tensors.size(); ++t) {
      const isa::HbmTensor& tensor = program_.tensors[t];
      if (tensor.role != isa::TensorRole::output) continue;
      const auto at = machine_.hbm[0].begin() + static_cast<ptrdiff_t>(tensors_[t]);
      result.outputs.push_back({tensor.name, {at, at + static_cast<ptrdiff_t>(tensor.bytes)}});
    }
    return result;
  }

 private:
  uint32_t load(const View& v) {
    const std::byte* at = chip::reference::places(machine_, v).at(0);
    return tile::register_value(v.dtype, {reinterpret_cast<const uint8_t*>(at), dtype_bytes(v.dtype)});
  }
  void store(const View& v, uint32_t value) {
    std::memcpy(chip::reference::places(machine_, v).at(0), &value, dtype_bytes(v.dtype));
    each_byte(v, [](std::byte& b) { return b = std::byte{kByOther}, true; });
  }

  // The program with addresses: every tile and tensor for itself.
  isa::Program place() {
    for (const tile::Tile& t : program_.tiles) {
      uint64_t& end = t.memory == Memory::psum ? psum_bytes_ : sbuf_bytes_;
      tiles_.push_back(end);
      end += (t.bytes + kAlignment - 1) / kAlignment * kAlignment;
    }
    for (const isa::HbmTensor& t : program_.tensors) {
      tensors_.push_back(hbm_bytes_);
      hbm_bytes_ += t.bytes;
    }
    isa::Program code = program_.code;
    for (View& v : code.views) {
      if (!v.present()) continue;
      if (v.memory != Memory::hbm) v.partition += program_.tiles[v.base].fixed_partition.value_or(0);
      v.offset += static_cast<int64_t>((v.memory == Memory::hbm ? tensors_ : tiles_)[v.base]);
      v.base = isa::kAbsolute;
    }
    return code;
  }

  spec::ChipSpec spacious(spec::ChipSpec spec) const {
    spec.sbuf.bytes_per_partition = sbuf_bytes_, spec.psum.bytes_per_partition = psum_bytes_;
    return spec;
  }

  void fill(const std::vector<system::Input>& inputs) {
    for (size_t t = 0; t < program_.tensors.size(); ++t) {
      const isa::HbmTensor& tensor = program_.tensors[t];
      auto given = std::ranges::find(inputs, tensor.name, &system::Input::name);
      std::span<const std::byte> bytes = given == inputs.end() ? std::span(tensor.data) : given->bytes;
      std::copy(bytes.begin(), bytes.end(), machine_.hbm[0].begin() + static_cast<ptrdiff_t>(tensors_[t]));
      std::fill_n(shadow_.hbm[0].begin() + static_cast<ptrdiff_t>(tensors_[t]), bytes.size(), std::byte{kByOther});
    }
  }

  // f(shadow byte) for every byte of the view, until f returns false.
  template <class F>
  bool each_byte(const View& v, F f) {
    for (std::byte* at : chip::reference::places(shadow_, v)) {
      for (size_t b = 0; b < dtype_bytes(v.dtype); ++b) {
        if (!f(at[b])) return false;
      }
    }
    return true;
  }

  void mark(const isa::Instruction& i) {
    const bool tensor = i.engine == isa::EngineKind::tensor && i.opcode != isa::Opcode::dma_copy;
    for (int k = 0; k < i.operand_count; ++k) {
      if (isa::access_of(placed_, i, k) == isa::Access::read) continue;
      for (const View& v : isa::touched(placed_, i, k))
        each_byte(v, [&](std::byte& b) { return b = std::byte{tensor ? kByTensorEngine : kByOther}, true; });
    }
  }

  std::string problem(const isa::Instruction& i) {
    const std::string name(isa::row(i.opcode).name);
    for (int k = 0; k < i.operand_count; ++k) {
      if (isa::access_of(placed_, i, k) == isa::Access::write) continue;
      const bool accumulates = isa::is_matmul(i.opcode) && k == 0;
      bool fine = true;
      for (const View& v : isa::touched(placed_, i, k)) {
        fine = fine && each_byte(v, [&](std::byte b) {
                 return accumulates ? b == std::byte{kByTensorEngine} : b != std::byte{kNothing};
               });
      }
      if (!fine) return name + (accumulates ? " accumulates onto what no matmul started" : " reads what nothing wrote");
    }
    return meaningless(placed_, i, machine_);
  }

  const tile::TileProgram& program_;
  std::vector<uint64_t> tiles_, tensors_;  // offsets
  uint64_t sbuf_bytes_ = 0, psum_bytes_ = 0, hbm_bytes_ = 0;
  isa::Program placed_;
  Machine machine_, shadow_;  // shadow: who wrote each byte last
};

}  // namespace

PlainResult interpret(const tile::TileProgram& program, const spec::ChipSpec& spec,
                      const std::vector<system::Input>& inputs) {
  return Interpreter(program, spec).run(inputs);
}

}  // namespace presil::campaign
