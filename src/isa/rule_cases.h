// Cases for the tests of rules: a legal instruction, one change, and everything that must be said about it.
#pragma once
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>

#include "isa/rules.h"
#include "isa/test_programs.h"

namespace presil::isa::testing {

inline std::vector<std::string> texts(const std::vector<Finding>& findings) {
  std::vector<std::string> out;
  for (const Finding& f : findings) out.push_back(f.text());
  return out;
}
inline std::vector<std::string> findings_of(const Program& p, const spec::ChipSpec& spec) {
  return texts(check_instruction(p, p.code.back(), spec));
}
using Strings = std::vector<std::string>;

// A legal instance with one thing changed, the chip that refuses it, and all that it says.
struct Case {
  Opcode opcode;
  std::function<void(Program&, Last)> change;
  Strings messages;  // after "instruction 0: "
  spec::ChipSpec spec = chip();
};

inline void expect_messages(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    Program p = legal(c.opcode);
    c.change(p, Last{p});
    Strings expected;
    for (const std::string& m : c.messages) expected.push_back("instruction 0: " + m);
    EXPECT_EQ(findings_of(p, c.spec), expected);
  }
}

inline spec::ChipSpec with(std::function<void(spec::ChipSpec&)> change, uint32_t array = 128, uint32_t generation = 3) {
  spec::ChipSpec spec = chip(array, generation);
  change(spec);
  return spec;
}

}  // namespace presil::isa::testing
