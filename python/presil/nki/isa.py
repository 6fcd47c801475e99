"""nki.isa: one call per instruction, destination first. Names and arguments as the public interface has them; what an
instruction computes and demands: docs/reference/isa.md."""
from collections.abc import Sequence
from enum import Enum
from typing import Any

from presil import _core
from presil.nki import _trace
from presil.nki._tensor import Encoded, Tensor
from presil.nki._types import Op


class engine(Enum):
    unknown = 0
    tensor = 1
    scalar = 2
    gpsimd = 3
    dma = 4
    vector = 5
    sync = 6


tensor_engine, vector_engine, scalar_engine, gpsimd_engine = engine.tensor, engine.vector, engine.scalar, engine.gpsimd
unknown_engine = engine.unknown


class reduce_cmd(Enum):
    idle = 0
    reset = 1
    reduce = 2
    reset_reduce = 3
    load_reduce = 4


class dge_mode(Enum):
    unknown = 0
    swdge = 1
    hwdge = 2
    none = 3


class nc_version(Enum):
    gen2 = 2
    gen3 = 3
    gen4 = 4


def get_nc_version() -> nc_version:
    return nc_version(_trace.trace().generation)


def _issue(name: str, chosen: engine, default: str, operands: tuple[Tensor | Encoded | None, ...], **attributes: Any) -> None:
    for o in operands:
        if o is not None and not isinstance(o, (Tensor, Encoded)):
            raise _trace.refuse(f"{name}: {type(o).__name__} is no tensor of this kernel")
    _trace.trace().append(name, default if chosen is engine.unknown else chosen.name, operands, attributes)


def _scalar(value: Any) -> tuple[Tensor | None, float]:
    """A constant or one value per partition: operand and immediate."""
    if isinstance(value, Tensor):
        return value, 0.0
    return None, 0.0 if value is None else float(value)


def dma_copy(dst: Tensor, src: Tensor, dge_mode: dge_mode = dge_mode.unknown, engine: engine = engine.unknown,
             name: str | None = None) -> None:
    """dst = src by the DMA engines, converted where types differ."""
    if dst.size != src.size:
        raise _trace.refuse(f"dma_copy: {src!r} has {src.size} elements, {dst!r} has {dst.size}")
    loads = src.buffer.memory == "hbm" and dst.buffer.memory == "sbuf" and _trace.same_dtype(src.dtype, dst.dtype)
    hardware, software = dge_mode.name == "hwdge", dge_mode.name == "swdge"
    default = "sync" if hardware or (loads and not software) else "gpsimd"
    _issue("dma_copy", engine, default, (dst, src, None), dge_mode=dge_mode.value)


def dma_transpose(dst: Tensor, src: Tensor, engine: engine = engine.unknown, name: str | None = None) -> None:
    """dst[p, f] = src[f, p]."""
    _issue("dma_transpose", engine, "sync", (dst, src, None))


def nc_matmul(dst: Tensor, stationary: Tensor, moving: Tensor, is_stationary_onezero: bool = False,
              is_moving_onezero: bool = False, is_transpose: bool = False, accumulate: bool | None = None,
              name: str | None = None) -> None:
    """dst[m, n] (+)= sum over k of stationary[k, m] * moving[k, n]. accumulate None: the first product written to a place
    overwrites it, later ones add."""
    if accumulate is None:
        key = dst.view()
        place = (key[2], key[3], key[5])
        accumulate = place in dst.storage.__dict__.setdefault("accumulated", set())
        dst.storage.__dict__["accumulated"].add(place)
    _issue("nc_matmul", engine.unknown, "tensor", (dst, stationary, moving), accumulate=accumulate, is_transpose=is_transpose)


def nc_transpose(dst: Tensor, data: Tensor, engine: engine = engine.unknown, name: str | None = None) -> None:
    """dst[f, p] = data[p, f]: on the tensor engine into PSUM, on the vector engine up to 32 x 32."""
    small = data.shape[0] <= 32 and data.size // data.shape[0] <= 32
    _issue("nc_transpose", engine, "vector" if small and dst.buffer.memory != "psum" else "tensor", (dst, data))


def tensor_copy(dst: Tensor, src: Tensor, engine: engine = engine.unknown, name: str | None = None) -> None:
    """dst = src, bit for bit between equal types."""
    _issue("tensor_copy", engine, "vector", (dst, src))


