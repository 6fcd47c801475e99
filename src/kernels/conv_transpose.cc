// Gather form: outputs o with (o + pad) mod stride = r form phase r, and only filter taps with (k * dilation) mod
// stride = r reach them, each from an input shifted by a constant. So each phase is a small convolution with stride 1
// whose results are written with the stride. Phases that read the same inputs (filter = stride) are computed together,
// side by side in the array's columns, and leave PSUM from different quarters of its partitions.
#include <fmt/format.h>

#include <algorithm>

#include "kernels/kernels.h"
#include "kernels/pieces.h"

namespace presil::kernels {
namespace {

// Output t of a phase reads input t + shift through filter index `filter`.
struct Tap {
  int64_t filter, shift;
};

// Outputs first, first + stride, ... of one axis: number `begin` to `begin + count` of the phase.
struct Phase {
  int64_t first = 0;
  int64_t begin = 0, count = 0;
  std::vector<Tap> taps;
};

int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

std::vector<Phase> phases(const Window& w, int i, int64_t output_begin, int64_t outputs) {
  const int64_t stride = w.stride[i], pad = w.pad_begin[i];
  std::vector<Phase> out;
  for (int64_t r = 0; r < stride; ++r) {
    // Output o is number t = (o + pad - r) / stride.
    const int64_t low = floor_div(output_begin + pad - r + stride - 1, stride);
    const int64_t high = floor_div(output_begin + outputs - 1 + pad - r, stride);
    if (high < low) continue;
    Phase phase{.first = low * stride + r - pad, .begin = low, .count = high - low + 1};
    for (int64_t k = 0; k < w.kernel[i]; ++k) {
      const int64_t reach = k * w.dilation[i] - r;
      if (reach % stride == 0) phase.taps.push_back({k, -reach / stride});
    }
    out.push_back(std::move(phase));
  }
  return out;
}

// Numbers [begin, end) of a phase.
Phase part(const Phase& phase, int64_t stride, int64_t begin, int64_t end) {
  Phase out = phase;
  out.first += (begin - phase.begin) * stride;
  out.begin = begin, out.count = end - begin;
  return out;
}

// The phases cut so that they have their common numbers in parts of their own: a piece of rows may begin amid a stride.
std::vector<Phase> with_common_parts(const std::vector<Phase>& phases, int64_t stride) {
  int64_t begin = phases[0].begin, end = begin + phases[0].count;
  for (const Phase& p : phases) begin = std::max(begin, p.begin), end = std::min(end, p.begin + p.count);
  if (end <= begin) return phases;
  std::vector<Phase> out;
  for (const Phase& p : phases) {
    if (p.begin < begin) out.push_back(part(p, stride, p.begin, begin));
    out.push_back(part(p, stride, begin, end));
    if (p.begin + p.count > end) out.push_back(part(p, stride, end, p.begin + p.count));
  }
  return out;
}

struct PhasePair {
  Phase y, x;
};

bool same_inputs(const Phase& a, const Phase& b) {
  return a.begin == b.begin && a.count == b.count &&
         std::equal(a.taps.begin(), a.taps.end(), b.taps.begin(), b.taps.end(),
                    [](const Tap& s, const Tap& t) { return s.shift == t.shift; });
}

// Phases computed by the same matmuls: phase j is in partitions [j * slot, +M) of their result.
struct PhaseSet {
  std::vector<PhasePair> phases;
  int64_t slot = 0, columns = 0;  // columns: of the stationary operand, all phases
};

struct Rectangle {
  int64_t row = 0, rows = 1, column = 0, columns = 1;  // numbers of a phase
  bool operator==(const Rectangle&) const = default;
};

struct Kernel {
  Context& context;
  const Window& window;
  const Weights& weights;
  const Block& in;
  const Block& out;
  const Epilogue& epilogue;
  std::vector<Cut> k;             // of the contraction
  int64_t rectangle_max;          // elements of a result
  std::optional<uint32_t> zeros;  // tile with that many elements, once something needs it
};

// A moving operand of zeros, for k[0].
isa::View zeros(Kernel& kernel, uint32_t elements) {
  tile::Builder& build = kernel.context.build;
  const auto partitions = static_cast<uint32_t>(kernel.k[0].count);
  if (!kernel.zeros) {
    const auto size = static_cast<int64_t>(dtype_bytes(kernel.in.dtype));
    kernel.zeros = build.sbuf(partitions, static_cast<uint32_t>(kernel.rectangle_max * size), "zeros");
    build.memset({.dst = build.tile_view(*kernel.zeros, kernel.in.dtype), .value = 0.0f});
  }
  return build.tile_view(*kernel.zeros, kernel.in.dtype, 0, partitions, 0, {{1, elements}});
}

// Taps of all phases of a set that read one shifted input.
struct SharedTap {
  size_t y, x;  // indices into the phases' taps
  int64_t row_shift, column_shift;
};

std::vector<SharedTap> shared_taps(const PhaseSet& set) {
  std::vector<SharedTap> out;
  const PhasePair& phase = set.phases[0];
  for (size_t y = 0; y < phase.y.taps.size(); ++y) {
    for (size_t x = 0; x < phase.x.taps.size(); ++x) {
      out.push_back({y, x, phase.y.taps[y].shift, phase.x.taps[x].shift});
    }
  }
  return out;
}

// Numbers of the rectangle whose input exists.
Rectangle covered(const Kernel& kernel, const SharedTap& tap, const Rectangle& r) {
  auto clip = [](int64_t begin, int64_t count, int64_t shift, int64_t extent) {
    const int64_t low = std::max(begin, -shift), high = std::min(begin + count, extent - shift);
    return std::pair(low, std::max<int64_t>(0, high - low));
  };
  const auto [row, rows] = clip(r.row, r.rows, tap.row_shift, kernel.in.full_rows);
  const auto [column, columns] = clip(r.column, r.columns, tap.column_shift, kernel.in.shape[3]);
  return {row, rows, column, columns};
}

isa::View filter(const Kernel& kernel, const Cut& cut, const PhasePair& phase, const SharedTap& tap, int64_t m_begin,
                 int64_t m) {
  return view(kernel.weights.weights, cut.group,
              {{cut.partition, cut.count}, {phase.y.taps[tap.y].filter}, {phase.x.taps[tap.x].filter}, {m_begin, m}});
}

// Stationary operands of a set of several phases, [K, taps, columns] per cut of K: each phase's filter in its slot.
std::vector<isa::View> packed_filters(const Kernel& kernel, const PhaseSet& set) {
  tile::Builder& build = kernel.context.build;
  const DType dtype = kernel.weights.weights.dtype;
  const auto size = static_cast<int64_t>(dtype_bytes(dtype));
  const std::vector<SharedTap> taps = shared_taps(set);
  const int64_t m = kernel.out.shape[1];
  std::vector<isa::View> out;
  for (const Cut& cut : kernel.k) {
    const auto rows = static_cast<uint32_t>(cut.partition + cut.count);
    const uint32_t tile = build.sbuf(rows, static_cast<uint32_t>(taps.size() * set.columns * size), "packed filters");
    build.memset({.dst = build.tile_view(tile, dtype), .value = 0.0f});
    const auto part = [&](int64_t column, int64_t columns) {
      return build.tile_view(tile, dtype, static_cast<uint32_t>(cut.partition), static_cast<uint32_t>(cut.count),
                             column * size, {{1, static_cast<uint32_t>(columns)}});
    };
    for (size_t t = 0; t < taps.size(); ++t) {
      const int64_t first = static_cast<int64_t>(t) * set.columns;
      for (size_t j = 0; j < set.phases.size(); ++j) {
        build.tensor_copy({.dst = part(first + static_cast<int64_t>(j) * set.slot, m),
                           .src = filter(kernel, cut, set.phases[j], taps[t], 0, m)});
      }
      out.push_back(part(first, set.columns));
    }
  }
  return out;
}

// Results of a rectangle for columns [m_begin, +m) of the stationary operands, which `stationary(cut, tap)` gives.
template <class Stationary>
isa::View multiply(Kernel& kernel, const PhaseSet& set, int64_t n, const Rectangle& r, int64_t columns,
                   const Stationary& stationary) {
  tile::Builder& build = kernel.context.build;
  const auto partitions = static_cast<uint32_t>(columns);
  const auto pixels = static_cast<uint32_t>(r.rows * r.columns);
  const uint32_t tile = build.psum(partitions, pixels * 4, "conv_transpose");
  std::vector<SharedTap> taps = shared_taps(set);
  std::vector<size_t> order(taps.size());
  for (size_t t = 0; t < order.size(); ++t) order[t] = t;
  const auto whole =
      std::find_if(order.begin(), order.end(), [&](size_t t) { return covered(kernel, taps[t], r) == r; });
  bool started = whole != order.end();
  if (started) {
    std::rotate(order.begin(), whole, whole + 1);
  } else {
    build.matmul(
        {.dst = build.tile_view(tile, DType::fp32), .stationary = stationary(0, 0), .moving = zeros(kernel, pixels)});
  }
  bool accumulate = !started;
  for (size_t t : order) {
    const Rectangle c = covered(kernel, taps[t], r);
    if (c.rows == 0 || c.columns == 0) continue;
    const int64_t row = c.row + taps[t].row_shift - kernel.in.row_begin;
    CHECK(row >= 0 && row + c.rows <= kernel.in.shape[2], "the caller provides the rows that a window needs");
    const isa::View dst = build.tile_view(
        tile, DType::fp32, 0, partitions, 4 * ((c.row - r.row) * r.columns + c.column - r.column),
        {{static_cast<int32_t>(r.columns), static_cast<uint32_t>(c.rows)}, {1, static_cast<uint32_t>(c.columns)}});
    for (size_t k = 0; k < kernel.k.size(); ++k) {
      const isa::View moving = view(kernel.in, kernel.k[k].group,
                                    {{n},
                                     {kernel.k[k].partition, kernel.k[k].count},
                                     {row, c.rows},
                                     {c.column + taps[t].column_shift, c.columns}});
      build.matmul({.dst = dst, .stationary = stationary(k, t), .moving = moving, .accumulate = accumulate});
      accumulate = true;
    }
  }
  return build.tile_view(tile, DType::fp32);
}

// Partitions [partition, +m) of a result to one phase's outputs, channels [m_partition, +m) of group g.
void write_phase(const Kernel& kernel, isa::View result, int64_t partition, const PhasePair& phase, const Rectangle& r,
                 int64_t n, const Cut& m) {
  const Block& out = kernel.out;
  result.partition = static_cast<uint16_t>(partition);
  result.partitions = static_cast<uint16_t>(m.count);
  const int64_t row = phase.y.first + (r.row - phase.y.begin) * kernel.window.stride[0] - out.row_begin;
  const int64_t column = phase.x.first + (r.column - phase.x.begin) * kernel.window.stride[1];
  const isa::View pixels = view(out, m.group,
                                {{n},
                                 {m.partition, m.count},
                                 {row, r.rows, kernel.window.stride[0]},
                                 {column, r.columns, kernel.window.stride[1]}});
  std::optional<isa::View> bias;
  if (kernel.weights.bias) bias = origin(*kernel.weights.bias, m.group, m.partition, m.count, {});
  evacuate(kernel.context, {result, pixels, bias, {}}, kernel.epilogue);
}

template <class Run>
void for_each_rectangle(const Kernel& kernel, const PhaseSet& set, const Run& run) {
  const Phase &y = set.phases[0].y, &x = set.phases[0].x;
  const int64_t column_parts = (x.count + kernel.rectangle_max - 1) / kernel.rectangle_max;
  const int64_t columns = (x.count + column_parts - 1) / column_parts;
  const int64_t rows = column_parts > 1 ? 1 : std::min(y.count, kernel.rectangle_max / columns);
  for (int64_t n = 0; n < kernel.out.shape[0]; ++n) {
    for (int64_t row = 0; row < y.count; row += rows) {
      for (int64_t column = 0; column < x.count; column += columns) {
        run(n, Rectangle{y.begin + row, std::min(rows, y.count - row), x.begin + column,
                         std::min(columns, x.count - column)});
      }
    }
  }
}

void together(Kernel& kernel, const PhaseSet& set) {
  const std::vector<isa::View> filters = packed_filters(kernel, set);
  const size_t taps = filters.size() / kernel.k.size();
  const Cut all{0, 0, kernel.out.shape[1], 0};
  for_each_rectangle(kernel, set, [&](int64_t n, const Rectangle& r) {
    const isa::View result =
        multiply(kernel, set, n, r, set.columns, [&](size_t k, size_t t) { return filters[k * taps + t]; });
    for (size_t j = 0; j < set.phases.size(); ++j) {
      write_phase(kernel, result, static_cast<int64_t>(j) * set.slot, set.phases[j], r, n, all);
    }
  });
}

void alone(Kernel& kernel, const PhasePair& phase) {
  const PhaseSet set{{phase}};
  const spec::ChipSpec& spec = kernel.context.spec;
  const std::vector<SharedTap> taps = shared_taps(set);
  for (const Cut& m : cuts(kernel.out, std::min<int64_t>(spec.tensor.columns, spec.psum.partitions))) {
    for_each_rectangle(kernel, set, [&](int64_t n, const Rectangle& r) {
      const isa::View result = multiply(kernel, set, n, r, m.count, [&](size_t k, size_t t) {
        // A phase that no tap reaches multiplies zeros by any filter.
        if (taps.empty())
          return view(kernel.weights.weights, kernel.k[k].group,
                      {{kernel.k[k].partition, kernel.k[k].count}, {0}, {0}, {m.begin, m.count}});
        return filter(kernel, kernel.k[k], phase, taps[t], m.begin, m.count);
      });
      write_phase(kernel, result, 0, phase, r, n, m);
    });
  }
}

// Phases in sets; those with several members have at least one tap.
std::vector<PhaseSet> phase_sets(const Kernel& kernel, const std::vector<Phase>& ys, const std::vector<Phase>& xs) {
  const spec::ChipSpec& spec = kernel.context.spec;
  const int64_t m = kernel.out.shape[1], total = spec.psum.partitions;
  const int64_t slot = m <= total / 4 ? total / 4 : m <= total / 2 ? total / 2 : total;
  const int64_t slots = std::max<int64_t>(1, std::min<int64_t>(spec.tensor.columns, total) / slot);
  std::vector<PhaseSet> sets;
  for (const Phase& y : ys) {
    for (const Phase& x : xs) {
      auto joins = [&](const PhaseSet& set) {
        return static_cast<int64_t>(set.phases.size()) < slots && !y.taps.empty() && !x.taps.empty() &&
               same_inputs(set.phases[0].y, y) && same_inputs(set.phases[0].x, x);
      };
      auto set = std::find_if(sets.begin(), sets.end(), joins);
      if (set == sets.end()) set = sets.insert(sets.end(), PhaseSet{{}, slot, 0});
      set->columns = static_cast<int64_t>(set->phases.size()) * slot + m;
      set->phases.push_back({y, x});
    }
  }
  return sets;
}

}  // namespace

void conv_transpose(Context& context, const Window& window, const Weights& weights, const Block& in, const Block& out,
                    const Epilogue& epilogue) {
  CHECK(in.rank() == 4 && out.rank() == 4 && in.partition_axis == 1 && out.partition_axis == 1 &&
            same_cut(in, weights.weights) && weights.weights.shape[3] == out.shape[1],
        fmt::format("conv_transpose of [{}] with weights [{}] to [{}]", fmt::join(in.shape, ", "),
                    fmt::join(weights.weights.shape, ", "), fmt::join(out.shape, ", ")));
  const spec::ChipSpec& spec = context.spec;
  Kernel kernel{context,
                window,
                weights,
                in,
                out,
                epilogue,
                cuts(in, spec.tensor.rows),
                std::min<int64_t>(spec.psum.bytes_per_partition / spec.psum.banks / 4, spec.tensor.moving_max),
                {}};
  const std::vector<Phase> rows = with_common_parts(phases(window, 0, out.row_begin, out.shape[2]), window.stride[0]);
  const std::vector<Phase> columns = with_common_parts(phases(window, 1, 0, out.shape[3]), window.stride[1]);
  for (const PhaseSet& set : phase_sets(kernel, rows, columns)) {
    if (set.phases.size() > 1) {
      together(kernel, set);
    } else {
      alone(kernel, set.phases[0]);
    }
  }
}

}  // namespace presil::kernels
