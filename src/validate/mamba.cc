#include "validate/mamba.h"

#include <algorithm>
#include <vector>

#include "tile/builder.h"

namespace presil::validate {
namespace {

using isa::EngineKind;
using isa::TensorRole;
using tile::Builder;
using tile::View;

constexpr uint32_t kPartitions = 128;
constexpr uint32_t kBank = 512;  // fp32 of a PSUM bank, and the most that a matmul streams
constexpr DType kType = DType::fp32;

struct Kernel {
  Mamba m;
  Builder b;
  uint32_t delta, u, a, bs, cs, out;
  View ones;

  Kernel(const char* name, const Mamba& shape) : m(shape), b(name, "fp32") {
    delta = b.tensor("delta", kType, {m.channels, m.sequence}, TensorRole::input);
    u = b.tensor("u", kType, {m.channels, m.sequence}, TensorRole::input);
    a = b.tensor("a", kType, {m.channels, m.states}, TensorRole::input);
    bs = b.tensor("b", kType, {m.states, m.sequence}, TensorRole::input);
    cs = b.tensor("c", kType, {m.states, m.sequence}, TensorRole::input);
    out = b.tensor("out", kType, {m.channels, m.sequence}, TensorRole::output);
    const uint64_t elements = 3 * uint64_t{m.channels} * m.sequence + 2 * uint64_t{m.states} * m.sequence;
    b.begin_layer(name, "scan", 0, 4 * elements);
    ones = tile(1, kPartitions, "ones");
    b.memset({.dst = ones, .value = 1.0f});
  }

  View tile(uint32_t partitions, uint32_t elements, const char* name) {
    return b.tile_view(b.sbuf(partitions, elements * 4, name), kType, 0, partitions, 0, {{1, elements}});
  }
  View load(uint32_t tensor, uint32_t pitch, uint32_t row, uint32_t rows, uint32_t column, uint32_t columns,
            const char* name) {
    const View to = tile(rows, columns, name);
    b.set_source(name);
    b.dma(to, b.hbm_view(tensor, int64_t{row} * pitch + column, {{static_cast<int32_t>(pitch), rows}, {1, columns}}));
    return to;
  }
  View channels_of(uint32_t tensor, uint32_t channel, const char* name) {
    return load(tensor, m.sequence, channel, kPartitions, 0, m.sequence, name);
  }
  View decay_of(uint32_t channel, uint32_t state) {
    return load(a, m.states, channel, kPartitions, state, 1, "load a");
  }
  View zeros(uint32_t elements, const char* name) {
    const View z = tile(kPartitions, elements, name);
    b.set_source(name);
    b.memset({.dst = z, .value = 0.0f});
    return z;
  }

  // A state's row of B or C in all partitions, by the tensor engine. What fits a bank is read from there; what does
  // not, or is used again, is copied to SBUF by `copier`.
  View spread(uint32_t tensor, uint32_t state, uint32_t first, uint32_t count, bool keep, EngineKind copier) {
    const View row = load(tensor, m.sequence, state, 1, first, count, tensor == bs ? "load b" : "load c");
    const bool copied = keep || count > kBank;
    const View to = copied ? tile(kPartitions, count, "spread") : View{};
    for (uint32_t begin = 0; begin < count; begin += kBank) {
      const uint32_t n = std::min(kBank, count - begin);
      const View bank = b.tile_view(b.psum(kPartitions, n * 4, "spread"), kType, 0, kPartitions, 0, {{1, n}});
      b.set_source("spread");
      b.matmul({.dst = bank, .stationary = ones, .moving = part(row, begin, n)});
      if (!copied) return bank;
      if (copier == EngineKind::scalar) {
        b.activation({.dst = part(to, begin, n), .data = bank});
      } else {
        b.tensor_copy({.dst = part(to, begin, n), .src = bank, .engine = copier});
      }
    }
    return to;
  }

  static View part(View v, uint32_t first, uint32_t count) {
    v.offset += int64_t{first} * 4;
    v.dims[0].count = count;
    return v;
  }

  View products(const View& d, const View& x) {
    const View product = tile(kPartitions, d.dims[0].count, "delta u");
    b.set_source("state");
    b.tensor_tensor({.dst = product, .data1 = d, .data2 = x, .op = AluOp::multiply});
    return product;
  }

