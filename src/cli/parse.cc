#include "cli/parse.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

namespace presil::cli {

int main(int argc, char** argv) {
  CLI::App app("An AI accelerator in software: compile a workload for a chip, run it there, see bits and cycles.",
               "presil");
  app.set_version_flag("--version", "presil 0.1.0");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "presil: error: {}\n", error.what());
    return 2;
  }
  fmt::print("{}", app.help());
  return 0;
}

}  // namespace presil::cli
