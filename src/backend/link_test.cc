// Do parts meet where they have to, and is too much for the core refused?
#include "backend/link.h"

#include <gtest/gtest.h>

#include "backend/lower.h"
#include "backend/test_chip.h"
#include "isa/control.h"
#include "isa/rules.h"
#include "tile/builder.h"

namespace presil::backend {
namespace {

using isa::TensorRole;
using testing::chip;

isa::Executable copy(const std::string& from, const std::string& to, const spec::ChipSpec& spec) {
  tile::Builder b("copy");
  uint32_t x = b.tensor(from, DType::fp32, {128, 64}, TensorRole::input);
  uint32_t y = b.tensor(to, DType::fp32, {128, 64}, TensorRole::output);
  b.begin_layer(to, "copy");
  b.set_source("copy", to);
  uint32_t t = b.sbuf(128, 256, "t");
  b.dma(b.tile_view(t, DType::fp32), b.whole(x));
  b.dma(b.whole(y), b.tile_view(t, DType::fp32));
  Result<isa::Executable> e = lower(b.take(), spec);
  EXPECT_TRUE(e) << e.error().text();
  return *e;
}

LinkPart part(isa::Executable code) {
  LinkPart p;
  p.code = std::move(code);
  return p;
}

LinkParts two_ways(const spec::ChipSpec& spec) {
  LinkPart branch;
  branch.node = "If", branch.condition = "p";
  branch.then = {part(copy("middle", "y", spec))};
  branch.otherwise = {part(copy("x", "y", spec))};
  return {part(copy("x", "middle", spec)), branch};
}

std::vector<isa::HbmTensor> ends() {
  std::vector<isa::HbmTensor> all(3);
  all[0].name = "x", all[0].role = TensorRole::input;
  all[1].name = "p", all[1].role = TensorRole::input, all[1].dtype = DType::uint8, all[1].bytes = 1;
  all[2].name = "y", all[2].role = TensorRole::output;
  for (isa::HbmTensor* t : {&all[0], &all[2]}) t->shape = {128, 64}, t->bytes = 128 * 64 * 4;
  return all;
}

TEST(Link, TwoWaysAreOneSoundProgram) {
  const spec::ChipSpec spec = chip();
  const LinkParts parts = two_ways(spec);
  Result<isa::Executable> e = link(parts, ends(), spec);
  ASSERT_TRUE(e) << e.error().text();
  for (const isa::Finding& f : isa::verify(*e, spec, isa::Waits::can_end)) ADD_FAILURE() << f.text();
  // Ways share semaphores: only one is gone. One semaphore is where engines meet behind the first part.
  EXPECT_EQ(e->semaphores, parts[0].code.semaphores + 1 +
                               std::max(parts[1].then[0].code.semaphores, parts[1].otherwise[0].code.semaphores));
  std::vector<std::string> names;
  for (const isa::HbmTensor& t : e->tensors) names.push_back(t.name + " " + std::string(isa::role_name(t.role)));
  EXPECT_EQ(names, (std::vector<std::string>{"x input", "p input", "y output", "middle scratch"}));
  for (const isa::Program& q : e->queues) EXPECT_TRUE(isa::has_control(q));
}

TEST(Link, WhatTheCoreHasNotIsSaid) {
  spec::ChipSpec spec = chip();
  const LinkParts parts = two_ways(spec);
  spec.semaphores.count = 3;
  EXPECT_EQ(link(parts, ends(), spec).error().text(), "copy: the program's parts need 5 semaphores, the core has 3");
  spec = chip();
  spec.hbm.bytes = 40000;
  EXPECT_EQ(link(parts, ends(), spec).error().text(),
            "copy: tensors need 96.06 KiB, a core of test reaches 39.06 KiB of HBM");
}

}  // namespace
}  // namespace presil::backend
