#include "compiler/weights.h"

#include <algorithm>

#include "numerics/convert.h"

namespace presil::compiler {
namespace {

std::vector<float> values_of(const graph::Tensor& t) {
  std::vector<float> values(static_cast<size_t>(graph::element_count(t.shape)));
  numerics::load_span(t.dtype, t.data->data(), values.data(), values.size());
  return values;
}

// A tensor in `dtype` whose values fill(in, out) writes over zeros.
template <class Fill>
HostTensor filled(const graph::Tensor& from, graph::Shape shape, DType dtype, Fill fill) {
  HostTensor out{dtype, std::move(shape), {}};
  if (!from.data) return out;
  std::vector<float> values(static_cast<size_t>(graph::element_count(out.shape)), 0.0f);
  fill(values_of(from).data(), values.data());
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

std::optional<float> number_of(const graph::Tensor& t) {
  if (!t.constant || t.opaque || !t.data || graph::element_count(t.shape) != 1) return std::nullopt;
  float value = 0;
  numerics::load_span(t.dtype, t.data->data(), &value, 1);
  return value;
}

HostTensor converted(const graph::Tensor& t, DType dtype) {
  if (t.dtype == dtype || (t.dtype == DType::boolean && dtype == DType::uint8)) {
    return {dtype, t.shape, t.data ? std::vector<std::byte>(*t.data) : std::vector<std::byte>()};
  }
  int64_t count = graph::element_count(t.shape);
  return filled(t, t.shape, dtype, [=](const float* in, float* out) { std::copy(in, in + count, out); });
}

HostTensor conv_weights(const graph::Tensor& w, int64_t channels, int64_t group, int64_t begin, int64_t m,
                        DType dtype) {
  Kernel k = kernel_of(w.shape);
  int64_t per_group = channels / group, m_per_group = w.shape[0] / group, taps = k.taps();
  return filled(w, {channels, k.rows, k.columns, m}, dtype, [=](const float* in, float* out) {
    for (int64_t i = 0; i < m; ++i) {
      int64_t first = (begin + i) / m_per_group * per_group;  // input channels of this output's group
      const float* row = in + (begin + i) * per_group * taps;
      for (int64_t at = 0; at < per_group * taps; ++at) out[(first * taps + at) * m + i] = row[at];
    }
  });
}

HostTensor row_weights(const graph::Tensor& w, const kernels::RowPacking& p, int64_t stride, int64_t channels,
                       int64_t group, DType dtype) {
  const Kernel k = kernel_of(w.shape);
  const int64_t per_group = channels / group, outputs = w.shape[0], m = p.out_rows * p.m_step;
  return filled(w, {p.in_rows * channels, p.passes, k.columns, m}, dtype, [=](const float* in, float* out) {
    for (int64_t o = 0; o < outputs; ++o) {
      const int64_t first = o / (outputs / group) * per_group;  // input channels of this output's group
      for (int64_t row = 0; row < p.out_rows; ++row) {
        for (int64_t at = 0; at < per_group * k.taps(); ++at) {
          const int64_t c = first + at / k.taps(), ky = at / k.columns % k.rows, kx = at % k.columns;
          const int64_t y = row * stride + ky, pass = y / p.in_rows;  // input row of the block
          const int64_t partition = y % p.in_rows * channels + c;
          out[((partition * p.passes + pass) * k.columns + kx) * m + row * p.m_step + o] =
              in[o * per_group * k.taps() + at];
        }
      }
    }
  });
}

HostTensor packed_weights(const graph::Tensor& w, const kernels::TapPacking& p, int64_t stride, DType dtype) {
  const Kernel k = kernel_of(w.shape);
  const int64_t channels = w.shape[1], taps = k.taps(), outputs = w.shape[0], m = p.out_rows * p.m_step;
  return filled(w, {k.columns * p.in_rows * channels, m}, dtype, [=](const float* in, float* out) {
    for (int64_t o = 0; o < outputs; ++o) {
      for (int64_t row = 0; row < p.out_rows; ++row) {
        for (int64_t at = 0; at < channels * taps; ++at) {
          const int64_t c = at / taps, y = row * stride + at % taps / k.columns, x = at % k.columns;
          out[((x * p.in_rows + y) * channels + c) * m + row * p.m_step + o] = in[o * channels * taps + at];
        }
      }
    }
  });
}

HostTensor depthwise_weights(const graph::Tensor& w) {
  Kernel k = kernel_of(w.shape);
  int64_t count = graph::element_count(w.shape);
  return filled(w, {w.shape[0], k.rows, k.columns}, DType::fp32,
                [=](const float* in, float* out) { std::copy(in, in + count, out); });
}

HostTensor transpose_weights(const graph::Tensor& w, int64_t group, int64_t begin, int64_t m, DType dtype) {
  Kernel k = kernel_of(w.shape);
  int64_t channels = w.shape[0], per_group = channels / group, m_per_group = w.shape[1], taps = k.taps();
  return filled(w, {channels, k.rows, k.columns, m}, dtype, [=](const float* in, float* out) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t i = 0; i < m; ++i) {
        if ((begin + i) / m_per_group != c / per_group) continue;
        const float* row = in + (c * m_per_group + (begin + i) % m_per_group) * taps;
        for (int64_t tap = 0; tap < taps; ++tap) out[(c * taps + tap) * m + i] = row[tap];
      }
    }
  });
}

HostTensor linear_weights(const graph::Tensor& w, int64_t begin, int64_t n, DType dtype) {
  int64_t rows = w.shape[0], columns = w.shape[1];
  return filled(w, {rows, n}, dtype, [=](const float* in, float* out) {
    for (int64_t k = 0; k < rows; ++k) std::copy(in + k * columns + begin, in + k * columns + begin + n, out + k * n);
  });
}

}  // namespace presil::compiler
