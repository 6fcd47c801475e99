// Attention's scores: queries are stationary and keys move past them; maxima and exponentials of their rows.
#include <algorithm>

#include "kernels/attention_stages.h"
#include "kernels/copy.h"

namespace presil::kernels {
namespace {

// Longer rows of scores leave PSUM before they are exponentiated: two rows of this many fp32 fill half of its banks.
constexpr int64_t kKeysInPsumMax = 1024;

// The mask of all keys, less its maximum and over alpha: a softmax takes no notice of the first, and the second is made
// good when scores are exponentiated. What is large then is masked, so 16 bits are enough.
isa::View shifted_mask(const Attention& a, const isa::View& mask) {
  tile::Builder& build = a.context.build;
  const isa::View most = dense(a, sbuf(a, 1, 1, DType::fp32, "largest mask"), DType::fp32, 1, 0, 1);
  build.tensor_reduce({.dst = most, .data = mask, .op = AluOp::max});
  const isa::View row = dense(a, sbuf(a, 1, a.shape.keys, a.dtype, "mask"), a.dtype, 1, 0, a.shape.keys);
  build.tensor_scalar({.dst = row,
                       .data = mask,
                       .op0 = AluOp::subtract,
                       .operand0 = most,
                       .op1 = AluOp::multiply,
                       .operand1 = 1.0f / a.shape.alpha});
  return row;
}

// [width + 1, count]: room for an operand's rows of a head and one value each below.
isa::View extended(const Attention& a, int64_t count) {
  return dense(a, sbuf(a, a.shape.width + 1, count, a.dtype, "masked operand"), a.dtype, a.shape.width + 1, 0, count);
}
isa::View features_of(isa::View v) { return --v.partitions, v; }
isa::View last_of(isa::View v) {
  v.partition = static_cast<uint16_t>(v.partition + v.partitions - 1), v.partitions = 1;
  return v;
}

// One head's scores; in SBUF at `to` where they leave PSUM.
std::vector<isa::View> scores_of(const Attention& a, const HeadRows& head, int64_t query, int64_t queries,
                                 const isa::View& mask, std::optional<uint32_t> shared, std::optional<uint32_t> to,
                                 int64_t place) {
  const int64_t keys = a.shape.keys, column = place * keys;
  std::vector<isa::View> pieces;
  for (int64_t begin = 0; begin < keys; begin += a.bank) {
    const int64_t count = std::min(a.bank, keys - begin);
    const isa::View piece =
        shared ? dense(a, *shared, DType::fp32, queries, place % (a.bank / keys) * keys, count)
               : dense(a, psum(a, queries, count, DType::fp32, "scores"), DType::fp32, queries, 0, count);
    a.context.build.matmul(
        {.dst = piece, .stationary = columns_of(head.q, query, queries), .moving = columns_of(head.k, begin, count)});
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

// Maxima of a head's pieces, one after the other, then of these.
void maximum_of_pieces(const Attention& a, const std::vector<isa::View>& pieces, int64_t queries, const isa::View& to) {
  const auto count = static_cast<int64_t>(pieces.size());
  const uint32_t parts = sbuf(a, queries, count, to.dtype, "maxima of pieces");
  for (int64_t i = 0; i < count; ++i) {
    const isa::View& piece = pieces[static_cast<size_t>(i)];
    a.context.build.tensor_reduce({.dst = dense(a, parts, to.dtype, queries, i, 1),
                                   .data = to.dtype == DType::bf16 ? upper_halves(piece) : piece,
                                   .op = AluOp::max});
  }
  a.context.build.tensor_reduce({.dst = to, .data = dense(a, parts, to.dtype, queries, 0, count), .op = AluOp::max});
}

}  // namespace

HeadRows head_rows(const Attention& a, size_t head, MaskTiles& tiles) {
  const AttentionShape& s = a.shape;
  const isa::View q = rows_view(a, a.q, a.heads[head].q, s.width, 0, s.queries);
  const isa::View k = rows_view(a, a.k, a.heads[head].k, s.width, 0, s.keys);
  if (!a.key_mask) return {q, k};
  if (!tiles.row) tiles.row = shifted_mask(a, a.key_mask());
  tiles.q.resize(std::max(tiles.q.size(), head + 1));
  if (!tiles.q[head]) {
    tiles.q[head] = extended(a, s.queries);
    a.context.build.memset({.dst = last_of(*tiles.q[head]), .value = 1.0f, .engine = isa::EngineKind::gpsimd});
  }
  const isa::View masked = extended(a, s.keys);
  copy_aside(a.context, features_of(*tiles.q[head]), q);
  copy_aside(a.context, features_of(masked), k);
  copy_aside(a.context, last_of(masked), *tiles.row);
  return {*tiles.q[head], masked};
}

Scores bundle_scores(const Attention& a, std::span<const HeadRows> operands, size_t first, int64_t query,
                     int64_t queries) {
  const int64_t keys = a.shape.keys, heads = static_cast<int64_t>(operands.size());
  const isa::View mask = a.mask ? a.mask(first, query, queries) : isa::View{};
  const bool leaves = mask.present() || keys > kKeysInPsumMax;
  const int64_t sharing = std::max<int64_t>(1, a.bank / keys);  // heads in a bank
  std::optional<uint32_t> bank, tile;
  if (leaves) tile = sbuf(a, queries, heads * keys, DType::fp32, "scores");
  Scores scores{{}, {}, leaves ? 1.0f : a.shape.alpha, mask.present()};
  auto add_whole = [&](uint32_t held, int64_t count) {
    scores.wholes.push_back(matrix(a, held, DType::fp32, queries, 0, dim(keys, count), dim(1, keys)));
  };
  if (leaves) add_whole(*tile, heads);
  for (int64_t h = 0; h < heads; ++h) {
    if (keys <= a.bank && h % sharing == 0) {
      const int64_t count = std::min(sharing, heads - h);
      bank = psum(a, queries, count * keys, DType::fp32, "scores");
      if (!leaves) add_whole(*bank, count);
    }
    const size_t head = first + static_cast<size_t>(h);
    const isa::View own = h == 0 || !a.mask ? mask : a.mask(head, query, queries);
    scores.rows.push_back(scores_of(a, operands[static_cast<size_t>(h)], query, queries, own, bank, tile, h));
  }
  return scores;
}

// A softmax is the same whatever is subtracted from its row, as long as nothing overflows: for bf16 operands the
// maximum cut off behind 8 bits will do (up to scaled scores of 11,000, where exp(score / 128) leaves fp32's range),
// and the vector engine reads it at twice the rate. Not so in fp16, whose range is small, nor where a mask may have
// made all of a row huge.
uint32_t negative_maxima(const Attention& a, const Scores& scores, int64_t queries) {
  tile::Builder& build = a.context.build;
  const auto heads = static_cast<int64_t>(scores.rows.size());
  const bool cut = a.dtype == DType::bf16 && !scores.masked;
  const DType dtype = cut ? DType::bf16 : DType::fp32;
  const uint32_t most = sbuf(a, queries, heads, dtype, "maxima");
  int64_t head = 0;
  for (const isa::View& whole : scores.wholes) {
    const auto count = static_cast<int64_t>(whole.dims[0].count);
    build.tensor_reduce({.dst = dense(a, most, dtype, queries, head, count),
                         .data = cut ? upper_halves(whole) : whole,
                         .op = AluOp::max});
    head += count;
  }
  if (scores.wholes.empty()) {
    for (int64_t h = 0; h < heads; ++h)
      maximum_of_pieces(a, scores.rows[static_cast<size_t>(h)], queries, dense(a, most, dtype, queries, h, 1));
  }
  const uint32_t result = sbuf(a, queries, heads, DType::fp32, "negative maxima");
  build.tensor_scalar({.dst = dense(a, result, DType::fp32, queries, 0, heads),
                       .data = dense(a, most, dtype, queries, 0, heads),
                       .op0 = AluOp::multiply,
                       .operand0 = -scores.alpha});
  return result;
}

uint32_t exponentials(const Attention& a, const Scores& scores, uint32_t maxima, int64_t queries) {
  const auto heads = static_cast<int64_t>(scores.rows.size());
  const uint32_t exps = sbuf(a, queries, heads * a.shape.keys, a.dtype, "exponentials");
  for (int64_t h = 0; h < heads; ++h) {
    int64_t begin = h * a.shape.keys;
    for (const isa::View& piece : scores.rows[static_cast<size_t>(h)]) {
      const auto count = static_cast<int64_t>(piece.elements_per_partition());
      a.context.build.activation({.dst = dense(a, exps, a.dtype, queries, begin, count),
                                  .data = piece,
                                  .op = Activation::exp,
                                  .scale = scores.alpha,
                                  .bias = dense(a, maxima, DType::fp32, queries, h, 1)});
      begin += count;
    }
  }
  return exps;
}

}  // namespace presil::kernels
