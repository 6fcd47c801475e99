#include "report/packed.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <tuple>

#include "base/check.h"
#include "base/json_writer.h"
#include "report/critical_path.h"

namespace presil::report {
namespace {

constexpr int kCompression = 6;

void append_number(std::string& out, uint64_t v) {
  for (; v >= 128; v >>= 7) out.push_back(static_cast<char>(v | 128));
  out.push_back(static_cast<char>(v));
}

void append_difference(std::string& out, int64_t v) {
  append_number(out, (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63));
}

// In the page's order: order[new] = old, and back.
struct Order {
  std::vector<uint32_t> order, back;
};

Order order_of(const trace::Trace& trace) {
  Order o;
  o.order.resize(trace.events.size());
  o.back.resize(trace.events.size());
  std::iota(o.order.begin(), o.order.end(), 0);
  std::ranges::stable_sort(o.order, {}, [&](uint32_t k) {
    const trace::Event& e = trace.events[k];
    return std::tuple(e.lane, e.start);
  });
  for (uint32_t k = 0; k < o.order.size(); ++k) o.back[o.order[k]] = k;
  return o;
}

// What a column holds of an event, given the event before it in its lane (or an empty one).
struct Row {
  const trace::Event& e;
  const trace::Event& before;
  int64_t index;
  const Order& order;

  uint64_t link(uint32_t event) const {  // as a difference that is never 0; 0: none
    if (event == trace::kNoEvent) return 0;
    const int64_t d = index - order.back[event];
    return (static_cast<uint64_t>(d) << 1) ^ static_cast<uint64_t>(d >> 63);
  }
};

uint64_t plus_one(uint64_t value, uint64_t none) { return value == none ? 0 : value + 1; }

uint64_t zigzag(int64_t v) { return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63); }

constexpr uint32_t kNoSource = UINT32_MAX;
using Column = uint64_t (*)(const Row&);
const Column kColumns[] = {
    [](const Row& r) { return static_cast<uint64_t>(r.e.start - r.before.start); },
    [](const Row& r) { return static_cast<uint64_t>(r.e.busy_until - r.e.start); },
    [](const Row& r) { return zigzag(r.e.end - r.e.busy_until); },
    [](const Row& r) { return static_cast<uint64_t>(r.e.setup); },
    [](const Row& r) { return static_cast<uint64_t>(r.e.release); },
    [](const Row& r) { return r.link(r.e.cause); },
    [](const Row& r) { return r.link(r.e.trigger); },
    [](const Row& r) { return plus_one(r.e.instruction, trace::kNoInstruction); },
    [](const Row& r) { return plus_one(r.e.source, kNoSource); },
    [](const Row& r) { return plus_one(r.e.semaphore, trace::kNoSemaphore); },
    [](const Row& r) { return plus_one(r.e.dma_queue, trace::kNoDmaQueue); },
    [](const Row& r) { return r.e.amount; },
    [](const Row& r) { return static_cast<uint64_t>(r.e.alone); },
};

void append_events(std::string& out, const trace::Trace& trace, const Order& o) {
  std::vector<uint64_t> counts(trace.lane_list.size());
  for (const trace::Event& e : trace.events) ++counts[e.lane];
  append_number(out, counts.size());
  for (uint64_t count : counts) append_number(out, count);
  const trace::Event nothing{};
  for (Column column : kColumns) {
    for (uint32_t k = 0; k < o.order.size(); ++k) {
      const trace::Event& e = trace.events[o.order[k]];
      const bool first = k == 0 || trace.events[o.order[k - 1]].lane != e.lane;
      append_number(out, column({e, first ? nothing : trace.events[o.order[k - 1]], k, o}));
    }
  }
}

void append_path(std::string& out, const trace::Trace& trace, const Order& o) {
  const std::vector<Segment> path = critical_path(trace);
  append_number(out, path.size());
  int64_t before = 0;
  for (const Segment& s : path) {
    append_difference(out, o.back[s.event] - before);
    before = o.back[s.event];
  }
}

void write_residency(JsonWriter& json, const trace::Residency& r) {
  json.begin_object().member("memory", r.memory).member("capacity", r.capacity_bytes);
  json.member("sliceSeconds", to_seconds(r.slice)).key("rows").begin_array();
  for (const trace::Residency::Row& row : r.rows) {
    json.begin_object().member("name", row.name).member("first", row.first).key("bytes").begin_array();
    for (uint64_t bytes : row.bytes) json.value(bytes);
    json.end_array().end_object();
  }
  json.end_array().end_object();
}

std::string tables(const trace::Trace& trace) {
  const trace::About& about = trace.about;
  JsonWriter json;
  json.begin_object().key("sources").begin_array();
  for (const trace::Source& s : about.sources) {
    json.begin_array().value(s.layer).value(s.tile_op).value(s.node).end_array();
  }
  json.end_array().key("texts").begin_array();
  for (const std::string& text : about.texts) json.value(text);
  json.end_array().key("instructionTexts").begin_array();
  for (const trace::Unit& unit : about.units) {
    json.begin_array();
    for (uint32_t text : unit.instruction_texts) json.value(text);
    json.end_array();
  }
  json.end_array().key("releases").begin_array();
  for (int r = 0; r <= static_cast<int>(trace::Release::descriptors); ++r) {
    json.value(trace::release_name(static_cast<trace::Release>(r)));
  }
  json.end_array().key("memories").begin_array();
  for (const trace::Residency& r : about.memories) write_residency(json, r);
  return json.end_array().end_object().take();
}

std::string gzip(const std::string& bytes) {
  z_stream stream{};
  constexpr int kGzipHeader = 16;
  int status = deflateInit2(&stream, kCompression, Z_DEFLATED, MAX_WBITS + kGzipHeader, 9, Z_DEFAULT_STRATEGY);
  CHECK(status == Z_OK, "the parameters are right");
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  CHECK(bytes.size() < UINT32_MAX && out.size() < UINT32_MAX, "a page is smaller than 4 GiB");
  status = deflate(&stream, Z_FINISH);
  CHECK(status == Z_STREAM_END, "the bound is large enough");
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string base64(const std::string& bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve(bytes.size() / 3 * 4 + 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    const size_t left = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k) group = (group << 8) | (k < left ? static_cast<uint8_t>(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) out.push_back(k <= left ? kDigits[(group >> (18 - 6 * k)) & 63] : '=');
  }
  return out;
}

}  // namespace

std::string packed_events(const trace::Trace& trace) {
  const std::string json = tables(trace);
  std::string out;
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(json.size() >> shift));
  out += json;
  const Order order = order_of(trace);
  append_events(out, trace, order);
  append_path(out, trace, order);
  return base64(gzip(out));
}

}  // namespace presil::report
