#include "isa/view.h"

#include <algorithm>
#include <limits>

namespace presil::isa {
namespace {

// Sums of hostile steps and counts may leave 64 bits; a clamped bound is still out of every memory.
int64_t clamped(__int128 value) {
  return static_cast<int64_t>(
      std::clamp<__int128>(value, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()));
}

// The two dims as one, if walking them visits the same places in the same order.
std::optional<Dim> merged(const Dim& outer, const Dim& inner) {
  if (static_cast<int64_t>(inner.step) * static_cast<int64_t>(inner.count) != outer.step) return std::nullopt;
  uint64_t count = uint64_t{outer.count} * inner.count;
  if (count > std::numeric_limits<uint32_t>::max()) return std::nullopt;
  return Dim{inner.step, static_cast<uint32_t>(count)};
}

}  // namespace

std::string_view memory_name(Memory m) {
  constexpr std::string_view names[] = {"none", "sbuf", "psum", "hbm"};
  return names[static_cast<size_t>(m)];
}

View simplified(const View& view) {
  View out = view;
  out.dims = {};
  out.rank = 0;
  for (const Dim& dim : view.pattern()) {
    if (dim.count == 1) continue;
    std::optional<Dim> both = out.rank > 0 ? merged(out.dims[out.rank - 1], dim) : std::nullopt;
    if (both) {
      out.dims[out.rank - 1] = *both;
    } else {
      out.dims[out.rank++] = dim;
    }
  }
  return out;
}

ByteRange byte_range(const View& view) {
  __int128 low = 0, high = 0;
  for (const Dim& dim : view.pattern()) {
    if (dim.count == 0) return {view.offset, view.offset};
    __int128 reach = static_cast<__int128>(dim.step) * (dim.count - 1);
    (reach < 0 ? low : high) += reach;
  }
  const auto size = static_cast<__int128>(dtype_bytes(view.dtype));
  return {clamped(view.offset + low * size), clamped(view.offset + (high + 1) * size)};
}

}  // namespace presil::isa
