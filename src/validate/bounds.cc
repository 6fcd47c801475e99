// Workloads of which only a bound is published: the limit that a kernel's own test sets to its time on hardware. They
// are compiled here from their graphs, so what is held against the bound is the compiler as much as the model.
#include "validate/bounds.h"

#include <cmath>

#include "compiler/compile.h"
#include "graph/builder.h"
#include "validate/measure.h"

namespace presil::validate {
namespace {

using graph::Builder;
using graph::ElementwiseFn;
using graph::Op;
using graph::TensorId;

template <class T>
T must(Result<T> r) {
  CHECK(r.has_value(), "a validation workload is no graph: " + r.error().text());
  return std::move(*r);
}

double microseconds(Builder b, TensorId out, const char* name, const spec::ChipSpec& chip) {
  b.graph().name = name;
  b.graph().outputs = {out};
  auto compiled = compiler::compile(std::move(b.graph()), chip, {});
  CHECK(compiled.has_value(), "a validation workload does not compile: " + compiled.error().text());
  return 1e6 * to_seconds(measure_totals(compiled->executable, chip).elapsed);
}

double attention(const spec::ChipSpec& chip, DType dtype, int64_t rows, int64_t width) {
  Builder b;
  b.set_source("attention");
  const graph::TensorType type{dtype, {rows, width}};
  const TensorId q = b.input("q", type), k = b.input("k", type), v = b.input("v", type);
  const TensorId scores = must(b.add(Op::matmul, {q, must(b.transpose(k, {1, 0}))}));
  const TensorId scaled = must(b.binary(ElementwiseFn::mul, scores, 1 / std::sqrt(static_cast<double>(width))));
  const TensorId weights = must(b.add(Op::softmax, {scaled}, {.axes = {1}}));
  const TensorId out = must(b.add(Op::matmul, {weights, v}));
  return microseconds(std::move(b), out, "attention", chip);
}

double rmsnorm_product(const spec::ChipSpec& chip, DType dtype, int64_t width) {
  Builder b;
  b.set_source("rmsnorm_qkv");
  const TensorId x = b.input("x", {dtype, {128, width}});
  const TensorId squares = must(b.unary(ElementwiseFn::square, x));
  const TensorId mean = must(b.reduce(graph::ReduceKind::mean, squares, {1}, true));
  const TensorId scale = must(b.unary(ElementwiseFn::rsqrt, must(b.binary(ElementwiseFn::add, mean, 1e-6))));
  const TensorId normal = must(b.binary(ElementwiseFn::mul, x, scale));
  const TensorId out = must(b.add(Op::matmul, {normal, b.constant("weight", {dtype, {width, 512}}, nullptr)}));
  return microseconds(std::move(b), out, "rmsnorm_qkv", chip);
}

double average_pool(const spec::ChipSpec& chip, DType dtype, graph::Shape shape, int64_t window) {
  Builder b;
  b.set_source("average_pool");
  const TensorId x = b.input("x", {dtype, std::move(shape)});
  const TensorId out = must(b.add(Op::pool, {x},
                                  {.strides = {window, window},
                                   .dilations = {1, 1},
                                   .pads = {0, 0, 0, 0},
                                   .kernel = {window, window},
                                   .pool = graph::PoolKind::average}));
  return microseconds(std::move(b), out, "average_pool", chip);
}

}  // namespace

double attention_fp32(const spec::ChipSpec& chip) { return attention(chip, DType::fp32, 4096, 128); }
double attention_bf16(const spec::ChipSpec& chip) { return attention(chip, DType::bf16, 4096, 128); }
double rmsnorm_qkv_fp16(const spec::ChipSpec& chip) { return rmsnorm_product(chip, DType::fp16, 512); }
double rmsnorm_qkv_bf16(const spec::ChipSpec& chip) { return rmsnorm_product(chip, DType::bf16, 1024); }
double pool_56_to_7(const spec::ChipSpec& chip) { return average_pool(chip, DType::fp32, {1, 64, 56, 56}, 8); }
double pool_28_to_14(const spec::ChipSpec& chip) { return average_pool(chip, DType::fp32, {2, 128, 28, 28}, 2); }
double pool_32_to_4(const spec::ChipSpec& chip) { return average_pool(chip, DType::fp16, {8, 64, 32, 32}, 8); }

}  // namespace presil::validate
