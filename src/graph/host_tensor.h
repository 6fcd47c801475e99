// A tensor's values on the host: row-major bytes. Conversions to and from the wide types that the interpreter computes
// in; storing rounds to fp32 and then to the type, as the engines do.
#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "graph/graph.h"

namespace presil::graph {

struct HostTensor {
  DType dtype = DType::fp32;
  Shape shape;
  std::vector<std::byte> bytes;
};

std::vector<double> load_floats(DType dtype, std::span<const std::byte> bytes);
std::vector<std::byte> store_floats(DType dtype, std::span<const double> values);

// Integers and booleans. Storing wraps around, as the hardware's narrowing does.
std::vector<int64_t> load_integers(DType dtype, std::span<const std::byte> bytes);
std::vector<std::byte> store_integers(DType dtype, std::span<const int64_t> values);

}  // namespace presil::graph
