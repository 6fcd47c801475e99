// Runs instructions on given operands, as a core would: text is parsed, checked by the rules of a chip, executed. What
// the semantics suite (tests/python/isa) compares with numpy. On stdin any number of cases:
//   case CHIP INSTRUCTIONS FILLS READS
//   one instruction per line
//   FILLS operands as text, a line each, behind it the bytes of its elements, in order: what is there at the start
//   READS operands as text, a line each, whose elements are wanted afterwards
// On stdout for each case "ok BYTES" and the bytes of the wanted elements, "refused MESSAGES" or "fault MESSAGE".
#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>

#include "base/check.h"
#include "chip/execute.h"
#include "isa/parse.h"
#include "isa/rules.h"
#include "spec/chip_file.h"

namespace {

using namespace presil;

constexpr uint64_t kHbmBytes = 16 << 20;

struct Machine {
  explicit Machine(const std::string& name) : spec(*spec::load_chip(name)), memory(spec, kHbmBytes) {}
  spec::ChipSpec spec;
  chip::CoreMemory memory;
};

std::string line() {
  std::string text;
  CHECK(static_cast<bool>(std::getline(std::cin, text)), "another line");
  return text;
}

isa::View view_of(const std::string& text) {
  Result<isa::Program> program = isa::parse_program("sync dma_copy dst=" + text + " src=" + text + "\n");
  CHECK(program.has_value(), text + ": " + program.error().message);
  return program->views[0];
}

// body(address of each element), in order.
template <class Body>
void for_each_element(chip::CoreMemory& memory, const isa::View& v, Body&& body) {
  const auto size = static_cast<int64_t>(dtype_bytes(v.dtype));
  for (uint32_t p = 0; p < v.partitions; ++p) {
    std::byte* row = memory.partition(v.memory, v.partition + p).data();
    for (uint64_t i = 0; i < v.elements_per_partition(); ++i) {
      int64_t element = 0;
      uint64_t rest = i;
      for (size_t d = v.rank; d-- > 0;) {
        element += static_cast<int64_t>(rest % v.dims[d].count) * v.dims[d].step;
        rest /= v.dims[d].count;
      }
      body(row + v.offset + element * size, static_cast<size_t>(size));
    }
  }
}

void answer(const std::string& text, const std::string& bytes = {}) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fputc('\n', stdout);
  std::fwrite(bytes.data(), 1, bytes.size(), stdout);
}

std::string findings_of(const isa::Program& program, const spec::ChipSpec& spec) {
  std::string out;
  for (const isa::Instruction& i : program.code) {
    for (const isa::Finding& f : isa::check_instruction(program, i, spec)) out += (out.empty() ? "" : "; ") + f.text();
  }
  return out;
}

void run_case(Machine& machine, int instructions, int fills, int reads) {
  std::string text;
  for (int i = 0; i < instructions; ++i) text += line() + "\n";
  for (int i = 0; i < fills; ++i) {
    for_each_element(machine.memory, view_of(line()), [](std::byte* at, size_t bytes) {
      std::cin.read(reinterpret_cast<char*>(at), static_cast<std::streamsize>(bytes));
    });
  }
  std::vector<isa::View> wanted;
  for (int i = 0; i < reads; ++i) wanted.push_back(view_of(line()));
  const Result<isa::Program> program = isa::parse_program(text);
  if (!program) return answer("refused " + program.error().message);
  if (std::string found = findings_of(*program, machine.spec); !found.empty()) return answer("refused " + found);
  chip::ExecuteState state(machine.spec);
  for (const isa::Instruction& i : program->code) chip::execute(*program, i, {}, machine.memory, state);
  if (!state.fault.empty()) return answer("fault " + state.fault);
  std::string bytes;
  for (const isa::View& v : wanted) {
    for_each_element(machine.memory, v,
                     [&](std::byte* at, size_t size) { bytes.append(reinterpret_cast<const char*>(at), size); });
  }
  answer("ok " + std::to_string(bytes.size()), bytes);
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(false);
  std::map<std::string, std::unique_ptr<Machine>> machines;
  for (std::string text; std::getline(std::cin, text);) {
    std::istringstream words(text);
    std::string word, chip;
    int instructions = 0, fills = 0, reads = 0;
    words >> word >> chip >> instructions >> fills >> reads;
    CHECK(word == "case" && !words.fail(), "case CHIP INSTRUCTIONS FILLS READS");
    std::unique_ptr<Machine>& machine = machines[chip];
    if (!machine) machine = std::make_unique<Machine>(chip);
    run_case(*machine, instructions, fills, reads);
  }
}
