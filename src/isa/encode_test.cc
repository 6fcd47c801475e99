// Does a file give back what was written, and does everything else give one clear error?
#include "isa/encode.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "isa/container.h"
#include "isa/print.h"
#include "isa/random_programs.h"
#include "isa/test_programs.h"

namespace presil::isa {
namespace {

using namespace testing;

Executable small() {
  Executable e;
  e.spec_hash = 0x1234;
  e.chip = "trn2";
  e.queues = {legal(Opcode::nc_matmul), legal(Opcode::activation)};
  e.tensors = {{"w", DType::fp32, {4}, TensorRole::constant, 0, 16, Bytes(16, std::byte{7})}};
  return e;
}

std::string error_of(std::span<const std::byte> file) {
  Result<Executable> e = decode(file, "a.presil");
  return e ? "decoded" : e.error().text();
}

TEST(Encode, RandomExecutablesComeBackExactly) {
  RandomPrograms random(21);
  for (int trial = 0; trial < 300; ++trial) {
    Executable e = random.executable();
    Bytes file = encode(e).value();
    Result<Executable> back = decode(file);
    ASSERT_TRUE(back) << back.error().text();
    EXPECT_EQ(*back, e);
    EXPECT_EQ(encode(*back).value(), file);
  }
}

TEST(Encode, EveryInstructionComesBackWithFieldsAtBothEnds) {
  RandomPrograms random(22);
  for (const InstructionRow& r : all_rows()) {
    Executable e;
    Program& p = e.queues.emplace_back();
    for (int trial = 0; trial < 200; ++trial) random.instruction(p, r.opcode, 0);
    Result<Executable> back = decode(encode(e).value());
    ASSERT_TRUE(back) << r.name << ": " << back.error().text();
    EXPECT_EQ(*back, e) << r.name;
  }
}

TEST(Encode, UnsoundStructureIsRefused) {
  Executable e = small();
  e.queues[1].repeats = {{0, 2, 1}};
  EXPECT_EQ(encode(e).error().text(), "queue 1: repeat 0: instructions 0 to 2, the queue has 1");
}

TEST(Encode, MillionsOfZerosStaySmallAndComeBack) {
  Executable e = small();
  e.tensors[0].data.assign(5'000'000, std::byte{0});
  Bytes file = encode(e).value();
  EXPECT_LT(file.size(), 25'000u);
  EXPECT_EQ(decode(file).value(), e);
}

TEST(Encode, WhatIsNoFile) {
  EXPECT_EQ(error_of({}), "a.presil: not a presil executable: it does not begin with the magic bytes");
  std::string_view text = "presil executable 1\n";
  EXPECT_EQ(error_of(std::as_bytes(std::span(text))),
            "a.presil: not a presil executable: it does not begin with the magic bytes");
}

TEST(Encode, EveryTruncationIsSeen) {
  Bytes file = encode(small()).value();
  for (size_t size = 8; size < file.size(); ++size) {
    std::string error = error_of(std::span(file).first(size));
    EXPECT_EQ(error.find("a.presil: file is truncated: "), 0u) << size << ": " << error;
  }
  EXPECT_EQ(error_of(std::span(file).first(file.size() - 1)),
            fmt::format("a.presil: file is truncated: {} bytes, expected {}", file.size() - 1, file.size()));
  file.push_back(std::byte{0});
  EXPECT_EQ(error_of(file), "a.presil: 1 bytes follow the last section");
}

TEST(Encode, EveryChangedByteIsSeen) {
  Bytes file = encode(small()).value();
  for (size_t at = 0; at < file.size(); ++at) {
    file[at] ^= std::byte{1};
    EXPECT_NE(error_of(file), "decoded") << at;
    file[at] ^= std::byte{1};
  }
}

TEST(Encode, ErrorsOfTheHeader) {
  Bytes file = encode(small()).value();
  auto changed = [&](size_t at, uint8_t value) {
    Bytes copy = file;
    copy[at] = std::byte{value};
    return error_of(copy);
  };
  EXPECT_EQ(changed(8, 7), "a.presil: file is version 7, this presil reads 4 (compile the model again)");
  EXPECT_EQ(changed(8, 0), "a.presil: file is version 0, this presil reads 4 (compile the model again)");
  EXPECT_EQ(changed(15, 255), "a.presil: 4278190084 sections, at most 1048576");
  Container other{table_hash() + 1, 0, {}};
  EXPECT_EQ(
      error_of(write_container(other)),
      fmt::format("a.presil: file was written for instruction table {}, this presil has {} (compile the model again)",
                  hash_name(table_hash() + 1), hash_name(table_hash())));
  EXPECT_EQ(changed(24, 9), "a.presil: the header's checksum differs; file is damaged");
  EXPECT_EQ(changed(file.size() - 1, 99), "a.presil: section 3 (constant): its checksum differs; file is damaged");
}

// Files with right checksums around wrong contents.
std::string error_of_sections(std::vector<Section> sections) {
  return error_of(write_container({table_hash(), 0, std::move(sections)}));
}

TEST(Encode, ErrorsOfSections) {
  Container c = read_container(encode(small()).value(), table_hash()).value();
  Section summary = c.sections[0], queue = c.sections[1], constant = c.sections[3];
  EXPECT_EQ(error_of_sections({}), "a.presil: the first section is not a summary");
  EXPECT_EQ(error_of_sections({queue}), "a.presil: the first section is not a summary");
  EXPECT_EQ(error_of_sections({summary}), "a.presil: 1 sections do not match the summary's 2 queues and 1 constants");
  EXPECT_EQ(error_of_sections({summary, queue, constant, queue}),
            "a.presil: 4 sections do not match the summary's 2 queues and 1 constants");
  EXPECT_EQ(error_of_sections({{static_cast<SectionKind>(9), {}}}), "a.presil: section 0 (unknown): kind 9, 0");
  auto with_queue = [&](Bytes bytes) {
    return error_of_sections({summary, queue, {SectionKind::queue, bytes}, constant});
  };
  auto bytes = [](std::initializer_list<int> values) {
    Bytes out;
    for (int v : values) out.push_back(static_cast<std::byte>(v));
    return out;
  };
  EXPECT_EQ(with_queue({}), "a.presil: queue 1: byte 0: the end, expected instructions");
  EXPECT_EQ(with_queue(bytes({0, 0, 5})), "a.presil: queue 1: byte 2: 1 bytes too many");
  EXPECT_EQ(with_queue(bytes({0x80, 0x80, 0x80, 0x80, 0x10, 1})),
            "a.presil: queue 1: byte 5: 4294967296 instructions, 1 bytes are left");
  EXPECT_EQ(with_queue(bytes({1, 120})),
            fmt::format("a.presil: queue 1: byte 2: opcode 120, at most {}", kOpcodeCount - 1));
  EXPECT_EQ(with_queue(bytes({1, 0, 0, 0x80, 2})), "a.presil: queue 1: byte 5: engine index 256, at most 255");
  EXPECT_EQ(with_queue(bytes({255, 255, 255, 255, 255, 255, 255, 255, 255, 2})),
            "a.presil: queue 1: byte 10: instructions of more than 64 bits");
  EXPECT_EQ(with_queue(bytes({0, 1, 0, 1, 1})),
            "a.presil: queue 1: byte 5: repeat 0: instructions 0 to 1, the queue has 0");
}

TEST(Encode, RandomContentsNeverCrashAndAlwaysComeBack) {
  RandomPrograms random(23);
  int decoded = 0;
  for (int trial = 0; trial < 1000; ++trial) {
    Container c = read_container(encode(random.executable()).value(), table_hash()).value();
    for (uint64_t n = random.prng().below(4); n-- > 0;) {
      Bytes& bytes = c.sections[random.prng().below(c.sections.size())].bytes;
      if (bytes.empty()) continue;
      size_t at = random.prng().below(bytes.size());
      bytes[at] = static_cast<std::byte>(random.prng().next());
      if (random.prng().below(4) == 0) bytes.resize(at);
    }
    Result<Executable> e = decode(write_container(c));
    if (!e) continue;
    ++decoded;
    EXPECT_EQ(decode(encode(*e).value()).value(), *e);
    EXPECT_FALSE(print(*e).empty());
  }
  EXPECT_GT(decoded, 100);  // the changes are small enough to be read ...
  EXPECT_LT(decoded, 900);  // ... and large enough to be refused
}

TEST(Encode, RandomBytesAreRefused) {
  Prng random(24);
  Bytes good = encode(small()).value();
  for (int trial = 0; trial < 20000; ++trial) {
    Bytes file(good.begin(), good.begin() + static_cast<ptrdiff_t>(random.below(good.size())));
    for (uint64_t n = random.below(200); n-- > 0;) file.push_back(static_cast<std::byte>(random.next()));
    EXPECT_NE(error_of(file), "decoded");
  }
}

}  // namespace
}  // namespace presil::isa
