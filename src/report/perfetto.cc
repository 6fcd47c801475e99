#include "report/perfetto.h"

#include <map>
#include <string_view>

#include "report/wire.h"

namespace presil::report {
namespace {

// Field numbers of perfetto.proto.
namespace field {
enum Trace { packet = 1 };
enum Packet {
  timestamp = 8,
  sequence_id = 10,
  track_event = 11,
  interned_data = 12,
  sequence_flags = 13,
  track_descriptor = 60,
};
enum Descriptor { uuid = 1, descriptor_name = 2, parent_uuid = 5 };
enum Event { debug_annotations = 4, type = 9, name_iid = 10, track_uuid = 11 };
enum Annotation { annotation_name_iid = 1, uint_value = 3, string_value_iid = 17 };
enum Interned { event_names = 2, annotation_names = 3, annotation_strings = 29, iid = 1, interned_name = 2 };
}  // namespace field

constexpr uint64_t kSequence = 1, kNamesStartAnew = 1, kRefersToNames = 2;
constexpr uint64_t kSliceBegin = 1, kSliceEnd = 2;
constexpr uint64_t kRootTrack = 1, kFirstTrack = 2;

// Texts that repeat are written once, under a number, ahead of the packet that uses them first.
class Names {
 public:
  explicit Names(uint32_t table) : table_(table) {}
  uint64_t number(std::string_view text, std::string& fresh) {
    auto [it, is_new] = numbers_.try_emplace(std::string(text), numbers_.size() + 1);
    if (is_new) {
      std::string entry;
      append_integer(entry, field::iid, it->second);
      append_bytes(entry, field::interned_name, text);
      append_bytes(fresh, table_, entry);
    }
    return it->second;
  }

 private:
  uint32_t table_;
  std::map<std::string, uint64_t, std::less<>> numbers_;
};

class Writer {
 public:
  explicit Writer(const trace::Trace& trace) : trace_(trace), about_(trace.about) {}

  std::string print() {
    std::string first;
    append_integer(first, field::sequence_id, kSequence);
    append_integer(first, field::sequence_flags, kNamesStartAnew);
    append_bytes(out_, field::packet, first);
    track(kRootTrack, about_.model.empty() ? about_.chip : about_.model + " on " + about_.chip, 0);
    tracks_.resize(trace_.lane_list.size());
    for (const trace::Event& event : trace_.events) slice(event);
    return std::move(out_);
  }

 private:
  struct Track {
    uint64_t uuid = 0;
    Time free_from = 0;
  };

  void track(uint64_t uuid, std::string_view name, uint64_t parent) {
    std::string descriptor, packet;
    append_integer(descriptor, field::uuid, uuid);
    append_bytes(descriptor, field::descriptor_name, name);
    if (parent != 0) append_integer(descriptor, field::parent_uuid, parent);
    append_integer(packet, field::sequence_id, kSequence);
    append_bytes(packet, field::track_descriptor, descriptor);
    append_bytes(out_, field::packet, packet);
  }

  // The first track of the lane that is free at the event's start.
  uint64_t track_for(const trace::Event& event) {
    std::vector<Track>& of_lane = tracks_[event.lane];
    for (Track& t : of_lane) {
      if (t.free_from <= event.start) {
        t.free_from = event.busy_until;
        return t.uuid;
      }
    }
    uint64_t uuid = kFirstTrack + track_count_++;
    track(uuid, trace_.lane_list[event.lane].name, kRootTrack);
    of_lane.push_back({uuid, event.busy_until});
    return uuid;
  }

  void text_argument(std::string& event, std::string_view name, std::string_view text) {
    if (text.empty()) return;
    std::string annotation;
    append_integer(annotation, field::annotation_name_iid, argument_names_.number(name, fresh_));
    append_integer(annotation, field::string_value_iid, texts_.number(text, fresh_));
    append_bytes(event, field::debug_annotations, annotation);
  }

  void number_argument(std::string& event, std::string_view name, uint64_t value) {
    std::string annotation;
    append_integer(annotation, field::annotation_name_iid, argument_names_.number(name, fresh_));
    append_integer(annotation, field::uint_value, value);
    append_bytes(event, field::debug_annotations, annotation);
  }

  void packet(Time time, std::string_view event) {
    std::string packet;
    append_integer(packet, field::timestamp, static_cast<uint64_t>(time / kNanosecond));
    append_integer(packet, field::sequence_id, kSequence);
    append_integer(packet, field::sequence_flags, kRefersToNames);
    if (!fresh_.empty()) append_bytes(packet, field::interned_data, fresh_);
    append_bytes(packet, field::track_event, event);
    append_bytes(out_, field::packet, packet);
    fresh_.clear();
  }

  void slice(const trace::Event& e) {
    uint64_t uuid = track_for(e);
    const trace::Layer* layer = trace::event_layer(about_, e);
    std::string begin;
    append_integer(begin, field::type, kSliceBegin);
    append_integer(begin, field::name_iid, event_names_.number(trace::event_name(about_, e), fresh_));
    append_integer(begin, field::track_uuid, uuid);
    if (layer != nullptr) text_argument(begin, "layer", layer->name);
    if (e.source < about_.sources.size()) text_argument(begin, "node", about_.sources[e.source].node);
    text_argument(begin, "what", trace::instruction_text(about_, e));
    text_argument(begin, "released_by", trace::release_name(e.release));
    number_argument(begin, "instruction", e.instruction);
    number_argument(begin, "amount", e.amount);
    number_argument(begin, "start_fs", static_cast<uint64_t>(e.start));
    number_argument(begin, "busy_fs", static_cast<uint64_t>(e.busy_until - e.start));
    number_argument(begin, "latency_fs", static_cast<uint64_t>(e.end - e.start));
    packet(e.start, begin);
    std::string end;
    append_integer(end, field::type, kSliceEnd);
    append_integer(end, field::track_uuid, uuid);
    packet(e.busy_until, end);
  }

  const trace::Trace& trace_;
  const trace::About& about_;
  std::string out_, fresh_;
  Names event_names_{field::event_names}, argument_names_{field::annotation_names}, texts_{field::annotation_strings};
  std::vector<std::vector<Track>> tracks_;  // per lane
  uint64_t track_count_ = 0;
};

}  // namespace

std::string print_perfetto(const trace::Trace& trace) { return Writer(trace).print(); }

}  // namespace presil::report
