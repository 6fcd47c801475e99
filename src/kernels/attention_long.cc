// Attention over more keys than PSUM holds scores for: keys come in blocks, and each row keeps the largest score so
// far. What a block adds is relative to that; where it grows, the sums before it are scaled down (the online softmax of
// Milakov and Gimelshein, arXiv:1805.02867). Scores never leave PSUM. Of a causal attention, blocks above the diagonal
// are left out and the square on it is masked.
#include <algorithm>

#include "kernels/attention_stages.h"
#include "kernels/copy.h"
#include "kernels/identity.h"

namespace presil::kernels {
namespace {

// Below every score, so far that its exponential is zero; in bf16's range.
constexpr float kMasked = -1e30f;

// One tile of a head's queries, on its way through the blocks.
struct Rows {
  size_t head = 0;
  int64_t query = 0, queries = 0;
  isa::View maxima{};  // [queries, pieces + 1]: the largest score so far, not scaled, and room for a block's pieces
  isa::View sums{};    // weighted values and the weights' sum so far: [queries, width + 1]
};

struct Blocks {
  const Attention& a;
  int64_t keys;  // of a block
  std::vector<HeadRows> heads{};
  std::vector<uint32_t> values{};    // tile by tile of keys
  std::optional<isa::View> upper{};  // [side, side]: kMasked above the diagonal

  tile::Builder& build() const { return a.context.build; }
  isa::View column(const Rows& rows, DType dtype, const char* name) const {
    return dense(a, sbuf(a, rows.queries, 1, dtype, name), dtype, rows.queries, 0, 1);
  }
  // Maxima of scores' upper halves; see negative_maxima.
  DType maxima() const { return a.dtype == DType::bf16 ? DType::bf16 : DType::fp32; }

