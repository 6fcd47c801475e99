// Do packed bytes come back, and do false claims fail before they cost memory?
#include "isa/pack.h"

#include "base/prng.h"

namespace presil::isa {
namespace {

Bytes random_bytes(uint64_t seed, size_t size) {
  Prng random(seed);
  Bytes out(size);
  for (std::byte& b : out) b = static_cast<std::byte>(random.next());
  return out;
}

TEST(Pack, BytesComeBack) {
  for (size_t size : {0, 1, 2, 3, 255, 256, 257, 70000, 3000000}) {
    for (const Bytes& bytes : {Bytes(size), random_bytes(size, size)}) {
      Bytes stored = packed(bytes);
      EXPECT_GE(stored.size(), size / 256);
      Result<Bytes> back = unpacked(stored, size);
      ASSERT_TRUE(back) << size << ": " << back.error().text();
      EXPECT_EQ(*back, bytes);
      EXPECT_EQ(from_base64(base64(bytes)).value(), bytes);
    }
  }
}

TEST(Pack, Base64IsTheStandardOne) {
  auto text = [](std::string_view s) { return base64(std::as_bytes(std::span(s))); };  // RFC 4648, section 10
  EXPECT_EQ(text(""), "");
  EXPECT_EQ(text("f"), "Zg==");
  EXPECT_EQ(text("fo"), "Zm8=");
  EXPECT_EQ(text("foo"), "Zm9v");
  EXPECT_EQ(text("foobar"), "Zm9vYmFy");
  EXPECT_FALSE(from_base64("Zg=v"));
  EXPECT_FALSE(from_base64("Zg==Zg=="));
}

TEST(Pack, FalseClaims) {
  Bytes stored = packed(Bytes(100000));
  EXPECT_EQ(unpacked(stored, 99999).error().text(), "compressed data holds 100000 bytes, expected 99999");
  Bytes cut(stored.begin(), stored.begin() + 20);
  EXPECT_EQ(unpacked(cut, 100000).error().text(),
            "20 compressed bytes claim to hold 100000, at most 256 times as many");
  stored[stored.size() / 3] ^= std::byte{255};
  EXPECT_FALSE(unpacked(packed(random_bytes(1, 100)), 99));
  Bytes half = packed(random_bytes(2, 100000));
  half.resize(half.size() / 2);
  EXPECT_EQ(unpacked(half, 100000).error().text(), "compressed data is damaged: Src size is incorrect");
  EXPECT_FALSE(unpacked({}, 0));
}

}  // namespace
}  // namespace presil::isa
