#include "compiler/rows.h"

#include <algorithm>
#include <cmath>

#include "compiler/steps.h"

namespace presil::compiler {

using graph::Op;

Rows hull(const Rows& a, const Rows& b) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  return {std::min(a.begin, b.begin), std::max(a.end, b.end)};
}

kernels::Window window_of(const graph::Graph&, const graph::Node& node) {
  kernels::Window w;
  size_t spatial = node.attrs.kernel.size();
  for (size_t i = 0; i < spatial && i < 2; ++i) {
    size_t axis = 2 - spatial + i;  // one spatial axis is the columns
    w.kernel[axis] = node.attrs.kernel[i];
    w.stride[axis] = node.attrs.strides[i];
    w.dilation[axis] = node.attrs.dilations[i];
    w.pad_begin[axis] = node.attrs.pads[i];
    w.pad_end[axis] = node.attrs.pads[spatial + i];
  }
  return w;
}

Rows rows_needed(const graph::Graph& graph, const graph::Node& node, size_t index, const Rows& out) {
  const graph::Shape& in = graph.at(node.inputs[index]).shape;
  if (in.size() != 4 || out.empty()) return {0, in.size() == 4 ? in[2] : 1};
  int64_t rows = in[2];
  auto clipped = [&](int64_t begin, int64_t end) {
    return Rows{std::clamp<int64_t>(begin, 0, rows), std::clamp<int64_t>(end, 0, rows)};
  };
  kernels::Window w = window_of(graph, node);
  switch (node.op) {
    case Op::conv:
    case Op::pool:
      return clipped(out.begin * w.stride[0] - w.pad_begin[0],
                     (out.end - 1) * w.stride[0] - w.pad_begin[0] + (w.kernel[0] - 1) * w.dilation[0] + 1);
    case Op::conv_transpose: {
      int64_t reach = (w.kernel[0] - 1) * w.dilation[0], low = out.begin + w.pad_begin[0] - reach,
              high = out.end - 1 + w.pad_begin[0];
      return clipped(low <= 0 ? 0 : (low + w.stride[0] - 1) / w.stride[0], high < 0 ? 0 : high / w.stride[0] + 1);
    }
    case Op::resize: {
      double scale = static_cast<double>(rows) / static_cast<double>(graph.at(node.output).shape[2]);
      return clipped(static_cast<int64_t>(std::floor(static_cast<double>(out.begin) * scale)) - 2,
                     static_cast<int64_t>(std::ceil(static_cast<double>(out.end) * scale)) + 2);
    }
    default:
      return rows == graph.at(node.output).shape[2] ? out : Rows{0, rows};
  }
}

bool row_local(const graph::Graph& graph, const Step& step) {
  if (graph.at(step.output).shape.size() != 4) return false;
  switch (step.kind) {
    case StepKind::conv:
    case StepKind::packed_conv:
    case StepKind::depthwise:
    case StepKind::conv_transpose:
    case StepKind::pool:
    case StepKind::resize:
    case StepKind::elementwise:
      return true;
    case StepKind::concat:
      return graph.nodes[step.anchor].attrs.axes[0] == 1;
    default:
      return false;
  }
}

bool reduces_rows(const graph::Graph& graph, const Step& step) {
  const graph::Node& node = graph.nodes[step.anchor];
  return step.kind == StepKind::reduce && graph.at(node.inputs[0]).shape.size() == 4 &&
         node.attrs.axes == std::vector<int64_t>{2, 3} && node.attrs.reduce != graph::ReduceKind::prod &&
         graph.at(node.output).shape.size() == 4;
}

}  // namespace presil::compiler
