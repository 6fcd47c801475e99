// Attention's values: their rows with keys on partitions, what exponentials make of them, and the way back.
#include <algorithm>

#include "kernels/attention_stages.h"
#include "kernels/copy.h"

namespace presil::kernels {
namespace {

// Neighbouring features of several heads that lie in one group: transposed together.
struct Run {
  int64_t feature = 0, width = 0;
  size_t head = 0;  // the first one
};
std::vector<Run> runs_of(const Attention& a, const Block& block, int64_t Head::*member, size_t first, size_t last) {
  std::vector<Run> runs;
  for (size_t h = first; h < last; ++h) {
    const int64_t feature = a.heads[h].*member;
    const bool grows = !runs.empty() && runs.back().feature + runs.back().width == feature &&
                       place_of(block, feature).group == place_of(block, runs.back().feature).group &&
                       runs.back().width + a.shape.width <= a.side;
    if (grows) {
      runs.back().width += a.shape.width;
    } else {
      runs.push_back({feature, a.shape.width, h});
    }
  }
  return runs;
}

}  // namespace

uint32_t value_rows(const Attention& a, int64_t first, int64_t keys) {
  const auto heads = static_cast<int64_t>(a.heads.size());
  const int64_t width = a.shape.width, row = width + 1;
  const uint32_t tile = sbuf(a, keys, heads * row, a.dtype, "values");
  a.context.build.memset({.dst = matrix(a, tile, a.dtype, keys, width, dim(row, heads), dim(1, 1)),
                          .value = 1.0f,
                          .engine = isa::EngineKind::gpsimd});
  const std::vector<Run> runs = runs_of(a, *a.v.block, &Head::v, 0, a.heads.size());
  for (size_t r = 0, end = 0; r < runs.size(); r = end) {
    int64_t columns = 0;
    for (; end < runs.size() && columns + runs[end].width <= held_per_bank(a); ++end) columns += runs[end].width;
    const uint32_t bank = psum(a, keys, columns, a.held, "transposed values");
    int64_t column = 0;
    for (size_t i = r; i < end; column += runs[i++].width) {
      a.context.build.transpose({.dst = dense(a, bank, a.held, keys, column, runs[i].width),
                                 .data = rows_view(a, a.v, runs[i].feature, runs[i].width, first, keys)});
    }
    const isa::Dim each = dim(1, width);
    copy(a.context,
         matrix(a, tile, a.dtype, keys, static_cast<int64_t>(runs[r].head) * row, dim(row, columns / width), each),
         matrix(a, bank, a.held, keys, 0, dim(width, columns / width), each));
  }
  return tile;
}

std::vector<uint32_t> transpose_exponentials(const Squares& s, uint32_t exps) {
  const Attention& a = s.a;
  std::vector<uint32_t> banks;
  for (int64_t first = 0; first < s.squares(); first += s.together()) {
    const int64_t last = std::min(s.squares(), first + s.together());
    const uint32_t bank = psum(a, s.keys(first), (last - first) * s.queries, a.held, "transposed exponentials");
    for (int64_t i = first; i < last; ++i) {
      a.context.build.transpose(
          {.dst = dense(a, bank, a.held, s.keys(i), (i - first) * s.queries, s.queries),
           .data = dense(a, exps, a.dtype, s.queries, i % s.count * a.shape.keys + s.tile(i) * a.side, s.keys(i))});
    }
    banks.push_back(bank);
  }
  return banks;
}

uint32_t move_exponentials(const Squares& s, const std::vector<uint32_t>& banks) {
  const Attention& a = s.a;
  const uint32_t tile =
      sbuf(a, std::min(a.shape.keys, a.side), s.squares() * s.queries, a.dtype, "transposed exponentials");
  for (size_t b = 0; b < banks.size(); ++b) {
    const int64_t first = static_cast<int64_t>(b) * s.together(), last = std::min(s.squares(), first + s.together());
    for (int64_t i = first, end = i; i < last; i = end) {
      while (end < last && s.keys(end) == s.keys(i)) ++end;
      copy(a.context, dense(a, tile, a.dtype, s.keys(i), i * s.queries, (end - i) * s.queries),
           dense(a, banks[b], a.held, s.keys(i), (i - first) * s.queries, (end - i) * s.queries));
    }
  }
  return tile;
}

void weigh(const Attention& a, const Chunk& chunk, int64_t begin, int64_t count, uint32_t transposed,
           const std::vector<uint32_t>& values) {
  const int64_t keys = a.shape.keys, row = a.shape.width + 1, queries = chunk.queries;
  for (int64_t h = 0; h < count; ++h) {
    const int64_t column = static_cast<int64_t>(chunk.first) + begin + h;
    for (size_t t = 0; t < values.size(); ++t) {
      const int64_t n = std::min(a.side, keys - static_cast<int64_t>(t) * a.side);
      const int64_t square = (static_cast<int64_t>(t) * count + h) * queries;
      a.context.build.matmul({.dst = dense(a, chunk.product, DType::fp32, queries, (begin + h) * row, row),
                              .stationary = dense(a, transposed, a.dtype, n, square, queries),
                              .moving = dense(a, values[t], a.dtype, n, column * row, row),
                              .accumulate = t > 0});
    }
  }
}

void divide(const Attention& a, Chunk& chunk) {
  tile::Builder& build = a.context.build;
  const int64_t width = a.shape.width, queries = chunk.queries, heads = static_cast<int64_t>(chunk.last - chunk.first);
  const uint32_t inverse = sbuf(a, queries, heads, DType::fp32, "inverse sums");
  const isa::Dim rows = dim(width + 1, heads);
  build.reciprocal({.dst = matrix(a, inverse, DType::fp32, queries, 0, dim(1, heads), dim(1, 1)),
                    .data = matrix(a, chunk.product, DType::fp32, queries, width, rows, dim(1, 1))});
  chunk.rows = sbuf(a, queries, heads * width, a.dtype, "attention rows");
  build.tensor_tensor({.dst = matrix(a, chunk.rows, a.dtype, queries, 0, dim(width, heads), dim(1, width)),
                       .data1 = matrix(a, chunk.product, DType::fp32, queries, 0, rows, dim(1, width)),
                       .data2 = matrix(a, inverse, DType::fp32, queries, 0, dim(1, heads), dim(0, width)),
                       .op = AluOp::multiply});
}

void store(const Attention& a, const Chunk& chunk) {
  const int64_t queries = chunk.queries;
  for (const Run& run : runs_of(a, *a.out.block, &Head::out, chunk.first, chunk.last)) {
    const Place at = place_of(*a.out.block, run.feature);
    const uint32_t square = psum(a, at.partition + run.width, queries, a.held, "transposed rows");
    const isa::View turned =
        a.context.build.tile_view(square, a.held, static_cast<uint32_t>(at.partition), static_cast<uint32_t>(run.width),
                                  0, {{1, static_cast<uint32_t>(queries)}});
    const int64_t column = static_cast<int64_t>(run.head - chunk.first) * a.shape.width;
    a.context.build.transpose({.dst = turned, .data = dense(a, chunk.rows, a.dtype, queries, column, run.width)});
    copy(a.context, rows_view(a, a.out, run.feature, run.width, chunk.query, queries), turned);
  }
}

}  // namespace presil::kernels
