"""What must not get worse: simulated times, which no host changes; host instructions per simulated instruction; ratios to
other software in the same run. Never a host's time. bench/ratchet.toml keeps the best that was seen.
"""
import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import numpy as np

from bert_layers import bert_layers
from measure import FOLDER, MODELS, PRESIL, RESNET, compiled, google_benchmark, onnxruntime_seconds, presil, run_bench, sgemm_rate

KEPT = Path(__file__).with_name("ratchet.toml")
ROWS = {}  # name: (function, tolerance in percent, whether more is better)
RESNET_1, RESNET_8 = ([RESNET, "--shape", f"input={batch}x3x224x224", "--precision", "bf16"] for batch in (1, 8))
GEMM = ["bench", "gemm", "--m", 4096, "--n", 4096, "--k", 4096]


class Unavailable(Exception):
    """Why something cannot be measured here."""


def row(tolerance_percent, more_is_better=False):
    def add(function):
        ROWS[function.__name__] = (function, tolerance_percent, more_is_better)
        return function

    return add


def simulated_ms(*arguments):
    missing = [a for a in arguments if isinstance(a, Path) and not a.exists()]
    if missing:
        raise Unavailable(f"no {missing[0].name}")
    return presil(*arguments, "--no-data")["seconds"] * 1e3


def bert():
    path = Path(FOLDER.name) / "bert_layer.onnx"
    if not path.exists():
        bert_layers(path)
    return ["run", path, "--precision", "bf16"]


def host_instructions(*arguments):
    """Of a whole command, by the processor's counters, else by valgrind."""
    command = [PRESIL, *arguments, "--cores", "1", "--no-data", "--json"]
    if shutil.which("perf"):
        done = subprocess.run(["perf", "stat", "-x,", "-e", "instructions:u", *map(str, command)], capture_output=True, text=True)
        count = done.stderr.split(",")[0].split()
        if done.returncode == 0 and count and count[-1].isdigit():
            return int(count[-1])
    if not shutil.which("valgrind"):
        raise Unavailable("neither counters for perf nor valgrind")
    counter = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}"]
    done = subprocess.run([*counter, *map(str, command)], capture_output=True, text=True, check=True)
    return int(done.stderr.split("Collected :")[1].split()[0])


def per_instruction(*arguments):
    return host_instructions(*arguments) / presil(*arguments, "--no-data")["instructions"]


@row(0.5)
def gemm_4096_ms():
    return simulated_ms(*GEMM)


@row(0.5)
def elementwise_1gib_ms():
    return simulated_ms("bench", "elementwise", "--bytes", "1 GiB")


@row(0.5)
def conv_256_ms():
    return simulated_ms("bench", "conv", "--n", 8, "--c", 256, "--h", 14, "--w", 14, "--k", 256, "--r", 3, "--s", 3, "--pad", 1)


@row(0.5)
def attention_384_ms():
    return simulated_ms("bench", "attention", "--batch", 4, "--heads", 12, "--seq", 384, "--head-dim", 64, "--causal")


@row(0.5)
def bert_layer_ms():
    return simulated_ms(*bert())


@row(0.5)
def resnet_1_ms():
    return simulated_ms("run", *RESNET_1)


@row(0.5)
def resnet_8_ms():
    return simulated_ms("run", *RESNET_8)


@row(0.5)
def vit_8_ms():
    return simulated_ms("run", MODELS / "vit_b_16.onnx", "--shape", "input=8x3x224x224", "--precision", "bf16")


@row(5)
def gemm_command_host_instructions_per_instruction():
    return per_instruction(*GEMM)


@row(5)
def bert_command_host_instructions_per_instruction():
    return per_instruction(*bert())


@row(5)
def resnet_command_host_instructions_per_instruction():
    if not RESNET.exists():
        raise Unavailable("no resnet50.onnx")
    return per_instruction("run", *RESNET_8)


@row(20, more_is_better=True)
def matmul_over_numpy():
    return google_benchmark("execute_bench", "^matmul_128x128x512/fp32$")[0]["rate"] / sgemm_rate(128, 512, 128)


@row(25)
def resnet_over_onnxruntime():
    """Processor time of ResNet-50 in bf16 with data and checks, one thread."""
    if not RESNET.exists():
        raise Unavailable("no resnet50.onnx")
    x = np.random.default_rng(1).standard_normal((1, 3, 224, 224)).astype(np.float32)
    run = run_bench(compiled(RESNET, "bf16", "--shape", "input=1x3x224x224"), 1, "checked")
    return run["cpu_seconds"] / onnxruntime_seconds(RESNET, {"input": x}, 1)[1]


def verdict(kept, now, tolerance_percent, more_is_better):
    """'worse', 'better', 'new' or 'as before'."""
    if kept is None:
        return "new"
    change = (kept / now if more_is_better else now / kept) - 1  # above 0: worse
    if abs(change) * 100 <= tolerance_percent:
        return "as before"
    return "worse" if change > 0 else "better"


def write(values):
    lines = ["# Kept by ./dev bench --ratchet --update; what the rows are: bench/ratchet.py.\n"]
    lines += [f"{name} = {values[name]:.6g}\n" for name in ROWS if name in values]
    KEPT.write_text("".join(lines))


def run(word, update):
    values = tomllib.loads(KEPT.read_text())
    failed = False
    for name, (function, tolerance, more_is_better) in ROWS.items():
        if word not in name:
            continue
        try:
            now = function()
        except Unavailable as reason:
            print(f"{name:<56}not measured: {reason}", flush=True)
            continue
        kept = values.get(name)
        found = verdict(kept, now, tolerance, more_is_better)
        failed |= found == "worse"
        before = "" if kept is None else f"   (kept {kept:.6g}, tolerance {tolerance} %)"
        print(f"{name:<56}{now:<12.6g}{found}{before}", flush=True)
        if found in ("better", "new"):
            values[name] = now
    if update:
        write(values)
    return 1 if failed else 0
