"""Are views of tensors what NumPy's indexing, reshaping and transposing say, whatever is done to them?"""
import numpy as np
import presil
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from presil import nki
from presil.nki import isa as nisa
from presil.nki import language as nl
from presil.nki._plain_memory import addresses
from presil.nki._tensor import Storage, Tensor
from presil.nki._types import DTYPES, HBM, SBUF
from test_nki import drawn, message

SETTINGS = settings(max_examples=300, deadline=None, derandomize=True)


def fresh(shape, buffer):
    """A tensor, and an array that holds the number of each of its elements (partition * 1e6 + place, in SBUF)."""
    steps = [int(np.prod(shape[d + 1:])) for d in range(len(shape))]
    storage = Storage(buffer, [0], 0, "t")
    numbers = np.arange(np.prod(shape)).reshape(shape)
    if buffer is SBUF:
        numbers = numbers.reshape(shape[0], -1) % steps[0] + np.arange(shape[0])[:, None] * 1_000_000
    return Tensor(storage, DTYPES["float32"], shape, steps, 0), numbers.reshape(shape)


def elements(tensor):
    """The same numbers, by the addresses that an instruction gets."""
    view = tensor.encoded()
    places = addresses(view, 4) // 4
    return (np.arange(view[3], view[3] + view[4])[:, None] * 1_000_000 + places).reshape(tensor.shape)


def sliced(data, t, a):
    index = []
    for d, extent in enumerate(t.shape):
        start = data.draw(st.integers(0, extent - 1))
        stop = data.draw(st.integers(start + 1, extent))
        step = 1 if d == 0 and t.on_chip else data.draw(st.integers(1, 3))
        index.append(data.draw(st.sampled_from([slice(start, stop, step), nl.ds(start, stop - start), slice(start - extent, None, step)])))
    plain = tuple(slice(i.start, i.start + i.size) if isinstance(i, type(nl.ds(0, 1))) else i for i in index)
    return t[tuple(index)], a[plain]


def picked(data, t, a):
    d = data.draw(st.integers(1, t.ndim - 1))
    assume(t.ndim > 2)
    at = data.draw(st.integers(-t.shape[d], t.shape[d] - 1))
    by = data.draw(st.booleans())
    return (t.select(d, at) if by else t[(slice(None),) * d + (at,)]), np.take(a, at, d)


def permuted(data, t, a):
    fixed = 1 if t.on_chip else 0
    order = [*range(fixed), *data.draw(st.permutations(range(fixed, t.ndim)))]
    return t.permute(order), a.transpose(order)


def divided(data, t, a):
    d = data.draw(st.integers(1, t.ndim - 1))
    factor = data.draw(st.sampled_from([f for f in range(1, t.shape[d] + 1) if t.shape[d] % f == 0]))
    assume(t.ndim < 5)
    return t.reshape_dim(d, (factor, -1)), a.reshape(*a.shape[:d], factor, -1, *a.shape[d + 1:])


def widened(data, t, a):
    d = data.draw(st.integers(1, t.ndim))
    assume(t.ndim < 5)
    extent = data.draw(st.integers(1, 4))
    return t.expand_dim(d).broadcast(d, extent), np.repeat(np.expand_dims(a, d), extent, d)


def flattened(data, t, a):
    first = data.draw(st.integers(1, t.ndim - 1))
    last = data.draw(st.integers(first, t.ndim - 1))
    try:
        out = t.flatten_dims(first, last)
    except presil.Error:
        assert not elementwise_regular(a, first, last)
        assume(False)
    return out, a.reshape(*a.shape[:first], -1, *a.shape[last + 1:])


def elementwise_regular(a, first, last):
    """Whether axes first to last can be one: equal steps between all neighbours of the flattened axis."""
    flat = a.reshape(-1, int(np.prod(a.shape[first:last + 1])), int(np.prod(a.shape[last + 1:])))
    return len(np.unique(np.diff(flat, axis=1))) <= 1


STEPS = [sliced, picked, permuted, divided, widened, flattened]


@SETTINGS
@given(st.data())
def test_views_after_views(data):
    buffer = data.draw(st.sampled_from([SBUF, HBM]))
    shape = tuple(data.draw(st.lists(st.integers(1, 9), min_size=2, max_size=4)))
    t, a = fresh(shape, buffer)
    for step in data.draw(st.lists(st.sampled_from(STEPS), max_size=5)):
        t, a = step(data, t, a)
        assert t.shape == a.shape
    try:
        found = elements(t)
    except presil.Error as error:
        assert "a view has at most 5" in str(error)
        return
    np.testing.assert_array_equal(found, a)
    reached = t.get_pattern()
    assert [count for _, count in reached] == list(a.shape)


