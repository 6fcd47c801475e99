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

// Scores of a bundle's heads against one tile of queries: a row of each head is `pieces` views, in PSUM, or in SBUF
// where they were scaled and masked.
struct Scores {
  std::vector<std::vector<isa::View>> rows;  // by head
  std::optional<isa::View> whole;            // all rows as one view [heads, keys], when one bank or tile holds them
  float alpha = 1;                           // yet to be applied
};

// One head's scores; in SBUF at `to` where they leave PSUM.
std::vector<isa::View> scores_of(const Attention& a, size_t head, int64_t query, int64_t queries, const isa::View& mask,
                                 std::optional<uint32_t> shared, std::optional<uint32_t> to, int64_t column) {
  const int64_t keys = a.shape.keys;
  const isa::View stationary = rows_view(a, a.q, a.heads[head].q, a.shape.width, query, queries);
  std::vector<isa::View> pieces;
  for (int64_t begin = 0; begin < keys; begin += a.bank) {
    const int64_t count = std::min(a.bank, keys - begin);
    const isa::View piece =
        shared ? dense(a, *shared, DType::fp32, queries, column, count)
               : dense(a, psum(a, queries, count, DType::fp32, "scores"), DType::fp32, queries, 0, count);
    a.context.build.matmul({.dst = piece,
                            .stationary = stationary,
                            .moving = rows_view(a, a.k, a.heads[head].k, a.shape.width, begin, count)});
    if (!to) {
      pieces.push_back(piece);
      continue;
    }
    const isa::View row = dense(a, *to, DType::fp32, queries, column + begin, count);
    if (!mask.present()) {
      copy_scaled(a.context, row, piece, a.shape.alpha);
      continue;
    }
    // The vector engine adds two tensors in one pass when one lies in PSUM; with a factor it would need two.
    if (a.shape.alpha != 1.0f) a.context.build.activation({.dst = piece, .data = piece, .scale = a.shape.alpha});
    isa::View addend = mask;
    addend.offset += begin * 4, addend.dims[0].count = static_cast<uint32_t>(count);
    a.context.build.tensor_tensor({.dst = row, .data1 = piece, .data2 = addend, .op = AluOp::add});
  }
  if (to) pieces = {dense(a, *to, DType::fp32, queries, column, keys)};
  return pieces;
}

Scores bundle_scores(const Attention& a, size_t first, int64_t heads, int64_t query, int64_t queries) {
  const int64_t keys = a.shape.keys;
  const isa::View mask = a.mask(first, query, queries);
  const bool leaves = mask.present() || keys > kKeysInPsumMax;
  std::optional<uint32_t> bank, tile;
  if (keys <= a.bank) bank = psum(a, queries, heads * keys, DType::fp32, "scores");
  if (leaves) tile = sbuf(a, queries, heads * keys, DType::fp32, "scores");
  Scores scores{{}, std::nullopt, leaves ? 1.0f : a.shape.alpha};
  for (int64_t h = 0; h < heads; ++h) {
    const size_t head = first + static_cast<size_t>(h);
    scores.rows.push_back(
        scores_of(a, head, query, queries, h == 0 ? mask : a.mask(head, query, queries), bank, tile, h * keys));
  }
  const auto held = tile ? tile : bank;
  if (held) scores.whole = matrix(a, *held, DType::fp32, queries, 0, dim(keys, heads), dim(1, keys));
  return scores;
}

// -alpha * maximum of each row, its bias in the exponential: [queries, heads].
uint32_t negative_maxima(const Attention& a, const Scores& scores, int64_t queries) {
  tile::Builder& build = a.context.build;
  const auto heads = static_cast<int64_t>(scores.rows.size());
  const uint32_t result = sbuf(a, queries, heads, DType::fp32, "maxima");
  const isa::View all = dense(a, result, DType::fp32, queries, 0, heads);
  if (scores.whole) {
    build.tensor_reduce({.dst = all, .data = *scores.whole, .op = AluOp::max, .negate = true});
  } else {
    for (int64_t h = 0; h < heads; ++h) {
      const std::vector<isa::View>& pieces = scores.rows[static_cast<size_t>(h)];
      const auto count = static_cast<int64_t>(pieces.size());
      const uint32_t parts = sbuf(a, queries, count, DType::fp32, "maxima of pieces");
      for (int64_t i = 0; i < count; ++i) {
        build.tensor_reduce({.dst = dense(a, parts, DType::fp32, queries, i, 1),
                             .data = pieces[static_cast<size_t>(i)],
                             .op = AluOp::max});
      }
      build.tensor_reduce({.dst = dense(a, result, DType::fp32, queries, h, 1),
                           .data = dense(a, parts, DType::fp32, queries, 0, count),
                           .op = AluOp::max,
                           .negate = true});
    }
  }
  if (scores.alpha != 1.0f)
    build.tensor_scalar({.dst = all, .data = all, .op0 = AluOp::multiply, .operand0 = scores.alpha});
  return result;
}

