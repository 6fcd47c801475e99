// A seeded sample of a fuzz target, for CI and for machines without libFuzzer: replays the corpus, then runs mutations
// of it. Input k depends on the seed, the corpus and k alone. The target runs in a child process, so that the parent
// can say which input killed or hung it, and keep that input.
//
//   chip_fuzz_sample CORPUS --runs 20000 --seed 1 --keep FOLDER
//
// Exit code: 0 all inputs went through, 1 one did not, 2 bad arguments.
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "base/prng.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using presil::Prng;
using Input = std::string;

constexpr size_t kInputBytesMax = 1 << 16;
constexpr int kSecondsPerInputMax = 60;  // far more than any input takes, also with sanitizers on a busy machine

struct Options {
  std::filesystem::path corpus, keep = ".";
  uint64_t runs = 20000, seed = 1;
};

std::optional<uint64_t> number(const std::string& text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Options> parse(const std::vector<std::string>& words) {
  if (words.size() % 2 == 0) return std::nullopt;
  Options o{.corpus = words[0]};
  for (size_t k = 1; k < words.size(); k += 2) {
    std::optional<uint64_t> value = number(words[k + 1]);
    if (words[k] == "--keep") {
      o.keep = words[k + 1];
    } else if (words[k] == "--runs" && value) {
      o.runs = *value;
    } else if (words[k] == "--seed" && value) {
      o.seed = *value;
    } else {
      return std::nullopt;
    }
  }
  return o;
}

std::vector<Input> read_corpus(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<Input> corpus;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return corpus;
}

// A piece of text between two places.
struct Piece {
  size_t at = 0, size = 0;
};
Piece piece(Prng& random, const Input& text) {
  const size_t at = random.below(text.size() + 1);
  const size_t longest = random.below(4) == 0 ? text.size() : 16;
  return {at, random.below(std::min(text.size() - at, longest) + 1)};
}

Input interesting(Prng& random) {
  static const char* const kWords[] = {
      "0",  "-1", "1", "4294967295", "9223372036854775807", "-9223372036854775808", "1e308", "nan", "", " ", "\n",
      "\"", "[",  "]", ","};
  const uint64_t pick = random.below(std::size(kWords) + 2);
  if (pick < std::size(kWords)) return kWords[pick];
  return Input(1 + random.below(8), pick == std::size(kWords) ? '\xff' : '\0');
}

void mutate(Prng& random, Input& text, const std::vector<Input>& corpus) {
  const Piece p = piece(random, text);
  switch (random.below(7)) {
    case 0:  // one bit
      if (p.at < text.size()) text[p.at] = static_cast<char>(text[p.at] ^ (1 << random.below(8)));
      return;
    case 1:  // one byte
      if (p.at < text.size()) text[p.at] = static_cast<char>(random.next());
      return;
    case 2:
      text.erase(p.at, p.size);
      return;
    case 3: {
      const Input copy = text.substr(p.at, p.size);
      text.insert(random.below(text.size() + 1), copy);
      return;
    }
    case 4: {
      const Input& other = corpus[random.below(corpus.size())];
      const Piece from = piece(random, other);
      text.replace(p.at, p.size, other, from.at, from.size);
      return;
    }
    case 5:
      text.replace(p.at, p.size, interesting(random));
      return;
    default:
      text.insert(p.at, interesting(random));
      return;
  }
}

Input input(const std::vector<Input>& corpus, uint64_t seed, uint64_t k) {
  if (k < corpus.size()) return corpus[k];
  Prng random(seed * 0x9e3779b97f4a7c15ull + k);
  Input text = corpus[random.below(corpus.size())];
  for (uint64_t n = 1 + random.below(4); n > 0; --n) mutate(random, text, corpus);
  text.resize(std::min(text.size(), kInputBytesMax));
  return text;
}

void run_all(const std::vector<Input>& corpus, const Options& o, volatile uint64_t& at) {
  for (uint64_t k = 0; k < corpus.size() + o.runs; ++k) {
    at = k;
    const Input text = input(corpus, o.seed, k);
    const std::vector<uint8_t> exact(text.begin(), text.end());  // so that sanitizers see the end
    LLVMFuzzerTestOneInput(exact.data(), exact.size());
  }
}

// Waits for the child; kills it if it stays at one input for too long. Whether it went through.
bool watch(pid_t child, volatile uint64_t& at) {
  constexpr int kPollsPerSecond = 20;
  uint64_t last = UINT64_MAX;
  for (int polls = 0;; ++polls) {
    int status = 0;
    if (waitpid(child, &status, WNOHANG) == child) return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (at != last) last = at, polls = 0;
    if (polls > kSecondsPerInputMax * kPollsPerSecond) kill(child, SIGKILL);
    const timespec pause{0, 1'000'000'000 / kPollsPerSecond};
    nanosleep(&pause, nullptr);
  }
}

}  // namespace

int main(int count, char** words) {
  std::optional<Options> o = parse({words + 1, words + count});
  if (!o || !std::filesystem::is_directory(o->corpus)) {
    fmt::print(stderr, "usage: {} CORPUS [--runs N] [--seed N] [--keep FOLDER]\n", words[0]);
    return 2;
  }
  const std::vector<Input> corpus = read_corpus(o->corpus);
  void* shared = mmap(nullptr, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (corpus.empty() || shared == MAP_FAILED) {
    fmt::print(stderr, "{}: no inputs, or no memory\n", o->corpus.string());
    return 2;
  }
  auto& at = *static_cast<volatile uint64_t*>(shared);
  const pid_t child = fork();
  if (child == 0) {
    run_all(corpus, *o, at);
    _exit(0);
  }
  const uint64_t all = corpus.size() + o->runs;
  if (child > 0 && watch(child, at)) {
    fmt::print("{} inputs, seed {}\n", all, o->seed);
    return 0;
  }
  const uint64_t k = at;
  const std::filesystem::path file = o->keep / fmt::format("crash-{}-{}", o->seed, k);
  std::ofstream(file, std::ios::binary) << input(corpus, o->seed, k);
  fmt::print(stderr, "input {} of {} (seed {}) did not go through; kept in {}\n", k, all, o->seed, file.string());
  return 1;
}
