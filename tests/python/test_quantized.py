"""Quantized operators compiled and run on the simulated core, against onnxruntime."""
import json
import subprocess

import numpy as np
import onnx
import pytest

from graph_tool import run_onnxruntime
from test_onnx_operators import QUANTIZED, Case, model_of


def run(presil, folder, path, feeds, *options):
    command = [presil, "run", path, "--output-dir", folder / "out", "--json", *options]
    for k, (name, values) in enumerate(feeds.items()):
        np.save(folder / f"{k}.npy", values)
        command += ["--shape", f"{name}=" + "x".join(map(str, values.shape))] if values.shape else []
        command += ["--input", f"{name}={folder / f'{k}.npy'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["outcome"]["kind"] == "done" and result["findings"] == []
    return [np.load(folder / "out" / output["file"]) for output in result["outputs"]]


@pytest.mark.parametrize("precision", ("auto", "fp32"))
@pytest.mark.parametrize("case", QUANTIZED, ids=Case.name)
def test_operator_runs(presil, tmp_path, case, precision):
    """Integers are equal: sums of products are exact, and quantizing rounds as onnxruntime does. Scales are within two
    units of the last place: the engines multiply by a reciprocal."""
    model, feeds = model_of(case)
    onnx.save(model, tmp_path / "model.onnx")
    outputs = run(presil, tmp_path, tmp_path / "model.onnx", feeds, "--precision", precision)
    for ours, reference in zip(outputs, run_onnxruntime(tmp_path / "model.onnx", feeds), strict=True):
        assert ours.shape == reference.shape
        if reference.dtype == np.float32:
            np.testing.assert_allclose(ours, reference, rtol=3e-7, atol=0)
        else:
            np.testing.assert_array_equal(ours, reference)
