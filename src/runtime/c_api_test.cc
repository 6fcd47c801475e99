#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <presil/presil.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include "runtime/file.h"

namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kModel = PRESIL_SOURCE_DIR "/tests/fuzz/corpus/onnx/dense.onnx";

struct Free {
  void operator()(presil_chip* p) const { presil_chip_free(p); }
  void operator()(presil_program* p) const { presil_program_free(p); }
  void operator()(presil_result* p) const { presil_result_free(p); }
  void operator()(presil_cancel* p) const { presil_cancel_free(p); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

Owned<presil_program> compiled(const presil_compile_options* options = nullptr) {
  presil_program* program = nullptr;
  EXPECT_EQ(presil_compile(kModel.c_str(), nullptr, options, &program), PRESIL_OK) << presil_error_message();
  return Owned<presil_program>(program);
}

Owned<presil_result> ran(const presil_program* program, std::vector<presil_tensor> inputs = {},
                         const presil_run_options* options = nullptr) {
  presil_result* result = nullptr;
  EXPECT_EQ(presil_run(program, inputs.data(), inputs.size(), options, &result), PRESIL_OK) << presil_error_message();
  return Owned<presil_result>(result);
}

std::vector<float> floats(const presil_tensor* t) {
  std::vector<float> values(t->bytes / 4);
  std::memcpy(values.data(), t->data, t->bytes);
  return values;
}

const int64_t kShape[] = {2, 4};

presil_tensor tensor(const std::vector<float>& values) {
  return {"x", PRESIL_FP32, 2, kShape, values.data(), values.size() * 4};
}

TEST(CApi, ChipsByNameAndText) {
  presil_chip *bundled = nullptr, *parsed = nullptr;
  ASSERT_EQ(presil_chip_load("trn2", &bundled), PRESIL_OK);
  Owned<presil_chip> own(bundled);
  EXPECT_STREQ(presil_chip_name(bundled), "trn2");
  EXPECT_EQ(std::strlen(presil_chip_hash(bundled)), 16u);
  ASSERT_EQ(presil_chip_parse(presil_chip_toml(bundled), nullptr, &parsed), PRESIL_OK) << presil_error_message();
  Owned<presil_chip> own_parsed(parsed);
  EXPECT_STREQ(presil_chip_hash(parsed), presil_chip_hash(bundled));
  EXPECT_STREQ(presil_bundled_chip(0), "edge-npu");
  EXPECT_EQ(presil_bundled_chip(99), nullptr);
  EXPECT_EQ(presil_chip_load("trn4", &parsed), PRESIL_BAD_INPUT);
  EXPECT_EQ(presil_chip_parse("extends = \"trn2\"\nname = \"x\"\n[tensr]\n", "x.toml", &parsed), PRESIL_BAD_INPUT);
  EXPECT_THAT(presil_error_message(), StartsWith("x.toml:3"));
  EXPECT_EQ(parsed, own_parsed.get());  // untouched by failures
}

TEST(CApi, AProgramSaysWhatItTakesAndGives) {
  auto program = compiled();
  const presil_tensor* x = presil_program_input(program.get(), 0);
  ASSERT_NE(x, nullptr);
  EXPECT_STREQ(x->name, "x");
  EXPECT_EQ(x->dtype, PRESIL_FP32);
  EXPECT_EQ(std::vector<int64_t>(x->shape, x->shape + x->rank), (std::vector<int64_t>{2, 4}));
  EXPECT_EQ(x->bytes, 32u);
  EXPECT_EQ(x->data, nullptr);
  EXPECT_EQ(presil_program_input(program.get(), 1), nullptr);
  EXPECT_STREQ(presil_program_output(program.get(), 0)->name, "y");
}

TEST(CApi, ResultsOutliveTheirProgram) {
  auto program = compiled();
  auto result = ran(program.get(), {tensor({1, 2, 3, 4, 5, 6, 7, 8})});
  program.reset();
  EXPECT_TRUE(presil_result_ok(result.get()));
  EXPECT_STREQ(presil_result_outcome(result.get()), "done");
  EXPECT_GT(presil_result_seconds(result.get()), 0);
  EXPECT_DOUBLE_EQ(presil_result_cycles(result.get(), "tensor"), presil_result_seconds(result.get()) * 2.4e9);
  EXPECT_EQ(presil_result_cycles(result.get(), "tensr"), 0);
  EXPECT_GT(presil_result_instructions(result.get()), 0u);
  EXPECT_GT(presil_result_macs(result.get()), 0u);
  EXPECT_GT(presil_result_mfu(result.get()), 0);
  EXPECT_THAT(presil_result_json(result.get()), HasSubstr("\"model\": \"dense.onnx\""));
  EXPECT_EQ(presil_result_output(result.get(), 0)->bytes, floats(presil_result_output(result.get(), 0)).size() * 4);
  EXPECT_EQ(presil_result_output(result.get(), 1), nullptr);
}

TEST(CApi, DrawnInputsDependOnTheSeed) {
  auto program = compiled();
  presil_run_options options = PRESIL_RUN_OPTIONS_DEFAULTS;
  auto values = [&](uint64_t seed) {
    options.seed = seed;
    return floats(presil_result_output(ran(program.get(), {}, &options).get(), 0));
  };
  EXPECT_EQ(values(1), values(1));
  EXPECT_NE(values(1), values(2));
}

TEST(CApi, WithoutDataThereIsTimeOnly) {
  presil_compile_options compile = PRESIL_COMPILE_OPTIONS_DEFAULTS;
  compile.no_data = true;
  auto timed_only = compiled(&compile);
  presil_run_options options = PRESIL_RUN_OPTIONS_DEFAULTS;
  options.no_data = true;
  auto timed = ran(timed_only.get(), {}, &options);
  EXPECT_EQ(presil_result_output(timed.get(), 0), nullptr);
  EXPECT_EQ(presil_result_seconds(timed.get()), presil_result_seconds(ran(compiled().get()).get()));
}

// NaN and infinities are values; a NaN that arithmetic makes has the one canonical pattern, whatever came in.
TEST(CApi, NanAndInfinityAreInputs) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  float odd_nan;
  const uint32_t bits = 0xffc12345;  // negative, with a payload
  std::memcpy(&odd_nan, &bits, 4);
  auto result = ran(compiled().get(), {tensor({odd_nan, 1, 1, 1, kInf, 1, 1, 1})});
  ASSERT_TRUE(presil_result_ok(result.get())) << presil_result_outcome(result.get());
  const auto y = floats(presil_result_output(result.get(), 0));
  for (size_t i = 0; i < y.size(); ++i) {
    uint32_t found;
    std::memcpy(&found, &y[i], 4);
    const bool first_row = i < y.size() / 2;
    EXPECT_TRUE(first_row ? found == 0x7fc00000u : y[i] == 0 || y[i] == kInf) << i << ": " << y[i];
  }
}

TEST(CApi, EveryNullIsRefusedWithItsName) {
  auto program = compiled();
  presil_chip* chip = nullptr;
  presil_program* other = nullptr;
  presil_result* result = nullptr;
  auto refused = [](presil_status status, const std::string& message) {
    EXPECT_EQ(status, PRESIL_BAD_INPUT);
    EXPECT_EQ(presil_error_message(), message);
  };
  refused(presil_chip_load(nullptr, &chip), "presil_chip_load: 'name_or_file' is NULL");
  refused(presil_chip_load("trn2", nullptr), "presil_chip_load: 'chip' is NULL");
  refused(presil_chip_parse(nullptr, nullptr, &chip), "presil_chip_parse: 'toml' is NULL");
  refused(presil_chip_parse("", nullptr, nullptr), "presil_chip_parse: 'chip' is NULL");
  refused(presil_compile(nullptr, nullptr, nullptr, &other), "presil_compile: 'model' is NULL");
  refused(presil_compile("m.onnx", nullptr, nullptr, nullptr), "presil_compile: 'program' is NULL");
  refused(presil_program_load(nullptr, nullptr, false, &other), "presil_program_load: 'path' is NULL");
  refused(presil_program_load("m.presil", nullptr, false, nullptr), "presil_program_load: 'program' is NULL");
  refused(presil_program_save(nullptr, "m.presil"), "presil_program_save: 'program' is NULL");
  refused(presil_program_save(program.get(), nullptr), "presil_program_save: 'path' is NULL");
  refused(presil_run(nullptr, nullptr, 0, nullptr, &result), "presil_run: 'program' is NULL");
  refused(presil_run(program.get(), nullptr, 1, nullptr, &result), "presil_run: 'inputs' is NULL");
  refused(presil_run(program.get(), nullptr, 0, nullptr, nullptr), "presil_run: 'result' is NULL");
  refused(presil_result_write_report(nullptr, "r.html"), "presil_result_write_report: 'result' is NULL");
  refused(presil_result_write_trace(nullptr, "r.pftrace"), "presil_result_write_trace: 'result' is NULL");
  EXPECT_EQ(presil_program_input(nullptr, 0), nullptr);
  EXPECT_EQ(presil_result_output(nullptr, 0), nullptr);
  EXPECT_EQ(presil_result_json(nullptr), nullptr);
  EXPECT_EQ(presil_result_outcome(nullptr), nullptr);
  EXPECT_FALSE(presil_result_ok(nullptr));
  EXPECT_EQ(presil_result_seconds(nullptr), 0);
  EXPECT_EQ(presil_chip_name(nullptr), nullptr);
  presil_chip_free(nullptr);
  presil_program_free(nullptr);
  presil_result_free(nullptr);
  presil_cancel_free(nullptr);
  presil_cancel_request(nullptr);
}

TEST(CApi, BadTensorsAreRefused) {
  auto program = compiled();
  auto message = [&](presil_tensor t) {
    presil_result* result = nullptr;
    EXPECT_EQ(presil_run(program.get(), &t, 1, nullptr, &result), PRESIL_BAD_INPUT);
    EXPECT_EQ(result, nullptr);
    return std::string(presil_error_message());
  };
  const std::vector<float> eight(8);
  const int64_t negative[] = {2, -4}, huge[] = {INT64_MAX, INT64_MAX};
  EXPECT_EQ(message({nullptr, PRESIL_FP32, 2, kShape, eight.data(), 32}), "inputs[0]: 'name' is NULL");
  EXPECT_EQ(message({"x", static_cast<presil_dtype>(20), 2, kShape, eight.data(), 32}),
            "input 'x': 20 is no presil_dtype");
  EXPECT_EQ(message({"x", PRESIL_FP32, 2, nullptr, eight.data(), 32}), "input 'x': 'shape' is NULL");
  EXPECT_EQ(message({"x", PRESIL_FP32, 2, kShape, nullptr, 32}), "input 'x': 'data' is NULL");
  EXPECT_EQ(message({"x", PRESIL_FP32, 2, kShape, eight.data(), 31}),
            "input 'x': 31 bytes do not fill shape [2, 4] of fp32");
  EXPECT_EQ(message({"x", PRESIL_FP32, 2, negative, eight.data(), 32}),
            "input 'x': 32 bytes do not fill shape [2, -4] of fp32");
  EXPECT_THAT(message({"x", PRESIL_FP32, 2, huge, eight.data(), 32}), HasSubstr("do not fill shape"));
  EXPECT_EQ(message({"x", PRESIL_INT32, 2, kShape, eight.data(), 32}), "input 'x': dtype int32, expected fp32");
  EXPECT_EQ(message({"x", PRESIL_FP32, 1, kShape + 1, eight.data(), 16}), "input 'x': shape [4], expected [2, 4]");
  EXPECT_EQ(message({"z", PRESIL_FP32, 2, kShape, eight.data(), 32}), "input: the model has no input 'z'; it has x");
}

TEST(CApi, BadOptionsAreRefused) {
  presil_program* program = nullptr;
  auto message = [&](const presil_compile_options& o) {
    EXPECT_NE(presil_compile(kModel.c_str(), nullptr, &o, &program), PRESIL_OK);
    return std::string(presil_error_message());
  };
  presil_compile_options o = PRESIL_COMPILE_OPTIONS_DEFAULTS;
  o.precision = "fp23";
  EXPECT_EQ(message(o),
            "precision: precision 'fp23' is not one of auto, fp32, tf32, bf16, fp16 "
            "(did you mean 'fp32'?)");
  o = PRESIL_COMPILE_OPTIONS_DEFAULTS;
  o.dim_count = 1;
  EXPECT_EQ(message(o), "presil_compile: 'options.dims' is NULL");
  const presil_dim dim = {nullptr, 1};
  o.dims = &dim;
  EXPECT_EQ(message(o), "presil_compile: 'options.dims[].name' is NULL");
  o = PRESIL_COMPILE_OPTIONS_DEFAULTS;
  const presil_shape shape = {"x", 2, nullptr};
  o.shapes = &shape, o.shape_count = 1;
  EXPECT_EQ(message(o), "presil_compile: 'options.shapes[].sizes' is NULL");
  o = {};
  EXPECT_THAT(message(o), StartsWith("presil_compile: 'options.size' is 0, expected "));
  EXPECT_EQ(presil_compile("none.onnx", nullptr, nullptr, &program), PRESIL_IO);
  EXPECT_STREQ(presil_error_message(), "none.onnx: cannot be read: No such file or directory");
  EXPECT_EQ(presil_compile("m.presil", nullptr, nullptr, &program), PRESIL_BAD_INPUT);
  EXPECT_STREQ(presil_error_message(), "m.presil: is compiled already (presil_program_load reads it)");
  EXPECT_EQ(program, nullptr);
}

TEST(CApi, FilesAreWhole) {
  const std::string folder = testing::TempDir() + "presil_c_api_test";
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(std::filesystem::create_directory(folder));
  auto program = compiled();
  ASSERT_EQ(presil_program_save(program.get(), (folder + "/m.presil").c_str()), PRESIL_OK);
  presil_program* loaded = nullptr;
  ASSERT_EQ(presil_program_load((folder + "/m.presil").c_str(), nullptr, false, &loaded), PRESIL_OK);
  Owned<presil_program> own(loaded);
  auto first = ran(program.get()), second = ran(loaded);
  EXPECT_EQ(presil_result_seconds(first.get()), presil_result_seconds(second.get()));
  EXPECT_EQ(floats(presil_result_output(first.get(), 0)), floats(presil_result_output(second.get(), 0)));
  EXPECT_EQ(presil_result_write_report(first.get(), (folder + "/r.html").c_str()), PRESIL_OK);
  EXPECT_EQ(presil_result_write_trace(first.get(), (folder + "/t.pftrace").c_str()), PRESIL_OK);
  EXPECT_GT(std::filesystem::file_size(folder + "/r.html"), 500u);
  EXPECT_EQ(presil_result_write_report(first.get(), (folder + "/r.pdf").c_str()), PRESIL_BAD_INPUT);
  EXPECT_EQ(presil_error_message(), "report: '" + folder + "/r.pdf' ends in neither .html nor .md");
  EXPECT_EQ(presil_result_write_trace(first.get(), ""), PRESIL_BAD_INPUT);
  EXPECT_EQ(presil_program_save(program.get(), (folder + "/none/m.presil").c_str()), PRESIL_IO);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 3);
}

