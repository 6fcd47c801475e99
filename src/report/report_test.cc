#include <gtest/gtest.h>

#include "report/critical_path.h"
#include "report/document.h"
#include "report/page.h"
#include "report/perfetto.h"
#include "report/summary.h"
#include "report/what_if.h"
#include "spec/chip_file.h"

namespace presil::report {
namespace {

using Kind = trace::WhatIf::Kind;
using trace::Release;

// tensor 0..10, visible at 14; vector waits for it: 15..25, visible at 30; a transfer, unrelated, 0..20; a last
// instruction of the tensor engine, queued behind the first: 10..12.
trace::Trace small_trace() {
  trace::Trace t;
  t.lane_list = {{"core0.tensor", trace::Lane::Kind::engine},
                 {"core0.vector", trace::Lane::Kind::engine},
                 {"core0.dma3", trace::Lane::Kind::dma}};
  auto event = [&](uint32_t lane, Time start, Time busy_until, Time end, Release release, uint32_t cause) {
    trace::Event e;
    e.lane = lane, e.start = start, e.busy_until = busy_until, e.end = end, e.release = release, e.cause = cause;
    t.events.push_back(e);
  };
  event(0, 0, 10, 14, Release::start, trace::kNoEvent);
  event(2, 0, 20, 20, Release::start, trace::kNoEvent);
  event(0, 10, 12, 16, Release::queue, 0);
  event(1, 15, 25, 30, Release::semaphore, 0);
  return t;
}

TEST(CriticalPath, FollowsWhatReleasedEachStart) {
  auto path = critical_path(small_trace());
  ASSERT_EQ(path.size(), 2u);
  EXPECT_EQ(path[0].event, 0u);
  EXPECT_EQ(path[0].begin, 0);
  EXPECT_EQ(path[0].end, 15);
  EXPECT_EQ(path[1].event, 3u);
  EXPECT_EQ(path[1].begin, 15);
  EXPECT_EQ(path[1].end, 30);
}

PathRow row_of(const std::vector<PathRow>& rows, const std::string& resource, Kind kind) {
  auto row = std::ranges::find_if(rows, [&](const PathRow& r) { return r.resource == resource && r.kind == kind; });
  return row == rows.end() ? PathRow{} : *row;
}

TEST(CriticalPath, RowsSayWhereTheTimeWent) {
  trace::Trace t = small_trace();
  t.about.units.resize(3);
  t.about.units[2] = {.kind = "dma"};
  t.about.units[0] = {.kind = "tensor", .latency = 4};
  t.about.units[1] = {.kind = "gpsimd", .latency = 5};
  t.about.wake = 1;
  t.events[3].semaphore = 7;
  auto rows = path_rows(t);
  EXPECT_EQ(row_of(rows, "tensor", Kind::rate).time, 10);
  EXPECT_EQ(row_of(rows, "tensor", Kind::rate).gain_most, 5);
  EXPECT_EQ(row_of(rows, "tensor", Kind::latency).time, 4);
  EXPECT_EQ(row_of(rows, "semaphores", Kind::latency).time, 1);
  EXPECT_EQ(row_of(rows, "vector", Kind::rate).time, 10);
  EXPECT_EQ(row_of(rows, "vector", Kind::latency).time, 5);
  EXPECT_EQ(row_of(rows, "gpsimd", Kind::rate).gain_most, 0);
  EXPECT_EQ(rows.size(), 8u) << "those, and gpsimd, DMA and HBM, which gain nothing";
}

TEST(CriticalPath, OfNothingIsEmpty) { EXPECT_TRUE(critical_path({}).empty()); }

TEST(Document, PrintsMarkdownAndEscapes) {
  Document d{"a < b", {{"x|y", {"text & more"}, {{"name", "n|o"}, {{"r<1>", "2"}}}}}};
  EXPECT_EQ(print_markdown(d), "# a < b\n\n## x|y\n\ntext & more\n\n| name | n\\|o |\n|---|---|\n| r<1> | 2 |\n\n");
}

// One microsecond on trn2 in which the tensor engine works 60 %, with 1.2 MB from HBM and two layers.
struct Case {
  isa::Executable executable;
  spec::ChipSpec chip = spec::load_chip("trn2").value();
  system::RunResult run;
  Case() {
    executable.precision = "bf16";
    executable.layers = {{.name = "a", .kind = "conv", .macs = 3'000'000}, {.name = "b", .kind = "pool"}};
    executable.tensors = {{.name = "x", .role = isa::TensorRole::input, .bytes = 100'000},
                          {.name = "s", .role = isa::TensorRole::scratch, .bytes = 900'000}};
    run.elapsed = 1'000'000'000;
    chip::Counters counters;
    chip::EngineCounters tensor{.name = "tensor", .kind = isa::EngineKind::tensor, .busy = 600'000'000};
    tensor.waits[static_cast<size_t>(chip::WaitCause::dma)] = 400'000'000;
    counters.engines = {tensor};
    counters.dma.resize(2);
    for (chip::DmaCounters& d : counters.dma) d.busy = 300'000'000, d.idle = 700'000'000;
    counters.layers.resize(2);
    counters.layers[0].time = 750'000'000;
    counters.layers[0].busy[0] = 600'000'000;
    counters.layers[1].time = 250'000'000;
    counters.layers[1].hbm_read_bytes = 80'000;
    counters.read_bytes[static_cast<size_t>(isa::Memory::hbm)] = 80'000;
    run.cores = {{.elapsed = run.elapsed, .counters = counters}};
  }
  Summary summary() const { return summarize(executable, chip, run); }
};

TEST(Summary, Fractions) {
  Case r;
  Summary s = r.summary();
  EXPECT_DOUBLE_EQ(s.seconds, 1e-6);
  const double peak = 128.0 * 128 * 2.4e9;
  EXPECT_DOUBLE_EQ(s.mfu, 3e6 / (1e-6 * peak));
  EXPECT_DOUBLE_EQ(s.hbm_bound_fraction, 80'000 / (1e-6 * s.hbm_bound_bytes_per_s));
  ASSERT_EQ(s.engines.size(), 2u);
  EXPECT_DOUBLE_EQ(s.engines[0].busy_fraction, 0.6);
  EXPECT_EQ(s.engines[0].waits, (std::vector<std::pair<std::string, double>>{{"dma", 0.4}}));
  EXPECT_DOUBLE_EQ(s.engines[1].busy_fraction, 0.3);
  EXPECT_EQ(s.bound_by, "tensor");
}

TEST(Summary, IdealIsTheLargerOfMacsAndCompulsoryBytes) {
  Case r;
  const double by_bytes = 100'000 / hbm_bound_bytes_per_s(r.chip), by_macs = 3e6 / peak_macs_per_s(r.chip, "bf16");
  EXPECT_DOUBLE_EQ(r.summary().ideal_seconds, std::max(by_bytes, by_macs));
  r.executable.layers[0].macs = 3'000'000'000;
  EXPECT_DOUBLE_EQ(r.summary().ideal_seconds, 1000 * by_macs);
}

TEST(Summary, LayersSayWhatBoundsThem) {
  Case r;
  auto layers = r.summary().layers;
  ASSERT_EQ(layers.size(), 2u);
  EXPECT_EQ(layers[0].bound_by, "tensor");  // 80 % of its time
  EXPECT_EQ(layers[1].bound_by, "hbm");     // 80 kB in 250 ns at 368 GB/s: 87 %
  EXPECT_DOUBLE_EQ(layers[0].share + layers[1].share, 1.0);
  r.run.cores[0].counters.layers[0].busy[0] = 300'000'000;
  EXPECT_EQ(r.summary().layers[0].bound_by, "latency");
}

TEST(Summary, PeakFollowsThePrecision) {
  Case r;
  EXPECT_DOUBLE_EQ(peak_macs_per_s(r.chip, "bf16"), 4 * peak_macs_per_s(r.chip, "fp32"));
  EXPECT_DOUBLE_EQ(peak_macs_per_s(r.chip, "tf32"), peak_macs_per_s(r.chip, "bf16"));
  EXPECT_DOUBLE_EQ(peak_macs_per_s(r.chip, "fp8"), 2 * peak_macs_per_s(r.chip, "bf16"));
  EXPECT_DOUBLE_EQ(peak_macs_per_s(r.chip, "mxfp8"), 4 * peak_macs_per_s(r.chip, "bf16"));
  EXPECT_DOUBLE_EQ(peak_macs_per_s(r.chip, "bf16 4:12"), 3 * peak_macs_per_s(r.chip, "bf16"));
}

TEST(WhatIf, LeversDoubleRatesAndHalveLatencies) {
  const spec::ChipSpec chip = spec::load_chip("trn2").value();
  std::vector<std::string> texts;
  for (const trace::WhatIf& w : levers(chip)) {
    std::string text = w.resource + ":";
    for (const trace::WhatIf::Change& c : w.changes) text += " " + c.section + "." + c.key + "=" + c.after;
    texts.push_back(std::move(text));
    EXPECT_EQ(changed(chip, w) == chip, false) << w.resource;
  }
  EXPECT_EQ(texts.front(), "tensor: tensor.clock=\"4.8 GHz\"");
  EXPECT_NE(std::ranges::find(texts, "dma: dma.engine_bandwidth=\"46 GB/s\" dma.queue_bandwidth=\"46 GB/s\""),
            texts.end());
  EXPECT_NE(std::ranges::find(texts, "scalar: scalar.latency=\"147.15 ns\" scalar.table_load=\"642.5 ns\""),
            texts.end());
  EXPECT_NE(std::ranges::find(texts, "psum: psum.partition_size=\"32 KiB\" psum.banks=16"), texts.end());
  EXPECT_EQ(texts.size(), 15u) << "sync has no latency to halve";
}

// What a report prints is a chip file, and that file is the chip that was tried.
TEST(WhatIf, ChangesAreAChipFile) {
  const spec::ChipSpec chip = spec::load_chip("trn2").value();
  for (const trace::WhatIf& w : levers(chip)) {
    std::string file = "extends = \"trn2\"\n[" + w.changes[0].section + "]\n";
    for (const trace::WhatIf::Change& c : w.changes) file += c.key + " = " + c.after + "\n";
    auto parsed = spec::parse_chip(file, "faster.toml");
    ASSERT_TRUE(parsed) << parsed.error().text();
    EXPECT_EQ(*parsed, changed(chip, w)) << file;
  }
}

TEST(WhatIf, OutOfRangeIsLeftOut) {
  spec::ChipSpec chip = spec::load_chip("trn2").value();
  chip.vector.clock_hz = 60'000'000'000;
  EXPECT_EQ(std::ranges::count_if(levers(chip), [](const trace::WhatIf& w) { return w.resource == "vector"; }), 1);
}

TEST(Confidence, TravelsWithTheTrace) {
  Case r;
  EXPECT_EQ(about(r.executable, r.chip, r.run).confidence, "derived: presil validate --suite core, 0.5 % mean error");
  r.chip.vector.clock_hz *= 2;
  EXPECT_EQ(about(r.executable, r.chip, r.run).confidence,
            "assumed: no published measurement was compared with this chip");
}

// A name is text, wherever it stands.
TEST(Page, NamesCannotLeaveTheirPlace) {
  trace::Trace t = small_trace();
  t.about.model = "</title></script><script>alert(1)</script>&amp;";
  t.about.chip = "chip";
  t.about.layers = {{.name = "</script><!--"}};
  const std::string html = print_page(t);
  EXPECT_NE(html.find("<title>&lt;/title>&lt;/script>&lt;script>alert(1)&lt;/script>&amp;amp; on chip</title>"),
            std::string::npos);
  EXPECT_EQ(html.find("<script>alert"), std::string::npos);
  EXPECT_EQ(html.find("</script><!--"), std::string::npos);
  EXPECT_NE(html.find("\\u003c/script>\\u003c!--"), std::string::npos);
}

// Whatever a trace leaves out, nothing looks for it.
TEST(Page, OfATraceThatSaysLittle) {
  EXPECT_FALSE(print_page({}).empty());
  trace::Trace t = small_trace();
  for (trace::Event& e : t.events) e.source = 99, e.instruction = 99;
  EXPECT_EQ(trace::event_name(t.about, t.events[0]), "?");
  EXPECT_EQ(trace::event_layer(t.about, t.events[0]), nullptr);
  EXPECT_FALSE(print_page(t).empty());
  EXPECT_FALSE(print_perfetto(t).empty());
}

}  // namespace
}  // namespace presil::report
