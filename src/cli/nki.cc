// `presil nki run`: hands over to the Python package, which traces kernels.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "cli/commands.h"

namespace presil::cli {
namespace {

constexpr const char* kProgram =
    "import sys\n"
    "try:\n"
    "    from presil.nki.__main__ import main\n"
    "except ImportError as error:\n"
    "    sys.exit(print(f'presil: error: {sys.executable}: {error} (install the package presil there, or name another "
    "'\n"
    "                   'interpreter in PRESIL_PYTHON)', file=sys.stderr) or 2)\n"
    "sys.exit(main())\n";

std::string interpreter() {
  const char* named = std::getenv("PRESIL_PYTHON");
  return named != nullptr && *named != '\0' ? named : "python3";
}

// A package built beside the binary comes before an installed one.
void find_package() {
  std::error_code ignored;
  const auto here = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path() / "python";
  if (!std::filesystem::is_directory(here / "presil", ignored)) return;
  const char* before = std::getenv("PYTHONPATH");
  const std::string path = here.string() + (before != nullptr && *before != '\0' ? ":" + std::string(before) : "");
  setenv("PYTHONPATH", path.c_str(), 1);
}

}  // namespace

Result<int> run_nki(const NkiOptions& options) {
  if (options.words.empty()) return bad_input("no script was given", "", "presil nki run SCRIPT.py [ARGUMENTS]");
  if (!options.chip.empty()) setenv("NEURON_PLATFORM_TARGET_OVERRIDE", options.chip.c_str(), 1);
  find_package();
  const std::string python = interpreter();
  std::vector<std::string> words{python, "-c", kProgram, "run"};
  words.insert(words.end(), options.words.begin(), options.words.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execvp(python.c_str(), arguments.data());
  return bad_input(fmt::format("{}: {}", python, std::strerror(errno)), "", "name an interpreter in PRESIL_PYTHON");
}

}  // namespace presil::cli
