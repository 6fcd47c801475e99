#include "chip/access_log.h"

#include <algorithm>

namespace presil::chip {

AccessLog::AccessLog(const ShapeTable& shapes, uint64_t bytes, uint64_t bucket)
    : shapes_(shapes), bucket_(bucket), buckets_((bytes + bucket - 1) / bucket) {}

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
  for (size_t b = first_bucket(access); b <= last_bucket(access); ++b) list(buckets_[b], access.write).push_back(id);
}

void AccessLog::remove(uint32_t id) {
  Record& r = records_[id];
  for (size_t b = first_bucket(r); b <= last_bucket(r); ++b) {
    std::vector<uint32_t>& ids = list(buckets_[b], r.write);
    *std::find(ids.begin(), ids.end(), id) = ids.back();
    ids.pop_back();
  }
  r.live = false;
  free_.push_back(id);
  --records_held_;
}

}  // namespace presil::chip
