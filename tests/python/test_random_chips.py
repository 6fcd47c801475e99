"""Networks on machines that nobody has built: chip files drawn at random, each of which runs them correctly, checker on."""
import json
import subprocess
import sys

import numpy as np
import pytest

from compare import assert_agrees
from test_models import model_path, noise  # noqa: F401 (a fixture)

QUICK, LONG = range(1), range(1, 11)
RECOGNIZE = "ch_PP-OCRv4_rec_infer"
MODELS = {
    "mobilenet_v3_small": noise(input=(1, 3, 224, 224)),
    "embedding_model": noise(input_1=(1, 76, 32, 1)),
    "face_detection_front_128x128_barracuda": noise(**{"input:0": (1, 128, 128, 3)}),
    RECOGNIZE: noise(x=(1, 3, 48, 96)),
    "encoder": noise(x=(1, 50, 256)),
}


def chip_file(seed):
    """trn2 with another array, SBUF, DMA and memory. SBUF has 1 to 128 MiB, and at least 16 KiB per partition: a row of a
    feature map has to fit; bandwidths are within a factor of 4."""
    rng = np.random.default_rng(seed)
    rows = 32 * int(rng.integers(1, 17))
    columns = 32 * int(rng.integers(1, rows // 32 + 1))
    total = 2.0 ** rng.uniform(20, 27)
    partition = min(max(int(total / rows) // 64 * 64, 16 << 10), 4 << 20)
    factor = lambda: 4.0 ** rng.uniform(-1, 1)
    rate, engines = 23 * factor(), int(rng.integers(1, 33))
    text = f"""extends = "trn2"
name = "random{seed}"
[tensor]
rows = {rows}  # assumed: drawn
columns = {columns}  # assumed: drawn
moving_max = 512  # assumed: as trn2
[sbuf]
partitions = {rows}  # assumed: one per row
partition_size = "{partition} B"  # assumed: drawn
[psum]
partitions = {rows}  # assumed: one per row
[dma]
engines = {engines}  # assumed: drawn
engine_bandwidth = "{rate:.3f} GB/s"  # assumed: drawn
queue_bandwidth = "{rate:.3f} GB/s"  # assumed: drawn
[hbm]
bandwidth = "{725 * factor():.1f} GB/s"  # assumed: drawn
"""
    return text + "".join(f"[{engine}]\nlanes = {rows}  # assumed: one per partition\n"
                          for engine in ("vector", "scalar", "gpsimd"))


def chips():
    return [*QUICK, *(pytest.param(seed, marks=pytest.mark.long) for seed in LONG)]


def network(root, model_path, name):  # noqa: F811
    if name != RECOGNIZE:
        return model_path(name)
    subprocess.run([sys.executable, root / "tools/fetch_models.py"], check=True)
    return root / f".cache/models/{name}.onnx"


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("seed", chips())
def test_a_random_chip_runs(presil, root, model_path, tmp_path, name, seed):  # noqa: F811
    path = network(root, model_path, name)
    chip = tmp_path / "chip.toml"
    chip.write_text(chip_file(seed))
    inputs = MODELS[name](np.random.default_rng(seed), 1)
    (input_name, values), = inputs.items()
    np.save(tmp_path / "input.npy", values)
    done = subprocess.run(
        [presil, "run", path, "--chip", chip, "--shape", f"{input_name}=" + "x".join(map(str, values.shape)), "--input",
         f"{input_name}={tmp_path / 'input.npy'}", "--precision", "fp32", "--check", "--output-dir", tmp_path / "out",
         "--json"], cwd=root, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"{done.stderr}\n{chip.read_text()}"
    result = json.loads(done.stdout)
    assert result["outcome"]["kind"] == "done" and result["findings"] == []
    outputs = [np.load(tmp_path / "out" / output["file"]) for output in result["outputs"]]
    assert_agrees(path, inputs, outputs, "fp32", tmp_path)
