"""nki.isa: one call per instruction, destination first. Names and arguments as the public interface has them; what an
instruction computes and demands: docs/reference/isa.md."""
from collections.abc import Sequence
from typing import Any

from presil import _core
from presil.nki import _trace
from presil.nki._affine import VirtualRegister
from presil.nki._isa_dma import dma_compute, dma_copy, dma_transpose
from presil.nki._isa_gpsimd import local_gather, nc_n_gather, nonzero_with_count, sequence_bounds, topk
from presil.nki._isa_matmul import nc_matmul, nc_matmul_mx, nc_transpose, quantize_mx
from presil.nki._isa_pair import core_barrier, dma_engine, sendrecv
from presil.nki._isa_random import dropout, rand2, rand_get_state, rand_set_state, rng, set_rng_seed
from presil.nki._isa_reduce import (activate2, exponential, nc_match_replace8, nc_stream_shuffle, range_select, select_reduce,
                                    tensor_scalar_cumulative, tensor_scalar_reduce)
from presil.nki._issue import (NkiInstruction, dge_mode, engine, issue, matmul_perf_mode, nc_version, only, oob_mode, reduce_cmd,
                               scalar, scalar_for)
from presil.nki._names import missing
from presil.nki._registers import register_alloc, register_load, register_move, register_store
from presil.nki._tensor import Encoded, Tensor
from presil.nki._types import Op

__all__ = [
    "NkiInstruction", "VirtualRegister", "_looped", "activate2", "activation", "activation_reduce", "affine_select",
    "bn_aggr", "bn_stats", "core_barrier", "dge_mode", "dma_compute", "dma_copy", "dma_engine", "dma_transpose", "dropout", "engine", "exponential",
    "get_nc_sub_version", "get_nc_version", "gpsimd_engine", "iota", "local_gather", "matmul_perf_mode", "max8", "memset",
    "nc_find_index8", "nc_match_replace8", "nc_matmul", "nc_matmul_mx", "nc_n_gather", "nc_stream_shuffle", "nc_transpose",
    "nc_version", "nonzero_with_count", "oob_mode", "quantize_mx", "rand2", "rand_get_state", "rand_set_state",
    "range_select", "reciprocal", "reduce_cmd", "register_alloc", "register_load", "register_move", "register_store", "rng",
    "scalar_engine", "scalar_tensor_tensor", "select_reduce", "sendrecv", "sequence_bounds", "set_rng_seed", "tensor_copy",
    "tensor_copy_predicated", "tensor_engine", "tensor_partition_reduce", "tensor_reduce", "tensor_scalar",
    "tensor_scalar_cumulative", "tensor_scalar_reduce", "tensor_tensor", "tensor_tensor_scan", "topk", "unknown_engine",
    "vector_engine",
]

tensor_engine, vector_engine, scalar_engine, gpsimd_engine = engine.tensor, engine.vector, engine.scalar, engine.gpsimd
unknown_engine = engine.unknown


def get_nc_version() -> nc_version:
    """The generation that the kernel is traced for."""
    return nc_version(_trace.trace().generation)


def get_nc_sub_version() -> int:
    """Of the silicon; there is one of each generation here."""
    return 0


def tensor_copy(dst: Tensor, src: Tensor, engine: engine = engine.unknown, name: str | None = None,
                dtype: Any = None) -> NkiInstruction:
    """dst = src, bit for bit between equal types. dtype: what the first versions of the interface took; dst's
    own type holds, as it does everywhere."""
    return issue("tensor_copy", engine, "vector", (dst, src))


def tensor_tensor(dst: Tensor, data1: Tensor, data2: Tensor, op: Op, engine: engine = engine.unknown,
                  name: str | None = None) -> NkiInstruction:
    """dst = op(data1, data2)."""
    return issue("tensor_tensor", engine, "vector", (dst, data1, data2), op=_trace.alu(op, "tensor_tensor"))


def tensor_scalar(dst: Tensor, data: Tensor, op0: Op, operand0: Any, reverse0: bool = False, op1: Op | None = None,
                  operand1: Any = None, reverse1: bool = False, engine: engine = engine.unknown,
                  name: str | None = None) -> NkiInstruction:
    """dst = op1(op0(data, operand0), operand1); an operand is a constant or one value per partition."""
    (s0, imm0), (s1, imm1) = scalar_for(op0, operand0), scalar_for(op1, operand1)
    return issue("tensor_scalar", engine, "vector", (dst, data, s0, s1), op0=_trace.alu(op0, "op0"), imm0=imm0, reverse0=reverse0,
           op1=_trace.alu(op1, "op1"), imm1=imm1, reverse1=reverse1)


def scalar_tensor_tensor(dst: Tensor, data: Tensor, op0: Op, operand0: Any, op1: Op, operand1: Tensor,
                         reverse0: bool = False, reverse1: bool = False, name: str | None = None) -> NkiInstruction:
    """dst = op1(op0(data, operand0), operand1)."""
    s0, imm0 = scalar(operand0)
    return issue("scalar_tensor_tensor", engine.unknown, "vector", (dst, data, s0, operand1), op0=_trace.alu(op0, "op0"), imm0=imm0,
           reverse0=reverse0, op1=_trace.alu(op1, "op1"), reverse1=reverse1)


def tensor_reduce(dst: Tensor, op: Op, data: Tensor, axis: int | Sequence[int], negate: bool = False,
                  keepdims: bool = False, name: str | None = None) -> NkiInstruction:
    """dst = op over the last free axes of data."""
    axes = sorted(a % data.ndim for a in ([axis] if isinstance(axis, int) else axis))
    if axes != list(range(data.ndim - len(axes), data.ndim)) or 0 in axes:
        raise _trace.refuse(f"tensor_reduce: axis {axis} of {data!r} are not its last free axes")
    parted, loops = data.parted(len(axes))
    return issue("tensor_reduce", engine.unknown, "vector", (dst, parted), op=_trace.alu(op, "tensor_reduce"), axes=loops,
           negate=negate)


