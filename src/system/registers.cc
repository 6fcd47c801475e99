#include "system/registers.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "chip/byte_set.h"
#include "chip/execute.h"
#include "isa/control.h"
#include "isa/slots.h"
#include "system/feeds.h"
#include "system/hbm_image.h"

namespace presil::system {
namespace {

// The element that a register_load or register_store names.
std::byte* element(const isa::Executable& exe, uint32_t queue, uint32_t instruction, int64_t offset, isa::Access access,
                   chip::CoreMemory& memory) {
  const isa::Program& p = exe.queues[queue];
  const std::optional<chip::Strided> s =
      chip::resolve(p.operand(p.code[instruction], 0), offset, access, memory, p.core);
  CHECK(s, "the core keeps a register's element inside its memory");
  return s->base;
}

// Of an element that a register holds.
size_t register_bytes(DType dtype) {
  const size_t bytes = dtype_bytes(dtype);
  CHECK(bytes <= sizeof(uint32_t), "a register has 32 bits");
  return bytes;
}

uint32_t number_of(DType dtype, const std::byte* bytes) {
  uint32_t word = 0;
  const size_t size = register_bytes(dtype);
  std::memcpy(&word, bytes, size);
  const bool negative = size < 4 && (word >> (8 * size - 1) & 1) != 0;
  if (negative && (dtype == DType::int8 || dtype == DType::int16)) word |= ~uint32_t{0} << (8 * size);
  return word;
}

DType dtype_of(const isa::Executable& exe, uint32_t queue, uint32_t instruction) {
  return exe.queues[queue].operand(exe.queues[queue].code[instruction], 0).dtype;
}

class DataRegisters final : public chip::RegisterMemory {
 public:
  DataRegisters(const isa::Executable& executable, chip::CoreMemory& memory) : exe_(executable), memory_(memory) {}

  std::optional<uint32_t> load(uint32_t q, uint32_t n, std::span<const int64_t> offsets) override {
    return number_of(dtype_of(exe_, q, n), element(exe_, q, n, offsets[0], isa::Access::read, memory_));
  }
  void store(uint32_t q, uint32_t n, std::span<const int64_t> offsets, std::optional<uint32_t> value) override {
    CHECK(value, "with data every register is known");
    std::memcpy(element(exe_, q, n, offsets[0], isa::Access::write, memory_), &*value,
                register_bytes(dtype_of(exe_, q, n)));
  }

 private:
  const isa::Executable& exe_;
  chip::CoreMemory& memory_;
};

class Known final : public KnownMemory {
 public:
  Known(const isa::Executable& executable, const spec::ChipSpec& spec)
      : exe_(executable),
        memory_(spec, executable.hbm_bytes, executable.lnc),
        state_(spec),
        hbm_(executable.hbm_bytes),
        data_(executable, memory_),
        feeds_(feeds_registers(executable)) {
    for (uint32_t core = 0; core < executable.lnc; ++core) {
      sbuf_.emplace_back(spec.sbuf.partitions, spec.sbuf.bytes_per_partition);
      psum_.emplace_back(spec.psum.partitions, spec.psum.bytes_per_partition);
    }
  }

  Result<Filled> fill(const std::vector<Input>& inputs, uint32_t part) {
    for (const isa::HbmTensor* t : TRY(fill_known(exe_, inputs, part, memory_, storage_)))
      hbm_.insert(static_cast<int64_t>(t->address), static_cast<int64_t>(t->address + t->bytes));
    return Filled{};
  }

  std::string executed(const chip::Executed& e) override {
    if (!feeds_[e.queue][e.instruction]) return {};
    const isa::Program& p = exe_.queues[e.queue];
    const isa::Instruction& i = p.code[e.instruction];
    bool known = !isa::uses_registers(p, i);  // of the engines: those are not followed
    for (int k = 0; known && k < i.operand_count; ++k) {
      if (isa::access_of(p, i, k) != isa::Access::write || isa::is_table(p, i, k))  // a scatter leaves other rows
        known = is_known(p, p.operand(i, k), e.offsets[static_cast<size_t>(k)]);
    }
    if (known) chip::execute(p, i, e.offsets, memory_, state_);
    for (int k = 0; k < i.operand_count; ++k) {
      if (isa::access_of(p, i, k) != isa::Access::read)
        set(p, p.operand(i, k), e.offsets[static_cast<size_t>(k)], known);
    }
    return state_.fault;
  }

  std::optional<uint32_t> load(uint32_t q, uint32_t n, std::span<const int64_t> offsets) override {
    const isa::Program& p = exe_.queues[q];
    if (!is_known(p, p.operand(p.code[n], 0), offsets[0])) return std::nullopt;
    return data_.load(q, n, offsets);
  }
  void store(uint32_t q, uint32_t n, std::span<const int64_t> offsets, std::optional<uint32_t> value) override {
    const isa::Program& p = exe_.queues[q];
    set(p, p.operand(p.code[n], 0), offsets[0], value.has_value());
    if (value) data_.store(q, n, offsets, value);
  }

 private:
  bool is_known(const isa::Program& queue, const isa::View& view, int64_t offset) {
    if (!view.present()) return true;
    const chip::Placed p = chip::place(view);
    if (p.shape.run == 0) return true;
    const int64_t begin = p.begin + offset;
    if (view.memory == isa::Memory::sbuf) return sbuf_[queue.core ^ view.peer].contains(p.shape, begin);
    if (view.memory == isa::Memory::psum) return psum_[queue.core].contains(p.shape, begin);
    bool all = true;
    chip::for_each_run(p.shape, begin, [&](int64_t from, int64_t to) { all = all && hbm_.contains(from, to); });
    return all;
  }

  void set(const isa::Program& queue, const isa::View& view, int64_t offset, bool known) {
    if (!view.present()) return;
    const chip::Placed p = chip::place(view);
    if (p.shape.run == 0) return;
    const int64_t begin = p.begin + offset;
    if (view.memory == isa::Memory::hbm) {
      chip::for_each_run(p.shape, begin, [&](int64_t from, int64_t to) {
        if (known)
          hbm_.insert(from, to);
        else
          hbm_.erase(from, to);
      });
      return;
    }
    chip::PartitionedSet& set = view.memory == isa::Memory::sbuf ? sbuf_[queue.core ^ view.peer] : psum_[queue.core];
    if (known)
      set.insert(p.shape, begin);
    else if (!set.never_used())
      set.erase(p.shape, begin);
  }

  const isa::Executable& exe_;
  std::vector<std::vector<std::byte>> storage_;  // before the memory, to which it is lent
  chip::CoreMemory memory_;
  chip::ExecuteState state_;
  std::vector<chip::PartitionedSet> sbuf_, psum_;  // by physical core
  chip::PagedSet hbm_;
  DataRegisters data_;
  std::vector<std::vector<bool>> feeds_;  // by queue and instruction
};

}  // namespace

std::unique_ptr<chip::RegisterMemory> registers_of_data(const isa::Executable& executable, chip::CoreMemory& memory) {
  return std::make_unique<DataRegisters>(executable, memory);
}

Result<std::unique_ptr<KnownMemory>> known_memory(const isa::Executable& executable, const spec::ChipSpec& spec,
                                                  const std::vector<Input>& inputs, uint32_t part) {
  auto known = std::make_unique<Known>(executable, spec);
  TRY(known->fill(inputs, part));
  return std::unique_ptr<KnownMemory>(std::move(known));
}

}  // namespace presil::system
