"""Functions of nki.language that are several instructions, constants, random numbers and printing."""
import numpy as np
import pytest
from presil import nki
from presil.nki import language as nl
from test_nki import drawn, message

X = np.concatenate([drawn(32, 60) * 50, np.round(drawn(32, 20, seed=1) * 4) / 4, np.round(drawn(32, 16, seed=2) * 9),
                    np.tile(np.array([[0, -0.5, 0.5, 2.0**24, -(2.0**30), 3e38, 8388607.5, -2.5]], np.float32), (32, 1))], 1)


def unary(function):
    @nki.jit
    def kernel(x):
        out = nl.ndarray(x.shape, x.dtype, buffer=nl.shared_hbm)
        nl.store(out, function(nl.load(x)))
        return out

    return kernel


@pytest.mark.parametrize("name", ["floor", "ceil", "trunc"])
@pytest.mark.parametrize("chip", ["trn1", "trn3"])
def test_whole_numbers(name, chip):
    np.testing.assert_array_equal(unary(getattr(nl, name)).on(chip)(X), getattr(np, name)(X))


@pytest.mark.parametrize("name", ["cos", "tan"])
def test_angles(name):
    x = np.clip(drawn(16, 40), -1.5, 1.5)
    np.testing.assert_allclose(unary(getattr(nl, name))(x), getattr(np, name)(x.astype(np.float64)), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["mod", "fmod"])
@pytest.mark.parametrize("divisor", [0.25, -3.0, 7.0])
def test_remainders_of_exact_quotients(name, divisor):
    x = np.round(drawn(16, 40) * 100)
    found = unary(lambda t: getattr(nl, name)(t, divisor))(x)
    assert np.max(np.abs(found - getattr(np, name)(x, np.float32(divisor)))) <= (0 if divisor == 0.25 else 2e-5)


def test_reductions():
    @nki.jit
    def kernel(x):
        out = nl.ndarray((x.shape[0], 2), x.dtype, buffer=nl.shared_hbm)
        t = nl.load(x)
        nl.store(out[:, 0:1], nl.prod(t, 1, keepdims=True))
        nl.store(out[:, 1:2], nl.all(t, 1).reshape((x.shape[0], 1)))
        return out

    x = np.round(drawn(40, 5) * 2)
    np.testing.assert_array_equal(kernel(x), np.stack([x.prod(1), x.all(1)], 1))


def test_constants(tmp_path):
    table = drawn(8, 12)
    np.save(tmp_path / "table.npy", table)

    @nki.jit
    def kernel(x, source):
        out = nl.ndarray(x.shape, x.dtype, buffer=nl.shared_hbm)
        eye = nl.shared_identity_matrix(8, nl.float32)
        nl.store(out, nl.add(nl.load(x), nl.copy(nl.matmul(eye, nl.load(nl.shared_constant(source)), transpose_x=True))))
        return out

    x = drawn(8, 12, seed=1)
    for source in (table, str(tmp_path / "table.npy")):
        np.testing.assert_array_equal(kernel(x, source) if isinstance(source, str) else pass_by_value(kernel, x, source), x + table)


def test_constants_of_a_pair():
    """Both cores have the constant; each writes its half."""
    table = drawn(8, 12)

    @nki.jit
    def kernel(x):
        out = nl.ndarray(x.shape, x.dtype, buffer=nl.shared_hbm)
        half = nl.ds(4 * nl.program_id(0), 4)
        nl.store(out[half], nl.add(nl.load(x[half]), nl.load(nl.shared_constant(table)[half])))
        return out

    x = drawn(8, 12, seed=1)
    np.testing.assert_array_equal(kernel[2](x), x + table)


@pytest.mark.parametrize("name, number", [("left_shift", 3), ("right_shift", 8), ("bitwise_and", 0xFF0F), ("bitwise_or", 1 << 31),
                                          ("bitwise_xor", 5)])