def activation(dst: Tensor, op: Op, data: Tensor, bias: Tensor | float | None = None, scale: Tensor | float = 1.0,
               reduce_op: Op | None = None, reduce_res: Tensor | None = None, reduce_cmd: reduce_cmd = reduce_cmd.idle,
               name: str | None = None) -> NkiInstruction:
    """dst = op(data * scale + bias)."""
    (s, scale_imm), (b, bias_imm) = scalar(scale), scalar(bias)
    only("activation", "reduce_op", None if reduce_op is None else reduce_op.name, (None, "add"))
    return issue("activation", engine.unknown, "scalar", (dst, data, s, b, reduce_res), op=_trace.activation(op), scale_imm=scale_imm,
           bias_imm=bias_imm, reduce_cmd=reduce_cmd.value)


def activation_reduce(dst: Tensor, op: Op, data: Tensor, reduce_op: Op, reduce_res: Tensor,
                      bias: Tensor | float | None = None, scale: Tensor | float = 1.0, name: str | None = None) -> NkiInstruction:
    """dst = op(data * scale + bias), reduce_res = the sums of its rows."""
    (s, scale_imm), (b, bias_imm) = scalar(scale), scalar(bias)
    only("activation_reduce", "reduce_op", reduce_op.name, ("add",))
    return issue("activation_reduce", engine.unknown, "scalar", (dst, data, s, b, reduce_res), op=_trace.activation(op),
           scale_imm=scale_imm, bias_imm=bias_imm)


def reciprocal(dst: Tensor, data: Tensor, name: str | None = None) -> NkiInstruction:
    """dst = 1 / data."""
    return issue("reciprocal", engine.unknown, "vector", (dst, data))


def memset(dst: Tensor, value: float, engine: engine = engine.unknown, name: str | None = None) -> NkiInstruction:
    """dst = value."""
    return issue("memset", engine, "vector", (dst,), value=value)


def tensor_tensor_scan(dst: Tensor, data0: Tensor, data1: Tensor, initial: Any, op0: Op, op1: Op, reverse0: bool = False,
                       reverse1: bool = False, name: str | None = None) -> NkiInstruction:
    """r = op1(op0(data0[i], r), data1[i]), dst[i] = r; r starts as initial."""
    start, imm = scalar(initial)
    return issue("tensor_tensor_scan", engine.unknown, "vector", (dst, data0, data1, start), op0=_trace.alu(op0, "op0"),
           op1=_trace.alu(op1, "op1"), imm=imm, reverse0=reverse0, reverse1=reverse1)


def iota(dst: Tensor, pattern: Sequence[Sequence[int]], offset: int = 0, channel_multiplier: int = 0,
         name: str | None = None) -> NkiInstruction:
    """dst[p, i...] = offset + p * channel_multiplier + sum of i_k * step_k."""
    (looped,), steps = _looped("iota", pattern, dst)
    return issue("iota", engine.unknown, "gpsimd", (looped,), offset=offset, channel_multiplier=channel_multiplier, **steps)


def affine_select(dst: Tensor, pattern: Sequence[Sequence[int]], channel_multiplier: int, on_true_tile: Tensor,
                  on_false_value: float, cmp_op: Op | None = None, offset: int = 0, name: str | None = None) -> NkiInstruction:
    """dst = cmp_op(offset + p * channel_multiplier + sum of i_k * step_k, 0) ? on_true_tile : on_false_value."""
    looped, steps = _looped("affine_select", pattern, dst, on_true_tile)
    compare = _core.alu_number("eq") if cmp_op is None else _trace.alu(cmp_op, "cmp_op")
    return issue("affine_select", engine.unknown, "gpsimd", looped, cmp_op=compare, value=on_false_value, offset=offset,
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


def bn_stats(dst: Tensor, data: Tensor, name: str | None = None) -> NkiInstruction:
    """dst = count, mean, variance * count of the even elements, then of the odd ones."""
    return issue("bn_stats", engine.unknown, "vector", (dst, data))


def bn_aggr(dst: Tensor, data: Tensor, name: str | None = None) -> NkiInstruction:
    """dst = mean, variance over all triples that bn_stats made."""
    return issue("bn_aggr", engine.unknown, "vector", (dst, data))


def max8(dst: Tensor, src: Tensor, name: str | None = None) -> NkiInstruction:
    """dst = the 8 largest values of each partition, descending."""
    return issue("max8", engine.unknown, "vector", (dst, src))


def nc_find_index8(dst: Tensor, data: Tensor, vals: Tensor, name: str | None = None) -> NkiInstruction:
    """dst = where each of 8 values is first found."""
    return issue("nc_find_index8", engine.unknown, "vector", (dst, data, vals))


def tensor_copy_predicated(dst: Tensor, src: Tensor | float, predicate: Tensor, reverse_pred: bool = False,
                           name: str | None = None) -> NkiInstruction:
    """Where predicate is nonzero, dst = src."""
    tile, imm = scalar(src)
    return issue("tensor_copy_predicated", engine.unknown, "vector", (dst, tile, predicate), imm=imm, reverse_pred=reverse_pred)


def tensor_partition_reduce(dst: Tensor, op: Op, data: Tensor, name: str | None = None) -> NkiInstruction:
    """dst[0, i] = op over all partitions of data[:, i]."""
    return issue("tensor_partition_reduce", engine.unknown, "gpsimd", (dst, data), op=_trace.alu(op, "tensor_partition_reduce"))


__getattr__ = missing("nki.isa", globals(), {})
