#include "tests/campaign/plain.h"

#include <algorithm>
#include <cstring>

#include "chip/execute_reference.h"
#include "isa/touched.h"
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
    if (i.opcode == isa::Opcode::nc_n_gather && !indices_fit(i)) return name + " has an index outside its table";
    if (i.opcode == isa::Opcode::local_gather && !places_exist(i)) return name + " has an index outside its table";
    if (isa::index_of(placed_, i) >= 0 && !rows_exist(i)) return name + " has an index outside its table";
    if (isa::index_of(placed_, i) >= 0 && names_twice(i)) return name + " names a row twice that it writes";
    if (i.opcode == isa::Opcode::nc_matmul && !moves_a_permutation(i)) return name + " moves no permutation";
    if (i.opcode == isa::Opcode::nc_matmul && !keeps_promises(i)) return name + " is promised ones and zeros";
    if (i.opcode == isa::Opcode::nc_matmul_sparse && !tags_exist(i)) return name + " has a tag outside its pattern";
    const int index = isa::index_of(placed_, i);
    if (i.opcode == isa::Opcode::dma_copy && overlaps_itself(i, isa::slots::dma_copy::src))
      return name + " writes where it reads";
    if (index >= 0 && overlaps_itself(i, index)) return name + " writes where it reads";
    return {};
  }

  bool indices_fit(const isa::Instruction& i) {
    namespace s = isa::slots::nc_n_gather;
    const uint64_t row = placed_.operand(i, s::data).elements_per_partition();
    return std::ranges::all_of(chip::reference::read_words(machine_, placed_.operand(i, s::indices)),
                               [&](uint64_t index) { return index < row; });
  }

  bool places_exist(const isa::Instruction& i) {
    namespace s = isa::slots::local_gather;
    const View &dst = placed_.operand(i, s::dst), &index = placed_.operand(i, s::index);
    const auto words = chip::reference::read_words(machine_, index);
    const uint64_t row = placed_.operand(i, s::src_buffer).elements_per_partition(),
                   per = index.elements_per_partition();
    const uint64_t e = placed_.word(i, s::num_elem_per_idx);
    for (uint64_t p = 0; p < dst.partitions; ++p) {
      for (uint64_t k = 0; k * e < dst.elements_per_partition(); ++k) {
        if ((words[(p / 16 * 16 + k % 16) * per + k / 16] + 1) * e > row) return false;
      }
    }
    return true;
  }

  std::vector<uint64_t> rows_named(const isa::Instruction& i) {
    return chip::reference::read_words(machine_, placed_.operand(i, isa::index_of(placed_, i)));
  }
  bool rows_exist(const isa::Instruction& i) {
    const int oob = isa::attribute_index(i.opcode, "oob_mode");
    if (placed_.word(i, oob) == static_cast<uint32_t>(isa::OobMode::skip)) return true;
    int table = isa::slots::dma_copy::dst;
    while (!isa::is_table(placed_, i, table)) ++table;
    const uint64_t rows = placed_.operand(i, table).dims[0].count;
    return std::ranges::all_of(rows_named(i), [&](uint64_t index) { return index < rows; });
  }
  bool names_twice(const isa::Instruction& i) {
    if (!isa::is_table(placed_, i, isa::slots::dma_copy::dst)) return false;
    std::vector<uint64_t> rows = rows_named(i);
    std::ranges::sort(rows);
    return std::ranges::adjacent_find(rows) != rows.end();
  }

  bool moves_a_permutation(const isa::Instruction& i) {
    namespace s = isa::slots::nc_matmul;
    if (placed_.word(i, s::is_transpose) == 0) return true;
    const View& moving = placed_.operand(i, s::moving);
    const auto values = chip::reference::read_floats(machine_, moving);
    const size_t columns = moving.elements_per_partition();
    for (size_t n = 0; n < columns; ++n) {
      int ones = 0;
      for (size_t k = n; k < values.size(); k += columns) ones += values[k] == 1.0f ? 1 : values[k] == 0.0f ? 0 : 2;
      if (ones != 1) return false;
    }
    return true;
  }

  bool keeps_promises(const isa::Instruction& i) {
    namespace s = isa::slots::nc_matmul;
    const auto kept = [&](int hint, int k) {
      const View& v = placed_.operand(i, k);
      if (placed_.word(i, hint) == 0 || v.dtype != DType::fp32) return true;
      return std::ranges::all_of(chip::reference::read_floats(machine_, v), [](float x) { return x == 0 || x == 1; });
    };
    if (placed_.word(i, s::is_transpose) != 0) return true;
    return kept(s::is_stationary_onezero, s::stationary) && kept(s::is_moving_onezero, s::moving);
  }

  bool tags_exist(const isa::Instruction& i) {
    namespace s = isa::slots::nc_matmul_sparse;
    const View& tags = placed_.operand(i, s::tags);
    const uint64_t columns = placed_.operand(i, s::dst).partitions, words = tags.elements_per_partition();
    const auto read = chip::reference::read_words(machine_, tags);
    for (size_t p = 0; p < tags.partitions; ++p) {
      for (size_t m = 0; m < columns; ++m) {
        if ((read[p * words + m / 4] >> (4 * (m % 4)) & 15) >= placed_.word(i, s::of)) return false;
      }
    }
    return true;
  }

  bool overlaps_itself(const isa::Instruction& i, int source) {
    const auto to = chip::reference::places(shadow_, placed_.operand(i, 0));
    const auto from = chip::reference::places(shadow_, placed_.operand(i, source));
    const auto to_bytes = static_cast<ptrdiff_t>(dtype_bytes(placed_.operand(i, 0).dtype));
    const auto from_bytes = static_cast<ptrdiff_t>(dtype_bytes(placed_.operand(i, source).dtype));
    std::vector<std::byte*> sorted(from.begin(), from.end());
    std::ranges::sort(sorted);
    return std::ranges::any_of(to, [&](std::byte* at) {
      auto next = std::ranges::lower_bound(sorted, at - (from_bytes - 1));
      return next != sorted.end() && *next < at + to_bytes;
    });
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
