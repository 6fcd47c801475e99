// Which nodes run always, and which only on one way?
#include "graph/split_control.h"

#include <gtest/gtest.h>

#include "graph/text.h"

namespace presil::graph {
namespace {

// "tanh relu" for what runs, "(NODE by CONDITION ? ... : ...)" for a branch; "!" for a way that cannot be taken.
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

TEST(SplitControl, AWayThatCannotBeTaken) {
  EXPECT_EQ(split("%3 fp32[4] \"a\" = tanh(%0) from \"A\"\n"
                  "%4 fp32[4] \"d\" = select(%1, %3) expected=false from \"If\"\noutput %4\n"),
            "(If by p ? ! : [tanh identity])");
}

}  // namespace
}  // namespace presil::graph
