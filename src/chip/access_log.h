// The latest accesses to every byte of one memory that a future access could conflict with. A record lives until a
// write covers it, the same agent repeats it, or everybody knows that it is complete.
#pragma once
#include <cstdint>
#include <vector>

#include "chip/footprint.h"
#include "chip/happens_before.h"

namespace presil::chip {

struct Access {
  uint32_t shape = 0;  // in the ShapeTable
  int64_t begin = 0;
  int64_t end = 0;
  Epoch epoch;
  Site site;
  bool write = false;
  bool matmul = false;  // written by the tensor engine
};

class AccessLog {
 public:
  // `bytes`: of a partition, or of the HBM; `bucket`: how finely records are indexed.
  AccessLog(const ShapeTable& shapes, uint64_t bytes, uint64_t bucket);

  // Calls conflict(record) for every record that is not ordered(its epoch), shares a byte with `access` and of which at
  // least one is a write; then enters `access` and drops what it replaces.
  template <class Ordered, class Conflict>
  void enter(const Access& access, Ordered&& ordered, Conflict&& conflict);

  // Drops records for which complete(record) holds, in buckets that have grown since they were last cleaned.
  template <class F>
  void clean(F&& complete);
  bool wants_cleaning() const { return records_held_ > clean_above_; }
  size_t size() const { return records_held_; }

 private:
  struct Record : Access {
    uint32_t seen = 0;  // by the query with this number
    bool live = false;
  };
  // What answers for most records without looking at them.
  struct Entry {
    int64_t begin = 0, end = 0;
    uint16_t partition = 0, partition_end = 0;
    uint32_t id = 0;
    Epoch epoch;
    bool near(const Entry& o) const {
      // One branch for all: which of them is false is hard to predict.
      return ((begin < o.end) & (o.begin < end) & (partition < o.partition_end) & (o.partition < partition_end)) != 0;
    }
    bool inside(const Entry& o) const {
      return ((o.begin <= begin) & (end <= o.end) & (o.partition <= partition) & (partition_end <= o.partition_end)) !=
             0;
    }
  };
  struct Bucket {
    std::vector<Entry> writes, reads;
  };

  Entry entry_of(const Access& a, uint32_t id) const {
    const Shape& s = shapes_[a.shape];
    return {a.begin, a.end, s.partition, static_cast<uint16_t>(s.partition + s.partitions), id, a.epoch};
  }
  std::vector<Entry>& list(Bucket& b, bool write) { return write ? b.writes : b.reads; }
  static std::vector<Entry>::iterator find(std::vector<Entry>& entries, uint32_t id);
  bool repeats(const Access& read);
  void insert(const Access& access);
  void remove(uint32_t id);
  size_t first_bucket(const Access& a) const { return static_cast<size_t>(a.begin) / bucket_; }
  size_t last_bucket(const Access& a) const { return static_cast<size_t>(a.end - 1) / bucket_; }

  const ShapeTable& shapes_;
  uint64_t bucket_;
  std::vector<Bucket> buckets_;
  std::vector<Record> records_;
  std::vector<uint32_t> free_, covered_;
  uint32_t query_ = 0;
  size_t records_held_ = 0, clean_above_ = 512;
};

template <class Ordered, class Conflict>
void AccessLog::enter(const Access& a, Ordered&& ordered, Conflict&& conflict) {
  ++query_;
  covered_.clear();
  const Shape& shape = shapes_[a.shape];
  const Entry self = entry_of(a, 0);
  auto visit = [&](const Entry& e) {
    if (!e.near(self)) return;
    const bool unordered = !ordered(e.epoch);
    if (!unordered && !(a.write && e.inside(self))) return;
    Record& r = records_[e.id];
    if (r.seen == query_) return;
    r.seen = query_;
    if (unordered && overlap(shapes_[r.shape], r.begin, shape, a.begin)) conflict(static_cast<const Access&>(r));
    if (a.write && covers(shape, a.begin, shapes_[r.shape], r.begin)) covered_.push_back(e.id);
  };
  for (size_t b = first_bucket(a); b <= last_bucket(a); ++b) {
    for (const Entry& e : buckets_[b].writes) visit(e);
    if (!a.write) continue;
    for (const Entry& e : buckets_[b].reads) visit(e);
  }
  for (uint32_t id : covered_) remove(id);
  if (a.write || !repeats(a)) insert(a);
}

template <class F>
void AccessLog::clean(F&& complete) {
  for (uint32_t id = 0; id < records_.size(); ++id) {
    if (records_[id].live && complete(static_cast<const Access&>(records_[id]))) remove(id);
  }
  clean_above_ = std::max<size_t>(512, 2 * records_held_);
}

}  // namespace presil::chip
