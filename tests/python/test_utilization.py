"""Do the networks that people judge a compiler by come near the least time that their graphs permit?"""
import json
import subprocess
import sys

import pytest

LEAST_SHARE = 0.75
IMAGES = ["resnet50", "vit_b_16"]
CORES = {1: 8, 8: 64}  # and the batch


def share_of_least_time(presil, cores, model, *arguments):
    command = [presil, "run", model, *arguments, "--precision", "bf16", "--chip", "trn2", "--cores", str(cores), "--no-data",
               "--json"]
    run = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout)
    assert run["cores"] == cores
    return run["lower_bound"]["seconds"] / run["seconds"]


@pytest.mark.parametrize("cores", CORES)
@pytest.mark.parametrize("name", IMAGES)
def test_exported_networks(root, presil, name, cores):
    model = root / f".cache/models/{name}.onnx"
    if not model.exists():
        pytest.skip(f"{name} is not exported; ./dev setup --models")
    assert LEAST_SHARE <= share_of_least_time(presil, cores, model, "--shape", f"input={CORES[cores]}x3x224x224") <= 1


@pytest.mark.parametrize("arguments, least", [([], 0.50), (["--causal"], 0.45)])
def test_fused_attention(presil, arguments, least):
    """Of the bf16 peak; of a causal attention only what the mask leaves counts."""
    command = [presil, "bench", "attention", "--heads", "1", "--seq", "8192", "--head-dim", "128", "--cores", "1",
               "--no-data", "--json", *arguments]
    run = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout)
    assert least <= run["mfu"] <= run["seconds"] / run["lower_bound"]["seconds"] * run["mfu"] <= 1


@pytest.mark.parametrize("cores, layers, batch, sequence, hidden", [
    (1, 12, 4, 384, 768),  # BERT-base
    (8, 24, 16, 512, 1024),  # BERT-large
])
def test_bert(root, presil, tmp_path, cores, layers, batch, sequence, hidden):
    sys.path.insert(0, str(root / "bench"))
    from bert_layers import bert_layers

    bert_layers(tmp_path / "bert.onnx", layers, batch, sequence, hidden)
    assert LEAST_SHARE <= share_of_least_time(presil, cores, tmp_path / "bert.onnx") <= 1