// exp(alpha * score - maximum) of one head into `to`, and their sum.
void exponentials(const Attention& a, const std::vector<isa::View>& pieces, float alpha, const isa::View& bias,
                  int64_t queries, uint32_t to, int64_t first, const isa::View& sum) {
  int64_t begin = first;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const auto count = static_cast<int64_t>(pieces[i].elements_per_partition());
    tile::ActivationArgs e{.dst = dense(a, to, a.dtype, queries, begin, count),
                           .data = pieces[i],
                           .op = Activation::exp,
                           .scale = alpha,
                           .bias = bias};
    e.reduce_cmd = i == 0 ? ReduceCommand::reset_reduce : ReduceCommand::reduce;
    if (i + 1 == pieces.size()) e.reduce_res = sum;
    a.context.build.activation(e);
    begin += count;
  }
}

// Heads of one tile of queries that share a PSUM bank and leave it together.
struct Chunk {
  size_t first = 0, last = 0;  // heads
  int64_t query = 0, queries = 0;
  uint32_t sums = 0, product = 0, rows = 0;  // tiles
};

// Heads whose scores share a bank, on their way through the stages below.
struct Bundle {
  size_t problem = 0, chunk = 0;
  int64_t begin = 0, count = 0;  // heads of the chunk
  Scores scores;
  uint32_t maxima = 0, exps = 0, transposed = 0;  // tiles
  std::vector<uint32_t> banks;                    // with transposed exponentials
};

// Squares of transposed exponentials: tile by tile of keys, head by head.
struct Squares {
  const Attention& a;
  int64_t count, queries;  // heads, columns of a square

  int64_t squares() const { return (a.shape.keys + a.side - 1) / a.side * count; }
  int64_t together() const { return std::max<int64_t>(1, held_per_bank(a) / queries); }  // in a bank
  int64_t tile(int64_t square) const { return square / count; }
  int64_t keys(int64_t square) const { return std::min(a.side, a.shape.keys - tile(square) * a.side); }
};

// exps [queries, heads * keys] to [keys, squares * queries] in PSUM.
void transpose_exponentials(const Squares& s, Bundle& bundle) {
  const Attention& a = s.a;
  for (int64_t first = 0; first < s.squares(); first += s.together()) {
    const int64_t last = std::min(s.squares(), first + s.together());
    const uint32_t bank = psum(a, s.keys(first), (last - first) * s.queries, a.held, "transposed exponentials");
    for (int64_t i = first; i < last; ++i) {
      a.context.build.transpose({.dst = dense(a, bank, a.held, s.keys(i), (i - first) * s.queries, s.queries),
                                 .data = dense(a, bundle.exps, a.dtype, s.queries,
                                               i % s.count * a.shape.keys + s.tile(i) * a.side, s.keys(i))});
    }
    bundle.banks.push_back(bank);
  }
}

void move_exponentials(const Squares& s, Bundle& bundle) {
  const Attention& a = s.a;
  bundle.transposed =
      sbuf(a, std::min(a.shape.keys, a.side), s.squares() * s.queries, a.dtype, "transposed exponentials");
  for (size_t b = 0; b < bundle.banks.size(); ++b) {
    const int64_t first = static_cast<int64_t>(b) * s.together(), last = std::min(s.squares(), first + s.together());
    for (int64_t i = first, end = i; i < last; i = end) {
      while (end < last && s.keys(end) == s.keys(i)) ++end;
      copy(a.context, dense(a, bundle.transposed, a.dtype, s.keys(i), i * s.queries, (end - i) * s.queries),
           dense(a, bundle.banks[b], a.held, s.keys(i), (i - first) * s.queries, (end - i) * s.queries));
    }
  }
}

void exponentiate(const Attention& a, const Chunk& chunk, Bundle& bundle) {
  const int64_t keys = a.shape.keys;
  bundle.exps = sbuf(a, chunk.queries, bundle.count * keys, a.dtype, "exponentials");
  for (int64_t h = 0; h < bundle.count; ++h) {
    exponentials(a, bundle.scores.rows[static_cast<size_t>(h)], bundle.scores.alpha,
                 dense(a, bundle.maxima, DType::fp32, chunk.queries, h, 1), chunk.queries, bundle.exps, h * keys,
                 dense(a, chunk.sums, DType::fp32, chunk.queries, bundle.begin + h, 1));
  }
}

// Values weighted by the exponentials, into the chunk's bank.
void weigh(const Attention& a, const Chunk& chunk, const Bundle& bundle, const std::vector<uint32_t>& values) {
  const int64_t keys = a.shape.keys, width = a.shape.width, queries = chunk.queries;
  for (int64_t h = 0; h < bundle.count; ++h) {
    const int64_t column = static_cast<int64_t>(chunk.first) + bundle.begin + h;
    for (size_t t = 0; t < values.size(); ++t) {
      const int64_t n = std::min(a.side, keys - static_cast<int64_t>(t) * a.side);
      const int64_t square = (static_cast<int64_t>(t) * bundle.count + h) * queries;
      a.context.build.matmul({.dst = dense(a, chunk.product, DType::fp32, queries, (bundle.begin + h) * width, width),
                              .stationary = dense(a, bundle.transposed, a.dtype, n, square, queries),
                              .moving = dense(a, values[t], a.dtype, n, column * width, width),
                              .accumulate = t > 0});
    }
  }
}

