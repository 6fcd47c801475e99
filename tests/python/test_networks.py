"""The three text recognition networks on the simulated core, against onnxruntime: sizes, batches, seeds, a photograph,
precisions and chips. One row of CASES is one run of the binary."""
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from compare import assert_agrees

DETECT, RECOGNIZE, DIRECTION = ("ch_PP-OCRv4_det_infer.onnx", "ch_PP-OCRv4_rec_infer.onnx",
                                "ch_ppocr_mobile_v2.0_cls_infer.onnx")
PHOTOGRAPH = "photograph"
# name, shape, precision, seed or PHOTOGRAPH, chip
QUICK = [
    (DIRECTION, (1, 3, 48, 192), "fp32", 0, "trn2"),
    (DIRECTION, (4, 3, 48, 192), "bf16", 1, "trn2"),
    (DIRECTION, (1, 3, 48, 192), "bf16", PHOTOGRAPH, "trn1"),
    (RECOGNIZE, (1, 3, 48, 320), "fp32", 0, "trn2"),
    (RECOGNIZE, (4, 3, 48, 123), "fp32", 1, "trn2"),
    (RECOGNIZE, (1, 3, 48, 200), "bf16", PHOTOGRAPH, "trn2"),
    (RECOGNIZE, (1, 3, 48, 64), "bf16", 2, "trn1"),
    (DETECT, (1, 3, 192, 256), "fp32", 0, "trn2"),
    (DETECT, (4, 3, 96, 128), "fp32", 1, "trn2"),
    (DETECT, (1, 3, 320, 320), "fp32", PHOTOGRAPH, "trn2"),
    (DETECT, (1, 3, 192, 256), "bf16", PHOTOGRAPH, "trn2"),
]
CHIPS = ["array64", "array256", "half_sbuf", "one_dma_engine"]
QUICK += [(RECOGNIZE, (1, 3, 48, 96), "fp32", 3, f"examples/chips/{chip}.toml") for chip in CHIPS]
QUICK += [(DETECT, (1, 3, 160, 192), "fp32", 3, f"examples/chips/{chip}.toml") for chip in CHIPS]
LONG = [(DETECT, shape, precision, seed, "trn2") for shape in [(1, 3, 640, 480), (1, 3, 736, 960), (4, 3, 320, 320)]
        for precision in ["fp32", "bf16"] for seed in [0, 1, 2, PHOTOGRAPH]]
LONG += [(RECOGNIZE, shape, precision, seed, "trn2") for shape in [(1, 3, 48, 640), (4, 3, 48, 320)]
         for precision in ["fp32", "bf16"] for seed in [0, 1, 2, PHOTOGRAPH]]
LONG += [(DIRECTION, (4, 3, 48, 192), precision, seed, "trn2") for precision in ["fp32", "bf16"]
         for seed in [0, 1, 2, PHOTOGRAPH]]


@pytest.fixture(scope="session")
def cache(root):
    subprocess.run([sys.executable, root / "tools/fetch_models.py"], check=True)
    return root / ".cache/models"


def picture(cache, shape, source):
    """Noise, or a photograph cut into the batch, normalized to [-1, 1]."""
    if source != PHOTOGRAPH:
        return np.random.default_rng(source).standard_normal(shape).astype(np.float32)
    batch, _, height, width = shape
    whole = np.asarray(Image.open(cache / "china.jpg").convert("RGB").resize((width, height * batch)), np.float32)
    return np.ascontiguousarray((whole / 127.5 - 1).reshape(batch, height, width, 3).transpose(0, 3, 1, 2))


@pytest.mark.parametrize("name,shape,precision,source,chip",
                         QUICK + [pytest.param(*case, marks=pytest.mark.long) for case in LONG])
def test_agrees_with_onnxruntime(presil, root, cache, tmp_path, name, shape, precision, source, chip):
    x = picture(cache, shape, source)
    np.save(tmp_path / "x.npy", x)
    done = subprocess.run(
        [presil, "run", cache / name, "--shape", "x=" + "x".join(map(str, shape)), "--input", f"x={tmp_path / 'x.npy'}",
         "--precision", precision, "--chip", chip, "--check", "--output-dir", tmp_path / "out", "--json"],
        cwd=root, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["outcome"]["kind"] == "done" and result["findings"] == []
    ours = np.load(tmp_path / "out" / result["outputs"][0]["file"])
    optimized, = assert_agrees(cache / name, {"x": x}, [ours], precision, tmp_path)
    # Top-1 where the margin is clear.
    if name != DETECT:
        ordered = np.sort(optimized, axis=-1)
        clear = ordered[..., -1] - ordered[..., -2] > 4 * np.abs(ours - optimized).max(axis=-1)
        assert (ours.argmax(-1) == optimized.argmax(-1))[clear].all() and (clear.any() or source != PHOTOGRAPH)
