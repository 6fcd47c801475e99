// Depthwise convolution, shared by three engines. In one way the scalar engine multiplies a tap at a time and the
// vector engine adds the product to a sum in PSUM (a sum of operands in SBUF and PSUM takes half the time of one within
// SBUF). In the other the tensor engine contracts with diagonal filters, one matmul per tap. Each tile of outputs, a
// PSUM bank at most, goes the way that would be done with it first.
#include "kernels/copy.h"
#include "kernels/identity.h"
#include "kernels/pieces.h"
#include "kernels/window.h"

namespace presil::kernels {
namespace {

// The vector engine also has the element-wise work around the convolution.
constexpr double kVectorSurcharge = 1.3;
// A group with fewer outputs does not repay making its diagonal filters.
constexpr int64_t kDiagonalPixelsMin = 384;

struct Depthwise {
  Context& context;
  const Window& window;
  const Weights& weights;
  const Block& in;
  const Block& out;
};

// A tile of outputs in one group and image.
struct Tile {
  size_t group;
  int64_t n;
  Rectangle r;
  std::vector<Tap> taps;  // one that covers the tile first, another last, where there are any
};

std::vector<Tile> tiles_of(const Depthwise& d, size_t group) {
  std::vector<Tile> out;
  for (int64_t n = 0; n < d.out.shape[0]; ++n) {
    for_each_tile(d.out, psum_elements(d.context), [&](const Rectangle& r) {
      Tile tile{group, n, r, taps_of(d.window, r, d.in.full_rows, d.in.shape[3])};
      auto second = std::find_if(tile.taps.begin() + !tile.taps.empty(), tile.taps.end(),
                                 [&](const Tap& tap) { return covers(tap, r); });
      if (second != tile.taps.end()) std::iter_swap(second, tile.taps.end() - 1);
      out.push_back(std::move(tile));
    });
  }
  return out;
}

isa::View inputs(const Depthwise& d, const Tile& tile, const Tap& tap) {
  return input_window(d.in, tile.group, {tile.n, 1}, d.window, tap);
}
isa::View result(const Depthwise& d, const Tile& tile) { return output_window(d.out, tile.group, {tile.n, 1}, tile.r); }

tile::Scalar bias(const Depthwise& d, const Tile& tile) {
  const std::optional<isa::View> column = bias_of(d.weights, tile.group);
  return column ? tile::Scalar(*column) : tile::Scalar(0.0f);
}

// --- scalar and vector engine ---

// A tile whose sum is under way in PSUM.
struct Sum {
  const Tile& tile;
  uint32_t psum;
  int64_t channels;
};

// data * weight + bias of one tap.
void product(const Depthwise& d, const Tile& tile, const Tap& tap, const isa::View& dst, const tile::Scalar& add) {
  const isa::View weight =
      view(d.weights.weights, tile.group, {{0, d.out.groups[tile.group].partitions}, {tap.row}, {tap.column}});
  d.context.build.activation({.dst = dst, .data = inputs(d, tile, tap), .scale = weight, .bias = add});
}

// The sum's first value: the tap that covers the tile, with the bias, or the bias alone.
void begin_sum(const Depthwise& d, const Sum& sum) {
  const Tile& tile = sum.tile;
  tile::Builder& build = d.context.build;
  const isa::View psum = build.tile_view(sum.psum, DType::fp32);
  if (!tile.taps.empty() && covers(tile.taps[0], tile.r)) {
    const bool only = tile.taps.size() == 1;
    return product(d, tile, tile.taps[0], only ? result(d, tile) : psum, bias(d, tile));
  }
  build.memset({.dst = psum, .value = 0.0f});
  if (d.weights.bias) build.activation({.dst = psum, .data = psum, .bias = bias(d, tile)});
  if (tile.taps.empty()) copy(d.context, result(d, tile), psum);
}

void add_tap(const Depthwise& d, const Sum& sum, size_t k) {
  const Tile& tile = sum.tile;
  tile::Builder& build = d.context.build;
  const Tap& tap = tile.taps[k];
  const uint32_t scratch =
      build.sbuf(static_cast<uint32_t>(sum.channels), static_cast<uint32_t>(4 * tile.r.rows * tile.r.columns), "tap");
  const isa::View term = tile_window(d.context, scratch, sum.channels, tile.r, tap);
  const isa::View part = tile_window(d.context, sum.psum, sum.channels, tile.r, tap);
  const bool last = k + 1 == tile.taps.size(), direct = last && covers(tap, tile.r);
  product(d, tile, tap, term, 0.0f);
  build.tensor_tensor({.dst = direct ? result(d, tile) : part, .data1 = part, .data2 = term});
  if (last && !direct) copy(d.context, result(d, tile), build.tile_view(sum.psum, DType::fp32));
}

// Tiles tap by tap in turn, so that no addition waits for the one before.
void by_products(const Depthwise& d, std::span<const Tile> tiles) {
  std::vector<Sum> sums;
  size_t taps = 0;
  for (const Tile& tile : tiles) {
    const int64_t channels = d.out.groups[tile.group].partitions;
    sums.push_back({tile,
                    d.context.build.psum(static_cast<uint32_t>(channels),
                                         static_cast<uint32_t>(4 * tile.r.rows * tile.r.columns), "depthwise"),
                    channels});
    begin_sum(d, sums.back());
    taps = std::max(taps, tile.taps.size());
  }
  for (size_t k = 0; k < taps; ++k) {
    for (const Sum& sum : sums) {
      const bool begun = k == 0 && covers(sum.tile.taps[0], sum.tile.r);
      if (k < sum.tile.taps.size() && !begun) add_tap(d, sum, k);
    }
  }
}

// --- tensor engine ---

// Diagonal filters of a group: [channels, taps, channels], in in's type.
struct Diagonals {
  uint32_t tile = 0;
  int64_t channels = 0;
};

Diagonals make_diagonals(const Depthwise& d, const isa::View& identity, size_t group) {
  tile::Builder& build = d.context.build;
  const int64_t channels = d.out.groups[group].partitions, taps = d.window.kernel[0] * d.window.kernel[1];
  const auto size = static_cast<int64_t>(dtype_bytes(d.in.dtype));
  const auto partitions = static_cast<uint32_t>(channels);
  const uint32_t tile = build.sbuf(partitions, static_cast<uint32_t>(taps * channels * size), "diagonal filters");
  isa::View ones = identity;
  ones.partitions = static_cast<uint16_t>(channels), ones.dims[0].count = partitions;
  for (int64_t tap = 0; tap < taps; ++tap) {
    const isa::View weight =
        view(d.weights.weights, group, {{0, channels}, {tap / d.window.kernel[1]}, {tap % d.window.kernel[1]}});
    copy_scaled(d.context, build.tile_view(tile, d.in.dtype, 0, partitions, tap * channels * size, {{1, partitions}}),
                ones, weight);
  }
  return {tile, channels};
}

isa::View channels_of(isa::View v, const Cut& cut) {
  v.partition = static_cast<uint16_t>(cut.partition);
  v.partitions = static_cast<uint16_t>(cut.count);
  return v;
}

// One cut of the group's channels, as many as the array has rows and columns.
void by_diagonals(const Depthwise& d, const Diagonals& diagonals, const Tile& tile, const Cut& cut) {
  tile::Builder& build = d.context.build;
  const auto channels = static_cast<uint32_t>(cut.count);
  const auto pixels = static_cast<uint32_t>(tile.r.rows * tile.r.columns);
  const uint32_t psum = build.psum(channels, 4 * pixels, "depthwise");
  auto filter = [&](int64_t row, int64_t column) {
    const int64_t element = (row * d.window.kernel[1] + column) * diagonals.channels + cut.partition;
    return build.tile_view(diagonals.tile, d.in.dtype, static_cast<uint32_t>(cut.partition), channels,
                           element * static_cast<int64_t>(dtype_bytes(d.in.dtype)), {{1, channels}});
  };
  bool accumulate = tile.taps.empty() || !covers(tile.taps[0], tile.r);
  if (accumulate) {
    const isa::View nothing = zeros(d.context, d.in.dtype, diagonals.channels, pixels);
    build.matmul(
        {.dst = build.tile_view(psum, DType::fp32), .stationary = filter(0, 0), .moving = channels_of(nothing, cut)});
  }
  for (const Tap& tap : tile.taps) {
    build.matmul({.dst = tile_window(d.context, psum, cut.count, tile.r, tap),
                  .stationary = filter(tap.row, tap.column),
                  .moving = channels_of(inputs(d, tile, tap), cut),
                  .accumulate = accumulate});
    accumulate = true;
  }
  tile::Scalar add = bias(d, tile);
  if (add.view.present()) add.view = channels_of(add.view, cut);
  build.activation({.dst = channels_of(result(d, tile), cut), .data = build.tile_view(psum, DType::fp32), .bias = add});
}

// --- choice ---

double tensor_seconds(const spec::ChipSpec& spec, DType dtype, const Tile& tile) {
  const double passes = dtype == DType::fp32 ? spec.tensor.fp32_passes : 1;
  return static_cast<double>(tile.taps.size()) * static_cast<double>(tile.r.rows * tile.r.columns) * passes /
         static_cast<double>(spec.tensor.clock_hz);
}
double vector_seconds(const spec::ChipSpec& spec, const Tile& tile) {
  return kVectorSurcharge * static_cast<double>(tile.taps.size()) * static_cast<double>(tile.r.rows * tile.r.columns) /
         static_cast<double>(spec.vector.clock_hz);
}

// Whether the tile goes to the tensor engine; its load grows.
bool choose_tensor(Context& c, DType dtype, const Tile& tile) {
  const double tensor = c.depthwise_tensor_seconds + tensor_seconds(c.spec, dtype, tile);
  const double vector = c.depthwise_vector_seconds + vector_seconds(c.spec, tile);
  (tensor <= vector ? c.depthwise_tensor_seconds : c.depthwise_vector_seconds) = std::min(tensor, vector);
  return tensor <= vector;
}

}  // namespace

void depthwise(Context& context, const Window& window, const Weights& weights, const Block& in, const Block& out) {
  constexpr size_t kTogether = 2;
  const Depthwise d{context, window, weights, in, out};
  const spec::ChipSpec& spec = context.spec;
  const std::vector<Cut> channels = cuts(out, std::min({spec.tensor.rows, spec.tensor.columns, spec.psum.partitions}));
  std::optional<isa::View> ones;
  for (size_t g = 0; g < out.groups.size(); ++g) {
    const std::vector<Tile> tiles = tiles_of(d, g);
    const bool worth = out.shape[0] * out.shape[2] * out.shape[3] >= kDiagonalPixelsMin;
    std::optional<Diagonals> diagonals;
    std::vector<Tile> waiting;  // for the vector engine
    for (const Tile& tile : tiles) {
      if (!worth || !choose_tensor(context, in.dtype, tile)) {
        waiting.push_back(tile);
        if (waiting.size() == kTogether) by_products(d, waiting), waiting.clear();
        continue;
      }
      if (!ones) ones = identity(context, DType::fp32);
      if (!diagonals) diagonals = make_diagonals(d, *ones, g);
      for (const Cut& cut : channels) {
        if (cut.group == g) by_diagonals(d, *diagonals, tile, cut);
      }
    }
    by_products(d, waiting);
  }
}

}  // namespace presil::kernels
