// The state of SBUF at one point of a program: which tile holds each byte of each quadrant, or held it last.
//
// A quadrant is a quarter of the partitions, the finest legal start of an engine's operand (fact sheet, section 2.2):
// a tile of up to a quarter of the partitions lies in any one quadrant, up to half in the lower or the upper two, a
// larger one starts at partition 0.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "spec/chip_spec.h"

namespace presil::backend {

inline constexpr uint32_t kNoTile = UINT32_MAX;
inline constexpr uint32_t kSbufAlignment =
    64;  // bytes; every tile starts at a multiple (assumed, the documents print none)
inline constexpr int kQuadrants = 4;

using QuadrantMask = uint8_t;

struct Geometry {
  uint32_t quadrant_partitions = 1;
  uint32_t partitions = 1;
  uint32_t bytes = 0;  // per partition
};
Geometry geometry_of(const spec::SramSpec& memory);
// Where a tile of so many partitions may start, as the quadrants that it then covers.
std::vector<QuadrantMask> legal_masks(const Geometry& g, uint32_t partitions);
uint32_t start_partition(const Geometry& g, QuadrantMask mask);
// The quadrants that partitions [start, start + partitions) touch.
QuadrantMask mask_of(const Geometry& g, uint32_t start, uint32_t partitions);

struct Spot {
  QuadrantMask mask = 0;
  uint32_t offset = 0, bytes = 0;
  bool meets(const Spot& o) const {
    return (mask & o.mask) && offset < o.offset + o.bytes && o.offset < offset + bytes;
  }
};

class SbufMap {
 public:
  explicit SbufMap(uint32_t bytes);

  // The free spot whose memory has been free for longest, away from `blocked`; among equals the lowest offset, or the
  // highest if `from_top`.
  struct Request {
    uint32_t bytes = 0;
    std::span<const QuadrantMask> masks;
    std::span<const Spot> blocked;
    bool from_top = false;
  };
  std::optional<Spot> find(const Request& request) const;

  // Hands the spot to a tile; returns the tiles that held some of it before. The spot must be free.
  std::vector<uint32_t> occupy(const Spot& spot, uint32_t tile);
  void release(const Spot& spot, uint32_t now);

 private:
  static constexpr int64_t kLive = INT64_MAX;
  struct Cell {
    uint32_t tile = kNoTile;  // that holds it or held it last
    int64_t freed = -1;       // when; -1: never held, kLive: held
    bool operator==(const Cell&) const = default;
  };
  struct Segment {
    uint32_t begin = 0, end = 0;
    std::array<Cell, kQuadrants> cells{};
  };
  struct Search;
  size_t split(uint32_t offset);  // index of the segment that begins there
  void merge(size_t first, size_t last);

  std::vector<Segment> segments_;
  mutable std::vector<int64_t> scratch_;  // of find()
};

}  // namespace presil::backend
