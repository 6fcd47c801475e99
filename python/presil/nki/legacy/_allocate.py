"""Where tiles of the older interface lie: buffers, and the explicit allocators of nki.compiler."""
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from presil.nki import _trace
from presil.nki._tensor import Storage
from presil.nki._types import HBM, PRIVATE_HBM, PSUM, SBUF, SHARED_HBM, Buffer, DType, as_dtype
from presil.nki.legacy._tile import Blocks, Place, Tile, _count, dense, flush

BANK_BYTES, BANKS, PARTITIONS = 2048, 8, 128


class par_dim(int):
    """nl.par_dim(n): the axis of a shape that counts partitions; the axes in front of it count tiles."""


@dataclass(frozen=True)
class Allocator:
    """A buffer whose tiles lie where `place` says: (index of the tile, partitions, bytes) to (partition, byte)."""

    memory: Buffer
    place: Callable[[tuple[int, ...], int, int], tuple[int, int]] | None
    name: str = "alloc"

    def __repr__(self) -> str:
        return f"nki.compiler.{self.memory.name}.{self.name}"


def own(shape: Sequence[int], dtype: Any) -> Tile:
    """A tile in SBUF."""
    flush()
    return new_tile([int(e) for e in shape], as_dtype(dtype), SBUF)


def ndarray(shape: Sequence[Any], dtype: Any, buffer: Any = None, name: str = "", fill: float | None = None) -> Tile | Blocks:
    """A tensor. On chip the axis that is marked by par_dim counts partitions, or else the first one. fill: what it holds."""
    flush()
    kind = as_dtype(dtype)
    extents = [int(e) for e in shape]
    if not extents or min(extents) < 1:
        raise _trace.refuse(f"shape {tuple(extents)}: every extent is at least 1")
    allocator = _of_iteration(buffer, extents) if isinstance(buffer, Allocator) else None
    memory = SBUF if buffer is None else allocator.memory if allocator else buffer
    if not isinstance(memory, Buffer):
        raise _trace.refuse(f"buffer={buffer!r} is no buffer", "nl.sbuf, nl.psum, nl.hbm, nl.shared_hbm, nl.private_hbm")
    if memory.memory == "hbm":
        return _in_hbm(extents, kind, memory, name)
    marked = [d for d, e in enumerate(shape) if isinstance(e, par_dim)]
    if len(marked) > 1:
        raise _trace.refuse(f"shape {tuple(extents)} has {len(marked)} axes of partitions", "one nl.par_dim")
    lead = marked[0] if marked else 0
    banks = -(-_row(extents[lead:], kind) // BANK_BYTES)
    if memory is PSUM and allocator is None and _trace.trace().evicts and banks * _count(extents[:lead]) > BANKS:
        memory = SBUF
    tiles = {}
    for index in product(*(range(e) for e in extents[:lead])):
        at = _placed(allocator, index, extents[lead:], kind)
        tiles[index] = new_tile(extents[lead:], kind, memory, name, at, fill)
    return tiles[()] if lead == 0 else Blocks(shape, tiles, lead)


def _of_iteration(allocator: Allocator, shape: list[int]) -> Allocator:
    """A loop's body says once where its tensors lie: iterations but the first have the first one's places."""
    line = _trace.line()
    chosen = allocator
    for loop in _trace.trace().host_loops:
        if not loop.first and loop.allocations < len(loop.allocators) and loop.allocators[loop.allocations][:2] == (line, shape):
            chosen = loop.allocators[loop.allocations][2]
            break
    for loop in _trace.trace().host_loops:
        if loop.first:
            loop.allocators.append((line, shape, chosen))
        loop.allocations += 1
    return chosen


def _placed(allocator: Allocator | None, index: tuple[int, ...], shape: list[int], dtype: DType) -> tuple[int, int] | None:
    if allocator is None or allocator.place is None:
        return None
    return allocator.place(index, shape[0], _row(shape, dtype))


def _row(shape: Sequence[int], dtype: DType) -> int:
    return _count(shape[1:]) * int(dtype.itemsize)


def new_tile(shape: Sequence[int], dtype: DType, memory: Buffer, name: str = "", at: tuple[int, int] | None = None,
             fill: float | None = None) -> Tile:
    trace = _trace.trace()
    partitions = shape[0]
    steps = dense(shape)
    row = steps[0] * dtype.itemsize
    if partitions > PARTITIONS:
        raise _trace.refuse(f"{partitions} partitions in shape {tuple(shape)}, a tile has at most {PARTITIONS}",
                            "mark the axis of partitions by nl.par_dim, or tile it")
    label = trace.name(name or f"tile{len(trace.names)}")
    parts = [row]
    if memory is PSUM and row > BANK_BYTES:
        parts = [min(BANK_BYTES, row - begin) for begin in range(0, row, BANK_BYTES)]
    first, offset = at or (None, None)
    ids = [trace.recording.tile(memory.memory, partitions, size, label, first,
                                None if offset is None else offset + k * BANK_BYTES) for k, size in enumerate(parts)]
    storage = Place(memory, ids, BANK_BYTES, label, partitions, row)
    storage.fill = fill
    return Tile(storage, dtype, shape, steps, 0)


def _in_hbm(extents: list[int], dtype: DType, memory: Buffer, name: str) -> Tile:
    """Programs of a grid share what they make in shared_hbm: the first one's n-th tensor is every other's n-th."""
    trace = _trace.trace()
    if memory is SHARED_HBM:
        count, trace.shared_count = trace.shared_count, trace.shared_count + 1
        if count < len(trace.shared):
            known: Tile = trace.shared[count]
            if list(known.shape) != extents or known.dtype != dtype:
                raise _trace.refuse(f"program {trace.program} makes {extents} {dtype} in shared_hbm where the first one made {known!r}")
            return known
    label = trace.name(name or f"tensor{len(trace.names)}")
    role = "output" if memory is SHARED_HBM else "scratch"
    storage = Storage(memory, [trace.recording.tensor(label, dtype.presil, extents, role)], 0, label)
    out = Tile(storage, dtype, extents, dense(extents), 0)
    if memory is SHARED_HBM:
        trace.shared.append(out)
    return out


# --- nki.compiler.sbuf, nki.compiler.psum -----------------------------------------------------------------------------

def _turn(what: str, index: tuple[int, ...], extents: Sequence[int], counts: tuple[int, ...]) -> int:
    """Which of a ring of physical tiles a tile of this index uses."""
    if index and counts and len(index) != len(counts):
        raise _trace.refuse(f"{what}={tuple(counts)} for a tensor with {len(index)} axes in front of its partitions")
    at = 0
    for i, n in zip(index, counts):
        at = at * n + i % n
    return at


class _Memory:
    def __init__(self, memory: Buffer) -> None:
        self.memory = memory

    def auto_alloc(self) -> Allocator:
        """Wherever there is room."""
        return Allocator(self.memory, None, "auto_alloc")


class _Sbuf(_Memory):
    def alloc(self, func: Callable[..., tuple[int, int]]) -> Allocator:
        """func(idx=, pdim_size=, fdim_size=) -> (partition, byte)."""
        return Allocator(self.memory, lambda index, p, f: _pair(func(idx=index, pdim_size=p, fdim_size=f), 2), "alloc")  # type: ignore[arg-type, return-value]

    def mod_alloc(self, *, base_addr: int, base_partition: int = 0, num_par_tiles: Sequence[int] = (),
                  num_free_tiles: Sequence[int] = ()) -> Allocator:
        """Tiles in turn in a ring of num_par_tiles x num_free_tiles places from base_partition and base_addr."""
        def place(index: tuple[int, ...], p: int, f: int) -> tuple[int, int]:
            row = _turn("num_par_tiles", index, (), tuple(num_par_tiles))
            column = _turn("num_free_tiles", index, (), tuple(num_free_tiles))
            return base_partition + row * p, base_addr + column * f

        return Allocator(self.memory, place, "mod_alloc")


class _Psum(_Memory):
    def alloc(self, func: Callable[..., tuple[int, int, int]]) -> Allocator:
        """func(idx=, pdim_size=, fdim_size=) -> (bank, partition, byte of the bank)."""
        def place(index: tuple[int, ...], p: int, f: int) -> tuple[int, int]:
            bank, partition, byte = _pair(func(idx=index, pdim_size=p, fdim_size=f), 3)
            return partition, bank * BANK_BYTES + byte

        return Allocator(self.memory, place, "alloc")

    def mod_alloc(self, *, base_bank: int, base_addr: int = 0, base_partition: int = 0, num_bank_tiles: Sequence[int] = (),
                  num_par_tiles: Sequence[int] = (), num_free_tiles: Sequence[int] = ()) -> Allocator:
        """Tiles in turn in num_bank_tiles banks from base_bank, and as in SBUF within each."""
        def place(index: tuple[int, ...], p: int, f: int) -> tuple[int, int]:
            bank = base_bank + _turn("num_bank_tiles", index, (), tuple(num_bank_tiles))
            row = _turn("num_par_tiles", index, (), tuple(num_par_tiles))
            column = _turn("num_free_tiles", index, (), tuple(num_free_tiles))
            if not 0 <= bank < BANKS:
                raise _trace.refuse(f"bank {bank} of PSUM for tile {index}, there are {BANKS}")
            return base_partition + row * p, bank * BANK_BYTES + base_addr + column * f

        return Allocator(self.memory, place, "mod_alloc")


def _pair(value: Any, count: int) -> tuple[int, ...]:
    if not isinstance(value, tuple) or len(value) != count:
        raise _trace.refuse(f"the allocation function returned {value!r}", f"a tuple of {count} numbers")
    return tuple(int(v) for v in value)


sbuf, psum = _Sbuf(SBUF), _Psum(PSUM)
