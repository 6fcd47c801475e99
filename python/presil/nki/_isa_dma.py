"""Transfers of nki.isa."""
from collections.abc import Sequence
from typing import Any

from presil.nki import _trace
from presil.nki._issue import NkiInstruction, dge_mode, engine, issue, only, oob_mode
from presil.nki._tensor import Tensor
from presil.nki._types import Op

_SOURCES_MAX = 16


def dma_copy(dst: Tensor, src: Tensor, priority: int | None = None, oob_mode: oob_mode = oob_mode.error,
             dge_mode: dge_mode = dge_mode.unknown, engine: engine = engine.unknown, name: str | None = None) -> NkiInstruction:
    """dst = src by the DMA engines, converted where types differ; rows of either side by index."""
    _equal_sizes("dma_copy", dst, src)
    if dst.index is not None and src.index is not None:
        raise _trace.refuse("dma_copy: both sides are addressed by indices", "one of them")
    loads = src.buffer.memory == "hbm" and dst.buffer.memory == "sbuf" and _trace.same_dtype(src.dtype, dst.dtype)
    hardware, software = dge_mode.name == "hwdge", dge_mode.name == "swdge"
    index = src.index if dst.index is None else dst.index
    default = "gpsimd" if index is not None else "sync" if hardware or (loads and not software) else "gpsimd"
    return issue("dma_copy", engine, default, (dst, src, index), scatter=dst.index is not None, oob_mode=oob_mode.value,
                 dge_mode=dge_mode.value, priority=priority or 0)


def dma_transpose(dst: Tensor, src: Tensor, axes: Sequence[int] | None = None, priority: int | None = None,
                  dge_mode: dge_mode = dge_mode.unknown, oob_mode: oob_mode = oob_mode.error, engine: engine = engine.unknown,
                  name: str | None = None) -> NkiInstruction:
    """dst = src with its axes as (1, 0), (2, 1, 0) or (3, 1, 2, 0); rows of src by index."""
    order = {2: (1, 0), 3: (2, 1, 0), 4: (3, 1, 2, 0)}.get(src.ndim)
    if order is None or (axes is not None and tuple(axes) != order):
        raise _trace.refuse(f"dma_transpose: axes {axes} of {src!r}", "(1, 0), (2, 1, 0) or (3, 1, 2, 0), as many as it has")
    _equal_sizes("dma_transpose", dst, src)
    if src.index is not None:
        return issue("dma_transpose", engine, "gpsimd", (dst, src, src.index), oob_mode=oob_mode.value, dge_mode=dge_mode.value,
                     priority=priority or 0)
    if src.ndim > 2 and src.on_chip:
        raise _trace.refuse(f"dma_transpose: {src!r} has {src.ndim} axes", "from SBUF two")
    rows = src if src.ndim == 2 else src.permute([*order[1:], src.ndim - 1])
    columns = rows if rows.on_chip else rows.parted(1)[0]
    return issue("dma_transpose", engine, "sync", (dst, columns, None), oob_mode=oob_mode.value, dge_mode=dge_mode.value,
                 priority=priority or 0)


def dma_compute(dst: Tensor, srcs: Sequence[Tensor], reduce_op: Op, scales: Sequence[float] | None = None,
                unique_indices: bool = True, oob_mode: oob_mode = oob_mode.error, name: str | None = None) -> NkiInstruction:
    """dst = the sum of srcs, in fp32; with an index, rows of a table are added to or added."""
    only("dma_compute", "reduce_op", getattr(reduce_op, "name", reduce_op), ("add",))
    if not 1 <= len(srcs) <= _SOURCES_MAX:
        raise _trace.refuse(f"dma_compute: {len(srcs)} sources", f"1 to {_SOURCES_MAX}")
    if scales is not None and (len(scales) != len(srcs) or any(scale != 1 for scale in scales)):
        raise _trace.refuse(f"dma_compute: scales {list(scales)}", "1.0 for each source")
    only("dma_compute", "unique_indices", unique_indices, (True,))
    for src in srcs:
        _equal_sizes("dma_compute", dst, src)
    sources = list(srcs)
    indices = [t.index for t in (dst, *sources) if t.index is not None]
    if indices and len(sources) == 2 and sources[1].storage is dst.storage and sources[0].storage is not dst.storage:
        sources.reverse()  # what is added to comes first
    absent: list[Tensor | None] = [None] * (_SOURCES_MAX - len(sources))
    return issue("dma_compute", engine.unknown, "gpsimd", (dst, *sources, *absent, indices[0] if indices else None),
                 oob_mode=oob_mode.value)


def _equal_sizes(name: str, dst: Any, src: Any) -> None:
    for t in (dst, src):
        if not isinstance(t, Tensor):
            raise _trace.refuse(f"{name}: {type(t).__name__} is no tensor of this kernel")
    if dst.size != src.size:
        raise _trace.refuse(f"{name}: {src!r} has {src.size} elements, {dst!r} has {dst.size}")
