"""Do the simulator and the plain interpreter, which share no code, agree on kernels, drawn ones too?"""
import ml_dtypes
import numpy as np
import presil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from presil import nki
from presil.nki import isa as nisa
from presil.nki import language as nl
from test_nki import agree, drawn, message, normalized, pooled, product, triangle, viewed
from test_nki_instructions import gathered
from test_nki_loops import by_blocks, counted, halved


@pytest.mark.parametrize("kernel, arguments, bound", [
    (product, (drawn(256, 128), drawn(256, 512, seed=1)), 1e-6), (normalized, (drawn(97, 64), drawn(64, seed=1)), 1e-4),
    (pooled, (drawn(24, 10, 12),), 1e-6), (viewed, (drawn(50, 16),), 0), (triangle, (drawn(40, 33),), 0),
    (by_blocks, (drawn(320, 40), True), 0), (counted, (drawn(1, 7), np.array([[4]], np.int32)), 0),
    (halved, (drawn(16, 8), np.array([[3]], np.int32), "function"), 0),
    (halved, (drawn(16, 8), np.array([[2]], np.int32), "statement"), 0),
    (gathered, (drawn(200, 24), np.arange(64, dtype=np.uint32)[:, None] * 3), 0),
], ids=lambda value: value.function.__name__ if isinstance(value, nki.Kernel) else "")
def test_kernels(kernel, arguments, bound):
    meant, found = nki.interpret(kernel)(*arguments), kernel(*arguments)
    if bound == 0:
        np.testing.assert_array_equal(found, meant)
    agree(found, meant.astype(np.float64), bound or 1e-9)


@nki.jit(chip="trn2")
def exact_product(lhs_t, rhs):
    """In fp32, a bank of PSUM at a time; the contraction in parts of up to 128."""
    (k_size, m_size), n_size = lhs_t.shape, rhs.shape[1]
    out = nl.ndarray((m_size, n_size), dtype=nl.float32, buffer=nl.shared_hbm)
    a = nl.load(lhs_t[:128]), nl.load(lhs_t[128:])
    for n in range(0, n_size, 512):
        part = slice(n, min(n + 512, n_size))
        total = nl.ndarray((m_size, part.stop - n), dtype=nl.float32, buffer=nl.psum)
        nisa.nc_matmul(total, a[0], nl.load(rhs[:128, part]))
        nisa.nc_matmul(total, a[1], nl.load(rhs[128:, part]), accumulate=True)
        nl.store(out[:, part], nl.copy(total))
    return out


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16, np.float16, ml_dtypes.float8_e4m3, ml_dtypes.float8_e5m2])
@pytest.mark.parametrize("k, m, n", [(225, 128, 1024), (129, 31, 517)])
@pytest.mark.parametrize("spread", [0, 8])
def test_products_are_equal_bit_by_bit(dtype, k, m, n, spread):
    """Operands of one magnitude, and of magnitudes 2^-8 to 2^8 that cancel; a row and a column are NaN."""
    rng = np.random.default_rng(k)
    a, b = (np.clip(rng.standard_normal(shape) * 2.0 ** rng.integers(-spread, spread + 1, shape), -200, 200).astype(dtype)
            for shape in ((k, m), (k, n)))
    a[3, 5], b[7, 2], b[9, 2] = np.nan, np.inf, -np.inf
    found, meant = exact_product(a, b), nki.interpret(exact_product)(a, b)
    np.testing.assert_array_equal(found.view(np.int32), meant.view(np.int32))


BINARY = [nl.add, nl.subtract, nl.multiply, nl.maximum, nl.minimum, nl.greater, nl.equal, nl.abs_max]
KINDS = [nl.float32, nl.bfloat16, nl.float16]


