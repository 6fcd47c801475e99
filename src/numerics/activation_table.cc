#include "numerics/activation_table.h"

#include <algorithm>
#include <cmath>

#include "numerics/activation_span.h"
#include "numerics/float_bits.h"

namespace presil::numerics {

std::string problem_of(const ActivationTable& table) {
  const auto& pieces = table.pieces;
  if (pieces.empty() || pieces.size() > kActivationPiecesMax)
    return std::to_string(pieces.size()) + " pieces, from 1 to " + std::to_string(kActivationPiecesMax);
  if (pieces[0].start != -kInfinity) return "the first piece does not begin at -inf";
  for (size_t i = 1; i < pieces.size(); ++i) {
    if (!(pieces[i].start > pieces[i - 1].start) || std::isinf(pieces[i].start))
      return "piece " + std::to_string(i) + " does not begin after the one before";
  }
  for (size_t i = 0; i < pieces.size(); ++i) {
    const ActivationPiece& p = pieces[i];
    const bool finite =
        std::isfinite(p.origin) && std::ranges::all_of(p.coefficients, [](float c) { return std::isfinite(c); });
    if (!finite) return "piece " + std::to_string(i) + " has a number that is not finite";
  }
  return {};
}

float table_apply(const ActivationTable& table, float x) {
  if (is_nan(x)) return kNan;
  const auto after =
      std::ranges::upper_bound(table.pieces.begin() + 1, table.pieces.end(), x, {}, &ActivationPiece::start);
  const ActivationPiece& p = *(after - 1);
  const float t = x - p.origin;
  size_t degree = 3;
  while (degree > 0 && p.coefficients[degree] == 0.0f) --degree;
  float y = p.coefficients[degree];
  for (size_t i = degree; i-- > 0;) y = std::fma(y, t, p.coefficients[i]);
  return canonical(y);
}

void table_span(const ActivationTable& table, const float* in, float* out, size_t count,
                const ActivationArguments& arguments) {
  for (size_t i = 0; i < count; ++i)
    out[i] = table_apply(table, canonical(std::fma(in[i], arguments.scale, arguments.bias)));
}

}  // namespace presil::numerics
