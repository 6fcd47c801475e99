#include "cli/parse.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <functional>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/host.h"

namespace presil::cli {
namespace {

using Action = std::function<Result<int>()>;

struct Parser {
  CLI::App app{
      "presil: an AI accelerator in software. It compiles a workload for a chip, runs it there, in bits and\n"
      "cycles, and says how long it takes and what limits it.",
      "presil"};
  Action action;

  // The options live as long as the parser; the action runs after parsing.
  template <class Options>
  std::pair<CLI::App*, std::shared_ptr<Options>> command(const std::string& name, const std::string& text,
                                                         const std::string& example,
                                                         Result<int> (*function)(const Options&)) {
    auto options = std::make_shared<Options>();
    CLI::App* sub = app.add_subcommand(name, text);
    sub->footer("Example:\n  " + example);
    sub->callback([this, options, function] { action = [options, function] { return function(*options); }; });
    return {sub, options};
  }
};

void add_workload(CLI::App* sub, WorkloadOptions& o) {
  sub->add_option("MODEL", o.path, "MODEL.onnx, FILE.presil, or FILE.txt from `presil show FILE.presil`")->required();
  sub->add_option("--chip", o.chip, "bundled chip or FILE.toml; default: trn2, or what an executable was compiled for");
  sub->add_option("--precision", o.precision, "auto (the model's own), fp32, tf32, bf16, fp16")->capture_default_str();
  sub->add_option("--dim", o.dims, "NAME=N: a dynamic dimension by name");
  sub->add_option("--shape", o.shapes, "NAME=1x3x48x320: the whole shape of an input");
  sub->add_flag("--double-as-fp32", o.double_as_fp32, "compute double tensors in fp32");
  sub->add_flag("--retime", o.retime, "run an executable on a chip that it was not compiled for");
  sub->add_option("--activation", o.activations,
                  "NAME=FILE.toml: a table of `presil fit-activation` in place of a function (gelu) or a layer's");
  sub->add_option("--rounding", o.rounding, "of results to 16 and 8 bits: nearest, stochastic or stochastic:SEED");
  sub->add_option("--cfp8-bias", o.cfp8_bias, "exponent bias of fp8_e3m4, 0 to 15; default: 3");
}

CLI::Validator positive() {
  return CLI::Validator(
      [](const std::string& text) {
        const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
        const bool zero = text.find_first_not_of('0') == std::string::npos;
        return digits && !zero ? std::string() : fmt::format("'{}' is not a whole number above 0", text);
      },
      "");
}

void add_cores(CLI::App* sub, uint32_t& cores) {
  sub->add_option("--cores", cores, "cores that may share the batch or the result's columns evenly; default: all")
      ->check(positive());
}

void add_simulation(CLI::App* sub, SimulationOptions& o) {
  add_cores(sub, o.cores);
  sub->add_flag("--no-data", o.no_data, "time only: no tensor values");
  sub->add_flag("--check,!--no-check", o.check, "find races and never-written reads (with data; default on)");
  sub->add_option("--seed", o.seed, "of inputs that are not given")->capture_default_str();
  sub->add_option("-j", o.threads, "host threads; default: all. Results never depend on it");
  sub->add_option("--assume", o.assume,
                  "NODE=N, without data: how often that node's loop runs, or whether (1 or 0) its condition holds");
  sub->add_option("--max-iterations", o.max_iterations, "of device loops, before a program counts as endless")
      ->capture_default_str();
  sub->add_option("--report", o.report, "write a report: FILE.html or FILE.md");
  sub->add_option("--trace", o.trace, "write all events: FILE.pftrace for Perfetto, FILE.trace for `presil report`");
  sub->add_flag("--json", o.json, "print one JSON object (docs/schema/run.json)");
}

void add_run(Parser& p) {
  auto [sub, o] = p.command<RunOptions>("run", "compile a model and run it on a simulated core",
                                        "presil run model.onnx --shape x=1x3x48x320 --report out.html", run_run);
  add_workload(sub, o->workload);
  add_simulation(sub, o->simulation);
  sub->add_option("--input", o->inputs, "NAME=FILE.npy: an input's values; others are drawn with --seed");
  sub->add_option("--output-dir", o->output_dir, "write outputs as .npy files there");
}

void add_compile(Parser& p) {
  auto [sub, o] = p.command<CompileOptions>("compile", "compile a model to an executable file",
                                            "presil compile model.onnx --dim batch=1 -o model.presil", run_compile);
  add_workload(sub, o->workload);
  sub->add_option("-o", o->output, "FILE.presil")->required();
  add_cores(sub, o->cores);
  sub->add_option("--plan-out", o->plan_out, "write the compiler's choices as text: FILE.plan");
  sub->add_flag("--no-data", o->no_data, "leave the weights' values out");
}

void add_fit_activation(Parser& p) {
  auto [sub, o] = p.command<FitActivationOptions>(
      "fit-activation", "turn a function into a table for the scalar engine",
      "presil fit-activation --formula \"x*sigmoid(1.5*x)\" --range -20:20 --error 4e-6 --above linear -o swish.toml",
      run_fit_activation);
  sub->add_option("--formula", o->formula, "of x: numbers, + - * / ^, pi, e, functions such as exp, erf, sigmoid, max");
  sub->add_option("--samples", o->samples,
                  "FILE.npy of shape [n, 2], or FILE.csv of lines x,y: points of the function");
  sub->add_option("--range", o->range, "LO:HI, where the error holds")->required();
  sub->add_option("--error", o->error, "the largest allowed")->required();
  sub->add_option("--kind", o->kind, "of the error: absolute, relative, ulp (units of the fp32 result)")
      ->capture_default_str();
  sub->add_option("--below", o->below, "below the range: clamp, linear, extrapolate")->capture_default_str();
  sub->add_option("--above", o->above, "above it")->capture_default_str();
  sub->add_option("-o", o->output, "FILE.toml")->required();
}

void add_show(Parser& p) {
  auto [sub, o] = p.command<ShowOptions>("show", "print an executable, a plan, a chip or a model's graph as text",
                                         "presil show trn2", run_show);
  sub->add_option("WHAT", o->what, "FILE.presil, FILE.plan, MODEL.onnx, a bundled chip or FILE.toml")->required();
  sub->add_option("--dim", o->dims, "NAME=N: a dynamic dimension of a model");
  sub->add_option("--shape", o->shapes, "NAME=1x3x48x320: the whole shape of a model's input");
}

void add_report(Parser& p) {
  auto [sub, o] = p.command<ReportOptions>("report", "write the report of a saved trace",
                                           "presil report run.trace -o run.html", run_report);
  sub->add_option("TRACE", o->trace, "FILE.trace from `presil run --trace FILE.trace`")->required();
  sub->add_option("-o", o->output, "FILE.html, FILE.md or FILE.pftrace")->required();
}

void add_bench(Parser& p) {
  CLI::App* bench = p.app.add_subcommand("bench", "compile and run one operation of a given size");
  bench->footer("Example:\n  presil bench gemm --m 4096 --n 4096 --k 4096 --no-data");
  bench->require_subcommand(1);
  auto size = [](CLI::App* sub, const char* name, int64_t& value, const char* text, bool required = true) {
    CLI::Option* option = sub->add_option(name, value, text)->check(positive());
    required ? option->required() : option->capture_default_str();
  };
  auto add = [&](const char* name, const char* text, const char* example, BenchOptions::Kind kind) {
    auto o = std::make_shared<BenchOptions>();
    o->kind = kind;
    CLI::App* sub = bench->add_subcommand(name, text);
    sub->footer(std::string("Example:\n  ") + example);
    sub->add_option("--chip", o->chip, "bundled chip or FILE.toml")->capture_default_str();
    sub->add_option("--precision", o->precision,
                    kind == BenchOptions::Kind::gemm ? "fp32, tf32, bf16, fp16, fp8, mxfp8" : "fp32, tf32, bf16, fp16")
        ->capture_default_str();
    sub->add_option("--input", o->inputs, "NAME=FILE.npy: an operand; otherwise drawn from --seed");
    sub->add_option("--output-dir", o->output_dir, "write the result there as .npy");
    add_simulation(sub, o->simulation);
    sub->callback([&p, o] { p.action = [o] { return run_bench(*o); }; });
    return std::pair(sub, o);
  };
  auto [gemm, g] = add("gemm", "[m, k] x [k, n], operands row-major in HBM",
                       "presil bench gemm --m 4096 --n 4096 --k 4096 --no-data", BenchOptions::Kind::gemm);
  size(gemm, "--m", g->m, "rows of the left operand, a");
  size(gemm, "--n", g->n, "columns of the right operand, b");
  size(gemm, "--k", g->k, "common dimension");
  gemm->add_option("--sparsity", g->sparsity, "KEPT:OF, such as 4:16: numbers of a that count, in bf16");
  auto [chain, c] = add("elementwise", "a chain of element-wise operations over tensors in HBM",
                        "presil bench elementwise --bytes '1 GiB' --no-data", BenchOptions::Kind::elementwise);
  chain->add_option("--bytes", c->bytes, "of the input: 4096, '64 MiB'")->capture_default_str();
  auto [conv, v] = add("conv", "convolution of x [n, c, h, w] with weight [k, c / groups, r, s]",
                       "presil bench conv --n 8 --c 256 --h 14 --w 14 --k 256 --r 3 --s 3 --pad 1 --no-data",
                       BenchOptions::Kind::conv);
  size(conv, "--n", v->batch, "images", false);
  size(conv, "--c", v->c, "input channels");
  size(conv, "--h", v->h, "input height");
  size(conv, "--w", v->w, "input width");
  size(conv, "--k", v->k, "output channels");
  size(conv, "--r", v->r, "height of the kernel");
  size(conv, "--s", v->s, "width of the kernel");
  size(conv, "--stride", v->stride, "of both axes", false);
  conv->add_option("--pad", v->pad, "zeros around the input, on each side")->capture_default_str();
  size(conv, "--groups", v->groups, "of channels; as many as there are: depthwise", false);
  auto [attention, t] = add("attention", "softmax(q k^T / sqrt(d) + mask) v; q, k, v [batch, seq, heads x head_dim]",
                            "presil bench attention --heads 16 --seq 2048 --head-dim 64 --causal --no-data",
                            BenchOptions::Kind::attention);
  size(attention, "--batch", t->batch, "sequences", false);
  size(attention, "--heads", t->heads, "heads, side by side in each row");
  size(attention, "--seq", t->seq, "rows of q, k and v");
  size(attention, "--head-dim", t->head_dim, "features of a head");
  attention->add_flag("--causal", t->causal, "a row attends to itself and those before");
}

void add_lists(Parser& p) {
  auto [chips, c] = p.command<ChipsOptions>("chips", "list the bundled chips", "presil chips --json", run_chips);
  chips->add_flag("--json", c->json, "print a JSON array");
  auto [ops, o] = p.command<OpsOptions>("ops", "list supported ONNX operators, or a core's instructions",
                                        "presil ops --isa", run_ops);
  ops->add_flag("--isa", o->isa, "the instruction table");
  ops->add_flag("--json", o->json, "print a JSON array");
}

void add_validate(Parser& p) {
  auto [sub, o] = p.command<ValidateOptions>("validate", "predicted against published times",
                                             "presil validate --suite core", run_validate);
  sub->add_option("--suite", o->suite, "one suite; otherwise all");
  sub->add_flag("--json", o->json, "print one JSON object");
}

void add_nki(Parser& p) {
  CLI::App* nki = p.app.add_subcommand("nki", "kernels written for the public NKI interface");
  nki->footer("Example:\n  presil nki run examples/nki/scale.py");
  nki->require_subcommand(1);
  auto options = std::make_shared<NkiOptions>();
  CLI::App* run = nki->add_subcommand("run", "run SCRIPT.py [ARGUMENTS], whose `import nki` means presil");
  run->footer("Example:\n  presil nki run --chip trn1 examples/nki/scale.py");
  run->add_option("--chip", options->chip, "that kernels are for, unless they say: a bundled chip or FILE.toml");
  run->prefix_command();
  run->callback([&p, run, options] {
    options->words = run->remaining();
    p.action = [options] { return run_nki(*options); };
  });
}

// Commands of an app, and option names of the innermost command that was given.
std::vector<std::string> known_names(const CLI::App& app) {
  const CLI::App* inner = &app;
  for (auto chosen = inner->get_subcommands(); !chosen.empty(); chosen = inner->get_subcommands()) inner = chosen[0];
  std::vector<std::string> names;
  for (const CLI::App* sub : inner->get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(sub->get_name());
  }
  for (const CLI::Option* option : inner->get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

int fail(const Error& error) {
  if (error.code == ErrorCode::cancelled) {
    fmt::print(stderr, "presil: interrupted\n");
    return cancelled_exit_code();
  }
  fmt::print(stderr, "presil: error: {}\n", error.text());
  return 2;
}

int usage_error(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<std::string> extras = app.remaining(/*recurse=*/true);
  if (extras.empty()) return fail(bad_input(error.what(), "", "see --help"));
  const std::string& argument = extras.front();
  std::string hint = nearest_hint(argument.substr(0, argument.find('=')), known_names(app));
  return fail(bad_input(fmt::format("unknown argument '{}'", argument), "", hint.empty() ? "see --help" : hint));
}

}  // namespace

int main(int argc, char** argv) {
  use_large_pages();
  Parser p;
  p.app.set_version_flag("--version", "presil " PRESIL_VERSION);
  p.app.require_subcommand(1);
  p.app.footer(
      "Exit code: 0 done; 1 the simulated program failed; 2 bad input; 130 interrupted.\n`presil COMMAND --help` has "
      "an example.");
  add_run(p);
  add_compile(p);
  add_show(p);
  add_fit_activation(p);
  add_report(p);
  add_bench(p);
  add_lists(p);
  add_validate(p);
  add_nki(p);
  try {
    p.app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    return p.app.exit(done);
  } catch (const CLI::ParseError& error) {
    return usage_error(p.app, error);
  }
  Result<int> code = p.action();
  return code ? *code : fail(code.error());
}

}  // namespace presil::cli
