#include "cli/host.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

namespace presil::cli {

uint64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

Progress::Progress() : terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (shown_) fmt::print(stderr, "\r\033[K");
}

void Progress::phase(std::string_view name) {
  if (!terminal_ || watch_.seconds() < 1) return;
  fmt::print(stderr, "\r\033[Kpresil: {} ...", name);
  std::fflush(stderr);
  shown_ = true;
}

}  // namespace presil::cli
