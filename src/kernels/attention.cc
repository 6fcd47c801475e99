// Attention, a tile of queries at a time. Queries are stationary and keys move past them, so that a row of scores lies
// in one partition: its maximum and exponentials need no other. Exponentials are transposed on the tensor engine to be
// stationary for the values, whose rows it has transposed from the projection's layout and which end with a column of
// ones; so the exponentials' sum comes beside what it divides, and one more transpose brings the result back to
// features on partitions.
#include "kernels/attention.h"

#include <array>

#include "kernels/attention_stages.h"

namespace presil::kernels {

Place place_of(const Block& block, int64_t feature) {
  Place at{0, feature};
  while (at.partition >= block.groups[at.group].partitions) at.partition -= block.groups[at.group++].partitions;
  return at;
}

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
isa::View columns_of(isa::View rows, int64_t first, int64_t count) {
  rows.offset += first * rows.dims[0].step * static_cast<int64_t>(dtype_bytes(rows.dtype));
  rows.dims[0].count = static_cast<uint32_t>(count);
  return rows;
}
isa::View upper_halves(isa::View v) {
  v.dtype = DType::bf16, v.offset += 2;
  for (size_t d = 0; d < v.rank; ++d) v.dims[d].step *= 2;
  return v;
}
uint32_t sbuf(const Attention& a, int64_t partitions, int64_t elements, DType dtype, const char* name) {
  return a.context.build.sbuf(static_cast<uint32_t>(partitions),
                              static_cast<uint32_t>(elements * static_cast<int64_t>(dtype_bytes(dtype))), name);
}
uint32_t psum(const Attention& a, int64_t partitions, int64_t elements, DType dtype, const char* name) {
  return a.context.build.psum(static_cast<uint32_t>(partitions),
                              static_cast<uint32_t>(elements * static_cast<int64_t>(dtype_bytes(dtype))), name);
}
bool attention_fits(const spec::ChipSpec& spec, int64_t width, int64_t feature, int64_t features) {
  const int64_t lanes = spec.sbuf.partitions;
  if (width > std::min<int64_t>({lanes, spec.tensor.rows, spec.tensor.columns, spec.psum.partitions})) return false;
  if (features == width) return true;
  return lanes % width == 0 && width * 4 >= lanes && feature % width == 0;
}

bool masks_keys(const spec::ChipSpec& spec, const AttentionShape& shape) {
  const int64_t lanes = spec.sbuf.partitions, side = std::min<int64_t>(spec.tensor.columns, spec.psum.partitions);
  const bool fits =
      shape.width % std::max<int64_t>(1, lanes / 4) == 0 && shape.width < std::min<int64_t>(lanes, spec.tensor.rows);
  auto seconds = [](int64_t cycles, const spec::EngineSpec& e) {
    return static_cast<double>(std::max<int64_t>(cycles, e.initiation_min_cycles)) / static_cast<double>(e.clock_hz);
  };
  // Each tile of scores is scaled by the scalar and masked by the vector engine; gpsimd copies rows of both operands
  // and the mask.
  const auto tiles = static_cast<double>((shape.queries + side - 1) / side);
  const double passes = tiles * (seconds(shape.keys, spec.vector) + seconds(shape.keys, spec.scalar));
  const int64_t start = spec.gpsimd.start_cycles;
  const double copies = seconds(start + shape.queries, spec.gpsimd) + 2 * seconds(start + shape.keys, spec.gpsimd);
  return fits && copies < passes;
}

namespace {

// Heads whose transposed exponentials share a bank.
struct Bundle {
  size_t problem = 0, chunk = 0;
  int64_t begin = 0, count = 0;  // heads of the chunk
  uint32_t transposed = 0;       // tile
};

struct Problem {
  Attention attention;
  std::vector<HeadRows> heads{};   // those met so far
  std::vector<uint32_t> values{};  // a tile per tile of keys
};

// Bundles one after the other; the backend lets them overlap.
struct Pipeline {
  std::vector<Problem> problems;
  std::vector<Chunk> chunks;
  std::vector<Bundle> bundles;
  std::array<MaskTiles, 2> masks;  // by turns

