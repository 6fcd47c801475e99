// Executable: what a chip runs. One Program per queue of each core, the HBM map, semaphores, provenance, and the hash
// of the spec it was compiled for. Files: versioned binary (encode.h) and text (print.h); both round-trip.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "isa/program.h"
#include "numerics/activation_table.h"

namespace presil::isa {

enum class TensorRole : uint8_t { input, output, constant, scratch };
std::string_view role_name(TensorRole r);

// A tensor in HBM, row-major from `address`. Constants may come with their bytes (`data` empty when compiled without).
// Where an executable runs on several cores, shape and bytes are those of one core; with a split axis each core has its
// part of the whole tensor, in the order of the cores, otherwise all have the same.
struct HbmTensor {
  static constexpr int32_t kNotSplit = -1;
  std::string name;
  DType dtype = DType::fp32;
  std::vector<int64_t> shape;
  TensorRole role = TensorRole::scratch;
  uint64_t address = 0;
  uint64_t bytes = 0;
  std::vector<std::byte> data;
  int32_t split_axis = kNotSplit;
  bool operator==(const HbmTensor&) const = default;
};

// Where an instruction came from. Layers are rows of the report; `graph_node` and `onnx_node` name the origin.
struct Source {
  uint32_t layer = 0;
  std::string tile_op;     // "conv2d main", "load weights"
  std::string graph_node;  // graph node or kernel name
  bool operator==(const Source&) const = default;
};

struct Layer {
  std::string name;    // ONNX node name(s) or kernel name
  std::string kind;    // "conv", "matmul", "elementwise", ...
  uint64_t macs = 0;   // useful
  uint64_t bytes = 0;  // compulsory HBM bytes
  bool operator==(const Layer&) const = default;
};

// How a core converts while the program runs, everywhere: choices of ours where the documents leave it open
// (docs/model.md, "Arithmetic").
inline constexpr uint8_t kCfp8Bias = 3, kCfp8BiasMax = 15;
struct Modes {
  bool stochastic_rounding = false;  // of fp32 to shorter floats
  uint64_t rounding_seed = 0;
  uint8_t cfp8_bias = kCfp8Bias;  // exponent bias of fp8_e3m4, 0 to kCfp8BiasMax
  bool operator==(const Modes&) const = default;
};

struct Executable {
  uint64_t spec_hash = 0;
  std::string chip;   // spec name, for messages
  std::string model;  // model file or kernel name
  std::string precision = "fp32";
  uint32_t cores = 1;  // that run it, each with its own memories, queues and semaphores, and its part of split tensors
  uint32_t lnc = 1;    // physical cores of each: 1, or 2 with one HBM map for both and everything else of their own
  uint32_t semaphores = 0;  // used: 0 .. semaphores-1
  uint64_t hbm_bytes = 0;   // used, from address 0
  std::vector<HbmTensor> tensors;
  std::vector<Program> queues;  // one per sequencer: engine kind and index are those of its instructions
  std::vector<Source> sources;
  std::vector<Layer> layers;
  Modes modes;
  std::vector<numerics::ActivationTable> activations;  // custom0, custom1, ...
  bool operator==(const Executable&) const = default;
};

// A semaphore among those of all of the executable's physical cores; `core` is the one whose it is.
inline uint32_t semaphore_number(const Executable& e, uint32_t core, uint16_t semaphore) {
  return core * e.semaphores + semaphore;
}
// Those that an instruction of a queue of `core` raises: none, one, or one on each of two cores.
struct Raised {
  std::array<uint32_t, 2> number{};
  int count = 0;
  const uint32_t* begin() const { return number.data(); }
  const uint32_t* end() const { return number.data() + count; }
};
Raised raised_by(const Executable& e, uint32_t core, const Instruction& i);

// Of the tensor that the cores have together.
std::vector<int64_t> whole_shape(const HbmTensor& tensor, uint32_t cores);
uint64_t whole_bytes(const HbmTensor& tensor, uint32_t cores);

}  // namespace presil::isa
