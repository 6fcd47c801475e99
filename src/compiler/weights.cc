#include "compiler/weights.h"

#include "numerics/convert.h"

namespace presil::compiler {
namespace {

std::vector<float> values_of(const graph::Tensor& t) {
  std::vector<float> values(static_cast<size_t>(graph::element_count(t.shape)));
  numerics::load_span(t.dtype, t.data->data(), values.data(), values.size());
  return values;
}

// out[i] = source(i) in `dtype`; a negative source index is zero.
template <class Source>
HostTensor gathered(const graph::Tensor& from, graph::Shape shape, DType dtype, Source source) {
  HostTensor out{dtype, std::move(shape), {}};
  if (!from.data) return out;
  std::vector<float> in = values_of(from), values(static_cast<size_t>(graph::element_count(out.shape)));
  for (size_t i = 0; i < values.size(); ++i) {
    int64_t at = source(static_cast<int64_t>(i));
    values[i] = at < 0 ? 0.0f : in[static_cast<size_t>(at)];
  }
  out.data.resize(values.size() * dtype_bytes(dtype));
  numerics::store_span(dtype, values.data(), out.data.data(), values.size());
  return out;
}

struct Kernel {
  int64_t rows = 1, columns = 1;
  int64_t taps() const { return rows * columns; }
};
Kernel kernel_of(const graph::Shape& w) { return w.size() == 3 ? Kernel{1, w[2]} : Kernel{w[2], w[3]}; }

}  // namespace

HostTensor converted(const graph::Tensor& t, DType dtype) {
  if (t.dtype == dtype || (t.dtype == DType::boolean && dtype == DType::uint8)) {
    return {dtype, t.shape, t.data ? std::vector<std::byte>(*t.data) : std::vector<std::byte>()};
  }
  return gathered(t, t.shape, dtype, [](int64_t i) { return i; });
}

HostTensor conv_weights(const graph::Tensor& w, int64_t channels, int64_t group, int64_t begin, int64_t m,
                        DType dtype) {
  Kernel k = kernel_of(w.shape);
  int64_t per_group = channels / group, m_per_group = w.shape[0] / group;
  return gathered(w, {channels, k.rows, k.columns, m}, dtype, [=](int64_t i) {
    int64_t o = begin + i % m, tap = i / m % k.taps(), c = i / m / k.taps();
    if (o / m_per_group != c / per_group) return int64_t{-1};
    return (o * per_group + c % per_group) * k.taps() + tap;
  });
}

HostTensor packed_weights(const graph::Tensor& w, int64_t begin, int64_t m, DType dtype) {
  Kernel k = kernel_of(w.shape);
  int64_t channels = w.shape[1];
  return gathered(w, {k.taps() * channels, m}, dtype, [=](int64_t i) {
    int64_t o = begin + i % m, c = i / m % channels, tap = i / m / channels;
    return (o * channels + c) * k.taps() + tap;
  });
}

HostTensor depthwise_weights(const graph::Tensor& w) {
  Kernel k = kernel_of(w.shape);
  return gathered(w, {w.shape[0], k.rows, k.columns}, DType::fp32, [](int64_t i) { return i; });
}

HostTensor transpose_weights(const graph::Tensor& w, int64_t group, int64_t begin, int64_t m, DType dtype) {
  Kernel k = kernel_of(w.shape);
  int64_t channels = w.shape[0], per_group = channels / group, m_per_group = w.shape[1];
  return gathered(w, {channels, k.rows, k.columns, m}, dtype, [=](int64_t i) {
    int64_t o = begin + i % m, tap = i / m % k.taps(), c = i / m / k.taps();
    if (o / m_per_group != c / per_group) return int64_t{-1};
    return (c * m_per_group + o % m_per_group) * k.taps() + tap;
  });
}

HostTensor linear_weights(const graph::Tensor& w, int64_t begin, int64_t n, DType dtype) {
  int64_t columns = w.shape[1];
  return gathered(w, {w.shape[0], n}, dtype, [=](int64_t i) { return i / n * columns + begin + i % n; });
}

}  // namespace presil::compiler