  void run(size_t bundle);
  void add_heads(size_t problem, size_t count);
  void end_chunk(size_t bundle);
};

// Heads up to `count` of them.
void Pipeline::add_heads(size_t index, size_t count) {
  Problem& problem = problems[index];
  MaskTiles& tiles = masks[index % masks.size()];
  if (problem.heads.empty()) tiles.row.reset();
  while (problem.heads.size() < count)
    problem.heads.push_back(head_rows(problem.attention, problem.heads.size(), tiles));
}

// What is weighed together leaves its bank soon.
void Pipeline::end_chunk(size_t last) {
  Problem& problem = problems[bundles[last].problem];
  const Attention& a = problem.attention;
  Chunk& chunk = chunks[bundles[last].chunk];
  for (int64_t key = static_cast<int64_t>(problem.values.size()) * a.side; key < a.shape.keys; key += a.side)
    problem.values.push_back(value_rows(a, key, std::min(a.side, a.shape.keys - key)));
  const auto columns = static_cast<int64_t>(chunk.last - chunk.first) * (a.shape.width + 1);
  chunk.product = psum(a, chunk.queries, columns, DType::fp32, "weighted values");
  size_t first = last;
  while (bundles[first].begin > 0) --first;
  for (size_t b = first; b <= last; ++b)
    weigh(a, chunk, bundles[b].begin, bundles[b].count, bundles[b].transposed, problem.values);
  divide(a, chunk);
  store(a, chunk);
}

void Pipeline::run(size_t index) {
  Bundle& b = bundles[index];
  Problem& problem = problems[b.problem];
  const Attention& a = problem.attention;
  const Chunk& chunk = chunks[b.chunk];
  const size_t first = chunk.first + static_cast<size_t>(b.begin), count = static_cast<size_t>(b.count);
  add_heads(b.problem, first + count);
  const Scores scores =
      bundle_scores(a, std::span(problem.heads).subspan(first, count), first, chunk.query, chunk.queries);
  const uint32_t exps = exponentials(a, scores, negative_maxima(a, scores, chunk.queries), chunk.queries);
  const Squares squares{a, b.count, chunk.queries};
  b.transposed = move_exponentials(squares, transpose_exponentials(squares, exps));
  if (first + count == chunk.last) end_chunk(index);
}

// Bundles of one problem: heads of a tile of queries in chunks, and of these as many together as `sharing` says.
void add_bundles(Pipeline& pipeline, int64_t queries, int64_t side, int64_t heads, int64_t together, int64_t sharing) {
  for (int64_t first = 0; first < heads; first += together) {
    const int64_t last = std::min(heads, first + together);
    for (int64_t query = 0; query < queries; query += side) {
      const size_t chunk = pipeline.chunks.size();
      pipeline.chunks.push_back(
          {static_cast<size_t>(first), static_cast<size_t>(last), query, std::min(side, queries - query)});
      for (int64_t begin = 0; begin < last - first; begin += sharing)
        pipeline.bundles.push_back({.problem = pipeline.problems.size() - 1,
                                    .chunk = chunk,
                                    .begin = begin,
                                    .count = std::min(sharing, last - first - begin)});
    }
  }
}

}  // namespace

void attention(Context& context, const AttentionShape& shape, std::span<const AttentionRows> groups) {
  const spec::ChipSpec& spec = context.spec;
  const DType dtype = groups[0].v.block->dtype;
  const auto bank = static_cast<int64_t>(spec.psum.bytes_per_partition / spec.psum.banks / 4);
  const int64_t side = std::min<int64_t>({spec.tensor.rows, spec.tensor.columns, spec.psum.partitions});
  const DType held = spec.generation < 3 ? DType::fp32 : dtype;  // generation 2 has fp32 results only
  const int64_t most = std::max<int64_t>(1, bank / (shape.width + 1)), squares = (shape.keys + side - 1) / side,
                sharing = std::max<int64_t>(
                    {1, bank / shape.keys, bank * 4 / static_cast<int64_t>(dtype_bytes(held)) / side / squares});
  Pipeline pipeline;
  pipeline.problems.reserve(groups.size());
  for (const AttentionRows& g : groups) {
    CHECK(g.q.block->dtype == dtype && g.k.block->dtype == dtype, "operands of one type");
    const Attention a{context, shape, g.q, g.k, g.v, g.out, g.heads, g.mask, g.key_mask, dtype, held, side, bank};
    if (in_blocks(a)) {
      attend_in_blocks(a);
      continue;
    }
    pipeline.problems.push_back({a});
    const auto heads = static_cast<int64_t>(g.heads.size()), chunks = (heads + most - 1) / most;
    add_bundles(pipeline, shape.queries, side, heads, (heads + chunks - 1) / chunks, sharing);
  }
  for (size_t b = 0; b < pipeline.bundles.size(); ++b) pipeline.run(b);
}

}  // namespace presil::kernels