  void make_upper();
  std::vector<isa::View> scores(const Rows& rows, int64_t first, int64_t count);
  isa::View maxima_of(const Rows& rows) const {
    const int64_t count = 1 + (keys + a.bank - 1) / a.bank;
    return dense(a, sbuf(a, rows.queries, count, maxima(), "maxima"), maxima(), rows.queries, 0, count);
  }
  isa::View largest(Rows& rows, const std::vector<isa::View>& pieces) const;
  isa::View exponentials_of(const Rows& rows, const std::vector<isa::View>& pieces, const isa::View& bias,
                            int64_t count) const;
  void add(Rows& rows, int64_t first, int64_t count);
  void store_rows(const Rows& rows) const;
};

void Blocks::make_upper() {
  upper = dense(a, sbuf(a, a.side, a.side, DType::bf16, "causal mask"), DType::bf16, a.side, 0, a.side);
  build().memset({.dst = *upper, .value = 0.0f, .engine = isa::EngineKind::gpsimd});
  build().affine_select({.dst = *upper,
                         .on_true = *upper,
                         .cmp_op = AluOp::ge,
                         .value = kMasked,
                         .channel_multiplier = 1,
                         .steps = {-1}});
}

std::vector<isa::View> Blocks::scores(const Rows& rows, int64_t first, int64_t count) {
  const HeadRows& head = heads[rows.head];
  std::vector<isa::View> pieces;
  for (int64_t begin = 0; begin < count; begin += a.bank) {
    const int64_t columns = std::min(a.bank, count - begin);
    pieces.push_back(
        dense(a, psum(a, rows.queries, columns, DType::fp32, "scores"), DType::fp32, rows.queries, 0, columns));
    build().matmul({.dst = pieces.back(),
                    .stationary = columns_of(head.q, rows.query, rows.queries),
                    .moving = columns_of(head.k, first + begin, columns)});
  }
  if (!a.shape.causal || first + count <= rows.query) return pieces;
  const int64_t last = first + (static_cast<int64_t>(pieces.size()) - 1) * a.bank;  // key of the last piece
  isa::View ones = identity(a.context, DType::bf16), masked = *upper;
  ones.partitions = masked.partitions = static_cast<uint16_t>(rows.queries);
  build().matmul({.dst = columns_of(pieces.back(), rows.query - last, rows.queries),
                  .stationary = columns_of(ones, 0, rows.queries),
                  .moving = columns_of(masked, 0, rows.queries),
                  .accumulate = true});
  return pieces;
}

// Of the block and those before: what this block's pieces and the blocks before hold at most, beside each other.
isa::View Blocks::largest(Rows& rows, const std::vector<isa::View>& pieces) const {
  const DType dtype = maxima();
  const auto count = static_cast<int64_t>(pieces.size());
  for (int64_t i = 0; i < count; ++i) {
    const isa::View& piece = pieces[static_cast<size_t>(i)];
    build().tensor_reduce({.dst = columns_of(rows.maxima, 1 + i, 1),
                           .data = dtype == DType::bf16 ? upper_halves(piece) : piece,
                           .op = AluOp::max});
  }
  const bool first = !rows.sums.present();
  const isa::View parts = columns_of(rows.maxima, first ? 1 : 0, first ? count : count + 1);
  rows.maxima = maxima_of(rows);
  const isa::View result = columns_of(rows.maxima, 0, 1);
  build().tensor_reduce({.dst = result, .data = parts, .op = AluOp::max});
  return result;
}

isa::View Blocks::exponentials_of(const Rows& rows, const std::vector<isa::View>& pieces, const isa::View& bias,
                                  int64_t count) const {
  const isa::View exps =
      dense(a, sbuf(a, rows.queries, count, a.dtype, "exponentials"), a.dtype, rows.queries, 0, count);
  int64_t begin = 0;
  for (const isa::View& piece : pieces) {
    const auto columns = static_cast<int64_t>(piece.elements_per_partition());
    build().activation({.dst = columns_of(exps, begin, columns),
                        .data = piece,
                        .op = Activation::exp,
                        .scale = a.shape.alpha,
                        .bias = bias});
    begin += columns;
  }
  return exps;
}

void Blocks::add(Rows& rows, int64_t first, int64_t count) {
  const isa::View before = columns_of(rows.maxima, 0, 1);
  const std::vector<isa::View> pieces = scores(rows, first, count);
  const isa::View most = largest(rows, pieces);
  // Where all is masked so far the maximum may be infinite; what comes of it is scaled to zero by a later block.
  const isa::View bias = column(rows, DType::fp32, "negative maxima");
  build().tensor_scalar({.dst = bias,
                         .data = most,
                         .op0 = AluOp::max,
                         .operand0 = kMasked,
                         .op1 = AluOp::multiply,
                         .operand1 = -a.shape.alpha});
  const isa::View exps = exponentials_of(rows, pieces, bias, count);
  Attention block = a;
  block.shape.keys = count;
  const Squares squares{block, 1, rows.queries};
  const uint32_t transposed = move_exponentials(squares, transpose_exponentials(squares, exps.base));
  const int64_t width = a.shape.width + 1;
  const Chunk chunk{
      rows.head, rows.head + 1, rows.query, rows.queries, psum(a, rows.queries, width, DType::fp32, "weighted values"),
      0};
  const auto from = values.begin() + first / a.side;
  weigh(block, chunk, 0, 1, transposed, {from, from + (count + a.side - 1) / a.side});
  const isa::View product = dense(a, chunk.product, DType::fp32, rows.queries, 0, width);
  const isa::View sums =
      dense(a, sbuf(a, rows.queries, width, DType::fp32, "sums"), DType::fp32, rows.queries, 0, width);
  if (!rows.sums.present()) {
    copy(a.context, sums, product);
  } else {
    const isa::View shrunk = column(rows, DType::fp32, "scale of sums");
    build().activation({.dst = shrunk, .data = before, .op = Activation::exp, .scale = a.shape.alpha, .bias = bias});
    build().scalar_tensor_tensor({.dst = sums,
                                  .data = rows.sums,
                                  .op0 = AluOp::multiply,
                                  .operand0 = shrunk,
                                  .op1 = AluOp::add,
                                  .operand1 = product});
  }
  rows.sums = sums;
}

void Blocks::store_rows(const Rows& rows) const {
  const int64_t width = a.shape.width;
  const isa::View inverse = column(rows, DType::fp32, "inverse sums");
  build().reciprocal({.dst = inverse, .data = columns_of(rows.sums, width, 1)});
  Chunk chunk{
      rows.head, rows.head + 1, rows.query, rows.queries, 0, sbuf(a, rows.queries, width, a.dtype, "attention rows")};
  build().tensor_scalar({.dst = dense(a, chunk.rows, a.dtype, rows.queries, 0, width),
                         .data = columns_of(rows.sums, 0, width),
                         .op0 = AluOp::multiply,
                         .operand0 = inverse});
  store(a, chunk);
}

// A quarter of PSUM for one block's scores: the next block's fill another, and there is room for what follows.
int64_t block_keys(const Attention& a) {
  const auto banks = static_cast<int64_t>(a.context.spec.psum.banks);
  return std::max(a.side, std::max<int64_t>(1, banks / 4) * a.bank / a.side * a.side);
}

}  // namespace

bool in_blocks(const Attention& a) { return !a.mask && (a.shape.causal || a.shape.keys > block_keys(a)); }

void attend_in_blocks(const Attention& a) {
  Blocks blocks{a, block_keys(a)};
  if (a.shape.causal) blocks.make_upper();
  MaskTiles masks;
  for (int64_t key = 0; key < a.shape.keys; key += a.side)
    blocks.values.push_back(value_rows(a, key, std::min(a.side, a.shape.keys - key)));
  for (size_t head = 0; head < a.heads.size(); ++head) {
    blocks.heads.push_back(head_rows(a, head, masks));
    for (int64_t query = 0; query < a.shape.queries; query += a.side) {
      Rows rows{head, query, std::min(a.side, a.shape.queries - query)};
      rows.maxima = blocks.maxima_of(rows);
      const int64_t keys = a.shape.causal ? query + rows.queries : a.shape.keys;
      for (int64_t first = 0; first < keys; first += blocks.keys)
        blocks.add(rows, first, std::min(blocks.keys, keys - first));
      blocks.store_rows(rows);
    }
  }
}

}  // namespace presil::kernels
