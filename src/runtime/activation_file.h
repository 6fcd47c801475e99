// Activation tables as files (TOML), and programs that use them.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "isa/executable.h"
#include "numerics/fit_activation.h"

namespace presil::runtime {

// What a file says besides the pieces is for people.
std::string print_activation(const numerics::Fit& fit, const numerics::FitOptions& options, std::string_view origin);
// Errors name file:line and key.
Result<numerics::ActivationTable> parse_activation(std::string_view text, const std::string& where);
Result<numerics::ActivationTable> read_activation(const std::string& path);

// Points of a function: FILE.npy of shape [n, 2], or FILE.csv with "x,y" per line (a first line of names is skipped).
Result<std::pair<std::vector<double>, std::vector<double>>> read_samples(const std::string& path);

// A function of a program, and what takes its place.
struct Replacement {
  std::string name;  // of a function of the scalar engine ("gelu"), or of a layer
  numerics::ActivationTable table;
};
// Every instruction that applies the function, or that belongs to the layer and applies its one function, applies the
// table instead. Only functions that need a table themselves can be replaced: the others may run on any engine.
// Error: a name that nothing in the program has, with those that it has.
Result<void> replace_activations(isa::Executable& executable, std::span<const Replacement> replacements);

}  // namespace presil::runtime
