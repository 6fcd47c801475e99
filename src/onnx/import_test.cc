// Models are written here field by field (protobuf's wire format), so that they can also be damaged on purpose.
#include "onnx/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/prng.h"
#include "graph/simplify.h"
#include "onnx/operators.h"
#include "onnx/parse.h"
#include "onnx/wire.h"

namespace presil::onnx {
namespace {

std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
  return out;
}
std::string number(uint64_t field, uint64_t value) { return varint(field << 3) + varint(value); }
std::string bytes(uint64_t field, const std::string& value) {
  return varint(field << 3 | 2) + varint(value.size()) + value;
}

std::string node(const std::string& op, const std::vector<std::string>& inputs, const std::string& output) {
  std::string out;
  for (const std::string& i : inputs) out += bytes(1, i);
  return bytes(1, out + bytes(2, output) + bytes(4, op));
}
std::string weight(const std::string& name, const std::vector<uint64_t>& dims, size_t data_bytes) {
  std::string out;
  for (uint64_t d : dims) out += number(1, d);
  return bytes(5, out + number(2, 1) + bytes(8, name) + bytes(9, std::string(data_bytes, '\0')));
}
constexpr uint64_t kFloat = 1, kInt64 = 7;  // TensorProto.DataType
std::string value(uint64_t field, const std::string& name, const std::vector<uint64_t>& dims, uint64_t type = kFloat) {
  std::string shape;
  for (uint64_t d : dims) shape += bytes(1, number(1, d));
  return bytes(field, bytes(1, name) + bytes(2, bytes(1, number(1, type) + bytes(2, shape))));
}
std::string model(const std::string& graph) { return number(1, 8) + bytes(8, number(2, 13)) + bytes(7, graph); }

// x [2, 4] -> MatMul [4, 4096] -> Add -> Softmax -> y
std::string small_model() {
  return model(node("MatMul", {"x", "w"}, "a") + node("Add", {"a", "b"}, "c") + node("Softmax", {"c"}, "y") +
               weight("w", {4, 8192}, 4 * 8192 * 4) + weight("b", {8192}, 8192 * 4) + value(11, "x", {2, 4}) +
               value(12, "y", {}));
}

std::span<const std::byte> view(const std::string& s) {
  return {reinterpret_cast<const std::byte*>(s.data()), s.size()};
}

TEST(Wire, PayloadsAreLiftedAndNothingElseChanges) {
  std::string file = small_model();
  LightModel light = *lift_payloads(view(file));
  ASSERT_EQ(light.payloads.size(), 2u);
  EXPECT_EQ(light.payloads[0].size(), 4u * 8192 * 4);
  EXPECT_GE(light.payloads[0].data(), view(file).data());
  EXPECT_LT(light.bytes.size(), 400u);
  EXPECT_EQ(payload_index("short"), std::nullopt);
  // Lifting once more finds the indices as payloads and gives the same bytes.
  EXPECT_EQ(lift_payloads(view(light.bytes))->bytes, light.bytes);
}

TEST(Parse, TensorsViewTheFile) {
  std::string file = small_model();
  Model m = *parse_model(view(file));
  EXPECT_EQ(m.ir_version, 8);
  EXPECT_EQ(m.nodes.size(), 3u);
  EXPECT_EQ(m.nodes[1].title(), "#1 Add");
  EXPECT_EQ(m.initializers[0].dims, (std::vector<int64_t>{4, 8192}));
  EXPECT_EQ(m.initializers[1].raw.size(), 8192u * 4);
}

TEST(Import, WithoutDataOnlySmallConstantsAreRead) {
  std::string file = small_model();
  graph::Graph g = *import_model(view(file), {.with_data = false});
  EXPECT_EQ(graph::op_histogram(g), "elementwise.add 1, matmul 1, softmax 1");
  for (const graph::Tensor& t : g.tensors) {
    if (t.constant) {
      EXPECT_EQ(t.data != nullptr, t.name == "b") << t.name;
    }
  }
  graph::Graph simple = *graph::simplify(g);
  EXPECT_EQ(graph::op_histogram(simple), "matmul 1, softmax 1");
  EXPECT_EQ(graph::print(simple), graph::print(*graph::simplify(*import_model(view(file)))));
  EXPECT_EQ(simple.at(simple.outputs[0]).name, "y");
}

TEST(Import, OutputsAreProducedByNodesOfTheirOwn) {
  std::string file = model(node("Relu", {"x"}, "a") + node("Identity", {"a"}, "b") + node("Identity", {"x"}, "c") +
                           node("Shape", {"x"}, "d") + value(11, "x", {2}) + value(12, "a", {}) + value(12, "b", {}) +
                           value(12, "c", {}) + value(12, "d", {}, kInt64));
  graph::Graph g = *graph::simplify(*import_model(view(file)));
  EXPECT_TRUE(graph::verify(g).empty());
  std::set<graph::TensorId> produced;
  for (const graph::Node& n : g.nodes) produced.insert(n.output);
  std::vector<std::string> names;
  for (graph::TensorId id : g.outputs) {
    EXPECT_EQ(produced.erase(id), 1u) << g.at(id).name;
    names.push_back(g.at(id).name);
  }
  EXPECT_THAT(names, ::testing::ElementsAre("a", "b", "c", "d"));
}

TEST(Import, NodesMayComeInAnyOrder) {
  std::string file =
      model(node("Exp", {"a"}, "y") + node("Relu", {"x"}, "a") + value(11, "x", {2}) + value(12, "y", {}));
  EXPECT_EQ(import_model(view(file))->nodes[0].source, "#1 Relu");
}

TEST(Operators, AreSortedAndHaveValidRanges) {
  for (size_t i = 0; i < operators().size(); ++i) {
    const OperatorRow& row = operators()[i];
    if (i > 0) {
      EXPECT_LT(operators()[i - 1].name, row.name);
    }
    EXPECT_LE(kOpsetMin, row.min_opset) << row.name;
    EXPECT_LE(row.min_opset, row.max_opset) << row.name;
    EXPECT_LE(row.max_opset, opset_max()) << row.name;
  }
}

// Seeded damage: flipped, removed, repeated and truncated bytes. Any answer but a crash or an unsound graph is right.
TEST(Import, DamagedModelsGiveErrorsOrSoundGraphs) {
  Prng random(2026);
  std::string good =
      model(node("MatMul", {"x", "w"}, "a") + node("Add", {"a", "b"}, "c") + node("Softmax", {"c"}, "y") +
            weight("w", {4, 3}, 48) + weight("b", {3}, 12) + value(11, "x", {2, 4}) + value(12, "y", {}));
  int errors = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string bad = good;
    for (uint64_t damage = 1 + random.below(4); damage > 0; --damage) {
      size_t at = random.below(bad.size());
      switch (random.below(4)) {
        case 0:
          bad[at] = static_cast<char>(random.below(256));
          break;
        case 1:
          bad.erase(at, 1 + random.below(4));
          break;
        case 2:
          bad.insert(at, bad.substr(at, random.below(12)));
          break;
        case 3:
          bad[at] = static_cast<char>(bad[at] ^ (1 << random.below(8)));
          break;
      }
      if (bad.empty()) bad = good;
    }
    Result<graph::Graph> imported = import_model(view(bad), {.folder = "/nonexistent"});
    errors += !imported;
    if (!imported) continue;
    EXPECT_TRUE(graph::verify(*imported).empty());
    Result<graph::Graph> simple = graph::simplify(*std::move(imported));
    if (simple) {
      EXPECT_TRUE(graph::verify(*simple).empty());
    }
  }
  EXPECT_GT(errors, 10000);
  EXPECT_LT(errors, 20000);
}

}  // namespace
}  // namespace presil::onnx
