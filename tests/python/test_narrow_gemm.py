"""presil bench gemm with packed weights (fp8, mxfp8, structured sparsity) against numpy and ml_dtypes: the same
quantization written down once more, then a product in float64; and what the command refuses."""

import json
import subprocess

import ml_dtypes
import numpy as np
import pytest

BF16 = ml_dtypes.bfloat16
ROUNDING = 4e-3  # of the result to bf16 (2^-9 at most), over exact products of the quantized operands
# Of the quantization itself, against the operands in bf16: e4m3 has 3 bits, so 2^-4 at most per operand.
QUANTIZATION = 8e-2


@pytest.fixture
def gemm(presil, tmp_path):
    def run(a, b, *arguments):
        for name, value in (("a", a), ("b", b)):
            np.save(tmp_path / f"{name}.npy", value.astype(BF16))
        (m, k), n = a.shape, b.shape[1]
        command = [presil, "bench", "gemm", "--m", m, "--n", n, "--k", k, "--json", "--output-dir", tmp_path]
        command += [part for name in "ab" for part in ("--input", f"{name}={tmp_path / name}.npy")]
        done = subprocess.run([str(part) for part in [*command, *arguments]], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert result["outcome"]["kind"] == "done"
        return np.load(tmp_path / result["outputs"][0]["file"]).view(BF16).astype(np.float64)

    return run


def drawn(seed, *shape):
    random = np.random.default_rng(seed)
    return (random.standard_normal(shape) * np.exp(random.standard_normal(shape))).astype(BF16).astype(np.float64)


def rms(x):
    return np.sqrt(np.mean(np.square(x)))


def agree(result, expected, limit):
    assert result.shape == expected.shape
    assert rms(result - expected) <= limit * rms(expected)


def e4m3(x):
    return x.astype(ml_dtypes.float8_e4m3).astype(np.float64)


@pytest.mark.parametrize("chip", ["trn1", "trn2", "trn3"])
@pytest.mark.parametrize("m, n, k", [(1, 1, 2), (7, 13, 62), (128, 512, 256), (130, 600, 770), (40, 1100, 300)])
def test_fp8(gemm, chip, m, n, k):
    a, b = drawn(m, m, k), drawn(n, k, n)
    unit = 2.0 ** (np.floor(np.log2(np.abs(a).max() / 128)) + 1)
    result = gemm(a, b, "--precision", "fp8", "--chip", chip)
    agree(result, e4m3(a / unit) * unit @ e4m3(b), ROUNDING)
    agree(result, a @ b, QUANTIZATION)


def mx(x):
    """Rows of x [k, columns], k = 512 t + partitions q + p: groups of 8 p and 4 q share a scale."""
    out = np.empty_like(x)
    for begin in range(0, len(x), 512):
        tile = x[begin : begin + 512]
        groups = tile.reshape(4, len(tile) // 32, 8, -1)
        largest = np.abs(groups).max(axis=(0, 2), keepdims=True)
        exponent = np.floor(np.log2(largest, where=largest > 0, out=np.full_like(largest, -200)))
        scale = 2.0 ** np.maximum(exponent - 7, -127)
        rounded = (groups / scale).astype(ml_dtypes.float8_e4m3fn).astype(np.float64)
        out[begin : begin + 512] = (rounded * scale).reshape(tile.shape)
    return out


@pytest.mark.parametrize("m, n, k", [(2, 1, 128), (128, 512, 512), (130, 600, 1152), (20, 1100, 384)])
def test_mxfp8(gemm, m, n, k):
    a, b = drawn(m, m, k), drawn(n, k, n)
    a[0, :8], b[:40, 0] = 0, 0
    result = gemm(a, b, "--precision", "mxfp8", "--chip", "trn3")
    agree(result, mx(a.T).T @ mx(b), ROUNDING)
    agree(result, a @ b, QUANTIZATION)


def pruned(a, kept, of):
    groups = a.reshape(len(a), -1, of)
    order = np.argsort(-np.abs(groups), axis=2, kind="stable")
    keep = np.zeros(groups.shape, bool)
    np.put_along_axis(keep, order[:, :, :kept], True, axis=2)
    return np.where(keep, groups, 0).reshape(a.shape)


@pytest.mark.parametrize("pattern", ["4:16", "4:12", "4:8", "2:8", "2:4", "1:4", "1:2"])
@pytest.mark.parametrize("chip", ["trn2", "trn3"])
def test_sparse(gemm, chip, pattern):
    kept, of = map(int, pattern.split(":"))
    for m, n, groups in [(1, 1, 1), (5, 7, 3), (130, 600, 128 // kept + 2)]:
        a, b = drawn(m, m, groups * of), drawn(n, groups * of, n)
        agree(gemm(a, b, "--sparsity", pattern, "--chip", chip), pruned(a, kept, of) @ b, ROUNDING)


# Cores share the columns of b; with a number that does not divide, fewer do.
@pytest.mark.parametrize("n, cores", [(64, 8), (66, 6), (67, 1)])
def test_cores(gemm, presil, n, cores):
    a, b = drawn(1, 40, 300), drawn(2, 300, n)
    unit = 2.0 ** (np.floor(np.log2(np.abs(a).max() / 128)) + 1)
    agree(gemm(a, b, "--precision", "fp8"), e4m3(a / unit) * unit @ e4m3(b), ROUNDING)
    size = ["--m", "40", "--n", str(n), "--k", "300", "--precision", "fp8", "--no-data", "--json"]
    done = subprocess.run([presil, "bench", "gemm", *size], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["cores"] == cores


def seconds(presil, *arguments):
    size = ["--m", "4096", "--n", "4096", "--k", "4096", "--no-data", "--json", "--cores", "1"]
    done = subprocess.run([presil, "bench", "gemm", *size, *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["seconds"]


# The documented rates are 2, 4 and 4 times that of bf16; the first loads and the last stores are not hidden.
@pytest.mark.parametrize(
    "chip, arguments, least, most",
    [
        ("trn2", ["--precision", "fp8"], 1.85, 2.05),
        ("trn3", ["--precision", "fp8"], 1.85, 2.05),
        ("trn3", ["--precision", "mxfp8"], 3.45, 4.1),
        ("trn2", ["--sparsity", "4:16"], 3.4, 4.1),
        ("trn2", ["--sparsity", "2:4"], 1.85, 2.05),
    ],
)
def test_rate_over_bf16(presil, chip, arguments, least, most):
    gain = seconds(presil, "--chip", chip) / seconds(presil, "--chip", chip, *arguments)
    assert least <= gain <= most


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--precision", "fp9"], "--precision: 'fp9' is not one of fp32, tf32, bf16, fp16, fp8, mxfp8 (did you mean 'fp8'?)"),
        (["--precision", "mxfp8"], "mxfp8 needs generation 4, chip 'trn2' is generation 3"),
        (["--sparsity", "4:16", "--chip", "trn1"], "structured sparsity needs generation 3, chip 'trn1' is generation 2"),
        (["--sparsity", "3:4"], "--sparsity: '3:4' is not one of 4:16, 4:12, 4:8, 2:8, 2:4, 1:4, 1:2 (did you mean '2:4'?)"),
        (["--sparsity", "4:16", "--precision", "fp16"], "--sparsity: goes with bf16, not with fp16"),
        (["--k", "33", "--precision", "fp8"], "--k: 33 is not a multiple of 2, as double_row takes rows"),
        (["--k", "100", "--sparsity", "4:16"], "--k: 100 is not a multiple of 16, a group of the pattern"),
        (
            ["--k", "100", "--precision", "mxfp8", "--chip", "trn3"],
            "--k: 100 is not a multiple of 128, 32 partitions of 4 numbers, which share scales",
        ),
        (
            ["--m", "3", "--precision", "mxfp8", "--chip", "trn3"],
            "--m: 3 is not a multiple of 2, as nc_matmul_mx takes columns",
        ),
    ],
)
def test_refused(presil, arguments, message):
    sizes = {"--m": "4", "--n": "4", "--k": "128"}
    for option in ("--m", "--k"):
        if option in arguments:
            sizes.pop(option)
    command = [presil, "bench", "gemm", *[part for pair in sizes.items() for part in pair], *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.strip() == f"presil: error: {message}"


# A model's products in tf32: 11 significant bits per operand, so 2^-11 at most, and four times fp32's rate.
@pytest.mark.parametrize("size", [(64, 64, 64), (130, 600, 300)])
def test_tf32(presil, tmp_path, size):
    m, n, k = size
    random = np.random.default_rng(7)
    a, b = (random.standard_normal(shape).astype(np.float32) for shape in ((m, k), (k, n)))
    np.save(tmp_path / "a.npy", a), np.save(tmp_path / "b.npy", b)
    results = {}
    for precision in ("fp32", "tf32"):
        command = [presil, "bench", "gemm", "--m", m, "--n", n, "--k", k, "--precision", precision, "--json"]
        command += ["--output-dir", tmp_path, "--input", f"a={tmp_path / 'a.npy'}", "--input", f"b={tmp_path / 'b.npy'}"]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
        results[precision] = np.load(tmp_path / json.loads(done.stdout)["outputs"][0]["file"]).astype(np.float64)
    expected = a.astype(np.float64) @ b
    assert rms(results["fp32"] - expected) < 1e-6 * rms(expected)
    assert rms(results["tf32"] - expected) < 1e-3 * rms(expected)
