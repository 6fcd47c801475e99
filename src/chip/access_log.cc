#include "chip/access_log.h"

#include <algorithm>

namespace presil::chip {

AccessLog::AccessLog(const ShapeTable& shapes, uint64_t bytes, uint64_t bucket)
    : shapes_(shapes), bucket_(bucket), buckets_((bytes + bucket - 1) / bucket) {}

std::vector<AccessLog::Entry>::iterator AccessLog::find(std::vector<Entry>& entries, uint32_t id) {
  return std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.id == id; });
}

// Takes the place of the same read by the same agent, which is complete when this one is.
bool AccessLog::repeats(const Access& read) {
  for (const Entry& e : buckets_[first_bucket(read)].reads) {
    if (e.begin != read.begin || e.end != read.end) continue;
    Record& r = records_[e.id];
    if (r.shape != read.shape || r.epoch.agent != read.epoch.agent) continue;
    r.epoch = read.epoch;
    r.site = read.site;
    for (size_t b = first_bucket(r); b <= last_bucket(r); ++b) find(buckets_[b].reads, e.id)->epoch = read.epoch;
    return true;
  }
  return false;
}

void AccessLog::insert(const Access& access) {
  uint32_t id = static_cast<uint32_t>(records_.size());
  if (free_.empty()) {
    records_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
  }
  Record& r = records_[id];
  static_cast<Access&>(r) = access;
  r.seen = query_;
  r.live = true;
  ++records_held_;
  for (size_t b = first_bucket(access); b <= last_bucket(access); ++b) {
    list(buckets_[b], access.write).push_back(entry_of(access, id));
  }
}

void AccessLog::remove(uint32_t id) {
  Record& r = records_[id];
  for (size_t b = first_bucket(r); b <= last_bucket(r); ++b) {
    std::vector<Entry>& entries = list(buckets_[b], r.write);
    *find(entries, id) = entries.back();
    entries.pop_back();
  }
  r.live = false;
  free_.push_back(id);
  --records_held_;
}

}  // namespace presil::chip
