"""Tiles of the older interface: views that are indexed by index expressions, and results that get their place when they
are used or assigned."""
import sys
from collections.abc import Callable, Sequence
from typing import Any

from presil.nki import _trace
from presil.nki._affine import Slice
from presil.nki._tensor import Storage, Tensor, _merged
from presil.nki._types import PSUM, SBUF, Buffer, DType
from presil.nki.legacy._index import Box, Index, Mask, joined, spread


class Place(Storage):
    """A tile's storage with what is known of its contents. fill: a number that it holds where nothing wrote yet, not written
    as long as nothing reads it. products: the places that hold a sum of products. written: by anything else. rows: how many
    of its partitions hold something, where a mask left the others out; what reads them does not compute the others."""

    fill: float | None = None
    written = False
    rows: int | None = None

    def __init__(self, buffer: Buffer, ids: list[int], part_bytes: int, name: str, partitions: int, row_bytes: int) -> None:
        super().__init__(buffer, ids, part_bytes, name)
        self.partitions, self.row_bytes = partitions, row_bytes
        self.products: dict[tuple[int, ...], None] = {}
        self.number = _trace.trace().places
        _trace.trace().places += 1


class Tile(Tensor):
    """A view. `loose`: axes of the indexed tensor whose index may leave it where no mask holds, as (axis, extent,
    expression)."""

    loose: tuple[tuple[int, int, Index], ...] = ()
    _encoded_view: tuple[int, ...] | None = None

    @classmethod
    def of(cls, t: Tensor) -> "Tile":
        return cls(t.storage, t.dtype, t.shape, t.steps, t.offset, t.partition, t.moves, t.index, t.table)

    def encoded(self) -> tuple[Any, ...]:
        if self._encoded_view is None:
            self._encoded_view = super().encoded()
        return self._encoded_view

    def loops(self) -> int:
        """How many loops an instruction needs for it, beside the partitions."""
        if self._encoded_view is not None:
            return (len(self._encoded_view) - 6) // 2
        first = 1 if self.on_chip or self.index is not None else 0
        return len(_merged(list(zip(self.steps[first:], self.shape[first:]))))

    # --- views ------------------------------------------------------------------------------------------------------
    def __getitem__(self, index: Any) -> "Tile":
        items = index if isinstance(index, tuple) else (index,)
        if any(isinstance(i, (Index, Tile)) for i in items):
            return self._selected(list(items))
        if any(i is None for i in items):
            axes = [k for k, i in enumerate(items) if i is None]
            out = self[tuple(i for i in items if i is not None)]
            for axis in axes:
                out = out.expand_dim(axis)
            return out
        if any(isinstance(i, (slice, Slice)) for i in items) and (beyond := self._beyond(items)) is not None:
            return beyond
        return Tile.of(super().__getitem__(index))

    def _beyond(self, items: Sequence[Any]) -> "Tile | None":
        """Slices that leave the tensor, which a mask may clip: as index expressions. None where none does."""
        if len(items) > self.ndim or any(i is Ellipsis for i in items):
            return None
        ranges: list[range | None] = []
        for item, extent in zip([*items, *[slice(None)] * (self.ndim - len(items))], self.shape):
            if isinstance(item, Slice):
                at = item.start if isinstance(item.start, int) else 0
                ranges.append(range(at, at + item.size) if isinstance(item.size, int) else None)
            elif isinstance(item, slice) and item.stop is not None and hasattr(item.stop, "__index__") and item.stop.__index__() > extent:
                ranges.append(range(item.start or 0, item.stop.__index__(), item.step or 1))
            else:
                ranges.append(range(*item.indices(extent)) if isinstance(item, slice) else None)
        if not any(r is not None and r and r[-1] >= e for r, e in zip(ranges, self.shape)):
            return None
        n, at, expressions = sum(r is not None for r in ranges), 0, list(items)
        for d, r in enumerate(ranges):
            if r is not None:
                axis = [k == at for k in range(n)]
                whole = Index(tuple(len(r) if a else 1 for a in axis), tuple(r.step if a and len(r) > 1 else 0 for a in axis), r.start)
                expressions[d:d + 1] = [whole]
                at += 1
        return self._selected(expressions)

    def _selected(self, items: list[Any]) -> "Tile":
        """Indexed by expressions: the result has their shape, then the axes that are not indexed."""
        at = next((k for k, i in enumerate(items) if i is Ellipsis), None)
        if at is not None:
            items[at:at + 1] = [slice(None)] * (self.ndim - (len(items) - 1))
        if len(items) > self.ndim:
            raise _trace.refuse(f"{len(items)} indices for {self!r}")
        if any(isinstance(i, Tile) for i in items):
            return self._gathered(items)
        while items and isinstance(items[-1], slice) and items[-1] == slice(None):
            items.pop()
        n = max(i.ndim for i in items if isinstance(i, Index))
        shape: tuple[int, ...] = (1,) * n
        for i in items:
            if isinstance(i, Index):
                shape = joined(shape, spread(i, n).shape)
        steps, offset, partition = [0] * n, self.offset, self.partition
        over = [0] * n  # partitions
        loose = []
        for d, item in enumerate(items):
            if not isinstance(item, Index):
                if not hasattr(item, "__index__"):
                    raise _trace.refuse(f"{item!r} beside index expressions in an index of {self!r}",
                                        "index every axis by an expression or a number")
                at = item.__index__()
                item = Index((1,) * n, (0,) * n, at + self.shape[d] if at < 0 else at)
            item = spread(item, n)
            low, high = item.limits()
            if low < 0 or high >= self.shape[d]:
                loose.append((d, self.shape[d], item))
            if d == 0 and self.on_chip:
                over, partition = list(item.steps), partition + item.constant
                continue
            offset += item.constant * self.steps[d]
            for k in range(n):
                steps[k] += item.steps[k] * self.steps[d]
        shape += self.shape[len(items):]
        steps += self.steps[len(items):]
        if self.on_chip:
            if any(s and shape[k] > 1 for k, s in enumerate(over[1:], 1)) or (shape[0] > 1 and (over[0] != 1 or steps[0])):
                if n > 1 or over[0] != 0:
                    raise _trace.refuse(f"{self!r}: the first axis of the index expressions counts its partitions one by one, "
                                        "the others none")
                shape, steps = (1, *shape), [0, *steps]  # elements of one partition
            steps[0] = self.steps[0]
        out = Tile(self.storage, self.dtype, shape, steps, offset, partition)
        out.loose = tuple(loose)
        return out

    def _gathered(self, items: list[Any]) -> "Tile":
        """Rows of a tensor in HBM that a tile names: [number, ..., tile [p, 1], expression over what follows]."""
        at = [k for k, i in enumerate(items) if isinstance(i, Tile)]
        index = items[at[0]]
        if self.on_chip or len(at) > 1 or index.size != index.shape[0]:
            raise _trace.refuse(f"{index!r} in an index of {self!r}",
                                "one tile with a number per partition, for an axis of a tensor in HBM", "unsupported")
        base = self[tuple(items[:at[0]])] if at[0] else self
        inner = items[at[0] + 1:]
        row = base[0]
        row = row[tuple(i if not isinstance(i, Index) else Index(i.shape[1:], i.steps[1:], i.constant) for i in inner)] if inner else row
        if index.dtype.name not in ("int32", "uint32"):
            raise _trace.refuse(f"{index!r} in an index of {self!r}", "whole numbers: nl.copy(index, dtype=nl.int32)")
        return Tile(row.storage, row.dtype, (index.shape[0], *row.shape), (base.steps[0], *row.steps), row.offset, 0, (), index,
                    (base.steps[0], base.shape[0]))

    def __setitem__(self, index: Any, value: Any) -> None:
        target = self[index]
        if value is target or (isinstance(value, Tile) and not isinstance(value, Result) and value.storage is target.storage
                               and value.encoded() == target.encoded()):
            return  # target op= value, done in place
        fresh = value is _pending() and sys.getrefcount(value) == _FRESH + 1  # the call below holds one more
        # Some instructions move bits and convert nothing: another type takes a copy.
        assign(target, value, fresh and value.dtype == target.dtype)

    def reshape(self, shape: Any, *more: int) -> "Tile":
        return Tile.of(super().reshape((shape, *more) if isinstance(shape, int) else shape))

    def permute(self, axes: Sequence[int]) -> "Tile":
        return Tile.of(super().permute(axes))

    def expand_dim(self, axis: int) -> "Tile":
        return Tile.of(super().expand_dim(axis))

    def broadcast(self, axis: int, extent: int) -> "Tile":
        return Tile.of(super().broadcast(axis, extent))

    def ap(self, *arguments: Any, **options: Any) -> "Tile":
        return Tile.of(super().ap(*arguments, **options))

    def broadcast_to(self, shape: Sequence[int]) -> Any:
        """Repeated to this shape, over partitions too."""
        from presil.nki.legacy import language
        return language.broadcast_to(self, shape=shape)

    def repeated(self, shape: Sequence[int]) -> "Tile":
        """Free axes of extent 1 repeated."""
        out = self
        for axis in range(1, self.ndim):
            if out.shape[axis] != shape[axis]:
                out = out.broadcast(axis, shape[axis])
        return out

    def astype(self, dtype: Any) -> Any:
        return self._binary_name("copy")(self, dtype=dtype)

    # --- arithmetic -------------------------------------------------------------------------------------------------
    @staticmethod
    def _binary_name(name: str) -> Callable[..., Any]:
        from presil.nki.legacy import language
        return getattr(language, name)  # type: ignore[no-any-return]

    def _binary(self, name: str, other: Any, swapped: bool = False) -> Any:
        function = self._binary_name(name)
        return function(other, self) if swapped else function(self, other)

    def __truediv__(self, other: Any) -> Any:
        return self._binary("divide", other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._binary("divide", other, True)

    def __pow__(self, other: Any) -> Any:
        return self._binary("power", other)

    def __neg__(self) -> Any:
        return self._binary("multiply", -1.0)

    def __gt__(self, other: Any) -> Any:
        return self._binary("greater", other)

    def __ge__(self, other: Any) -> Any:
        return self._binary("greater_equal", other)

    def __lt__(self, other: Any) -> Any:
        return self._binary("less", other)

    def __le__(self, other: Any) -> Any:
        return self._binary("less_equal", other)

    def _in_place(self, name: str, other: Any) -> "Tile":
        if name == "add" and isinstance(other, Result) and other.accumulate is not None and self.buffer is PSUM and other is _pending():
            settle(other, self, other.accumulate)
            return self
        p = self.storage
        if name == "add" and _trace.trace().evicts and isinstance(p, Place) and not p.written and p.fill is None and not p.products:
            assign(self, other, False)  # a sum that would start in PSUM
            return self
        value = self._binary(name, other)
        settle(value, self, value.emit)
        return self

    def __iadd__(self, other: Any) -> "Tile":
        return self._in_place("add", other)

    def __isub__(self, other: Any) -> "Tile":
        return self._in_place("subtract", other)

    def __imul__(self, other: Any) -> "Tile":
        return self._in_place("multiply", other)

    def __itruediv__(self, other: Any) -> "Tile":
        return self._in_place("divide", other)


class Written(Tile):
    """A destination in PSUM whose contents nc_matmul keeps account of."""

    def __init__(self, t: Tile) -> None:
        super().__init__(t.storage, t.dtype, t.shape, t.steps, t.offset, t.partition)


class Result(Tile):
    """What an operation returns. It gets a tile of its own when something reads it, or none when it is assigned at once.
    emit(dst): issues its instructions; accumulate(dst): the same, adding to what a place in PSUM holds; into: memories it
    may be written to; exact: its type was asked for, so that another one takes a conversion."""

    def __init__(self, shape: Sequence[int], dtype: DType, emit: Callable[[Tile], None], operands: Sequence[Any] = (),
                 buffer: Buffer = SBUF, into: tuple[str, ...] = ("sbuf", "psum"), exact: bool = False, mask: Any = None,
                 accumulate: Callable[[Tile], None] | None = None) -> None:
        flush()
        extents = [int(e) for e in shape]
        super().__init__(None, dtype, extents, dense(extents), 0)  # type: ignore[arg-type]
        self.emit, self.operands, self.where, self.into = emit, operands, buffer, into
        self.exact, self.mask, self.accumulate = exact, mask, accumulate
        trace = _trace.trace()
        self.line = _trace.line()
        trace.pending = self

    @property
    def buffer(self) -> Buffer:
        return self.where

    @property
    def storage(self) -> Storage:
        if self._storage is None:
            if _pending() is not self:
                raise AssertionError("a result that was assigned is read")
            place(self)
        return self._storage  # type: ignore[return-value]

    @storage.setter
    def storage(self, value: Storage | None) -> None:
        self._storage = value


def dense(shape: Sequence[int]) -> list[int]:
    steps = [1] * len(shape)
    for d in range(len(shape) - 2, -1, -1):
        steps[d] = steps[d + 1] * shape[d + 1]
    return steps


def _pending() -> Result | None:
    return getattr(_trace.current, "pending", None)


def flush() -> None:
    """Issues what waits for its destination."""
    waiting = _pending()
    if waiting is not None:
        place(waiting)


def place(result: Result) -> None:
    """Gives a result a tile of its own and issues its instructions."""
    from presil.nki.legacy._allocate import new_tile
    own = new_tile(result.shape, result.dtype, result.where)
    result._storage = own.storage
    settle(result, own, result.emit)
    if isinstance(result.mask, Mask):
        reach = {box[0] for box in boxes(result.mask, result.shape)}
        if len(reach) == 1 and next(iter(reach))[0] == 0 and next(iter(reach))[1] < result.shape[0]:
            rows = next(iter(reach))[1]
            known = own.storage.rows  # type: ignore[attr-defined]
            own.storage.rows = rows if known is None else min(known, rows)  # type: ignore[attr-defined]


def settle(result: Result, target: Tile, emit: Callable[[Tile], None]) -> None:
    """Issues a result's instructions with this destination, at the line that asked for them."""
    trace = _trace.trace()
    if trace.pending is result:
        trace.pending = None
    before, trace.at = trace.at, result.line
    emit(target if target.shape == result.shape else conformed(target, result.shape))
    trace.at = before


def conformed(target: Tile, shape: Sequence[int]) -> Tile:
    """The same elements under another shape."""
    if target.shape == tuple(shape):
        return target
    wide, wanted = [e for e in target.shape[1:] if e > 1], [e for e in shape[1:] if e > 1]
    if wide == wanted and (target.shape[:1] == tuple(shape[:1]) or not target.on_chip):
        steps = iter([s for e, s in zip(target.shape[1:], target.steps[1:]) if e > 1])
        if target.shape[:1] == tuple(shape[:1]):
            out = Tile(target.storage, target.dtype, shape, [target.steps[0], *(next(steps) if e > 1 else 0 for e in shape[1:])],
                       target.offset, target.partition)
            out.loose = target.loose
            return out
    if not target.on_chip:
        kept = [s for e, s in zip(target.shape, target.steps) if e > 1]
        if [e for e in target.shape if e > 1] == [e for e in shape if e > 1]:
            left = iter(kept)
            return Tile(target.storage, target.dtype, shape, [next(left) if e > 1 else 0 for e in shape], target.offset)
    if target.size != _count(shape) or (target.on_chip and target.shape[0] != shape[0]):
        raise _trace.refuse(f"a result of shape {list(shape)} for {target!r}")
    return target.reshape(list(shape))


def _count(shape: Sequence[int]) -> int:
    n = 1
    for e in shape:
        n *= e
    return n


def assign(target: Tile, value: Any, fresh: bool) -> None:
    """target[...] = value."""
    from presil.nki.legacy import isa, language
    if not target.on_chip:
        raise _trace.refuse(f"{target!r} is in HBM and cannot be assigned to", "nl.store(tensor[...], tile)")
    if isinstance(value, (int, float)):
        flush()
        isa.fill(target, float(value))
        return
    if not isinstance(value, Tile):
        raise _trace.refuse(f"{type(value).__name__} is no tile and no number, for {target!r}")
    if fresh and isinstance(value, Result) and _direct(value, target):
        settle(value, target, value.emit)
        return
    mask = value.mask if isinstance(value, Result) else None
    if not value.on_chip:
        raise _trace.refuse(f"{value!r} is in HBM and cannot be assigned to a tile", "nl.load(tensor[...])")
    if value.shape != target.shape and value.size < target.size and value.ndim == target.ndim:
        value = value.repeated(target.shape)
    copied = language.copy(value, dtype=target.dtype, mask=mask)
    settle(copied, target, copied.emit)


def _direct(value: Result, target: Tile) -> bool:
    if target.buffer.memory not in value.into or (value.exact and value.dtype != target.dtype):
        return False
    for o in value.operands:
        if isinstance(o, Tile) and o.storage is target.storage and _partly_same(o, target):
            return False
    return True


def _partly_same(a: Tile, b: Tile) -> bool:
    if a.partition + a.shape[0] <= b.partition or b.partition + b.shape[0] <= a.partition:
        return False
    (a0, a1), (b0, b1) = _span(a), _span(b)
    if a1 <= b0 or b1 <= a0:
        return False
    return a.shape != b.shape or a.steps[1:] != b.steps[1:] or a.offset != b.offset or a.partition != b.partition


def _span(t: Tile) -> tuple[int, int]:
    """First and last element + 1 of a partition."""
    low = high = t.offset
    for extent, step in zip(t.shape[1:], t.steps[1:]):
        reach = step * (extent - 1)
        low, high = (low, high + reach) if reach > 0 else (low + reach, high)
    return low, high + 1


# --- masks and long views --------------------------------------------------------------------------------------------

_LOOPS = 4  # that an engine walks beside the partitions (docs/reference/isa.md)


def issue(call: Callable[..., Any], tiles: Sequence[Any], mask: Any = None, whole: Sequence[Any] = ()) -> None:
    """call(*tiles), for elements that correspond: where the mask holds, in as many instructions as their loops take.
    tiles[0] is written. `whole`: tiles that the mask does not clip, but that are touched."""
    for t in tiles[1:]:
        if isinstance(t, Tile) and isinstance(t.storage, Place) and t.storage.fill is not None:
            filled(t)
    for t in whole:
        if isinstance(t, Tile) and isinstance(t.storage, Place) and t.storage.fill is not None:
            filled(t)
    if mask is not None and not boxes(mask, tiles[0].shape):
        nothing_written(tiles[0])
        return
    overwritten(tiles[0], mask is None)
    rows = min((t.storage.rows - t.partition for t in tiles[1:] if isinstance(t, Tile) and isinstance(t.storage, Place)
                and t.storage.rows is not None), default=None)
    if rows is not None and rows < tiles[0].shape[0]:
        _first_rows(call, tiles, mask, rows)
        return
    if mask is None:
        for t in tiles:
            if isinstance(t, Tile):
                if t.loose:
                    _within(t, [(0, e) for e in t.shape])
                if t.loops() > _LOOPS:
                    _parted(call, tiles)
                    return
        call(*tiles)
        return
    for box in boxes(mask, tiles[0].shape):
        _parted(call, [clipped(t, box) if isinstance(t, Tile) else t for t in tiles])


def _first_rows(call: Callable[..., None], tiles: Sequence[Any], mask: Any, rows: int) -> None:
    """Where operands hold something. Of what that fills, as much is known as before."""
    target = tiles[0]
    for box in boxes(mask, target.shape):
        low, high = box[0][0], min(box[0][1], rows)
        if low < high:
            _parted(call, [clipped(t, ((low, high), *box[1:])) if isinstance(t, Tile) else t for t in tiles])
    if isinstance(target.storage, Place) and target.size == target.storage.partitions * target.storage.row_bytes // target.dtype.itemsize:
        target.storage.rows = max(rows, 0)


def boxes(mask: Any, shape: Sequence[int]) -> Sequence[Box]:
    if isinstance(mask, Mask):
        return list(mask.boxes(shape))
    if mask is None or (isinstance(mask, (bool, int)) and mask):
        return [tuple((0, e) for e in shape)]
    if isinstance(mask, (bool, int)):
        return []
    raise _trace.refuse(f"mask={mask!r}: {type(mask).__name__} is no mask", "compare index expressions")


def clipped(t: Tile, box: Box) -> Tile:
    shape, offset, partition = list(t.shape), t.offset, t.partition
    for d, (low, high) in enumerate(box[:t.ndim]):
        if shape[d] == 1 and high - low != 1:
            continue
        if shape[d] == 1 and low >= 1:
            continue
        shape[d] = high - low
        if d == 0 and t.on_chip:
            partition += low
        else:
            offset += low * t.steps[d]
    if t.loose:
        _within(t, list(box))
    if t.index is not None:
        rows = clipped(t.index, box[:1])  # type: ignore[arg-type]
        return Tile(t.storage, t.dtype, shape, t.steps, offset - box[0][0] * t.steps[0], 0, (), rows, t.table)
    return Tile(t.storage, t.dtype, shape, t.steps, offset, partition)


def _within(t: Tile, box: Sequence[tuple[int, int]]) -> None:
    for axis, extent, index in t.loose:
        low = high = index.constant
        for step, (a, b) in zip(index.steps, box):
            low += step * (a if step > 0 else b - 1)
            high += step * (b - 1 if step > 0 else a)
        if low < 0 or high >= extent:
            raise _trace.refuse(f"axis {axis} of '{t.storage.name}' has {extent} elements, the index takes {low} to {high}",
                                "mask= what lies outside")


def _parted(call: Callable[..., Any], tiles: Sequence[Any]) -> None:
    views = [t for t in tiles if isinstance(t, Tile)]
    if all(t.loops() <= _LOOPS for t in views):
        call(*tiles)
        return
    longest = max(views, key=lambda t: t.loops())
    axis = min((d for d in range(1, longest.ndim) if longest.shape[d] > 1), key=lambda d: longest.shape[d])
    for k in range(longest.shape[axis]):
        box = tuple((k, k + 1) if d == axis else (0, e) for d, e in enumerate(longest.shape))
        _parted(call, [clipped(t, box) if isinstance(t, Tile) else t for t in tiles])


# --- what a tile holds before anything writes it ---------------------------------------------------------------------

def nothing_written(target: Tile) -> None:
    """Where a mask holds nowhere: what reads a tile that nothing else wrote does nothing either."""
    p = target.storage
    if isinstance(p, Place) and not p.written and p.fill is None and not p.products:
        p.rows = 0


def overwritten(target: Any, whole: bool) -> None:
    """Before anything but a product writes."""
    p = target.storage if isinstance(target, Tile) else None
    if not isinstance(p, Place) or isinstance(target, Written):
        return
    if p.fill is not None:
        if whole and not p.products and target.size == p.partitions * p.row_bytes // target.dtype.itemsize:
            p.fill = None
        else:
            written_fill(p, target.dtype)
    p.written, p.rows = True, None


def filled(source: Tile) -> None:
    """Before a read of a tile that holds a number where nothing wrote it: writes the number, unless products cover all."""
    p = source.storage
    assert isinstance(p, Place)
    ranges = sorted(key[3:5] for key in p.products if key[1] == 0 and key[2] == p.partitions)
    at = 0
    for begin, end in ranges:
        at = max(at, end) if begin <= at else at
    if at >= p.row_bytes:
        p.fill = None
        return
    written_fill(p, source.dtype)


def written_fill(p: Place, dtype: DType) -> None:
    """Writes the number into the parts that no product has overwritten."""
    from presil.nki import isa
    value, p.fill, p.written = p.fill or 0.0, None, True
    tile = Tile(p, dtype, [p.partitions, p.row_bytes // dtype.itemsize], [p.row_bytes // dtype.itemsize, 1], 0)
    taken = sorted(key[3:5] for key in p.products)
    at = 0
    for begin, end in [*taken, (p.row_bytes, p.row_bytes)]:
        if begin > at:
            isa.memset(tile[:, at // dtype.itemsize:begin // dtype.itemsize], value)
        at = max(at, end)
    for key in p.products:  # products that do not reach every partition
        if key[2] < p.partitions:
            raise _trace.refuse(f"'{p.name}' is read where no product was added to its zeros", "fill it by nisa.memset first",
                                "unsupported")


def added(target: Tile) -> bool:
    """Before a product is added to a place: whether something is there to add to."""
    p = target.storage
    assert isinstance(p, Place)
    begin, end = _span(target)
    size = target.dtype.itemsize
    key = (p.ids[0], target.partition, target.shape[0], begin * size, end * size)
    if key in p.products or (p.written and p.fill is None):
        p.products[key] = None
        return True
    p.products[key] = None
    return False


def replaced(target: Tile) -> None:
    """Before a product overwrites a place."""
    p = target.storage
    if isinstance(p, Place):
        added(target)


class Blocks:
    """A tensor on chip with axes in front of its partitions: one tile per index of these."""

    def __init__(self, shape: Sequence[Any], tiles: dict[tuple[int, ...], Tile], lead: int) -> None:
        self.shape, self.tiles, self.lead = tuple(shape), tiles, lead
        some = next(iter(tiles.values()))
        self.dtype, self.buffer = some.dtype, some.buffer

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, index: Any) -> Any:
        items = list(index) if isinstance(index, tuple) else [index]
        if items and items[0] is Ellipsis and len(items) == 1:
            return self
        first = items[:self.lead]
        where = []
        for d, item in enumerate(first):
            if isinstance(item, Index) and item.limits()[0] == item.limits()[1]:
                item = item.constant
            if not hasattr(item, "__index__"):
                raise _trace.refuse(f"{item!r} of axis {d} before the partitions of {self!r}", "a number: one tile at a time")
            at = item.__index__()
            at += self.shape[d] if at < 0 else 0
            if not 0 <= at < self.shape[d]:
                raise _trace.refuse(f"axis {d} of {self!r} has {int(self.shape[d])} elements, the index takes {at}")
            where.append(at)
        if len(where) < self.lead:
            n = len(where)
            return Blocks(self.shape[n:], {k[n:]: t for k, t in self.tiles.items() if list(k[:n]) == where}, self.lead - n)
        tile = self.tiles[tuple(where)]
        rest = tuple(items[self.lead:])
        return tile[rest] if rest else tile

    def __setitem__(self, index: Any, value: Any) -> None:
        target = self[index]
        if value is target:
            return
        fresh = value is _pending() and sys.getrefcount(value) == _FRESH + 1
        if isinstance(target, Blocks):
            for t in target.tiles.values():
                assign(t, value, False)
            return
        if isinstance(value, Tile) and not isinstance(value, Result) and value.storage is target.storage and value.encoded() == target.encoded():
            return
        assign(target, value, fresh)

    def __repr__(self) -> str:
        return f"{next(iter(self.tiles.values())).storage.name}{[int(e) for e in self.shape]} {self.dtype} in {self.buffer}"


class _Count:
    """How many references an object has in __setitem__ that nothing but the statement `x[i] = f()` refers to."""

    seen = 0

    def __setitem__(self, index: Any, value: Any) -> None:
        type(self).seen = sys.getrefcount(value)


def _measured() -> int:
    _Count()[0] = object()
    return _Count.seen


_FRESH = _measured()  # the trace holds one more