TEST(CApi, ACancelledCallSaysSo) {
  Owned<presil_cancel> cancel(presil_cancel_new());
  presil_cancel_request(cancel.get());
  presil_compile_options compile = PRESIL_COMPILE_OPTIONS_DEFAULTS;
  compile.cancel = cancel.get();
  presil_program* program = nullptr;
  EXPECT_EQ(presil_compile(kModel.c_str(), nullptr, &compile, &program), PRESIL_CANCELLED);
  presil_run_options options = PRESIL_RUN_OPTIONS_DEFAULTS;
  options.cancel = cancel.get();
  presil_result* result = nullptr;
  EXPECT_EQ(presil_run(compiled().get(), nullptr, 0, &options, &result), PRESIL_CANCELLED);
  EXPECT_STREQ(presil_error_message(), "interrupted");
  EXPECT_EQ(program, nullptr);
  EXPECT_EQ(result, nullptr);
}

// One program in several threads, with other inputs each; errors stay in their thread.
TEST(CApi, ThreadsDoNotKnowOfEachOther) {
  auto program = compiled();
  std::vector<std::vector<float>> found(4);
  std::vector<std::string> errors(4);
  auto work = [&](size_t t) {
    std::vector<float> x(8, static_cast<float>(t));
    for (int round = 0; round < 5; ++round) {
      found[t] = floats(presil_result_output(ran(program.get(), {tensor(x)}).get(), 0));
    }
    presil_result* result = nullptr;
    const std::string name = "z" + std::to_string(t);
    const presil_tensor bad = {name.c_str(), PRESIL_FP32, 0, nullptr, x.data(), 4};
    EXPECT_EQ(presil_run(program.get(), &bad, 1, nullptr, &result), PRESIL_BAD_INPUT);
    errors[t] = presil_error_message();
  };
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) threads.emplace_back(work, t);
  for (std::thread& thread : threads) thread.join();
  for (size_t t = 0; t < 4; ++t) {
    const std::vector<float> x(8, static_cast<float>(t));
    EXPECT_EQ(found[t], floats(presil_result_output(ran(program.get(), {tensor(x)}).get(), 0)));
    EXPECT_EQ(errors[t], "input: the model has no input 'z" + std::to_string(t) + "'; it has x");
  }
}

