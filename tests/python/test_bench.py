"""Do the operations of `presil bench` compute what they say?"""
import json
import subprocess

import ml_dtypes
import numpy as np
import pytest

DTYPES = {"fp32": np.float32, "fp16": np.float16, "bf16": ml_dtypes.bfloat16}
# Relative rms: fp32 differs by the order of sums, the others by rounding operands and the result.
TOLERANCE = {"fp32": 1e-5, "fp16": 5e-3, "bf16": 3e-2}


@pytest.fixture
def bench(presil, tmp_path):
    """Runs `presil bench` on given operands: (its JSON, the result)."""

    def run(kind, precision, operands, *arguments):
        given = []
        for name, value in operands.items():
            np.save(tmp_path / f"{name}.npy", value.astype(DTYPES[precision]))
            given += ["--input", f"{name}={name}.npy"]
        command = [presil, "bench", kind, "--precision", precision, *map(str, arguments)]
        done = subprocess.run([*command, *given, "--output-dir", ".", "--json"], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        r = json.loads(done.stdout)
        timed = subprocess.run([*command, "--no-data", "--json"], cwd=tmp_path, capture_output=True, text=True)
        assert json.loads(timed.stdout)["trace_hash"] == r["trace_hash"]
        result = np.load(tmp_path / r["outputs"][0]["file"])
        return r, (result.view(ml_dtypes.bfloat16) if precision == "bf16" else result).astype(np.float64)

    return run


def drawn(precision, *shape):
    """Normal values that the format holds."""
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(DTYPES[precision]).astype(np.float64)


def agree(result, expected, precision):
    assert result.shape == expected.shape
    error = np.sqrt(np.mean((result - expected) ** 2) / np.mean(expected**2))
    assert error <= TOLERANCE[precision]


def convolved(x, weight, stride, pad, groups):
    n, c, h, w = x.shape
    k, per_group, r, s = weight.shape
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    rows, columns = (h + 2 * pad - r) // stride + 1, (w + 2 * pad - s) // stride + 1
    out = np.zeros((n, k, rows, columns))
    for o in range(k):
        first = o // (k // groups) * per_group
        for i in range(r):
            for j in range(s):
                window = x[:, first : first + per_group, i : i + stride * rows : stride, j : j + stride * columns : stride]
                out[:, o] += np.einsum("nchw,c->nhw", window[:, :, :rows, :columns], weight[o, :, i, j])
    return out


@pytest.mark.parametrize("precision", DTYPES)
@pytest.mark.parametrize("n, c, h, w, k, r, s, stride, pad, groups", [
    (2, 5, 9, 7, 11, 3, 2, 1, 1, 1),
    (1, 12, 13, 13, 18, 3, 3, 2, 1, 3),
    (1, 16, 8, 8, 16, 5, 5, 1, 2, 16),
    (1, 1, 1, 1, 1, 1, 1, 1, 0, 1),
])
def test_conv(bench, precision, n, c, h, w, k, r, s, stride, pad, groups):
    x, weight = drawn(precision, n, c, h, w), drawn(precision, k, c // groups, r, s)
    sizes = dict(n=n, c=c, h=h, w=w, k=k, r=r, s=s, stride=stride, pad=pad, groups=groups)
    arguments = [word for name, value in sizes.items() for word in (f"--{name}", value)]
    run, result = bench("conv", precision, {"x": x, "weight": weight}, *arguments)
    expected = convolved(x, weight, stride, pad, groups)
    agree(result, expected, precision)
    assert run["model"] == f"conv {n}x{c}x{h}x{w}, {k} of {r}x{s}"


def attended(operands, heads, causal):
    """softmax(q k^T / sqrt(head_dim)) v of [batch, seq, heads * head_dim]."""
    batch, seq, features = operands["q"].shape
    q, k, v = (operands[n].reshape(batch, seq, heads, features // heads).transpose(0, 2, 1, 3) for n in "qkv")
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(features // heads)
    if causal:
        scores[..., np.triu_indices(seq, 1)[0], np.triu_indices(seq, 1)[1]] = -np.inf
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    out = (weights / weights.sum(axis=-1, keepdims=True)) @ v
    return out.transpose(0, 2, 1, 3).reshape(batch, seq, features)


@pytest.mark.parametrize("precision", DTYPES)
@pytest.mark.parametrize("batch, heads, seq, head_dim, causal", [
    (2, 3, 65, 32, True),
    (1, 2, 40, 64, False),
    (1, 1, 7, 5, True),
    (1, 2, 1100, 32, False),
    (1, 1, 1300, 128, True),
])
def test_attention(bench, precision, batch, heads, seq, head_dim, causal):
    operands = {name: drawn(precision, batch + index, seq, heads * head_dim)[:batch] for index, name in enumerate("qkv")}
    arguments = ["--batch", batch, "--heads", heads, "--seq", seq, "--head-dim", head_dim, *(["--causal"] if causal else [])]
    run, result = bench("attention", precision, operands, *arguments)
    agree(result, attended(operands, heads, causal), precision)
    kept = seq * (seq + 1) // 2 if causal else seq * seq
    assert run["macs"] == 2 * batch * heads * kept * head_dim


@pytest.mark.parametrize("chip", ["trn1", "trn3"])
@pytest.mark.parametrize("causal", [False, True])
def test_attention_whose_maxima_grow(bench, chip, causal):
    """Later blocks of keys score higher, up to some hundreds: what was summed before is scaled to nothing."""
    seq, head_dim = 1200, 64
    operands = {name: drawn("bf16", index + 1, seq, head_dim)[:1] for index, name in enumerate("qkv")}
    growth = np.linspace(0.1, 60, seq)[:, None]
    operands["k"] = (operands["k"] * growth).astype(ml_dtypes.bfloat16).astype(np.float64)
    arguments = ["--heads", 1, "--seq", seq, "--head-dim", head_dim, "--chip", chip, *(["--causal"] if causal else [])]
    _, result = bench("attention", "bf16", operands, *arguments)
    agree(result, attended(operands, 1, causal), "bf16")


def test_gemm(bench):
    a, b = drawn("fp32", 130, 70), drawn("fp32", 70, 33)
    _, result = bench("gemm", "fp32", {"a": a, "b": b}, "--m", 130, "--k", 70, "--n", 33)
    agree(result, a @ b, "fp32")


def test_drawn_weights_depend_on_the_seed(presil, tmp_path):
    results = []
    for number, seed in enumerate((1, 1, 2)):
        subprocess.run([presil, "bench", "conv", "--c", "3", "--h", "5", "--w", "5", "--k", "4", "--r", "3", "--s", "3", "--seed",
                        str(seed), "--output-dir", str(number)], cwd=tmp_path, check=True, capture_output=True)
        file, = (tmp_path / str(number)).iterdir()
        results.append(file.read_bytes())
    assert results[0] == results[1] != results[2]
