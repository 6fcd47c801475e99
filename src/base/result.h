// Errors caused by input. A function at the edge returns Result<T>: a value, or one Error that says what, where, what
// was found and expected. Our own bugs are CHECKs (check.h); faults of the simulated machine are data (Outcome).
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace presil {

enum class ErrorCode {
  bad_input,    // malformed or inconsistent input
  unsupported,  // well-formed, but nothing here can do it
  io,           // a file cannot be read or written
  cancelled,    // asked to stop (cancel.h)
};

struct Error {
  ErrorCode code = ErrorCode::bad_input;
  std::string message;  // what is wrong: found and expected
  std::string where;    // file:line, node name, key; may be empty
  std::string hint;     // nearest valid name, or what to do; may be empty

  // "where: message (hint)"
  std::string text() const {
    std::string out = where.empty() ? message : where + ": " + message;
    return hint.empty() ? out : out + " (" + hint + ")";
  }
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  T& value() & {
    CHECK(has_value(), error().text());
    return std::get<0>(state_);
  }
  const T& value() const& {
    CHECK(has_value(), error().text());
    return std::get<0>(state_);
  }
  T&& value() && {
    CHECK(has_value(), error().text());
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}
  bool has_value() const { return !error_.has_value(); }
  explicit operator bool() const { return has_value(); }
  void value() const { CHECK(has_value(), error_->text()); }
  const Error& error() const& { return *error_; }
  Error&& error() && { return std::move(*error_); }

 private:
  std::optional<Error> error_;
};

inline Error bad_input(std::string message, std::string where = {}, std::string hint = {}) {
  return {ErrorCode::bad_input, std::move(message), std::move(where), std::move(hint)};
}
inline Error unsupported(std::string message, std::string where = {}, std::string hint = {}) {
  return {ErrorCode::unsupported, std::move(message), std::move(where), std::move(hint)};
}

// TRY(expr): the value of a Result, or return its Error from the enclosing function.
#define TRY(expr)                                            \
  __extension__({                                            \
    auto&& try_result_ = (expr);                             \
    if (!try_result_) return std::move(try_result_).error(); \
    std::move(try_result_).value();                          \
  })

}  // namespace presil
