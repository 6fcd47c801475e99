#include "base/json_writer.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace presil {
namespace {

TEST(JsonWriter, NestsAndKeepsOrder) {
  JsonWriter w;
  w.begin_object().member("b", 1).key("a").begin_array().value(0.1).value(true).null().begin_object().end_object();
  w.end_array().key("c").begin_array().end_array().end_object();
  EXPECT_EQ(w.take(), "{\n \"b\": 1,\n \"a\": [\n  0.1,\n  true,\n  null,\n  {}\n ],\n \"c\": []\n}\n");
}

TEST(JsonWriter, EscapesText) {
  EXPECT_EQ(json_quoted("a\"b\\c\nd\te\x01 \xc3\xa9"), "\"a\\\"b\\\\c\\nd\\te\\u0001 \xc3\xa9\"");
}

TEST(JsonWriter, NumbersRoundTripAndInfinityIsNull) {
  JsonWriter w;
  w.begin_array().value(UINT64_MAX).value(INT64_MIN).value(1e-300).value(std::numeric_limits<double>::infinity());
  w.end_array();
  EXPECT_EQ(w.take(), "[\n 18446744073709551615,\n -9223372036854775808,\n 1e-300,\n null\n]\n");
}

TEST(JsonWriterDeathTest, AValueInAnObjectHasAKey) {
  JsonWriter w;
  w.begin_object();
  EXPECT_DEATH(w.value(1), "a value in an object has a key");
}

}  // namespace
}  // namespace presil
