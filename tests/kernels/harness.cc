#include "tests/kernels/harness.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "chip/execute.h"
#include "isa/rules.h"
#include "numerics/convert.h"
#include "spec/chip_file.h"

namespace presil::testing {
namespace {

size_t flat(const Extents& shape, const Extents& index) {
  CHECK(shape.size() == index.size(), "an index per axis");
  size_t out = 0;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    CHECK(index[axis] >= 0 && index[axis] < shape[axis], "an index inside the tensor");
    out = out * static_cast<size_t>(shape[axis]) + static_cast<size_t>(index[axis]);
  }
  return out;
}

std::vector<std::byte> encode(const Tensor& tensor, DType dtype) {
  const size_t size = dtype_bytes(dtype);
  std::vector<std::byte> out(tensor.values.size() * size);
  for (size_t i = 0; i < tensor.values.size(); ++i) {
    const uint64_t bits = numerics::from_fp32(dtype, tensor.values[i]);
    std::memcpy(out.data() + i * size, &bits, size);
  }
  return out;
}

// Every tile and tensor gets addresses of its own, PSUM tiles a bank each; the memories become as large as that needs.
struct Layout {
  std::vector<int64_t> tiles, tensors;
  uint64_t hbm = 0;
  spec::ChipSpec roomy;
};
Layout lay_out(const tile::TileProgram& program, const spec::ChipSpec& spec) {
  constexpr uint64_t kAlignment = 64;
  const uint64_t bank = spec.psum.bytes_per_partition / spec.psum.banks;
  auto take = [](uint64_t& used, uint64_t bytes, uint64_t alignment) {
    const uint64_t at = used;
    used += (bytes + alignment - 1) / alignment * alignment;
    return static_cast<int64_t>(at);
  };
  Layout out{.roomy = spec};
  uint64_t sbuf = 0, psum = 0;
  for (const tile::Tile& t : program.tiles) {
    const bool in_psum = t.memory == isa::Memory::psum;
    out.tiles.push_back(in_psum ? take(psum, t.bytes, bank) : take(sbuf, t.bytes, kAlignment));
  }
  for (const isa::HbmTensor& t : program.tensors) out.tensors.push_back(take(out.hbm, t.bytes, kAlignment));
  out.roomy.sbuf.bytes_per_partition = sbuf;
  out.roomy.psum.bytes_per_partition = std::max(psum, bank);
  out.roomy.psum.banks = static_cast<uint32_t>(out.roomy.psum.bytes_per_partition / bank);
  return out;
}

isa::Program placed(const tile::TileProgram& program, const Layout& layout) {
  isa::Program out = program.code;
  for (isa::View& v : out.views) {
    if (!v.present() || v.base == isa::kAbsolute) continue;
    v.offset += v.memory == isa::Memory::hbm ? layout.tensors[v.base] : layout.tiles[v.base];
    v.base = isa::kAbsolute;
  }
  for (isa::Instruction& i : out.code) {
    if (i.dma_queue == tile::kAnyQueue) i.dma_queue = 0;
  }
  return out;
}

void expect_rules_kept(const isa::Program& code, const tile::TileProgram& program, const Layout& layout,
                       const spec::ChipSpec& spec) {
  for (const isa::Instruction& i : code.code) {
    for (const isa::Finding& finding : isa::check_instruction(code, i, layout.roomy)) ADD_FAILURE() << finding.text();
  }
  for (const tile::Tile& t : program.tiles) {
    const bool psum = t.memory == isa::Memory::psum;
    const uint64_t limit = psum ? spec.psum.bytes_per_partition / spec.psum.banks : spec.sbuf.bytes_per_partition;
    EXPECT_LE(t.bytes, limit) << "tile '" << t.name << "'";
    EXPECT_LE(t.partitions, psum ? spec.psum.partitions : spec.sbuf.partitions) << "tile '" << t.name << "'";
  }
}

spec::ChipSpec variation(uint32_t generation, uint32_t array, uint32_t psum_banks) {
  spec::ChipSpec spec = *spec::load_chip(generation == 2 ? "trn1" : "trn2");
  spec.tensor.rows = spec.tensor.columns = array;
  spec.psum.banks = psum_banks;
  return spec;
}

}  // namespace

int64_t volume(const Extents& shape) {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  return n;
}

float& Tensor::at(const Extents& index) { return values[flat(shape, index)]; }
float Tensor::at(const Extents& index) const { return values[flat(shape, index)]; }

void for_each_index(const Extents& shape, const std::function<void(const Extents&)>& fn) {
  Extents index(shape.size(), 0);
  while (true) {
    fn(index);
    size_t axis = shape.size();
    while (axis > 0 && ++index[axis - 1] == shape[axis - 1]) index[--axis] = 0;
    if (axis == 0) return;
  }
}

Tensor random_tensor(Prng& prng, const Extents& shape, DType dtype) {
  Tensor out(shape);
  for (float& v : out.values) v = numerics::to_fp32(dtype, numerics::from_fp32(dtype, prng.normal()));
  return out;
}

Tensor random_integers(Prng& prng, const Extents& shape, int64_t low, int64_t high) {
  Tensor out(shape);
  for (float& v : out.values) v = static_cast<float>(prng.between(low, high));
  return out;
}

