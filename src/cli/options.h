// What each command was asked to do: one struct per command, filled by parse.cc.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace presil::cli {

// A workload and how to compile it; shared by run and compile.
struct WorkloadOptions {
  std::string path;  // .onnx or .presil
  std::string chip;  // bundled name or chip file; empty: the executable's, or trn2
  std::string precision = "auto";
  std::vector<std::string> dims;    // "NAME=N"
  std::vector<std::string> shapes;  // "NAME=1x3x224x224"
  bool double_as_fp32 = false;
  bool retime = false;                   // accept an Executable that was compiled for another chip
  std::vector<std::string> activations;  // "NAME=FILE.toml"
  std::string rounding;                  // "nearest", "stochastic" or "stochastic:SEED"; empty: the executable's
  int cfp8_bias = -1;                    // negative: the executable's
};

struct FitActivationOptions {
  std::string formula, samples;  // one of them
  std::string range;             // "LO:HI"
  double error = 0;
  std::string kind = "absolute", below = "clamp", above = "clamp";
  std::string output;  // FILE.toml
};

struct SimulationOptions {
  uint32_t cores = 0;  // 0: all
  bool no_data = false;
  bool check = true;
  uint64_t seed = 0;
  uint32_t threads = 0;             // 0: as many as the host has; results never depend on it
  std::vector<std::string> assume;  // "NODE=N"
  uint64_t max_iterations = 100'000'000;
  std::string report;  // .html or .md
  std::string trace;   // .pftrace or .trace
  bool json = false;
};

struct RunOptions {
  WorkloadOptions workload;
  SimulationOptions simulation;
  std::vector<std::string> inputs;  // "NAME=FILE.npy"
  std::string output_dir;
};

struct CompileOptions {
  WorkloadOptions workload;
  std::string output;  // FILE.presil
  uint32_t cores = 0;  // 0: all
  std::string plan_out;
  bool no_data = false;
};

struct ShowOptions {
  std::string what;  // FILE.presil, FILE.plan, MODEL.onnx, chip name or FILE.toml
  std::vector<std::string> dims, shapes;
};

struct ReportOptions {
  std::string trace;   // FILE.trace
  std::string output;  // .html, .md or .pftrace
};

struct BenchOptions {
  enum class Kind { gemm, elementwise, conv, attention };
  Kind kind = Kind::gemm;
  std::string chip = "trn2";
  std::string precision = "bf16";
  SimulationOptions simulation;
  std::vector<std::string> inputs;  // "NAME=FILE.npy"
  std::string output_dir;
  int64_t m = 0, n = 0, k = 0;                                                 // gemm; conv: k output channels
  std::string sparsity;                                                        // gemm: "4:16"
  std::string bytes = "1 GiB";                                                 // elementwise: of the input
  int64_t batch = 1;                                                           // conv, attention
  int64_t c = 0, h = 0, w = 0, r = 0, s = 0, stride = 1, pad = 0, groups = 1;  // conv
  int64_t heads = 0, seq = 0, head_dim = 0;                                    // attention
  bool causal = false;
};

struct ChipsOptions {
  bool json = false;
};
struct OpsOptions {
  bool isa = false;
  bool json = false;
};
struct NkiOptions {
  std::string chip;
  std::vector<std::string> words;  // the script and its arguments
};

struct ValidateOptions {
  std::string suite;  // empty: all
  bool json = false;
};

}  // namespace presil::cli
