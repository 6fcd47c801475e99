#include "backend/regions.h"

#include <algorithm>

namespace presil::backend {
namespace {

struct Run {
  int64_t begin = 0, end = 0;
  bool operator==(const Run&) const = default;
};

// Contiguous pieces of one partition of a view.
void append_runs(const isa::View& view, std::vector<Run>& out) {
  isa::View v = isa::simplified(view);
  const auto size = static_cast<int64_t>(dtype_bytes(v.dtype));
  std::vector<int64_t> starts{v.offset};
  int64_t length = size;
  for (int d = 0; d < v.rank; ++d) {
    const isa::Dim& dim = v.dims[static_cast<size_t>(d)];
    if (d == v.rank - 1 && dim.step == 1) {
      length = size * dim.count;
      break;
    }
    std::vector<int64_t> next;
    next.reserve(starts.size() * dim.count);
    for (int64_t s : starts) {
      for (uint32_t k = 0; k < dim.count; ++k) next.push_back(s + int64_t{dim.step} * k * size);
    }
    starts = std::move(next);
  }
  for (int64_t s : starts) out.push_back({s, s + length});
}

std::vector<Run> merged(std::vector<Run> runs) {
  std::sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) { return a.begin < b.begin; });
  std::vector<Run> out;
  for (const Run& r : runs) {
    if (!out.empty() && r.begin <= out.back().end) {
      out.back().end = std::max(out.back().end, r.end);
    } else {
      out.push_back(r);
    }
  }
  return out;
}

// Runs of equal length at equal distance become one region.
void append_regions(const std::vector<Run>& runs, uint32_t partition, uint32_t partitions, std::vector<Region>& out) {
  for (size_t i = 0; i < runs.size();) {
    int64_t length = runs[i].end - runs[i].begin;
    int64_t stride = i + 1 < runs.size() ? runs[i + 1].begin - runs[i].begin : length;
    size_t j = i + 1;
    while (j < runs.size() && runs[j].end - runs[j].begin == length && runs[j].begin - runs[j - 1].begin == stride) ++j;
    if (j == i + 1) stride = length;
    out.push_back({partition, partitions, runs[i].begin, length, stride, static_cast<uint32_t>(j - i)});
    i = j;
  }
}

}  // namespace

std::vector<Region> union_of(std::span<const isa::View> views) {
  std::vector<uint32_t> cuts;
  for (const isa::View& v : views) {
    cuts.push_back(v.partition);
    cuts.push_back(uint32_t{v.partition} + v.partitions);
  }
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  std::vector<Region> out;
  std::vector<Run> pending;  // of partitions [begin, cuts[c])
  uint32_t begin = 0;
  for (size_t c = 0; c < cuts.size(); ++c) {
    std::vector<Run> runs;
    for (const isa::View& v : views) {
      if (v.partition <= cuts[c] && cuts[c] < uint32_t{v.partition} + v.partitions) append_runs(v, runs);
    }
    runs = merged(std::move(runs));
    if (runs == pending) continue;
    append_regions(pending, begin, cuts[c] - begin, out);
    pending = std::move(runs), begin = cuts[c];
  }
  return out;
}

}  // namespace presil::backend
