#include "runtime/api_error.h"

#include <cctype>

namespace presil::runtime {
namespace {

// Takes "--" away where a word begins with it.
std::string without_dashes(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool begins = i == 0 || text[i - 1] == ' ' || text[i - 1] == '(';
    const bool option = text.compare(i, 2, "--") == 0 && i + 2 < text.size() &&
                        std::isalpha(static_cast<unsigned char>(text[i + 2])) != 0;
    if (begins && option) i += 2;
    out += text[i];
  }
  return out;
}

}  // namespace

std::string api_text(const Error& error) {
  Error named = error;
  named.where = without_dashes(error.where);
  named.hint = without_dashes(error.hint);
  return named.text();
}

}  // namespace presil::runtime