// Of runs at once, the one that is cancelled ends; the others do not notice.
TEST(CApi, ACancelEndsItsOwnRunsOnly) {
  auto program = compiled();
  const auto expected = floats(presil_result_output(ran(program.get()).get(), 0));
  Owned<presil_cancel> cancel(presil_cancel_new());
  presil_cancel_request(cancel.get());
  presil_status stopped[2] = {PRESIL_OK, PRESIL_OK};
  std::vector<float> found[2];
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      presil_run_options options = PRESIL_RUN_OPTIONS_DEFAULTS;
      options.cancel = cancel.get();
      presil_result* result = nullptr;
      stopped[t] = presil_run(program.get(), nullptr, 0, &options, &result);
      EXPECT_EQ(result, nullptr);
    });
    threads.emplace_back([&, t] { found[t] = floats(presil_result_output(ran(program.get()).get(), 0)); });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t t = 0; t < 2; ++t) {
    EXPECT_EQ(stopped[t], PRESIL_CANCELLED);
    EXPECT_EQ(found[t], expected);
  }
}

TEST(CApi, DtypesHaveNamesAndSizes) {
  EXPECT_STREQ(presil_dtype_name(PRESIL_BF16), "bf16");
  EXPECT_EQ(presil_dtype_bytes(PRESIL_BF16), 2u);
  EXPECT_EQ(presil_dtype_name(static_cast<presil_dtype>(-1)), nullptr);
  EXPECT_EQ(presil_dtype_bytes(static_cast<presil_dtype>(20)), 0u);
  EXPECT_STREQ(presil_version(), "0.1.0");
}

}  // namespace
