// Attention, a tile of queries at a time. Queries are stationary and keys move past them, so that a row of scores lies
// in one partition: its maximum, exponentials and their sum need no other. Exponentials are transposed on the tensor
// engine to be stationary for the values, whose rows it has transposed from the projection's layout; the sum divides
// what leaves PSUM, and one more transpose brings the result back to features on partitions.
#include "kernels/attention.h"

#include <algorithm>

#include "kernels/copy.h"
#include "kernels/pieces.h"

namespace presil::kernels {
namespace {

// Longer rows of scores leave PSUM before they are exponentiated: two rows of this many fp32 fill half of its banks.
constexpr int64_t kKeysInPsumMax = 1024;
// Bundles of heads whose scores are under way while an earlier one's values are weighted: the tensor engine's queue is
// in order, and exponentials take longer than one bundle's products.
constexpr size_t kAhead = 2;

struct Attention {
  Context& context;
  const AttentionShape& shape;
  RowsOf q, k, v, out;
  std::span<const Head> heads;
  const MaskView& mask;
  DType dtype;   // of operands
  DType held;    // in which PSUM holds what is transposed
  int64_t side;  // rows and columns of the array that a transpose may use
  int64_t bank;  // fp32 elements of a PSUM bank
};

struct Place {
  size_t group = 0;
  int64_t partition = 0;
};
Place place_of(const Block& block, int64_t feature) {
  Place at{0, feature};
  while (at.partition >= block.groups[at.group].partitions) at.partition -= block.groups[at.group++].partitions;
  return at;
}

// `count` rows from the operand's row `first`, `width` features.
isa::View rows_view(const Attention& a, const RowsOf& rows, int64_t feature, int64_t width, int64_t first,
                    int64_t count) {
  const Block& block = *rows.block;
  const Place at = place_of(block, feature);
  const Group& group = block.groups[at.group];
  const int64_t offset = (rows.row + first * rows.step) * static_cast<int64_t>(dtype_bytes(block.dtype));
  return a.context.build.tile_view(group.tile, block.dtype, static_cast<uint32_t>(at.partition),
                                   static_cast<uint32_t>(width), group.byte_offset + offset,
                                   {{static_cast<int32_t>(rows.step), static_cast<uint32_t>(count)}});
}

isa::View dense(const Attention& a, uint32_t tile, DType dtype, int64_t partitions, int64_t first, int64_t count) {
  return a.context.build.tile_view(tile, dtype, 0, static_cast<uint32_t>(partitions),
                                   first * static_cast<int64_t>(dtype_bytes(dtype)),
                                   {{1, static_cast<uint32_t>(count)}});
}
isa::View matrix(const Attention& a, uint32_t tile, DType dtype, int64_t partitions, int64_t first, isa::Dim rows,
                 isa::Dim columns) {
  return a.context.build.tile_view(tile, dtype, 0, static_cast<uint32_t>(partitions),
                                   first * static_cast<int64_t>(dtype_bytes(dtype)), {rows, columns});
}
isa::Dim dim(int64_t step, int64_t count) { return {static_cast<int32_t>(step), static_cast<uint32_t>(count)}; }

uint32_t sbuf(const Attention& a, int64_t partitions, int64_t elements, DType dtype, const char* name) {
  return a.context.build.sbuf(static_cast<uint32_t>(partitions),
                              static_cast<uint32_t>(elements * static_cast<int64_t>(dtype_bytes(dtype))), name);
}
uint32_t psum(const Attention& a, int64_t partitions, int64_t elements, DType dtype, const char* name) {
  return a.context.build.psum(static_cast<uint32_t>(partitions),
                              static_cast<uint32_t>(elements * static_cast<int64_t>(dtype_bytes(dtype))), name);
}
int64_t held_per_bank(const Attention& a) { return a.bank * 4 / static_cast<int64_t>(dtype_bytes(a.held)); }

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

// Rows [first, first + keys) of all heads' values, [keys, heads * width].
uint32_t value_rows(const Attention& a, int64_t first, int64_t keys) {
  const auto width = static_cast<int64_t>(a.heads.size()) * a.shape.width;
  const uint32_t tile = sbuf(a, keys, width, a.dtype, "values");
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
    copy(a.context, dense(a, tile, a.dtype, keys, static_cast<int64_t>(runs[r].head) * a.shape.width, columns),
         dense(a, bank, a.held, keys, 0, columns));
  }
  return tile;
}

// Scores of one head against one tile of queries, as pieces of a row: in PSUM, or in SBUF where they were scaled and
// masked.
struct Scores {
  std::vector<isa::View> pieces;
  float alpha = 1;  // yet to be applied
};

Scores scores_of(const Attention& a, size_t head, int64_t query, int64_t queries, uint32_t shared, int64_t column) {
  const int64_t keys = a.shape.keys;
  const isa::View stationary = rows_view(a, a.q, a.heads[head].q, a.shape.width, query, queries);
  const isa::View mask = a.mask(head, query, queries);
  const bool leaves = mask.present() || keys > kKeysInPsumMax;
  const uint32_t row = leaves ? sbuf(a, queries, keys, DType::fp32, "scores") : 0;
  Scores scores{{}, leaves ? 1.0f : a.shape.alpha};
  for (int64_t begin = 0; begin < keys; begin += a.bank) {
    const int64_t count = std::min(a.bank, keys - begin);
    const isa::View piece =
        keys <= a.bank ? dense(a, shared, DType::fp32, queries, column, count)
                       : dense(a, psum(a, queries, count, DType::fp32, "scores"), DType::fp32, queries, 0, count);
    a.context.build.matmul({.dst = piece,
                            .stationary = stationary,
                            .moving = rows_view(a, a.k, a.heads[head].k, a.shape.width, begin, count)});
    if (!leaves) {
      scores.pieces.push_back(piece);
      continue;
    }
    const isa::View to = dense(a, row, DType::fp32, queries, begin, count);
    if (!mask.present()) {
      copy_scaled(a.context, to, piece, a.shape.alpha);
    } else {
      isa::View addend = mask;
      addend.offset += begin * 4, addend.dims[0].count = static_cast<uint32_t>(count);
      a.context.build.scalar_tensor_tensor({.dst = to,
                                            .data = piece,
                                            .op0 = AluOp::multiply,
                                            .operand0 = a.shape.alpha,
                                            .op1 = AluOp::add,
                                            .operand1 = addend});
    }
  }
  if (leaves) scores.pieces = {dense(a, row, DType::fp32, queries, 0, keys)};
  return scores;
}

// Columns [first, first + pieces) of `tile` become -alpha * maximum of a head's row, its bias in the exponential.
isa::View negative_maximum(const Attention& a, const Scores& scores, int64_t queries) {
  tile::Builder& build = a.context.build;
  const auto count = static_cast<int64_t>(scores.pieces.size());
  const uint32_t tile = sbuf(a, queries, count + 1, DType::fp32, "maximum");
  for (int64_t i = 0; i < count; ++i) {
    build.tensor_reduce({.dst = dense(a, tile, DType::fp32, queries, i, 1),
                         .data = scores.pieces[static_cast<size_t>(i)],
                         .op = AluOp::max,
                         .negate = count == 1});
  }
  isa::View result = dense(a, tile, DType::fp32, queries, 0, 1);
  if (count > 1) {
    result = dense(a, tile, DType::fp32, queries, count, 1);
    build.tensor_reduce(
        {.dst = result, .data = dense(a, tile, DType::fp32, queries, 0, count), .op = AluOp::max, .negate = true});
  }
  if (scores.alpha != 1.0f) {
    build.tensor_scalar({.dst = result, .data = result, .op0 = AluOp::multiply, .operand0 = scores.alpha});
  }
  return result;
}

// exp(alpha * score - maximum) of one head into `to`, and their sum.
void exponentials(const Attention& a, const Scores& scores, const isa::View& bias, int64_t queries, uint32_t to,
                  int64_t first, const isa::View& sum) {
  int64_t begin = first;
  for (size_t i = 0; i < scores.pieces.size(); ++i) {
    const auto count = static_cast<int64_t>(scores.pieces[i].elements_per_partition());
    tile::ActivationArgs e{.dst = dense(a, to, a.dtype, queries, begin, count),
                           .data = scores.pieces[i],
                           .op = Activation::exp,
                           .scale = scores.alpha,
                           .bias = bias};
    e.reduce_cmd = i == 0 ? ReduceCommand::reset_reduce : ReduceCommand::reduce;
    if (i + 1 == scores.pieces.size()) e.reduce_res = sum;
    a.context.build.activation(e);
    begin += count;
  }
}

// exps [queries, heads * keys] of `count` heads to [keys, tiles * heads * queries] in SBUF: tile by tile of keys.
uint32_t transposed_exponentials(const Attention& a, uint32_t exps, int64_t count, int64_t queries) {
  const int64_t keys = a.shape.keys, tiles = (keys + a.side - 1) / a.side;
  const uint32_t out = sbuf(a, std::min(keys, a.side), tiles * count * queries, a.dtype, "transposed exponentials");
  const int64_t together = std::max<int64_t>(1, held_per_bank(a) / queries);  // squares in a bank
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t n = std::min(a.side, keys - t * a.side);
    for (int64_t first = 0; first < count; first += together) {
      const int64_t heads = std::min(together, count - first);
      const uint32_t bank = psum(a, n, heads * queries, a.held, "transposed exponentials");
      for (int64_t h = 0; h < heads; ++h) {
        a.context.build.transpose({.dst = dense(a, bank, a.held, n, h * queries, queries),
                                   .data = dense(a, exps, a.dtype, queries, (first + h) * keys + t * a.side, n)});
      }
      copy(a.context, dense(a, out, a.dtype, n, (t * count + first) * queries, heads * queries),
           dense(a, bank, a.held, n, 0, heads * queries));
    }
  }
  return out;
}