def tensor_tensor(dst: Tensor, data1: Tensor, data2: Tensor, op: Op, engine: engine = engine.unknown,
                  name: str | None = None) -> None:
    """dst = op(data1, data2)."""
    _issue("tensor_tensor", engine, "vector", (dst, data1, data2), op=_trace.alu(op, "tensor_tensor"))


def tensor_scalar(dst: Tensor, data: Tensor, op0: Op, operand0: Any, reverse0: bool = False, op1: Op | None = None,
                  operand1: Any = None, reverse1: bool = False, engine: engine = engine.unknown,
                  name: str | None = None) -> None:
    """dst = op1(op0(data, operand0), operand1); an operand is a constant or one value per partition."""
    (s0, imm0), (s1, imm1) = _scalar(operand0), _scalar(operand1)
    _issue("tensor_scalar", engine, "vector", (dst, data, s0, s1), op0=_trace.alu(op0, "op0"), imm0=imm0, reverse0=reverse0,
           op1=_trace.alu(op1, "op1"), imm1=imm1, reverse1=reverse1)


def scalar_tensor_tensor(dst: Tensor, data: Tensor, op0: Op, operand0: Any, op1: Op, operand1: Tensor,
                         reverse0: bool = False, reverse1: bool = False, name: str | None = None) -> None:
    """dst = op1(op0(data, operand0), operand1)."""
    s0, imm0 = _scalar(operand0)
    _issue("scalar_tensor_tensor", engine.unknown, "vector", (dst, data, s0, operand1), op0=_trace.alu(op0, "op0"), imm0=imm0,
           reverse0=reverse0, op1=_trace.alu(op1, "op1"), reverse1=reverse1)


def tensor_reduce(dst: Tensor, op: Op, data: Tensor, axis: int | Sequence[int], negate: bool = False,
                  keepdims: bool = False, name: str | None = None) -> None:
    """dst = op over the last free axes of data."""
    axes = sorted(a % data.ndim for a in ([axis] if isinstance(axis, int) else axis))
    if axes != list(range(data.ndim - len(axes), data.ndim)) or 0 in axes:
        raise _trace.refuse(f"tensor_reduce: axis {axis} of {data!r} are not its last free axes")
    parted, loops = data.parted(len(axes))
    _issue("tensor_reduce", engine.unknown, "vector", (dst, parted), op=_trace.alu(op, "tensor_reduce"), axes=loops,
           negate=negate)


def activation(dst: Tensor, op: Op, data: Tensor, bias: Tensor | float | None = None, scale: Tensor | float = 1.0,
               reduce_op: Op | None = None, reduce_res: Tensor | None = None, reduce_cmd: reduce_cmd = reduce_cmd.idle,
               name: str | None = None) -> None:
    """dst = op(data * scale + bias)."""
    (s, scale_imm), (b, bias_imm) = _scalar(scale), _scalar(bias)
    if reduce_op is not None and reduce_op.name != "add":
        raise _trace.refuse(f"activation reduces by nl.add only, not {reduce_op!r}")
    _issue("activation", engine.unknown, "scalar", (dst, data, s, b, reduce_res), op=_trace.activation(op), scale_imm=scale_imm,
           bias_imm=bias_imm, reduce_cmd=reduce_cmd.value)


def activation_reduce(dst: Tensor, op: Op, data: Tensor, reduce_op: Op, reduce_res: Tensor,
                      bias: Tensor | float | None = None, scale: Tensor | float = 1.0, name: str | None = None) -> None:
    """dst = op(data * scale + bias), reduce_res = the sums of its rows."""
    (s, scale_imm), (b, bias_imm) = _scalar(scale), _scalar(bias)
    if reduce_op.name != "add":
        raise _trace.refuse(f"activation_reduce reduces by nl.add only, not {reduce_op!r}")
    _issue("activation_reduce", engine.unknown, "scalar", (dst, data, s, b, reduce_res), op=_trace.activation(op),
           scale_imm=scale_imm, bias_imm=bias_imm)


def reciprocal(dst: Tensor, data: Tensor, name: str | None = None) -> None:
    """dst = 1 / data."""
    _issue("reciprocal", engine.unknown, "vector", (dst, data))


def memset(dst: Tensor, value: float, engine: engine = engine.unknown, name: str | None = None) -> None:
    """dst = value."""
    _issue("memset", engine, "vector", (dst,), value=value)


