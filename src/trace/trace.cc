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
  }
  return {};
}

}  // namespace presil::trace
