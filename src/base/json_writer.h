// JSON text, written front to back: begin_object().key("a").value(1).end_object(). Keys keep the order in which they
// are written; numbers round-trip; a number that is not finite becomes null. Misuse (a value without a key) is a CHECK.
#pragma once
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace presil {

class JsonWriter {
 public:
  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);
  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(double number);
  JsonWriter& value(bool flag) { return scalar(flag ? "true" : "false"); }
  JsonWriter& null() { return scalar("null"); }
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  JsonWriter& value(T number) {
    return scalar(std::to_string(number));
  }
  template <class T>
  JsonWriter& member(std::string_view name, const T& v) {
    return key(name).value(v);
  }

  // The finished text, ending with a newline.
  std::string take();

 private:
  struct Level {
    char closer = '}';
    bool empty = true;
  };
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  JsonWriter& scalar(std::string_view text);
  void before_value();
  void new_line();

  std::string text_;
  std::vector<Level> levels_;
  bool after_key_ = false;
};

// The text as a JSON string, with its quotes.
std::string json_quoted(std::string_view text);

}  // namespace presil
