#include "backend/dependences.h"

#include <algorithm>
#include <bit>

namespace presil::backend {
namespace {

constexpr size_t kPiecesMax = 256;
constexpr size_t kPiecesPerAccess = 8;  // accesses per piece aimed for
constexpr size_t kSpanMax = 8;          // pieces; wider accesses go to the common list

bool same_pattern(const isa::View& a, const isa::View& b) {
  return a.offset == b.offset && a.dtype == b.dtype && a.rank == b.rank && a.dims == b.dims;
}

}  // namespace

AccessLog::AccessLog(uint64_t bytes, size_t accesses) {
  size_t pieces = std::min(kPiecesMax, std::bit_ceil(accesses / kPiecesPerAccess + 1));
  while ((bytes >> shift_) >= pieces) ++shift_;
  lists_.resize(pieces == 1 ? 1 : pieces + 1);
}

// Conflicts of `now` with one list; records that `now` supersedes leave it.
void AccessLog::visit(std::vector<Record>& list, const Record& now, const Access& access,
                      std::span<const uint32_t> known, Needs& needs) {
  size_t kept = 0;
  for (size_t k = 0; k < list.size(); ++k) {
    const Record& old = list[k];
    bool meets = old.extent.meets(now.extent);
    bool ordered = known[old.event.stream] >= old.event.count || needs.count(old.event.stream) >= old.event.count;
    // In-order start and completion order everything but a read of a result that is still on its way.
    bool same_engine = old.event.stream == now.event.stream && !old.asynchronous && !now.asynchronous;
    bool conflict = same_engine ? old.write && access.reads && !(access.accumulates && old.accumulates)
                                : old.write || access.writes;
    if (meets && conflict && !ordered && old.event != now.event) {
      bool certain = (old.extent.dense && now.extent.dense) || !old.view;
      if (certain || overlap(*old.view, *now.view)) needs.add(old.event);
    }
    bool covers = meets && now.extent.contains(old.extent) &&
                  (now.extent.dense || (old.view && same_pattern(*old.view, *now.view)));
    bool superseded = covers && (now.write || (!old.write && same_engine));
    if (!superseded) list[kept++] = old;
  }
  list.resize(kept);
}

// One record per stream and kind, with the extent of all.
void AccessLog::shrink(std::vector<Record>& list) {
  std::vector<Record> out;
  for (const Record& r : list) {
    auto same = std::find_if(out.begin(), out.end(), [&](const Record& o) {
      return o.event.stream == r.event.stream && o.write == r.write && o.accumulates == r.accumulates;
    });
    if (same == out.end()) {
      out.push_back(r);
      continue;
    }
    Extent& e = same->extent;
    e = {std::min(e.partition_begin, r.extent.partition_begin), std::max(e.partition_end, r.extent.partition_end),
         std::min(e.begin, r.extent.begin), std::max(e.end, r.extent.end), true};
    same->event.count = std::max(same->event.count, r.event.count);
    same->view = nullptr;
  }
  list = std::move(out);
}

void AccessLog::access(const Access& access, std::span<const uint32_t> known, Needs& needs) {
  Record now{extent_of(*access.view), access.view,        access.event,
             access.writes,           access.accumulates, access.asynchronous};
  auto first = static_cast<size_t>(now.extent.begin >> shift_),
       last = static_cast<size_t>((now.extent.end - 1) >> shift_);
  auto look = [&](List& list) {
    visit(list.writes.records, now, access, known, needs);
    // Reads do not conflict; but a later read on the same engine may supersede an earlier one.
    if (access.writes || !access.asynchronous) visit(list.reads.records, now, access, known, needs);
  };
  for (size_t k = first; k <= last; ++k) look(lists_[k]);
  if (lists_.size() > 1) look(lists_.back());
  if (last - first >= kSpanMax) first = last = lists_.size() - 1;
  for (size_t k = first; k <= last; ++k) {
    Records& list = access.writes ? lists_[k].writes : lists_[k].reads;
    list.records.push_back(now);
    if (list.records.size() > list.limit) {
      shrink(list.records);
      list.limit = std::max(kListMax, 2 * list.records.size());
    }
  }
  auto at = std::lower_bound(last_.begin(), last_.end(), access.event.stream,
                             [](const Event& e, uint32_t stream) { return e.stream < stream; });
  if (at == last_.end() || at->stream != access.event.stream) {
    last_.insert(at, access.event);
  } else {
    at->count = std::max(at->count, access.event.count);
  }
}

std::vector<Event> AccessLog::last_events() const { return last_; }

}  // namespace presil::backend
