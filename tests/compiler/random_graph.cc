#include "random_graph.h"

#include <cmath>

namespace presil {
namespace {

using graph::Attributes;
using graph::Builder;
using graph::ElementwiseFn;
using graph::Op;
using graph::Shape;
using graph::TensorId;

class Maker {
 public:
  explicit Maker(uint64_t seed) : prng_(seed) { builder_.graph().name = "random"; }

  graph::Graph image_network() {
    int64_t n = prng_.between(1, 2), c = pick({1, 3, 5, 16, 130}), h = prng_.between(3, 24), w = prng_.between(3, 24);
    TensorId x = builder_.input("x", {DType::fp32, {n, c, h, w}});
    auto layers = 2 + prng_.below(6);
    for (uint64_t i = 0; i < layers; ++i) {
      builder_.set_source("layer" + std::to_string(i));
      x = image_layer(x);
    }
    return finish(x);
  }

  graph::Graph lookup_network() {
    int64_t b = prng_.between(1, 3), t = pick({1, 2, 9, 40, 150}), heads = prng_.between(1, 3),
            c = heads * prng_.between(2, 40);
    TensorId ids = builder_.input("ids", {DType::int64, {b, t}});
    builder_.set_source("embedding");
    TensorId x = gather(weights({kLookupRows, c}, 1), ids, 0);
    if (prng_.below(2) == 0) x = builder_.binary(ElementwiseFn::add, x, weights({t, c}, 0.5)).value();
    builder_.set_source("mask");
    TensorId masked = builder_.binary(ElementwiseFn::equal, ids, 0).value();
    TensorId mask = builder_.reshape(masked, {b, 1, 1, t}).value();
    auto layers = prng_.below(3);
    for (uint64_t i = 0; i < layers; ++i) {
      builder_.set_source("layer" + std::to_string(i));
      x = prng_.below(2) == 0 ? attention(x, heads, mask) : normalized(x);
    }
    builder_.set_source("lookup");
    if (prng_.below(2) == 0) {  // columns of what the model computes
      TensorId columns = builder_.reshape(builder_.slice(ids, 1, 0, 1).value(), {b}).value();
      TensorId inside =
          builder_
              .binary(ElementwiseFn::mul,
                      builder_.cast(builder_.binary(ElementwiseFn::greater, columns, 9).value(), DType::int64).value(),
                      c - 1)
              .value();
      x = gather(x, inside, 2);
    }
    return finish(x);
  }

  graph::Graph token_network() {
    int64_t b = prng_.between(1, 2), t = prng_.between(1, 20), heads = prng_.between(1, 3),
            c = heads * prng_.between(2, 50);
    TensorId x = builder_.input("x", {DType::fp32, {b, t, c}});
    auto layers = 1 + prng_.below(3);
    for (uint64_t i = 0; i < layers; ++i) {
      builder_.set_source("layer" + std::to_string(i));
      switch (prng_.below(3)) {
        case 0:
          x = feed_forward(x);
          break;
        case 1:
          x = attention(x, heads);
          break;
        default:
          x = normalized(x);
          break;
      }
    }
    if (prng_.below(2) == 0) x = softmax(linear(x, prng_.between(1, 300)));
    return finish(x);
  }

  // Heads of widths that lie on whole ranges of partitions, as exporters write attention: one projection or three,
  // batch or length first, scaled before or after the product, masked or not; a residual and a normalization around it.
  graph::Graph attention_network() {
    const int64_t width = pick({32, 64}), heads = prng_.between(1, 5), b = prng_.between(1, 3);
    const int64_t t = pick({1, 7, 50, 129, 140, 300}), c = width * heads;
    TensorId x = builder_.input("x", {DType::fp32, {b, t, pick({c, 40})}});
    const auto layers = 1 + prng_.below(2);
    for (uint64_t i = 0; i < layers; ++i) {
      builder_.set_source("layer" + std::to_string(i));
      TensorId mixed = heads_side_by_side(normalized(x), heads, width);
      mixed = builder_.binary(ElementwiseFn::add, linear(mixed, c), weights({c}, 0.3)).value();
      const bool residual = shape(mixed) == shape(x) && prng_.below(3) > 0;
      x = residual ? builder_.binary(ElementwiseFn::add, x, mixed).value() : mixed;
    }
    return finish(x);
  }

