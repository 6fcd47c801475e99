#include "base/text.h"

#include <gtest/gtest.h>

namespace presil {
namespace {

TEST(Text, NearestNameFindsATypoAndRefusesAStranger) {
  std::vector<std::string> names = {"tensor_clock", "vector_clock", "sbuf_bytes"};
  EXPECT_EQ(nearest_name("tensor_clok", names), "tensor_clock");
  EXPECT_EQ(nearest_name("sbufbytes", names), "sbuf_bytes");
  EXPECT_EQ(nearest_name("zzzzzz", names), "");
  EXPECT_EQ(nearest_name("y", std::vector<std::string>{"x"}), "");
  EXPECT_EQ(nearest_name("ab", std::vector<std::string>{"abc"}), "abc");
}

TEST(Text, Quantities) {
  EXPECT_EQ(bytes_text(512), "512 B");
  EXPECT_EQ(bytes_text(1536 * 1024), "1.50 MiB");
  EXPECT_EQ(seconds_text(1.5e-6), "1.50 us");
}

TEST(Text, Counts) {
  EXPECT_EQ(count_text(0, "finding"), "0 findings");
  EXPECT_EQ(count_text(1, "finding"), "1 finding");
  EXPECT_EQ(count_text(2, "finding"), "2 findings");
}

}  // namespace
}  // namespace presil
