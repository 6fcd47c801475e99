#include "numerics/fma.h"

#include <gtest/gtest.h>

namespace presil::numerics {
namespace {

// A host without it cannot build up trust in any result: the check itself must pass here.
TEST(Fma, ThisHostRoundsOnce) {
  EXPECT_TRUE(has_fma());
  require_fma();
}

}  // namespace
}  // namespace presil::numerics
