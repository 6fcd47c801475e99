#include "trace/save.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>

#include "base/hash.h"

namespace presil::trace {
namespace {

// Header: magic, version, bytes of the content, hash of the content; then the content, compressed.
constexpr char kMagic[8] = {'p', 'r', 'e', 's', 'i', 'l', 't', 'r'};
constexpr uint64_t kVersion = 4;
struct Header {
  char magic[8];
  uint64_t version = 0, content_bytes = 0, content_hash = 0;
};
constexpr uint64_t kContentMax = uint64_t{1} << 36;
constexpr int kCompression = 3;

struct Writer {
  std::vector<std::byte> bytes;
  void number(uint64_t v) {
    for (; v >= 128; v >>= 7) bytes.push_back(static_cast<std::byte>(v | 128));
    bytes.push_back(static_cast<std::byte>(v));
  }
  void difference(int64_t v) { number((static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63)); }
  void text(const std::string& s) {
    number(s.size());
    for (char c : s) bytes.push_back(static_cast<std::byte>(c));
  }
};

// About: numbers, texts, counts and what they count, in the order of each_field().
struct AboutWriter {
  Writer& out;
  void field(const std::string& s) { out.text(s); }
  template <class T>
  void field(const std::vector<T>& v) {
    out.number(v.size());
    for (const T& x : v) field(x);
  }
  template <class T>
  void field(const T& x) {
    if constexpr (std::is_class_v<T>) {
      each_field(*this, x);
    } else {
      out.difference(static_cast<int64_t>(x));
    }
  }
  template <class... T>
  void operator()(const T&... fields) {
    (field(fields), ...);
  }
};

// After the first impossible byte everything reads as zero and `broken` stays set.
struct Reader {
  std::span<const std::byte> bytes;
  size_t at = 0;
  bool broken = false;
  uint64_t number() {
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at >= bytes.size()) break;
      auto b = static_cast<uint64_t>(bytes[at++]);
      v |= (b & 127) << shift;
      if (b < 128) return v;
    }
    broken = true;
    return 0;
  }
  int64_t difference() {
    uint64_t v = number();
    return static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1);
  }
  std::string text() {
    uint64_t size = number();
    if (broken || size > bytes.size() - at) return broken = true, std::string();
    std::string s(reinterpret_cast<const char*>(bytes.data() + at), size);
    at += size;
    return s;
  }
};

struct AboutReader {
  Reader& in;
  void field(std::string& s) { s = in.text(); }
  template <class T>
  void field(std::vector<T>& v) {
    const uint64_t count = in.number();
    if (count > in.bytes.size() - in.at) in.broken = true;  // each takes a byte at least
    if (in.broken) return;
    v.resize(count);
    for (T& x : v) field(x);
  }
  template <class T>
  void field(T& x) {
    if constexpr (std::is_class_v<T>) {
      each_field(*this, x);
    } else {
      x = static_cast<T>(in.difference());
    }
  }
  template <class... T>
  void operator()(T&... fields) {
    (field(fields), ...);
  }
};

// An event as differences from what is near: the event before it, its own start, its own index.
using Fields = std::array<int64_t, 14>;

Fields fields(const Event& e, const Event& before, int64_t index) {
  return {e.lane,
          int64_t{e.instruction} - before.instruction,
          int64_t{e.source} - before.source,
          e.start - before.start,
          e.busy_until - e.start,
          e.end - e.start,
          static_cast<int64_t>(e.release),
          e.cause == kNoEvent ? 0 : index - e.cause,
          static_cast<int64_t>(e.amount),
          e.dma_queue,
          e.semaphore,
          e.setup,
          e.trigger == kNoEvent ? 0 : index - e.trigger,
          e.alone};
}

