// Programs of the two cores of a pair, to plant faults into: each computes in its own memories, moves data to and from
// the other's, meets it in shared HBM, and exchanges; whatever must be ordered is, by as few waits as possible or by
// more.
#pragma once
#include "tests/campaign/subject.h"

namespace presil::campaign {

Subject random_pair(uint64_t seed, int instructions);

}  // namespace presil::campaign
