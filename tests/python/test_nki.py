"""Do kernels written for the public NKI interface compute what they say, and is what is wrong refused at its line?"""
import inspect
import subprocess
import sys

import ml_dtypes
import numpy as np
import presil
import pytest
from presil import nki
from presil.nki import isa as nisa
from presil.nki import language as nl

CHIPS = ["trn1", "trn2", "trn3"]


def drawn(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def agree(result, expected, bound=1e-5):
    assert result.shape == expected.shape
    assert np.sqrt(np.mean((result.astype(np.float64) - expected) ** 2)) <= bound * np.sqrt(np.mean(np.square(expected, dtype=np.float64)))


def message(kernel, *arguments):
    with pytest.raises(presil.Error) as caught:
        kernel(*arguments)
    return str(caught.value)


@nki.jit
def product(lhs_t, rhs):
    """lhs_t[k, m]^T rhs[k, n]."""
    (k_size, m_size), n_size = lhs_t.shape, rhs.shape[1]
    out = nl.ndarray((m_size, n_size), dtype=lhs_t.dtype, buffer=nl.shared_hbm)
    for m in nl.affine_range(m_size // nl.tile_size.gemm_stationary_fmax):
        for n in nl.affine_range(n_size // nl.tile_size.gemm_moving_fmax):
            total = nl.ndarray((128, 512), dtype=nl.float32, buffer=nl.psum)
            for k in nl.affine_range(k_size // nl.tile_size.pmax):
                a = nl.ndarray((128, 128), dtype=lhs_t.dtype, buffer=nl.sbuf)
                b = nl.ndarray((128, 512), dtype=rhs.dtype, buffer=nl.sbuf)
                nisa.dma_copy(dst=a, src=lhs_t[k * 128:(k + 1) * 128, m * 128:(m + 1) * 128])
                nisa.dma_copy(dst=b, src=rhs[nl.ds(k * 128, 128), nl.ds(n * 512, 512)])
                nisa.nc_matmul(total, a, b)
            result = nl.ndarray((128, 512), dtype=out.dtype)
            nisa.tensor_copy(dst=result, src=total)
            nisa.dma_copy(dst=out[m * 128:(m + 1) * 128, n * 512:(n + 1) * 512], src=result)
    return out


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("dtype, bound", [(np.float32, 1e-5), (ml_dtypes.bfloat16, 5e-3)])
def test_product(chip, dtype, bound):
    a, b = drawn(384, 256, dtype=dtype), drawn(384, 1024, seed=1, dtype=dtype)
    kernel = product.on(chip)
    agree(kernel(a, b), a.astype(np.float64).T @ b.astype(np.float64), bound)
    run = kernel.result.document
    assert run["chip"]["name"] == chip and not run["findings"]
    assert kernel.timed(a, b).seconds == kernel.result.seconds


@nki.jit
def normalized(x, weight):
    """Rows over their root mean square, times weight, then a softmax."""
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    tile, factors = nl.load(x), nl.load(weight.reshape((1, weight.shape[0])))
    mean = nl.multiply(nl.sum(nl.square(tile), axis=1, keepdims=True), 1.0 / x.shape[1])
    scaled = nl.multiply(nl.multiply(tile, nl.rsqrt(mean + 1e-6)), factors)
    top = nl.max(scaled, axis=[1], keepdims=True)
    raised = nl.exp(nl.subtract(scaled, top))
    nl.store(out, nl.multiply(raised, nl.reciprocal(nl.sum(raised, axis=1, keepdims=True))))
    return out


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("rows, columns", [(1, 7), (128, 600), (97, 64)])
def test_operations_of_the_language(chip, rows, columns):
    x, weight = drawn(rows, columns), drawn(columns, seed=1)
    y = x / np.sqrt(np.mean(x.astype(np.float64) ** 2, axis=1, keepdims=True) + 1e-6) * weight
    raised = np.exp(y - y.max(axis=1, keepdims=True))
    agree(normalized.on(chip)(x, weight), raised / raised.sum(axis=1, keepdims=True), 1e-4)


@nki.jit
def pooled(x):
    """2 x 2 windows of [channels, height, width], by an access pattern."""
    c, h, w = x.shape
    out = nl.ndarray((c, h // 2, w // 2), dtype=x.dtype, buffer=nl.shared_hbm)
    tile = nl.load(x)
    windows = tile.ap([[h * w, c], [2 * w, h // 2], [2, w // 2], [w, 2], [1, 2]])
    nl.store(out, nl.multiply(nl.sum(windows, axis=[3, 4]), 0.25))
    return out


def test_access_patterns():
    x = drawn(24, 10, 12)
    agree(pooled(x), x.reshape(24, 5, 2, 6, 2).astype(np.float64).mean(axis=(2, 4)))


@nki.jit
def viewed(x):
    """Every second column, reversed halves, a swap of two free axes, an integer index."""
    p, n = x.shape
    out = nl.ndarray((p, n // 2 + n + n + 1), dtype=x.dtype, buffer=nl.shared_hbm)
    tile = nl.load(x)
    parts = nl.ndarray((p, n // 2 + n + n + 1), dtype=x.dtype)
    nisa.tensor_copy(parts[:, :n // 2], tile[:, ::2])
    nisa.tensor_copy(parts[:, n // 2:n], tile[:, n // 2:])
    nisa.tensor_copy(parts[:, n:n + n // 2], tile[:, :n // 2])
    swapped = tile.reshape((p, 4, n // 4)).permute((0, 2, 1))
    nisa.tensor_copy(parts[:, n + n // 2:2 * n + n // 2].reshape((p, n // 4, 4)), swapped)
    nisa.tensor_copy(parts[:, -1], tile[:, 3])
    nl.store(out, parts)
    return out


def test_views_are_numpys():
    x = drawn(50, 16)
    swapped = x.reshape(50, 4, 4).transpose(0, 2, 1).reshape(50, 16)
    np.testing.assert_array_equal(viewed(x), np.concatenate([x[:, ::2], x[:, 8:], x[:, :8], swapped, x[:, 3:4]], axis=1))


@nki.jit
def triangle(x):
    """x on and below the diagonal, counted columns above."""
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    tile, counted, chosen = nl.load(x), nl.ndarray(x.shape, nl.float32), nl.ndarray(x.shape, nl.float32)
    n = x.shape[1]
    nisa.iota(counted, pattern=[[1, n]], offset=5, channel_multiplier=n)
    nisa.affine_select(chosen, pattern=[[-1, n]], channel_multiplier=1, on_true_tile=tile, on_false_value=-1.0, cmp_op=nl.greater_equal)
    nisa.scalar_tensor_tensor(chosen, chosen, nl.multiply, 2.0, nl.add, counted)
    nl.store(out, chosen)
    return out


def test_affine_instructions():
    x = drawn(40, 33)
    expected = 2.0 * np.where(np.tril(np.ones_like(x)) > 0, x, -1.0) + np.arange(40 * 33).reshape(40, 33) + 5
    agree(triangle(x), expected.astype(np.float32))


@nki.jit
def added(a, b):
    """A program of the grid adds a piece of 128 rows."""
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm) if nl.program_id(0) == 0 else added.out
    added.out = out
    rows = nl.ds(nl.program_id(0) * 128, 128)
    nl.store(out[rows, :], nl.load(a[rows, :]) + nl.load(b[rows, :]))
    return out


def test_a_grid_of_programs():
    a, b = drawn(384, 20), drawn(384, 20, seed=1)
    np.testing.assert_array_equal(added[3](a, b), a + b)


@nki.jit
def both(x):
    low, high = (nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm) for _ in range(2))
    tile = nl.load(x)
    nl.store(low, nl.minimum(tile, 0.0))
    nl.store(high, nl.maximum(0.0, tile))
    return low, high


def test_several_outputs():
    x = drawn(12, 9)
    low, high = both(x)
    np.testing.assert_array_equal(low, np.minimum(x, 0))
    np.testing.assert_array_equal(high, np.maximum(x, 0))


def here(offset):
    return f"{__file__}:{sys._getframe(1).f_lineno + offset}"


def test_what_is_wrong_is_refused_at_its_line():
    x = drawn(128, 16)

    def kernel(body):
        def run(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            body(x, out)
            return out

        return nki.jit(run)

    line = here(1)
    assert message(kernel(lambda x, out: nl.ndarray((200, 4), nl.float32)), x) == (
        f"{line}: 200 partitions in shape (200, 4), a tile has at most 128")
    line = here(1)
    assert message(kernel(lambda x, out: nl.load(x)[:, 8:20]), x) == (
        f"{line}: axis 1 of tensor2[128, 16] float32 in nl.sbuf has 16 elements, the index takes 8 to 19")
    line = here(1)
    found = message(kernel(lambda x, out: nisa.nc_matmul(nl.ndarray((128, 4), nl.float32), x, nl.load(x))), x)
    assert found.startswith("6 broken rules of chip 'trn2':\n")
    assert f"{line}: nc_matmul dst: is in sbuf; legal: psum" in found
    assert f"{line}: nc_matmul stationary: is in hbm; legal: sbuf" in found
    line = here(1)
    assert message(kernel(lambda x, out: nisa.tensor_copy(nl.load(x), nl.load(x), engine=nisa.engine.sync)), x) == (
        f"{line}: tensor_copy does not run on the sync engine (one of vector, scalar, gpsimd)")
    line = here(1)
    assert message(kernel(lambda x, out: nisa.tensor_tensor(nl.load(x), nl.load(x), nl.load(x), nl.exp)), x) == (
        f"{line}: tensor_tensor: nl.exp is no operation of the vector engine's ALU")
    line = here(1)
    found = message(kernel(lambda x, out: nl.store(out, nl.ndarray(x.shape, x.dtype))), x)
    assert f"{line}: dma_copy src: reads 'tensor2', which nothing has written" in found
    with pytest.raises(ZeroDivisionError):
        kernel(lambda x, out: 1 // 0)(x)
    assert nl.ds(0, 1) and message(nl.ndarray, (1, 1), nl.float32).endswith(
        "this works inside a kernel only (put it into a function that is decorated with @nki.jit)")
    assert message(nki.jit, 3) == "int is no function (decorate a function with @nki.jit)"
    assert "kernel 'nothing' returns None" in message(nothing, x)


def test_a_profile_says_how_the_chip_was_used(tmp_path):
    a, b = drawn(256, 128, dtype=ml_dtypes.bfloat16), drawn(256, 1024, seed=1, dtype=ml_dtypes.bfloat16)
    run = nki.profile(product, chip="trn2")(a, b)
    agree(run.returned, a.astype(np.float64).T @ b.astype(np.float64), 5e-3)
    assert run.seconds == product.timed(a, b).seconds
    measures = run.measures
    flops = 2.0 * 256 * 128 * 1024
    assert (measures["hardware_flops"], measures["transpose_flops"], measures["adjusted_flops"]) == (flops, 0.0, flops)
    moved = 2 * (2 * 256 * 128 + 256 * 1024 + 128 * 1024)  # the left operand comes once for each half of the right one
    assert measures["dma_bytes"] == moved
    cycles = run.document["cycles"]["tensor"]
    assert run.hfu == pytest.approx(flops / (2 * 128 * 128 * cycles), rel=1e-9)
    stack = run.mbu * run.seconds / moved  # seconds of a stack's bandwidth per byte
    assert nki.profile(product, "trn2")(a, np.ones((256, 2048), b.dtype)).mbu == pytest.approx(
        stack * 2 * (4 * 256 * 128 + 256 * 2048 + 128 * 2048) / product.timed(a, np.ones((256, 2048), b.dtype)).seconds)
    assert 0 < run.dma_efficiency <= 1
    # Two steps of k, both halves: at most all operands and results at once, at least those of one product.
    assert 128 * (2 * 512 + 2 * 128 + 2 * 512) <= run.sbuf_peak_bytes <= 4 * 128 * 2 * (512 + 128) + 2 * 128 * 2 * 512
    assert run.psum_peak_bytes in (128 * 2048, 2 * 128 * 2048)
    first = inspect.getsourcelines(product.function)[1]
    by_name = {line.instruction: line for line in run.lines}
    source = inspect.getsource(product.function).splitlines()
    row = next(n for n, text in enumerate(source) if "nisa.nc_matmul" in text)
    assert by_name["nc_matmul"].line == f"{__file__}:{first + row}"
    assert (by_name["nc_matmul"].executed, by_name["nc_matmul"].engine) == (4, "tensor")
    assert sum(line.executed for line in run.lines) == run.document["instructions"]
    run.report(tmp_path / "kernel.html")
    run.trace(tmp_path / "kernel.pftrace")
    assert f"{__file__}:{first + row}".encode() in (tmp_path / "kernel.pftrace").read_bytes()
    assert "<title>product on trn2" in (tmp_path / "kernel.html").read_text()
    timed = nki.profile(product, chip="trn2", data=False)(a, b)
    assert (timed.seconds, timed.returned, timed.measures) == (run.seconds, None, measures)


def test_fp32_products_and_transposes_weigh_more():
    @nki.jit
    def turned(x):
        out = nl.ndarray((64, 128), x.dtype, buffer=nl.shared_hbm)
        nl.store(out, nl.transpose(nl.load(x)))
        return out

    x = drawn(128, 64)
    run = nki.profile(turned, "trn2")(x)
    np.testing.assert_array_equal(run.returned, x.T)
    measures, flops = run.measures, 2.0 * 128 * 64 * 128
    assert (measures["hardware_flops"], measures["transpose_flops"], measures["adjusted_flops"]) == (flops, flops, 4 * flops)
    assert nki.profile(product, "trn2")(drawn(128, 128), drawn(128, 512)).measures["adjusted_flops"] == 4 * 2.0 * 128 * 128 * 512


def test_simulate_and_benchmark():
    a, b = drawn(128, 128), drawn(128, 512, seed=1)
    np.testing.assert_array_equal(nki.simulate(product)(a, b), product(a, b))
    np.testing.assert_array_equal(nki.simulate(product.function, chip="trn1")(a, b), product.on("trn1")(a, b))
    bench = nki.benchmark(product, warmup=2, iters=5)
    np.testing.assert_array_equal(bench(a, b), product(a, b))
    latency = bench.benchmark_result.nc_latency
    assert latency.get_latency_percentile(50) == latency.get_latency_percentile(99) == np.ceil(1e6 * product.result.seconds)
    decorated = nki.benchmark(iters=3)(product.function)
    decorated(a, b)
    assert decorated.benchmark_result.profile.seconds == product.result.seconds
    assert message(nki.simulate, 3) == (
        "nki.simulate: int is no kernel (pass a function that is decorated with @nki.jit)")
    assert message(lambda: nki.benchmark(product, iters=0)) == (
        "nki.benchmark: 10 warm-up runs and 0 runs (warmup >= 0, iters >= 1)")
    assert message(lambda: latency.get_latency_percentile(101)) == "percentile 101 is not between 0 and 100"


def test_arrays_come_back_as_they_went_in():
    torch = pytest.importorskip("torch")
    a, b = drawn(128, 128), drawn(128, 512, seed=1)
    for kind in (torch.float32, torch.bfloat16):
        result = nki.simulate(product)(torch.from_numpy(a).to(kind), torch.from_numpy(b).to(kind))
        assert (result.dtype, tuple(result.shape)) == (kind, (128, 512))
        agree(result.float().numpy(), a.T.astype(np.float64) @ b, 1e-5 if kind == torch.float32 else 1e-2)


@pytest.mark.parametrize("wanted, chip", [("gen2", "trn1"), ("trn3", "trn3"), ("gen4", "trn3")])
def test_the_environment_names_the_chip(monkeypatch, wanted, chip):
    monkeypatch.setenv("NEURON_PLATFORM_TARGET_OVERRIDE", wanted)
    product(drawn(128, 128), drawn(128, 512))
    assert product.result.document["chip"]["name"] == chip


@nki.jit
def nothing(x):
    nl.load(x)


SCRIPT = """
import numpy as np
import nki
import nki.isa as nisa
import nki.language as nl

@nki.jit
def doubled(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    tile = nl.load(x)
    nisa.activation(tile, nl.copy, tile, scale=2.0)
    nl.store(out, tile)
    return out

x = np.arange(12, dtype=np.float32).reshape(3, 4)
assert (doubled(x) == 2 * x).all()
print(doubled.result.document["chip"]["name"])
"""


def test_a_script_runs_as_it_is(root, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "presil.nki", "run"]
    env = {"PYTHONPATH": str(root / "build/python"), "NEURON_PLATFORM_TARGET_OVERRIDE": "trn1", "PATH": ""}
    done = subprocess.run([*command, script], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "trn1\n", "")
    missing = subprocess.run([*command, tmp_path / "none.py"], env=env, capture_output=True, text=True)
    assert (missing.returncode, missing.stderr) == (2, f"presil: error: {tmp_path / 'none.py'}: no such file\n")


def test_the_command_runs_a_script(root, presil, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT + "import sys; print(sys.argv[1:])\n")
    env = {"PATH": "/usr/bin:/bin", "PRESIL_PYTHON": sys.executable}

    def run(*words, **more):
        done = subprocess.run([presil, "nki", "run", *words], env={**env, **more}, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    assert run("--chip", "trn3", script, "--chip", "x") == (0, "trn3\n['--chip', 'x']\n", "")
    assert run(tmp_path / "none.py") == (2, "", f"presil: error: {tmp_path / 'none.py'}: no such file\n")
    assert run() == (2, "", "presil: error: no script was given (presil nki run SCRIPT.py [ARGUMENTS])\n")
    assert run(script, PRESIL_PYTHON="no-such-python") == (
        2, "", "presil: error: no-such-python: No such file or directory (name an interpreter in PRESIL_PYTHON)\n")
    bare = tmp_path / "bare"  # away from the package that lies beside the binary
    bare.write_bytes(presil.read_bytes())
    bare.chmod(0o755)
    done = subprocess.run([bare, "nki", "run", script], env={**env, "PYTHONNOUSERSITE": "1"}, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "") and "No module named 'presil'" in done.stderr
    assert "(install the package presil there, or name another interpreter in PRESIL_PYTHON)" in done.stderr
    script.write_text("1 +")
    code, _, text = run(script)
    assert code == 1 and "SyntaxError" in text


def test_a_kernel_may_return_what_it_makes_in_hbm():
    @nki.jit
    def doubled(x):
        out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.hbm)
        tile = nl.load(x)
        nisa.tensor_scalar(dst=tile, data=tile, op0=nl.multiply, operand0=2.0)
        nl.store(out, tile)
        return out

    x = np.arange(128 * 4, dtype=np.float32).reshape(128, 4)
    assert (doubled(x) == 2 * x).all()

    @nki.jit
    def private(x):
        out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.private_hbm)
        nl.store(out, nl.load(x))
        return out

    with pytest.raises(presil.Error, match="nl.shared_hbm or nl.hbm"):
        private(x)

    @nki.jit
    def given(x):
        return x

    with pytest.raises(presil.Error, match="returns x"):
        given(x)
