// The inputs of a run: given as arrays, or drawn.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "isa/executable.h"
#include "runtime/npy.h"

namespace presil::runtime {

struct NamedArray {
  std::string name;
  Array array;
  std::span<const std::byte> lent = {};  // in place of the array's bytes: the caller's, which outlive the run
  std::span<const std::byte> bytes() const { return lent.data() != nullptr ? lent : array.bytes; }
};

// "NAME=FILE.npy", read. Errors: another form, an unreadable file.
Result<NamedArray> read_named(const std::string& argument);

// One array per input tensor of the executable, in its order and dtype: the given one, or values drawn from `seed` and
// the tensor's name (floats normal, integers 0 to 9, booleans fair); without `draw`, the given ones only. int64 values
// are taken for an int32 input if they fit. Errors: an unknown name, one given twice, another shape or dtype, an int64
// value out of range, `cancelled`.
Result<std::vector<NamedArray>> make_inputs(const isa::Executable& executable, std::vector<NamedArray> given,
                                            uint64_t seed, bool draw = true, const Cancel* cancel = nullptr);

}  // namespace presil::runtime
