// A function of one variable as data: cubics between breakpoints, which the scalar engine evaluates like its own
// functions. Tables come from files (runtime/activation_file.h) and travel inside an Executable.
#pragma once
#include <array>
#include <span>
#include <string>
#include <vector>

namespace presil::numerics {

// From `start` on to the next piece's: c0 + t (c1 + t (c2 + t c3)), t = x - origin, fused multiply-adds in fp32.
// Trailing coefficients of zero do not take part, so that a constant or a line holds at infinity too.
struct ActivationPiece {
  float start = 0, origin = 0;
  std::array<float, 4> coefficients{};
  bool operator==(const ActivationPiece&) const = default;
};

// The first piece begins at minus infinity, starts ascend. What holds outside of the range that a function was fitted
// to is in the first and the last piece.
struct ActivationTable {
  std::string name;
  std::vector<ActivationPiece> pieces;
  bool operator==(const ActivationTable&) const = default;
};
inline constexpr size_t kActivationPiecesMax = 4096;

// What is wrong with a table; empty if nothing is.
std::string problem_of(const ActivationTable& table);

// One value: NaN gives the canonical NaN, as does every invalid result.
float table_apply(const ActivationTable& table, float x);

}  // namespace presil::numerics