const std::vector<Chip>& chips() {
  static const std::vector<Chip> all = {{"trn2", variation(3, 128, 8)},
                                        {"generation 2", variation(2, 128, 8)},
                                        {"array of 64", variation(3, 64, 8)},
                                        {"array of 256", variation(3, 256, 8)},
                                        {"banks of 256 bytes", variation(3, 128, 64)}};
  return all;
}
const spec::ChipSpec& trn2() { return chips()[0].spec; }

Machine::Machine(const spec::ChipSpec& spec) : context{build, spec_}, spec_(spec) {}

kernels::Block Machine::block(DType dtype, const Extents& shape, int partition_axis, Rows rows, bool strided) {
  Extents held = shape;
  if (rows.count >= 0) held[2] = rows.count;
  kernels::Block out;
  if (strided) {
    // Free axes in reverse order, one longer each.
    std::vector<int64_t> order(shape.size());
    Extents longer;
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      order[axis] = static_cast<int64_t>(shape.size() - 1 - axis);
      const size_t from = shape.size() - 1 - axis;
      longer.push_back(held[from] + (static_cast<int>(from) != partition_axis));
    }
    const int axis = static_cast<int>(shape.size()) - 1 - partition_axis;
    out = kernels::transposed(kernels::allocate(context, dtype, longer, axis, "strided"), order);
    for (int a = 0; a < out.rank(); ++a) out = *kernels::sliced(out, a, {0, held[static_cast<size_t>(a)], 1});
  } else {
    out = kernels::allocate(context, dtype, held, partition_axis, "block");
  }
  if (rows.count >= 0) out.row_begin = rows.begin, out.full_rows = shape[2];
  return out;
}

kernels::Block Machine::input(const Tensor& tensor, DType dtype, int partition_axis, Rows rows, bool strided) {
  const uint32_t hbm = build.tensor("input", dtype, tensor.shape, isa::TensorRole::input, encode(tensor, dtype));
  kernels::Block out = block(dtype, tensor.shape, partition_axis, rows, strided);
  kernels::HbmView from = kernels::row_major(hbm, dtype, tensor.shape);
  if (rows.count >= 0) from = kernels::sliced(from, 2, {rows.begin, rows.count});
  kernels::load(context, from, out);
  return out;
}

kernels::HbmView Machine::stored_output(const Extents& shape) {
  outputs_.push_back(build.tensor("output", DType::fp32, shape, isa::TensorRole::output));
  return kernels::row_major(outputs_.back(), DType::fp32, shape);
}

void Machine::output(const kernels::Block& block) {
  const kernels::HbmView to = stored_output(block.shape);
  kernels::store(context, block, to);
}

std::vector<Tensor> Machine::run() {
  const Layout layout = lay_out(build.program, spec_);
  const isa::Program code = placed(build.program, layout);
  expect_rules_kept(code, build.program, layout, spec_);
  chip::CoreMemory memory(layout.roomy, layout.hbm);
  for (isa::Memory m : {isa::Memory::sbuf, isa::Memory::psum}) {
    for (uint32_t p = 0; p < memory.plane(m).partitions; ++p) {
      std::span<std::byte> bytes = memory.partition(m, p);
      std::memset(bytes.data(), 0xff, bytes.size());
    }
  }
  for (size_t i = 0; i < build.program.tensors.size(); ++i) {
    const isa::HbmTensor& t = build.program.tensors[i];
    if (!t.data.empty()) std::memcpy(memory.hbm().data() + layout.tensors[i], t.data.data(), t.data.size());
  }
  chip::ExecuteState state(layout.roomy);
  for (const isa::Instruction& i : code.code) {
    chip::execute(code, i, {}, memory, state);
    EXPECT_EQ(state.fault, "") << isa::row(i.opcode).name;
    if (!state.fault.empty()) break;
  }
  std::vector<Tensor> out;
  for (uint32_t id : outputs_) {
    Tensor tensor(build.program.tensors[id].shape);
    std::memcpy(tensor.values.data(), memory.hbm().data() + layout.tensors[id], tensor.values.size() * 4);
    out.push_back(std::move(tensor));
  }
  return out;
}

void expect_close(const Tensor& actual, const Tensor& expected, double tolerance) {
  ASSERT_EQ(actual.shape, expected.shape);
  double squares = 0, worst = 0;
  size_t where = 0;
  for (size_t i = 0; i < expected.values.size(); ++i) {
    const double e = expected.values[i], difference = std::abs(actual.values[i] - e);
    squares += e * e;
    if (!(difference <= worst)) worst = difference, where = i;
    if (std::isnan(difference)) break;
  }
  const double rms = std::sqrt(squares / static_cast<double>(expected.values.size()));
  EXPECT_LE(worst, tolerance * (rms > 0 ? rms : 1))
      << fmt::format("element {} of [{}] is {}, expected {}", where, fmt::join(expected.shape, ", "),
                     actual.values[where], expected.values[where]);
}

double tolerance_of(DType dtype) {
  switch (dtype) {
    case DType::fp32:
      return 1e-5;
    case DType::fp16:
      return 4e-3;
    case DType::bf16:
      return 3e-2;
    default:
      return 0;
  }
}

}  // namespace presil::testing
