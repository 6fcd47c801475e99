// Is the page up to date, does its example parse, does the JSON say the same as the table?
#include "isa/reference.h"

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "isa/opcode.h"
#include "isa/parse.h"
#include "isa/print.h"

namespace presil::isa {
namespace {

TEST(Reference, PageIsUpToDate) {
  // PRESIL_UPDATE=1 writes the page.
  const std::string path = std::string(PRESIL_SOURCE_DIR) + "/docs/reference/isa.md";
  if (std::getenv("PRESIL_UPDATE") != nullptr) std::ofstream(path) << reference_markdown();
  std::ostringstream found;
  found << std::ifstream(path).rdbuf();
  EXPECT_EQ(found.str(), reference_markdown());
}

TEST(Reference, ExampleOfThePageParsesAndPrintsTheSame) {
  std::string page = reference_markdown();
  size_t begin = page.find("```\n") + 4, end = page.find("```", begin);
  std::string example = page.substr(begin, end - begin);
  Result<Executable> e = parse_executable("presil executable 1\n" + example);
  ASSERT_TRUE(e) << e.error().text();
  ASSERT_EQ(e->queues.size(), 2u);
  EXPECT_NE(print(*e).find(example), std::string::npos) << print(*e);
}

TEST(Reference, JsonHasEveryRow) {
  nlohmann::json rows = nlohmann::json::parse(isa_json());
  ASSERT_EQ(rows.size(), all_rows().size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const InstructionRow& r = all_rows()[i];
    EXPECT_EQ(rows[i]["name"], r.name);
    EXPECT_EQ(rows[i]["summary"], r.summary);
    EXPECT_EQ(rows[i]["generation"], r.first_generation);
    EXPECT_EQ(rows[i]["operands"].size(), r.operands.size());
    EXPECT_EQ(rows[i]["attributes"].size(), r.attributes.size());
    EXPECT_FALSE(rows[i]["engines"].empty());
  }
  nlohmann::json copy = rows[static_cast<size_t>(Opcode::tensor_scalar)];
  EXPECT_EQ(copy["engines"], (std::vector<std::string>{"vector", "scalar", "gpsimd"}));
  EXPECT_EQ(copy["operands"][2].dump(),
            R"({"access":"read","memories":["sbuf","psum"],"name":"operand0","optional":true})");
  EXPECT_EQ(copy["attributes"][0].dump(), R"({"initial":"bypass","kind":"operator","name":"op0"})");
}

}  // namespace
}  // namespace presil::isa