@SETTINGS
@given(st.data())
def test_rearrange_is_split_order_merge(data):
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=4, max_size=4))
    b, h, w, c = sizes
    t, a = fresh((b, h * w, c), HBM)
    order = data.draw(st.permutations(["h", "w", "c"]))
    out = t.rearrange(("b", ("h", "w"), "c"), ("b", *order), {"h": h})
    axes = [0] + [{"h": 1, "w": 2, "c": 3}[name] for name in order]
    np.testing.assert_array_equal(elements(out), a.reshape(b, h, w, c).transpose(axes))


@SETTINGS
@given(st.data())
def test_access_patterns_are_strided_views(data):
    t, a = fresh((data.draw(st.integers(1, 6)), 60), SBUF)
    pairs = [(data.draw(st.integers(0, 7)), data.draw(st.integers(1, 4))) for _ in range(data.draw(st.integers(1, 4)))]
    offset = data.draw(st.integers(0, 59 - sum(step * (count - 1) for step, count in pairs) % 60))
    assume(offset + sum(step * (count - 1) for step, count in pairs) < 60)
    out = t.ap([[60, t.shape[0]], *map(list, pairs)], offset)
    strides = (a.strides[0], *(step * a.strides[1] for step, _ in pairs))
    expected = np.lib.stride_tricks.as_strided(a[:, offset:], (t.shape[0], *(count for _, count in pairs)), strides)
    np.testing.assert_array_equal(elements(out), expected)


@SETTINGS
@given(st.sampled_from(["uint8", "int16", "float32", "bfloat16"]), st.sampled_from(["uint8", "int16", "float32"]), st.integers(0, 3))
def test_other_types_of_the_same_bytes(old, new, start):
    t = Tensor(Storage(SBUF, [0], 0, "t"), DTYPES[old], (4, 3, 16), (48, 16, 1), 0)[:, :, 4 * start % 16:]
    plain = np.zeros((4, 3, 16), DTYPES[old].numpy)[:, :, 4 * start % 16:]
    ratio = plain.shape[-1] * plain.itemsize
    if ratio % DTYPES[new].itemsize:
        return
    out = t.view(getattr(nl, new))
    assert out.shape == plain.view(DTYPES[new].numpy).shape
    assert out.offset * DTYPES[new].itemsize == t.offset * t.dtype.itemsize
    assert t.view(getattr(nl, new)).view(getattr(nl, old)).get_pattern()[1:] == t.get_pattern()[1:]


@nki.jit
def reinterpreted(x):
    out = nl.ndarray((x.shape[0], 2 * x.shape[1]), nl.uint16, buffer=nl.shared_hbm)
    tile, halves = nl.load(x), nl.ndarray((x.shape[0], 2 * x.shape[1]), nl.uint16)
    nisa.tensor_copy(halves, tile.view(nl.uint16))
    nl.store(out, halves)
    return out


def test_bytes_of_numbers():
    x = drawn(20, 6)
    np.testing.assert_array_equal(reinterpreted(x), x.view(np.uint16))


@pytest.mark.parametrize("body, text", [
    (lambda t: t.slice(1, 4, 4), "slice: 4 to 4 by 1 of axis 1 of t[4, 8] float32 in nl.sbuf (0 <= start < end <= extent, step >= 1)"),
    (lambda t: t.select(2, 0), "select: t[4, 8] float32 in nl.sbuf has no axis 2"),
    (lambda t: t[:, 8], "axis 1 of t[4, 8] float32 in nl.sbuf has 8 elements, the index takes 8 to 8"),
    (lambda t: t[:, ::-1], "step -1 of an index into t[4, 8] float32 in nl.sbuf (a step of at least 1)"),
    (lambda t: t[::2], "partitions have no steps: slice(None, None, 2) of t[4, 8] float32 in nl.sbuf"),
    (lambda t: t.reshape((8, 4)), "t[4, 8] float32 in nl.sbuf cannot become [8, 4]"),
    (lambda t: t.reshape_dim(1, (3, -1)), "t[4, 8] float32 in nl.sbuf cannot become [3, -1]"),
    (lambda t: t.squeeze_dim(1), "squeeze_dim: axis 1 of t[4, 8] float32 in nl.sbuf (a free axis of extent 1)"),
    (lambda t: t.broadcast(1, 3), "axis 1 of t[4, 8] float32 in nl.sbuf cannot be repeated 3 times (only free axes of extent 1 can)"),
    (lambda t: t.vector_select(0, t), "vector_select: axis 0 of t[4, 8] float32 in nl.sbuf (axis 0 of a tensor in HBM that nothing else "
                                      "addresses)"),
    (lambda t: t.ap([[16, 2], [1, 8]]), "ap: partitions are 8 elements apart in t[4, 8] float32 in nl.sbuf, the pattern says 16"),
    (lambda t: t.indirect(t), "operands whose elements an index in SBUF names are not there yet (nc_n_gather, local_gather)"),
    (lambda t: t.__setitem__(0, t), "a tensor is written by instructions (nisa.tensor_copy(tensor[...], value) or nl.store)"),
])
def test_what_is_no_view(body, text):
    t, _ = fresh((4, 8), SBUF)
    assert message(body, t).partition(": ")[2] == text
