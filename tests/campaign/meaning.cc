#include "tests/campaign/meaning.h"

#include <algorithm>

namespace presil::campaign {
namespace {

using chip::reference::Machine;
using isa::View;

class Meaning {
 public:
  Meaning(const isa::Program& program, const isa::Instruction& instruction, Machine& machine)
      : program_(program), i_(instruction), m_(machine) {}

  std::string problem() {
    const std::string name(isa::row(i_.opcode).name);
    if (i_.opcode == isa::Opcode::nc_n_gather && !indices_fit()) return name + " has an index outside its table";
    if (i_.opcode == isa::Opcode::local_gather && !places_exist()) return name + " has an index outside its table";
    if (isa::index_of(program_, i_) >= 0 && !rows_exist()) return name + " has an index outside its table";
    if (i_.opcode == isa::Opcode::dma_compute && names_twice()) return name + " names a row twice that it adds to";
    if (i_.opcode == isa::Opcode::nc_matmul && !moves_a_permutation()) return name + std::string(kNoPermutation);
    if (i_.opcode == isa::Opcode::nc_matmul && !keeps_promises()) return name + " is promised ones and zeros";
    if (i_.opcode == isa::Opcode::nc_matmul_sparse && !tags_exist()) return name + " has a tag outside its pattern";
    const int index = isa::index_of(program_, i_);
    if (i_.opcode == isa::Opcode::dma_copy && overlaps_itself(isa::slots::dma_copy::src))
      return name + " writes where it reads";
    if (index >= 0 && overlaps_itself(index)) return name + " writes where it reads";
    return {};
  }

 private:
  bool indices_fit() {
    namespace s = isa::slots::nc_n_gather;
    const uint64_t row = program_.operand(i_, s::data).elements_per_partition();
    return std::ranges::all_of(chip::reference::read_words(m_, program_.operand(i_, s::indices)),
                               [&](uint64_t index) { return index < row; });
  }

  bool places_exist() {
    namespace s = isa::slots::local_gather;
    const View &dst = program_.operand(i_, s::dst), &index = program_.operand(i_, s::index);
    const auto words = chip::reference::read_words(m_, index);
    const uint64_t row = program_.operand(i_, s::src_buffer).elements_per_partition(),
                   per = index.elements_per_partition();
    const uint64_t e = program_.word(i_, s::num_elem_per_idx);
    for (uint64_t p = 0; p < dst.partitions; ++p) {
      for (uint64_t k = 0; k * e < dst.elements_per_partition(); ++k) {
        if ((words[(p / 16 * 16 + k % 16) * per + k / 16] + 1) * e > row) return false;
      }
    }
    return true;
  }

  // Of a transpose, whose indices count partition by partition, then column by column, those that dst has columns for.
  std::vector<uint64_t> rows_named() {
    const View& index = program_.operand(i_, isa::index_of(program_, i_));
    std::vector<uint64_t> words = chip::reference::read_words(m_, index);
    if (i_.opcode != isa::Opcode::dma_transpose) return words;
    std::vector<uint64_t> used;
    const uint64_t across = index.partitions, down = index.elements_per_partition();
    for (uint64_t f = 0; f < program_.operand(i_, isa::slots::dma_transpose::dst).elements_per_partition(); ++f)
      used.push_back(words.at(f % across * down + f / across));
    return used;
  }
  bool rows_exist() {
    const int oob = isa::attribute_index(i_.opcode, "oob_mode");
    if (program_.word(i_, oob) == static_cast<uint32_t>(isa::OobMode::skip)) return true;
    int table = isa::slots::dma_copy::dst;
    while (!isa::is_table(program_, i_, table)) ++table;
    const uint64_t rows = program_.operand(i_, table).dims[0].count;
    return std::ranges::all_of(rows_named(), [&](uint64_t index) { return index < rows; });
  }
  bool names_twice() {
    if (!isa::is_table(program_, i_, isa::slots::dma_copy::dst)) return false;
    std::vector<uint64_t> rows = rows_named();
    std::erase_if(rows, [&](uint64_t row) { return row >= program_.operand(i_, 0).dims[0].count; });
    std::ranges::sort(rows);
    return std::ranges::adjacent_find(rows) != rows.end();
  }

  bool moves_a_permutation() {
    namespace s = isa::slots::nc_matmul;
    if (program_.word(i_, s::is_transpose) == 0) return true;
    const View& moving = program_.operand(i_, s::moving);
    const auto values = chip::reference::read_floats(m_, moving);
    const size_t columns = moving.elements_per_partition();
    for (size_t n = 0; n < columns; ++n) {
      int ones = 0;
      for (size_t k = n; k < values.size(); k += columns) ones += values[k] == 1.0f ? 1 : values[k] == 0.0f ? 0 : 2;
      if (ones != 1) return false;
    }
    return true;
  }

  bool keeps_promises() {
    namespace s = isa::slots::nc_matmul;
    const auto kept = [&](int hint, int k) {
      const View& v = program_.operand(i_, k);
      if (program_.word(i_, hint) == 0 || v.dtype != DType::fp32) return true;
      return std::ranges::all_of(chip::reference::read_floats(m_, v), [](float x) { return x == 0 || x == 1; });
    };
    if (program_.word(i_, s::is_transpose) != 0) return true;
    return kept(s::is_stationary_onezero, s::stationary) && kept(s::is_moving_onezero, s::moving);
  }

  bool tags_exist() {
    namespace s = isa::slots::nc_matmul_sparse;
    const View& tags = program_.operand(i_, s::tags);
    const uint64_t columns = program_.operand(i_, s::dst).partitions, words = tags.elements_per_partition();
    const auto read = chip::reference::read_words(m_, tags);
    for (size_t p = 0; p < tags.partitions; ++p) {
      for (size_t m = 0; m < columns; ++m) {
        if ((read[p * words + m / 4] >> (4 * (m % 4)) & 15) >= program_.word(i_, s::of)) return false;
      }
    }
    return true;
  }

  bool overlaps_itself(int source) {
    const auto to = chip::reference::places(m_, program_.operand(i_, 0));
    const auto from = chip::reference::places(m_, program_.operand(i_, source));
    const auto to_bytes = static_cast<ptrdiff_t>(dtype_bytes(program_.operand(i_, 0).dtype));
    const auto from_bytes = static_cast<ptrdiff_t>(dtype_bytes(program_.operand(i_, source).dtype));
    std::vector<std::byte*> sorted(from.begin(), from.end());
    std::ranges::sort(sorted);
    return std::ranges::any_of(to, [&](std::byte* at) {
      auto next = std::ranges::lower_bound(sorted, at - (from_bytes - 1));
      return next != sorted.end() && *next < at + to_bytes;
    });
  }

  const isa::Program& program_;
  const isa::Instruction& i_;
  Machine& m_;
};

}  // namespace

std::string meaningless(const isa::Program& program, const isa::Instruction& instruction, Machine& machine) {
  return Meaning(program, instruction, machine).problem();
}

}  // namespace presil::campaign
