"""Runs models through the reference interpreter (tests/tools/graph_interpret.cc) and onnxruntime."""
import subprocess
import tempfile
from pathlib import Path

import ml_dtypes
import numpy as np
import onnxruntime

ROOT = Path(__file__).resolve().parent.parent.parent
TOOL = ROOT / "build/tests/tools/graph_interpret"
DTYPES = {"fp32": np.float32, "fp16": np.float16, "bf16": ml_dtypes.bfloat16, "bool": np.bool_, "int32": np.int32,
          "int64": np.int64, "int8": np.int8, "uint8": np.uint8, "int16": np.int16, "uint16": np.uint16,
          "uint32": np.uint32}


class ImportFailed(Exception):
    """The tool refused the model; the text is its message."""


def run_tool(model, *arguments):
    done = subprocess.run([TOOL, model, *arguments], capture_output=True, text=True, timeout=300)
    if done.returncode == 2:
        raise ImportFailed(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return done.stdout


def interpret(model, feeds, simplify=True, options=()):
    """Outputs for feeds = {input name: array}, in the order of the model's inputs."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--output-dir", folder, *options]
        arguments += ["--simplify"] if simplify else []
        for i, (name, value) in enumerate(feeds.items()):
            narrowed = value.astype(np.int32) if value.dtype == np.int64 else value
            narrowed.tofile(f"{folder}/input{i}.raw")
            arguments += ["--input", f"{folder}/input{i}.raw", "--shape", f"{name}={'x'.join(map(str, value.shape))}"]
        outputs = []
        for line in run_tool(model, *arguments).splitlines():
            if line.startswith("output "):
                _, dtype, rest = line.split(" ", 2)
                shape, file = rest.rsplit(" ", 1)
                shape = [int(d) for d in shape.strip("[]").split(",") if d.strip()]
                outputs.append(np.fromfile(file, DTYPES[dtype]).reshape(shape))
        return outputs


def run_onnxruntime(model, feeds, optimize=False):
    settings = onnxruntime.SessionOptions()
    level = onnxruntime.GraphOptimizationLevel
    settings.graph_optimization_level = level.ORT_ENABLE_ALL if optimize else level.ORT_DISABLE_ALL
    settings.log_severity_level = 3
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), settings, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def assert_close(ours, reference, other, relative=1e-4):
    """The bound of design: relative to the reference's rms, or 4 times its own spread over optimization levels."""
    for a, b, c in zip(ours, reference, other, strict=True):
        assert a.shape == b.shape
        if b.dtype == np.bool_ or np.issubdtype(b.dtype, np.integer):
            np.testing.assert_array_equal(a, b)
            continue
        a, b, c = (v.astype(np.float64) for v in (a, b, c))
        finite = np.isfinite(b)
        np.testing.assert_array_equal(a[~finite], b[~finite])
        if not finite.any():
            continue
        rms = np.sqrt(np.mean(b[finite] ** 2))
        spread = np.abs(b - c)[finite].max()
        error = np.abs(a - b)[finite].max()
        assert error <= max(relative * rms, 4 * spread), f"error {error:.3e}, rms {rms:.3e}, spread {spread:.3e}"
