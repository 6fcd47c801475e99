#include "backend/lower.h"

#include <fmt/format.h>

#include "backend/arrange.h"
#include "backend/emit.h"
#include "backend/lower_loops.h"
#include "backend/queues.h"
#include "backend/repeats.h"
#include "backend/spread.h"
#include "backend/synchronize.h"
#include "base/text.h"
#include "tile/structure.h"
#include "tile/verify.h"

namespace presil::backend {
namespace {

Result<void> check(const tile::TileProgram& program, const spec::ChipSpec& spec) {
  std::vector<isa::Finding> findings = tile::verify(program, spec);
  if (findings.empty()) return {};
  const isa::Finding& first = findings[0];
  std::string where =
      first.instruction < program.code.code.size() ? layer_of(program, first.instruction) : program.model;
  std::string more = findings.size() > 1 ? "; " + count_text(findings.size() - 1, "more finding") : "";
  return bad_input(first.text() + more, where);
}

// Constants' bytes stay out of the passes, which copy programs; new tensors come after the old ones.
std::vector<std::vector<std::byte>> take_data(tile::TileProgram& program) {
  std::vector<std::vector<std::byte>> data;
  for (isa::HbmTensor& t : program.tensors) data.push_back(std::move(t.data)), t.data.clear();
  return data;
}
void give_data(std::vector<std::vector<std::byte>> data, isa::Executable& executable) {
  for (size_t t = 0; t < data.size(); ++t) executable.tensors[t].data = std::move(data[t]);
}

}  // namespace

Result<isa::Executable> lower(tile::TileProgram program, const spec::ChipSpec& spec, const Options& options,
                              Statistics* statistics) {
  Statistics counts;
  if (options.verify) TRY(check(program, spec));
  std::vector<std::vector<std::byte>> data = take_data(program);
  spread_engines(program, spec);
  if (tile::has_structure(program)) {
    isa::Executable out = TRY(lower_loops(std::move(program), spec, options, counts));
    give_data(std::move(data), out);
    if (statistics) *statistics = counts;
    return out;
  }
  std::vector<LiveRange> ranges = live_ranges(program);
  Placement placement = TRY(arrange(program, ranges, spec, options, counts));
  TRY(go_on_unless(options.cancel));
  choose_queues(program, spec, options);
  Synchronization sync = TRY(synchronize(program, placement, ranges, spec, options));
  TRY(go_on_unless(options.cancel));
  isa::Executable out = TRY(emit(std::move(program), placement, sync, spec));
  give_data(std::move(data), out);
  counts.waits = sync.waits.size();
  for (isa::Program& queue : out.queues) {
    counts.instructions += queue.code.size();
    TRY(go_on_unless(options.cancel));
    if (options.reroll) queue = reroll(queue);
    counts.stored += queue.code.size();
  }
  if (statistics) *statistics = counts;
  return out;
}

}  // namespace presil::backend