// Heads of one tile of queries that share a PSUM bank and leave it together.
struct Chunk {
  size_t first = 0, last = 0;  // heads
  int64_t query = 0, queries = 0;
  uint32_t sums = 0, product = 0, rows = 0;  // tiles
};

// Heads whose scores share a bank.
struct Bundle {
  size_t chunk = 0;
  int64_t begin = 0, count = 0;  // heads of the chunk
  uint32_t exps = 0;             // tile
};

// Scores, their exponentials and the sums.
void start(const Attention& a, Chunk& chunk, Bundle& bundle) {
  const int64_t keys = a.shape.keys, heads = static_cast<int64_t>(chunk.last - chunk.first);
  if (bundle.begin == 0) {
    chunk.sums = sbuf(a, chunk.queries, heads, DType::fp32, "sums");
    chunk.product = psum(a, chunk.queries, heads * a.shape.width, DType::fp32, "weighted values");
  }
  const uint32_t shared = keys <= a.bank ? psum(a, chunk.queries, bundle.count * keys, DType::fp32, "scores") : 0;
  bundle.exps = sbuf(a, chunk.queries, bundle.count * keys, a.dtype, "exponentials");
  for (int64_t h = 0; h < bundle.count; ++h) {
    const size_t head = chunk.first + static_cast<size_t>(bundle.begin + h);
    const Scores scores = scores_of(a, head, chunk.query, chunk.queries, shared, h * keys);
    const isa::View bias = negative_maximum(a, scores, chunk.queries);
    exponentials(a, scores, bias, chunk.queries, bundle.exps, h * keys,
                 dense(a, chunk.sums, DType::fp32, chunk.queries, bundle.begin + h, 1));
  }
}

