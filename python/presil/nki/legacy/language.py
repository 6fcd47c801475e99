"""neuronxcc.nki.language: types, buffers, tiles, loops, and operations that return tiles."""
import builtins
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from presil import _arrays
from presil.nki import _trace, language
from presil.nki import isa as base
from presil.nki._affine import Slice
from presil.nki._tensor import Storage
from presil.nki._types import DTYPES, HBM, PRIVATE_HBM, PSUM, SBUF, SHARED_HBM, as_dtype
from presil.nki.language import ds, num_programs, program_id, program_ndim, tile_size
from presil.nki.legacy import isa
from presil.nki.legacy._allocate import Allocator, own, par_dim
from presil.nki.legacy._allocate import ndarray as _ndarray
from presil.nki.legacy._index import Index, Mask, arange, mgrid, ogrid
from presil.nki.legacy._names import instruction, missing
from presil.nki.legacy._tile import Place, Result, Tile, flush, issue

__all__ = ["arange", "ds", "mgrid", "num_programs", "ogrid", "par_dim", "program_id", "program_ndim", "tile_size"]

globals().update(DTYPES)
globals().update(isa.OPS_HERE)
sbuf, psum, hbm, shared_hbm, private_hbm = SBUF, PSUM, HBM, SHARED_HBM, PRIVATE_HBM


class _Limits:
    def __init__(self, dtype: Any) -> None:
        limits: Any = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
        self.min, self.max, self.eps = float(limits.min), float(limits.max), float(limits.eps)


fp32 = _Limits(np.float32)


def finfo(dtype: Any) -> _Limits:
    """Smallest and largest value."""
    return _Limits(as_dtype(dtype).numpy)


# --- tensors ---------------------------------------------------------------------------------------------------------

def ndarray(shape: Sequence[Any], dtype: Any, *, buffer: Any = None, name: str = "", lazy_initialization: bool = False) -> Any:
    return _ndarray(shape, dtype, buffer, name)


def full(shape: Sequence[Any], fill_value: float, dtype: Any, *, buffer: Any = None, name: str = "",
         lazy_initialization: bool = False) -> Any:
    """A tensor on chip that holds fill_value."""
    memory = buffer.memory if isinstance(buffer, Allocator) else buffer
    if memory in (HBM, SHARED_HBM, PRIVATE_HBM):
        raise _trace.refuse(f"a tensor in {memory!r} cannot be made with a value", "nl.ndarray, then nl.store", "unsupported")
    return _ndarray(shape, dtype, buffer, name, float(fill_value))


def zeros(shape: Sequence[Any], dtype: Any, *, buffer: Any = None, name: str = "", lazy_initialization: bool = False) -> Any:
    return full(shape, 0.0, dtype, buffer=buffer, name=name)


def ones(shape: Sequence[Any], dtype: Any, *, buffer: Any = None, name: str = "") -> Any:
    return full(shape, 1.0, dtype, buffer=buffer, name=name)


def zeros_like(a: Any, dtype: Any = None, *, buffer: Any = None, name: str = "") -> Any:
    return zeros(a.shape, a.dtype if dtype is None else dtype, buffer=buffer, name=name)


def empty_like(a: Any, dtype: Any = None, *, buffer: Any = None, name: str = "") -> Any:
    return ndarray(a.shape, a.dtype if dtype is None else dtype, buffer=buffer, name=name)


@instruction
def shared_constant(constant: Any, dtype: Any = None) -> Tile:
    """An array's values in HBM, in place before the kernel starts."""
    trace = _trace.trace()
    values = np.asarray(constant)
    kind = as_dtype(values.dtype if dtype is None else dtype)
    label = trace.name("constant")
    array = np.ascontiguousarray(values.astype(kind.numpy))
    trace.inputs.append(_arrays.given(label, array, kind.presil))
    extents = list(array.shape)
    storage = Storage(HBM, [trace.recording.tensor(label, kind.presil, extents, "input")], 0, label)
    return Tile.of(_dense(storage, kind, extents))


def _dense(storage: Storage, kind: Any, extents: Sequence[int]) -> Tile:
    from presil.nki.legacy._tile import dense
    return Tile(storage, kind, extents, dense(extents), 0)


@instruction
def shared_identity_matrix(n: int, dtype: Any = np.uint8) -> Tile:
    return shared_constant(np.identity(n), dtype)


def static_cast(value: Any, dtype: Any) -> Any:
    """An array of the host, or a number, as another type."""
    kind = as_dtype(dtype)
    if isinstance(value, Tile):
        return copy(value, dtype=kind)
    return np.asarray(value).astype(kind.numpy)