 private:
  // x [B, T, C] to [B, T, heads * width].
  TensorId heads_side_by_side(TensorId x, int64_t heads, int64_t width) {
    const bool length_first = prng_.below(2) == 0, together = prng_.below(2) == 0;
    if (length_first) x = builder_.transpose(x, {1, 0, 2}).value();
    const Shape rows = {shape(x)[0], shape(x)[1]};
    const int64_t c = heads * width, b = rows[length_first ? 1 : 0], t = rows[length_first ? 0 : 1];
    std::vector<TensorId> parts;
    if (together) {
      TensorId all = builder_.reshape(linear(x, 3 * c), {rows[0], rows[1], 3, c}).value();
      all = builder_.transpose(all, {2, 0, 1, 3}).value();
      for (int64_t i = 0; i < 3; ++i)
        parts.push_back(builder_.reshape(builder_.slice(all, 0, i, i + 1).value(), {rows[0], rows[1], c}).value());
    } else {
      for (int64_t i = 0; i < 3; ++i)
        parts.push_back(builder_.binary(ElementwiseFn::add, linear(x, c), weights({c}, 0.5)).value());
    }
    for (TensorId& part : parts) {
      if (length_first) {
        // As one axis of batch and heads, which a later reshape cuts again.
        part = builder_.transpose(builder_.reshape(part, {t, b * heads, width}).value(), {1, 0, 2}).value();
        part = builder_.reshape(part, {b, heads, t, width}).value();
      } else {
        part = builder_.transpose(builder_.reshape(part, {b, t, heads, width}).value(), {0, 2, 1, 3}).value();
      }
    }
    const double root = 1 / std::sqrt(static_cast<double>(width));
    const bool scaled_first = prng_.below(2) == 0;
    if (scaled_first) parts[0] = builder_.binary(ElementwiseFn::mul, parts[0], root).value();
    TensorId keys = builder_.transpose(parts[1], {0, 1, 3, 2}).value();
    TensorId scores = builder_.add(Op::matmul, {parts[0], keys}).value();
    if (!scaled_first) scores = builder_.binary(ElementwiseFn::div, scores, 1 / root).value();
    switch (prng_.below(6)) {
      case 0:
        scores = builder_.binary(ElementwiseFn::add, scores, weights({t, t}, 2)).value();
        break;
      case 1:
        scores = builder_.binary(ElementwiseFn::add, weights({b, 1, 1, t}, 2), scores).value();
        break;
      case 2:
        scores = builder_.binary(ElementwiseFn::add, scores, weights({heads, 1, t}, 2)).value();
        break;
      case 3:
        scores = builder_.binary(ElementwiseFn::add, scores, padding(b, t)).value();
        break;
      default:
        break;
    }
    TensorId mixed = builder_.add(Op::matmul, {softmax(scores), parts[2]}).value();
    mixed =
        builder_.transpose(mixed, length_first ? std::vector<int64_t>{2, 0, 1, 3} : std::vector<int64_t>{0, 2, 1, 3})
            .value();
    mixed = builder_.reshape(mixed, {rows[0], rows[1], c}).value();
    return length_first ? builder_.transpose(mixed, {1, 0, 2}).value() : mixed;
  }

