#include "tile/print.h"

#include <fmt/format.h>

#include "isa/print.h"

namespace presil::tile {

std::string print(const TileProgram& program) {
  std::string out = fmt::format("tile_program \"{}\" precision={}\n", program.model, program.precision);
  auto to = std::back_inserter(out);
  for (size_t n = 0; n < program.tensors.size(); ++n) {
    const isa::HbmTensor& t = program.tensors[n];
    fmt::format_to(to, "tensor %{} {} {}[{}] \"{}\"\n", n, role_name(t.role), dtype_name(t.dtype),
                   fmt::join(t.shape, " "), t.name);
  }
  for (size_t n = 0; n < program.tiles.size(); ++n) {
    const Tile& t = program.tiles[n];
    fmt::format_to(to, "tile %{} {} {}x{}", n, memory_name(t.memory), t.partitions, t.bytes);
    if (t.fixed_partition) fmt::format_to(to, " p{}", *t.fixed_partition);
    if (t.fixed_offset) fmt::format_to(to, " @{}", *t.fixed_offset);
    fmt::format_to(to, " \"{}\"\n", t.name);
  }
  for (size_t n = 0; n < program.layers.size(); ++n) {
    const isa::Layer& l = program.layers[n];
    fmt::format_to(to, "layer {} {} macs={} bytes={} \"{}\"\n", n, l.kind, l.macs, l.bytes, l.name);
  }
  for (size_t n = 0; n < program.sources.size(); ++n) {
    const isa::Source& s = program.sources[n];
    fmt::format_to(to, "source {} layer={} \"{}\" \"{}\"\n", n, s.layer, s.tile_op, s.graph_node);
  }
  if (program.registers > 0) fmt::format_to(to, "registers {}\n", program.registers);
  for (const TileProgram::Order& o : program.order) fmt::format_to(to, "order {} before {}\n", o.before, o.after);
  return out + "code\n" + isa::print(program.code);
}

}  // namespace presil::tile
