"""Runs the public NKI sample kernels unmodified, each with the sample's own check as judge, and prints the table of
docs/nki-samples.md.

    PYTHONPATH=build/python python tools/nki_samples.py SAMPLES [--history FOLDER] [--only NAME ...] [--json FILE]

SAMPLES: the files of the repository aws-neuron/nki-samples; FOLDER: those of an earlier commit, whose reference kernels
later ones do not have. torch_xla, which some scripts name, is replaced by a module whose device is the CPU.
"""
import argparse
import contextlib
import io
import json
import os
import runpy
import subprocess
import sys
import time
import traceback
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TUTORIALS, UNIT = "src/nki_samples/tutorials", "test/unit"


@dataclass(frozen=True)
class Sample:
    """kernel: its name; file: the script that checks it; call: what to call in it after it ran, a name with arguments as
    Python; says: what it prints where the check holds (an assertion says it otherwise); test: pytest runs that part of the
    file; tree: 'head' or 'history'."""

    kernel: str
    file: str
    interface: str = "neuronxcc.nki"
    chip: str = "trn1"
    call: str = ""
    says: str = ""
    main: bool = False
    test: str = ""
    tree: str = "head"


def _attention(version: str, chip: str = "trn2") -> Sample:
    return Sample(f"attn_fwd_{version}", f"{TUTORIALS}/attention_fwd_performance/test_attention.py", chip=chip,
                  call=f"test_attn_tutorial('accuracy', attn_fwd_{version})")


def _contributed(kernel: str, name: str) -> Sample:
    return Sample(kernel, f"contributed/{name}.py", chip="trn2", call="check_correct()", says=r"Is close")


_MATMUL = f"{TUTORIALS}/matrix_multiplication/matrix_multiplication_torch.py"
_ADD = f"{TUTORIALS}/tensor_addition"

SAMPLES = [
    *(_attention(v) for v in ("v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v8a", "v9", "v10", "v11")),
    Sample("tensor_avgpool_kernel", f"{TUTORIALS}/average_pool2d/average_pool2d_nki_kernels.py", main=True, says="match"),
    Sample("tensor_avgpool_kernel (torch)", f"{TUTORIALS}/average_pool2d/average_pool2d_torch.py", main=True, says="match"),
    Sample("mamba_v1", f"{TUTORIALS}/fused_mamba/mamba_torch.py", main=True, says="match"),
    Sample("mamba_v2", f"{TUTORIALS}/fused_mamba/mamba_nki_kernels.py", main=True, says=r"v2 matches\? True"),
    Sample("mamba_v3", f"{TUTORIALS}/fused_mamba/mamba_nki_kernels.py", main=True, says=r"v3 matches\? True"),
    Sample("nki_matmul_basic_ and four others", _MATMUL, interface="nki", chip="trn2", main=True, says="match"),
    Sample("nki_tensor_add_kernel_", f"{_ADD}/tensor_addition_nki_kernels.py", main=True, says="match"),
    Sample("nki_tensor_add_kernel_ (torch)", f"{_ADD}/tensor_addition_torch.py", main=True, says="match"),
    Sample("nki_tensor_add_kernel_ (spmd)", f"{_ADD}/spmd_tensor_addition_nki_kernels.py", main=True, says="match"),
    Sample("nki_tensor_add_nc2", f"{_ADD}/spmd_multiple_nc_tensor_addition_nki_kernels.py", chip="trn2", main=True, says="match"),
    Sample("tensor_transpose2D_kernel_", f"{TUTORIALS}/transpose2d/transpose2d_nki_kernels.py", main=True, says="match"),
    Sample("tensor_transpose2D_kernel_ (torch)", f"{TUTORIALS}/transpose2d/transpose2d_torch.py", main=True, says="match"),
    Sample("three MX products", f"{TUTORIALS}/mxfp-matmul/mx_toplevel.py", interface="nki", chip="trn3", main=True,
           says=r"allclose pass\? True"),
    _contributed("interpolate_bilinear_2x_fwd", "interpolate_bilinear_fwd"),
    _contributed("interpolate_trilinear_2x_fwd", "interpolate_trilinear_fwd"),
    _contributed("matmul", "matmul"),
    _contributed("max_pooling_2d_stride_1", "maxpooling"),
    Sample("flash_fwd (pipelined_attention)", "contributed/pipelined_attention.py", chip="trn2"),
    # Reference kernels of the repository's history.
    *(Sample(kernel, f"{UNIT}/{file}.py", chip=chip, test=test, tree="history") for kernel, file, chip, test in (
        ("flash_fwd", "test_flash_attn_fwd", "trn2", "numerical"), ("flash_attn_bwd", "test_flash_attn_bwd", "trn2", "numerical"),
        ("fused_self_attn_for_SD_small_head_size", "test_SD_attention_small_head", "trn2", "numberic or numeric"),
        ("allocated_fused_self_attn_for_SD_small_head_size", "test_allocated_SD_attention_small_head", "trn2", "numberic or numeric"),
        ("resize_nearest_fixed_dma_kernel", "test_resize_nearest", "trn2", "numberic"),
        ("select_and_scatter_kernel", "test_select_and_scatter", "trn2", "numeric"),
        ("allocated_fused_rms_norm_qkv", "test_rmsnorm_qkv", "trn2", "numberic or numeric"),
        ("adaptive_avg_pool2d", "test_adaptive_avg_pool2d", "trn2", "not perf and not benchmark"),
        ("quantized_double_row_matmul", "test_double_row_matmul", "trn2", "not perf and not benchmark"),
    )),
]


