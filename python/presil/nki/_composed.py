"""Functions of nki.language that are several instructions."""
from collections.abc import Sequence
from typing import Any

from presil.nki import _trace, isa
from presil.nki import language as nl
from presil.nki._tensor import Tensor
from presil.nki._types import OPS, PSUM, Buffer

_F32 = "float32"


def is_hbm(buffer: Buffer) -> bool:
    return buffer.memory == "hbm"


def is_sbuf(buffer: Buffer) -> bool:
    return buffer.memory == "sbuf"


def is_psum(buffer: Buffer) -> bool:
    return buffer.memory == "psum"


def is_on_chip(buffer: Buffer) -> bool:
    return buffer.memory != "hbm"


def expand_dims(x: Tensor, axis: int) -> Tensor:
    return x.expand_dim(axis if axis >= 0 else x.ndim + 1 + axis)


def negative(x: Tensor, dtype: Any = None) -> Any:
    return OPS["multiply"](x, -1.0, dtype=dtype)


def logical_not(x: Tensor, dtype: Any = None) -> Any:
    return OPS["equal"](x, 0.0, dtype=dtype)


def _count(x: Tensor, axis: int | Sequence[int]) -> int:
    n = 1
    for a in {a % x.ndim for a in ([axis] if isinstance(axis, int) else axis)}:
        n *= x.shape[a]
    return n


def mean(x: Tensor, axis: int | Sequence[int], dtype: Any = None, keepdims: bool = False) -> Any:
    """The sum in fp32, times one over the number."""
    total = nl.sum(x, axis, _F32, keepdims)
    return OPS["multiply"](total, 1.0 / _count(x, axis), dtype=dtype or x.dtype)


def var(x: Tensor, axis: int, dtype: Any = None, keepdims: bool = False) -> Any:
    """Mean of the squared distances from the mean, along the free axis of a tile of two."""
    if x.ndim != 2 or axis % x.ndim != 1:
        raise _trace.refuse(f"nl.var: axis {axis} of {x!r}", "the free axis of a tile of two axes")
    away = OPS["subtract"](x, mean(x, 1, _F32, True), dtype=_F32)
    return mean(OPS["square"](away), 1, dtype or x.dtype, keepdims)


def softmax(x: Tensor, axis: int = -1, dtype: Any = None) -> Any:
    """exp(x - max) over its sum, along the free axis of a tile of two."""
    if x.ndim != 2 or axis % x.ndim != 1:
        raise _trace.refuse(f"nl.softmax: axis {axis} of {x!r}", "the free axis of a tile of two axes")
    low = nl.ndarray((x.shape[0], 1), _F32)
    isa.tensor_reduce(low, OPS["maximum"], x, 1, negate=True)
    raised, total = nl.ndarray(x.shape, _F32), nl.ndarray((x.shape[0], 1), _F32)
    isa.activation_reduce(raised, OPS["exp"], x, OPS["add"], total, bias=low)
    out = nl.ndarray(x.shape, dtype or x.dtype)
    isa.tensor_scalar(out, raised, OPS["multiply"], OPS["reciprocal"](total))
    return out


def rms_norm(x: Tensor, w: Tensor, axis: int, n: int, epsilon: float = 1e-06, dtype: Any = None, compute_dtype: Any = None) -> Any:
    """x over the root of its mean square (n numbers) plus epsilon, times w."""
    squares = nl.sum(OPS["square"](x, dtype=_F32), axis, _F32, keepdims=True)
    mean_square = nl.ndarray(squares.shape, _F32)
    isa.tensor_scalar(mean_square, squares, OPS["multiply"], 1.0 / n, op1=OPS["add"], operand1=epsilon)
    scaled = OPS["multiply"](x, OPS["rsqrt"](mean_square), dtype=compute_dtype or _F32)
    return OPS["multiply"](scaled, w, dtype=dtype or x.dtype)


def where(condition: Tensor, x: Any, y: Any, dtype: Any = None) -> Tensor:
    """x where condition is not 0, else y: tiles or numbers."""
    tiles = [t for t in (x, y) if isinstance(t, Tensor)]
    out = nl.ndarray(condition.shape, dtype or (tiles[0].dtype if tiles else condition.dtype))
    if isinstance(y, Tensor):
        isa.tensor_copy(out, y)
    else:
        isa.memset(out, y)
    if not condition.dtype.name.startswith("uint"):
        holds = nl.ndarray(condition.shape, "uint8")
        isa.tensor_scalar(holds, condition, OPS["not_equal"], 0.0)
        condition = holds
    if isinstance(x, Tensor) and x.dtype != out.dtype:
        x = OPS["copy"](x, dtype=out.dtype)
    isa.tensor_copy_predicated(out, x, condition)
    return out


def matmul(x: Tensor, y: Tensor, transpose_x: bool = False) -> Tensor:
    """x @ y in PSUM; x.T @ y with transpose_x, which saves a transpose."""
    left = x if transpose_x else nl.transpose(x)
    bank = nl.ndarray((left.shape[1], y.shape[1]), _F32, PSUM)
    isa.nc_matmul(bank, left, y)
    return bank


def dropout(x: Tensor, rate: Any, dtype: Any = None) -> Tensor:
    """x with a part of its elements, drawn, set to 0."""
    out = nl.ndarray(x.shape, x.dtype)
    isa.dropout(out, x, rate)
    return out if dtype is None else OPS["copy"](out, dtype=dtype)


def random_seed(seed: Tensor) -> None:
    """seed: one 32-bit number on chip."""
    isa.set_rng_seed(seed)


def load_transpose2d(src: Tensor, dtype: Any = None) -> Any:
    """src[f, p] in HBM as a tile [p, f]."""
    out = nl.ndarray((src.shape[1], src.shape[0]), src.dtype)
    isa.dma_transpose(out, src)
    return out if dtype is None else OPS["copy"](out, dtype=dtype)


def gather_flattened(data: Tensor, indices: Tensor, axis: int = 0, dtype: Any = None) -> Any:
    """data[p, indices[p, i]], free axes flattened."""
    if axis != 0:
        raise _trace.refuse(f"nl.gather_flattened: axis {axis}", "0")
    out = nl.ndarray(indices.shape, data.dtype)
    isa.nc_n_gather(out, data, indices)
    return out if dtype is None else OPS["copy"](out, dtype=dtype)

