// Primitives that move elements without looking at them: the same code for every dtype.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "graph/evaluation.h"
#include "graph/shape.h"

namespace presil::graph {
namespace {

// dst, row-major of `shape`, from src elements at base + sum(index * stride).
void strided_copy(const Shape& shape, int64_t base, const Shape& strides, size_t element_bytes,
                  std::span<const std::byte> src, ByteVector& dst) {
  int64_t count = element_count(shape);
  Shape index(shape.size(), 0);
  int64_t offset = base;
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(dst.data() + i * element_bytes, src.data() + offset * element_bytes, element_bytes);
    for (size_t d = shape.size(); d-- > 0;) {
      offset += strides[d];
      if (++index[d] < shape[d]) break;
      offset -= strides[d] * shape[d];
      index[d] = 0;
    }
  }
}

ByteVector output_bytes(const Evaluation& e) {
  return ByteVector(element_count(e.out().shape) * dtype_bytes(e.out().dtype));
}

// Rows before `axis` and bytes from `axis` on: the tensor as a matrix of blocks.
struct Blocks {
  int64_t rows = 1, bytes = 1;
};
Blocks blocks_at(const Tensor& t, int64_t axis) {
  return {element_count({t.shape.begin(), t.shape.begin() + axis}),
          element_count({t.shape.begin() + axis, t.shape.end()}) * static_cast<int64_t>(dtype_bytes(t.dtype))};
}

// The source index of an output index along one padded axis, or -1 for the pad value.
int64_t padded_source(int64_t i, int64_t before, int64_t dim, PadMode mode) {
  int64_t source = i - before;
  if (source >= 0 && source < dim) return source;
  switch (mode) {
    case PadMode::constant:
      return -1;
    case PadMode::edge:
      return std::clamp<int64_t>(source, 0, dim - 1);
    case PadMode::reflect:
      return source < 0 ? -source : 2 * (dim - 1) - source;
  }
  return -1;
}

}  // namespace

Result<ByteVector> evaluate_transpose(const Evaluation& e) {
  Shape in_strides = row_major_strides(e.in(0).shape), strides;
  for (int64_t axis : e.attrs().axes) strides.push_back(in_strides[axis]);
  ByteVector out = output_bytes(e);
  strided_copy(e.out().shape, 0, strides, dtype_bytes(e.out().dtype), e.inputs[0], out);
  return out;
}

Result<ByteVector> evaluate_slice(const Evaluation& e) {
  Shape strides = row_major_strides(e.in(0).shape);
  int64_t base = 0;
  for (size_t i = 0; i < e.attrs().axes.size(); ++i) {
    int64_t axis = e.attrs().axes[i];
    base += e.attrs().starts[i] * strides[axis];
    strides[axis] *= e.attrs().steps[i];
  }
  ByteVector out = output_bytes(e);
  strided_copy(e.out().shape, base, strides, dtype_bytes(e.out().dtype), e.inputs[0], out);
  return out;
}

Result<ByteVector> evaluate_expand(const Evaluation& e) {
  Shape in_strides = row_major_strides(e.in(0).shape);
  size_t missing = e.out().shape.size() - in_strides.size();
  Shape strides(e.out().shape.size(), 0);
  for (size_t d = 0; d < in_strides.size(); ++d) strides[d + missing] = e.in(0).shape[d] == 1 ? 0 : in_strides[d];
  ByteVector out = output_bytes(e);
  strided_copy(e.out().shape, 0, strides, dtype_bytes(e.out().dtype), e.inputs[0], out);
  return out;
}

Result<ByteVector> evaluate_concat(const Evaluation& e) {
  int64_t axis = e.attrs().axes[0];
  ByteVector out = output_bytes(e);
  int64_t out_row_bytes = blocks_at(e.out(), axis).bytes, column = 0;
  for (size_t i = 0; i < e.node.inputs.size(); ++i) {
    Blocks b = blocks_at(e.in(i), axis);
    for (int64_t row = 0; b.bytes > 0 && row < b.rows; ++row) {
      std::memcpy(out.data() + row * out_row_bytes + column, e.inputs[i].data() + row * b.bytes, b.bytes);
    }
    column += b.bytes;
  }
  return out;
}

Result<ByteVector> evaluate_gather(const Evaluation& e) {
  int64_t axis = e.attrs().axes[0], dim = e.in(0).shape[axis];
  std::vector<int64_t> indices = e.integers(1);
  for (int64_t& index : indices) {
    if (index < -dim || index >= dim) {
      return e.error(fmt::format("gather: index {} is outside a dimension of {}", index, dim));
    }
    if (index < 0) index += dim;
  }
  ByteVector out = output_bytes(e);
  int64_t rows = blocks_at(e.in(0), axis).rows, block = blocks_at(e.in(0), axis + 1).bytes;
  std::byte* to = out.data();
  for (int64_t row = 0; block > 0 && row < rows; ++row) {
    for (int64_t index : indices) {
      std::memcpy(to, e.inputs[0].data() + (row * dim + index) * block, block);
      to += block;
    }
  }
  return out;
}

Result<ByteVector> evaluate_pad(const Evaluation& e) {
  const Shape &in = e.in(0).shape, &shape = e.out().shape;
  Shape strides = row_major_strides(in);
  size_t element = dtype_bytes(e.out().dtype);
  double value = e.attrs().pad_value;
  int64_t integer = static_cast<int64_t>(value);
  ByteVector fill = is_float(e.out().dtype) ? e.store(std::span(&value, 1)) : e.store(std::span(&integer, 1));
  ByteVector out = output_bytes(e);
  for (int64_t i = 0; i < element_count(shape); ++i) {
    int64_t rest = i, offset = 0;
    bool padded = false;
    for (size_t d = shape.size(); d-- > 0;) {
      int64_t source = padded_source(rest % shape[d], e.attrs().pads[d], in[d], e.attrs().pad_mode);
      rest /= shape[d];
      padded |= source < 0;
      offset += source * strides[d];
    }
    std::memcpy(out.data() + i * element, padded ? fill.data() : e.inputs[0].data() + offset * element, element);
  }
  return out;
}

}  // namespace presil::graph
