#include "compiler/plan.h"

#include <gtest/gtest.h>

#include "base/prng.h"

namespace presil::compiler {
namespace {

Plan random_plan(uint64_t seed) {
  Prng prng(seed);
  Plan plan{.model = "a model = 50% #", .chip = "trn2", .spec_hash = prng.next(), .precision = "bf16"};
  plan.cores = static_cast<uint32_t>(1 + prng.below(8));
  for (uint64_t i = 0; i < 1 + prng.below(9); ++i) {
    Step s;
    s.kind = static_cast<StepKind>(prng.below(kStepKindCount));
    s.anchor = static_cast<uint32_t>(prng.below(1000));
    s.output = graph::TensorId(static_cast<uint32_t>(prng.below(1000)));
    for (uint64_t k = 0; k < prng.below(5); ++k) s.chain.push_back(static_cast<uint32_t>(prng.below(1000)));
    if (s.kind == StepKind::gemm)
      s.blocking = {static_cast<int64_t>(prng.below(5000)), static_cast<int64_t>(prng.below(5000))};
    s.estimate_seconds = static_cast<double>(prng.next()) * 1e-25;
    plan.steps.push_back(s);
    plan.stages.push_back({static_cast<uint32_t>(i), static_cast<uint32_t>(i + 1),
                           static_cast<uint32_t>(1 + prng.below(7)), prng.below(2) == 0});
    plan.tensors.push_back(static_cast<Location>(prng.below(4)));
    plan.dtypes.push_back(static_cast<DType>(prng.below(kDTypeCount)));
  }
  return plan;
}

TEST(Plan, TextRoundTrips) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Plan plan = random_plan(seed);
    auto parsed = parse_plan(print(plan));
    ASSERT_TRUE(parsed) << parsed.error().text();
    EXPECT_TRUE(*parsed == plan) << print(plan);
  }
}

TEST(Plan, NamesThatLookLikeSyntaxComeBack) {
  for (const char* name : {"", "-", "%2d", "%", "--", "a b", "%zz", "=#"}) {
    auto parsed = parse_plan(print({.model = name, .chip = "trn2"}));
    ASSERT_TRUE(parsed) << parsed.error().text();
    EXPECT_EQ(parsed->model, name);
  }
}

TEST(Plan, MessagesNameLineAndNearestWord) {
  auto message = [](std::string_view text) { return parse_plan(text).error().text(); };
  std::string header = "plan version=1 model=- chip=trn2 spec=00 precision=fp32\n";
  EXPECT_EQ(message(""), "the plan is empty");
  EXPECT_EQ(message("stage first=0 last=1 bands=1"), "plan:1: a plan begins with 'plan version=...', found 'stage'");
  EXPECT_EQ(message("plan version=9 model=- chip=trn2 spec=00 precision=fp32"),
            "plan:1: plan version 9, this presil reads 1");
  EXPECT_EQ(message(header + "stge first=0"), "plan:2: 'stge' is not a line of a plan (did you mean 'stage'?)");
  EXPECT_EQ(message(header + "stage first=0 last=x bands=1"), "plan:2: 'last=x' is not a number in range");
  EXPECT_EQ(message(header + header), "plan:2: a second line 'plan'");
  EXPECT_EQ(message(header + "step kind=view anchor=0 output=0 chain= estimate_seconds=nan"),
            "plan:2: 'estimate_seconds=nan' is not a number in range");
  EXPECT_EQ(message(header + "stage first=0 last=1 band=1"),
            "plan:2: 'stage' has no word 'band' (did you mean 'bands'?)");
  EXPECT_EQ(message(header + "stage first=0 last=1 bands=1 by=row"), "plan:2: 'by=row' is not 'by=image'");
  EXPECT_EQ(message(header + "stage first=0 last=1"), "plan:2: 'stage' has no 'bands='");
  EXPECT_EQ(message(header + "tensor id=3 location=hbm"), "plan:2: tensor id 3 where 0 is next");
  EXPECT_EQ(message(header + "tensor id=0 location=hmb"), "plan:2: 'hmb' is not a location (did you mean 'hbm'?)");
}

TEST(Plan, RandomTextNeverCrashes) {
  std::string text = print(random_plan(7));
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    Prng prng(seed);
    std::string damaged = text;
    for (int i = 0; i < 4; ++i) damaged[prng.below(damaged.size())] = static_cast<char>(prng.below(128));
    (void)parse_plan(damaged);
  }
}

}  // namespace
}  // namespace presil::compiler
