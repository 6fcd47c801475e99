#include "spec/quantity.h"

#include <gtest/gtest.h>

#include "base/prng.h"

namespace presil::spec {
namespace {

constexpr Unit kTextUnits[] = {Unit::percent, Unit::hertz, Unit::bytes, Unit::bytes_per_second, Unit::duration};

TEST(Quantity, Parses) {
  EXPECT_EQ(*parse_quantity("2.4 GHz", Unit::hertz), 2'400'000'000u);
  EXPECT_EQ(*parse_quantity("2.4GHz", Unit::hertz), 2'400'000'000u);
  EXPECT_EQ(*parse_quantity(" 0.5 KiB ", Unit::bytes), 512u);
  EXPECT_EQ(*parse_quantity("24 MiB", Unit::bytes), 25'165'824u);
  EXPECT_EQ(*parse_quantity("24 MB", Unit::bytes), 24'000'000u);
  EXPECT_EQ(*parse_quantity("2.9 TB/s", Unit::bytes_per_second), 2'900'000'000'000u);
  EXPECT_EQ(*parse_quantity("1 us", Unit::duration), 1'000'000'000u);
  EXPECT_EQ(*parse_quantity("0.000001 ns", Unit::duration), 1u);
}

TEST(Quantity, Refuses) {
  for (const char* bad : {"", " ", "GHz", "1", ".5 GHz", "1. GHz", "1.2.3 GHz", "1e9 Hz", "0x1 Hz", "+1 Hz", "1 ghz",
                          "1 GHz GHz", "1 s", "99999999999999999999999999 Hz", "9223372036854775808 Hz"}) {
    EXPECT_FALSE(parse_quantity(bad, Unit::hertz)) << bad;
  }
  EXPECT_TRUE(parse_quantity("9223372036854775807 Hz", Unit::hertz));
}

TEST(Quantity, PrintsShort) {
  EXPECT_EQ(print_quantity(2'400'000'000, Unit::hertz), "2.4 GHz");
  EXPECT_EQ(print_quantity(25'165'824, Unit::bytes), "24 MiB");
  EXPECT_EQ(print_quantity(171'400'000, Unit::duration), "171.4 ns");
  EXPECT_EQ(print_quantity(1'050'000, Unit::duration), "1.05 ns");
  EXPECT_EQ(print_quantity(0, Unit::duration), "0 fs");
  EXPECT_EQ(print_quantity(1001, Unit::bytes), "1001 B");
  EXPECT_EQ(print_quantity(90, Unit::percent), "90 %");
  EXPECT_EQ(print_quantity(7, Unit::cycles), "7");
}

TEST(Quantity, RoundTripsExactly) {
  Prng prng(1);
  for (int i = 0; i < 20000; ++i) {
    const uint64_t value = prng.next() >> (1 + prng.below(63));
    const uint64_t round = value / 1000 * 1000;
    for (const Unit unit : kTextUnits) {
      for (const uint64_t v : {value, round}) {
        const std::string text = print_quantity(v, unit);
        const auto back = parse_quantity(text, unit);
        ASSERT_TRUE(back) << text << ": " << back.error().text();
        ASSERT_EQ(*back, v) << text;
      }
    }
  }
}

}  // namespace
}  // namespace presil::spec
