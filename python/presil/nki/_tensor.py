"""Tensors of a kernel: places in SBUF, PSUM or HBM, and views of them."""
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from presil.nki import _trace
from presil.nki._types import Buffer, DType


@dataclass(frozen=True)
class Slice:
    """nl.ds(start, size)."""

    start: int
    size: int


class Storage:
    """What was allocated: a tensor in HBM, a tile, or several tiles where PSUM's banks part one."""

    def __init__(self, buffer: Buffer, ids: list[int], part_bytes: int, name: str) -> None:
        self.buffer, self.ids, self.part_bytes, self.name = buffer, ids, part_bytes, name


class Tensor:
    """A view. On chip dimension 0 counts partitions, and steps of the others are elements of a partition; in HBM all steps
    are elements."""

    def __init__(self, storage: Storage, dtype: DType, shape: Sequence[int], steps: Sequence[int], offset: int,
                 partition: int = 0) -> None:
        self.storage, self.dtype = storage, dtype
        self.shape, self.steps = tuple(shape), tuple(steps)
        self.offset = offset  # elements
        self.partition = partition

    # --- what kernels ask -------------------------------------------------------------------------------------------
    @property
    def buffer(self) -> Buffer:
        return self.storage.buffer

    @property
    def on_chip(self) -> bool:
        return self.storage.buffer.memory != "hbm"

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        n = 1
        for extent in self.shape:
            n *= extent
        return n

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator["Tensor"]:
        raise _trace.refuse("a tensor is not a sequence of tensors", "index it")

    def __bool__(self) -> bool:
        raise _trace.refuse("a value that is only known when the kernel runs decides nothing while it is traced")

    def __repr__(self) -> str:
        return f"{self.storage.name}{list(self.shape)} {self.dtype} in {self.buffer}"

    # --- views ------------------------------------------------------------------------------------------------------
    def __getitem__(self, index: Any) -> "Tensor":
        items = list(index) if isinstance(index, tuple) else [index]
        if Ellipsis in items:
            at = items.index(Ellipsis)
            items[at:at + 1] = [slice(None)] * (self.ndim - (len(items) - 1))
        if len(items) > self.ndim:
            raise _trace.refuse(f"{len(items)} indices for {self!r}")
        shape: list[int] = []
        steps: list[int] = []
        offset, partition = self.offset, self.partition
        for d, extent in enumerate(self.shape):
            start, count, step, keep = _indices(items[d] if d < len(items) else slice(None), extent, self, d)
            if d == 0 and self.on_chip:
                if step != 1 and count > 1:
                    raise _trace.refuse(f"partitions have no steps: {items[d]} of {self!r}")
                partition += start
                keep = True
            else:
                offset += start * self.steps[d]
            if keep:
                shape.append(count)
                steps.append(self.steps[d] * step)
        return Tensor(self.storage, self.dtype, shape, steps, offset, partition)

    def reshape(self, shape: Sequence[int]) -> "Tensor":
        """The same elements in the same order; on chip partitions stay partitions."""
        wanted = list(shape)
        known = 1
        for extent in wanted:
            known *= extent if extent != -1 else 1
        wanted = [self.size // known if extent == -1 else extent for extent in wanted]
        count = 1
        for extent in wanted:
            count *= extent
        if count != self.size or (self.on_chip and wanted[0] != self.shape[0]):
            raise _trace.refuse(f"{self!r} cannot become {wanted}")
        first = 1 if self.on_chip else 0
        steps = _regroup(list(zip(self.shape[first:], self.steps[first:])), wanted[first:])
        if steps is None:
            raise _trace.refuse(f"{self!r} cannot become {wanted} without moving elements", "copy it first")
        return Tensor(self.storage, self.dtype, wanted, list(self.steps[:first]) + steps, self.offset, self.partition)

    def permute(self, axes: Sequence[int]) -> "Tensor":
        if sorted(axes) != list(range(self.ndim)) or (self.on_chip and axes[0] != 0):
            raise _trace.refuse(f"{list(axes)} is no order of the axes of {self!r}, partitions first on chip")
        return Tensor(self.storage, self.dtype, [self.shape[a] for a in axes], [self.steps[a] for a in axes], self.offset,
                      self.partition)

    def expand_dim(self, axis: int) -> "Tensor":
        shape, steps = list(self.shape), list(self.steps)
        shape.insert(axis, 1)
        steps.insert(axis, 1)
        return Tensor(self.storage, self.dtype, shape, steps, self.offset, self.partition)

    def broadcast(self, axis: int, extent: int) -> "Tensor":
        if self.shape[axis] != 1 or (self.on_chip and axis == 0):
            raise _trace.refuse(f"axis {axis} of {self!r} cannot be repeated {extent} times", "only free axes of extent 1 can")
        shape, steps = list(self.shape), list(self.steps)
        shape[axis], steps[axis] = extent, 0
        return Tensor(self.storage, self.dtype, shape, steps, self.offset, self.partition)

    def ap(self, pattern: Sequence[Sequence[int]], offset: int = 0, dtype: Any = None) -> "Tensor":
        """An access pattern: [step, count] pairs, the first one's over partitions on chip."""
        from presil.nki._types import as_dtype
        kind = self.dtype if dtype is None else as_dtype(dtype)
        if kind.itemsize != self.dtype.itemsize:
            raise _trace.refuse(f"ap: {kind} does not have the size of {self.dtype}", code="unsupported")
        steps, shape = [p[0] for p in pattern], [p[1] for p in pattern]
        partition = self.partition
        if self.on_chip:
            row = self.steps[0] or 1
            partition, offset = partition + offset // row, offset % row
        return Tensor(self.storage, kind, shape, steps, self.offset + offset, partition)

    # --- arithmetic -------------------------------------------------------------------------------------------------
    def _binary(self, name: str, other: Any, swapped: bool = False) -> Any:
        from presil.nki import language
        function = getattr(language, name)
        return function(other, self) if swapped else function(self, other)

    def __add__(self, other: Any) -> Any:
        return self._binary("add", other)

    def __radd__(self, other: Any) -> Any:
        return self._binary("add", other, True)

    def __sub__(self, other: Any) -> Any:
        return self._binary("subtract", other)

    def __rsub__(self, other: Any) -> Any:
        return self._binary("subtract", other, True)

    def __mul__(self, other: Any) -> Any:
        return self._binary("multiply", other)

    def __rmul__(self, other: Any) -> Any:
        return self._binary("multiply", other, True)

    # --- operands ---------------------------------------------------------------------------------------------------
    def view(self) -> tuple[int, ...]:
        """As presil._core takes it: memory, dtype, base, partition, partitions, byte offset, then step and count."""
        first = 1 if self.on_chip else 0
        return self._encoded(_merged(list(zip(self.steps[first:], self.shape[first:]))))

    def parted(self, last: int) -> tuple["Encoded", int]:
        """The view with its last axes as loops of their own, and how many these are."""
        loops = list(zip(self.steps, self.shape))
        inner = _merged(loops[self.ndim - last:]) or [(1, 1)]
        return Encoded(self, self._encoded(_merged(loops[1:self.ndim - last]) + inner)), len(inner)

    def looped(self, counts: Sequence[int]) -> "Encoded | None":
        """The free elements as loops of these counts; None where they do not lie so."""
        steps = _regroup(list(zip(self.shape[1:], self.steps[1:])), counts)
        return None if steps is None else Encoded(self, self._encoded(list(zip(steps, counts))))

    def _encoded(self, dims: list[tuple[int, int]]) -> tuple[int, ...]:
        if len(dims) > 5:
            raise _trace.refuse(f"{self!r} needs {len(dims)} loops, a view has at most 5")
        offset = self.offset * self.dtype.itemsize
        base = self.storage.ids[0]
        if len(self.storage.ids) > 1:
            part = offset // self.storage.part_bytes
            base, offset = self.storage.ids[part], offset % self.storage.part_bytes
        partitions = self.shape[0] if self.on_chip else 1
        flat = [x for step_count in dims for x in step_count]
        return (self.buffer.number, self.dtype.number, base, self.partition, partitions, offset, *flat)


class Encoded:
    """A tensor whose loops were chosen."""

    def __init__(self, tensor: Tensor, encoded: tuple[int, ...]) -> None:
        self.tensor, self._tuple = tensor, encoded

    def view(self) -> tuple[int, ...]:
        return self._tuple


def _indices(item: Any, extent: int, tensor: Tensor, axis: int) -> tuple[int, int, int, bool]:
    """Start, count, step, and whether the axis stays."""
    if isinstance(item, Slice):
        start, count, step, keep = int(item.start), int(item.size), 1, True
    elif isinstance(item, slice):
        start, stop, step = item.indices(extent) if item.stop is None or item.stop <= extent else (item.start or 0, item.stop, item.step or 1)
        count, keep = max(0, (stop - start + step - 1) // step), True
    elif hasattr(item, "__index__"):
        start, count, step, keep = item.__index__(), 1, 1, False
        start += extent if start < 0 else 0
    else:
        raise _trace.refuse(f"{item!r} is no index", "a number, a slice or nl.ds(start, size)")
    last = start + (count - 1) * step
    if count < 1 or start < 0 or last >= extent:
        raise _trace.refuse(f"axis {axis} of {tensor!r} has {extent} elements, the index takes {start} to {last}")
    return start, count, step, keep


def _merged(dims: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Fewest (step, count) loops that visit the same elements in the same order."""
    out: list[tuple[int, int]] = []
    for step, count in dims:
        if count == 1:
            continue
        if out and out[-1][0] == step * count:
            out[-1] = (step, out[-1][1] * count)
        else:
            out.append((step, count))
    return out


def _regroup(axes: list[tuple[int, int]], shape: Sequence[int]) -> list[int] | None:
    """Steps of `shape` over elements that lie as `axes` (extent, step) say; None where an axis would need two."""
    loops = [[count, step] for step, count in _merged([(step, extent) for extent, step in axes])]
    steps: list[int] = []
    for extent in reversed(shape):
        if extent == 1:
            steps.append(1)
            continue
        if not loops or loops[-1][0] % extent != 0:
            return None
        steps.append(loops[-1][1])
        loops[-1] = [loops[-1][0] // extent, loops[-1][1] * extent]
        if loops[-1][0] == 1:
            loops.pop()
    return list(reversed(steps))
