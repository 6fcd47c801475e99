// Which nodes run always, and which only on one way?
#include "graph/split_control.h"

#include <gtest/gtest.h>

#include "graph/text.h"

namespace presil::graph {
namespace {

// "tanh relu" for what runs, "(NODE by CONDITION ? ... : ...)" for a branch; "!" for a way that cannot be taken; "{NODE
// trips/go/again ...}" for a loop.
std::string shape_of(const Pieces& pieces) {
  std::string out;
  for (const Piece& p : pieces) {
    if (!out.empty()) out += ' ';
    if (p.node.empty()) {
      EXPECT_TRUE(verify(p.graph).empty()) << print(p.graph);
      std::string nodes;
      for (const Node& n : p.graph.nodes)
        nodes += std::string(nodes.empty() ? "" : " ") + std::string(elementwise_name(n.attrs.fn));
      out += "[" + nodes + "]";
      continue;
    }
    if (p.loop) {
      out += "{" + p.node + " " + p.loop->trips + "/" + p.loop->go + "/" + p.loop->again + " " +
             shape_of(p.loop->body) + "}";
      continue;
    }
    out += "(" + p.node + " by " + p.condition + " ? " + (p.then_impossible ? "!" : shape_of(p.then)) + " : " +
           (p.otherwise_impossible ? "!" : shape_of(p.otherwise)) + ")";
  }
  return out;
}

std::string split(std::string_view nodes) {
  Result<Graph> g = parse("graph \"g\"\ninput %0 fp32[4] \"x\"\ninput %1 bool[] \"p\"\ninput %2 bool[1] \"q\"\n" +
                          std::string(nodes));
  EXPECT_TRUE(g) << g.error().text();
  return shape_of(split_control(*g));
}

TEST(SplitControl, WhatOnlyOneWayNeedsRunsThere) {
  EXPECT_EQ(split("%3 fp32[4] \"a\" = tanh(%0) from \"A\"\n"
                  "%4 fp32[4] \"b\" = relu(%3) from \"B\"\n"
                  "%5 fp32[4] \"c\" = neg(%3) from \"C\"\n"
                  "%6 fp32[4] \"d\" = select(%1, %4, %5) from \"If\"\n"
                  "%7 fp32[4] \"e\" = exp(%6) from \"E\"\noutput %7\n"),
            "[tanh] (If by p ? [relu identity] : [neg identity]) [exp]");
  // The same value on both ways, and one that leaves the graph as well.
  EXPECT_EQ(split("%3 fp32[4] \"a\" = tanh(%0) from \"A\"\n"
                  "%4 fp32[4] \"d\" = select(%1, %3, %3) from \"If\"\n"
                  "%5 fp32[4] \"e\" = select(%1, %0, %3) from \"If\"\noutput %4\noutput %5\noutput %3\n"),
            "[tanh] (If by p ? [identity identity] : [identity identity])");
}

TEST(SplitControl, ChoicesLieInsideAndBehindEachOther) {
  EXPECT_EQ(split("%3 fp32[4] \"a\" = tanh(%0) from \"A\"\n"
                  "%4 fp32[4] \"b\" = relu(%3) from \"B\"\n"
                  "%5 fp32[4] \"c\" = select(%2, %4, %3) from \"inner\"\n"
                  "%6 fp32[4] \"d\" = select(%1, %5, %0) from \"outer\"\n"
                  "%7 fp32[4] \"e\" = neg(%6) from \"E\"\n"
                  "%8 fp32[4] \"f\" = select(%1, %7, %6) from \"last\"\noutput %8\n"),
            "(outer by p ? [tanh] (inner by q ? [relu identity] : [identity]) [identity] : [identity]) "
            "(last by p ? [neg identity] : [identity])");
}

// What a loop carries is copied in before it and at the end of each iteration; what no iteration changes runs before
// it.
TEST(SplitControl, LoopsHaveWhatDependsOnThem) {
  EXPECT_EQ(split("input %3 int64[] \"n\"\n"
                  "%4 fp32[4] \"a\" = tanh(%0) from \"A\"\n"
                  "%5 fp32[4] \"s\" = enter(%0) loop=[7] from \"Loop\"\n"
                  "%6 fp32[4] \"b\" = neg(%4) from \"B\"\n"
                  "%7 fp32[4] \"c\" = add(%5, %6) from \"C\"\n"
                  "%8 fp32[4] \"d\" = leave(%3, %1, %2, %5, %7) loop=[7] from \"Loop\"\n"
                  "%9 fp32[4] \"e\" = exp(%8) from \"E\"\noutput %9\n"),
            "[tanh neg] [identity] {Loop n/p/q [add] [identity]} [exp]");
}

// Values that change places go through copies; a choice and a loop lie inside a loop as a whole, though nothing but one
// operand ties them to it.
TEST(SplitControl, LoopsLieInsideLoops) {
  EXPECT_EQ(split("input %3 int64[] \"n\"\n"
                  "%4 fp32[4] \"s\" = enter(%0) loop=[1] from \"Swap\"\n"
                  "%5 fp32[4] \"t\" = enter(%0) loop=[1] from \"Swap\"\n"
                  "%6 fp32[4] \"u\" = leave(%3, %1, %2, %4, %5, %5, %4) loop=[1] from \"Swap\"\n"
                  "output %6\n"),
            "[identity identity] {Swap n/p/q [identity identity] [identity identity]}");
  EXPECT_EQ(split("input %3 int64[] \"n\"\n"
                  "%4 fp32[4] \"s\" = enter(%0) loop=[1] from \"Outer\"\n"
                  "%5 fp32[4] \"t\" = enter(%0) loop=[2] from \"Inner\"\n"
                  "%6 fp32[4] \"a\" = add(%5, %4) from \"A\"\n"
                  "%7 fp32[4] \"u\" = leave(%3, %1, %1, %5, %6) loop=[2] from \"Inner\"\n"
                  "%8 fp32[4] \"b\" = select(%1, %7, %4) from \"If\"\n"
                  "%9 fp32[4] \"v\" = leave(%3, %1, %2, %4, %8) loop=[1] from \"Outer\"\n"
                  "output %9\n"),
            "[identity] {Outer n/p/q (If by p ? [identity] {Inner n/p/p [add] [identity]} [identity] : [identity]) "
            "[identity]}");
}

TEST(SplitControl, AWayThatCannotBeTaken) {
  EXPECT_EQ(split("%3 fp32[4] \"a\" = tanh(%0) from \"A\"\n"
                  "%4 fp32[4] \"d\" = select(%1, %3) expected=false from \"If\"\noutput %4\n"),
            "(If by p ? ! : [tanh identity])");
}

}  // namespace
}  // namespace presil::graph
