// Convolution of one channel along one axis with more taps than the array has rows (a Fourier transform of frames,
// mostly): each window is a row of an overlapping view of the input, so that taps lie on partitions and one product
// does the rest.
#include "compiler/emitter.h"

namespace presil::compiler {

using graph::TensorId;
using kernels::Block;
using kernels::HbmView;
using kernels::Range;

namespace {

// [N, taps, 1, positions] of an input [N, 1, L] or [N, 1, 1, L].
HbmView windows(const HbmView& in, const graph::Attributes& attrs, int64_t taps, int64_t positions) {
  HbmView out = in;
  const int64_t element = in.strides.back();
  out.shape = {in.shape[0], taps, 1, positions};
  out.strides = {in.strides[0], element * attrs.dilations.back(), 0, element * attrs.strides.back()};
  return out;
}

}  // namespace

bool unfolds(const graph::Graph& graph, const graph::Node& node, const spec::ChipSpec& spec) {
  const graph::Shape &x = graph.at(node.inputs[0]).shape, &w = graph.at(node.inputs[1]).shape;
  const bool one_axis = x.size() == 3 || (x.size() == 4 && x[2] == 1 && w[2] == 1);
  const bool padded = node.attrs.pads != std::vector<int64_t>(node.attrs.pads.size(), 0);
  return one_axis && !padded && x[1] == 1 && node.attrs.group == 1 && w.back() > static_cast<int64_t>(spec.tensor.rows);
}

Result<Block> Emitter::unfold(const Step& step, DType dtype, const kernels::Epilogue& epilogue) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const graph::Tensor& w = graph_.at(node.inputs[1]);
  const graph::Shape& shape = graph_.at(node.output).shape;
  const DType operand = value_dtype(graph_, plan_, node.inputs[0]);
  const HbmView view = windows(values_.hbm(node.inputs[0]), node.attrs, w.shape.back(), shape.back());
  const Block in = values_.loaded(view, 1, operand, graph_.at(node.inputs[0]).name);
  Block out = allocate(context_, dtype, shape, 1, graph_.at(node.output).name);
  int64_t begin = 0;
  for (size_t g = 0; g < out.groups.size(); ++g) {
    const int64_t m = out.groups[g].partitions;
    kernels::Weights weights = matmul_weights(
        step, g, cut_of(in), "m",
        [&] {
          HostTensor host = conv_weights(w, 1, 1, begin, m, operand);
          host.shape = {w.shape.back(), m};
          return host;
        },
        optional_input(node, 2), begin, m);
    kernels::linear(context_, weights, in, *sliced(with_rows(out), 1, Range{begin, m, 1}), epilogue);
    begin += m;
  }
  return out;
}

}  // namespace presil::compiler