# --- loops and programs ----------------------------------------------------------------------------------------------

class _Loop:
    """A range; results that are reduced over it keep their sums here."""

    def __init__(self, values: range) -> None:
        self.values, self.sums = values, {}  # type: ignore[var-annotated]
        self.calls: dict[tuple[str, int], int] = {}  # by line and iteration
        # What the first iteration placed explicitly, and how many an iteration has so far: each has the same places.
        self.first, self.allocations, self.allocators = True, 0, []  # type: ignore[var-annotated]

    def __iter__(self) -> Iterator["LoopIndex"]:
        open_loops = _trace.trace().host_loops if _trace.current is not None else []
        open_loops.append(self)
        try:
            for value in self.values:
                self.first, self.allocations = value == self.values.start, 0
                yield LoopIndex(value, self)
        finally:
            open_loops.remove(self)

    def __len__(self) -> int:
        return len(self.values)


class LoopIndex(int):
    """The number of an iteration, and whose."""

    loop: _Loop

    def __new__(cls, value: int, loop: _Loop) -> "LoopIndex":
        self = super().__new__(cls, value)
        self.loop = loop
        return self


def affine_range(*arguments: int, **options: Any) -> Iterable[int]:
    """Iterations, each written out. precise_schedule and directives address the vendor's compiler (nki.compiler)."""
    unknown = set(options) - {"precise_schedule", "directives", "multi_buffer", "name"}
    if unknown:
        raise _trace.refuse(f"a range has no option {', '.join(sorted(unknown))}")
    return _Loop(range(*(int(a) for a in arguments)))


sequential_range = static_range = affine_range


def loop_reduce(value: Tile, op: Any, loop_indices: Sequence[Any], dtype: Any = None, name: str = "", mask: Any = None) -> Result:
    """value reduced over iterations: the first one copies, the others combine with what is there. A destination that is named is
    that of the iterations before which named it, too; other results are those of the same call of the iteration before."""
    flush()
    operation = isa.operation(op)
    indices: Sequence[Any] = loop_indices if isinstance(loop_indices, (list, tuple)) else [loop_indices]
    for i in indices:
        if not isinstance(i, LoopIndex):
            raise _trace.refuse(f"loop_reduce: {i!r} is no number of an iteration", "loop_indices=[i] of `for i in nl.affine_range`")
    first = builtins.all(int(i) == i.loop.values.start for i in indices)
    loop, call = indices[0].loop, (_trace.line(), int(indices[0]))
    loop.calls[call] = loop.calls.get(call, 0) + 1
    sums, key, places = loop.sums, (call[0], loop.calls[call]), _trace.trace().places

    def emit(dst: Tile) -> None:
        named = not (isinstance(dst.storage, Place) and dst.storage.number >= places)
        at = (call[0], dst.encoded()) if named else key
        before, sums[at] = sums.get(at), dst
        if first or (named and before is None):
            issue(lambda d, v: base.tensor_copy(d, v), (dst, value), mask)
        else:
            issue(lambda d, a, v: base.tensor_tensor(d, a, v, operation), (dst, dst if before is None else before, value), mask)

    return Result(value.shape, value.dtype if dtype is None else as_dtype(dtype), emit, (value,), exact=dtype is not None, mask=mask)


def spmd_dim(count: int, *dims: Any) -> int:
    """An axis of a grid: so many programs for each core that it is spread over."""
    n = int(count)
    for d in dims:
        n *= int(d)
    return n


class nc(int):
    """nl.nc(2): programs that cores of a chip share."""

    def __mul__(self, other: Any) -> int:
        return nc(int(self) * int(other))

    __rmul__ = __mul__


# --- moving ----------------------------------------------------------------------------------------------------------

@instruction
def load(src: Tile, *, mask: Any = None, dtype: Any = None) -> Result:
    """What lies in HBM as a tile in SBUF; the first axis becomes partitions."""
    flush()
    if not isinstance(src, Tile) or src.on_chip:
        raise _trace.refuse(f"nl.load: {src!r} is no tensor in HBM")
    kind = src.dtype if dtype is None else as_dtype(dtype)
    shape = src.shape if src.ndim > 1 else (*src.shape, 1)
    source = src if src.ndim > 1 else src.expand_dim(1) if not src.loose else src
    return Result(shape, kind, lambda dst: issue(base.dma_copy, (dst, source), mask), (), SBUF, ("sbuf",), dtype is not None, mask)


