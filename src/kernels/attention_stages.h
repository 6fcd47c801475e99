// What the stages of attention share: operands, tiles and views. See attention.cc.
#pragma once
#include <algorithm>
#include <optional>
#include <vector>

#include "kernels/attention.h"

namespace presil::kernels {

struct Attention {
  Context& context;
  AttentionShape shape;
  RowsOf q, k, v, out;
  std::span<const Head> heads;
  const MaskView& mask;
  const KeyMask& key_mask;
  DType dtype;   // of operands
  DType held;    // in which PSUM holds what is transposed
  int64_t side;  // rows and columns of the array that a transpose may use
  int64_t bank;  // fp32 elements of a PSUM bank
};

struct Place {
  size_t group = 0;
  int64_t partition = 0;
};
Place place_of(const Block& block, int64_t feature);

// `count` rows from the operand's row `first`, `width` features.
isa::View rows_view(const Attention& a, const RowsOf& rows, int64_t feature, int64_t width, int64_t first,
                    int64_t count);
isa::View dense(const Attention& a, uint32_t tile, DType dtype, int64_t partitions, int64_t first, int64_t count);
isa::View matrix(const Attention& a, uint32_t tile, DType dtype, int64_t partitions, int64_t first, isa::Dim rows,
                 isa::Dim columns);
inline isa::Dim dim(int64_t step, int64_t count) { return {static_cast<int32_t>(step), static_cast<uint32_t>(count)}; }
uint32_t sbuf(const Attention& a, int64_t partitions, int64_t elements, DType dtype, const char* name);
uint32_t psum(const Attention& a, int64_t partitions, int64_t elements, DType dtype, const char* name);
isa::View columns_of(isa::View rows, int64_t first, int64_t count);
isa::View upper_halves(isa::View v);  // of fp32, as bf16
inline int64_t held_per_bank(const Attention& a) { return a.bank * 4 / static_cast<int64_t>(dtype_bytes(a.held)); }

// --- scores and their exponentials (attention_scores.cc) ---

// A head's queries and keys, [depth, rows]: where the projections left them, or copies with one more row of ones and of
// the keys' mask, so that the product of both is masked.
struct HeadRows {
  isa::View q, k;
};
// What masked operands need besides. Tiles of queries outlive a problem, so that their ones are written once.
struct MaskTiles {
  std::optional<isa::View> row;             // the mask's, of one problem
  std::vector<std::optional<isa::View>> q;  // by head
};
HeadRows head_rows(const Attention& a, size_t head, MaskTiles& tiles);

// Scores of a bundle's heads against one tile of queries: a row of each head is `pieces` views, in PSUM, or in SBUF
// where they were scaled and masked.
struct Scores {
  std::vector<std::vector<isa::View>> rows;  // by head
  std::vector<isa::View> wholes;             // all rows as views [heads, keys], where a bank or tile holds whole rows
  float alpha = 1;                           // yet to be applied
  bool masked = false;                       // by queries and keys
};
Scores bundle_scores(const Attention& a, std::span<const HeadRows> operands, size_t first, int64_t query,
                     int64_t queries);
// -alpha * maximum of each row, its bias in the exponential: [queries, heads].
uint32_t negative_maxima(const Attention& a, const Scores& scores, int64_t queries);
// exp(alpha * score - maximum): [queries, heads * keys].
uint32_t exponentials(const Attention& a, const Scores& scores, uint32_t maxima, int64_t queries);

// --- keys in blocks (attention_long.cc) ---

// Whether scores leave no room in PSUM for a whole row, and can be had block by block.
bool in_blocks(const Attention& a);
void attend_in_blocks(const Attention& a);

// --- values (attention_values.cc) ---

// Rows [first, first + keys) of all heads' values and a one: [keys, heads * (width + 1)].
uint32_t value_rows(const Attention& a, int64_t first, int64_t keys);

// Squares of transposed exponentials: tile by tile of keys, head by head.
struct Squares {
  const Attention& a;
  int64_t count, queries;  // heads, columns of a square

  int64_t squares() const { return (a.shape.keys + a.side - 1) / a.side * count; }
  int64_t together() const { return std::max<int64_t>(1, held_per_bank(a) / queries); }  // in a bank
  int64_t tile(int64_t square) const { return square / count; }
  int64_t keys(int64_t square) const { return std::min(a.side, a.shape.keys - tile(square) * a.side); }
};
// exps [queries, heads * keys] to [keys, squares * queries] in PSUM banks; then to SBUF.
std::vector<uint32_t> transpose_exponentials(const Squares& s, uint32_t exps);
uint32_t move_exponentials(const Squares& s, const std::vector<uint32_t>& banks);

// Heads of one tile of queries that share a PSUM bank and leave it together.
struct Chunk {
  size_t first = 0, last = 0;  // heads
  int64_t query = 0, queries = 0;
  uint32_t product = 0, rows = 0;  // tiles
};
// Values of `count` heads from the chunk's head `begin` weighted by the exponentials, and the exponentials' sum, into
// the chunk's bank.
void weigh(const Attention& a, const Chunk& chunk, int64_t begin, int64_t count, uint32_t transposed,
           const std::vector<uint32_t>& values);
// The chunk's weighted values over the sums, [queries, heads * width] in SBUF.
void divide(const Attention& a, Chunk& chunk);
// A chunk's rows to their features in `out`.
void store(const Attention& a, const Chunk& chunk);

}  // namespace presil::kernels