def step(data, tiles):
    """Issues one drawn instruction into a drawn part of a drawn tile."""
    places = [data.draw(st.integers(0, len(tiles) - 1)) for _ in range(3)]
    width = data.draw(st.integers(1, 24))

    def part(t):
        begin = data.draw(st.integers(0, 24 - width))
        return t[:, begin:begin + width]

    dst, a, b = (part(tiles[k]) for k in places)
    op = data.draw(st.sampled_from(BINARY))
    kind = data.draw(st.integers(0, 8))
    number = data.draw(st.sampled_from([-1.5, 0.0, 0.25, 2.0]))
    if kind == 0:
        nisa.tensor_tensor(dst, a, b, op, engine=data.draw(st.sampled_from([nisa.vector_engine, nisa.gpsimd_engine])))
    elif kind == 1:
        nisa.tensor_scalar(dst, a, op, number, data.draw(st.booleans()), nl.add, 0.5)
    elif kind == 2:
        nisa.scalar_tensor_tensor(dst, a, op, number, nl.multiply, b)
    elif kind == 3:
        nisa.tensor_copy(dst, a, engine=data.draw(st.sampled_from([nisa.vector_engine, nisa.gpsimd_engine])))
    elif kind == 4:
        nisa.activation(dst, data.draw(st.sampled_from([nl.copy, nl.relu, nl.square, nl.abs])), a, scale=number)
    elif kind == 5:
        nisa.memset(dst, number)
    elif kind == 6:
        nisa.tensor_reduce(dst[:, :1], data.draw(st.sampled_from([nl.maximum, nl.minimum])), a, axis=1)
    elif kind == 7:
        nisa.affine_select(dst, [[1, width]], data.draw(st.integers(-2, 2)), a, number, nl.greater, data.draw(st.integers(-9, 9)))
    elif places[0] != places[1]:  # a transfer that overwrites what it reads has no meaning
        nisa.dma_copy(dst, a)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_drawn_kernels(data):
    """Overwritten, overlapping and shared tiles on several engines: whatever the backend orders, the values are those of
    the program's order, and nothing races."""
    choices = []

    class Replay:
        """The same draws for both: what the first run drew, the second one reads."""

        def __init__(self, source):
            self.source, self.at = source, 0

        def draw(self, strategy):
            if self.source is not None:
                choices.append(self.source.draw(strategy))
                return choices[-1]
            self.at += 1
            return choices[self.at - 1]

    count = data.draw(st.integers(1, 12))
    kinds = [data.draw(st.sampled_from(KINDS)) for _ in range(3)]

    @nki.jit(chip="trn3")
    def kernel(x, draws):
        out = nl.ndarray((3, 16, 24), nl.float32, buffer=nl.shared_hbm)
        tiles = [nl.load(x[k], dtype=kind) for k, kind in enumerate(kinds)]
        for _ in range(count):
            step(draws, tiles)
        for k, t in enumerate(tiles):
            nl.store(out[k], t)
        return out

    x = np.round(drawn(3, 16, 24) * 4) / 4
    meant = nki.interpret(kernel)(x, Replay(data))
    found = kernel(x, Replay(None))
    np.testing.assert_array_equal(found, meant)
    assert kernel.result.document["findings"] == []


def test_hazards_are_found_by_both():
    @nki.jit
    def reads(x):
        out = nl.ndarray(x.shape, x.dtype, buffer=nl.shared_hbm)
        tile = nl.ndarray(x.shape, x.dtype)
        nisa.tensor_copy(tile[:, :4], nl.load(x)[:, :4])
        nl.store(out, tile)
        return out

    x = drawn(8, 6)
    assert "dma_copy src reads 'tensor2' where nothing was written" in message(nki.interpret(reads), x)
    assert "never written" in message(reads, x) or "nothing has written" in message(reads, x)

    @nki.jit
    def half(x):
        out = nl.ndarray(x.shape, x.dtype, buffer=nl.shared_hbm)
        nl.store(out[:4], nl.load(x)[:4])
        return out

    assert message(nki.interpret(half), x) == "output 'tensor1' was not written as a whole"
    last = np.array([[8]], np.uint32)
    for run in (nki.interpret(gathered), gathered):
        with pytest.raises(presil.Error):
            run(x, last)


def test_what_it_does_not_have():
    @nki.jit
    def kernel(x):
        out = nl.ndarray(x.shape, nl.uint32, buffer=nl.shared_hbm)
        bits = nl.ndarray(x.shape, nl.uint32)
        nisa.rng(bits)
        nl.store(out, bits)
        return out

    assert message(nki.interpret(kernel), drawn(4, 4)).endswith("the plain interpreter does not have rng")
