"""The three text recognition networks: imported, simplified and interpreted, against onnxruntime at several sizes."""
import subprocess
import sys

import numpy as np
import pytest

from graph_tool import assert_close, interpret, run_onnxruntime, run_tool

DETECT, RECOGNIZE, DIRECTION = ("ch_PP-OCRv4_det_infer.onnx", "ch_PP-OCRv4_rec_infer.onnx",
                                "ch_ppocr_mobile_v2.0_cls_infer.onnx")
CASES = [(DIRECTION, (1, 3, 48, 192), False), (DIRECTION, (2, 3, 48, 192), True), (RECOGNIZE, (1, 3, 48, 123), True),
         (RECOGNIZE, (2, 3, 48, 320), True), (DETECT, (1, 3, 192, 256), True), (DETECT, (1, 3, 96, 64), False)]
LONG = [(DETECT, (1, 3, 320, 320), False), (DETECT, (2, 3, 320, 320), True), (RECOGNIZE, (2, 3, 48, 320), False)]


@pytest.fixture(scope="session")
def models(root):
    subprocess.run([sys.executable, root / "tools/fetch_models.py"], check=True)
    return root / ".cache/models"


@pytest.mark.parametrize("name,shape,simplify",
                         CASES + [pytest.param(*case, marks=pytest.mark.long) for case in LONG])
def test_interpreter_agrees_with_onnxruntime(models, name, shape, simplify):
    picture = np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)
    feeds = {"x": picture}
    reference = run_onnxruntime(models / name, feeds)
    assert_close(interpret(models / name, feeds, simplify), reference, run_onnxruntime(models / name, feeds, True))


# What remains after simplification: the work that a compiler has to place.
HISTOGRAMS = {
    DETECT: "conv 61, elementwise.add 25, elementwise.hard_swish 24, elementwise.mul 24, elementwise.relu 12, "
            "elementwise.hard_sigmoid 10, reduce 10, resize 6, conv_transpose 2, concat 1, elementwise.sigmoid 1",
    DIRECTION: "conv 52, elementwise.hard_swish 18, elementwise.relu 15, reduce 10, elementwise.hard_sigmoid 9, "
               "elementwise.mul 9, elementwise.add 7, matmul 1, pool 1, reshape 1, softmax 1",
    RECOGNIZE: "conv 38, elementwise.hard_swish 28, elementwise.add 20, elementwise.mul 20, matmul 13, reshape 13, "
               "transpose 9, elementwise.silu 7, slice 6, layer_norm 5, softmax 3, elementwise.hard_sigmoid 2, "
               "elementwise.relu 2, reduce 2, concat 1, pool 1",
}


@pytest.mark.parametrize("name,shape", [(DETECT, "2x3x320x320"), (DIRECTION, "1x3x48x192"), (RECOGNIZE, "1x3x48x123")])
def test_same_graph_with_and_without_data(models, name, shape):
    with_data = run_tool(models / name, "--shape", f"x={shape}", "--simplify")
    without = run_tool(models / name, "--shape", f"x={shape}", "--simplify", "--no-data")
    assert with_data == without
    assert with_data.splitlines()[0] == f"histogram {HISTOGRAMS[name]}"
