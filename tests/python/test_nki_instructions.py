"""Does every instruction of nki.isa compute what NumPy does, on the generations that have it?"""
import ml_dtypes
import numpy as np
import pytest
from presil import nki
from presil.nki import isa as nisa
from presil.nki import language as nl
from test_nki import agree, drawn, message

F32 = np.float32


def run(body, *arrays, shape=None, dtype=F32, chip="trn2"):
    """body(out tile, *loaded tiles) writes a tile, which comes back."""
    shape = shape or arrays[0].shape

    @nki.jit(chip=chip)
    def kernel(arrays):
        out = nl.ndarray(shape, dtype=dtype, buffer=nl.shared_hbm)
        result = nl.ndarray(shape, dtype=dtype)
        body(result, *[nl.load(a) for a in arrays])
        nl.store(out, result)
        return out

    return kernel(list(arrays))


@pytest.mark.parametrize("reverse, negate", [(False, False), (True, True)])
def test_tensor_scalar_reduce(reverse, negate):
    x, s = drawn(100, 30), drawn(100, 1, seed=1)

    def body(out, x, s):
        row = nl.ndarray((100, 1), nl.float32)
        nisa.tensor_scalar_reduce(out[:, :30], x, nl.subtract, s, nl.add, row, reverse0=reverse, reduce_res_negate=negate)
        nisa.tensor_copy(out[:, 30:], row)

    y = s - x if reverse else x - s
    agree(run(body, x, s, shape=(100, 31)), np.concatenate([y, (-1 if negate else 1) * y.sum(1, keepdims=True, dtype=np.float64)], 1))


def test_tensor_scalar_cumulative_goes_on_where_it_was():
    x = drawn(64, 40)

    def body(out, x):
        nisa.tensor_scalar_cumulative(out[:, :20], x[:, :20], nl.multiply, nl.add, 2.0)
        nisa.tensor_scalar_cumulative(out[:, 20:], x[:, 20:], nl.multiply, nl.add, 2.0, reduce_cmd=nisa.reduce_cmd.reduce)

    agree(run(body, x), np.cumsum(2 * x.astype(np.float64), axis=1))
    def loaded(out, x):
        nisa.tensor_scalar_cumulative(out, x, nl.add, nl.maximum, 0.0, 0.5, reduce_cmd=nisa.reduce_cmd.load_reduce)
    np.testing.assert_array_equal(run(loaded, x), np.maximum.accumulate(np.maximum(x, F32(0.5)), axis=1))


def test_choices():
    x, y = drawn(96, 50), drawn(96, 50, seed=1)
    chosen = (np.random.default_rng(2).random((96, 50)) < 0.5).astype(np.uint8)

    def select(out, p, x):
        top = nl.ndarray((96, 1), nl.float32)
        nisa.select_reduce(out[:, :50], p, x, -7.0, top, nisa.reduce_cmd.reset_reduce, nl.maximum)
        nisa.tensor_copy(out[:, 50:], top)

    expected = np.where(chosen, x, F32(-7))
    np.testing.assert_array_equal(run(select, chosen, x, shape=(96, 51)), np.concatenate([expected, expected.max(1, keepdims=True)], 1))
    low, high = (np.full((96, 1), v, F32) for v in (10, 30))

    def ranged(out, x, low, high):
        nisa.range_select(out, x, nl.greater_equal, nl.less, low, high, range_start=5)

    j = np.arange(50) + 5
    np.testing.assert_array_equal(run(ranged, x, low, high), np.where((j >= 10) & (j < 30), x, np.finfo(F32).min))
    assert "range_select: needs generation 3, trn1 is generation 2" in message(lambda: run(ranged, x, low, high, chip="trn1"))

    def predicated(out, p, x, y):
        nisa.tensor_copy(out, x)
        nisa.tensor_copy_predicated(out, y, p)

    np.testing.assert_array_equal(run(predicated, chosen, x, y), np.where(chosen, y, x))


def test_search():
    x = np.random.default_rng(3).permutation(128 * 64).astype(F32).reshape(128, 64)

    def replaced(out, x):
        top = nl.ndarray((128, 8), nl.float32)
        nisa.max8(top, x)
        nisa.nc_match_replace8(out, x, top, -1.0)

    expected = x.copy()
    np.put_along_axis(expected, np.argsort(-x, axis=1)[:, :8], -1, axis=1)
    np.testing.assert_array_equal(run(replaced, x), expected)


