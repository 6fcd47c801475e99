"""The three text recognition networks on the simulated core, against onnxruntime: sizes, batches, seeds, a photograph,
precisions and chips. One row of CASES is one run of the binary."""
import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from PIL import Image

from graph_tool import run_onnxruntime

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


def rms(values):
    return float(np.sqrt(np.mean(np.square(values.astype(np.float64)))))


def rounded_operands(path, tmp_path):
    """The model with both operands x of every convolution and matmul rounded to bf16's 8 bits: t - (t - x), where
    t = (2^16 + 1) x (Veltkamp's splitting), which old opsets can say."""
    model = onnx.load(path)
    model.graph.initializer.append(onnx.helper.make_tensor("split", onnx.TensorProto.FLOAT, [], [65537.0]))
    make, nodes = onnx.helper.make_node, []
    for node in model.graph.node:
        if node.op_type in ("Conv", "ConvTranspose", "MatMul"):
            for i in range(2):
                x, t = node.input[i], f"{node.output[0]}.operand{i}"
                nodes += [make("Mul", [x, "split"], [t]), make("Sub", [t, x], [t + ".low"]),
                          make("Sub", [t, t + ".low"], [t + ".high"])]
                node.input[i] = t + ".high"
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, tmp_path / "rounded.onnx")
    return tmp_path / "rounded.onnx"


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
    plain, = run_onnxruntime(cache / name, {"x": x})
    optimized, = run_onnxruntime(cache / name, {"x": x}, True)
    error = rms(ours - optimized)
    if precision == "fp32":
        assert error <= max(1e-4 * rms(optimized), 4 * rms(plain - optimized))
    else:
        # On noise these networks amplify what rounding the operands does by itself, whoever multiplies them; 3 because
        # one draw of a random error is held against another.
        inherent = rms(run_onnxruntime(rounded_operands(cache / name, tmp_path), {"x": x}, True)[0] - optimized)
        assert error <= max(3e-2 * rms(optimized), 3 * inherent)
    # Top-1 where the margin is clear.
    if name != DETECT:
        ordered = np.sort(optimized, axis=-1)
        clear = ordered[..., -1] - ordered[..., -2] > 4 * np.abs(ours - optimized).max(axis=-1)
        assert (ours.argmax(-1) == optimized.argmax(-1))[clear].all() and (clear.any() or source != PHOTOGRAPH)
