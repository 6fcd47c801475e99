#include "kernels/window.h"

namespace presil::kernels {
namespace {

// Outputs first..first+count-1 of an axis, tap k: the input index is o * stride - pad + k * dilation; it exists within
// [0, extent). Indices are of the whole image.
Span covered(int64_t first, int64_t count, int64_t stride, int64_t pad, int64_t tap_offset, int64_t extent) {
  int64_t shift = tap_offset - pad;
  int64_t low = std::max<int64_t>(first, shift >= 0 ? 0 : (-shift + stride - 1) / stride);
  int64_t high = std::min<int64_t>(first + count - 1, extent - 1 - shift < 0 ? -1 : (extent - 1 - shift) / stride);
  if (high < low) return {};
  return {low - first, high - low + 1, low * stride + shift};
}

}  // namespace

std::vector<Tap> taps_of(const Window& w, const Rectangle& r, int64_t full_rows, int64_t full_columns) {
  std::vector<Tap> taps;
  for (int64_t ky = 0; ky < w.kernel[0]; ++ky) {
    for (int64_t kx = 0; kx < w.kernel[1]; ++kx) {
      Tap tap{ky, kx, covered(r.row, r.rows, w.stride[0], w.pad_begin[0], ky * w.dilation[0], full_rows),
              covered(r.column, r.columns, w.stride[1], w.pad_begin[1], kx * w.dilation[1], full_columns)};
      if (tap.rows.count > 0 && tap.columns.count > 0) taps.push_back(tap);
    }
  }
  auto whole = std::find_if(taps.begin(), taps.end(),
                            [&](const Tap& t) { return t.rows.count == r.rows && t.columns.count == r.columns; });
  if (whole != taps.end()) std::rotate(taps.begin(), whole, whole + 1);
  return taps;
}

bool covers(const Tap& tap, const Rectangle& r) { return tap.rows.count == r.rows && tap.columns.count == r.columns; }

isa::View input_window(const Block& in, size_t group, const Images& n, const Window& w, const Tap& tap) {
  int64_t row = tap.rows.input - in.row_begin;
  CHECK(row >= 0 && row + (tap.rows.count - 1) * w.stride[0] < in.shape[2],
        "the caller provides the rows a window needs");
  return view(in, group,
              {{n.begin, n.count, 1},
               {0, in.groups[group].partitions, 1},
               {row, tap.rows.count, w.stride[0]},
               {tap.columns.input, tap.columns.count, w.stride[1]}});
}

isa::View output_window(const Block& out, size_t group, const Images& n, const Rectangle& r) {
  return view(out, group,
              {{n.begin, n.count, 1},
               {0, out.groups[group].partitions, 1},
               {r.row - out.row_begin, r.rows, 1},
               {r.column, r.columns, 1}});
}

isa::View tile_window(Context& c, uint32_t tile, int64_t partitions, const Rectangle& r, const Tap& tap,
                      int64_t images) {
  return c.build.tile_view(tile, DType::fp32, 0, static_cast<uint32_t>(partitions),
                           4 * (tap.rows.begin * r.columns + tap.columns.begin),
                           {{static_cast<int32_t>(r.rows * r.columns), static_cast<uint32_t>(images)},
                            {static_cast<int32_t>(r.columns), static_cast<uint32_t>(tap.rows.count)},
                            {1, static_cast<uint32_t>(tap.columns.count)}});
}

std::optional<isa::View> bias_of(const Weights& weights, size_t group) {
  if (!weights.bias) return std::nullopt;
  return view(*weights.bias, group);
}

int64_t psum_elements(const Context& c) {
  int64_t bank = static_cast<int64_t>(c.spec.psum.bytes_per_partition / c.spec.psum.banks / 4);
  return std::min<int64_t>(bank, c.spec.tensor.moving_max);
}

isa::View zeros(Context& c, DType dtype, int64_t partitions, int64_t elements) {
  const auto bytes = static_cast<uint32_t>(elements * static_cast<int64_t>(dtype_bytes(dtype)));
  const isa::View v = c.build.tile_view(c.build.sbuf(static_cast<uint32_t>(partitions), bytes, "zeros"), dtype);
  c.build.memset({.dst = v, .value = 0.0f});
  return v;
}

}  // namespace presil::kernels