// Values weighted by the exponentials; the chunk's last bundle divides by the sums.
void finish(const Attention& a, Chunk& chunk, const Bundle& bundle, const std::vector<uint32_t>& values) {
  tile::Builder& build = a.context.build;
  const int64_t keys = a.shape.keys, width = a.shape.width, queries = chunk.queries;
  const uint32_t stationary = transposed_exponentials(a, bundle.exps, bundle.count, queries);
  for (int64_t h = 0; h < bundle.count; ++h) {
    const int64_t column = static_cast<int64_t>(chunk.first) + bundle.begin + h;
    for (size_t t = 0; t < values.size(); ++t) {
      const int64_t n = std::min(a.side, keys - static_cast<int64_t>(t) * a.side);
      const int64_t square = (static_cast<int64_t>(t) * bundle.count + h) * queries;
      build.matmul({.dst = dense(a, chunk.product, DType::fp32, queries, (bundle.begin + h) * width, width),
                    .stationary = dense(a, stationary, a.dtype, n, square, queries),
                    .moving = dense(a, values[t], a.dtype, n, column * width, width),
                    .accumulate = t > 0});
    }
  }
  const auto heads = static_cast<int64_t>(chunk.last - chunk.first);
  if (bundle.begin + bundle.count < heads) return;
  const isa::View inverse = dense(a, chunk.sums, DType::fp32, queries, 0, heads);
  build.reciprocal({.dst = inverse, .data = inverse});
  chunk.rows = sbuf(a, queries, heads * width, a.dtype, "attention rows");
  build.tensor_tensor({.dst = matrix(a, chunk.rows, a.dtype, queries, 0, dim(width, heads), dim(1, width)),
                       .data1 = matrix(a, chunk.product, DType::fp32, queries, 0, dim(width, heads), dim(1, width)),
                       .data2 = matrix(a, chunk.sums, DType::fp32, queries, 0, dim(1, heads), dim(0, width)),
                       .op = AluOp::multiply});
}

