"""How benchmarks measure: presil's commands, its benchmark programs, and the references of the same run."""
import functools
import json
import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when numpy is imported

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PRESIL = ROOT / "build/presil"
MODELS = ROOT / ".cache/models"
DETECTION = MODELS / "ch_PP-OCRv4_det_infer.onnx"
RESNET = MODELS / "resnet50.onnx"  # by ./dev setup --models
REPETITIONS = 5
FOLDER = tempfile.TemporaryDirectory()


def presil(*arguments):
    done = subprocess.run([PRESIL, *map(str, arguments), "--cores", "1", "--json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def google_benchmark(name, pattern):
    command = [ROOT / f"build/bench/{name}", f"--benchmark_filter={pattern}", "--benchmark_format=json"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["benchmarks"]


def onnxruntime_seconds(model, feeds, threads):
    """(wall, processor) seconds of a run: the fastest of several."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(model), options)
    session.run(None, feeds)
    walls, processor = [], []
    for _ in range(2 * REPETITIONS):
        begin, used = time.perf_counter(), time.process_time()
        session.run(None, feeds)
        walls.append(time.perf_counter() - begin)
        processor.append(time.process_time() - used)
    return min(walls), min(processor)


@functools.cache
def compiled(model, precision, *sizes):
    """The path of the executable, which lives as long as this process."""
    path = Path(FOLDER.name) / f"{model.stem}_{precision}_{abs(hash(sizes))}.presil"
    subprocess.run([PRESIL, "compile", model, *sizes, "--precision", precision, "--cores", "1", "-o", path],
                   check=True, capture_output=True)
    return path


def run_bench(executable, threads, kind):
    command = [ROOT / "build/bench/run_bench", executable, threads, 2 * REPETITIONS, kind]
    done = json.loads(subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout)
    return done[kind] | {"instructions": done["instructions"]}


def command_seconds(*arguments):
    """A whole command, file to JSON: the fastest wall clock and processor time of several."""
    walls, processor = [], []
    for _ in range(2 * REPETITIONS):
        begin, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        presil(*arguments)
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        walls.append(time.perf_counter() - begin)
        processor.append(now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime)
    return f"{min(walls) * 1e3:.0f} ms ({min(processor) * 1e3:.0f} ms of processor time)"


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
