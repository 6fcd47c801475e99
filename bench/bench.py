"""Speed and quality as ratios: the host's against onnxruntime in the same run, the simulated core's against its bounds.

./dev bench [--filter WORD] [--ratchet [--update]]. Numbers depend on the machine and its load; nothing here is a test.
"""
import argparse
import itertools
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

import ratchet
from bert_layers import bert_layers
from measure import (DETECTION, FOLDER, MODELS, PRESIL, REPETITIONS, RESNET, command_seconds, compiled, google_benchmark,
                     onnxruntime_seconds, presil, run_bench, sgemm_rate)

MIB = 2**20
ROWS = {}

# Networks whose memory is measured, with the sizes of their free dimensions.
SIZES = {
    "ch_PP-OCRv4_det_infer": ["--shape", "x=1x3x320x320"],
    "ch_PP-OCRv4_rec_infer": ["--shape", "x=1x3x48x320"],
    "resnet50": ["--shape", "input=1x3x224x224"],
    "mobilenet_v3_small": ["--shape", "input=1x3x224x224"],
    "efficientnet_b0": ["--shape", "input=1x3x224x224"],
    "vit_b_16": ["--shape", "input=1x3x224x224"],
    "isnet_fp16": [],
}


def row(function):
    """A row of the table: the docstring is its title; returns (value, target)."""
    ROWS[function.__name__] = function
    return function


def against_onnxruntime(model, name, shape):
    """Runs with data and checks over onnxruntime's, by wall clock and by processor time, for 1 and 2 threads."""
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    sizes = ("--shape", f"{name}=" + "x".join(map(str, shape)))
    parts = []
    for threads in (1, 2):
        wall, processor = onnxruntime_seconds(model, {name: x}, threads)
        for precision in ("fp32", "bf16"):
            run = run_bench(compiled(model, precision, *sizes), threads, "checked")
            parts.append(f"{precision} -j {threads}: {run['wall_seconds'] / wall:.2f} x ({run['cpu_seconds'] / processor:.2f} x processor time)")
    return "; ".join(parts)


@row
def instructions():
    """simulated instructions per second without data, one host core: compiled ResNet-50 bf16, loaded once"""
    if not RESNET.exists():
        return "no resnet50.onnx", "5 M/s"
    rates = []
    for batch in (1, 8):
        run = run_bench(compiled(RESNET, "bf16", "--shape", f"input={batch}x3x224x224"), 1, "core")
        rates.append(f"batch {batch}: {run['instructions'] / run['cpu_seconds'] / 1e6:.1f} M/s")
    return ", ".join(rates), "5 M/s"


@row
def pipeline():
    """the same of a pipeline of nine matmuls per transfer in and out, repeats not expanded"""
    rate = google_benchmark("simulate_bench", "^BM_Simulate$")[0]["items_per_second"]
    return f"{rate / 1e6:.1f} M/s", "5 M/s"


@row
def resnet_command():
    """ResNet-50 batch 1 bf16 without data, whole command"""
    if not RESNET.exists():
        return "no resnet50.onnx", "200 ms"
    return command_seconds("run", RESNET, *SIZES["resnet50"], "--precision", "bf16", "--no-data"), "200 ms"


@row
def gemm_command():
    """GEMM 4096^3 bf16 without data, whole command"""
    return command_seconds("bench", "gemm", "--m", 4096, "--n", 4096, "--k", 4096, "--precision", "bf16", "--no-data"), "30 ms"


@row
def bert_command():
    """BERT-base layer, sequence 384, batch 4, bf16 without data, whole command"""
    path = Path(FOLDER.name) / "bert_layer.onnx"
    bert_layers(path)
    return command_seconds("run", path, "--precision", "bf16", "--no-data"), "50 ms"


@row
def matmul():
    """nc_matmul 128 x 128 x 512 in fp32 over numpy's sgemm of that size, one thread each"""
    ours = google_benchmark("execute_bench", "^matmul_128x128x512/fp32$")[0]["rate"]
    sgemm = sgemm_rate(128, 512, 128)
    return f"{ours / sgemm:.2f} x ({ours / 1e9:.0f} over {sgemm / 1e9:.0f} GFLOP/s)", "0.7 x"


@row
def resnet():
    """ResNet-50 batch 1 with data and checks, over onnxruntime (fp32) with the same threads"""
    if not RESNET.exists():
        return "no resnet50.onnx", "2 x"
    return against_onnxruntime(RESNET, "input", (1, 3, 224, 224)), "2 x"


@row
def detection():
    """PP-OCR detection 320x320 with data and checks, over onnxruntime (fp32) with the same threads"""
    return against_onnxruntime(DETECTION, "x", (1, 3, 320, 320)), "4 x"


