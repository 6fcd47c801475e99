#include "isa/cursor.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace presil::isa {
namespace {

bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }
constexpr size_t kFoundMax = 32;

}  // namespace

void Cursor::skip_spaces() {
  while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\t' || rest_[0] == '\r')) rest_.remove_prefix(1);
}

std::string_view Cursor::found() const {
  size_t end = std::min(rest_.find_first_of(" \t\r"), std::min(rest_.size(), kFoundMax));
  return rest_.substr(0, end);
}

Error Cursor::error(std::string_view expected) const {
  if (found().empty()) return error_at(fmt::format("expected {}, found the end of the line", expected));
  return error_at(fmt::format("expected {}, found '{}'", expected, found()));
}

bool Cursor::done() {
  skip_spaces();
  return rest_.empty() || rest_[0] == '#';
}

bool Cursor::accept(std::string_view token) {
  skip_spaces();
  if (!rest_.starts_with(token)) return false;
  rest_.remove_prefix(token.size());
  return true;
}

bool Cursor::digit_next() {
  skip_spaces();
  return !rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9';
}

bool Cursor::accept_word(std::string_view wanted) {
  std::string_view before = rest_;
  if (word() == wanted) return true;
  rest_ = before;
  return false;
}

Result<void> Cursor::expect(std::string_view token) {
  if (!accept(token)) return error(fmt::format("'{}'", token));
  return {};
}

Result<void> Cursor::expect_end() {
  if (!done()) return error("the end of the line");
  return {};
}

std::string_view Cursor::word() {
  skip_spaces();
  auto end = std::ranges::find_if_not(rest_, is_word);
  std::string_view word = rest_.substr(0, static_cast<size_t>(end - rest_.begin()));
  rest_.remove_prefix(word.size());
  return word;
}

std::string_view Cursor::until_space() {
  skip_spaces();
  std::string_view word = rest_.substr(0, rest_.find_first_of(" \t\r"));
  rest_.remove_prefix(word.size());
  return word;
}

Result<std::string> Cursor::quoted() {
  if (!accept("\"")) return error("a quoted text");
  std::string out;
  while (!rest_.empty() && rest_[0] != '"') {
    char c = rest_[0];
    rest_.remove_prefix(1);
    if (c == '\\') {
      if (rest_.starts_with('x')) {
        rest_.remove_prefix(1);
        c = static_cast<char>(TRY(hex_here("two hexadecimal digits after \\x", 2)));
      } else if (rest_.starts_with('"') || rest_.starts_with('\\')) {
        c = rest_[0];
        rest_.remove_prefix(1);
      } else {
        return error("one of \\\\ \\\" \\x");
      }
    }
    out += c;
  }
  if (rest_.empty()) return error("a closing \"");
  rest_.remove_prefix(1);
  return out;
}

Result<float> Cursor::real(std::string_view what) {
  skip_spaces();
  float value = 0;
  auto [end, problem] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
  if (problem == std::errc::invalid_argument) return error(what);
  if (problem != std::errc{}) return error(fmt::format("{} that fp32 can hold", what));
  rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
  return value;
}

Result<uint64_t> Cursor::hex(std::string_view what, size_t digits) {
  skip_spaces();
  return hex_here(what, digits);
}

Result<uint64_t> Cursor::hex_here(std::string_view what, size_t digits) {
  uint64_t value = 0;
  std::string_view text = rest_.substr(0, digits);
  auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (problem != std::errc{} || end != text.data() + digits) return error(what);
  rest_.remove_prefix(digits);
  return value;
}

Result<size_t> Cursor::one_of(std::string_view what, std::span<const std::string> names) {
  skip_spaces();
  std::string_view before = rest_, found = word();
  auto at = std::ranges::find(names, found);
  if (at != names.end()) return static_cast<size_t>(at - names.begin());
  rest_ = before;
  Error failure = error(what);
  failure.hint = nearest_hint(found, names);
  return failure;
}

}  // namespace presil::isa
