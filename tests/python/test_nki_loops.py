"""Do loops, registers and addresses that follow them do on the device what Python says, and is what cannot be refused?"""
import sys

import numpy as np
import presil
import pytest
from presil import nki
from presil.nki import isa as nisa
from presil.nki import language as nl
from test_nki import drawn, message

CHIPS = ["trn1", "trn2", "trn3"]


@nki.jit
def by_blocks(x, device):
    out = nl.ndarray(x.shape, x.dtype, buffer=nl.shared_hbm)
    for i in nl.dynamic_range(x.shape[0] // 32) if device else nl.static_range(x.shape[0] // 32):
        tile = nl.load(x[nl.ds(i * 32, 32), :])
        nisa.activation(tile, nl.square, tile)
        nl.store(out[i * 32:(i + 1) * 32, :], tile)
    return out


@pytest.mark.parametrize("chip", CHIPS)
def test_a_loop_on_the_device(chip):
    x = drawn(320, 40)
    results, programs = [], []
    for device in (True, False):
        run = nki.profile(by_blocks, chip)(x, device)
        results.append(run.returned)
        programs.append(run)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], np.square(x))
    longer = nki.profile(by_blocks, chip)(drawn(32 * 200, 40), True)
    assert len(longer.lines) == len(programs[0].lines)  # not written out
    assert {line.executed for line in longer.lines if line.instruction == "activation"} == {200}


@nki.jit
def counted(data, count):
    """The first `count` numbers of data, one at a time."""
    out = nl.ndarray(data.shape, data.dtype, buffer=nl.shared_hbm)
    nl.store(out, nl.zeros(data.shape, data.dtype))
    until = nisa.register_alloc()
    nisa.register_load(until, nl.load(count))
    one = nl.ndarray((1, 1), data.dtype)

    def body(i):
        nisa.dma_copy(dst=one, src=data.ap([[1, 1], [1, 1]], scalar_offset=i, indirect_dim=1))
        nisa.dma_copy(dst=out.ap([[1, 1], [1, 1]], scalar_offset=i, indirect_dim=1), src=one)

    nl.fori_loop(0, until, body)
    return out


@pytest.mark.parametrize("count", [0, 1, 7])
def test_bounds_that_the_data_says(count):
    x = drawn(1, 7)
    run = nki.profile(counted, "trn2")(x, np.array([[count]], np.int32))
    np.testing.assert_array_equal(run.returned, np.where(np.arange(7) < count, x, 0))
    assert nki.profile(counted, "trn2", data=False)(x, np.array([[count]], np.int32)).seconds == run.seconds


@nki.jit
def halved(x, count, form):
    """x * 2^-count, as long as a number in SBUF says so."""
    out = nl.ndarray(x.shape, x.dtype, buffer=nl.shared_hbm)
    tile, left = nl.load(x), nl.load(count)
    register = nisa.register_alloc()
    nisa.register_load(register, left)

    def body(r):
        nisa.tensor_scalar(tile, tile, nl.multiply, 0.5)
        nisa.tensor_scalar(left, left, nl.subtract, 1)
        nisa.register_load(r, left)
        return r

    if form == "function":
        nl.while_loop(register, body)
    else:
        while register:
            body(register)
    nl.store(out, tile)
    return out


@pytest.mark.parametrize("form", ["function", "statement"])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_as_long_as_a_register_says(form, count):
    x = drawn(16, 8)
    np.testing.assert_array_equal(halved(x, np.array([[count]], np.int32), form), x * 0.5**count)


@nki.jit
def dynamic_rows(x, which):
    out = nl.ndarray((2, x.shape[1], x.shape[2]), x.dtype, buffer=nl.shared_hbm)
    index = nl.load(which)
    nl.store(out[0], nl.load(x.select(0, index)))
    kept, column = nl.load(x[1]), nisa.register_alloc(2)
    picked = nl.zeros((x.shape[1], x.shape[2]), x.dtype)
    for _ in nl.dynamic_range(1):
        nisa.tensor_copy(picked[:, nl.ds(column, 1)], kept[:, nl.ds(column + 1, 1)])
    nl.store(out[1], picked)
    return out


def test_addresses_that_registers_say():
    x = drawn(5, 16, 6)
    second = np.zeros((16, 6), np.float32)
    second[:, 2] = x[1, :, 3]
    for which in (0, 4):
        np.testing.assert_array_equal(dynamic_rows(x, np.array([[which]], np.int32)), np.stack([x[which], second]))


def test_a_register_is_stored():
    @nki.jit
    def kernel(x):
        out = nl.ndarray((1, 1), nl.int32, buffer=nl.shared_hbm)
        cell, total = nl.ndarray((1, 1), nl.int32), nisa.register_alloc(41)
        copy = nisa.register_alloc(total)
        nisa.register_move(total, 5)
        nisa.register_store(cell, copy)
        nl.store(out, cell)
        return out

    assert kernel(drawn(1, 1))[0, 0] == 41


