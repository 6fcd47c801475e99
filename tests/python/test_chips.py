"""Do chips of another build run what networks need: one small array with little memory, four arrays per core?"""
import json
import subprocess

import numpy as np
import pytest

from compare import assert_agrees

CHIPS = ["edge-npu", "tpu-v4-like"]
# name, input, shape, precision
MODELS = [
    ("ch_PP-OCRv4_rec_infer.onnx", "x", (1, 3, 48, 96), "fp32"),
    ("ch_PP-OCRv4_det_infer.onnx", "x", (2, 3, 96, 128), "bf16"),
    ("face_detection_front_128x128_barracuda.onnx", "input:0", (1, 128, 128, 3), "fp32"),
    ("mobilenet_v3_small.onnx", "input", (1, 3, 224, 224), "fp32"),
    ("resnet50.onnx", "input", (2, 3, 224, 224), "bf16"),
]


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("name, input_name, shape, precision", MODELS)
def test_networks(presil, root, tmp_path, chip, name, input_name, shape, precision):
    model = root / ".cache/models" / name
    if not model.exists():
        pytest.skip(f"{name} is not there; ./dev setup --models")
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    done = subprocess.run([presil, "run", model, "--shape", f"{input_name}=" + "x".join(map(str, shape)), "--input",
                           f"{input_name}={tmp_path / 'x.npy'}", "--precision", precision, "--chip", chip, "--output-dir",
                           tmp_path / "out", "--json"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr + done.stdout
    result = json.loads(done.stdout)
    assert result["outcome"]["kind"] == "done" and result["findings"] == []
    outputs = [np.load(tmp_path / "out" / output["file"]) for output in result["outputs"]]
    assert_agrees(model, {input_name: x}, outputs, precision, tmp_path)


@pytest.mark.parametrize("chip, cores, size, least", [
    ("edge-npu", 1, 1024, 0.9),
    ("tpu-v4-like", 1, 4096, 0.95),
    ("tpu-v4-like", 2, 4096, 0.9),
])
def test_all_arrays_are_busy(presil, chip, cores, size, least):
    command = [presil, *f"bench gemm --m {size} --n {size} --k {size} --no-data --json".split(), "--chip", chip, "--cores",
               str(cores)]
    run = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert least <= run["mfu"] <= run["lower_bound"]["seconds"] / run["seconds"] <= 1
    assert run["bound_by"] == "tensor"
    assert all(row["busy_fraction"] > least for name, row in run["engines"].items() if name.startswith("tensor"))
