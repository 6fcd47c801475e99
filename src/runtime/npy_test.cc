#include "runtime/npy.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "runtime/file.h"

namespace presil::runtime {
namespace {

std::vector<std::byte> raw(std::string_view text) {
  auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> file_with(std::string header, size_t element_bytes) {
  std::string text("\x93NUMPY\x01\x00", 8);
  text += static_cast<char>(header.size());
  text += '\0';
  text += header + std::string(element_bytes, 'x');
  return raw(text);
}

TEST(Npy, RoundTripsEveryShapeAndType) {
  for (DType dtype : {DType::fp32, DType::fp16, DType::bf16, DType::int8, DType::uint8, DType::int16, DType::uint16,
                      DType::int32, DType::uint32, DType::int64, DType::boolean}) {
    for (std::vector<int64_t> shape : {std::vector<int64_t>{}, {7}, {2, 3}, {0, 4}, {1, 2, 3, 4}}) {
      Array array{dtype, shape, {}};
      size_t count = 1;
      for (int64_t d : shape) count *= static_cast<size_t>(d);
      for (size_t i = 0; i < count * dtype_bytes(dtype); ++i) array.bytes.push_back(static_cast<std::byte>(i * 37));
      auto file = print_npy(array);
      EXPECT_EQ((file.size() - array.bytes.size()) % 64, 0u);
      auto back = parse_npy(file, "x.npy");
      ASSERT_TRUE(back.has_value()) << back.error().text();
      EXPECT_EQ(back->dtype, dtype);
      EXPECT_EQ(back->shape, shape);
      EXPECT_EQ(back->bytes, array.bytes);
    }
  }
}

std::string error_of(const std::vector<std::byte>& file) {
  auto result = parse_npy(file, "x.npy");
  return result ? "none" : result.error().text();
}

TEST(Npy, RefusesWhatItCannotRead) {
  EXPECT_EQ(error_of({}), "x.npy: not a complete .npy file (format 1.0 to 3.0 expected)");
  EXPECT_EQ(error_of(raw("PK\x03\x04 a zip archive")), "x.npy: not a complete .npy file (format 1.0 to 3.0 expected)");
  EXPECT_EQ(error_of(file_with("{'descr': '<f4'}", 0)), "x.npy: the .npy header lacks descr, fortran_order or shape");
  EXPECT_EQ(error_of(file_with("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", 8)),
            "x.npy: element type '<f8'; expected little-endian f4 f2 V2 (bf16) i1 u1 i2 u2 i4 u4 i8 or b1");
  EXPECT_EQ(error_of(file_with("{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }", 4)),
            "x.npy: column-major order (save numpy.ascontiguousarray(x))");
  EXPECT_EQ(error_of(file_with("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 23)),
            "x.npy: 23 bytes of elements do not fill shape [2, 3] of fp32");
  EXPECT_EQ(error_of(file_with("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", 8)),
            "x.npy: the .npy header lacks descr, fortran_order or shape");
  EXPECT_EQ(error_of(file_with("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", 0)),
            "x.npy: 0 bytes of elements do not fill shape [4294967296, 4294967296] of fp32");
}

TEST(Npy, TruncationAnywhereIsRefused) {
  auto file = print_npy({DType::fp32, {2}, raw("12345678")});
  for (size_t n = 0; n < file.size(); ++n) EXPECT_FALSE(parse_npy(std::span(file).first(n), "x").has_value()) << n;
}

TEST(File, WritesWholeOrNothing) {
  std::string folder = testing::TempDir() + "presil_file_test";
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(std::filesystem::create_directory(folder));
  ASSERT_TRUE(write_file(folder + "/a", std::string_view("abc")).has_value());
  EXPECT_EQ(*read_file(folder + "/a"), raw("abc"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
  auto failed = write_file(folder + "/none/a", std::string_view("abc"));
  EXPECT_EQ(failed.error().text(), folder + "/none/a: cannot be written: No such file or directory");
  EXPECT_EQ(read_file(folder).error().text(), folder + ": cannot be read: Is a directory");
  EXPECT_EQ(read_file(folder + "/b").error().text(), folder + "/b: cannot be read: No such file or directory");
}

TEST(File, ACancelledWriteLeavesTheOldFile) {
  const std::string folder = testing::TempDir() + "presil_cancelled_write_test";
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(std::filesystem::create_directory(folder));
  ASSERT_TRUE(write_file(folder + "/a", std::string_view("old")).has_value());
  Cancel cancel;
  cancel.request();
  auto stopped = write_file(folder + "/a", std::string_view("new"), &cancel);
  EXPECT_EQ(stopped.error().code, ErrorCode::cancelled);
  EXPECT_EQ(*read_file(folder + "/a"), raw("old"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
}

// Each ends up whole, the last one wins, and nothing is left of the others.
TEST(File, ThreadsMayWriteTheSamePath) {
  const std::string folder = testing::TempDir() + "presil_same_path_test";
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(std::filesystem::create_directory(folder));
  const std::string texts[] = {std::string(100'000, 'a'), std::string(200'000, 'b')};
  std::vector<std::thread> writers;
  for (const std::string& text : texts) {
    writers.emplace_back([&folder, &text] {
      for (int i = 0; i < 50; ++i) ASSERT_TRUE(write_file(folder + "/x", std::string_view(text)).has_value());
    });
  }
  for (std::thread& writer : writers) writer.join();
  const auto found = *read_file(folder + "/x");
  EXPECT_TRUE(found == raw(texts[0]) || found == raw(texts[1]));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
}

}  // namespace
}  // namespace presil::runtime
