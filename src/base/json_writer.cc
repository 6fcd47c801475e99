#include "base/json_writer.h"

#include <fmt/format.h>

#include <cmath>

#include "base/check.h"

namespace presil {

std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
          out += c;
        }
    }
  }
  return out + "\"";
}

JsonWriter& JsonWriter::key(std::string_view name) {
  CHECK(!levels_.empty() && levels_.back().closer == '}' && !after_key_, "a key belongs directly into an object");
  if (!levels_.back().empty) text_ += ',';
  levels_.back().empty = false;
  new_line();
  text_ += json_quoted(name) + ": ";
  after_key_ = true;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) { return scalar(json_quoted(text)); }

JsonWriter& JsonWriter::value(double number) {
  return std::isfinite(number) ? scalar(fmt::format("{}", number)) : null();
}

JsonWriter& JsonWriter::open(char bracket) {
  before_value();
  text_ += bracket;
  levels_.push_back({.closer = bracket == '{' ? '}' : ']'});
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  CHECK(!levels_.empty() && levels_.back().closer == bracket && !after_key_, "brackets pair up");
  bool empty = levels_.back().empty;
  levels_.pop_back();
  if (!empty) new_line();
  text_ += bracket;
  return *this;
}

JsonWriter& JsonWriter::scalar(std::string_view text) {
  before_value();
  text_ += text;
  return *this;
}

void JsonWriter::before_value() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (levels_.empty()) {
    CHECK(text_.empty(), "one value at the top");
    return;
  }
  CHECK(levels_.back().closer == ']', "a value in an object has a key");
  if (!levels_.back().empty) text_ += ',';
  levels_.back().empty = false;
  new_line();
}

void JsonWriter::new_line() {
  text_ += '\n';
  text_.append(levels_.size(), ' ');
}

std::string JsonWriter::take() {
  CHECK(levels_.empty() && !text_.empty(), "the text is finished");
  return std::move(text_) + '\n';
}

}  // namespace presil
