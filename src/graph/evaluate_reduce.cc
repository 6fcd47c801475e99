// Primitives that sum: matmul, reduce, softmax, layer_norm. Sums run in double, in index order.
#include <algorithm>
#include <cmath>

#include "graph/evaluation.h"
#include "graph/shape.h"
#include "numerics/activation.h"

namespace presil::graph {
namespace {

template <class T>
T combine(ReduceKind kind, T a, T b) {
  switch (kind) {
    case ReduceKind::sum:
    case ReduceKind::mean:
      return a + b;
    case ReduceKind::max:
      return std::max(a, b);
    case ReduceKind::min:
      return std::min(a, b);
    case ReduceKind::prod:
      return a * b;
  }
  return a;
}

template <class T>
ByteVector reduce(const Evaluation& e, const std::vector<T>& x) {
  const Shape& in = e.in(0).shape;
  Shape kept = in;
  for (int64_t axis : e.attrs().axes) kept[axis] = 1;
  Shape out_strides = row_major_strides(kept);
  for (int64_t axis : e.attrs().axes) out_strides[axis] = 0;
  std::vector<T> y(element_count(kept), e.attrs().reduce == ReduceKind::prod ? T{1} : T{0});
  std::vector<bool> seen(y.size(), false);
  for (size_t i = 0; i < x.size(); ++i) {
    int64_t rest = static_cast<int64_t>(i), to = 0;
    for (size_t d = in.size(); d-- > 0;) {
      to += rest % in[d] * out_strides[d];
      rest /= in[d];
    }
    y[to] = seen[to] ? combine(e.attrs().reduce, y[to], x[i]) : x[i];
    seen[to] = true;
  }
  if (e.attrs().reduce == ReduceKind::mean && !y.empty()) {
    T count = static_cast<T>(x.size() / y.size());
    for (T& v : y) v /= count;
  }
  return e.store(std::span<const T>(y));
}

// Elements of a tensor as [outer, axis, inner].
struct AxisView {
  int64_t outer = 1, size = 1, inner = 1;
};
AxisView view_at(const Shape& shape, int64_t axis) {
  return {element_count({shape.begin(), shape.begin() + axis}), shape[axis],
          element_count({shape.begin() + axis + 1, shape.end()})};
}

}  // namespace

Result<ByteVector> evaluate_matmul(const Evaluation& e) {
  const Shape &as = e.in(0).shape, &bs = e.in(1).shape, &ys = e.out().shape;
  std::vector<double> a = e.floats(0), b = e.floats(1), y(element_count(ys));
  std::vector<double> bias = e.node.inputs.size() == 3 ? e.floats(2) : std::vector<double>(ys.back());
  int64_t m = ys[ys.size() - 2], n = ys.back(), k = as.back();
  Shape batch(ys.begin(), ys.end() - 2);
  auto batch_offset = [&](int64_t index, const Shape& shape) {
    int64_t offset = 0, stride = 1;
    for (size_t d = batch.size(); d-- > 0; index /= batch[d]) {
      size_t missing = ys.size() - shape.size();
      if (d < missing) continue;
      if (shape[d - missing] != 1) offset += index % batch[d] * stride;
      stride *= shape[d - missing];
    }
    return offset;
  };
  for (int64_t batch_index = 0; batch_index < element_count(batch); ++batch_index) {
    const double* ap = a.data() + batch_offset(batch_index, as) * m * k;
    const double* bp = b.data() + batch_offset(batch_index, bs) * k * n;
    for (int64_t i = 0; i < m; ++i) {
      double* yp = y.data() + (batch_index * m + i) * n;
      for (int64_t l = 0; l < k; ++l) {
        for (int64_t j = 0; j < n; ++j) yp[j] += ap[i * k + l] * bp[l * n + j];
      }
      for (int64_t j = 0; j < n; ++j) yp[j] += bias[j];
    }
  }
  return e.store(y);
}

Result<ByteVector> evaluate_reduce(const Evaluation& e) {
  return is_float(e.in(0).dtype) ? reduce(e, e.floats(0)) : reduce(e, e.integers(0));
}

Result<ByteVector> evaluate_softmax(const Evaluation& e) {
  std::vector<double> x = e.floats(0);
  AxisView v = view_at(e.in(0).shape, e.attrs().axes[0]);
  for (int64_t row = 0; v.size > 0 && row < v.outer * v.inner; ++row) {
    double* p = x.data() + row / v.inner * v.size * v.inner + row % v.inner;
    double largest = p[0], sum = 0;
    for (int64_t i = 1; i < v.size; ++i) largest = std::max(largest, p[i * v.inner]);
    for (int64_t i = 0; i < v.size; ++i) {
      double& value = p[i * v.inner];
      value = activation_apply(Activation::exp, static_cast<float>(value - largest));
      sum += value;
    }
    for (int64_t i = 0; i < v.size; ++i) p[i * v.inner] /= sum;
  }
  return e.store(x);
}

Result<ByteVector> evaluate_layer_norm(const Evaluation& e) {
  std::vector<double> x = e.floats(0), scale = e.floats(1), bias = e.floats(2);
  size_t size = scale.size();
  for (size_t row = 0; size > 0 && row < x.size(); row += size) {
    double mean = 0, variance = 0;
    for (size_t i = 0; i < size; ++i) mean += x[row + i];
    mean /= static_cast<double>(size);
    for (size_t i = 0; i < size; ++i) variance += (x[row + i] - mean) * (x[row + i] - mean);
    double deviation = std::sqrt(variance / static_cast<double>(size) + e.attrs().epsilon);
    for (size_t i = 0; i < size; ++i) x[row + i] = (x[row + i] - mean) / deviation * scale[i] + bias[i];
  }
  return e.store(x);
}

}  // namespace presil::graph
