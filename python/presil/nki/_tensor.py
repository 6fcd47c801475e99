"""Tensors of a kernel: places in SBUF, PSUM or HBM, and views of them."""
from collections.abc import Iterator, Sequence
from typing import Any

from presil.nki import _trace
from presil.nki._affine import Affine, Slice, affine
from presil.nki._types import Buffer, DType, as_dtype


class Storage:
    """What was allocated: a tensor in HBM, a tile, or several tiles where PSUM's banks part one. `loops`: those on the
    device inside which it was."""

    def __init__(self, buffer: Buffer, ids: list[int], part_bytes: int, name: str) -> None:
        self.buffer, self.ids, self.part_bytes, self.name = buffer, ids, part_bytes, name
        self.accumulated: set[Any] = set()  # places that products were written to
        self.loops = tuple(_trace.current.loops) if _trace.current is not None else ()
        self.given = False  # by the caller


Moves = tuple[tuple[int, int], ...]


class Tensor:
    """A view. On chip dimension 0 counts partitions, and steps of the others are elements of a partition; in HBM all steps
    are elements.

    moves: (register, bytes) by which it lies further. index: of each row of a table in HBM, whose rows are `table` = (step,
    count); dimension 0 then counts indices."""

    def __init__(self, storage: Storage, dtype: DType, shape: Sequence[int], steps: Sequence[int], offset: int,
                 partition: int = 0, moves: Moves = (), index: "Tensor | None" = None, table: tuple[int, int] = (0, 0)) -> None:
        self.storage, self.dtype = storage, dtype
        self.shape, self.steps = tuple(shape), tuple(steps)
        self.offset = offset  # elements
        self.partition = partition
        self.moves, self.index, self.table = moves, index, table

    def _like(self, shape: Sequence[int], steps: Sequence[int], offset: int | None = None, partition: int | None = None,
              moves: Moves | None = None) -> "Tensor":
        return Tensor(self.storage, self.dtype, shape, steps, self.offset if offset is None else offset,
                      self.partition if partition is None else partition, self.moves if moves is None else moves, self.index,
                      self.table)

    # --- what kernels ask -------------------------------------------------------------------------------------------
    @property
    def buffer(self) -> Buffer:
        return self.storage.buffer

    @property
    def name(self) -> str:
        return self.storage.name

    @property
    def strides(self) -> tuple[int, ...]:
        return self.steps

    @property
    def on_chip(self) -> bool:
        return self.storage.buffer.memory != "hbm"

    @property
    def _fixed(self) -> int:
        """Leading dimensions that are no loops: partitions, or indices."""
        return 1 if self.on_chip or self.index is not None else 0

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        n = 1
        for extent in self.shape:
            n *= extent
        return n

    def is_contiguous(self) -> bool:
        """Whether the elements lie row-major, on chip those of each partition."""
        step = 1
        for extent, own in reversed(list(zip(self.shape, self.steps))[self._fixed:]):
            if extent != 1 and own != step:
                return False
            step *= extent
        return True

    def is_indirect(self) -> bool:
        return self.index is not None or bool(self.moves)

    def get_pattern(self) -> list[list[int]]:
        """[step, count] of each dimension."""
        return [[step, count] for step, count in zip(self.steps, self.shape)]

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator["Tensor"]:
        raise _trace.refuse("a tensor is not a sequence of tensors", "index it")

    def __bool__(self) -> bool:
        raise _trace.refuse("a value that is only known when the kernel runs decides nothing while it is traced")

    def __setitem__(self, key: Any, value: Any) -> None:
        raise _trace.refuse("a tensor is written by instructions", "nisa.tensor_copy(tensor[...], value) or nl.store")

    def __repr__(self) -> str:
        return f"{self.storage.name}{list(self.shape)} {self.dtype} in {self.buffer}"

    # --- views ------------------------------------------------------------------------------------------------------
    def __getitem__(self, index: Any) -> "Tensor":
        items = list(index) if isinstance(index, tuple) else [index]
        dots = [k for k, item in enumerate(items) if item is Ellipsis]
        if dots:
            items[dots[0]:dots[0] + 1] = [slice(None)] * (self.ndim - (len(items) - 1))
        if len(items) > self.ndim:
            raise _trace.refuse(f"{len(items)} indices for {self!r}")
        shape: list[int] = []
        steps: list[int] = []
        offset, partition, moves = self.offset, self.partition, self.moves
        for d, extent in enumerate(self.shape):
            item = items[d] if d < len(items) else slice(None)
            start, count, step, keep = _indices(item, extent, self, d)
            if d == 0 and self._fixed:
                if (step != 1 and count > 1) or start.terms or (self.index is not None and (start.constant, count) != (0, extent)):
                    raise _trace.refuse(f"{'partitions' if self.on_chip else 'indices'} have no steps: {item} of {self!r}"
                                        if not start.terms else f"partition {start!r} of {self!r} is not known while it is traced")
                partition += start.constant
                keep = True
            else:
                offset += start.constant * self.steps[d]
                moves += tuple((register, factor * self.steps[d] * self.dtype.itemsize) for register, factor in start.terms)
            if keep:
                shape.append(count)
                steps.append(self.steps[d] * step)
        while len(shape) < 1 + self._fixed:
            shape.append(1)
            steps.append(1)
        return self._like(shape, steps, offset, partition, moves)

    def slice(self, dim: int, start: int, end: int, step: int = 1) -> "Tensor":
        """[start:end:step] of one dimension."""
        dim = self._axis("slice", dim)
        if not 0 <= start < end <= self.shape[dim] or step < 1:
            raise _trace.refuse(f"slice: {start} to {end} by {step} of axis {dim} of {self!r}", "0 <= start < end <= extent, step >= 1")
        return self[(slice(None),) * dim + (slice(start, end, step),)]

    def select(self, dim: int, index: Any) -> "Tensor":
        """One place of a dimension, which goes. index: a number, a register, or a tensor of one element."""
        dim = self._axis("select", dim)
        if isinstance(index, Tensor):
            if self.is_indirect():
                raise _trace.refuse(f"select: {self!r} is addressed by a register or indices already")
            from presil.nki._registers import register_alloc
            index = register_alloc(index)
        return self[(slice(None),) * dim + (index,)]

    def vector_select(self, dim: int, vector_offset: "Tensor") -> "Tensor":
        """Rows of a tensor in HBM, one for each of the indices."""
        if dim != 0 or self.on_chip or self.is_indirect() or self.ndim < 2:
            raise _trace.refuse(f"vector_select: axis {dim} of {self!r}", "axis 0 of a tensor in HBM that nothing else addresses")
        shape = (vector_offset.shape[0], *self.shape[1:])
        return Tensor(self.storage, self.dtype, shape, self.steps, self.offset, 0, (), _indexed(self, vector_offset),
                      (self.steps[0], self.shape[0]))

    def indirect(self, index: "Tensor", num_elem: int | None = None) -> "Tensor":
        raise _trace.refuse("operands whose elements an index in SBUF names are not there yet", "nc_n_gather, local_gather", "unsupported")

    def reshape(self, shape: Sequence[int]) -> "Tensor":
        """The same elements in the same order; on chip partitions stay partitions."""
        wanted = _sized(list(shape), self.size, self)
        first = self._fixed
        count = 1
        for extent in wanted:
            count *= extent
        if count != self.size or (first and wanted[0] != self.shape[0]):
            raise _trace.refuse(f"{self!r} cannot become {wanted}")
        steps = _regroup(list(zip(self.shape[first:], self.steps[first:])), wanted[first:])
        if steps is None:
            raise _trace.refuse(f"{self!r} cannot become {wanted} without moving elements", "copy it first")
        return self._like(wanted, list(self.steps[:first]) + steps)

    def reshape_dim(self, dim: int, shape: Sequence[int]) -> "Tensor":
        """One dimension as several."""
        dim = self._axis("reshape_dim", dim)
        wanted = _sized(list(shape), self.shape[dim], self)
        steps = _regroup([(self.shape[dim], self.steps[dim])], wanted)
        if steps is None or (dim < self._fixed and wanted != [self.shape[dim]]):
            raise _trace.refuse(f"axis {dim} of {self!r} cannot become {wanted}")
        return self._like([*self.shape[:dim], *wanted, *self.shape[dim + 1:]], [*self.steps[:dim], *steps, *self.steps[dim + 1:]])

    def flatten_dims(self, start_dim: int, end_dim: int) -> "Tensor":
        """Dimensions start_dim to end_dim as one."""
        a, b = self._axis("flatten_dims", start_dim), self._axis("flatten_dims", end_dim)
        count = 1
        for extent in self.shape[a:b + 1]:
            count *= extent
        steps = _regroup(list(zip(self.shape[a:b + 1], self.steps[a:b + 1])), [count]) if a <= b else None
        if steps is None or (a < self._fixed and a != b):
            raise _trace.refuse(f"axes {start_dim} to {end_dim} of {self!r} cannot become one without moving elements", "copy it first")
        if a == b:
            return self
        return self._like([*self.shape[:a], count, *self.shape[b + 1:]], [*self.steps[:a], *steps, *self.steps[b + 1:]])

    def rearrange(self, src_pattern: Sequence[Any], dst_pattern: Sequence[Any], fixed_sizes: dict[str, int] | None = None) -> "Tensor":
        """Splits, reorders and merges dimensions by name: (("b", ("h", "w")), ("b", "w", "h"), {"h": 4})."""
        groups = [[one] if isinstance(one, str) else list(one) for one in src_pattern]
        names = [name for group in groups for name in group]
        wanted = [name for one in dst_pattern for name in ([one] if isinstance(one, str) else one)]
        if len(groups) != self.ndim or len(set(names)) != len(names) or sorted(names) != sorted(wanted):
            raise _trace.refuse(f"rearrange: {src_pattern} to {dst_pattern} of {self!r}", "a name for each axis, on both sides the same")
        view, sizes = self, dict(fixed_sizes or {})
        for d, group in reversed(list(enumerate(groups))):
            view = view.reshape_dim(d, [sizes.get(name, -1) for name in group]) if len(group) != 1 else view
        view = view.permute([names.index(name) for name in wanted])
        at = 0
        for one in dst_pattern:
            parts = 1 if isinstance(one, str) else len(one)
            view = view.flatten_dims(at, at + parts - 1) if parts > 1 else view
            at += 1
        return view

    def permute(self, axes: Sequence[int]) -> "Tensor":
        if sorted(axes) != list(range(self.ndim)) or (self._fixed and axes[0] != 0):
            raise _trace.refuse(f"{list(axes)} is no order of the axes of {self!r}, partitions first on chip")
        return self._like([self.shape[a] for a in axes], [self.steps[a] for a in axes])

    def expand_dim(self, axis: int) -> "Tensor":
        if not self._fixed <= axis <= self.ndim:
            raise _trace.refuse(f"expand_dim: no axis can be put at {axis} of {self!r}")
        shape, steps = list(self.shape), list(self.steps)
        shape.insert(axis, 1)
        steps.insert(axis, 1)
        return self._like(shape, steps)

    def squeeze_dim(self, dim: int) -> "Tensor":
        dim = self._axis("squeeze_dim", dim)
        if self.shape[dim] != 1 or dim < self._fixed:
            raise _trace.refuse(f"squeeze_dim: axis {dim} of {self!r}", "a free axis of extent 1")
        return self._like([*self.shape[:dim], *self.shape[dim + 1:]], [*self.steps[:dim], *self.steps[dim + 1:]])

    def broadcast(self, axis: int, extent: int) -> "Tensor":
        axis = self._axis("broadcast", axis)
        if self.shape[axis] != 1 or axis < self._fixed:
            raise _trace.refuse(f"axis {axis} of {self!r} cannot be repeated {extent} times", "only free axes of extent 1 can")
        shape, steps = list(self.shape), list(self.steps)
        shape[axis], steps[axis] = extent, 0
        return self._like(shape, steps)

    def view(self, dtype: Any) -> "Tensor":
        """The same bytes as elements of another type."""
        kind, old = as_dtype(dtype), self.dtype.itemsize
        new = kind.itemsize
        shape, steps = list(self.shape), list(self.steps)
        fits = self.index is None and (shape[-1] == 1 or steps[-1] == 1) and self.ndim > self._fixed
        if new != old and not fits:
            raise _trace.refuse(f"view: the last axis of {self!r} does not lie in one piece")
        shape[-1], scaled = shape[-1] * old // new, [step * old // new for step in steps]
        exact = self.shape[-1] * old % new == 0 and self.offset * old % new == 0
        if not exact or any(step * old % new for step, extent in zip(steps[:-1], shape[:-1]) if extent > 1):
            raise _trace.refuse(f"view: {self!r} is no whole number of {kind}")
        scaled[-1] = steps[-1] if new == old else 1
        return Tensor(self.storage, kind, shape, scaled, self.offset * old // new, self.partition, self.moves, self.index, self.table)

    reinterpret_cast = view

    def ap(self, pattern: Sequence[Sequence[int]], offset: int | None = None, scalar_offset: Any = None,
           vector_offset: "Tensor | None" = None, indirect_dim: int = 0, dtype: Any = None) -> "Tensor":
        """An access pattern: [step, count] pairs, the first one's over partitions on chip. scalar_offset, a register or a
        tensor of one element, moves it by steps of dimension indirect_dim; vector_offset names a row for each of the first
        pair's count."""
        kind, old = self.dtype if dtype is None else as_dtype(dtype), self.dtype.itemsize
        new = kind.itemsize
        steps, shape = [int(p[0]) for p in pattern], [int(p[1]) for p in pattern]
        if self.offset * old % new or not shape:
            raise _trace.refuse(f"ap: {self!r} does not begin at a whole number of {kind}")
        start, partition, moves = offset or 0, self.partition, self.moves
        if self.on_chip:
            row = self.steps[0] * old // new or 1
            if shape[0] > 1 and steps[0] != row:
                raise _trace.refuse(f"ap: partitions are {row} elements apart in {self!r}, the pattern says {steps[0]}")
            partition, start = partition + start // row, start % row
        if scalar_offset is not None and vector_offset is not None:
            raise _trace.refuse("ap: scalar_offset and vector_offset", "one of them")
        view = Tensor(self.storage, kind, shape, steps, self.offset * old // new + start, partition, moves, self.index, self.table)
        if vector_offset is not None:
            if self.on_chip or self.is_indirect() or indirect_dim != 0:
                raise _trace.refuse(f"ap: rows of {self!r} by index", "a tensor in HBM, indirect_dim=0")
            view.index, view.table = _indexed(self, vector_offset), (self.steps[0] * old // new, self.shape[0])
        if scalar_offset is not None:
            view.moves += self._moved(scalar_offset, self._axis("ap", indirect_dim))
        return view

    def _moved(self, by: Any, dim: int) -> Moves:
        from presil.nki._registers import register_alloc
        if self.on_chip and dim == 0:
            raise _trace.refuse(f"ap: a partition of {self!r} is not known while it is traced", "indirect_dim >= 1 on chip")
        number = affine(register_alloc(by) if isinstance(by, Tensor) else by)
        return tuple((register, factor * self.steps[dim] * self.dtype.itemsize) for register, factor in number.terms)

    def _axis(self, what: str, dim: int) -> int:
        if not -self.ndim <= dim < self.ndim:
            raise _trace.refuse(f"{what}: {self!r} has no axis {dim}")
        return dim % self.ndim

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
    def encoded(self) -> tuple[Any, ...]:
        """As presil._core takes it: memory, dtype, base, partition, partitions, byte offset, then step and count; with
        registers around it if it moves."""
        return self._encoded(_merged(list(zip(self.steps[self._fixed:], self.shape[self._fixed:]))))

    def parted(self, last: int) -> tuple["Encoded", int]:
        """The view with its last axes as loops of their own, and how many these are."""
        loops = list(zip(self.steps, self.shape))
        inner = _merged(loops[self.ndim - last:]) or [(1, 1)]
        return Encoded(self, self._encoded(_merged(loops[self._fixed:self.ndim - last]) + inner)), len(inner)

    def looped(self, counts: Sequence[int]) -> "Encoded | None":
        """The free elements as loops of these counts; None where they do not lie so."""
        steps = _regroup(list(zip(self.shape[1:], self.steps[1:])), counts)
        return None if steps is None else Encoded(self, self._encoded(list(zip(steps, counts))))

    def _encoded(self, dims: list[tuple[int, int]]) -> tuple[Any, ...]:
        if self.index is not None:
            dims = [self.table, *dims]
        if len(dims) > 5:
            raise _trace.refuse(f"{self!r} needs {len(dims)} loops, a view has at most 5")
        offset = self.offset * self.dtype.itemsize
        base = self.storage.ids[0]
        if len(self.storage.ids) > 1:
            if self.moves:
                raise _trace.refuse(f"{self!r} lies in several banks of PSUM, where a register moves it", "a tile of one bank")
            part = offset // self.storage.part_bytes
            base, offset = self.storage.ids[part], offset % self.storage.part_bytes
        partitions = self.shape[0] if self.on_chip else 1
        flat = [x for step_count in dims for x in step_count]
        plain = (self.buffer.number, self.dtype.number, base, self.partition, partitions, offset, *flat)
        return (plain, *(x for move in self.moves for x in move)) if self.moves else plain


class Encoded:
    """A tensor whose loops were chosen."""

    def __init__(self, tensor: Tensor, encoded: tuple[Any, ...]) -> None:
        self.tensor, self._tuple = tensor, encoded

    def encoded(self) -> tuple[Any, ...]:
        return self._tuple


def _indexed(table: Tensor, index: Any) -> Tensor:
    """An index as an operand: one number for each partition."""
    if not isinstance(index, Tensor) or index.buffer.memory != "sbuf":
        raise _trace.refuse(f"{index!r} names no rows of {table!r}", "a tensor of whole numbers in SBUF, one for each partition")
    return index


def _sized(shape: list[int], size: int, tensor: Tensor) -> list[int]:
    """`shape` with its -1 filled in."""
    known = 1
    for extent in shape:
        known *= extent if extent != -1 else 1
    wanted = [size // known if extent == -1 and known else extent for extent in shape]
    count = 1
    for extent in wanted:
        count *= extent
    if shape.count(-1) > 1 or count != size or min(wanted, default=1) < 1:
        raise _trace.refuse(f"{tensor!r} cannot become {shape}")
    return wanted


def _indices(item: Any, extent: int, tensor: Tensor, axis: int) -> tuple[Affine, int, int, bool]:
    """Start, count, step, and whether the axis stays."""
    if isinstance(item, Slice):
        start, count, step, keep = affine(item.start), int(item.size), 1, True
    elif isinstance(item, slice):
        start, count, step = _bounds(item, extent, tensor)
        keep = True
    elif isinstance(item, Affine) or hasattr(item, "__index__"):
        start, count, step, keep = affine(item), 1, 1, False
        if not start.terms and start.constant < 0:
            start = start + extent
    else:
        raise _trace.refuse(f"{item!r} is no index", "a number, a register, a slice or nl.ds(start, size)")
    if start.terms and count >= 1:
        return start, count, step, keep  # where it ends is checked with the values of its registers
    first, last = start.constant, start.constant + (count - 1) * step
    if count < 1 or first < 0 or last >= extent:
        raise _trace.refuse(f"axis {axis} of {tensor!r} has {extent} elements, the index takes {first} to {last}")
    return start, count, step, keep


def _bounds(item: Any, extent: int, tensor: Tensor) -> tuple[Affine, int, int]:
    step = 1 if item.step is None else int(item.step)
    if step < 1:
        raise _trace.refuse(f"step {step} of an index into {tensor!r}", "a step of at least 1")
    if isinstance(item.start, Affine) or isinstance(item.stop, Affine):
        start, stop = affine(0 if item.start is None else item.start), affine(extent if item.stop is None else item.stop)
        left: dict[int, int] = {}
        for register, factor in (stop - start).terms:
            left[register] = left.get(register, 0) + factor
        if any(left.values()):
            raise _trace.refuse(f"an index of {tensor!r} takes {start!r} to {stop!r}, whose number is not known while it is traced",
                                "nl.ds(start, size)")
        return start, (stop.constant - start.constant + step - 1) // step, step
    if item.stop is not None and item.stop > extent:
        first, end = int(item.start or 0), int(item.stop)
    else:
        first, end, step = item.indices(extent)
    return affine(first), max(0, (end - first + step - 1) // step), step


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
