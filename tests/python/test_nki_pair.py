"""Kernels on the two cores of a pair: kernel[2](...)."""
import numpy as np
import pytest
from presil import nki
from presil.nki import isa as nisa
from presil.nki import language as nl
from test_nki import drawn, message

CHIPS = ["trn2", "trn3"]


@nki.jit
def halves(x):
    """Each core doubles its half of the rows."""
    out = nl.ndarray(x.shape, x.dtype, buffer=nl.shared_hbm)
    rows = x.shape[0] // nl.num_programs(0)
    part = nl.ds(nl.program_id(0) * rows, rows)
    nl.store(out[part], nl.add(nl.load(x[part]), nl.load(x[part])))
    return out


@nki.jit
def swapped(x):
    """Row 0 of the result is what core 0 received, row 1 what core 1 did."""
    out = nl.ndarray(x.shape, x.dtype, buffer=nl.shared_hbm)
    core = nl.program_id(0)
    mine, theirs = nl.load(x[core]), nl.ndarray(x.shape[1:], x.dtype)
    nisa.sendrecv(src=mine, dst=theirs, send_to_rank=1 - core, recv_from_rank=1 - core, pipe_id=0)
    nl.store(out[core], theirs)
    return out


@nki.jit
def met(x):
    """Each core writes its half of a shared tensor, and after a barrier core 0 reads both."""
    shared = nl.ndarray(x.shape, x.dtype, buffer=nl.shared_hbm)
    out = nl.ndarray(x.shape, x.dtype, buffer=nl.shared_hbm)
    core = nl.program_id(0)
    nl.store(shared[core], nl.load(x[core]))
    nisa.core_barrier(shared, (0, 1))
    if core == 0:
        for half in (0, 1):
            nl.store(out[half], nl.load(shared[half]))
    return out


@pytest.mark.parametrize("chip", CHIPS)
def test_cores_share_the_work(chip):
    x = drawn(256, 512)
    both = halves.on(chip)[2]
    np.testing.assert_array_equal(both(x), 2 * x)
    alone = halves.on(chip)
    np.testing.assert_array_equal(alone(x[:128]), 2 * x[:128])
    # Each core has DMA engines of its own, the stack of HBM is common.
    assert alone.result.seconds <= both.result.seconds <= 1.2 * alone.result.seconds
    assert both.result.document["lnc"] == 2


@pytest.mark.parametrize("chip", CHIPS)
def test_cores_swap_what_they_have(chip):
    x = drawn(2, 128, 64)
    np.testing.assert_array_equal(swapped.on(chip)[2](x), x[::-1])


@pytest.mark.parametrize("chip", CHIPS)
def test_cores_meet_at_a_barrier(chip):
    x = drawn(2, 128, 64)
    np.testing.assert_array_equal(met.on(chip)[2](x), x)


def test_without_the_barrier_nothing_is_there_yet():
    @nki.jit
    def unmet(x):
        shared, out = (nl.ndarray(x.shape, x.dtype, buffer=nl.shared_hbm) for _ in range(2))
        nl.store(shared[nl.program_id(0)], nl.load(x[nl.program_id(0)]))
        nl.store(out[nl.program_id(0)], nl.load(shared[1 - nl.program_id(0)]))
        return out

    assert "of tensor 'tensor1' that nothing has written" in message(unmet[2], drawn(2, 128, 64))


def test_generations_without_pairs_run_one_program_after_the_other():
    x = drawn(256, 32)
    np.testing.assert_array_equal(halves.on("trn1")[2](x), 2 * x)
    assert halves.on("trn1")[2, 1].grid == (2, 1)


def test_programs_make_the_same_shared_tensors():
    @nki.jit(chip="trn1")
    def unlike(x):
        out = nl.ndarray((4 + nl.program_id(0), 8), x.dtype, buffer=nl.shared_hbm)
        nl.store(out[:4], nl.load(x))
        return out

    assert "program (1,) makes a shared tensor of shape (5, 8) of float32, where an earlier one made" in message(unlike[2], drawn(4, 8))


@pytest.mark.parametrize("change, text", [
    ({"send_to_rank": 0}, "sendrecv: send_to_rank is 0 (one of 1)"), ({"recv_from_rank": 2}, "sendrecv: recv_from_rank is 2 (one of 1)")])
def test_ranks(change, text):
    @nki.jit
    def sends(x):
        mine, theirs = nl.load(x), nl.ndarray(x.shape, x.dtype)
        nisa.sendrecv(mine, theirs, **({"send_to_rank": 1, "recv_from_rank": 1, "pipe_id": 0} | change))
        return x

    assert message(sends[2], drawn(4, 8)).endswith(text)
    assert message(sends, drawn(4, 8)).endswith("sendrecv: the kernel runs on one core (launch it on a pair: kernel[2](...), on trn2 or trn3)")
