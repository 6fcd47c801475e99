"""Does each kind of wrong kernel get one message that names the line, what was found and what is possible?"""
import inspect

import numpy as np
import presil
import pytest
from presil import nki
from presil.nki import isa as nisa
from presil.nki import language as nl

X = np.zeros((128, 16), np.float32)


def refused(kernel, *arguments):
    """The message, and the line of the kernel that is marked with HERE."""
    with pytest.raises(presil.Error) as caught:
        kernel(*(arguments or (X,)))
    lines, first = inspect.getsourcelines(kernel.function)
    marked = [first + k for k, text in enumerate(lines) if "# HERE" in text]
    return str(caught.value), f"{__file__}:{marked[0]}" if marked else ""


@nki.jit
def wide(x, columns, buffer):
    out = nl.ndarray(x.shape, x.dtype, buffer=nl.shared_hbm)
    nl.zeros((128, columns), nl.float32, buffer, name="wide")  # HERE
    return out


@pytest.mark.parametrize("chip, columns, limit, hint", [
    ("trn1", 192 * 256 + 1, 196608, "trn2 has 229376: kernel.on('trn2')"),
    ("trn1", 60000, 196608, "trn3 has 262144: kernel.on('trn3')"),
    ("inf2", 60000, 196608, "trn3 has 262144: kernel.on('trn3')"),
    ("trn2", 60000, 229376, "trn3 has 262144: kernel.on('trn3')"),
    ("trn3", 65537, 262144, "no generation has as much: work on parts of it")])
def test_a_tensor_larger_than_sbuf_is_refused_at_its_allocation(chip, columns, limit, hint):
    found, line = refused(wide.on(chip), X, columns, nl.sbuf)
    assert found == (f"{line}: tensor 'wide' (float32, shape (128, {columns})) needs {4 * columns} bytes in each partition, "
                     f"SBUF of {chip} has {limit} ({hint})")


@pytest.mark.parametrize("chip", ["trn1", "trn2", "trn3"])
def test_a_tensor_larger_than_psum_is_refused_at_its_allocation(chip):
    found, line = refused(wide.on(chip), X, 4097, nl.psum)
    assert found == (f"{line}: tensor 'wide' (float32, shape (128, 4097)) needs 16388 bytes in each partition, "
                     f"PSUM of {chip} has 16384 (no generation has as much: work on parts of it)")


def test_more_tensors_than_psum_has_banks_are_refused_at_the_one_that_did_not_fit():
    @nki.jit
    def many(x, count):
        out = nl.ndarray((128, 512), x.dtype, buffer=nl.shared_hbm)
        banks = []
        for _ in range(count):
            banks.append(nl.zeros((128, 512), nl.float32, nl.psum, name="bank"))  # HERE
        for bank in banks:
            nl.store(out, bank)
        return out

    assert not many(X, 8).any()
    found, line = refused(many, X, 9)
    assert found == (f"{line}: tensor 'bank.8' (float32, shape (128, 512)) needs 2.00 KiB in each of 128 partitions, "
                     "all 8 PSUM banks of trn2 are in use (tensors live until their last use: use fewer at once)")


def test_an_index_out_of_range():
    @nki.jit
    def kernel(x):
        return nl.load(x)[:, 8:20]  # HERE

    found, line = refused(kernel)
    assert found == f"{line}: axis 1 of tensor1[128, 16] float32 in nl.sbuf has 16 elements, the index takes 8 to 19"


def test_reading_before_writing():
    @nki.jit
    def kernel(x):
        out = nl.ndarray(x.shape, x.dtype, buffer=nl.shared_hbm)
        nisa.dma_copy(out, nl.ndarray(x.shape, x.dtype, name="empty"))  # HERE
        return out

    found, line = refused(kernel)
    assert f"{line}: dma_copy src: reads 'empty', which nothing has written" in found


def test_what_a_kernel_raises_is_raised():
    @nki.jit
    def kernel(x):
        raise KeyError("its own")

    with pytest.raises(KeyError, match="its own"):
        kernel(X)


def test_what_is_no_kernel():
    with pytest.raises(presil.Error) as caught:
        nki.jit(3)
    assert str(caught.value) == "int is no function (decorate a function with @nki.jit)"
