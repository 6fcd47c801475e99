// Reads the lines of one Program: instructions and repeats (print.h has the form). Private to this room.
#pragma once
#include <string>
#include <vector>

#include "isa/cursor.h"
#include "isa/program.h"

namespace presil::isa {

class ProgramParser {
 public:
  Result<void> line(Cursor& c);  // an instruction, or the head of a repeat
  bool inside_repeat() const { return !open_.empty(); }
  Result<void> close_repeat(Cursor& c);  // after its '}'
  Result<Program> finish() &&;

 private:
  struct Open {
    size_t repeat;
    Error not_closed;
  };
  Result<void> open_repeat(Cursor& c);
  Result<void> field(Cursor& c, std::string_view key);
  Result<bool> operand_or_attribute(Cursor& c, std::string_view key);  // false: there is none of that name
  Result<void> wait(Cursor& c);
  Result<void> deltas(Cursor& c, Delta::Target target, size_t index);
  Error unknown(Cursor& c, std::string_view key);

  Program program_;
  std::vector<Open> open_;
};

}  // namespace presil::isa