// Of what any file may say; plausible() judges the result.
int64_t wrapping_add(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
int64_t wrapping_subtract(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}

Event event_from(const Fields& f, const Event& before, int64_t index) {
  Event e;
  e.lane = static_cast<uint32_t>(f[0]);
  e.instruction = static_cast<uint32_t>(wrapping_add(before.instruction, f[1]));
  e.source = static_cast<uint32_t>(wrapping_add(before.source, f[2]));
  e.start = wrapping_add(before.start, f[3]);
  e.busy_until = wrapping_add(e.start, f[4]);
  e.end = wrapping_add(e.start, f[5]);
  e.release = static_cast<Release>(f[6]);
  e.cause = f[7] == 0 ? kNoEvent : static_cast<uint32_t>(wrapping_subtract(index, f[7]));
  e.amount = static_cast<uint64_t>(f[8]);
  e.dma_queue = static_cast<uint8_t>(f[9]);
  e.semaphore = static_cast<uint16_t>(f[10]);
  e.setup = f[11];
  e.trigger = f[12] == 0 ? kNoEvent : static_cast<uint32_t>(index - f[12]);
  e.alone = f[13];
  return e;
}

// One column per field, so that equal things lie side by side.
std::vector<std::byte> content_of(const Trace& trace) {
  Writer out;
  out.number(trace.lane_list.size());
  for (const Lane& lane : trace.lane_list) {
    out.text(lane.name);
    out.number(static_cast<uint64_t>(lane.kind));
  }
  out.number(trace.events.size());
  for (size_t field = 0; field < Fields{}.size(); ++field) {
    Event before;
    for (size_t k = 0; k < trace.events.size(); ++k) {
      out.difference(fields(trace.events[k], before, static_cast<int64_t>(k))[field]);
      before = trace.events[k];
    }
  }
  AboutWriter{out}.field(trace.about);
  return std::move(out.bytes);
}

bool plausible(const Event& e, size_t index, size_t lanes) {
  return e.lane < lanes && e.release <= Release::descriptors && e.start >= 0 && e.start <= e.busy_until &&
         e.start <= e.end && (e.cause == kNoEvent || e.cause < index) && (e.trigger == kNoEvent || e.trigger < index) &&
         e.setup >= 0 && e.setup <= e.start && e.alone >= 0;
}

Result<Trace> trace_from(std::span<const std::byte> content, const std::string& where) {
  Reader in{content};
  Trace trace;
  const uint64_t lanes = in.number();
  for (uint64_t k = 0; k < lanes && !in.broken; ++k) {
    Lane lane;
    lane.name = in.text();
    lane.kind = in.number() == 0 ? Lane::Kind::engine : Lane::Kind::dma;
    trace.lane_list.push_back(std::move(lane));
  }
  const uint64_t count = in.number();
  if (in.broken || count > content.size()) return bad_input("the trace ends in its header", where);
  std::vector<Fields> all(count);
  for (size_t field = 0; field < Fields{}.size(); ++field) {
    for (Fields& f : all) f[field] = in.difference();
  }
  if (in.broken) return bad_input("the trace ends in its events", where);
  AboutReader{in}.field(trace.about);
  if (in.broken || in.at != content.size()) return bad_input("the trace ends in what it says about its run", where);
  for (size_t k = 0; k < count; ++k) {
    trace.events.push_back(event_from(all[k], k == 0 ? Event() : trace.events[k - 1], static_cast<int64_t>(k)));
    if (!plausible(trace.events[k], k, lanes)) return bad_input(fmt::format("event {} cannot be", k), where);
  }
  return trace;
}

}  // namespace

std::vector<std::byte> save(const Trace& trace) {
  const std::vector<std::byte> content = content_of(trace);
  Header header{.version = kVersion, .content_bytes = content.size(), .content_hash = hash_bytes(content)};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  std::vector<std::byte> bytes(sizeof header + ZSTD_compressBound(content.size()));
  std::memcpy(bytes.data(), &header, sizeof header);
  size_t packed = ZSTD_compress(bytes.data() + sizeof header, bytes.size() - sizeof header, content.data(),
                                content.size(), kCompression);
  CHECK(!ZSTD_isError(packed), "the bound is large enough");
  bytes.resize(sizeof header + packed);
  return bytes;
}

Result<Trace> load(std::span<const std::byte> bytes, const std::string& where) {
  Header header;
  if (bytes.size() < sizeof header || std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0) {
    return bad_input("not a saved trace", where);
  }
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.version != kVersion) {
    return unsupported(fmt::format("trace of version {}, expected {}", header.version, kVersion), where);
  }
  std::span<const std::byte> packed = bytes.subspan(sizeof header);
  // zstd packs at most about 2^15 bytes into one; larger claims are not worth an allocation.
  if (header.content_bytes > std::min<uint64_t>(kContentMax, (packed.size() + 1) << 15)) {
    return bad_input(fmt::format("claims {} bytes in {}", header.content_bytes, packed.size()), where);
  }
  std::vector<std::byte> content(header.content_bytes);
  size_t size = ZSTD_decompress(content.data(), content.size(), packed.data(), packed.size());
  if (ZSTD_isError(size) || size != content.size() || hash_bytes(content) != header.content_hash) {
    return bad_input("the trace is damaged", where);
  }
  return trace_from(content, where);
}

}  // namespace presil::trace