def tensor_tensor_scan(dst: Tensor, data0: Tensor, data1: Tensor, initial: Any, op0: Op, op1: Op, reverse0: bool = False,
                       reverse1: bool = False, name: str | None = None) -> None:
    """r = op1(op0(data0[i], r), data1[i]), dst[i] = r; r starts as initial."""
    start, imm = _scalar(initial)
    _issue("tensor_tensor_scan", engine.unknown, "vector", (dst, data0, data1, start), op0=_trace.alu(op0, "op0"),
           op1=_trace.alu(op1, "op1"), imm=imm, reverse0=reverse0, reverse1=reverse1)


def iota(dst: Tensor, pattern: Sequence[Sequence[int]], offset: int = 0, channel_multiplier: int = 0,
         name: str | None = None) -> None:
    """dst[p, i...] = offset + p * channel_multiplier + sum of i_k * step_k."""
    (looped,), steps = _looped("iota", pattern, dst)
    _issue("iota", engine.unknown, "gpsimd", (looped,), offset=offset, channel_multiplier=channel_multiplier, **steps)


def affine_select(dst: Tensor, pattern: Sequence[Sequence[int]], channel_multiplier: int, on_true_tile: Tensor,
                  on_false_value: float, cmp_op: Op | None = None, offset: int = 0, name: str | None = None) -> None:
    """dst = cmp_op(offset + p * channel_multiplier + sum of i_k * step_k, 0) ? on_true_tile : on_false_value."""
    looped, steps = _looped("affine_select", pattern, dst, on_true_tile)
    compare = _core.alu_number("eq") if cmp_op is None else _trace.alu(cmp_op, "cmp_op")
    _issue("affine_select", engine.unknown, "gpsimd", looped, cmp_op=compare, value=on_false_value, offset=offset,
           channel_multiplier=channel_multiplier, **steps)


def _looped(name: str, pattern: Sequence[Sequence[int]], *tensors: Tensor) -> tuple[tuple[Encoded, ...], dict[str, int]]:
    """The tensors with the pattern's loops, and the pattern's steps by attribute."""
    counts = [count for _, count in pattern]
    encoded = []
    for t in tensors:
        size = t.size // t.shape[0]
        n = 1
        for count in counts:
            n *= count
        if n != size or len(pattern) > 4:
            raise _trace.refuse(f"{name}: the pattern {pattern} counts {n} elements, {t!r} has {size} per partition")
        looped = t.looped(counts)
        if looped is None:
            raise _trace.refuse(f"{name}: the elements of {t!r} do not lie in loops of {counts}")
        encoded.append(looped)
    return tuple(encoded), {f"step{k}": step for k, (step, _) in enumerate(pattern)}


def bn_stats(dst: Tensor, data: Tensor, name: str | None = None) -> None:
    """dst = count, mean, variance * count of the even elements, then of the odd ones."""
    _issue("bn_stats", engine.unknown, "vector", (dst, data))


def bn_aggr(dst: Tensor, data: Tensor, name: str | None = None) -> None:
    """dst = mean, variance over all triples that bn_stats made."""
    _issue("bn_aggr", engine.unknown, "vector", (dst, data))


def max8(dst: Tensor, src: Tensor, name: str | None = None) -> None:
    """dst = the 8 largest values of each partition, descending."""
    _issue("max8", engine.unknown, "vector", (dst, src))


def nc_find_index8(dst: Tensor, data: Tensor, vals: Tensor, name: str | None = None) -> None:
    """dst = where each of 8 values is first found."""
    _issue("nc_find_index8", engine.unknown, "vector", (dst, data, vals))


def tensor_copy_predicated(dst: Tensor, src: Tensor | float, predicate: Tensor, reverse_pred: bool = False,
                           name: str | None = None) -> None:
    """Where predicate is nonzero, dst = src."""
    tile, imm = _scalar(src)
    _issue("tensor_copy_predicated", engine.unknown, "vector", (dst, tile, predicate), imm=imm, reverse_pred=reverse_pred)


def tensor_partition_reduce(dst: Tensor, op: Op, data: Tensor, name: str | None = None) -> None:
    """dst[0, i] = op over all partitions of data[:, i]."""
    _issue("tensor_partition_reduce", engine.unknown, "gpsimd", (dst, data), op=_trace.alu(op, "tensor_partition_reduce"))