@instruction
def store(dst: Tile, value: Any, *, mask: Any = None) -> None:
    """A tile to HBM. What lies in PSUM passes through SBUF, which DMA can read."""
    if not isinstance(dst, Tile) or dst.on_chip:
        raise _trace.refuse(f"nl.store: {dst!r} is no tensor in HBM")
    if isinstance(value, (int, float)):
        value = full(dst.shape, value, dst.dtype)
    if not isinstance(value, Tile):
        raise _trace.refuse(f"nl.store: {type(value).__name__} is no tile")
    if value.buffer is PSUM:
        value = copy(value, dtype=dst.dtype, mask=mask if value.shape == dst.shape else None)
    flush()
    if value.shape != dst.shape and value.size < dst.size and value.ndim == dst.ndim:
        value = value.repeated(dst.shape)
    from presil.nki.legacy._tile import conformed
    source = value if value.shape == dst.shape else conformed(value, dst.shape) if dst.shape[0] == value.shape[0] else value
    if source.shape == dst.shape:
        issue(base.dma_copy, (dst, source), mask)
    else:
        target = conformed(dst, source.shape)
        issue(base.dma_copy, (target, source), mask)


@instruction
def load_transpose2d(src: Tile, *, mask: Any = None, dtype: Any = None) -> Result:
    """[p, f] of HBM as a tile [f, p]: by DMA, which transposes types of two bytes as blocks, others element by element."""
    flush()
    if src.ndim != 2 or src.on_chip:
        raise _trace.refuse(f"nl.load_transpose2d: {src!r} is no tensor of two axes in HBM")
    kind = src.dtype if dtype is None else as_dtype(dtype)
    turned = Tile(src.storage, src.dtype, (src.shape[1], src.shape[0]), (src.steps[1], src.steps[0]), src.offset)
    turned.loose = tuple((a, e, Index(i.shape[::-1], i.steps[::-1], i.constant)) for a, e, i in src.loose)
    where = None if mask is None else _turned(mask)
    return Result(turned.shape, kind, lambda dst: issue(base.dma_copy, (dst, turned), where), (), SBUF, ("sbuf",),
                  dtype is not None, where)


def _turned(mask: Any) -> Any:
    if not isinstance(mask, Mask):
        return mask
    return Mask(tuple(Index(c.shape[::-1], c.steps[::-1], c.constant) for c in mask.conditions))


copy, _multiply, _subtract, _square = (isa.OPS_HERE[n] for n in ("copy", "multiply", "subtract", "square"))


@instruction
def transpose(x: Tile, *, dtype: Any = None, mask: Any = None) -> Any:
    """[p, f] to [f, p] on the tensor engine, then into SBUF."""
    return copy(isa.nc_transpose(in_sbuf(x), engine=isa.tensor_engine), dtype=x.dtype if dtype is None else dtype,
                mask=None if mask is None else _turned(mask))


def in_sbuf(x: Tile) -> Any:
    return x if x.buffer is SBUF else copy(x)


@instruction
def matmul(x: Tile, y: Tile, *, transpose_x: bool = False, mask: Any = None) -> Result:
    """x @ y, or x^T @ y, in PSUM."""
    flush()
    isa.tiles("matmul", x, y)
    return isa.nc_matmul(in_sbuf(x) if transpose_x else transpose(x), in_sbuf(y), mask=mask)


@instruction
def broadcast_to(src: Tile, *, shape: Sequence[int]) -> Tile:
    """src repeated to `shape`: a view along free axes, by the tensor engine over partitions."""
    flush()
    extents = [int(e) for e in shape]
    if src.ndim != len(extents):
        raise _trace.refuse(f"{src!r} cannot be repeated to {extents}")
    if src.shape[0] == extents[0]:
        return src.repeated(extents)
    if src.shape[0] != 1:
        raise _trace.refuse(f"{src!r} cannot be repeated to {extents}: it has {src.shape[0]} partitions")
    row = in_sbuf(src).reshape((1, src.size))
    weights = ones((1, extents[0]), src.dtype)
    out = own((extents[0], *src.shape[1:]), src.dtype)
    flat = out.reshape((extents[0], src.size))
    for begin in range(0, src.size, tile_size.gemm_moving_fmax):
        end = builtins.min(src.size, begin + tile_size.gemm_moving_fmax)
        flat[:, begin:end] = isa.nc_matmul(weights, row[:, begin:end])
    return out.repeated(extents)


def expand_dims(data: Tile, axis: int) -> Tile:
    return data.expand_dim(axis % (data.ndim + 1))


def device_print(prefix: str, x: Any = None, *, mask: Any = None) -> None:
    raise _trace.refuse("nl.device_print is not supported by this interface", "return the tensor", "unsupported")


