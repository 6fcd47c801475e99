// Several Executables as one: parts that run one after the other, branches between them and loops around them. Parts
// meet in HBM: what one writes as an output and another reads as an input has one name. Between parts, all engines
// meet: every one of them knows that everything before is complete.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "isa/executable.h"
#include "spec/chip_spec.h"

namespace presil::backend {

struct LinkPart;
using LinkParts = std::vector<LinkPart>;

// `body` runs while one element of tensor `go`, then after each iteration that of `again`, is not zero, and as often as
// that of `trips` says, but `trips_most` times at most. Where a name is empty nothing else decides.
struct LinkLoop {
  std::string trips, go, again;
  int64_t trips_most = INT32_MAX;
  isa::HbmTensor iteration;  // takes the iteration's number if it has a name; 32 bits
  LinkParts body;
};

struct LinkPart {
  isa::Executable code;          // of a part without branch or loop
  std::optional<LinkLoop> loop;  // of node `node`
  // A branch, if `node` is not empty: by the one element of tensor `condition`, which an earlier part or the caller
  // writes. `halts`: a way on which the machine stops.
  std::string node, condition;
  LinkParts then, otherwise;
  bool then_halts = false, otherwise_halts = false;
};

// Semaphores that linking itself needs, and the most that one part of `parts` pieces may use.
uint32_t part_semaphores(const spec::ChipSpec& spec, size_t parts);

// `ends`: inputs and outputs of the whole, which get addresses; parts find them by name. What parts share else is
// scratch. Model, precision and chip are the first part's. Errors: more semaphores or HBM than the core has.
Result<isa::Executable> link(const LinkParts& parts, std::vector<isa::HbmTensor> ends, const spec::ChipSpec& spec);

}  // namespace presil::backend
