#include "validate/mamba.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "backend/lower.h"
#include "base/prng.h"
#include "spec/chip_file.h"
#include "system/run.h"

namespace presil::validate {
namespace {

constexpr Mamba kSmall{.channels = 256, .sequence = 600, .states = 3};

std::vector<float> drawn(size_t count, float low, float high, Prng& random) {
  std::vector<float> out(count);
  for (float& v : out) v = low + (high - low) * random.unit();
  return out;
}

struct Operands {
  std::vector<float> delta, u, a, b, c;
};

// h = exp(delta a) h + delta u b; out = sum over states of c h.
std::vector<double> reference(const Mamba& m, const Operands& x) {
  std::vector<double> out(size_t{m.channels} * m.sequence, 0.0);
  for (size_t channel = 0; channel < m.channels; ++channel) {
    for (size_t state = 0; state < m.states; ++state) {
      double h = 0;
      for (size_t t = 0; t < m.sequence; ++t) {
        const size_t at = channel * m.sequence + t, row = state * m.sequence + t;
        h = std::exp(double{x.delta[at]} * x.a[channel * m.states + state]) * h +
            double{x.delta[at]} * x.u[at] * x.b[row];
        out[at] += x.c[row] * h;
      }
    }
  }
  return out;
}

class MambaVersions : public testing::TestWithParam<tile::TileProgram (*)(const Mamba&)> {};

TEST_P(MambaVersions, ComputeTheScan) {
  Prng random(7);
  const size_t whole = size_t{kSmall.channels} * kSmall.sequence, rows = size_t{kSmall.states} * kSmall.sequence;
  const Operands x{drawn(whole, 0, 1, random), drawn(whole, -1, 1, random),
                   drawn(size_t{kSmall.channels} * kSmall.states, -1, 0, random), drawn(rows, -1, 1, random),
                   drawn(rows, -1, 1, random)};
  const spec::ChipSpec chip = *spec::load_chip("trn1");
  const isa::Executable executable = *backend::lower(GetParam()(kSmall), chip);
  auto bytes = [](const std::vector<float>& v) { return std::as_bytes(std::span(v)); };
  const std::vector<system::Input> inputs = {
      {"delta", bytes(x.delta)}, {"u", bytes(x.u)}, {"a", bytes(x.a)}, {"b", bytes(x.b)}, {"c", bytes(x.c)}};
  const auto run = system::run(executable, chip, {.data = true, .check = true}, inputs, nullptr);
  ASSERT_TRUE(run.has_value());
  ASSERT_TRUE(run->outcome.ok());
  EXPECT_TRUE(run->findings.empty());
  std::vector<float> out(whole);
  ASSERT_EQ(run->outputs.at(0).bytes.size(), whole * sizeof(float));
  std::memcpy(out.data(), run->outputs[0].bytes.data(), whole * sizeof(float));
  const std::vector<double> expected = reference(kSmall, x);
  for (size_t i = 0; i < whole; ++i) ASSERT_NEAR(out[i], expected[i], 2e-5) << i;
}

INSTANTIATE_TEST_SUITE_P(All, MambaVersions, testing::Values(mamba_v1, mamba_v2, mamba_v3));

}  // namespace
}  // namespace presil::validate