  // [b, 1, 1, t]: all but some first keys of each row are far below.
  TensorId padding(int64_t b, int64_t t) {
    const double far = prng_.below(2) == 0 ? -1e4 : -3.4028234663852886e38;
    std::vector<double> values;
    for (int64_t row = 0; row < b; ++row) {
      const int64_t kept = prng_.between(1, t);
      for (int64_t key = 0; key < t; ++key) values.push_back(key < kept ? 0 : far);
    }
    return builder_.constant_floats(DType::fp32, {b, 1, 1, t}, values);
  }

  int64_t pick(std::initializer_list<int64_t> values) { return values.begin()[prng_.below(values.size())]; }
  graph::Graph finish(TensorId x) {
    builder_.set_source("output");
    TensorId out = builder_.unary(ElementwiseFn::identity, x).value();
    builder_.at(out).name = "y";
    builder_.graph().outputs = {out};
    return std::move(builder_.graph());
  }
  TensorId weights(Shape shape, double scale) {
    std::vector<double> values(static_cast<size_t>(graph::element_count(shape)));
    for (double& v : values) v = static_cast<double>(static_cast<float>(prng_.normal()) * static_cast<float>(scale));
    return builder_.constant_floats(DType::fp32, std::move(shape), values);
  }
  const Shape& shape(TensorId x) const { return builder_.shape(x); }