def test_shuffle_and_gathers():
    x = drawn(64, 20)
    mask = [31 - k if k % 5 else 255 for k in range(32)]

    def shuffled(out, x):
        nisa.memset(out, 3.0)
        nisa.nc_stream_shuffle(out, x, mask)

    expected = np.concatenate([[part[m] if m != 255 else np.full(20, 3, F32) for m in mask] for part in (x[:32], x[32:])])
    np.testing.assert_array_equal(run(shuffled, x), expected)
    indices = np.random.default_rng(1).integers(0, 20, (64, 9)).astype(np.uint32)
    np.testing.assert_array_equal(run(lambda out, x, i: nisa.nc_n_gather(out, x, i), x, indices, shape=(64, 9)),
                                  np.take_along_axis(x, indices.astype(np.int64), 1))
    places = np.random.default_rng(2).integers(0, 20, (64, 2)).astype(np.uint16)
    flat = [places[16 * g:16 * g + 16].T.reshape(-1) for g in range(4)]
    np.testing.assert_array_equal(run(lambda out, x, i: nisa.local_gather(out, x, i, 1, 32), x, places, shape=(64, 32)),
                                  np.stack([x[p][flat[p // 16]] for p in range(64)]))
    assert message(lambda: run(lambda out, x: nisa.nc_stream_shuffle(out, x, [32] * 32), x)).endswith(
        "(32 numbers from 0 to 31, or 255 to keep)")


def test_bounds_nonzeros_topk():
    ids = np.array([[0, 1, 1, 2, 2, 2, 0, 3, 3]], np.int32)
    bounds = run(lambda out, i: nisa.sequence_bounds(out, i), ids, shape=(1, 2, 9), dtype=np.int32)
    np.testing.assert_array_equal(bounds[0], [[9, 1, 1, 3, 3, 3, 9, 7, 7], [-1, 3, 3, 6, 6, 6, -1, 9, 9]])
    x = np.zeros((128, 8), np.int32)
    x[0] = [0, 1, 1, 0, 0, 1, 0, 0]

    def nonzeros(out, x):
        nisa.memset(out, 0)
        nisa.nonzero_with_count(out, x, index_offset=16)

    np.testing.assert_array_equal(run(nonzeros, x, shape=(128, 9), dtype=np.int32)[0], [17, 18, 21, -1, -1, -1, -1, -1, 3])
    y = np.random.default_rng(0).permutation(48).astype(ml_dtypes.bfloat16).reshape(16, 3)

    def top(out, y):
        places = nl.ndarray((16, 8), nl.uint32)
        nisa.topk(out, places, y, 42)

    snake = y.astype(F32).T.reshape(-1)[:42]
    np.testing.assert_array_equal(run(top, y, shape=(16, 8), dtype=ml_dtypes.bfloat16)[0].astype(F32), np.sort(snake)[-8:])


def test_random_numbers():
    x = np.ones((128, 400), F32)
    dropped = run(lambda out, x: nisa.dropout(out, x, 0.25), x)
    assert set(np.unique(dropped)) == {0, 1} and abs(dropped.mean() - 0.75) < 0.01
    words = run(lambda out, x: nisa.rng(out), x, dtype=np.uint32)
    assert abs(words.mean() / 2**32 - 0.5) < 0.01
    uniform = run(lambda out, x: nisa.rand2(out, -1.0, 3.0), x, chip="trn3")
    assert -1 <= uniform.min() < -0.99 and 2.99 < uniform.max() <= 3 and abs(uniform.mean() - 1) < 0.02
    seeds = np.array([[7]], np.uint32)

    def seeded(out, seeds):
        nisa.set_rng_seed(seeds)
        nisa.rng(out)

    first, second = (run(seeded, seeds, shape=(128, 4), dtype=np.uint32) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_activations_of_generation_4():
    x = drawn(128, 60)

    def body(out, x):
        top, total = nl.max(x, axis=1, keepdims=True), nl.ndarray((128, 1), nl.float32)
        nisa.exponential(out[:, :60], x, top, total, nisa.reduce_cmd.reset_reduce)
        nisa.tensor_copy(out[:, 60:], total)

    raised = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    agree(run(body, x, shape=(128, 61), chip="trn3"), np.concatenate([raised, raised.sum(1, keepdims=True)], 1), 1e-5)
    found = message(lambda: run(body, x, shape=(128, 61), chip="trn2"))
    assert "exponential: needs generation 4, trn2 is generation 3" in found
    agree(run(lambda out, x: nisa.activate2(out, nl.square, x, 2.0, 1.0, nl.multiply, nl.add), x, chip="trn3"),
          (2 * x.astype(np.float64) + 1) ** 2)


def test_mx_products():
    x, w = drawn(128, 4 * 64, dtype=ml_dtypes.bfloat16), drawn(128, 4 * 32, seed=1, dtype=ml_dtypes.bfloat16)

    def body(out, x, w):
        packed = []
        for tile in (w, x):
            data = nl.ndarray((128, tile.shape[1] // 4), nl.float8_e4m3fn_x4)
            scale = nl.ndarray(data.shape, nl.float8_e8m0fnu)
            nisa.quantize_mx(data, tile, scale)
            packed.append((data, scale))
        (ws, wscale), (xs, xscale) = packed
        bank = nl.ndarray((32, 64), nl.float32, buffer=nl.psum)
        nisa.nc_matmul_mx(bank, ws, xs, wscale, xscale)
        nisa.tensor_copy(out, bank)

    a, b = (t.astype(np.float64).reshape(128, -1, 4) for t in (w, x))
    agree(run(body, x, w, shape=(32, 64), chip="trn3"), np.einsum("pmq,pnq->mn", a, b), 0.06)


def test_fp8_double_rows():
    a, b = (drawn(128, 2, n, seed=n).astype(ml_dtypes.float8_e4m3) for n in (64, 128))

    def body(out, a, b):
        bank = nl.ndarray((64, 128), nl.float32, buffer=nl.psum)
        nisa.nc_matmul(bank, a, b, perf_mode=nisa.matmul_perf_mode.double_row)
        nisa.tensor_copy(out, bank)

    agree(run(body, a, b, shape=(64, 128)), np.einsum("pjm,pjn->mn", a.astype(np.float64), b.astype(np.float64)))


def test_parts_of_the_array():
    a, b = drawn(64, 32), drawn(64, 100, seed=1)

    def body(out, a, b):
        left, right = nl.ndarray(a.shape, a.dtype, address=(0, 0)), nl.ndarray(b.shape, b.dtype, address=(0, 1024))
        nisa.tensor_copy(left, a)
        nisa.tensor_copy(right, b)
        bank = nl.ndarray((32, 100), nl.float32, buffer=nl.psum, address=(32, 0))
        nisa.nc_matmul(bank, left, right, tile_position=(0, 32), tile_size=(64, 32))
        nisa.tensor_copy(out, bank)

    agree(run(body, a, b, shape=(32, 100)), a.T.astype(np.float64) @ b)
    assert message(lambda: run(lambda out, a, b: nisa.nc_matmul(out, a, b, tile_size=(64, 32)), a, b)).endswith(
        "nc_matmul: tile_position () and tile_size (64, 32) (both, as (row, column))")


@nki.jit
def gathered(data, indices):
    rows, width = indices.shape[0], data.shape[1]
    out = nl.ndarray((rows, width), dtype=data.dtype, buffer=nl.shared_hbm)
    index, tile = nl.load(indices), nl.ndarray((rows, width), dtype=data.dtype)
    nisa.dma_copy(tile, data.ap([[width, rows], [1, width]], vector_offset=index, indirect_dim=0))
    nl.store(out, tile)
    return out


@nki.jit
def scattered(x, indices, rows):
    count, width = x.shape
    out = nl.ndarray((rows, width), dtype=x.dtype, buffer=nl.shared_hbm)
    zero = nl.zeros((rows, width), x.dtype)
    nl.store(out, zero)
    nisa.dma_copy(out.vector_select(0, nl.load(indices)), nl.load(x))
    nisa.dma_compute(out.vector_select(0, nl.load(indices)), [out.vector_select(0, nl.load(indices)), nl.load(x)], nl.add)
    return out


@nki.jit
def turned(data, indices):
    out = nl.ndarray((data.shape[1], indices.shape[0]), dtype=data.dtype, buffer=nl.shared_hbm)
    tile, index = nl.ndarray(out.shape, dtype=data.dtype), nl.load(indices)
    nisa.dma_transpose(tile, data.vector_select(0, index))
    nl.store(out, tile)
    return out


def test_rows_by_index():
    data = drawn(200, 24)
    rows = np.random.default_rng(1).permutation(200)[:64].astype(np.uint32)[:, None]
    np.testing.assert_array_equal(gathered(data, rows), data[rows[:, 0]])
    x, places = drawn(64, 24, seed=2), np.random.default_rng(2).permutation(128)[:64].astype(np.uint32)[:, None]
    expected = np.zeros((128, 24), F32)
    expected[places[:, 0]] = 2 * x
    np.testing.assert_array_equal(scattered(x, places, 128), expected)
    half = data[:, :16].astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(turned(half, rows), half[rows[:, 0]].T)
    rows[3] = 200
    assert "200" in message(gathered, data, rows)


@nki.jit
def three_axes(x):
    out = nl.ndarray(tuple(reversed(x.shape)), dtype=x.dtype, buffer=nl.shared_hbm)
    tile = nl.ndarray(out.shape, dtype=x.dtype)
    nisa.dma_transpose(tile, x)
    nl.store(out, tile)
    return out


@pytest.mark.parametrize("shape", [(40, 24), (4, 6, 32)])
def test_dma_transposes(shape):
    x = drawn(*shape)
    np.testing.assert_array_equal(three_axes(x), x.T)
    four = drawn(3, 2, 4, 16)

    @nki.jit
    def kernel(x):
        out = nl.ndarray((16, 2, 4, 3), dtype=x.dtype, buffer=nl.shared_hbm)
        tile = nl.ndarray(out.shape, dtype=x.dtype)
        nisa.dma_transpose(tile, x, axes=(3, 1, 2, 0))
        nl.store(out, tile)
        return out

    np.testing.assert_array_equal(kernel(four), four.transpose(3, 1, 2, 0))


def test_sums_by_dma():
    a, b, c = (drawn(30, 50, seed=s) for s in range(3))
    def body(out, a, b, c):
        nisa.dma_compute(out, [a, b, c], nl.add)
    np.testing.assert_array_equal(run(body, a, b, c), (a + b) + c)
    assert message(lambda: run(lambda out, a: nisa.dma_compute(out, [a, a], nl.add, scales=[2.0, 1.0]), a)).endswith(
        "dma_compute: scales [2.0, 1.0] (1.0 for each source)")


def test_order_that_is_asked_for():
    @nki.jit
    def kernel(x, ordered):
        out = nl.ndarray(x.shape, x.dtype, buffer=nl.shared_hbm)
        tile = nl.load(x)
        a, b = nl.ndarray(x.shape, x.dtype), nl.ndarray(x.shape, x.dtype)
        first = nisa.tensor_copy(a, tile)
        second = nisa.activation(b, nl.copy, tile)
        if ordered:
            second.depends_on(first)
        nl.store(out, a + b)
        return out

    x = drawn(128, 2000)
    free, tied = nki.profile(kernel)(x, False), nki.profile(kernel)(x, True)
    np.testing.assert_array_equal(free.returned, tied.returned)
    assert tied.seconds > free.seconds + 1e-6


def test_names_that_are_not_there():
    x = drawn(4, 4)
    assert message(lambda: run(lambda out, x: nisa.tensor_cpy(out, x), x)).endswith(
        "nki.isa has no 'tensor_cpy' (did you mean 'tensor_copy'?)")
    assert message(lambda: run(lambda out, x: nl.flaot32, x)).endswith("nki.language has no 'flaot32' (did you mean 'float32'?)")
    assert not hasattr(nl, "nothing_like_it")
    with pytest.raises(ImportError):
        from presil.nki.isa import tensor_cpy  # noqa: F401


@nki.jit
def composed(x, w, chosen, indices):
    """Each function of the language that is several instructions, into a row of the output."""
    out = nl.ndarray((9, 64, 64), nl.float32, buffer=nl.shared_hbm)
    tile, factors, holds = nl.load(x), nl.load(w), nl.load(chosen)
    spread = nl.broadcast_to(nl.mean(tile, axis=1, keepdims=True), (64, 64))
    results = [nl.softmax(tile), nl.rms_norm(tile, factors, 1, 64), nl.where(holds, tile, -1.0), nl.negative(tile),
               nl.copy_to_sbuf(nl.matmul(tile, tile)), nl.copy_to_sbuf(nl.matmul(tile, tile, transpose_x=True)),
               nl.load_transpose2d(x), nl.gather_flattened(tile, nl.load(indices)),
               nl.add(spread, nl.broadcast_to(nl.var(tile, axis=1, keepdims=True), (64, 64)))]
    for k, result in enumerate(results):
        nl.store(out[k], result)
    return out


def test_functions_of_several_instructions():
    x, w = drawn(64, 64), drawn(1, 64, seed=1)
    chosen = (np.random.default_rng(2).random((64, 64)) < 0.5).astype(np.uint8)
    indices = np.random.default_rng(3).integers(0, 64, (64, 64)).astype(np.uint32)
    y = x.astype(np.float64)
    raised = np.exp(y - y.max(1, keepdims=True))
    spread = np.broadcast_to(y.mean(1, keepdims=True) + y.var(1, keepdims=True), y.shape)
    expected = [raised / raised.sum(1, keepdims=True), y / np.sqrt((y * y).mean(1, keepdims=True) + 1e-6) * w,
                np.where(chosen, y, -1), -y, y @ y, y.T @ y, y.T, np.take_along_axis(y, indices.astype(np.int64), 1), spread]
    for run in (composed, nki.interpret(composed)):
        for found, meant in zip(run(x, w, chosen, indices), expected):
            agree(found, meant, 1e-4)