def _stand_in() -> None:
    """torch_xla with the CPU as its device."""
    names = {name: types.ModuleType(name) for name in ("torch_xla", "torch_xla.core", "torch_xla.core.xla_model", "torch_neuronx")}
    sys.modules.update(names)
    model = names["torch_xla.core.xla_model"]
    names["torch_xla"].core = names["torch_xla.core"]
    names["torch_xla.core"].xla_model = model
    names["torch_neuronx"].nki_jit = lambda f: f
    names["torch_xla"].device = model.xla_device = lambda *_: "cpu"
    names["torch_xla"].sync = model.mark_step = lambda *_: None


def _as_on(chip: str) -> None:
    """A file that samples ask for the instance that they are on."""
    import builtins
    plain = builtins.open
    builtins.open = lambda file, *rest, **options: (  # type: ignore[assignment, misc]
        io.StringIO(f"{chip}.48xlarge\n") if file == "/sys/devices/virtual/dmi/id/product_name" else plain(file, *rest, **options))


def _recorded() -> list[dict[str, object]]:
    """Every run of a kernel from here on: name, seconds, host seconds."""
    from presil.nki import _kernel
    runs: list[dict[str, object]] = []

    def watched(plain: Callable[..., object]) -> Callable[..., object]:
        def call(self: object, *arguments: object, **options: object) -> object:
            from presil.nki import _trace
            if _trace.current is not None:
                return plain(self, *arguments, **options)
            began = time.perf_counter()
            value = plain(self, *arguments, **options)
            runs.append({"kernel": self.function.__name__, "seconds": self.result.seconds,  # type: ignore[attr-defined]
                         "host": time.perf_counter() - began})
            return value

        return call

    _kernel.Kernel.__call__ = watched(_kernel.Kernel.__call__)  # type: ignore[method-assign]
    return runs