def test_bits(name, number):
    """A constant of a bitvec operation is a whole number, whose bits count."""
    x = np.random.default_rng(0).integers(0, 2**32, (8, 16), np.uint32)
    function = unary(lambda t: getattr(nl, name)(t, number))
    np.testing.assert_array_equal(function(x), getattr(np, name)(x, np.uint32(number)))
    assert message(unary(lambda t: getattr(nl, name)(t, 1.5)), x).endswith(f"nl.{name} of 1.5 (a whole number)")


def test_bits_of_tiles():
    @nki.jit
    def kernel(x, y):
        out = nl.ndarray((3, *x.shape), x.dtype, buffer=nl.shared_hbm)
        a, b = nl.load(x), nl.load(y)
        for k, value in enumerate((nl.bitwise_and(a, b), nl.invert(a), nl.left_shift(a, b))):
            nl.store(out[k], value)
        return out

    x, y = np.random.default_rng(0).integers(0, 30, (2, 8, 16), np.int32)
    np.testing.assert_array_equal(kernel(x, y), [x & y, ~x, x << y])


def pass_by_value(kernel, x, table):
    """A constant that the kernel's function closes over."""
    return nki.jit(lambda x: kernel(x, table))(x)


@pytest.mark.parametrize("chip", ["trn1", "trn2", "trn3"])
def test_random_numbers(chip):
    @nki.jit(chip=chip)
    def kernel():
        out = nl.ndarray((128, 512), nl.float32, buffer=nl.shared_hbm)
        nl.store(out, nl.rand((128, 512), nl.float32))
        return out

    numbers = kernel()
    assert numbers.min() >= 0 and numbers.max() < 1
    assert abs(numbers.mean() - 0.5) < 4 / np.sqrt(12 * numbers.size)
    assert len(np.unique(numbers)) > 0.99 * numbers.size
    np.testing.assert_array_equal(kernel(), numbers)


def test_printing(capsys):
    @nki.jit
    def kernel(x):
        out = nl.ndarray(x.shape, x.dtype, buffer=nl.shared_hbm)
        tile = nl.load(x)
        nl.device_print("before", tile)
        tile = nl.multiply(tile, 2.0)
        nl.device_print("after", tile)
        nl.store(out, tile)
        return out

    x = np.array([[1, 2]], np.float32)
    np.testing.assert_array_equal(kernel(x), 2 * x)
    assert capsys.readouterr().out == "before [[1. 2.]]\nafter [[2. 4.]]\n"
    nki.interpret(kernel)(x)
    assert capsys.readouterr().out == "before [[1. 2.]]\nafter [[2. 4.]]\n"

    @nki.jit
    def looped(x):
        for _ in nl.dynamic_range(2):
            nl.device_print("here", x)
        return x

    assert message(looped, x).endswith("device_print in a loop on the device (print behind it, or write the loop out)")


@pytest.mark.parametrize("chip, size", [("trn1", 196608), ("trn2", 229376), ("trn3", 262144)])
def test_sizes_of_the_chip(chip, size):
    seen = []

    @nki.jit(chip=chip)
    def kernel(x):
        seen.extend([nl.tile_size.sbuf_fmax_bytes, nl.tile_size.sbuf_fmax, nl.tile_size.sbuf_size_bytes, nl.tile_size.pmax])
        out = nl.ndarray(x.shape, x.dtype, buffer=nl.shared_hbm)
        nl.store(out, nl.load(x))
        return out

    kernel(drawn(4, 4))
    assert seen == [size, size // 4, 128 * size, 128]


def test_collectives_say_what_is_there():
    @nki.jit
    def kernel(x):
        return nki.collectives.all_reduce([x], [x])

    assert message(kernel, drawn(4, 4)).endswith(
        "nki.collectives.all_reduce is not there yet: kernels run on one core or a pair, whose cores have nki.isa.sendrecv and nki.isa.core_barrier")
