"""Do the networks that people judge a compiler by come near the least time that their graphs permit?"""
import json
import subprocess
import sys

import pytest

LEAST_SHARE = 0.75
SIZES = {"resnet50": "input=8x3x224x224", "vit_b_16": "input=8x3x224x224"}


def share_of_least_time(presil, model, *arguments):
    command = [presil, "run", model, *arguments, "--precision", "bf16", "--chip", "trn2", "--no-data", "--json"]
    run = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout)
    return run["lower_bound"]["seconds"] / run["seconds"]


@pytest.mark.parametrize("name", SIZES)
def test_exported_networks(root, presil, name):
    model = root / f".cache/models/{name}.onnx"
    if not model.exists():
        pytest.skip(f"{name} is not exported; ./dev setup --models")
    assert LEAST_SHARE <= share_of_least_time(presil, model, "--shape", SIZES[name]) <= 1


@pytest.mark.parametrize("arguments, least", [([], 0.50), (["--causal"], 0.45)])
def test_fused_attention(presil, arguments, least):
    """Of the bf16 peak; of a causal attention only what the mask leaves counts."""
    command = [presil, "bench", "attention", "--heads", "1", "--seq", "8192", "--head-dim", "128", "--no-data", "--json", *arguments]
    run = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout)
    assert least <= run["mfu"] <= run["seconds"] / run["lower_bound"]["seconds"] * run["mfu"] <= 1


def test_bert_base(root, presil, tmp_path):
    """Twelve layers, sequence 384, batch 4."""
    sys.path.insert(0, str(root / "bench"))
    from bert_layers import bert_layers

    bert_layers(tmp_path / "bert.onnx", layers=12)
    assert LEAST_SHARE <= share_of_least_time(presil, tmp_path / "bert.onnx") <= 1
