"""Instructions of nki.isa whose accumulators are commanded, choices, shuffles."""
from collections.abc import Sequence
from typing import Any

from presil.nki import _trace
from presil.nki._issue import NkiInstruction, engine, issue, only, reduce_cmd, scalar
from presil.nki._tensor import Tensor
from presil.nki._types import Op, as_op

_LOWEST = -3.4028234663852886e38


def tensor_scalar_reduce(dst: Tensor, data: Tensor, op0: Op, operand0: Any, reduce_op: Op, reduce_res: Tensor | None = None,
                         reverse0: bool = False, reduce_cmd: reduce_cmd = reduce_cmd.reset_reduce, reduce_init: Any = None,
                         reduce_res_negate: bool = False, name: str | None = None) -> NkiInstruction:
    """dst = op0(data, operand0); reduce_res = reduce_op over the row and what the accumulator held."""
    (s, imm), (start, start_imm) = scalar(operand0), scalar(reduce_init)
    return issue("tensor_scalar_reduce", engine.unknown, "vector", (dst, data, s, start, reduce_res), op0=_trace.alu(op0, "op0"),
                 imm0=imm, reverse0=reverse0, reduce_op=_trace.alu(reduce_op, "reduce_op"), reduce_cmd=reduce_cmd.value,
                 initial_imm=start_imm, negate=reduce_res_negate)


def tensor_scalar_cumulative(dst: Tensor, src: Tensor, op0: Op, op1: Op, imm0: Any, imm1: Any = None,
                             reduce_cmd: reduce_cmd = reduce_cmd.reset_reduce, name: str | None = None) -> NkiInstruction:
    """r = op1(op0(src[i], imm0), r), dst[i] = r; r starts as the command says."""
    (s, imm), (start, start_imm) = scalar(imm0), scalar(imm1)
    return issue("tensor_scalar_cumulative", engine.unknown, "vector", (dst, src, s, start), op0=_trace.alu(op0, "op0"), imm0=imm,
                 op1=_trace.alu(op1, "op1"), reduce_cmd=reduce_cmd.value, initial_imm=start_imm)


def select_reduce(dst: Tensor, predicate: Tensor, on_true: Tensor, on_false: Any, reduce_res: Tensor | None = None,
                  reduce_cmd: reduce_cmd = reduce_cmd.idle, reduce_op: Op | None = None, reverse_pred: bool = False,
                  name: str | None = None) -> NkiInstruction:
    """dst = predicate ? on_true : on_false; reduce_res = the running maximum."""
    only("select_reduce", "reduce_op", as_op(reduce_op, "maximum"), ("maximum",))
    other, imm = scalar(on_false)
    return issue("select_reduce", engine.unknown, "vector", (dst, predicate, on_true, other, reduce_res), imm=imm,
                 reduce_cmd=reduce_cmd.value, reverse_pred=reverse_pred)


def range_select(dst: Tensor, on_true_tile: Tensor, comp_op0: Op, comp_op1: Op, bound0: Tensor, bound1: Tensor,
                 reduce_cmd: reduce_cmd = reduce_cmd.reset_reduce, reduce_res: Tensor | None = None, reduce_op: Op | None = None,
                 range_start: int = 0, on_false_value: float = _LOWEST, name: str | None = None) -> NkiInstruction:
    """dst = on_true_tile where both comparisons of range_start + place hold, else the lowest fp32."""
    only("range_select", "reduce_op", as_op(reduce_op, "maximum"), ("maximum",))
    if abs(on_false_value - _LOWEST) > 1e30:
        raise _trace.refuse(f"range_select: on_false_value is {on_false_value}", f"{_LOWEST} alone")
    return issue("range_select", engine.unknown, "vector", (dst, on_true_tile, bound0, bound1, reduce_res),
                 comp_op0=_trace.alu(comp_op0, "comp_op0"), comp_op1=_trace.alu(comp_op1, "comp_op1"), range_start=range_start,
                 reduce_cmd=reduce_cmd.value)


def exponential(dst: Tensor, src: Tensor, max_value: Any = 0.0, reduce_res: Tensor | None = None,
                reduce_cmd: reduce_cmd = reduce_cmd.idle, reduce_init: Any = 0.0, name: str | None = None) -> NkiInstruction:
    """dst = exp(src - max_value); reduce_res = the accumulated sum of the row."""
    (top, top_imm), (start, start_imm) = scalar(max_value), scalar(reduce_init)
    return issue("exponential", engine.unknown, "vector", (dst, src, top, start, reduce_res), max_imm=top_imm,
                 reduce_cmd=reduce_cmd.value, initial_imm=start_imm)


def activate2(dst: Tensor, op: Op, data: Tensor, imm0: Any, imm1: Any, op0: Op | None, op1: Op | None, relu_param: Any = 0.0,
              reverse0: bool = False, reverse1: bool = False, reduce_op: Op | None = None, reduce_res: Tensor | None = None,
              reduce_cmd: reduce_cmd = reduce_cmd.idle, name: str | None = None) -> NkiInstruction:
    """dst = op(op1(op0(data, imm0), imm1)); reduce_res = accumulated reduce_op of the row."""
    (a, a_imm), (b, b_imm), (slope, alpha) = scalar(imm0), scalar(imm1), scalar(relu_param)
    reduction = {} if reduce_op is None else {"reduce_op": _trace.alu(reduce_op, "reduce_op")}
    return issue("activate2", engine.unknown, "scalar", (dst, data, a, b, slope, reduce_res), op=_trace.activation(op),
                 op0=_trace.alu(op0, "op0"), imm0=a_imm, reverse0=reverse0, op1=_trace.alu(op1, "op1"), imm1=b_imm,
                 reverse1=reverse1, alpha=alpha, reduce_cmd=reduce_cmd.value, **reduction)


def nc_match_replace8(dst: Tensor, data: Tensor, vals: Tensor, imm: float, dst_idx: Tensor | None = None,
                      name: str | None = None) -> NkiInstruction:
    """dst = data with one occurrence of each of 8 values replaced; dst_idx = where."""
    return issue("nc_match_replace8", engine.unknown, "vector", (dst, data, vals, dst_idx), imm=imm)


def nc_stream_shuffle(dst: Tensor, src: Tensor, shuffle_mask: Sequence[int], name: str | None = None) -> NkiInstruction:
    """Per 32 partitions: dst[i] = src[mask[i]]; 255 keeps dst[i]."""
    mask = [int(m) for m in shuffle_mask]
    if len(mask) != 32 or any(not 0 <= m < 32 and m != 255 for m in mask):
        raise _trace.refuse(f"nc_stream_shuffle: mask {mask}", "32 numbers from 0 to 31, or 255 to keep")
    words = {f"mask{k}": int.from_bytes(bytes(mask[4 * k:4 * k + 4]), "little") for k in range(8)}
    return issue("nc_stream_shuffle", engine.unknown, "vector", (dst, src), **words)