# --- operations on tiles ---------------------------------------------------------------------------------------------

def _binary(op: Any) -> Callable[..., Any]:
    def call(x: Any, y: Any, *, dtype: Any = None, mask: Any = None) -> Result:
        flush()
        x, y = _number(x), _number(y)
        isa.tiles(f"nl.{op.name}", x, y)
        if not isinstance(x, Tile) and not isinstance(y, Tile):
            raise _trace.refuse(f"nl.{op.name} of two numbers", "compute it in Python")
        kind = dtype if dtype is not None else None
        reverse = not isinstance(x, Tile) or (isinstance(y, Tile) and y.size > x.size)
        a, b = (y, x) if reverse else (x, y)
        default = isa.promoted(x, y)
        if op.name == "divide" and "float" not in default.name:
            default = as_dtype("float32")
        if not isinstance(b, Tile) or _per_partition(b, a):
            return isa.made(f"nl.{op.name}", lambda d, p, q: base.tensor_scalar(d, p, op, q, reverse), a.shape, kind, default,
                            (a, isa.column(b)), mask)
        shape = _joined(a, b, op)
        first, second = ((b, a) if reverse else (a, b))
        if first.buffer is PSUM and second.buffer is PSUM:
            second = copy(second)
        first, second = _fitted(first, shape), _fitted(second, shape)
        return isa.made(f"nl.{op.name}", lambda d, p, q: base.tensor_tensor(d, p, q, op), shape, kind, default, (first, second), mask)

    return call


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, (np.generic, np.ndarray)) and np.ndim(value) == 0 else value


def _per_partition(b: Tile, a: Tile) -> bool:
    return b.size == b.shape[0] and b.shape[0] == a.shape[0] and a.size > b.size


def _joined(a: Tile, b: Tile, op: Any) -> tuple[int, ...]:
    n = builtins.max(a.ndim, b.ndim)
    p, q = ((*t.shape, *(1,) * (n - t.ndim)) for t in (a, b))
    if builtins.any(x != y and 1 not in (x, y) for x, y in zip(p, q)):
        if a.size == b.size and a.shape[0] == b.shape[0]:
            return a.shape
        raise _trace.refuse(f"nl.{op.name}: {a!r} and {b!r} do not fit")
    return tuple(y if x == 1 else x for x, y in zip(p, q))


def _fitted(t: Tile, shape: Sequence[int]) -> Tile:
    if t.shape == tuple(shape):
        return t
    if t.ndim < len(shape):
        t = t.reshape((*t.shape, *(1,) * (len(shape) - t.ndim)))
    if t.size == isa._size(shape):
        return isa.conform(t, shape)
    return broadcast_to(t, shape=shape)


def _unary(op: Any) -> Callable[..., Any]:
    def call(x: Tile, *, dtype: Any = None, mask: Any = None) -> Result:
        if op.name == "reciprocal":
            return isa.reciprocal(x, dtype=dtype, mask=mask)
        if op.name == "invert":
            return isa.tensor_scalar(x, op, 0, dtype=dtype, mask=mask)
        return isa.activation(op, x, dtype=dtype, mask=mask)

    return call


def _copy(src: Any, *, mask: Any = None, dtype: Any = None) -> Result:
    return isa.tensor_copy(src, mask=mask, dtype=dtype)


for _op in isa.OPS_HERE.values():
    _call = _copy if _op.name in ("copy", "bypass") else _unary(_op) if _op.activation is not None or _op.name == "invert" else _binary(_op)
    _call.__name__ = "copy" if _call is _copy else _op.name
    _op.call = instruction(_call)


def floor(x: Tile, *, dtype: Any = None, mask: Any = None) -> Any:
    """The largest integer not above, by a conversion to int32 and back."""
    whole = copy(copy(x, dtype="int32", mask=mask), dtype="float32", mask=mask)
    above = isa.tensor_tensor(whole, x, isa.OPS_HERE["greater"], dtype="float32", mask=mask)
    return isa.tensor_tensor(whole, above, _subtract, dtype="float32" if dtype is None else dtype, mask=mask)


def mod(x: Tile, y: Any, *, dtype: Any = None, mask: Any = None) -> Any:
    """x - floor(x / y) * y."""
    quotient = floor(isa.OPS_HERE["divide"](x, y, dtype="float32", mask=mask), mask=mask)
    return _subtract(x, _multiply(quotient, y, mask=mask), dtype=x.dtype if dtype is None else dtype, mask=mask)


def negative(x: Tile, *, dtype: Any = None, mask: Any = None) -> Result:
    return isa.tensor_scalar(x, _multiply, -1.0, dtype=dtype, mask=mask)


