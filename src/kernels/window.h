// Filter windows over an image, for convolutions: which taps touch a rectangle of outputs, and where their inputs are.
// Nothing is padded: near a border a tap covers only the outputs for which its input exists. Private to this room.
#pragma once
#include <algorithm>
#include <vector>

#include "kernels/kernels.h"

namespace presil::kernels {

// One output axis of a tile under one tap: outputs [begin, begin + count) of the tile have input, which starts at
// `input` and advances by the stride.
struct Span {
  int64_t begin = 0, count = 0, input = 0;
};

struct Tap {
  int64_t row, column;  // filter indices
  Span rows, columns;
};

// Consecutive images.
struct Images {
  int64_t begin = 0, count = 1;
};

// A rectangle of output pixels, image coordinates.
struct Rectangle {
  int64_t row = 0, rows = 1, column = 0, columns = 1;
};

// Taps that touch the rectangle, the one that covers all of it (if any) first.
std::vector<Tap> taps_of(const Window& w, const Rectangle& r, int64_t full_rows, int64_t full_columns);
bool covers(const Tap& tap, const Rectangle& r);

// A tap's inputs in a group; CHECKs that the block holds them.
isa::View input_window(const Block& in, size_t group, const Images& n, const Window& w, const Tap& tap);
isa::View output_window(const Block& out, size_t group, const Images& n, const Rectangle& r);
// The outputs that a tap covers, in a dense fp32 tile of the rectangle in so many images.
isa::View tile_window(Context& c, uint32_t tile, int64_t partitions, const Rectangle& r, const Tap& tap,
                      int64_t images = 1);
std::optional<isa::View> bias_of(const Weights& weights, size_t group);

// Results of one matmul: a PSUM bank of fp32, and as many as the tensor engine streams.
int64_t psum_elements(const Context& c);
// A moving operand of zeros: starts a result that no tap covers (padding beyond the filter).
isa::View zeros(Context& c, DType dtype, int64_t partitions, int64_t elements);

// Output tiles of at most `limit` pixels: whole rows where a row fits, else parts of one row.
template <class Run>
void for_each_tile(const Block& out, int64_t limit, Run run) {
  int64_t columns = out.shape[3], rows = out.shape[2];
  int64_t tile_columns = std::min(columns, limit);
  // Even parts: 3 x 171 rather than 512 + 1.
  tile_columns =
      (columns + (columns + tile_columns - 1) / tile_columns - 1) / ((columns + tile_columns - 1) / tile_columns);
  int64_t tile_rows = tile_columns == columns ? std::max<int64_t>(1, limit / columns) : 1;
  for (int64_t row = 0; row < rows; row += tile_rows) {
    for (int64_t column = 0; column < columns; column += tile_columns) {
      run(Rectangle{out.row_begin + row, std::min(tile_rows, rows - row), column,
                    std::min(tile_columns, columns - column)});
    }
  }
}

}  // namespace presil::kernels
