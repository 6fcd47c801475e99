#include "trace/trace.h"

namespace presil::trace {

std::string_view release_name(Release r) {
  switch (r) {
    case Release::start:
      return "start";
    case Release::queue:
      return "queue";
    case Release::semaphore:
      return "semaphore";
    case Release::bandwidth:
      return "bandwidth";
    case Release::descriptor:
      return "descriptor";
    case Release::port:
      return "port";
    case Release::table_load:
      return "table_load";
    case Release::trigger:
      return "trigger";
    case Release::stationary_load:
      return "stationary_load";
    case Release::descriptors:
      return "descriptors";
  }
  return {};
}

std::string_view event_name(const About& about, const Event& event) {
  if (event.source >= about.sources.size() || about.sources[event.source].tile_op.empty()) return "?";
  return about.sources[event.source].tile_op;
}

const Layer* event_layer(const About& about, const Event& event) {
  if (event.source >= about.sources.size()) return nullptr;
  const uint32_t layer = about.sources[event.source].layer;
  return layer < about.layers.size() ? &about.layers[layer] : nullptr;
}

std::string_view instruction_text(const About& about, const Event& event) {
  if (event.lane >= about.units.size()) return {};
  const std::vector<uint32_t>& texts = about.units[event.lane].instruction_texts;
  if (event.instruction >= texts.size() || texts[event.instruction] >= about.texts.size()) return {};
  return about.texts[texts[event.instruction]];
}

}  // namespace presil::trace