  // Adds a state's share to `sum`; all of [128, count]. `carry` [128, 1] is the scan's state before, and after.
  template <class Row>
  void add_state(const View& d, const View& product, const View& decay, Row&& row, const View& sum, const View* carry) {
    const uint32_t count = d.dims[0].count;
    const View decays = tile(kPartitions, count, "exp(delta a)");
    const View input = tile(kPartitions, count, "delta u b"), scan = tile(kPartitions, count, "scan");
    const View weighted = tile(kPartitions, count, "scan c");
    b.set_source("exp");
    b.activation({.dst = decays, .data = d, .op = Activation::exp, .scale = decay});
    b.set_source("state");
    const View b_row = row(bs);
    b.set_source("state");
    b.tensor_tensor({.dst = input, .data1 = product, .data2 = b_row, .op = AluOp::multiply});
    b.tensor_tensor_scan({.dst = scan,
                          .data0 = decays,
                          .data1 = input,
                          .initial = carry ? tile::Scalar(*carry) : tile::Scalar(0.0f),
                          .op0 = AluOp::multiply,
                          .op1 = AluOp::add});
    if (carry) b.tensor_copy({.dst = *carry, .src = part(scan, count - 1, 1)});
    const View c_row = row(cs);
    b.set_source("state");
    b.tensor_tensor({.dst = weighted, .data1 = scan, .data2 = c_row, .op = AluOp::multiply});
    b.tensor_tensor({.dst = sum, .data1 = sum, .data2 = weighted, .op = AluOp::add});
  }

  void store(uint32_t channel, const View& sum) {
    b.set_source("store");
    b.dma(b.hbm_view(out, int64_t{channel} * m.sequence,
                     {{static_cast<int32_t>(m.sequence), kPartitions}, {1, m.sequence}}),
          sum);
  }
};

}  // namespace

tile::TileProgram mamba_v1(const Mamba& m) {
  Kernel k("mamba v1", m);
  std::vector<View> sums;
  for (uint32_t c = 0; c < m.channels; c += kPartitions) sums.push_back(k.zeros(m.sequence, "sums"));
  for (uint32_t state = 0; state < m.states; ++state) {
    const View b_row = k.spread(k.bs, state, 0, m.sequence, true, EngineKind::vector);
    const View c_row = k.spread(k.cs, state, 0, m.sequence, true, EngineKind::scalar);
    for (uint32_t c = 0; c < m.channels; c += kPartitions) {
      const View d = k.channels_of(k.delta, c, "load delta"), x = k.channels_of(k.u, c, "load u");
      k.add_state(
          d, k.products(d, x), k.decay_of(c, state), [&](uint32_t tensor) { return tensor == k.bs ? b_row : c_row; },
          sums[c / kPartitions], nullptr);
    }
  }
  for (uint32_t c = 0; c < m.channels; c += kPartitions) k.store(c, sums[c / kPartitions]);
  return k.b.take();
}

tile::TileProgram mamba_v2(const Mamba& m) {
  Kernel k("mamba v2", m);
  for (uint32_t c = 0; c < m.channels; c += kPartitions) {
    const View sum = k.zeros(m.sequence, "sums");
    const View d = k.channels_of(k.delta, c, "load delta");
    const View product = k.products(d, k.channels_of(k.u, c, "load u"));
    for (uint32_t state = 0; state < m.states; ++state) {
      auto row = [&](uint32_t tensor) { return k.spread(tensor, state, 0, m.sequence, false, EngineKind::scalar); };
      k.add_state(d, product, k.decay_of(c, state), row, sum, nullptr);
    }
    k.store(c, sum);
  }
  return k.b.take();
}

tile::TileProgram mamba_v3(const Mamba& m) {
  Kernel k("mamba v3", m);
  for (uint32_t c = 0; c < m.channels; c += kPartitions) {
    const View sum = k.zeros(m.sequence, "sums");
    const View d = k.channels_of(k.delta, c, "load delta");
    const View product = k.products(d, k.channels_of(k.u, c, "load u"));
    for (uint32_t state = 0; state < m.states; ++state) {
      const View decay = k.decay_of(c, state), carry = k.zeros(1, "carry");
      for (uint32_t first = 0; first < m.sequence; first += kBank) {
        const uint32_t n = std::min(kBank, m.sequence - first);
        auto row = [&](uint32_t tensor) { return k.spread(tensor, state, first, n, false, EngineKind::scalar); };
        k.add_state(k.part(d, first, n), k.part(product, first, n), decay, row, k.part(sum, first, n), &carry);
      }
    }
    k.store(c, sum);
  }
  return k.b.take();
}

}  // namespace presil::validate
