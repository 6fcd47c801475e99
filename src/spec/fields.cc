#include "spec/fields.h"

#include <utility>

namespace presil::spec {
namespace {

constexpr uint64_t kClockMax = 100'000'000'000;            // 100 GHz
constexpr uint64_t kRateMax = 1'000'000'000'000'000;       // 1 PB/s
constexpr uint64_t kSizeMax = uint64_t{1} << 50;           // 1 PiB
constexpr uint64_t kDurationMax = kFemtosecondsPerSecond;  // 1 s
constexpr uint64_t kCyclesMax = 1'000'000;

struct Range {
  uint64_t least, most;
};
constexpr Range kClock{1'000'000, kClockMax}, kRate{1'000'000, kRateMax}, kDuration{0, kDurationMax},
    kCycles{0, kCyclesMax};

// A field of a section: Member is a pointer to a member of the section's struct or of its base.
template <auto Section, auto Member>
Field field(std::string_view section, std::string_view key, Unit unit, Range range, std::string_view doc) {
  return {.section = section,
          .key = key,
          .unit = unit,
          .least = range.least,
          .most = range.most,
          .doc = doc,
          .get = [](const ChipSpec& s) { return static_cast<uint64_t>((s.*Section).*Member); },
          .set =
              [](ChipSpec& s, uint64_t v) {
                auto& member = (s.*Section).*Member;
                member = static_cast<std::remove_reference_t<decltype(member)>>(v);
              }};
}

template <auto Member>
Field top(std::string_view key, Range range, std::string_view doc) {
  return {.key = key,
          .least = range.least,
          .most = range.most,
          .doc = doc,
          .get = [](const ChipSpec& s) { return static_cast<uint64_t>(s.*Member); },
          .set = [](ChipSpec& s, uint64_t v) { s.*Member = static_cast<uint32_t>(v); }};
}

template <auto Section, auto Member>
Field names(std::string_view section, std::string_view key, std::string_view doc) {
  return {.section = section, .key = key, .doc = doc, .names = [](ChipSpec& s) -> std::vector<std::string>& {
            return (s.*Section).*Member;
          }};
}

using Fields = std::vector<Field>;

template <auto Section>
void engine(Fields& out, std::string_view name) {
  using enum Unit;
  out.push_back(field<Section, &EngineSpec::count>(name, "count", count, {1, 8}, "engines of this kind in a core"));
  out.push_back(field<Section, &EngineSpec::clock_hz>(name, "clock", hertz, kClock, "clock of the engine"));
  out.push_back(field<Section, &EngineSpec::initiation_min_cycles>(
      name, "initiation_min", cycles, {1, kCyclesMax}, "least occupancy of an instruction, engine cycles (MIN_II)"));
  out.push_back(field<Section, &EngineSpec::issue_overhead_cycles>(
      name, "issue_overhead", cycles, kCycles, "engine cycles added to the data's cycles of every instruction"));
  out.push_back(field<Section, &EngineSpec::latency>(name, "latency", duration, kDuration,
                                                     "last element accepted to results visible"));
  out.push_back(names<Section, &EngineSpec::reads>(name, "reads", "memories that it reads"));
  out.push_back(names<Section, &EngineSpec::writes>(name, "writes", "memories that it writes"));
}

template <auto Section>
void lanes(Fields& out, std::string_view name) {
  out.push_back(field<Section, &EngineSpec::lanes>(name, "lanes", Unit::count, {1, 512},
                                                   "partitions served side by side; more take more passes"));
}

void tensor(Fields& out) {
  using enum Unit;
  constexpr auto S = &ChipSpec::tensor;
  constexpr Range passes{1, 64};
  engine<S>(out, "tensor");
  out.push_back(field<S, &TensorSpec::rows>("tensor", "rows", count, {32, 512},
                                            "rows of the array: contraction (K) of one pass"));
  out.push_back(
      field<S, &TensorSpec::columns>("tensor", "columns", count, {32, 512}, "columns of the array: M of one pass"));
  out.push_back(field<S, &TensorSpec::moving_max>("tensor", "moving_max", count, {1, 65536},
                                                  "moving columns (N) of one instruction"));
  out.push_back(
      field<S, &TensorSpec::load_speedup>("tensor", "load_speedup", count, {1, 256},
                                          "columns of the stationary operand loaded per cycle, in the background"));
  out.push_back(
      field<S, &TensorSpec::fp32_passes>("tensor", "fp32_passes", count, passes, "cycles per moving column in fp32"));
  out.push_back(field<S, &TensorSpec::fp32_transpose_passes>("tensor", "fp32_transpose_passes", count, passes,
                                                             "the same for transposes of 4-byte elements"));
  out.push_back(field<S, &TensorSpec::fp32_instructions>("tensor", "fp32_instructions", count, passes,
                                                         "hardware MATMUL instructions of one fp32 nc_matmul"));
  out.push_back(field<S, &TensorSpec::fp32_onezero_passes>(
      "tensor", "fp32_onezero_passes", count, passes,
      "cycles per moving column in fp32 where an operand is said to hold ones and zeros only"));
  out.push_back(field<S, &TensorSpec::tile_min>("tensor", "tile_min", count, {1, 512},
                                                "least rows and columns of a part of the array that works for itself"));
  out.push_back(field<S, &TensorSpec::current_ramp>(
      "tensor", "current_ramp", duration, kDuration,
      "from the beginning of work to full speed, which less work than `current_ramp_start` within this time ends"));
  out.push_back(field<S, &TensorSpec::current_ramp_percent>("tensor", "current_ramp_start", percent, {1, 100},
                                                            "speed at its beginning"));
}

void vector(Fields& out) {
  using enum Unit;
  constexpr auto S = &ChipSpec::vector;
  constexpr Range speedup{1, 64};
  engine<S>(out, "vector");
  lanes<S>(out, "vector");
  out.push_back(field<S, &VectorSpec::fast_copy_16bit>(
      "vector", "fast_copy_16bit", count, speedup,
      "speed-up of tensor_copy and tensor_scalar, SBUF to SBUF, 16-bit floats, innermost contiguous"));
  out.push_back(field<S, &VectorSpec::fast_copy_other>("vector", "fast_copy_other", count, speedup,
                                                       "the same, SBUF to SBUF, other types or strided"));
  out.push_back(field<S, &VectorSpec::fast_copy_psum_16bit>("vector", "fast_copy_psum_16bit", count, speedup,
                                                            "the same, 16-bit floats, contiguous, one side in PSUM"));
  out.push_back(field<S, &VectorSpec::fast_tensor_tensor_16bit>(
      "vector", "fast_tensor_tensor_16bit", count, speedup,
      "speed-up of tensor_tensor, both inputs in SBUF, everything 16-bit floats"));
  out.push_back(field<S, &VectorSpec::exponential_per_cycle>("vector", "exponential_per_cycle", count, speedup,
                                                             "elements of exponential per cycle and lane"));
  out.push_back(field<S, &VectorSpec::random_per_cycle>("vector", "random_per_cycle", count, speedup,
                                                        "random words per cycle and lane"));
  constexpr Range rule{0, 2};
  out.push_back(field<S, &VectorSpec::sbuf_with_gpsimd>(
      "vector", "sbuf_with_gpsimd", count, rule,
      "on SBUF beside the gpsimd engine: 0 always, 1 outside of performance modes, 2 never"));
  out.push_back(
      field<S, &VectorSpec::psum_with_scalar>("vector", "psum_with_scalar", count, rule,
                                              "on PSUM beside the scalar engine: 0 always, 1 in other banks, 2 never"));
}

void scalar(Fields& out) {
  using enum Unit;
  constexpr auto S = &ChipSpec::scalar;
  engine<S>(out, "scalar");
  lanes<S>(out, "scalar");
  out.push_back(
      field<S, &ScalarSpec::table_load>("scalar", "table_load", duration, kDuration, "changing the activation table"));
  out.push_back(field<S, &ScalarSpec::fast_short_floats>(
      "scalar", "fast_short_floats", count, {1, 64},
      "speed-up where data and result are contiguous floats of 16 bits or less"));
  out.push_back(field<S, &ScalarSpec::accumulator_read_cycles>("scalar", "accumulator_read", cycles, kCycles,
                                                               "reading the accumulators out after an activation"));
}

void gpsimd(Fields& out) {
  using enum Unit;
  constexpr auto S = &ChipSpec::gpsimd;
  engine<S>(out, "gpsimd");
  lanes<S>(out, "gpsimd");
  out.push_back(
      field<S, &GpsimdSpec::start_cycles>("gpsimd", "start", cycles, kCycles, "start of an instruction's routine"));
  out.push_back(
      field<S, &GpsimdSpec::word_bytes>("gpsimd", "word", bytes, {1, 64}, "bytes moved per partition and cycle"));
  out.push_back(field<S, &GpsimdSpec::partition_reduce_cycles>("gpsimd", "partition_reduce", cycles, {1, kCyclesMax},
                                                               "per element of the result of tensor_partition_reduce"));
}

template <auto Section>
void sram(Fields& out, std::string_view name) {
  using enum Unit;
  out.push_back(field<Section, &SramSpec::partitions>(name, "partitions", count, {32, 512}, "partitions"));
  out.push_back(field<Section, &SramSpec::bytes_per_partition>(name, "partition_size", bytes, {1024, 16 << 20},
                                                               "bytes of a partition"));
  out.push_back(field<Section, &SramSpec::banks>(name, "banks", count, {1, 64},
                                                 "banks of a partition; a PSUM tile stays within one"));
  out.push_back(field<Section, &SramSpec::half_rate_stride_bytes>(
      name, "half_rate_stride", bytes, {1, 1 << 20}, "innermost strides from here on halve the rate of a port"));
}

void dma(Fields& out) {
  using enum Unit;
  constexpr auto S = &ChipSpec::dma;
  const auto add = [&out]<auto Member>(std::integral_constant<decltype(Member), Member>, std::string_view key,
                                       Unit unit, Range range, std::string_view doc) {
    out.push_back(field<S, Member>("dma", key, unit, range, doc));
  };
#define DMA_FIELD(member, ...) add(std::integral_constant<decltype(&DmaSpec::member), &DmaSpec::member>{}, __VA_ARGS__)
  DMA_FIELD(engines, "engines", count, Range{1, 64}, "DMA engines of a core");
  DMA_FIELD(queues, "queues", count, Range{1, 64}, "queues of each engine");
  DMA_FIELD(engine_bytes_per_s, "engine_bandwidth", bytes_per_second, kRate, "all queues of one engine together");
  DMA_FIELD(queue_bytes_per_s, "queue_bandwidth", bytes_per_second, kRate, "one queue on one engine");
  DMA_FIELD(descriptor, "descriptor", duration, kDuration, "fixed cost of a descriptor on its engine");
  DMA_FIELD(transfer_floor, "transfer_floor", duration, kDuration,
            "least time between the starts of two transfers of one queue");
  DMA_FIELD(trigger_from_hbm, "trigger_from_hbm", duration, kDuration,
            "occupancy of the triggering sequencer, source in HBM");
  DMA_FIELD(trigger_from_sbuf, "trigger_from_sbuf", duration, kDuration, "the same, source in SBUF");
  DMA_FIELD(start_latency_from_hbm, "start_latency_from_hbm", duration, kDuration,
            "trigger to first data, source in HBM");
  DMA_FIELD(start_latency_from_sbuf, "start_latency_from_sbuf", duration, kDuration, "the same, source in SBUF");
  DMA_FIELD(dispatch_per_descriptor, "dispatch_per_descriptor", duration, kDuration,
            "no descriptor is done earlier than this times its number after the first data");
  DMA_FIELD(dispatch_max, "dispatch_max", duration, kDuration, "upper limit of that delay");
  DMA_FIELD(completion, "completion", duration, kDuration, "last byte to semaphore increment");
  DMA_FIELD(access_bytes_min, "access_min", bytes, Range{1, 4096},
            "a shorter descriptor takes as long as this many bytes");
  DMA_FIELD(descriptor_bytes_max, "descriptor_max", bytes, Range{64, 1 << 24},
            "longer contiguous runs are cut into descriptors of at most this");
  DMA_FIELD(descriptor_bytes_min, "descriptor_min", bytes, Range{1, 1 << 20},
            "a run is not cut below this to occupy more engines");
  DMA_FIELD(transpose_percent_hbm, "transpose_rate_from_hbm", percent, Range{1, 100},
            "DMA transpose rate over copy rate, source in HBM");
  DMA_FIELD(transpose_percent_sbuf, "transpose_rate_from_sbuf", percent, Range{1, 100}, "the same, source in SBUF");
  DMA_FIELD(compute_percent, "compute_rate", percent, Range{1, 100},
            "rate of a dma_compute of two sources over copy rate");
  DMA_FIELD(software_descriptor, "software_descriptor", duration, kDuration,
            "gpsimd's time for each descriptor that software makes (swdge)");
  DMA_FIELD(hardware_generation, "hardware_generation", duration, kDuration,
            "time of the hardware block for the descriptors of a transfer (hwdge)");
  DMA_FIELD(class_ratio, "class_ratio", count, Range{1, 64},
            "an engine's part for a service class over that for the next one");
  DMA_FIELD(transpose_columns, "transpose_columns", count, Range{1, 256},
            "a DMA transpose works in blocks of partitions x this many columns");
#undef DMA_FIELD
}

Fields make_fields() {
  using enum Unit;
  Fields out;
  out.push_back(top<&ChipSpec::generation>("generation", {2, 4}, "generation of the instruction table"));
  out.push_back(top<&ChipSpec::cores>("cores", {1, 1024}, "cores on the chip"));
  out.push_back(top<&ChipSpec::lnc_max>("lnc_max", {1, 2},
                                        "most cores of a logical core: 2 lets neighbours on a stack form pairs"));
  tensor(out);
  vector(out);
  scalar(out);
  gpsimd(out);
  engine<&ChipSpec::sync>(out, "sync");
  sram<&ChipSpec::sbuf>(out, "sbuf");
  sram<&ChipSpec::psum>(out, "psum");
  dma(out);
  constexpr auto H = &ChipSpec::hbm;
  out.push_back(field<H, &HbmSpec::stacks>("hbm", "stacks", count, {1, 1024},
                                           "stacks of the chip, each attached to as many cores, in their order"));
  out.push_back(
      field<H, &HbmSpec::bytes>("hbm", "size", bytes, {1 << 20, kSizeMax}, "of a stack: what a core reaches"));
  out.push_back(field<H, &HbmSpec::bytes_per_s>("hbm", "bandwidth", bytes_per_second, kRate,
                                                "of a stack, reads and writes of all its cores together"));
  constexpr auto S = &ChipSpec::semaphores;
  out.push_back(field<S, &SemaphoreSpec::count>("semaphores", "count", count, {8, 32767}, "semaphores of a core"));
  out.push_back(field<S, &SemaphoreSpec::maximum>("semaphores", "maximum", count, {1 << 10, (1ull << 32) - 1},
                                                  "largest value of a semaphore"));
  out.push_back(field<S, &SemaphoreSpec::wake>("semaphores", "wake", duration, kDuration,
                                               "increment to earliest start of a waiting instruction"));
  out.push_back(field<S, &SemaphoreSpec::remote_wake>("semaphores", "remote_wake", duration, kDuration,
                                                      "the same for an engine's increment in its pair's other core"));
  constexpr auto Q = &ChipSpec::sequencer;
  out.push_back(field<Q, &SequencerSpec::registers>("sequencer", "registers", count, {1, 64},
                                                    "32-bit registers of every sequencer"));
  out.push_back(field<Q, &SequencerSpec::register_operation>("sequencer", "register_operation", duration, kDuration,
                                                             "moving, computing, entering a loop"));
  out.push_back(field<Q, &SequencerSpec::register_access>("sequencer", "register_access", duration, kDuration,
                                                          "one element between a register and a memory"));
  out.push_back(field<Q, &SequencerSpec::branch>("sequencer", "branch", duration, kDuration,
                                                 "a branch, taken or not, and the end of a loop's iteration"));
  out.push_back(field<Q, &SequencerSpec::dynamic_address_cycles_min>(
      "sequencer", "dynamic_address_min", cycles, kCycles,
      "least cycles of an engine's instruction whose address comes from a register"));
  return out;
}

}  // namespace

std::span<const Field> chip_fields() {
  static const Fields fields = make_fields();
  return fields;
}

const Field* find_field(std::string_view path) {
  for (const Field& f : chip_fields()) {
    if (f.path() == path) return &f;
  }
  return nullptr;
}

std::vector<std::string> section_names() {
  std::vector<std::string> out;
  for (const Field& f : chip_fields()) {
    if (!f.section.empty() && (out.empty() || out.back() != f.section)) out.emplace_back(f.section);
  }
  return out;
}

}  // namespace presil::spec
