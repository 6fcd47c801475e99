// Reads one line of text from left to right; every failure names the place, what was found and what was expected.
// Private to this room.
#pragma once
#include <charconv>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace presil::isa {

class Cursor {
 public:
  Cursor(std::string_view line, std::string where) : rest_(line), where_(std::move(where)) {}

  bool done();                              // nothing but spaces or a comment (# to the end) is left
  bool accept(std::string_view token);      // skips spaces, and the token if it comes next
  bool accept_word(std::string_view word);  // the same for a whole word
  Result<void> expect(std::string_view token);
  Result<void> expect_end();
  bool digit_next();
  std::string_view word();  // letters, digits and _ ; empty if none comes next
  std::string_view until_space();
  Result<std::string> quoted();
  Result<float> real(std::string_view what);
  Result<uint64_t> hex(std::string_view what, size_t digits);
  // Position in `names` of the word that comes next.
  Result<size_t> one_of(std::string_view what, std::span<const std::string> names);
  template <class Integer>
  Result<Integer> integer(std::string_view what, Integer low = std::numeric_limits<Integer>::min());

  Error error(std::string_view expected) const;
  Error error_at(std::string message, std::string hint = {}) const { return bad_input(message, where_, hint); }

 private:
  void skip_spaces();
  Result<uint64_t> hex_here(std::string_view what, size_t digits);  // without skipping spaces
  std::string_view found() const;                                   // the next few characters, for messages

  std::string_view rest_;
  std::string where_;
};

template <class Integer>
Result<Integer> Cursor::integer(std::string_view what, Integer low) {
  skip_spaces();
  Integer value{};
  const char* begin = rest_.data();
  if (rest_.starts_with('+')) ++begin;
  auto [end, problem] = std::from_chars(begin, rest_.data() + rest_.size(), value);
  if (problem == std::errc::invalid_argument) return error(what);
  if (problem != std::errc{} || value < low) {
    constexpr Integer high = std::numeric_limits<Integer>::max();
    return error(std::string(what) + " from " + std::to_string(low) + " to " + std::to_string(high));
  }
  rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
  return value;
}

}  // namespace presil::isa