@row
def checks():
    """what the checker adds to a run with data, processor time"""
    parts = []
    for model, size in ((RESNET, SIZES["resnet50"]), (DETECTION, SIZES[DETECTION.stem])):
        if not model.exists():
            continue
        executable = compiled(model, "bf16", *size)
        checked, plain = (run_bench(executable, 1, kind)["cpu_seconds"] for kind in ("checked", "data"))
        parts.append(f"{model.stem} {100 * (checked / plain - 1):.0f} %")
    return ", ".join(parts), "25 %"


DTYPE_BYTES = {"fp32": 4, "tf32": 4, "int32": 4, "uint32": 4, "fp16": 2, "bf16": 2, "int16": 2, "uint16": 2, "int64": 8}
GRAPH_LINE = re.compile(r"(?:(input|constant|output) )?%(\d+)(?: (\w+)\[([\d, ]*)\] \"[^\"]*\")?(?: = (\w+)\(([^)]*)\))?")


def graph_bytes(model, sizes):
    """(weights, largest live set) in bytes, of the graph as its author ordered it, each tensor in its own dtype: what is
    alive while a node runs is its inputs and outputs and what later nodes read. A reshape is another name, no copy."""
    text = subprocess.run([PRESIL, "show", model, *sizes], check=True, capture_output=True, text=True).stdout
    size, name, steps, weights, kept = {}, {}, [], 0, set()
    for kind, tensor, dtype, dims, operator, operands in (GRAPH_LINE.match(line).groups() for line in text.splitlines()[1:]):
        bytes_ = DTYPE_BYTES.get(dtype, 1) * math.prod(int(d) for d in dims.split(",") if d.strip()) if dtype else 0
        if kind == "constant":
            weights += bytes_
        elif kind == "output":
            kept.add(name[tensor])
        else:
            inputs = [name[i] for i in re.findall(r"%(\d+)", operands or "") if i in name]
            name[tensor] = inputs[0] if operator == "reshape" and inputs else tensor
            size.setdefault(name[tensor], bytes_)
            steps.append({*inputs, name[tensor]})
    last = {tensor: i for i, tensors in enumerate(steps) for tensor in tensors} | dict.fromkeys(kept, len(steps))
    first = {tensor: i for i, tensors in reversed([*enumerate(steps)]) for tensor in tensors}
    changes = [0] * (len(steps) + 2)
    for tensor, bytes_ in size.items():
        changes[first[tensor]] += bytes_
        changes[last[tensor] + 1] -= bytes_
    return weights, max(itertools.accumulate(changes))


@row
def memory():
    """peak memory in MiB, without data and with data, with what is allowed: 192 MiB + 2.5 x (weights + largest live set)"""
    parts = []
    for stem, size in SIZES.items():
        model = MODELS / f"{stem}.onnx"
        if not model.exists():
            continue
        peaks = [presil("run", model, *size, *extra)["host"]["peak_rss_bytes"] / MIB for extra in (["--no-data"], [])]
        weights, live = (bytes_ / MIB for bytes_ in graph_bytes(model, size))
        allowed = 192 + 2.5 * (weights + live)
        parts.append(f"{stem} {peaks[0]:.0f}, {peaks[1]:.0f} of {allowed:.0f} ({weights:.0f} + {live:.0f})")
    return "; ".join(parts), "300 MiB without data"


@row
def compile_time():
    """compiling PP-OCR detection 320x320"""
    runs = [presil("run", DETECTION, "--shape", "x=1x3x320x320", "--no-data")["host"] for _ in range(REPETITIONS)]
    return f"{min(r['compile_seconds'] for r in runs) * 1e3:.0f} ms, then {min(r['simulate_seconds'] for r in runs) * 1e3:.0f} ms to time it", ""


@row
def gemm():
    """bf16 GEMM 4096^3 on one trn2 core: mfu"""
    return f"{presil('bench', 'gemm', '--m', 4096, '--n', 4096, '--k', 4096, '--no-data')['mfu']:.3f}", "0.95"


@row
def elementwise():
    """1 GiB element-wise chain on one trn2 core: part of the HBM bound"""
    return f"{presil('bench', 'elementwise', '--bytes', '1 GiB', '--no-data')['hbm']['bound_fraction']:.3f}", "0.9"


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--filter", default="", help="only rows whose name contains this: " + " ".join(ROWS))
    parser.add_argument("--ratchet", action="store_true", help="compare with what bench/ratchet.toml keeps; 1: something is worse")
    parser.add_argument("--update", action="store_true", help="with --ratchet: keep what is better, and what is new")
    options = parser.parse_args()
    if options.ratchet:
        sys.exit(ratchet.run(options.filter, options.update))
    print(f"load of the machine: {os.getloadavg()[0]:.1f} over {os.cpu_count()} processors")
    for name, function in ROWS.items():
        if options.filter in name:
            value, target = function()
            print(f"{name:<16}{function.__doc__}\n{'':<16}  {value}" + (f"   (target {target})" if target else ""), flush=True)


if __name__ == "__main__":
    main()