// A chunk's rows to their features in `out`.
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

}  // namespace

bool attention_fits(const spec::ChipSpec& spec, int64_t width, int64_t feature, int64_t features) {
  const int64_t lanes = spec.sbuf.partitions;
  if (width > std::min<int64_t>({lanes, spec.tensor.rows, spec.tensor.columns, spec.psum.partitions})) return false;
  if (features == width) return true;
  return lanes % width == 0 && width * 4 >= lanes && feature % width == 0;
}

void attention(Context& context, const AttentionShape& shape, std::span<const AttentionRows> groups) {
  const spec::ChipSpec& spec = context.spec;
  const DType dtype = groups[0].v.block->dtype;
  const auto bank = static_cast<int64_t>(spec.psum.bytes_per_partition / spec.psum.banks / 4);
  const int64_t side = std::min<int64_t>({spec.tensor.rows, spec.tensor.columns, spec.psum.partitions});
  const DType held = spec.generation < 3 ? DType::fp32 : dtype;  // generation 2 has fp32 results only
  std::vector<Attention> problems;
  for (const AttentionRows& g : groups) {
    CHECK(g.q.block->dtype == dtype && g.k.block->dtype == dtype, "operands of one type");
    problems.push_back({context, shape, g.q, g.k, g.v, g.out, g.heads, g.mask, dtype, held, side, bank});
  }
  struct Work {
    size_t problem = 0;
    Bundle bundle;
  };
  std::vector<Chunk> chunks;
  std::vector<Work> work;
  const size_t together = static_cast<size_t>(std::max<int64_t>(1, bank / shape.width));
  const int64_t sharing = std::max<int64_t>(1, bank / shape.keys);
  for (size_t p = 0; p < problems.size(); ++p) {
    for (int64_t query = 0; query < shape.queries; query += side) {
      for (size_t first = 0; first < groups[p].heads.size(); first += together) {
        const size_t last = std::min(groups[p].heads.size(), first + together);
        chunks.push_back(
            {.first = first, .last = last, .query = query, .queries = std::min(side, shape.queries - query)});
        const auto heads = static_cast<int64_t>(last - first);
        for (int64_t begin = 0; begin < heads; begin += sharing)
          work.push_back({p, {chunks.size() - 1, begin, std::min(sharing, heads - begin)}});
      }
    }
  }
  std::vector<std::vector<uint32_t>> values(problems.size());
  for (size_t i = 0; i < work.size() + 2 * kAhead; ++i) {
    if (i < work.size()) {
      const Attention& a = problems[work[i].problem];
      std::vector<uint32_t>& rows = values[work[i].problem];
      for (int64_t key = static_cast<int64_t>(rows.size()) * side; key < shape.keys; key += side)
        rows.push_back(value_rows(a, key, std::min(side, shape.keys - key)));
      start(a, chunks[work[i].bundle.chunk], work[i].bundle);
    }
    if (i >= kAhead && i - kAhead < work.size()) {
      const Work& w = work[i - kAhead];
      finish(problems[w.problem], chunks[w.bundle.chunk], w.bundle, values[w.problem]);
    }
    if (i >= 2 * kAhead) {
      const Work& w = work[i - 2 * kAhead];
      const Chunk& chunk = chunks[w.bundle.chunk];
      const bool last = w.bundle.begin + w.bundle.count == static_cast<int64_t>(chunk.last - chunk.first);
      if (last) store(problems[w.problem], chunk);
    }
  }
}

}  // namespace presil::kernels
