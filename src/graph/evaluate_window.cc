// Convolutions, pooling and resize. Spatial axes are brought to three by leading ones, so that one loop nest serves
// 1-D, 2-D and 3-D.
#include <algorithm>
#include <array>
#include <limits>

#include "graph/evaluation.h"
#include "graph/resize.h"

namespace presil::graph {
namespace {

struct Window {
  std::array<int64_t, 3> in{1, 1, 1}, out{1, 1, 1}, kernel{1, 1, 1}, stride{1, 1, 1}, dilation{1, 1, 1}, pad{0, 0, 0};

  int64_t in_count() const { return in[0] * in[1] * in[2]; }
  int64_t out_count() const { return out[0] * out[1] * out[2]; }
  int64_t kernel_count() const { return kernel[0] * kernel[1] * kernel[2]; }
};

// `in` and `out` are full shapes whose last axes are spatial.
Window window_of(const Attributes& a, const Shape& in, const Shape& out, std::span<const int64_t> kernel) {
  Window w;
  for (size_t s = 0, n = kernel.size(); s < n; ++s) {
    size_t d = 3 - n + s;
    w.in[d] = in[s + 2];
    w.out[d] = out[s + 2];
    w.kernel[d] = kernel[s];
    w.stride[d] = a.strides[s];
    w.dilation[d] = a.dilations[s];
    w.pad[d] = a.pads[s];
  }
  return w;
}

// Calls visit(kernel element, input element) for every tap of output position `position` that lies inside the input.
template <class Visit>
void for_each_tap(const Window& w, int64_t position, Visit visit) {
  std::array<int64_t, 3> at{position / (w.out[1] * w.out[2]), position / w.out[2] % w.out[1], position % w.out[2]};
  for (int64_t k = 0; k < w.kernel_count(); ++k) {
    std::array<int64_t, 3> tap{k / (w.kernel[1] * w.kernel[2]), k / w.kernel[2] % w.kernel[1], k % w.kernel[2]};
    int64_t offset = 0;
    bool inside = true;
    for (int d = 0; d < 3; ++d) {
      int64_t i = at[d] * w.stride[d] + tap[d] * w.dilation[d] - w.pad[d];
      inside &= i >= 0 && i < w.in[d];
      offset = offset * w.in[d] + i;
    }
    if (inside) visit(k, offset);
  }
}

}  // namespace

Result<ByteVector> evaluate_conv(const Evaluation& e) {
  const Shape &xs = e.in(0).shape, &ws = e.in(1).shape, &ys = e.out().shape;
  Window w = window_of(e.attrs(), xs, ys, std::span(ws).subspan(2));
  std::vector<double> x = e.floats(0), weight = e.floats(1), y(element_count(ys));
  std::vector<double> bias = e.node.inputs.size() == 3 ? e.floats(2) : std::vector<double>(ws[0]);
  int64_t group_in = ws[1], group_out = ws[0] / e.attrs().group;
  int64_t in_count = w.in_count(), out_count = w.out_count(), taps = w.kernel_count();
  for (int64_t p = 0; p < out_count; ++p) {
    for_each_tap(w, p, [&](int64_t k, int64_t offset) {
      for (int64_t n = 0; n < xs[0]; ++n) {
        for (int64_t m = 0; m < ws[0]; ++m) {
          const double* xp = &x[(n * xs[1] + m / group_out * group_in) * in_count + offset];
          const double* wp = &weight[m * group_in * taps + k];
          double sum = 0;
          for (int64_t c = 0; c < group_in; ++c) sum += xp[c * in_count] * wp[c * taps];
          y[(n * ws[0] + m) * out_count + p] += sum;
        }
      }
    });
  }
  for (int64_t i = 0; i < element_count(ys); ++i) y[i] += bias[i / out_count % ws[0]];
  return e.store(y);
}

// Each input element is scattered to the outputs that a convolution with the same window would have read it for.
Result<ByteVector> evaluate_conv_transpose(const Evaluation& e) {
  const Shape &xs = e.in(0).shape, &ws = e.in(1).shape, &ys = e.out().shape;
  Window w = window_of(e.attrs(), ys, xs, std::span(ws).subspan(2));
  std::vector<double> x = e.floats(0), weight = e.floats(1), y(element_count(ys));
  std::vector<double> bias = e.node.inputs.size() == 3 ? e.floats(2) : std::vector<double>(ys[1]);
  int64_t group_in = ws[0] / e.attrs().group, group_out = ws[1];
  int64_t x_count = w.out_count(), y_count = w.in_count(), taps = w.kernel_count();
  for (int64_t p = 0; p < x_count; ++p) {
    for_each_tap(w, p, [&](int64_t k, int64_t offset) {
      for (int64_t n = 0; n < xs[0]; ++n) {
        for (int64_t c = 0; c < ws[0]; ++c) {
          double value = x[(n * ws[0] + c) * x_count + p];
          double* yp = &y[(n * ys[1] + c / group_in * group_out) * y_count + offset];
          const double* wp = &weight[c * group_out * taps + k];
          for (int64_t m = 0; m < group_out; ++m) yp[m * y_count] += value * wp[m * taps];
        }
      }
    });
  }
  for (int64_t i = 0; i < element_count(ys); ++i) y[i] += bias[i / y_count % ys[1]];
  return e.store(y);
}

Result<ByteVector> evaluate_pool(const Evaluation& e) {
  const Shape &xs = e.in(0).shape, &ys = e.out().shape;
  Window w = window_of(e.attrs(), xs, ys, e.attrs().kernel);
  std::vector<double> x = e.floats(0), y(element_count(ys));
  bool max = e.attrs().pool == PoolKind::max;
  for (int64_t plane = 0; plane < xs[0] * xs[1]; ++plane) {
    const double* xp = x.data() + plane * w.in_count();
    for (int64_t p = 0; p < w.out_count(); ++p) {
      double best = -std::numeric_limits<double>::infinity(), sum = 0;
      int64_t visited = 0;
      for_each_tap(w, p, [&](int64_t, int64_t offset) {
        best = std::max(best, xp[offset]);
        sum += xp[offset];
        ++visited;
      });
      int64_t divisor = e.attrs().count_include_pad ? w.kernel_count() : visited;
      y[plane * w.out_count() + p] = max ? best : sum / static_cast<double>(divisor);
    }
  }
  return e.store(y);
}

Result<ByteVector> evaluate_resize(const Evaluation& e) {
  Shape shape = e.in(0).shape;
  std::vector<double> values = e.floats(0);
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    std::vector<ResizeTap> taps = resize_taps(e.attrs(), axis, shape[axis], e.out().shape[axis]);
    int64_t outer = element_count({shape.begin(), shape.begin() + axis});
    int64_t inner = element_count({shape.begin() + axis + 1, shape.end()});
    std::vector<double> resized(outer * taps.size() * inner);
    for (int64_t o = 0; o < outer; ++o) {
      for (size_t i = 0; i < taps.size(); ++i) {
        const double* low = &values[(o * shape[axis] + taps[i].low) * inner];
        const double* high = &values[(o * shape[axis] + taps[i].high) * inner];
        double weight = taps[i].high_weight;
        double* to = &resized[(o * taps.size() + i) * inner];
        for (int64_t k = 0; k < inner; ++k) to[k] = low[k] * (1 - weight) + high[k] * weight;
      }
    }
    shape[axis] = e.out().shape[axis];
    values = std::move(resized);
  }
  return e.store(values);
}

}  // namespace presil::graph
