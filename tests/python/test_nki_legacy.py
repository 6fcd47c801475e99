"""Do kernels of the older NKI interface (neuronxcc.nki) compute what they say, and is what is wrong refused at its line?"""
import subprocess
import sys

import ml_dtypes
import numpy as np
import presil
import pytest
from presil.nki import legacy as nki
from presil.nki.legacy import isa as nisa
from presil.nki.legacy import language as nl

CHIPS = ["trn1", "trn2", "trn3"]


def drawn(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def agree(result, expected, bound=1e-5):
    assert result.shape == expected.shape
    expected = expected.astype(np.float64)
    assert np.sqrt(np.mean((result.astype(np.float64) - expected) ** 2)) <= bound * np.sqrt(np.mean(expected ** 2))


def message(kernel, *arguments):
    with pytest.raises(presil.Error) as caught:
        kernel(*arguments)
    return str(caught.value)


def here(offset):
    return f"{__file__}:{sys._getframe(1).f_lineno + offset}"


def unary(body, shape=None):
    """A kernel that stores body(x) as an output of x's shape, or another one."""
    def run(x):
        result = body(x)
        out = nl.ndarray(shape or x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
        nl.store(out, result)
        return out

    return nki.jit(run)


@nki.jit
def product(lhs_t, rhs):
    """lhs_t[k, m]^T rhs[k, n], tiles in blocks, sums over k in the loop's order."""
    (k_size, m_size), n_size = lhs_t.shape, rhs.shape[1]
    out = nl.ndarray((m_size, n_size), dtype=lhs_t.dtype, buffer=nl.shared_hbm)
    i_k, i_m, i_n = nl.arange(128)[:, None], nl.arange(128)[None, :], nl.arange(512)[None, :]
    for m in nl.affine_range(m_size // 128):
        for n in nl.affine_range(n_size // 512):
            a = nl.ndarray((k_size // 128, nl.par_dim(128), 128), dtype=lhs_t.dtype, buffer=nl.sbuf)
            total = nl.zeros((128, 512), dtype=nl.float32, buffer=nl.psum)
            for k in nl.affine_range(k_size // 128):
                a[k] = nl.load(lhs_t[k * 128 + i_k, m * 128 + i_m])
                b = nl.load(rhs[k * 128 + i_k, n * 512 + i_n])
                total += nl.matmul(a[k], b, transpose_x=True)
            nl.store(out[m * 128 + nl.arange(128)[:, None], n * 512 + i_n], value=total)
    return out


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("dtype, bound", [(np.float32, 1e-5), (ml_dtypes.bfloat16, 5e-3)])
def test_product(chip, dtype, bound):
    a, b = drawn(384, 256, dtype=dtype), drawn(384, 1024, seed=1, dtype=dtype)
    kernel = product.on(chip)
    agree(kernel(a, b), a.astype(np.float64).T @ b.astype(np.float64), bound)
    assert kernel.result.document["chip"]["name"] == chip and not kernel.result.document["findings"]


def test_zeros_that_products_overwrite_are_not_written():
    a, b = drawn(128, 128), drawn(128, 512)
    program, *_ = product._compiled((a, b), {})
    assert "nc_matmul" in program.text() and "memset" not in program.text()


@nki.jit
def shifted(x):
    """Interleaved, shifted and transposed by index expressions."""
    p, n = x.shape
    out = nl.ndarray((p, 2 * n), dtype=x.dtype, buffer=nl.shared_hbm)
    tile = nl.load(x)
    both = nl.ndarray((p, 2 * n), dtype=x.dtype)
    i_p, i_f = nl.mgrid[0:p, 0:n]
    both[i_p, 2 * i_f] = tile[i_p, i_f]
    both[i_p, 2 * i_f + 1] = nl.copy(tile[i_p, n - 1 - i_f])
    i_q, i_a, i_b = nl.mgrid[0:p, 0:2, 0:n // 2]
    nl.store(out[i_q, i_a + 2 * i_b], value=both[i_q, i_a * (n // 2) + i_b])
    nl.store(out[nl.arange(p)[:, None], n + nl.arange(n)[None, :]], value=both[:, n:])
    return out


def test_index_expressions_are_numpys():
    x = drawn(37, 8)
    both = np.empty((37, 16), np.float32)
    both[:, ::2], both[:, 1::2] = x, x[:, ::-1]
    expected = both.copy()
    for a in range(2):
        expected[:, a:8:2] = both[:, a * 4:a * 4 + 4]
    np.testing.assert_array_equal(shifted(x), expected)


@nki.jit
def masked(x):
    """Rows in tiles of 128, the last one cut; the upper triangle of the last 6 rows doubled."""
    rows, columns = x.shape
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    i_p, i_f = nl.mgrid[0:128, 0:columns]
    for t in nl.affine_range((rows + 127) // 128):
        inside = t * 128 + i_p < rows
        tile = nl.load(x[t * 128 + i_p, i_f], mask=inside)
        result = nl.add(tile, 1.0, mask=inside)
        nl.store(out[t * 128 + i_p, i_f], value=result, mask=inside & (i_f > 0))
        nl.store(out[t * 128 + i_p, i_f], value=nl.multiply(tile, 2.0, mask=inside), mask=inside & (i_f <= 0))
    return out


@pytest.mark.parametrize("rows", [1, 128, 131, 300])
def test_masks_clip(rows):
    x = drawn(rows, 9)
    np.testing.assert_array_equal(masked(x), np.concatenate([2 * x[:, :1], x[:, 1:] + 1], axis=1))


@nki.jit
def triangle(x):
    """Twice x on and below the diagonal: a mask over two axes."""
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    i_p, i_f = nl.mgrid[0:x.shape[0], 0:x.shape[1]]
    tile = nl.load(x)
    selected = nisa.affine_select(pred=(i_p >= i_f), on_true_tile=tile, on_false_value=-1.0)
    nl.store(out, selected)
    nl.store(out[i_p, i_f], value=nl.load(x[i_p, i_f]), mask=(i_p + i_f < 5))
    return out


def test_conditions_over_two_axes():
    x = drawn(40, 33)
    p, f = np.mgrid[0:40, 0:33]
    np.testing.assert_array_equal(triangle(x), np.where(p + f < 5, x, np.where(p >= f, x, -1)).astype(np.float32))


@nki.jit
def normalized(x, weight):
    """A softmax of rows over their root mean square times weight."""
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    tile, factors = nl.load(x), nl.load(weight.reshape((1, weight.shape[0])))
    scaled = nl.rms_norm(tile, factors, axis=[1], n=x.shape[1])
    nl.store(out, nl.softmax(scaled, axis=1))
    return out


@nki.jit
def by_hand(x, weight):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    tile, factors = nl.load(x), nl.load(weight.reshape((1, weight.shape[0])))
    mean = nl.mean(tile * tile, axis=1)
    scaled = tile * nl.rsqrt(mean + 1e-6) * factors
    raised = nl.exp(scaled - nl.max(scaled, axis=[1], keepdims=True))
    nl.store(out, raised / nl.sum(raised, axis=1))
    return out


@pytest.mark.parametrize("kernel", [normalized, by_hand])
@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("rows, columns", [(1, 7), (128, 600), (97, 64)])
def test_operations_of_the_language(kernel, chip, rows, columns):
    x, weight = drawn(rows, columns), drawn(columns, seed=1)
    y = x / np.sqrt(np.mean(x.astype(np.float64) ** 2, axis=1, keepdims=True) + 1e-6) * weight
    raised = np.exp(y - y.max(axis=1, keepdims=True))
    agree(kernel.on(chip)(x, weight), raised / raised.sum(axis=1, keepdims=True), 1e-4)


def test_where_and_comparisons():
    x = drawn(64, 20)
    kernel = unary(lambda x: (lambda t: nl.where(t > 0.5, t, nl.negative(t)))(nl.load(x)))
    np.testing.assert_array_equal(kernel(x), np.where(x > 0.5, x, -x))


@pytest.mark.parametrize("function, expected", [
    (lambda t: nl.max(t, axis=1), lambda x: x.max(axis=1, keepdims=True)),
    (lambda t: nisa.tensor_reduce(np.min, t, axis=(1,), negate=True), lambda x: -x.min(axis=1, keepdims=True)),
    (lambda t: nl.sum(t, axis=1, keepdims=True), lambda x: x.astype(np.float64).sum(axis=1, keepdims=True)),
    (lambda t: nl.var(t, axis=1), lambda x: x.astype(np.float64).var(axis=1, keepdims=True)),
])
def test_reductions(function, expected):
    x = drawn(50, 30)
    agree(unary(lambda x: function(nl.load(x)), (50, 1))(x), expected(x), 1e-5)


def test_windows_are_reduced_by_index_expressions():
    """As max pooling does: axes that overlap, reduced axes in the middle."""
    def body(x):
        h, w = 20, 12
        i_h, i_k, i_w = nl.mgrid[0:h - 2, 0:3, 0:w]
        tile = nl.load(x[i_h + i_k, i_w])
        i_p, i_k, i_w, i_l = nl.mgrid[0:h - 2, 0:3, 0:w - 2, 0:3]
        return nl.max(tile[i_p, i_k, i_w + i_l], axis=[1, 3])

    x = drawn(20, 12)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3))
    np.testing.assert_array_equal(unary(body, (18, 10))(x), windows.max(axis=(2, 3)))


@nki.jit
def reduced(a, b):
    """A product over k in two loops: products within one, nl.loop_reduce over the other."""
    out = nl.ndarray((128, 512), dtype=a.dtype, buffer=nl.shared_hbm)
    sums = nl.zeros((2, nl.par_dim(128), 256), dtype=nl.float32, buffer=nl.sbuf)
    for outer in nl.affine_range(3):
        for half in nl.affine_range(2):
            total = nl.zeros((128, 256), dtype=nl.float32, buffer=nl.psum)
            for inner in nl.affine_range(2):
                k = nl.ds((outer * 2 + inner) * 128, 128)
                total += nisa.nc_matmul(nl.load(a[k, :]), nl.load(b[k, nl.ds(half * 256, 256)]))
            sums[half] = nl.loop_reduce(total, op=np.add, loop_indices=[outer], dtype=nl.float32)
    for half in nl.affine_range(2):
        nl.store(out[:, nl.ds(half * 256, 256)], value=sums[half])
    return out


def test_loop_reduce():
    a, b = drawn(768, 128), drawn(768, 512, seed=1)
    agree(reduced(a, b), a.astype(np.float64).T @ b.astype(np.float64))


def test_transposes():
    x = drawn(96, 40)
    np.testing.assert_array_equal(unary(lambda x: nl.load_transpose2d(x), (40, 96))(x), x.T)
    np.testing.assert_array_equal(unary(lambda x: nl.transpose(nl.load(x)), (40, 96))(x), x.T)
    agree(unary(lambda x: nl.matmul(nl.load(x), nl.load_transpose2d(x)), (96, 96))(x), x.astype(np.float64) @ x.T)


def test_iota_and_activation_with_sums():
    def body(x):
        sums = nl.ndarray((x.shape[0], 1), dtype=nl.float32)
        raised = nisa.activation_reduce(np.exp, nl.load(x), reduce_op=np.add, reduce_res=sums, bias=None, scale=0.5)
        counted = nisa.iota(nl.arange(x.shape[1])[None, :] + 3 * nl.arange(x.shape[0])[:, None], dtype=nl.float32)
        return nisa.scalar_tensor_tensor(data=raised, op0=np.multiply, operand0=nisa.reciprocal(sums), op1=np.add, operand1=counted)

    x = drawn(20, 11)
    raised = np.exp(x.astype(np.float64) / 2)
    p, f = np.mgrid[0:20, 0:11]
    agree(unary(body)(x), raised / raised.sum(axis=1, keepdims=True) + f + 3 * p, 1e-5)


def test_a_maximum_with_its_rows():
    def body(x):
        top = nl.ndarray((x.shape[0], 1), dtype=nl.float32)
        scaled = nisa.tensor_scalar_reduce(data=nl.load(x), op0=np.multiply, operand0=3.0, reduce_op=nl.max, reduce_res=top)
        return nisa.tensor_scalar(scaled, op0=nl.subtract, operand0=top)

    x = drawn(20, 11)
    agree(unary(body)(x), 3 * x - (3 * x).max(axis=1, keepdims=True), 1e-6)


sb, ps = nki.compiler.sbuf, nki.compiler.psum


@nki.compiler.skip_middle_end_transformations
@nki.jit
def allocated(x):
    """x + 2 x^T x of each 128 columns, every tile at a place of its own."""
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    tiles = nl.ndarray((4, nl.par_dim(128), 128), dtype=x.dtype, buffer=sb.mod_alloc(base_addr=1024, num_free_tiles=(2,)))
    sums = nl.ndarray((4, nl.par_dim(128), 128), dtype=nl.float32, buffer=ps.alloc(lambda idx, pdim_size, fdim_size: (idx[0] % 3, 0, fdim_size)))
    done = nl.ndarray((nl.par_dim(128), 128), dtype=x.dtype, buffer=sb.alloc(lambda idx, pdim_size, fdim_size: (0, 4096)))
    for i in nl.sequential_range(4, directives=nki.compiler.no_reorder()):
        tiles[i] = nl.load(x[:, nl.ds(i * 128, 128)])
        sums[i] += nisa.nc_matmul(tiles[i], tiles[i])
        sums[i] += nisa.nc_matmul(tiles[i], tiles[i])
        done[...] = nl.add(sums[i], tiles[i])
        nl.store(out[:, nl.ds(i * 128, 128)], done)
    return out


def test_explicit_places():
    x = drawn(128, 512)
    parts = [p + 2 * p.astype(np.float64).T @ p for p in np.split(x, 4, axis=1)]
    agree(allocated(x), np.concatenate(parts, axis=1))


@nki.jit
def added(a, b):
    """A program of the grid adds a piece of 128 rows."""
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
    i_p, i_f = nl.program_id(0) * 128 + nl.arange(128)[:, None], nl.program_id(1) * 10 + nl.arange(10)[None, :]
    nl.store(out[i_p, i_f], value=nl.load(a[i_p, i_f]) + nl.load(b[i_p, i_f]))
    return out


def test_a_grid_of_programs_shares_its_outputs():
    a, b = drawn(384, 20), drawn(384, 20, seed=1)
    np.testing.assert_array_equal(added[3, 2](a, b), a + b)
    np.testing.assert_array_equal(added[nl.spmd_dim(1, nl.nc(3)), 2](a, b), a + b)


def test_assignment_keeps_what_is_named():
    """A result that is named and assigned keeps its value when its copy changes."""
    def body(x):
        tile, copy = nl.load(x), nl.ndarray(x.shape, dtype=x.dtype)
        double = nl.multiply(tile, 2.0)
        copy[...] = double
        copy[:, 0:4] = 0.0
        copy += double
        copy[:, 1:5] = nl.copy(copy[:, 0:4])
        return copy

    x = drawn(7, 16)
    expected = 4 * x
    expected[:, :4] = 2 * x[:, :4]
    expected[:, 1:5] = expected[:, :4].copy()
    np.testing.assert_array_equal(unary(body)(x), expected)


@nki.jit
def gathered(x, order):
    """Rows of x in another order, the last ones left out."""
    rows, columns = x.shape
    out = nl.ndarray((rows - 3, columns), dtype=x.dtype, buffer=nl.shared_hbm)
    i = nl.mgrid[0:128, 0:columns]
    named = nl.load(order[nl.arange(128)[:, None], 0], mask=(nl.arange(128)[:, None] < rows - 3))
    tile = nl.load(x[named, nl.arange(columns)[None, :]], mask=(i.p < rows - 3))
    nl.store(out[i.p, i.x], value=tile, mask=(i.p < rows - 3))
    return out


def test_rows_by_index():
    x, order = drawn(100, 12), np.random.default_rng(1).permutation(100).astype(np.int32)
    np.testing.assert_array_equal(gathered(x, order.reshape(100, 1)), x[order[:97]])


def test_slices_that_a_mask_clips():
    def body(x):
        i_p, i_f = nl.mgrid[0:128, 0:9]
        tile = nl.load(x[64:192, :], mask=(64 + i_p < 150))
        out = nl.ndarray((150, 9), dtype=x.dtype, buffer=nl.shared_hbm)
        nl.store(out[0:64, :], nl.load(x[0:64, :]))
        nl.store(out[64:192, :], nl.multiply(tile, 3.0), mask=(64 + i_p < 150))
        return out

    x = drawn(150, 9)
    np.testing.assert_array_equal(nki.jit(body)(x), np.concatenate([x[:64], 3 * x[64:]]))


def test_whole_parts_of_quotients():
    def body(x):
        counted = nisa.iota(nl.arange(x.shape[1])[None, :] + 40 * nl.arange(x.shape[0])[:, None], dtype=nl.int32)
        return nl.add(nl.floor(counted / 7.0), nl.mod(counted, 7, dtype=nl.float32) * 0.125)

    p, f = np.mgrid[0:30, 0:40]
    np.testing.assert_array_equal(unary(body)(drawn(30, 40)), ((f + 40 * p) // 7 + (f + 40 * p) % 7 / 8).astype(np.float32))


def test_more_sums_than_psum_has_banks():
    """They are computed again with the tensor in SBUF."""
    def body(x):
        sums = nl.ndarray((12, nl.par_dim(128), 512), dtype=nl.float32, buffer=nl.psum)
        tile, total = nl.load(x), nl.zeros((128, 512), dtype=nl.float32)
        for i in nl.affine_range(12):
            sums[i] += nisa.nc_matmul(tile[:, 0:128], tile)
        for i in nl.affine_range(12):
            total += sums[11 - i]
        return total

    x = drawn(128, 512)
    agree(unary(body)(x), 12 * (x[:, :128].astype(np.float64).T @ x), 1e-5)


def test_a_loop_places_its_tiles_once():
    def body(x):
        at = 0
        out = nl.ndarray(x.shape, dtype=x.dtype, buffer=sb.mod_alloc(base_addr=150000))
        for i in nl.affine_range(16):
            tile = nl.ndarray((128, 32), dtype=x.dtype, buffer=sb.mod_alloc(base_addr=at))
            at += 128 * 128  # of the last iteration: past the end of SBUF
            tile[...] = nl.load(x[:, nl.ds(32 * i, 32)])
            out[:, nl.ds(32 * i, 32)] = tile * 2.0
        return out

    x = drawn(128, 512)
    np.testing.assert_array_equal(unary(body)(x), 2 * x)


def test_what_a_mask_leaves_out_is_undefined():
    def body(x):
        i_p, i_f = nl.mgrid[0:128, 0:8]
        tile = nl.ndarray((128, 8), dtype=x.dtype)
        tile[i_p, i_f] = nl.load(x[i_p, i_f], mask=(i_f < 6))
        doubled = nl.multiply(tile, 2.0)
        out = nl.ndarray((128, 6), dtype=x.dtype, buffer=nl.shared_hbm)
        nl.store(out[i_p, i_f], value=doubled, mask=(i_f < 6))
        return out

    x = drawn(128, 6)
    with pytest.warns(UserWarning, match="that nothing has written; its value is undefined"):
        np.testing.assert_array_equal(nki.jit(body)(x), 2 * x)


def test_numpy_takes_our_types():
    assert np.zeros(3).astype(nl.bfloat16).dtype == ml_dtypes.bfloat16
    assert nl.static_cast(np.ones(2), nl.float16).dtype == np.float16
    assert nl.fp32.min == np.finfo(np.float32).min


def test_times():
    x = drawn(128, 512)
    kernel = unary(lambda x: nl.exp(nl.load(x)))
    kernel(x)
    timed = nki.benchmark(warmup=5, iters=10, save_neff_name="file.neff")(kernel)
    assert timed(x) is None
    latency = timed.benchmark_result.nc_latency
    assert latency.get_latency_percentile(50) == latency.get_latency_percentile(99) == int(np.ceil(kernel.result.seconds * 1e6))
    np.testing.assert_array_equal(nki.simulate_kernel(kernel, x), nki.baremetal(kernel.function)(x))
    np.testing.assert_array_equal(nki.baremetal(artifacts_dir="debug")(kernel)(x), kernel(x))


def test_torch_arrays():
    torch = pytest.importorskip("torch")
    x = torch.arange(128 * 4, dtype=torch.bfloat16).reshape(128, 4)
    result = unary(lambda x: nl.load(x) * 2.0)(x)
    assert result.dtype == torch.bfloat16 and (result == 2 * x).all()


def test_what_is_wrong_is_refused_at_its_line():
    x = drawn(128, 16)
    i_p, i_f = nl.mgrid[0:128, 0:16]
    line = here(1)
    assert message(unary(lambda x: nl.load(x[i_p, i_f + 3])), x) == (
        f"{line}: axis 1 of 'x' has 16 elements, the index takes 3 to 18 (mask= what lies outside)")
    line = here(1)
    assert message(unary(lambda x: nl.load(x[i_p, 7 * i_f // 2])), x) == (
        f"{line}: index expressions are affine, `//` is not (use one nl.arange per digit)")
    line = here(1)
    assert message(unary(lambda x: nl.load(x[:, i_f])), x) == (
        f"{line}: slice(None, None, None) beside index expressions in an index of x[128, 16] float32 in nl.hbm "
        "(index every axis by an expression or a number)")
    line = here(1)
    assert message(unary(lambda x: nl.exp(x)), x) == f"{line}: activation: x[128, 16] float32 in nl.hbm is in HBM (nl.load it first)"
    line = here(1)
    assert message(unary(lambda x: nl.ndarray((nl.par_dim(200), 4), nl.float32)), x) == (
        f"{line}: 200 partitions in shape (200, 4), a tile has at most 128 (mark the axis of partitions by nl.par_dim, or tile it)")
    line = here(1)
    assert message(unary(lambda x: nl.load(x)[i_f, i_p[0:3]]), x).startswith(f"{line}: slice(0, 3, None) of an index expression")
    line = here(1)
    assert message(unary(lambda x: nl.device_print("x", x)), x) == (
        f"{line}: nl.device_print is not supported by this interface (return the tensor)")
    line = here(1)
    assert message(unary(lambda x: nisa.tensor_reduce(len, nl.load(x), axis=1)), x) == (
        f"{line}: <built-in function len> names no operation (nl.add, np.add, ...)")
    line = here(1)
    assert message(unary(lambda x: nisa.activation(np.exp, nl.load(x), scales=2.0, name="a")), x) == (
        f"{line}: activation has no option scales (did you mean scale?)")
    assert message(lambda: nki.benchmark(warm_up=3)) == "nki.benchmark has no option warm_up (did you mean warmup?)"


@pytest.mark.parametrize("call, name", [(lambda x: nl.load(x, maks=None), "load"), (lambda x: nl.exp(nl.load(x), maks=None), "exp"),
                                        (lambda x: nl.add(nl.load(x), 1.0, maks=None), "add"),
                                        (lambda x: nl.sum(nl.load(x), 1, maks=None), "sum"),
                                        (lambda x: nl.copy(nl.load(x), maks=None), "copy"),
                                        (lambda x: nl.transpose(nl.load(x), maks=None), "transpose")])
def test_options_that_a_function_does_not_have(call, name):
    assert f"{name} has no option maks (did you mean mask?)" in message(nki.jit(unary(call)), drawn(8, 8))


def test_a_transposition_with_a_mask_leaves_the_rest():
    def body(x):
        tile, i = nl.load(x), nl.arange(8)
        turned = nl.zeros((8, 8), x.dtype)
        turned[...] = nl.transpose(tile, mask=(i[:, None] < 5) & (i[None, :] < 8))
        return turned

    x = drawn(8, 8)
    result = nki.jit(unary(body))(x)
    np.testing.assert_array_equal(result[:, :5], x.T[:, :5])
    np.testing.assert_array_equal(result[:, 5:], 0)
    assert message(lambda: nki.jit(mode="hardware")).startswith("nki.jit: mode 'hardware' (one of auto, ")
    assert "kernel 'nothing' returns None" in message(nki.jit(nothing), x)
    with pytest.raises(AttributeError) as caught:
        nl.afine_range  # noqa: B018
    assert str(caught.value) == f"{here(-1)}: neuronxcc.nki.language has no 'afine_range' (did you mean 'affine_range'?)"
    with pytest.raises(AttributeError) as caught:
        nisa.zzz  # noqa: B018
    assert str(caught.value) == f"{here(-1)}: neuronxcc.nki.isa has no 'zzz' here"


def nothing(x):
    nl.load(x)


SCRIPT = """
import numpy as np
from neuronxcc import nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl
import neuronxcc.nki.typing as nt
from neuronxcc.nki import baremetal
from neuronxcc.nki.language import par_dim

@baremetal
def doubled(x: nt.tensor):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nl.store(out, nisa.activation(np.copy, nl.load(x), scale=2.0))
    return out

x = np.arange(12, dtype=np.float32).reshape(3, 4)
assert (doubled(x) == 2 * x).all()
print(doubled.result.document["chip"]["name"])
"""


def test_a_script_runs_as_it_is(root, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    env = {"PYTHONPATH": str(root / "build/python"), "NEURON_PLATFORM_TARGET_OVERRIDE": "trn1", "PATH": ""}
    done = subprocess.run([sys.executable, "-m", "presil.nki", "run", script], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "trn1\n", "")


def test_generations_compare_and_rows_beyond_a_table_are_skipped():
    def kernel(x, rows):
        assert nisa.get_nc_version() >= nisa.nc_version.gen3
        out = nl.ndarray((8, x.shape[1]), dtype=x.dtype, buffer=nl.shared_hbm)
        tile, index = nl.zeros((8, x.shape[1]), x.dtype), nl.load(rows)
        i, f = nl.arange(8)[:, None], nl.arange(x.shape[1])[None, :]
        nisa.dma_copy(dst=tile[i, f], src=x[index[i, 0], f], oob_mode=nisa.oob_mode.skip)
        nl.store(out, tile)
        return out

    x, rows = drawn(16, 4), np.array([[3], [99], [0], [15], [16], [7], [1], [2]], np.int32)
    inside = rows[:, 0] < 16
    np.testing.assert_array_equal(nki.jit(kernel)(x, rows), np.where(inside[:, None], x[np.minimum(rows[:, 0], 15)], 0))


def test_bits():
    """Constants of bitvec operations are whole numbers; invert takes one tile."""
    @nki.jit
    def kernel(x):
        out = nl.ndarray((4, *x.shape), dtype=x.dtype, buffer=nl.shared_hbm)
        t = nl.load(x)
        for k, value in enumerate((nl.left_shift(t, 3), nl.bitwise_and(t, 0xF0), nl.invert(t), nl.bitwise_xor(t, t))):
            nl.store(out[k], value=value)
        return out

    x = np.random.default_rng(0).integers(0, 2**20, (8, 16), np.int32)
    np.testing.assert_array_equal(kernel(x), [x << 3, x & 0xF0, ~x, x ^ x])


def test_sums_of_iterations_that_skip():
    """Each iteration leaves some destinations out: they begin with the first one that names them, and go on with their own sums."""
    @nki.jit
    def kernel(x):
        n = x.shape[0]
        out = nl.ndarray(x.shape[1:], dtype=x.dtype, buffer=nl.shared_hbm)
        sums = nl.zeros((n, nl.par_dim(x.shape[2]), x.shape[3]), dtype=nl.float32)
        for i in nl.affine_range(n):
            for slot in nl.affine_range(n):
                if i <= slot <= i + 1:
                    sums[slot, :, :] = nl.loop_reduce(nl.load(x[i, slot]), op=np.add, loop_indices=(i,), dtype=nl.float32)
        for slot in nl.affine_range(n):
            nl.store(out[slot], value=sums[slot, :, :])
        return out

    x = drawn(4, 4, 8, 16)
    expected = np.stack([x[0, 0], *(x[slot - 1, slot] + x[slot, slot] for slot in range(1, 4))])
    np.testing.assert_array_equal(kernel(x), expected)


def test_a_part_of_a_tile_takes_a_result_directly():
    """tile[...] = result: no tile of its own and no copy in between, also for one tile of a block."""
    @nki.jit
    def kernel(x):
        out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
        both = nl.ndarray(x.shape, dtype=x.dtype)
        half = x.shape[1] // 2
        both[:, :half] = nl.load(x[:, :half])
        both[:, half:] = nl.load(x[:, half:])
        both[:, :half] = nl.multiply(both[:, half:], 2.0)
        nl.store(out, value=both)
        return out

    x = drawn(16, 8)
    np.testing.assert_array_equal(kernel(x), np.concatenate([2 * x[:, 4:], x[:, 4:]], 1))
    program, *_ = kernel._compiled((x,), {})
    assert "tensor_copy" not in program.text()
