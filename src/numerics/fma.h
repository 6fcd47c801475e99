// Fused multiply-add is part of the definition of many results; machines without it are refused at start.
#pragma once

namespace presil::numerics {

bool has_fma();      // this processor multiplies and adds with one rounding
void require_fma();  // CHECKs has_fma(), and that the build's std::fma rounds once

}  // namespace presil::numerics
