"""neuronxcc.nki.isa: instructions that return their destination. Each is the instruction of presil.nki.isa of the same name."""
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from presil.nki import _trace
from presil.nki import isa as base
from presil.nki._issue import issue as _traced
from presil.nki._issue import scalar as _scalar
from presil.nki._types import OPS, PSUM, SBUF, DType, Op, as_dtype
from presil.nki.isa import (dge_mode, engine, get_nc_version, gpsimd_engine, nc_version, oob_mode, reduce_cmd, scalar_engine,
                            tensor_engine, unknown_engine, vector_engine)
from presil.nki.legacy._index import Index, Mask
from presil.nki.legacy._names import instruction, missing
from presil.nki.legacy._tile import Result, Tile, Written, added, flush, issue, nothing_written, replaced

__all__ = ["dge_mode", "engine", "get_nc_version", "gpsimd_engine", "nc_version", "oob_mode", "reduce_cmd", "scalar_engine",
           "tensor_engine", "unknown_engine", "vector_engine"]

# NumPy's functions and ours that name an operation.
_NUMPY = {np.add: "add", np.subtract: "subtract", np.multiply: "multiply", np.maximum: "maximum", np.minimum: "minimum",
          np.max: "maximum", np.amax: "maximum", np.min: "minimum", np.amin: "minimum", np.sum: "add", np.prod: "multiply",
          np.copy: "copy", np.exp: "exp", np.log: "log", np.sqrt: "sqrt", np.tanh: "tanh", np.sin: "sin", np.abs: "abs",
          np.sign: "sign", np.square: "square", np.power: "power", np.reciprocal: "reciprocal", np.equal: "equal",
          np.not_equal: "not_equal", np.less: "less", np.less_equal: "less_equal", np.greater: "greater",
          np.greater_equal: "greater_equal", np.logical_and: "logical_and", np.logical_or: "logical_or",
          np.logical_xor: "logical_xor", np.bitwise_and: "bitwise_and", np.bitwise_or: "bitwise_or",
          np.bitwise_xor: "bitwise_xor", np.invert: "invert", np.left_shift: "left_shift", np.right_shift: "right_shift",
          np.arctan: "arctan", np.divide: "divide"}
OPS_HERE: dict[str, Op] = {name: Op(name) for name in OPS}
for _name, _op in OPS_HERE.items():
    _op.alu, _op.activation = OPS[_name].alu, OPS[_name].activation
OPS_HERE["divide"] = Op("divide", "divide")
REDUCTIONS: dict[Any, str] = {}  # functions of language.py that name an operation too


def operation(op: Any) -> Any:
    """An operation from whatever names one: nl.add, np.add, nl.max."""
    if isinstance(op, Op) or op is None:
        return op
    try:
        name = _NUMPY.get(op) or REDUCTIONS.get(op)
    except TypeError:
        name = None
    if name is None:
        raise _trace.refuse(f"{op!r} names no operation", "nl.add, np.add, ...")
    return OPS_HERE[name]


def tiles(name: str, *operands: Any) -> None:
    for o in operands:
        if o is None or isinstance(o, (int, float, np.number)):
            continue
        if not isinstance(o, Tile):
            raise _trace.refuse(f"{name}: {type(o).__name__} is no tile")
        if not o.on_chip:
            raise _trace.refuse(f"{name}: {o!r} is in HBM", "nl.load it first")


def column(value: Any) -> Any:
    """One value per partition, which engines take in fp32, or a number."""
    if isinstance(value, Tile) and value.dtype != OPSUM and value.on_chip and value.size == value.shape[0]:
        value = tensor_copy(value, dtype=OPSUM)
        flush()
    return float(value) if isinstance(value, np.number) else value


