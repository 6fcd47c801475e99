// About: what a report says beside events. Whose instructions ran on which chip, what each engine did and waited for,
// what lay in SBUF and PSUM, what the run would take on other chips. Plain data, saved with the events (save.h), so
// that a saved trace is all that a report needs.
#pragma once
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "base/time.h"

namespace presil::trace {

// A part of the time and its name.
struct Part {
  std::string name;
  Time time = 0;
  bool operator==(const Part&) const = default;
};

struct Clock {
  std::string name;  // of a kind of engine
  uint64_t hz = 0;
  bool operator==(const Clock&) const = default;
};

struct Source {
  uint32_t layer = 0;
  std::string tile_op;  // "load weights"
  std::string node;     // ONNX node or kernel
  bool operator==(const Source&) const = default;
};

struct Layer {
  std::string name, kind;
  uint64_t macs = 0;              // useful
  uint64_t compulsory_bytes = 0;  // HBM
  uint64_t hbm_bytes = 0;         // read and written
  uint64_t instructions = 0;
  Time time = 0;           // over layers they sum to elapsed
  std::vector<Part> busy;  // by kind of engine
  bool operator==(const Layer&) const = default;
};

// A sequencer's engine, or a DMA engine: the lane of the same index.
struct Unit {
  std::string name;           // "tensor", "dma3"
  std::string kind;           // "tensor", "dma"
  uint64_t instructions = 0;  // of a DMA engine: transfers
  uint64_t bytes = 0;         // of a DMA engine
  Time busy = 0;
  std::vector<Part> waits;                  // by cause; busy + waits = elapsed
  Time latency = 0;                         // of its instructions: last element accepted to results visible
  std::vector<uint32_t> instruction_texts;  // by static instruction: into About::texts
  bool operator==(const Unit&) const = default;
};

// A value of the chip and where it comes from.
struct ChipField {
  std::string section, key, value, source;
  bool operator==(const ChipField&) const = default;
};

// One resource of the chip made twice as good, and what the run takes then.
struct WhatIf {
  enum class Kind : uint8_t { rate, latency, size };
  struct Change {
    std::string section, key, before, after;  // as in a chip file
    bool operator==(const Change&) const = default;
  };
  std::string resource;  // "vector"
  Kind kind = Kind::rate;
  std::vector<Change> changes;
  Time same_program = 0;     // this executable on that chip; 0: not known
  Time compiled_for_it = 0;  // compiled again for that chip; 0: not known
  bool operator==(const WhatIf&) const = default;
};

// What lay in a memory, in slices of time: mean bytes in each.
struct Residency {
  struct Row {
    std::string name;             // a tensor, or what a layer computed
    uint32_t first = 0;           // slice
    std::vector<uint64_t> bytes;  // from there on
    bool operator==(const Row&) const = default;
  };
  std::string memory;
  uint64_t capacity_bytes = 0;
  uint64_t peak_bytes = 0;  // at any instant
  Time slice = 0;
  std::vector<Row> rows;
  bool operator==(const Residency&) const = default;
};

struct About {
  std::string model, chip, chip_file, chip_notes, precision, outcome, confidence;
  uint64_t spec_hash = 0, trace_hash = 0;
  uint32_t cores = 1;  // of the run. Units, texts, layers' times and memories are those of its first one
  Time elapsed = 0;
  uint64_t instructions = 0;
  uint64_t macs = 0;  // useful
  uint64_t compulsory_bytes = 0, hbm_read_bytes = 0, hbm_write_bytes = 0;
  uint64_t peak_macs_per_s = 0;  // in `precision`
  uint64_t bf16_macs_per_s = 0;
  uint64_t hbm_bound_bytes_per_s = 0;
  bool hbm_can_limit = false;  // all DMA engines together may ask for more than it gives
  Time wake = 0;               // a semaphore's increment to the earliest start of whoever waits for it
  std::vector<Clock> clocks;
  std::vector<std::string> texts;
  std::vector<Source> sources;
  std::vector<Layer> layers;
  std::vector<Unit> units;
  std::vector<ChipField> fields;
  std::vector<WhatIf> what_ifs;
  std::vector<Residency> memories;
  bool operator==(const About&) const = default;
};

// `visit` sees every field, in the order of a saved trace: the one place that says what it holds.
template <class V, class T>
void each_field(V& visit, T& x) {
  using U = std::remove_const_t<T>;
  if constexpr (std::is_same_v<U, Part>) {
    visit(x.name, x.time);
  } else if constexpr (std::is_same_v<U, Clock>) {
    visit(x.name, x.hz);
  } else if constexpr (std::is_same_v<U, Source>) {
    visit(x.layer, x.tile_op, x.node);
  } else if constexpr (std::is_same_v<U, Layer>) {
    visit(x.name, x.kind, x.macs, x.compulsory_bytes, x.hbm_bytes, x.instructions, x.time, x.busy);
  } else if constexpr (std::is_same_v<U, Unit>) {
    visit(x.name, x.kind, x.instructions, x.bytes, x.busy, x.waits, x.latency, x.instruction_texts);
  } else if constexpr (std::is_same_v<U, ChipField>) {
    visit(x.section, x.key, x.value, x.source);
  } else if constexpr (std::is_same_v<U, WhatIf::Change>) {
    visit(x.section, x.key, x.before, x.after);
  } else if constexpr (std::is_same_v<U, WhatIf>) {
    visit(x.resource, x.kind, x.changes, x.same_program, x.compiled_for_it);
  } else if constexpr (std::is_same_v<U, Residency::Row>) {
    visit(x.name, x.first, x.bytes);
  } else if constexpr (std::is_same_v<U, Residency>) {
    visit(x.memory, x.capacity_bytes, x.peak_bytes, x.slice, x.rows);
  } else {
    static_assert(std::is_same_v<U, About>);
    visit(x.model, x.chip, x.chip_file, x.chip_notes, x.precision, x.outcome, x.confidence, x.spec_hash, x.trace_hash,
          x.cores, x.elapsed, x.instructions, x.macs, x.compulsory_bytes, x.hbm_read_bytes, x.hbm_write_bytes,
          x.peak_macs_per_s, x.bf16_macs_per_s, x.hbm_bound_bytes_per_s, x.hbm_can_limit, x.wake, x.clocks, x.texts,
          x.sources, x.layers, x.units, x.fields, x.what_ifs, x.memories);
  }
}

}  // namespace presil::trace