  TensorId image_layer(TensorId x) {
    switch (prng_.below(11)) {
      case 0:
      case 1:
      case 2:
        return convolution(x);
      case 3:
        return depthwise(x);
      case 4:
        return pool(x);
      case 5:
        return chain(x);
      case 6:
        return excite(x);
      case 7:
        return resize(x);
      case 8:
        return transposed(x);
      case 9:
        return concat(x);
      default:
        return residual(x);
    }
  }
  void window(Attributes& a, TensorId x, int64_t kh, int64_t kw) {
    a.kernel = {kh, kw};
    a.strides = {prng_.between(1, 2), prng_.between(1, 2)};
    a.dilations = {1, 1};
    a.pads = {prng_.between(0, kh - 1), prng_.between(0, kw - 1), prng_.between(0, kh - 1), prng_.between(0, kw - 1)};
    // At least one window must fit.
    const Shape& s = shape(x);
    while (s[2] + a.pads[0] + a.pads[2] < kh) ++a.pads[2];
    while (s[3] + a.pads[1] + a.pads[3] < kw) ++a.pads[3];
  }
  TensorId convolution(TensorId x) {
    int64_t c = shape(x)[1], kh = prng_.between(1, 3), kw = prng_.between(1, 3);
    int64_t group = c % 2 == 0 && c > 2 && prng_.below(4) == 0 ? 2 : 1, m = group * pick({1, 4, 12, 70});
    Attributes a;
    window(a, x, kh, kw);
    a.group = group;
    std::vector<TensorId> inputs{
        x, weights({m, c / group, kh, kw}, 1.0 / std::sqrt(static_cast<double>(c / group * kh * kw)))};
    if (prng_.below(2) == 0) inputs.push_back(weights({m}, 0.5));
    TensorId y = builder_.add(Op::conv, inputs, a).value();
    return prng_.below(2) == 0 ? builder_.unary(ElementwiseFn::relu, y).value() : y;
  }
  TensorId depthwise(TensorId x) {
    int64_t c = shape(x)[1], kh = prng_.between(1, 5), kw = prng_.between(1, 5);
    if (c == 1) return chain(x);
    Attributes a;
    window(a, x, kh, kw);
    a.group = c;
    return builder_
        .add(Op::conv, {x, weights({c, 1, kh, kw}, 1.0 / std::sqrt(static_cast<double>(kh * kw))), weights({c}, 0.5)},
             a)
        .value();
  }
  TensorId pool(TensorId x) {
    Attributes a;
    int64_t k = prng_.between(1, 3);
    window(a, x, k, k);
    for (size_t i = 0; i < 4; ++i) a.pads[i] = std::min<int64_t>(a.pads[i], k / 2);
    while (shape(x)[2] + a.pads[0] + a.pads[2] < k || shape(x)[3] + a.pads[1] + a.pads[3] < k) return chain(x);
    a.pool = prng_.below(2) == 0 ? graph::PoolKind::max : graph::PoolKind::average;
    a.count_include_pad = prng_.below(2) == 0;
    return builder_.add(Op::pool, {x}, a).value();
  }
  TensorId resize(TensorId x) {
    if (shape(x)[2] * shape(x)[3] > 900) return chain(x);
    Attributes a;
    a.scales = {1, 1, static_cast<float>(pick({1, 2, 3})), static_cast<float>(pick({1, 2}))};
    a.resize = prng_.below(3) == 0 ? graph::ResizeMode::linear : graph::ResizeMode::nearest;
    a.coordinates = prng_.below(2) == 0 ? graph::ResizeCoordinates::half_pixel : graph::ResizeCoordinates::asymmetric;
    a.rounding = graph::ResizeRounding::floor;
    Shape s = shape(x);
    s[2] *= static_cast<int64_t>(a.scales[2]), s[3] *= static_cast<int64_t>(a.scales[3]);
    return builder_.add(Op::resize, {x}, a, {DType::fp32, s}).value();
  }
  TensorId transposed(TensorId x) {
    if (shape(x)[2] * shape(x)[3] > 900) return chain(x);
    int64_t c = shape(x)[1], m = pick({1, 7, 24}), k = prng_.between(1, 3);
    Attributes a;
    a.kernel = {k, k}, a.strides = {prng_.between(1, 2), prng_.between(1, 2)}, a.dilations = {1, 1},
    a.pads = {0, 0, 0, 0}, a.output_padding = {0, 0};
    return builder_
        .add(Op::conv_transpose, {x, weights({c, m, k, k}, 1.0 / std::sqrt(static_cast<double>(c))), weights({m}, 0.5)},
             a)
        .value();
  }
  TensorId concat(TensorId x) {
    TensorId other = builder_.unary(ElementwiseFn::tanh, x).value();
    return builder_.concat({x, other}, prng_.below(3) == 0 ? 2 + static_cast<int64_t>(prng_.below(2)) : 1).value();
  }
  TensorId chain(TensorId x) {
    TensorId first = x;
    auto steps = 1 + prng_.below(5);
    for (uint64_t i = 0; i < steps; ++i) {
      switch (prng_.below(8)) {
        case 0:
          x = builder_.binary(ElementwiseFn::mul, x, 0.5 + 0.25 * static_cast<double>(prng_.below(4))).value();
          break;
        case 1:
          x = builder_.binary(ElementwiseFn::add, x, weights({shape(x)[1], 1, 1}, 0.5)).value();
          break;
        case 2:
          x = builder_.unary(ElementwiseFn::sigmoid, x).value();
          break;
        case 3:
          x = builder_.unary(ElementwiseFn::clip, x, -0.75f, 1.5f).value();
          break;
        case 4:
          x = builder_.binary(ElementwiseFn::max, x, first).value();
          break;
        case 5:
          x = builder_.unary(ElementwiseFn::hard_swish, x, 1.0f / 6, 0.5f).value();
          break;
        case 6:
          x = builder_.binary(ElementwiseFn::sub, weights({1}, 1), x).value();
          break;
        default:
          x = builder_.binary(ElementwiseFn::mul, x, weights({1, 1, shape(x)[3]}, 1)).value();
          break;
      }
    }
    return x;
  }
  TensorId excite(TensorId x) {
    int64_t c = shape(x)[1];
    TensorId s = builder_.reduce(graph::ReduceKind::mean, x, {2, 3}, true).value();
    Attributes a;
    a.kernel = a.strides = a.dilations = {1, 1}, a.pads = {0, 0, 0, 0};
    s = builder_
            .add(Op::conv, {s, weights({c, c, 1, 1}, 1.0 / std::sqrt(static_cast<double>(c))), weights({c}, 0.5)}, a)
            .value();
    return builder_.binary(ElementwiseFn::mul, x, builder_.unary(ElementwiseFn::hard_sigmoid, s, 0.2f, 0.5f).value())
        .value();
  }
  TensorId residual(TensorId x) {
    int64_t c = shape(x)[1];
    Attributes a;
    a.kernel = {3, 3}, a.strides = a.dilations = {1, 1}, a.pads = {1, 1, 1, 1};
    TensorId y =
        builder_.add(Op::conv, {x, weights({c, c, 3, 3}, 1.0 / std::sqrt(static_cast<double>(9 * c)))}, a).value();
    return builder_.binary(ElementwiseFn::add, y, x).value();
  }