def run_one(sample: Sample, folder: Path) -> dict[str, object]:
    """Runs it here; the row of the table."""
    import presil.nki.activate  # noqa: F401
    _stand_in()
    _as_on(sample.chip)
    runs = _recorded()
    script = folder / sample.file
    sys.path[0] = str(script.parent)  # in place of this file's folder, whose name the samples' package has
    sys.path.insert(1, str(folder / "src"))
    sys.argv = [str(script)]
    text, reason = io.StringIO(), ""
    try:
        with contextlib.redirect_stdout(text):
            if sample.test:
                reason = _tested(script, sample.test)
            else:
                names = runpy.run_path(str(script), run_name="__main__" if sample.main else "sample")
                if sample.call:
                    runs.clear()
                    exec(sample.call, names)
    except (SystemExit, Exception) as error:
        if not isinstance(error, SystemExit) or error.code:
            reason = str(error).strip().split("\n")[-1] or traceback.format_exc().strip().split("\n")[-2].strip()
            reason = f"{type(error).__name__}: {reason}"
    said = text.getvalue()
    if not reason and ("differ" in said or ("Is close" in said and "True" not in said)):
        reason = "the sample's check says no"
    if not reason and sample.says:
        import re
        if not re.search(sample.says, said):
            reason = f"it does not print {sample.says!r}"
    if " and " not in sample.kernel:  # without those that it is compared with
        runs = [r for r in runs if r["kernel"] == sample.kernel.split()[0]] or runs
    return {"kernel": sample.kernel, "interface": sample.interface, "chip": sample.chip, "passed": not reason, "reason": reason,
            "seconds": sum(float(r["seconds"]) for r in runs), "host": sum(float(r["host"]) for r in runs), "runs": runs}


def _tested(script: Path, choice: str) -> str:
    import pytest
    report = io.StringIO()
    with contextlib.redirect_stdout(report), contextlib.redirect_stderr(report):
        code = pytest.main([str(script), "-k", choice, "-x", "-q", "-p", "no:cacheprovider", "--tb=line", "--rootdir", str(script.parent),
                            "--simulation-only"])
    if code == 0:
        return ""
    lines = [line for line in report.getvalue().split("\n") if line.strip()]
    shown = [line for line in lines if "Error" in line] or lines[-1:]
    return shown[0].strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("samples", type=Path)
    parser.add_argument("--history", type=Path)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seconds", type=float, default=900, help="of the host, for one sample")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    folders = {"head": options.samples, "history": options.history}
    if options.one:
        sample = next(s for s in SAMPLES if s.kernel == options.one)
        print("\n" + json.dumps(run_one(sample, folders[sample.tree])))
        return 0
    rows = []
    for sample in SAMPLES:
        if folders[sample.tree] is None or (options.only and not any(o in sample.kernel for o in options.only)):
            continue
        rows.append(_in_a_process(sample, options))
        row = rows[-1]
        print(f"| `{row['kernel']}` | {row['interface']} | {row['chip']} | {'passed' if row['passed'] else 'failed'} | "
              f"{float(row['seconds']) * 1e6:,.1f} | {float(row['host']):.1f} | {row['reason']} |", flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    print(f"{sum(bool(r['passed']) for r in rows)} of {len(rows)} pass", file=sys.stderr)
    return 0 if all(r["passed"] for r in rows) else 1


def _in_a_process(sample: Sample, options: argparse.Namespace) -> dict[str, object]:
    command = [sys.executable, __file__, str(options.samples), "--one", sample.kernel]
    if options.history:
        command += ["--history", str(options.history)]
    row: dict[str, object] = {"kernel": sample.kernel, "interface": sample.interface, "chip": sample.chip, "passed": False,
                              "seconds": 0.0, "host": 0.0, "runs": []}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=options.seconds,
                              env=os.environ | {"NEURON_PLATFORM_TARGET_OVERRIDE": sample.chip})
    except subprocess.TimeoutExpired:
        return row | {"reason": f"not done in {options.seconds:g} s"}
    if done.returncode:
        return row | {"reason": (done.stderr.strip().split("\n") or [""])[-1]}
    return dict(json.loads(done.stdout.strip().split("\n")[-1]))


if __name__ == "__main__":
    sys.exit(main())
