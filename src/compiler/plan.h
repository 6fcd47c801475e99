// Plan: every choice of the compiler as data, with its estimate. Graph -> Plan reads the spec; Plan -> TileProgram
// (emit.h) is mechanical. Text form: print() and parse() round-trip.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "kernels/gemm.h"

namespace presil::compiler {

// Which tile program a step uses.
enum class StepKind : uint8_t {
  conv,
  packed_conv,
  depthwise,
  conv_transpose,
  linear,
  matmul,
  gemm,
  pool,
  resize,
  resize_matmul,  // linear, of few channels that leave the core: rows on partitions, both axes as products
  reduce,
  softmax,
  layer_norm,
  elementwise,  // blocks in SBUF
  stream,       // element-wise over tensors that stay in HBM
  view,         // reshape, transpose, slice: another view of the same elements, moved only where no view exists
  concat,
  pad,
  gather,
  expand,
  attention,  // softmax(alpha Q K^T + mask) V and the views around it
  unfold,     // convolution of one channel with many taps
};
inline constexpr int kStepKindCount = static_cast<int>(StepKind::unfold) + 1;
std::string_view step_kind_name(StepKind k);

// One row of the report: an anchor node with the element-wise nodes fused behind it.
struct Step {
  StepKind kind = StepKind::elementwise;
  uint32_t anchor = 0;          // graph node; for element-wise steps the first of the chain
  std::vector<uint32_t> chain;  // fused element-wise nodes in order, the anchor excluded unless it is one itself
  graph::TensorId output;
  kernels::GemmBlocking blocking;  // gemm
  double estimate_seconds = 0;     // busiest engine, from the same timing as the chip
  bool operator==(const Step&) const;
};

// Consecutive steps. With bands > 1 they run band by band over output rows (and image by image), so that what lies
// between them stays in SBUF; by_image alone takes whole images one by one.
struct Stage {
  uint32_t first = 0, last = 0;  // steps [first, last)
  uint32_t bands = 1;
  bool by_image = false;
  bool in_parts() const { return bands > 1 || by_image; }
  auto operator<=>(const Stage&) const = default;
};

enum class Location : uint8_t {
  none,   // never materialized (inside a fused chain, or a constant)
  hbm,    // row-major in HBM
  sbuf,   // whole, from its producer to its last user
  local,  // rows of it, within a stage
};

struct Plan {
  std::string model, chip;
  uint64_t spec_hash = 0;
  std::string precision = "fp32";
  uint32_t cores = 1;  // each does these steps for its part of the batch
  std::vector<Step> steps;
  std::vector<Stage> stages;
  std::vector<Location> tensors;  // by graph tensor
  std::vector<DType> dtypes;      // of the values inside the core, by graph tensor
  bool operator==(const Plan&) const = default;
};

std::string print(const Plan& plan, const graph::Graph* graph = nullptr);  // names as comments when the graph is given
Result<Plan> parse_plan(std::string_view text);

}  // namespace presil::compiler