  TensorId linear(TensorId x, int64_t n) {
    int64_t k = shape(x).back();
    TensorId y = builder_.add(Op::matmul, {x, weights({k, n}, 1.0 / std::sqrt(static_cast<double>(k)))}).value();
    return builder_.binary(ElementwiseFn::add, y, weights({n}, 0.5)).value();
  }
  TensorId feed_forward(TensorId x) {
    TensorId y = linear(builder_.unary(ElementwiseFn::silu, linear(x, pick({5, 129, 200}))).value(), shape(x).back());
    return builder_.binary(ElementwiseFn::add, x, y).value();
  }
  TensorId softmax(TensorId x) {
    Attributes a;
    a.axes = {static_cast<int64_t>(shape(x).size()) - 1};
    return builder_.add(Op::softmax, {x}, a).value();
  }
  TensorId normalized(TensorId x) {
    Attributes a;
    a.axes = {2}, a.epsilon = 1e-5f;
    int64_t c = shape(x)[2];
    return builder_.add(Op::layer_norm, {x, weights({c}, 1), weights({c}, 0.5)}, a).value();
  }
  TensorId gather(TensorId data, TensorId indices, int64_t axis) {
    return builder_.add(Op::gather, {data, indices}, {.axes = {axis}}).value();
  }
  // mask, if there is one: boolean, of what does not count.
  TensorId attention(TensorId x, int64_t heads, TensorId mask = {}) {
    Shape s = shape(x);
    int64_t b = s[0], t = s[1], c = s[2], width = c / heads;
    TensorId qkv = builder_.reshape(linear(x, 3 * c), {b, t, 3, heads, width}).value();
    qkv = builder_.transpose(qkv, {2, 0, 3, 1, 4}).value();
    auto part = [&](int64_t i) {
      return builder_.reshape(builder_.slice(qkv, 0, i, i + 1).value(), {b, heads, t, width}).value();
    };
    TensorId q = builder_.binary(ElementwiseFn::mul, part(0), 1.0 / std::sqrt(static_cast<double>(width))).value();
    TensorId k = builder_.transpose(part(1), {0, 1, 3, 2}).value();
    TensorId scores = builder_.add(Op::matmul, {q, k}).value();
    if (mask.valid()) {
      TensorId low = builder_.scalar(DType::fp32, -1e4);
      scores = builder_.add(Op::elementwise, {mask, low, scores}, {.fn = ElementwiseFn::where}).value();
    }
    scores = softmax(scores);
    TensorId mixed = builder_.transpose(builder_.add(Op::matmul, {scores, part(2)}).value(), {0, 2, 1, 3}).value();
    return builder_.binary(ElementwiseFn::add, x, linear(builder_.reshape(mixed, {b, t, c}).value(), c)).value();
  }

  Prng prng_;
  Builder builder_;
};

}  // namespace

graph::Graph random_image_network(uint64_t seed) { return Maker(seed).image_network(); }
graph::Graph random_attention_network(uint64_t seed) { return Maker(seed).attention_network(); }
graph::Graph random_token_network(uint64_t seed) { return Maker(seed).token_network(); }
graph::Graph random_lookup_network(uint64_t seed) { return Maker(seed).lookup_network(); }

}  // namespace presil
