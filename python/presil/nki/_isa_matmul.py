"""Products and transposes of nki.isa, and what makes operands of MX products."""
from collections.abc import Sequence
from typing import Any

from presil.nki import _trace
from presil.nki._issue import NkiInstruction, engine, issue, matmul_perf_mode
from presil.nki._tensor import Tensor


def nc_matmul(dst: Tensor, stationary: Tensor, moving: Tensor, is_stationary_onezero: bool = False,
              is_moving_onezero: bool = False, is_transpose: bool = False, accumulate: bool | None = None,
              tile_position: Sequence[int] = (), tile_size: Sequence[int] = (),
              perf_mode: matmul_perf_mode = matmul_perf_mode.none, name: str | None = None) -> NkiInstruction:
    """dst[m, n] (+)= sum over k of stationary[k, m] * moving[k, n]. accumulate None: the first product written to a place
    overwrites it, later ones add."""
    row, column, rows, columns = _array_tile("nc_matmul", tile_position, tile_size)
    return issue("nc_matmul", engine.unknown, "tensor", (dst, stationary, moving),
                 accumulate=_adds("nc_matmul", dst, accumulate), is_transpose=is_transpose,
                 is_stationary_onezero=is_stationary_onezero, is_moving_onezero=is_moving_onezero,
                 perf_mode=matmul_perf_mode(perf_mode) is matmul_perf_mode.double_row, tile_row=row, tile_column=column,
                 tile_rows=rows, tile_columns=columns)


def nc_matmul_mx(dst: Tensor, stationary: Tensor, moving: Tensor, stationary_scale: Tensor, moving_scale: Tensor,
                 tile_position: Sequence[int] | None = None, tile_size: Sequence[int] | None = None,
                 accumulate: bool | None = None, name: str | None = None) -> NkiInstruction:
    """nc_matmul of packed numbers, with a scale for each 8 partitions x 4 numbers."""
    row, column, rows, columns = _array_tile("nc_matmul_mx", tile_position or (), tile_size or ())
    if column != 0 or columns not in (0, 128):
        raise _trace.refuse(f"nc_matmul_mx: columns {column} to {column + columns} of the array", "rows only: tile_size=(rows, 128)")
    return issue("nc_matmul_mx", engine.unknown, "tensor", (dst, stationary, moving, stationary_scale, moving_scale),
                 accumulate=_adds("nc_matmul_mx", dst, accumulate), tile_row=row, tile_rows=rows)


def _array_tile(name: str, position: Sequence[int], size: Sequence[int]) -> tuple[int, int, int, int]:
    if not position and not size:
        return 0, 0, 0, 0
    if len(position) != 2 or len(size) != 2:
        raise _trace.refuse(f"{name}: tile_position {tuple(position)} and tile_size {tuple(size)}", "both, as (row, column)")
    return int(position[0]), int(position[1]), int(size[0]), int(size[1])


def _adds(name: str, dst: Any, accumulate: bool | None) -> bool:
    if accumulate is not None or not isinstance(dst, Tensor):
        return bool(accumulate)
    if dst.storage.loops != tuple(_trace.trace().loops):
        raise _trace.refuse(f"{name}: in a loop on the device, whether this product is the first into {dst!r} of outside depends on the "
                            "turn", "accumulate=True or False")
    key = dst.encoded()
    place = (key[2], key[3], key[5]) if not dst.moves else key
    first = place not in dst.storage.accumulated
    dst.storage.accumulated.add(place)
    return not first


def nc_transpose(dst: Tensor, data: Tensor, engine: engine = engine.unknown, name: str | None = None) -> NkiInstruction:
    """dst[f, p] = data[p, f]: on the tensor engine into PSUM, on the vector engine up to 32 x 32."""
    small = data.shape[0] <= 32 and data.size // data.shape[0] <= 32
    return issue("nc_transpose", engine, "vector" if small and dst.buffer.memory != "psum" else "tensor", (dst, data))


def quantize_mx(dst: Tensor, src: Tensor, dst_scale: Tensor, name: str | None = None) -> NkiInstruction:
    """Per 8 partitions x 4 elements: dst_scale = a power of two, dst = src / it, packed by fours."""
    return issue("quantize_mx", engine.unknown, "vector", (dst, src, dst_scale))
