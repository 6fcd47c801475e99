// Converts raw values between fp32 and another type, from stdin to stdout: what is compared with ml_dtypes.
#include <cstdio>
#include <cstring>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "base/check.h"
#include "numerics/convert.h"

int main(int count, char** arguments) {
  using namespace presil;
  CHECK(count == 3, "convert_values to|from DTYPE");
  const auto dtype = dtype_from_name(arguments[2]);
  CHECK(dtype.has_value(), "a dtype's name");
  const std::vector<char> in{std::istreambuf_iterator<char>(std::cin), {}};
  const bool to = std::string(arguments[1]) == "to";
  const size_t size = dtype_bytes(*dtype), values = in.size() / (to ? sizeof(float) : size);
  std::vector<float> numbers(values);
  std::vector<char> out(values * (to ? size : sizeof(float)));
  if (to) {
    std::memcpy(numbers.data(), in.data(), in.size());
    numerics::store_span(*dtype, numbers.data(), reinterpret_cast<std::byte*>(out.data()), values);
  } else {
    numerics::load_span(*dtype, reinterpret_cast<const std::byte*>(in.data()), numbers.data(), values);
    std::memcpy(out.data(), numbers.data(), out.size());
  }
  std::fwrite(out.data(), 1, out.size(), stdout);
}
