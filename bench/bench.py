"""Speed and quality as ratios: the host's against onnxruntime in the same run, the simulated core's against its bounds.

./dev bench [--filter WORD]. Numbers depend on the machine and its load; nothing here is a test.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when numpy is imported

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PRESIL = ROOT / "build/presil"
DETECTION = ROOT / ".cache/models/ch_PP-OCRv4_det_infer.onnx"
REPETITIONS = 5
ROWS = {}


def row(function):
    """A row of the table: the docstring is its title; returns (value, target)."""
    ROWS[function.__name__] = function
    return function


def presil(*arguments):
    done = subprocess.run([PRESIL, *map(str, arguments), "--json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def google_benchmark(name, pattern):
    command = [ROOT / f"build/bench/{name}", f"--benchmark_filter={pattern}", "--benchmark_format=json"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["benchmarks"]


def onnxruntime_seconds(model, feeds, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(model), options)
    session.run(None, feeds)
    times = []
    for _ in range(REPETITIONS):
        begin = time.perf_counter()
        session.run(None, feeds)
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


@row
def instructions():
    """simulated instructions per second without data, one host core"""
    rate = google_benchmark("simulate_bench", "^BM_Simulate$")[0]["items_per_second"]
    return f"{rate / 1e6:.1f} M/s", "2 M/s"


def sgemm_rate(m, n, k):
    """numpy's sgemm in FLOP/s, one thread: the fastest of many short runs."""
    a, b = np.ones((k, m), np.float32), np.ones((k, n), np.float32)
    out = np.empty((m, n), np.float32)
    times = []
    for _ in range(400):
        begin = time.perf_counter()
        np.dot(a.T, b, out=out)
        times.append(time.perf_counter() - begin)
    return 2 * m * n * k / min(times)


@row
def matmul():
    """nc_matmul 128 x 128 x 512 in fp32 over numpy's sgemm of that size, one thread each"""
    ours = google_benchmark("execute_bench", "^matmul_128x128x512/fp32$")[0]["rate"]
    sgemm = sgemm_rate(128, 512, 128)
    return f"{ours / sgemm:.2f} x ({ours / 1e9:.0f} over {sgemm / 1e9:.0f} GFLOP/s)", "0.7 x"


@row
def detection():
    """PP-OCR detection 320x320 with data and checks, over onnxruntime, one thread each"""
    picture = np.random.default_rng(1).standard_normal((1, 3, 320, 320)).astype(np.float32)
    reference = onnxruntime_seconds(DETECTION, {"x": picture}, threads=1)
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/x.npy", picture)
        arguments = ["run", DETECTION, "--shape", "x=1x3x320x320", "--input", f"x={folder}/x.npy", "-j", 1]
        checked = min(presil(*arguments)["host"]["simulate_seconds"] for _ in range(REPETITIONS))
        plain = min(presil(*arguments, "--no-check")["host"]["simulate_seconds"] for _ in range(REPETITIONS))
    text = f"{checked / reference:.2f} x ({checked * 1e3:.0f} ms over {reference * 1e3:.0f} ms); "
    return text + f"without checks {plain / reference:.2f} x", "6 x"


@row
def memory():
    """peak memory of detection 320x320: with data, without, the file's size"""
    arguments = ["run", DETECTION, "--shape", "x=1x3x320x320"]
    sizes = [presil(*arguments, *extra)["host"]["peak_rss_bytes"] for extra in ([], ["--no-data"])]
    return ", ".join(f"{size / 2**20:.0f} MiB" for size in [*sizes, os.path.getsize(DETECTION)]), "300 MiB without data"


@row
def compile_time():
    """compiling PP-OCR detection 320x320"""
    runs = [presil("run", DETECTION, "--shape", "x=1x3x320x320", "--no-data")["host"] for _ in range(REPETITIONS)]
    return f"{min(r['compile_seconds'] for r in runs) * 1e3:.0f} ms, then {min(r['simulate_seconds'] for r in runs) * 1e3:.0f} ms to time it", ""


@row
def gemm():
    """bf16 GEMM 4096^3 on one trn2 core: mfu"""
    return f"{presil('bench', 'gemm', '--m', 4096, '--n', 4096, '--k', 4096, '--no-data')['mfu']:.3f}", "0.92"


@row
def elementwise():
    """1 GiB element-wise chain on one trn2 core: part of the HBM bound"""
    return f"{presil('bench', 'elementwise', '--bytes', '1 GiB', '--no-data')['hbm']['bound_fraction']:.3f}", "0.85"


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--filter", default="", help="only rows whose name contains this: " + " ".join(ROWS))
    options = parser.parse_args()
    for name, function in ROWS.items():
        if options.filter in name:
            value, target = function()
            print(f"{name:<14}{function.__doc__}\n{'':<14}  {value}" + (f"   (target {target})" if target else ""), flush=True)


if __name__ == "__main__":
    main()
