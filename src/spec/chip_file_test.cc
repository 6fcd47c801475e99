#include "spec/chip_file.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/prng.h"
#include "spec/fields.h"

namespace presil::spec {
namespace {

std::string read(const std::string& path) {
  std::ifstream in(path);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string chip_path(const std::string& name) {
  return std::string(PRESIL_SOURCE_DIR) + "/specs/chips/" + name + ".toml";
}

// trn2 with `text` on top, as a file "my.toml".
Result<ChipSpec> variant(const std::string& text) { return parse_chip("extends = \"trn2\"\n" + text, "my.toml"); }

std::string error_of(const std::string& text) {
  const auto r = variant(text);
  return r ? "accepted" : r.error().text();
}

TEST(ChipFile, BundledChipsAreTheFiles) {
  EXPECT_THAT(chip_names(), testing::ElementsAre("edge-npu", "inf2", "tpu-v4-like", "trn1", "trn2", "trn3"));
  for (const std::string& name : chip_names()) {
    const auto bundled = load_chip(name), file = load_chip(chip_path(name));
    ASSERT_TRUE(bundled) << bundled.error().text();
    ASSERT_TRUE(file) << file.error().text();
    EXPECT_EQ(*bundled, *file);
    EXPECT_EQ(bundled->name, name);
  }
}

TEST(ChipFile, ValuesArriveInBaseUnits) {
  const ChipSpec s = *load_chip("trn2");
  EXPECT_EQ(s.tensor.clock_hz, 2'400'000'000u);
  EXPECT_EQ(s.sbuf.bytes_per_partition, 224u * 1024);
  EXPECT_EQ(s.dma.engine_bytes_per_s, 23'000'000'000u);
  EXPECT_EQ(s.dma.start_latency_from_hbm, 739 * kNanosecond);
  EXPECT_EQ(s.dma.descriptor, 1'050'000);
  EXPECT_EQ(s.hbm.bytes, 24ull << 30);
  EXPECT_THAT(s.vector.reads, testing::ElementsAre("sbuf", "psum"));
}

TEST(ChipFile, PrintedFileRoundTrips) {
  for (const std::string& name : chip_names()) {
    const ChipSpec s = *load_chip(name);
    const auto again = parse_chip(print_toml(s), "printed.toml");
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_EQ(*again, s);
    EXPECT_EQ(print_toml(*again), print_toml(s));
  }
}

// Every field can be set to both ends of its range on its own, comes back from print and parse, and changes the hash.
TEST(ChipFile, EveryFieldRoundTripsAtBothEnds) {
  const ChipSpec base = *load_chip("trn2");
  for (const Field& f : chip_fields()) {
    if (f.is_names()) continue;
    for (const uint64_t value : {f.least, f.most}) {
      ChipSpec s = base;
      f.set(s, value);
      EXPECT_EQ(f.get(s), value) << f.path();
      EXPECT_EQ(spec_hash(s) == spec_hash(base), value == f.get(base)) << f.path();
      if (!check_geometry(s).empty()) continue;
      const auto again = parse_chip(print_toml(s), "printed.toml");
      ASSERT_TRUE(again) << f.path() << " " << again.error().text();
      EXPECT_EQ(*again, s) << f.path();
    }
  }
}

TEST(ChipFile, HashIsOfTheValuesNotOfTheText) {
  const ChipSpec a = *load_chip("trn2");
  EXPECT_EQ(spec_hash(*parse_chip("# same\nextends = \"trn2\"\nname = \"other\"", "x.toml")), spec_hash(a));
  EXPECT_EQ(spec_hash(*variant("[tensor]\nclock = \"2400 MHz\"")), spec_hash(a));
  EXPECT_NE(spec_hash(*variant("[tensor]\nclock = \"2401 MHz\"")), spec_hash(a));
  EXPECT_NE(spec_hash(*variant("[gpsimd]\nreads = [\"sbuf\", \"psum\"]")), spec_hash(a));
}

// Arrays other than 128 x 128, a smaller SBUF and a single DMA engine are machines too.
TEST(ChipFile, OtherMachinesAreAccepted) {
  for (const char* n : {"32", "64", "256"}) {
    const auto r = variant(
        fmt::format("[sbuf]\npartitions = {0}\n[psum]\npartitions = {0}\n[tensor]\nrows = {0}\ncolumns = {0}\n", n));
    EXPECT_TRUE(r) << r.error().text();
  }
  const std::filesystem::path examples = std::string(PRESIL_SOURCE_DIR) + "/examples/chips";
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(examples)) {
    const auto r = load_chip(file.path().string());
    ASSERT_TRUE(r) << r.error().text();
    EXPECT_NE(spec_hash(*r), spec_hash(*load_chip("trn2")));
    names.push_back(r->name);
  }
  EXPECT_THAT(names, testing::UnorderedElementsAre("array64", "array256", "half_sbuf", "one_dma_engine"));
}

struct BadCase {
  std::string text, message;
};

TEST(ChipFile, ErrorsNamePlaceFoundAndExpected) {
  const std::vector<BadCase> cases = {
      {"[tensor]\nclok = \"2 GHz\"", "my.toml:3: unknown key 'clok' in [tensor] (did you mean 'clock'?)"},
      {"[tenser]\nclock = \"2 GHz\"", "my.toml:2: unknown section [tenser] (did you mean 'tensor'?)"},
      {"core = 2", "my.toml:2: unknown key 'core' at the top level (did you mean 'cores'?)"},
      {"[tensor]\nclock = 2.4",
       "my.toml:3: tensor.clock: expected a frequency with a unit such as \"2.4 GHz\", found 2.4"},
      {"[tensor]\nclock = \"2.4\"",
       "my.toml:3: tensor.clock: expected a frequency with a unit such as \"2.4 GHz\", found \"2.4\""},
      {"[tensor]\nclock = \"2.4 GHx\"",
       "my.toml:3: tensor.clock: unknown unit \"GHx\" for a frequency in \"2.4 GHx\"; known: GHz, MHz, kHz, Hz"},
      {"[tensor]\nclock = \"0 GHz\"", "my.toml:3: tensor.clock: 0 Hz is out of range: 1 MHz to 100 GHz"},
      {"[tensor]\nclock = \"-1 GHz\"",
       "my.toml:3: tensor.clock: expected a frequency that is not negative, found \"-1 GHz\""},
      {"[tensor]\nclock = \"1.0000000001 GHz\"",
       "my.toml:3: tensor.clock: \"1.0000000001 GHz\" is not a whole number of Hz"},
      {"[dma]\nengines = 0", "my.toml:3: dma.engines: 0 is out of range: 1 to 64"},
      {"[dma]\nengines = -3", "my.toml:3: dma.engines: expected a whole number that is not negative, found -3"},
      {"[dma]\nengines = \"16\"", "my.toml:3: dma.engines: expected a whole number such as 128, found \"16\""},
      {"[dma]\nengines = 1.5", "my.toml:3: dma.engines: expected a whole number such as 128, found 1.5"},
      {"[dma]\ndescriptor = \"9999999999999999999999 s\"",
       "my.toml:3: dma.descriptor: \"9999999999999999999999 s\" is too large"},
      {"[tensor]\nrows = 1024", "my.toml:3: tensor.rows: 1024 is out of range: 32 to 512"},
      {"[tensor]\nrows = 64",
       "my.toml:3: tensor.rows: the array has 64 rows, but SBUF 128 partitions: a row is fed by its partition; set "
       "sbuf.partitions and psum.partitions to 64 (and the lanes of vector, scalar and gpsimd, unless they shall take "
       "several passes), or tensor.rows to 128"},
      {"[tensor]\ncolumns = 256",
       "my.toml:3: tensor.columns: the array has 256 columns, but PSUM only 128 partitions to receive them"},
      {"[psum]\nbanks = 3", "my.toml:3: psum.banks: 16384 B in 3 banks: a bank must be a multiple of 64 B"},
      {"[psum]\nbanks = 16", "my.toml:3: psum.banks: 512 fp32 results of one matmul do not fit a PSUM bank of 1024 B"},
      {"[dma]\nqueue_bandwidth = \"24 GB/s\"",
       "my.toml:3: dma.queue_bandwidth: one queue (24 GB/s) cannot be faster than its engine (23 GB/s)"},
      {"[vector]\nreads = [\"sram\"]", "my.toml:3: vector.reads: unknown memory \"sram\"; expected sbuf, psum or hbm"},
      {"[vector]\nreads = \"sbuf\"",
       "my.toml:3: vector.reads: expected a list of memories such as [\"sbuf\", \"psum\"], found \"sbuf\""},
      {"name = \"gr\xc3\xb6\xc3\x9f\"", "my.toml:2: a character beyond ASCII; only comments may have some"},
      {"# gr\xc3\xb6\xc3\x9f\nname = \"\\\"#\"\xc2\xb5",
       "my.toml:3: a character beyond ASCII; only comments may have some"},
      {"name = \"\"\"x\"\"\"", "my.toml:2: a text of several lines; chip files have none"},
      {"name = \"a#b\" # \xc2\xb5", "accepted"},
      {"name = 3", "my.toml:2: name: expected a text in quotes, found 3"},
      {"[tensor\n", "my.toml:2: Error while parsing table header: expected ']', saw '\\n'"},
      {"[dma]\nengines = 1\nengines = 2",
       "my.toml:4: Error while parsing key-value pair: cannot redefine existing integer 'engines'"},
  };
  for (const BadCase& c : cases) EXPECT_EQ(error_of(c.text), c.message) << c.text;
}

TEST(ChipFile, ErrorsOfWholeFiles) {
  EXPECT_EQ(parse_chip("", "my.toml").error().text(), "my.toml: missing key 'name': the name of the chip");
  EXPECT_EQ(parse_chip("name = \"x\"\ngeneration = 3\n", "my.toml").error().text(),
            "my.toml: missing key 'cores' at the top level: cores on the chip, such as 128 (or extend a chip that "
            "has it)");
  EXPECT_EQ(parse_chip("extends = \"trm2\"", "my.toml").error().text(),
            "my.toml: extends: \"trm2\" is neither a bundled chip nor a readable file (did you mean 'trn2'?)");
  EXPECT_EQ(load_chip("trn4").error().text(),
            "unknown chip 'trn4'; bundled: edge-npu, inf2, tpu-v4-like, trn1, trn2, trn3 (did you mean 'trn1'?)");
  EXPECT_EQ(load_chip("no/such.toml").error().text(), "no/such.toml: no such file");
}

TEST(ChipFile, FilesExtendFilesAndCyclesEnd) {
  const std::string dir = testing::TempDir();
  std::ofstream(dir + "a.toml") << "extends = \"trn2\"\nname = \"a\"\n[dma]\nengines = 8\n";
  std::ofstream(dir + "b.toml") << "extends = \"a.toml\"\n[dma]\nqueues = 4\n";
  std::ofstream(dir + "loop.toml") << "extends = \"loop.toml\"\n";
  const auto b = load_chip(dir + "b.toml");
  ASSERT_TRUE(b) << b.error().text();
  EXPECT_EQ(b->name, "a");
  EXPECT_EQ(b->dma.engines, 8u);
  EXPECT_EQ(b->dma.queues, 4u);
  EXPECT_THAT(load_chip(dir + "loop.toml").error().text(),
              testing::EndsWith("loop.toml: more than 8 files extend each other"));
}

TEST(ChipFile, GarbageIsAnErrorNotACrash) {
  for (const std::string& text :
       {std::string("\x00\xff\xfe", 3), std::string(100000, '['), std::string("a = \"\\"), std::string(70000, 'x')}) {
    EXPECT_FALSE(parse_chip(text, "my.toml"));
  }
  // Random damage to a good file: an error or a machine, never a crash.
  const std::string good = read(chip_path("trn2"));
  Prng prng(7);
  for (int i = 0; i < 3000; ++i) {
    std::string text = good;
    for (uint64_t k = 0; k <= prng.below(4); ++k) {
      const size_t at = prng.below(text.size());
      switch (prng.below(4)) {
        case 0:
          text[at] = static_cast<char>(prng.below(256));
          break;
        case 1:
          text.erase(at, prng.below(40));
          break;
        case 2:
          text.insert(at, text.substr(prng.below(text.size()), prng.below(40)));
          break;
        default:
          text[at] = "[]={}\"'.,#\n"[prng.below(11)];
          break;
      }
    }
    if (const auto r = parse_chip(text, "my.toml")) {
      EXPECT_EQ(*parse_chip(print_toml(*r), "again.toml"), *r);
    }
  }
}

// "key = value  # comment", or empty parts.
struct Line {
  std::string_view value, comment;
};
Line split_line(std::string_view line) {
  const size_t equals = line.find(" = "), hash = line.find(" # ");
  if (line.starts_with("#") || equals == std::string_view::npos) return {};
  if (hash == std::string_view::npos) return {line.substr(equals + 3), {}};
  return {line.substr(equals + 3, hash - equals - 3), line.substr(hash + 3)};
}

// A number without a source is a guess that nobody admits to.
TEST(ChipFile, EveryNumberHasASource) {
  for (const std::string& name : chip_names()) {
    std::istringstream in(read(chip_path(name)));
    size_t line_number = 0, numbers = 0, fields = 0;
    bool extends = false;  // the others have every number
    for (std::string line; std::getline(in, line);) {
      ++line_number;
      extends |= line.starts_with("extends");
      const Line parts = split_line(line);
      const size_t first = parts.value.starts_with("\"") ? 1 : 0;
      if (parts.value.size() <= first || !std::isdigit(static_cast<unsigned char>(parts.value[first]))) continue;
      ++numbers;
      const bool has_origin = parts.comment.starts_with("source: ") || parts.comment.starts_with("fitted: ") ||
                              parts.comment.starts_with("assumed: ");
      EXPECT_TRUE(has_origin) << name << ".toml:" << line_number << ": " << line;
      EXPECT_GT(parts.comment.size(), parts.comment.find(' ') + 1) << name << ".toml:" << line_number;
    }
    for (const Field& f : chip_fields()) fields += f.is_names() ? 0 : 1;
    EXPECT_TRUE(extends ? numbers <= fields : numbers == fields) << name << ": " << numbers << " of " << fields;
  }
}

TEST(ChipFile, ReferencePageIsUpToDate) {
  // PRESIL_UPDATE=1 writes the page.
  const std::string path = std::string(PRESIL_SOURCE_DIR) + "/docs/reference/chip.md";
  if (std::getenv("PRESIL_UPDATE") != nullptr) std::ofstream(path) << reference_markdown();
  EXPECT_EQ(read(path), reference_markdown());
}

TEST(ChipFile, EveryValueKnowsWhereItComesFrom) {
  const auto chip = variant(
      "name = \"my # chip\"\n[vector]\nclock = \"1 GHz\"\nlanes = 64  # source: a dream\nreads = [\"sbuf\"] #\n");
  ASSERT_TRUE(chip) << chip.error().text();
  const Origin::Known& known = *chip->origin.known;
  EXPECT_EQ(known.file, "my.toml");
  EXPECT_EQ(known.sources.at("vector.clock"), "my.toml:4");
  EXPECT_EQ(known.sources.at("vector.lanes"), "source: a dream");
  EXPECT_EQ(known.sources.at("vector.reads"), "my.toml:6");
  EXPECT_EQ(known.sources.at("vector.latency"), "fitted: I32 I23");
  EXPECT_EQ(known.sources.size(), chip_fields().size());
  EXPECT_THAT(known.notes, testing::StartsWith("Trainium2. What the keys mean"));
  EXPECT_THAT(known.notes, testing::HasSubstr("\n  ISA     nki/api/nki/isa/__init__.py"));
}

TEST(ChipFile, WhereValuesComeFromChangesNothing) {
  ChipSpec plain = load_chip("trn2").value(), other = plain;
  other.origin = {};
  EXPECT_EQ(plain, other);
  EXPECT_EQ(spec_hash(plain), spec_hash(other));
}

}  // namespace
}  // namespace presil::spec