def where(condition: Tile, x: Any, y: Any, *, dtype: Any = None, mask: Any = None) -> Tile:
    """x where condition is nonzero, y elsewhere."""
    flush()
    x, y = _number(x), _number(y)
    isa.tiles("nl.where", condition, x, y)
    kind = as_dtype(dtype) if dtype is not None else isa.promoted(*(v for v in (x, y) if isinstance(v, Tile))) if (
        isinstance(x, Tile) or isinstance(y, Tile)) else condition.dtype
    out = own(condition.shape, kind)
    out[...] = y if not isinstance(y, Tile) else _fitted(y, condition.shape)
    chosen = x if not isinstance(x, Tile) else _fitted(x, condition.shape)
    if isinstance(chosen, Tile) and chosen.dtype != kind:
        chosen = copy(chosen, dtype=kind)
    predicate = condition if condition.dtype.name.startswith(("uint", "bool")) else isa.tensor_scalar(
        condition, isa.OPS_HERE["not_equal"], 0.0, dtype="uint8")
    isa.tensor_copy_predicated(src=chosen, dst=out, predicate=predicate, mask=mask)
    return out


def _reduction(name: str, op: str) -> Callable[..., Any]:
    def call(x: Tile, axis: Any, *, dtype: Any = None, mask: Any = None, keepdims: bool = False) -> Result:
        flush()
        isa.tiles(f"nl.{name}", x)
        axes = [a % x.ndim for a in ([axis] if isinstance(axis, int) else axis)]
        if 0 in axes:
            if len(axes) > 1:
                x, mask = isa.tensor_reduce(isa.OPS_HERE[op], x, [a for a in axes if a], mask=mask, keepdims=True), None
            return isa.tensor_partition_reduce(isa.OPS_HERE[op], x, dtype=dtype, mask=mask)
        return isa.tensor_reduce(isa.OPS_HERE[op], x, axes, dtype=dtype, mask=mask, keepdims=keepdims)

    call.__name__ = name
    return instruction(call)


sum, max, min, prod = (_reduction(n, o) for n, o in (("sum", "add"), ("max", "maximum"), ("min", "minimum"), ("prod", "multiply")))  # noqa: A001
isa.REDUCTIONS.update({sum: "add", max: "maximum", min: "minimum", prod: "multiply"})


def _extent(x: Tile, axis: Any) -> int:
    n = 1
    for a in ([axis] if isinstance(axis, int) else axis):
        n *= x.shape[a]
    return n


def mean(x: Tile, axis: Any, *, dtype: Any = None, mask: Any = None, keepdims: bool = False) -> Result:
    total = sum(x, axis, mask=mask, keepdims=keepdims, dtype="float32")
    return isa.tensor_scalar(total, _multiply, 1.0 / _extent(x, axis), dtype=x.dtype if dtype is None else dtype)


def var(x: Tile, axis: Any, *, dtype: Any = None, mask: Any = None) -> Result:
    centred = _subtract(x, mean(x, axis, mask=mask, dtype="float32"), mask=mask, dtype="float32")
    return mean(_square(centred, mask=mask), axis, mask=mask, dtype=x.dtype if dtype is None else dtype)


def softmax(x: Tile, axis: Any, *, dtype: Any = None, compute_dtype: Any = None, mask: Any = None) -> Any:
    """exp(x - max) over its sums along axis."""
    top = max(x, axis, mask=mask)
    raised = isa.activation(isa.OPS_HERE["exp"], _subtract(x, top, mask=mask, dtype="float32"), mask=mask)
    total = isa.reciprocal(sum(raised, axis, mask=mask))
    return _multiply(raised, total, mask=mask, dtype=x.dtype if dtype is None else dtype)


def rms_norm(x: Tile, w: Any, axis: Any, n: int, epsilon: float = 1e-6, *, dtype: Any = None, compute_dtype: Any = None,
             mask: Any = None) -> Any:
    """x over the root of the mean of its squares along axis (a sum over n), times w."""
    squares = sum(_square(x, mask=mask, dtype="float32"), axis, mask=mask)
    mean_square = isa.tensor_scalar(squares, _multiply, 1.0 / n, op1=isa.OPS_HERE["add"], operand1=epsilon)
    scaled = _multiply(x, isa.OPS_HERE["rsqrt"](mean_square), mask=mask, dtype="float32")
    if w is None:
        return copy(scaled, dtype=x.dtype if dtype is None else dtype, mask=mask)
    return _multiply(scaled, w, mask=mask, dtype=x.dtype if dtype is None else dtype)


__getattr__ = missing("language", globals())
