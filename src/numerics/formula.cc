// Recursive descent: sum > product > sign > power > atom. Each rule returns a function of x.
#include "numerics/formula.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "base/text.h"
#include "numerics/real_functions.h"

namespace presil::numerics {
namespace {

using Function = std::function<double(double)>;

double sigmoid(double x) { return 1 / (1 + real::exp(-x)); }
double gelu(double x) { return x / 2 * (1 + real::erf(x * 0.70710678118654752)); }
double softplus(double x) { return std::fmax(x, 0) + real::log(1 + real::exp(-std::fabs(x))); }

struct Known {
  int arity;
  double (*one)(double);
  double (*two)(double, double);
};
const std::map<std::string, Known, std::less<>>& known() {
  static const std::map<std::string, Known, std::less<>> all = {
      {"exp", {1, real::exp, nullptr}},
      {"log", {1, real::log, nullptr}},
      {"sin", {1, real::sin, nullptr}},
      {"cos", {1, real::cos, nullptr}},
      {"atan", {1, real::atan, nullptr}},
      {"tanh", {1, real::tanh, nullptr}},
      {"erf", {1, real::erf, nullptr}},
      {"sqrt", {1, [](double x) { return std::sqrt(x); }, nullptr}},
      {"abs", {1, [](double x) { return std::fabs(x); }, nullptr}},
      {"sign", {1, [](double x) { return x > 0   ? 1.0
                                         : x < 0 ? -1.0
                                                 : 0.0; }, nullptr}},
      {"relu", {1, [](double x) { return std::fmax(x, 0); }, nullptr}},
      {"sigmoid", {1, sigmoid, nullptr}},
      {"silu", {1, [](double x) { return x * sigmoid(x); }, nullptr}},
      {"gelu", {1, gelu, nullptr}},
      {"softplus", {1, softplus, nullptr}},
      {"mish", {1, [](double x) { return x * real::tanh(softplus(x)); }, nullptr}},
      {"min", {2, nullptr, [](double a, double b) { return std::fmin(a, b); }}},
      {"max", {2, nullptr, [](double a, double b) { return std::fmax(a, b); }}},
      {"pow", {2, nullptr, real::power}},
  };
  return all;
}

constexpr int kDepthMax = 100;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Function> all() {
    Function f = TRY(sum());
    if (peek() != '\0') return wrong("an operator or the end");
    return f;
  }

 private:
  char peek() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  Error wrong(std::string_view expected, std::string hint = {}) {
    const std::string found = peek() == '\0' ? "the end" : "'" + std::string(text_.substr(at_, 12)) + "'";
    return bad_input("expected " + std::string(expected) + ", found " + found,
                     "formula, character " + std::to_string(at_ + 1), std::move(hint));
  }

  Result<Function> sum() {
    Function a = TRY(product());
    while (true) {
      if (accept('+')) {
        a = [a, b = TRY(product())](double x) { return a(x) + b(x); };
      } else if (accept('-')) {
        a = [a, b = TRY(product())](double x) { return a(x) - b(x); };
      } else {
        return a;
      }
    }
  }
  Result<Function> product() {
    Function a = TRY(sign());
    while (true) {
      if (accept('*')) {
        a = [a, b = TRY(sign())](double x) { return a(x) * b(x); };
      } else if (accept('/')) {
        a = [a, b = TRY(sign())](double x) { return a(x) / b(x); };
      } else {
        return a;
      }
    }
  }
  Result<Function> sign() {
    if (++depth_ > kDepthMax) return wrong("fewer parentheses and signs");
    if (accept('-')) {
      Function a = TRY(sign());
      --depth_;
      return Function([a](double x) { return -a(x); });
    }
    Function a = TRY(atom());
    if (accept('^')) a = [a, b = TRY(sign())](double x) { return real::power(a(x), b(x)); };
    --depth_;
    return a;
  }
  Result<Function> atom() {
    if (accept('(')) {
      Function a = TRY(sum());
      if (!accept(')')) return wrong("')'");
      return a;
    }
    peek();
    double number = 0;
    const auto [end, problem] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), number);
    if (problem == std::errc{}) {
      at_ = static_cast<size_t>(end - text_.data());
      return Function([number](double) { return number; });
    }
    size_t length = 0;
    while (at_ + length < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_ + length])) != 0))
      ++length;
    return named(text_.substr(at_, length));
  }
  Result<Function> named(std::string_view name) {
    if (name.empty()) return wrong("a number, x or a function");
    if (name == "x" || name == "pi" || name == "e") {
      at_ += name.size();
      if (name == "x") return Function([](double x) { return x; });
      const double value = name == "pi" ? 3.141592653589793 : 2.718281828459045;
      return Function([value](double) { return value; });
    }
    const auto found = known().find(name);
    if (found == known().end()) {
      std::vector<std::string> names = formula_functions();
      names.insert(names.end(), {"x", "pi", "e"});
      return wrong("a number, x or a function", nearest_hint(name, names));
    }
    at_ += name.size();
    if (!accept('(')) return wrong("'('");
    Function a = TRY(sum());
    Function result = [a, f = found->second.one](double x) { return f(a(x)); };
    if (found->second.arity == 2) {
      if (!accept(',')) return wrong("','");
      result = [a, b = TRY(sum()), f = found->second.two](double x) { return f(a(x), b(x)); };
    }
    if (!accept(')')) return wrong("')'");
    return result;
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Result<Function> parse_formula(std::string_view text) { return Parser(text).all(); }

std::vector<std::string> formula_functions() {
  std::vector<std::string> names;
  for (const auto& [name, f] : known()) names.push_back(name);
  return names;
}

}  // namespace presil::numerics