// The chunk's weighted values over the sums, [queries, heads * width] in SBUF.
void divide(const Attention& a, Chunk& chunk) {
  tile::Builder& build = a.context.build;
  const int64_t width = a.shape.width, queries = chunk.queries, heads = static_cast<int64_t>(chunk.last - chunk.first);
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

namespace {

// Everything under way: bundles pass through the stages one behind the other, so that no engine's queue waits for a
// result of the same turn.
struct Pipeline {
  std::vector<Attention> problems;
  std::vector<Chunk> chunks;
  std::vector<Bundle> bundles;
  std::vector<std::vector<uint32_t>> values;  // by problem: a tile per tile of keys

  bool ends_chunk(const Bundle& b) const {
    return b.begin + b.count == static_cast<int64_t>(chunks[b.chunk].last - chunks[b.chunk].first);
  }
  void run_stage(int stage, Bundle& b);
};
constexpr int kStages = 8;

void Pipeline::run_stage(int stage, Bundle& b) {
  const Attention& a = problems[b.problem];
  Chunk& chunk = chunks[b.chunk];
  const size_t head = chunk.first + static_cast<size_t>(b.begin);
  switch (stage) {
    case 0:
      b.scores = bundle_scores(a, head, b.count, chunk.query, chunk.queries);
      return;
    case 1:
      b.maxima = negative_maxima(a, b.scores, chunk.queries);
      return;
    case 2:
      if (b.begin == 0)
        chunk.sums = sbuf(a, chunk.queries, static_cast<int64_t>(chunk.last - chunk.first), DType::fp32, "sums");
      return exponentiate(a, chunk, b);
    case 3:
      return transpose_exponentials({a, b.count, chunk.queries}, b);
    case 4:
      return move_exponentials({a, b.count, chunk.queries}, b);
    case 5: {
      std::vector<uint32_t>& rows = values[b.problem];
      for (int64_t key = static_cast<int64_t>(rows.size()) * a.side; key < a.shape.keys; key += a.side)
        rows.push_back(value_rows(a, key, std::min(a.side, a.shape.keys - key)));
      if (b.begin == 0) {
        const auto columns = static_cast<int64_t>(chunk.last - chunk.first) * a.shape.width;
        chunk.product = psum(a, chunk.queries, columns, DType::fp32, "weighted values");
      }
      return weigh(a, chunk, b, rows);
    }
    case 6:
      if (ends_chunk(b)) divide(a, chunk);
      return;
    default:
      if (ends_chunk(b)) store(a, chunk);
  }
}

}  // namespace

void attention(Context& context, const AttentionShape& shape, std::span<const AttentionRows> groups) {
  const spec::ChipSpec& spec = context.spec;
  const DType dtype = groups[0].v.block->dtype;
  const auto bank = static_cast<int64_t>(spec.psum.bytes_per_partition / spec.psum.banks / 4);
  const int64_t side = std::min<int64_t>({spec.tensor.rows, spec.tensor.columns, spec.psum.partitions});
  const DType held = spec.generation < 3 ? DType::fp32 : dtype;  // generation 2 has fp32 results only
  const size_t together = static_cast<size_t>(std::max<int64_t>(1, bank / shape.width));
  const int64_t sharing = std::max<int64_t>(1, bank / shape.keys);
  Pipeline pipeline;
  for (const AttentionRows& g : groups) {
    CHECK(g.q.block->dtype == dtype && g.k.block->dtype == dtype, "operands of one type");
    const size_t problem = pipeline.problems.size();
    pipeline.problems.push_back({context, shape, g.q, g.k, g.v, g.out, g.heads, g.mask, dtype, held, side, bank});
    for (int64_t query = 0; query < shape.queries; query += side) {
      for (size_t first = 0; first < g.heads.size(); first += together) {
        const size_t last = std::min(g.heads.size(), first + together), chunk = pipeline.chunks.size();
        pipeline.chunks.push_back({first, last, query, std::min(side, shape.queries - query)});
        const auto heads = static_cast<int64_t>(last - first);
        for (int64_t begin = 0; begin < heads; begin += sharing)
          pipeline.bundles.push_back(
              {.problem = problem, .chunk = chunk, .begin = begin, .count = std::min(sharing, heads - begin)});
      }
    }
  }
  pipeline.values.resize(pipeline.problems.size());
  const auto count = static_cast<int>(pipeline.bundles.size());
  for (int turn = 0; turn < count + kStages - 1; ++turn) {
    for (int stage = kStages - 1; stage >= 0; --stage) {
      const int bundle = turn - stage;
      if (bundle >= 0 && bundle < count) pipeline.run_stage(stage, pipeline.bundles[static_cast<size_t>(bundle)]);
    }
  }
}

}  // namespace presil::kernels
