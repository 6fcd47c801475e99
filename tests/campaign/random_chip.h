// Random machines, swarm style: shapes, sizes, counts, rates and times from both ends of what a chip file may say.
#pragma once
#include "spec/chip_spec.h"

namespace presil::campaign {

// Keeps the rules between fields (spec/fields.h, check_geometry). Small memories, so that programs spill.
spec::ChipSpec random_chip(uint64_t seed);

}  // namespace presil::campaign