def here(offset):
    return f"{__file__}:{sys._getframe(1).f_lineno + offset}"


def kernel_of(body):
    def run(x):
        out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
        body(x, out)
        nl.store(out, nl.load(x))
        return out

    return nki.jit(run)


def test_what_registers_cannot_do():
    x = drawn(128, 16)

    def leaves(x, out):
        for _ in nl.dynamic_range(3):
            break

    assert message(kernel_of(leaves), x) == f"{here(-3)}: a loop on the device ends when it has counted, not by break or return"

    def decides(x, out):
        if nisa.register_alloc(1):
            pass

    assert message(kernel_of(decides), x) == "a register decides about loops only (while register:, nl.while_loop, nl.fori_loop)"

    def compares(x, out):
        for i in nl.dynamic_range(3):
            nl.load(x) if i == 0 else None

    assert message(kernel_of(compares), x) == (
        f"{here(-3)}: what a register holds is known when the kernel runs, not while it is traced "
        "(while register:, nl.while_loop or nl.fori_loop decide on the device)")

    def out_of_range(x, out):
        for i in nl.dynamic_range(5):
            nl.load(x[nl.ds(i * 32, 32), :])

    assert message(kernel_of(out_of_range), x) == f"{here(-2)}: src reaches bytes 0 to 10240 of tensor 'x', which has 8192"

    def partitions(x, out):
        tile = nl.load(x)
        for i in nl.dynamic_range(2):
            nisa.tensor_copy(tile[0:32, :], tile[nl.ds(i * 32, 32), :])

    assert "is not known while it is traced" in message(kernel_of(partitions), x)

    def sums(x, out):
        tile, bank = nl.load(x), nl.ndarray((16, 16), nl.float32, buffer=nl.psum)
        for _ in nl.dynamic_range(2):
            nisa.nc_matmul(bank, tile, tile)

    assert message(kernel_of(sums), x) == (
        f"{here(-3)}: nc_matmul: in a loop on the device, whether this product is the first into tensor3[16, 16] float32 in nl.psum of "
        "outside depends on the turn (accumulate=True or False)")
    assert message(kernel_of(lambda x, out: list(nl.dynamic_range(0, 4, nisa.register_alloc(1)))), x).endswith(
        "(a positive number that is known while the kernel is traced)")
    assert message(kernel_of(lambda x, out: nisa.register_move(nisa.register_alloc(), 2**31)), x).endswith(
        "register_move: 2147483648 does not fit a register, which has 32 bits")


def test_loops_without_end_are_stopped(monkeypatch):
    x = drawn(4, 4)

    def forever(x, out):
        register = nisa.register_alloc(1)
        tile = nl.load(x)
        while register:
            nisa.tensor_copy(tile, tile)

    found = message(kernel_of(forever), x)
    assert found.startswith("the simulated program failed: loop_limit: ") and f"{here(-4)} " in found
    assert found.endswith(" jumps back for the 10000001th time of all: more than the limit of 10000000")
    from presil.nki import _trace
    monkeypatch.setattr(_trace, "INSTRUCTIONS_MAX", 1000)

    def traced(x, out):
        while True:
            nl.load(x)

    assert message(kernel_of(traced), x) == (
        f"{here(-3)}: more than 1000 instructions: the kernel does not end, or has loops that belong on the device "
        "(nl.dynamic_range and nl.fori_loop are not written out)")


def test_order_inside_no_reorder():
    @nki.jit
    def kernel(x, ordered):
        out = nl.ndarray(x.shape, x.dtype, buffer=nl.shared_hbm)
        tile = nl.load(x)
        a, b = nl.ndarray(x.shape, x.dtype), nl.ndarray(x.shape, x.dtype)

        def body():
            nisa.tensor_copy(a, tile)
            nisa.activation(b, nl.copy, tile)

        if ordered:
            with nl.no_reorder():
                body()
        else:
            body()
        nl.store(out, a + b)
        return out

    x = drawn(128, 2000)
    np.testing.assert_array_equal(kernel(x, True), 2 * x)
    assert nki.profile(kernel)(x, True).seconds > nki.profile(kernel)(x, False).seconds + 1e-6

    def loops(x, out):
        with nl.no_reorder():
            for _ in nl.dynamic_range(2):
                nl.load(x)

    assert message(kernel_of(loops), x).endswith(
        "dynamic_range: no loop on the device runs inside nl.no_reorder() (put nl.no_reorder() into the loop)")


def test_a_failed_program_is_an_error_with_its_line():
    bad = np.array([[9]], np.int32)
    with pytest.raises(presil.Error) as caught:
        dynamic_rows(drawn(5, 16, 6), bad)
    assert "simulated program failed" in str(caught.value) and "test_nki_loops.py" in str(caught.value)