def made(name: str, call: Callable[..., Any], shape: Sequence[int], dtype: DType | None, default: DType,
         operands: Sequence[Any], mask: Any, **options: Any) -> Result:
    """The result of an instruction whose operands correspond element by element; call(dst, *operands)."""
    flush()
    tiles(name, *operands)
    kind = default if dtype is None else as_dtype(dtype)
    return Result(shape, kind, lambda dst: issue(call, (dst, *operands), mask), operands, exact=dtype is not None, mask=mask,
                  **options)


def fill(target: Tile, value: float, engine: engine = unknown_engine, mask: Any = None) -> None:
    issue(lambda dst: base.memset(dst, value, engine), (target,), mask)


# --- tensor engine ---------------------------------------------------------------------------------------------------

class _Modes:
    none, double_row, double_column, double_pixel = "none", "double_row", "double_column", "double_pixel"

    def __getattr__(self, name: str) -> str:
        raise AttributeError(f"matmul has no performance mode {name}")


matmul_perf_mode = _Modes()


@instruction
def nc_matmul(stationary: Tile, moving: Tile, *, is_stationary_onezero: bool = False, is_moving_onezero: bool = False,
              is_transpose: bool = False, tile_position: Sequence[int] = (), tile_size: Sequence[int] = (),
              perf_mode: Any = "none", mask: Any = None) -> Result:
    """stationary[k, m]^T moving[k, n] as [m, n] in PSUM; `psum += nc_matmul(...)` adds to what is there."""
    flush()
    tiles("nc_matmul", stationary, moving)
    if PSUM in (stationary.buffer, moving.buffer):  # which the tensor engine does not read
        stationary, moving = (tensor_copy(t) if t.buffer is PSUM else t for t in (stationary, moving))
        flush()
    if tile_position or tile_size:
        raise _trace.refuse("nc_matmul: tile_position and tile_size are not supported", code="unsupported")
    mode = getattr(perf_mode, "name", perf_mode)
    if mode not in (None, "none", "double_row", "double_row_gen3"):
        raise _trace.refuse(f"nc_matmul: perf_mode {mode} is not supported", code="unsupported")
    pairs = 2 if mode in ("double_row", "double_row_gen3") else 1
    m, n = (t.size // t.shape[0] // pairs for t in (stationary, moving))
    if stationary.shape[0] != moving.shape[0]:
        raise _trace.refuse(f"nc_matmul: {stationary!r} and {moving!r} differ in their partitions")
    kind = stationary.dtype if is_transpose and _trace.trace().generation > 2 else OPSUM
    rest = moving.shape[1:] if pairs == 1 else (n,)

    def emit(dst: Tile, accumulate: bool) -> None:
        flat = dst if dst.ndim == 2 else dst.reshape((m, n))
        attributes: dict[str, Any] = {"perf_mode": 1} if pairs == 2 else {}
        issue(lambda d: _traced("nc_matmul", unknown_engine, "tensor", (d, stationary, moving), accumulate=accumulate,
                                    is_transpose=is_transpose, is_stationary_onezero=is_stationary_onezero,
                                    is_moving_onezero=is_moving_onezero, **attributes),
              (Written(flat),), mask, (stationary, moving))

    def over(dst: Tile) -> None:
        if somewhere(dst):
            replaced(dst)
            emit(dst, False)

    def more(dst: Tile) -> None:
        if somewhere(dst):
            emit(dst, added(dst))

    def somewhere(dst: Tile) -> bool:
        if mask is not None and not _boxes(mask, dst):
            nothing_written(dst)
            return False
        return True

    return Result((m, *rest), kind, over, (stationary, moving), PSUM, ("psum",), mask=mask,
                  accumulate=more)


OPSUM = as_dtype("float32")


@instruction
def nc_transpose(data: Tile, *, mask: Any = None, dtype: Any = None, engine: engine = unknown_engine) -> Result:
    """[p, f] as [f, p]: on the tensor engine into PSUM, on the vector engine up to 32 x 32."""
    flush()
    tiles("nc_transpose", data)
    rows, columns = data.size // data.shape[0], data.shape[0]
    on_vector = engine is vector_engine or (engine is unknown_engine and rows <= 32 and columns <= 32 and data.buffer is PSUM)
    generation = _trace.trace().generation
    kind = data.dtype if generation > 2 or on_vector else OPSUM
    where = SBUF if on_vector else PSUM
    unit = vector_engine if on_vector else tensor_engine

    def emit(dst: Tile) -> None:
        issue(lambda d: base.nc_transpose(d, data, unit), (dst,), mask, (data,))

    return Result((rows, columns), kind if dtype is None else as_dtype(dtype), emit, (data,), where,
                  ("sbuf", "psum") if on_vector else ("psum",), mask=mask)


# --- vector engine ---------------------------------------------------------------------------------------------------

@instruction
def tensor_copy(src: Tile, *, mask: Any = None, dtype: Any = None, engine: engine = unknown_engine) -> Result:
    return made("tensor_copy", lambda d, s: base.tensor_copy(d, s, engine), src.shape, dtype, src.dtype, (src,), mask)


@instruction
def tensor_tensor(data1: Tile, data2: Tile, op: Any, *, dtype: Any = None, mask: Any = None,
                  engine: engine = unknown_engine) -> Result:
    op = operation(op)
    flush()
    tiles("tensor_tensor", data1, data2)
    data2 = data2 if data2.shape == data1.shape else alike(data2, data1.shape)
    return made("tensor_tensor", lambda d, a, b: base.tensor_tensor(d, a, b, op, engine), data1.shape, dtype,
                promoted(data1, data2), (data1, data2), mask)


def alike(t: Tile, shape: Sequence[int]) -> Tile:
    """With free axes of extent 1 repeated, or without them where only these differ."""
    if t.ndim == len(shape):
        return t.repeated(shape)
    if t.size == _size(shape):
        return t.reshape(list(shape))
    raise _trace.refuse(f"{t!r} beside a tile of shape {list(shape)}")


def _size(shape: Sequence[int]) -> int:
    n = 1
    for e in shape:
        n *= e
    return n


def promoted(*values: Any) -> DType:
    """The type of a result: the widest float type of the operands, or else the first one's."""
    kinds = [v.dtype for v in values if isinstance(v, Tile)]
    first = kinds[0]
    for k in kinds[1:]:
        if k == first:
            continue
        floats = [x for x in (first, k) if "float" in x.name]
        if len(floats) == 1:
            first = floats[0]
        elif k.itemsize > first.itemsize:
            first = k
        elif k.itemsize == first.itemsize:
            first = as_dtype("float32") if floats else first
    return first


@instruction
def tensor_scalar(data: Tile, op0: Any, operand0: Any, reverse0: bool = False, op1: Any = None, operand1: Any = None,
                  reverse1: bool = False, *, dtype: Any = None, mask: Any = None, engine: engine = unknown_engine) -> Result:
    op0, op1 = operation(op0), operation(op1)
    return made("tensor_scalar", lambda d, x, a, b: base.tensor_scalar(d, x, op0, a, reverse0, op1, b, reverse1, engine),
                data.shape, dtype, data.dtype, (data, column(operand0), column(operand1)), mask)


@instruction
def scalar_tensor_tensor(*, data: Tile, op0: Any, operand0: Any, op1: Any, operand1: Tile, reverse0: bool = False,
                         reverse1: bool = False, dtype: Any = None, mask: Any = None) -> Result:
    op0, op1 = operation(op0), operation(op1)
    flush()
    tiles("scalar_tensor_tensor", data, operand0, operand1)
    return made("scalar_tensor_tensor", lambda d, x, a, y: base.scalar_tensor_tensor(d, x, op0, a, op1, y, reverse0, reverse1),
                data.shape, dtype, promoted(data, operand1), (data, column(operand0), alike(operand1, data.shape)), mask)


@instruction
def tensor_scalar_reduce(*, data: Tile, op0: Any, operand0: Any, reduce_op: Any, reduce_res: Tile, reverse0: bool = False,
                         dtype: Any = None, mask: Any = None) -> Result:
    """op0(data, operand0); reduce_res = its rows reduced."""
    op0, reduce_op = operation(op0), operation(reduce_op)

    def call(d: Tile, x: Tile, a: Any, r: Tile) -> None:
        s, imm = _scalar(a)
        _traced("tensor_scalar_reduce", unknown_engine, "vector", (d, x, s, None, r), op0=_trace.alu(op0, "op0"),
                    imm0=imm, reverse0=reverse0, reduce_op=_trace.alu(reduce_op, "reduce_op"),
                    reduce_cmd=reduce_cmd.reset_reduce.value)

    flush()
    tiles("tensor_scalar_reduce", data, operand0, reduce_res)
    kind = data.dtype if dtype is None else as_dtype(dtype)
    return Result(data.shape, kind, lambda dst: reducing(call, dst, (data, column(operand0)), reduce_res, mask), (data, operand0),
                  exact=dtype is not None, mask=mask)


def reducing(call: Callable[..., Any], dst: Tile, operands: Sequence[Any], result: Tile, mask: Any) -> None:
    """An instruction that writes a second, reduced result; only masks of whole partitions keep its meaning."""
    def checked(d: Tile, *rest: Any) -> None:
        if d.size // d.shape[0] != dst.size // dst.shape[0]:
            raise _trace.refuse("a mask or a shape that parts the rows that are reduced", code="unsupported")
        call(d, *rest)

    from presil.nki.legacy._tile import overwritten
    overwritten(result, mask is None)
    issue(checked, (dst, *operands, result), mask)


@instruction
def tensor_reduce(op: Any, data: Tile, axis: int | Sequence[int], *, mask: Any = None, dtype: Any = None,
                  negate: bool = False, keepdims: bool = False) -> Result:
    """Free axes reduced; a tile keeps two axes at least."""
    op = operation(op)
    flush()
    tiles("tensor_reduce", data)
    axes = sorted(a % data.ndim for a in ([axis] if isinstance(axis, int) else axis))
    if not axes or axes[0] == 0:
        raise _trace.refuse(f"tensor_reduce: axis {axis} of {data!r}", "free axes, from 1 on")
    kept = [d for d in range(data.ndim) if d not in axes]
    shape = [1 if d in axes else e for d, e in enumerate(data.shape)] if keepdims else [data.shape[d] for d in kept]
    shape = shape if len(shape) > 1 else [*shape, 1]
    turned = data if kept + axes == list(range(data.ndim)) else data.permute(kept + axes)
    last = list(range(len(kept), data.ndim))

    def emit(dst: Tile) -> None:
        if data.loose:
            within(data, mask)
        for inner, outer in reduced_boxes(mask, data, kept):
            src = part(turned, inner)
            issue(lambda d, s: base.tensor_reduce(d, op, s, last, negate), (part(conform(dst, [data.shape[k] for k in kept]), outer), src))

    return Result(shape, data.dtype if dtype is None else as_dtype(dtype), emit, (data,), exact=dtype is not None)


def within(t: Tile, mask: Any) -> None:
    """Refuses an index that leaves its tensor where the mask holds."""
    for box in _boxes(mask, t):
        part(t, box)


def conform(t: Tile, shape: Sequence[int]) -> Tile:
    from presil.nki.legacy._tile import conformed
    return conformed(t, shape)


def reduced_boxes(mask: Any, data: Tile, kept: Sequence[int]) -> list[tuple[Any, Any]]:
    """Ranges of the operand, reduced axes last, and of the result."""
    from presil.nki.legacy._tile import boxes
    axes = [d for d in range(data.ndim) if d not in kept]
    out = []
    for box in boxes(mask, data.shape):
        if any(box[a] != (0, data.shape[a]) for a in axes) and mask is not None and len(boxes(mask, data.shape)) > 1:
            raise _trace.refuse("a mask that differs between the rows that are reduced", code="unsupported")
        out.append((tuple(box[d] for d in kept) + tuple(box[a] for a in axes), tuple(box[d] for d in kept)))
    return out


def part(t: Tile, box: Any) -> Tile:
    from presil.nki.legacy._tile import clipped
    return clipped(t, box) if any(r != (0, e) for r, e in zip(box, t.shape)) or t.loose else t


@instruction
def tensor_partition_reduce(op: Any, data: Tile, *, mask: Any = None, dtype: Any = None) -> Result:
    op = operation(op)
    flush()
    tiles("tensor_partition_reduce", data)
    kind = data.dtype if dtype is None else as_dtype(dtype)

    def emit(dst: Tile) -> None:
        for box in ([None] if mask is None else list(_boxes(mask, data))):
            src = data if box is None else part(data, box)
            out = dst if box is None else part(dst, ((0, 1), *box[1:]))
            issue(lambda d: base.tensor_partition_reduce(d, op, src), (out,), None, (src,))

    return Result((1, *data.shape[1:]), kind, emit, (data,), exact=dtype is not None)


def _boxes(mask: Any, t: Tile) -> Any:
    from presil.nki.legacy._tile import boxes
    return boxes(mask, t.shape)


@instruction
def reciprocal(data: Tile, *, dtype: Any = None, mask: Any = None) -> Result:
    return made("reciprocal", base.reciprocal, data.shape, dtype, data.dtype, (data,), mask)


@instruction
def memset(shape: Sequence[int], value: float, dtype: Any, *, mask: Any = None, engine: engine = unknown_engine) -> Result:
    flush()
    return Result(shape, as_dtype(dtype), lambda dst: fill(dst, value, engine, mask), exact=True, mask=mask)


@instruction
def tensor_tensor_scan(data0: Tile, data1: Tile, initial: Any, op0: Any, op1: Any, reverse0: bool = False,
                       reverse1: bool = False, *, dtype: Any = None, mask: Any = None) -> Result:
    op0, op1 = operation(op0), operation(op1)
    return made("tensor_tensor_scan",
                lambda d, a, b, i: base.tensor_tensor_scan(d, a, b, i, op0, op1, reverse0, reverse1),
                data0.shape, dtype, data0.dtype, (data0, data1, column(initial)), mask)


@instruction
def bn_stats(data: Tile, *, mask: Any = None, dtype: Any = None) -> Result:
    """[p, 6]: count, mean, variance * count of even elements, then of odd ones."""
    return _whole("bn_stats", base.bn_stats, data, (data.shape[0], 6), mask, dtype)


@instruction
def bn_aggr(data: Tile, *, mask: Any = None, dtype: Any = None) -> Result:
    """[p, 2]: mean, variance."""
    return _whole("bn_aggr", base.bn_aggr, data, (data.shape[0], 2), mask, dtype)


@instruction
def max8(src: Tile, *, mask: Any = None, dtype: Any = None) -> Result:
    return _whole("max8", base.max8, src, (src.shape[0], 8), mask, dtype)


def _whole(name: str, call: Callable[..., Any], data: Tile, shape: Sequence[int], mask: Any, dtype: Any) -> Result:
    """An instruction that reads all of a row."""
    flush()
    tiles(name, data)
    kind = data.dtype if dtype is None else as_dtype(dtype)

    def emit(dst: Tile) -> None:
        for box in ([None] if mask is None else list(_boxes(mask, data))):
            src = data if box is None else part(data, box)
            out = dst if box is None else part(dst, (box[0], *((0, e) for e in dst.shape[1:])))
            issue(lambda d: call(d, src), (out,), None, (src,))

    return Result(shape, kind, emit, (data,), exact=dtype is not None)


@instruction
def nc_find_index8(*, data: Tile, vals: Tile, mask: Any = None, dtype: Any = None) -> Result:
    flush()
    tiles("nc_find_index8", data, vals)
    return Result((data.shape[0], 8), as_dtype("uint32" if dtype is None else dtype),
                  lambda dst: issue(lambda d: base.nc_find_index8(d, data, vals), (dst,), mask, (data, vals)), (data, vals))


@instruction
def tensor_copy_predicated(*, src: Any, dst: Tile, predicate: Tile, mask: Any = None, reverse_pred: bool = False) -> None:
    """Where predicate is nonzero, dst = src."""
    flush()
    tiles("tensor_copy_predicated", src, dst, predicate)
    predicate = alike(predicate, dst.shape) if predicate.shape != dst.shape else predicate
    _touch(dst)
    issue(lambda d, s, p: base.tensor_copy_predicated(d, s, p, reverse_pred), (dst, column(src), predicate), mask)


def _touch(t: Tile) -> None:
    """Before a read of what is written too."""
    from presil.nki.legacy._tile import Place, filled
    if isinstance(t.storage, Place) and t.storage.fill is not None:
        filled(t)


@instruction
def nc_stream_shuffle(src: Tile, dst: Tile, shuffle_mask: Sequence[int], *, mask: Any = None) -> None:
    """Per 32 partitions dst[i] = src[shuffle_mask[i]]; 255 keeps dst[i]."""
    flush()
    tiles("nc_stream_shuffle", src, dst)
    if len(shuffle_mask) != 32:
        raise _trace.refuse(f"nc_stream_shuffle: shuffle_mask has {len(shuffle_mask)} entries, it takes 32")
    bytes_ = [int(m) & 255 for m in shuffle_mask]
    words = {f"mask{k}": sum(bytes_[4 * k + j] << 8 * j for j in range(4)) for k in range(8)}
    issue(lambda d, s: _traced("nc_stream_shuffle", unknown_engine, "vector", (d, s), **words), (dst, src), mask)


# --- scalar engine ---------------------------------------------------------------------------------------------------

@instruction
def activation(op: Any, data: Tile, *, bias: Any = None, scale: Any = 1.0, reduce_op: Any = None, reduce_res: Any = None,
               reduce_cmd: reduce_cmd = reduce_cmd.idle, dtype: Any = None, mask: Any = None) -> Result:
    """op(data * scale + bias)."""
    op, reduce_op = operation(op), operation(reduce_op)
    flush()
    tiles("activation", data, bias, scale, reduce_res)
    kind = data.dtype if dtype is None else as_dtype(dtype)
    operands = (data, column(bias), column(scale))

    def call(d: Tile, x: Tile, b: Any, s: Any, r: Tile | None = None) -> None:
        base.activation(d, op, x, b, s, reduce_op, r, reduce_cmd)

    if reduce_res is None:
        return Result(data.shape, kind, lambda dst: issue(call, (dst, *operands), mask), operands, exact=dtype is not None, mask=mask)
    return Result(data.shape, kind, lambda dst: reducing(call, dst, operands, reduce_res, mask), operands,
                  exact=dtype is not None, mask=mask)


@instruction
def activation_reduce(op: Any, data: Tile, *, reduce_op: Any = None, reduce_res: Any = None, bias: Any = None,
                      scale: Any = 1.0, dtype: Any = None, mask: Any = None) -> Result:
    """op(data * scale + bias); reduce_res = the sums of its rows."""
    if reduce_res is None:
        raise _trace.refuse("activation_reduce: reduce_res is missing")
    return activation(op, data, bias=bias, scale=scale, reduce_op=OPS_HERE["add"] if reduce_op is None else reduce_op,
                      reduce_res=reduce_res, reduce_cmd=reduce_cmd.reset_reduce, dtype=dtype, mask=mask)


# --- gpsimd engine ---------------------------------------------------------------------------------------------------

@instruction
def iota(expr: Any, dtype: Any, *, mask: Any = None) -> Result:
    """The values of an index expression."""
    flush()
    if not isinstance(expr, Index):
        raise _trace.refuse(f"iota: {expr!r} is no index expression", "nl.arange, nl.mgrid")
    shape = expr.shape if expr.ndim > 1 else (1, *expr.shape)
    steps = expr.steps if expr.ndim > 1 else (0, *expr.steps)

    def emit(dst: Tile) -> None:
        issue(lambda d: base.iota(d, [[s, e] for s, e in zip(steps[1:], shape[1:])], expr.constant, steps[0]), (dst,), mask)

    return Result(shape, as_dtype(dtype), emit, into=("sbuf",), exact=True, mask=mask)


@instruction
def affine_select(pred: Any, on_true_tile: Tile, on_false_value: float, *, mask: Any = None, dtype: Any = None) -> Result:
    """on_true_tile where the comparison of index expressions holds, on_false_value elsewhere."""
    flush()
    tiles("affine_select", on_true_tile)
    if not isinstance(pred, Mask):
        raise _trace.refuse(f"affine_select: pred={pred!r} is no comparison of index expressions")
    if len(pred.conditions) != (2 if pred.equal else 1):
        raise _trace.refuse("affine_select: one comparison at a time", "select twice", "unsupported")
    if on_true_tile.buffer is PSUM:
        on_true_tile = tensor_copy(on_true_tile)
        flush()
    e, shape = pred.conditions[0], on_true_tile.shape
    steps = (0,) * (len(shape) - e.ndim) + e.steps
    if len(steps) != len(shape) or any(x not in (1, y) and s for x, y, s in zip((1,) * (len(shape) - e.ndim) + e.shape, shape, steps)):
        raise _trace.refuse(f"affine_select: a comparison over {list(e.shape)} elements for {on_true_tile!r}")
    op = OPS_HERE["equal" if pred.equal else "greater_equal"]
    kind = on_true_tile.dtype if dtype is None else as_dtype(dtype)

    def emit(dst: Tile) -> None:
        from presil.nki.legacy._tile import boxes
        for box in boxes(mask, shape):
            low = sum(s * r[0] for s, r in zip(steps, box))
            pattern = [[s, r[1] - r[0]] for s, r in zip(steps[1:], box[1:])]
            issue(lambda d, x: base.affine_select(d, pattern, steps[0], x, on_false_value, op, e.constant + low),
                  (part(dst, box), part(on_true_tile, box)))

    return Result(shape, kind, emit, (on_true_tile,), into=("sbuf",), exact=dtype is not None, mask=mask)


# --- DMA -------------------------------------------------------------------------------------------------------------

@instruction
def dma_copy(*, dst: Tile, src: Tile, mask: Any = None, dst_rmw_op: Any = None, oob_mode: oob_mode = oob_mode.error,
             dge_mode: dge_mode = dge_mode.unknown) -> None:
    """dst = src by the DMA engines."""
    flush()
    if dst_rmw_op is not None:
        raise _trace.refuse("dma_copy: dst_rmw_op is not supported", code="unsupported")
    kept = (dst,) if oob_mode.name == "skip" else ()  # rows that are skipped stay what they were
    issue(lambda d, s: base.dma_copy(d, s, oob_mode=oob_mode, dge_mode=dge_mode), (dst, src), mask, kept)


@instruction
def dma_transpose(src: Tile, *, axes: Any = None, mask: Any = None, dtype: Any = None) -> Result:
    """[p, f] as [f, p]."""
    flush()
    if src.ndim != 2 or mask is not None:
        raise _trace.refuse(f"dma_transpose: of {src!r}", "two axes and no mask", "unsupported")
    return Result((src.shape[1], src.shape[0]), src.dtype if dtype is None else as_dtype(dtype),
                  lambda dst: issue(lambda d: base.dma_transpose(d, src), (dst,), None, (src,)), (src,), into=("sbuf",),
                  exact=dtype is not None)


__getattr__ = missing("isa", globals())
