"""Index expressions of the older interface: nl.arange, nl.mgrid, their affine combinations, and masks over them."""
from collections.abc import Iterator, Sequence
from typing import Any

from presil.nki import _trace

_UNROLLED = 1024  # instructions that one mask may become

Box = tuple[tuple[int, int], ...]


class Index:
    """constant + sum of steps[d] * i_d for i_d in range(shape[d]): which element of an axis each element of a tile is."""

    __slots__ = ("constant", "shape", "steps")

    def __init__(self, shape: tuple[int, ...], steps: tuple[int, ...], constant: int) -> None:
        self.shape, self.steps, self.constant = shape, steps, constant

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def limits(self) -> tuple[int, int]:
        """Smallest and largest value."""
        low = high = self.constant
        for extent, step in zip(self.shape, self.steps):
            reach = step * (extent - 1)
            low, high = (low, high + reach) if reach > 0 else (low + reach, high)
        return low, high

    def __getitem__(self, items: Any) -> "Index":
        """None adds an axis, `:` and `...` keep axes."""
        items = items if isinstance(items, tuple) else (items,)
        shape: list[int] = []
        steps: list[int] = []
        at = 0
        for item in items:
            if item is None:
                shape.append(1)
                steps.append(0)
            elif item is Ellipsis or (isinstance(item, slice) and item == slice(None)):
                last = len(self.shape) - sum(i is not None for i in items) + 1 if item is Ellipsis else 1
                for _ in range(last):
                    shape.append(self.shape[at])
                    steps.append(self.steps[at])
                    at += 1
            else:
                raise _trace.refuse(f"{item!r} of an index expression", "only None, `:` and `...`")
        return Index(tuple(shape) + self.shape[at:], tuple(steps) + self.steps[at:], self.constant)

    def _combined(self, other: Any, sign: int) -> Any:
        if isinstance(other, Index):
            n = max(len(self.shape), len(other.shape))
            a, b = spread(self, n), spread(other, n)
            return Index(joined(a.shape, b.shape), tuple(s + sign * t for s, t in zip(a.steps, b.steps)),
                         a.constant + sign * b.constant)
        if hasattr(other, "__index__"):
            return Index(self.shape, self.steps, self.constant + sign * other.__index__())
        return NotImplemented

    def __add__(self, other: Any) -> Any:
        return self._combined(other, 1)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._combined(other, -1)

    def __rsub__(self, other: Any) -> Any:
        return self * -1 + other

    def __neg__(self) -> Any:
        return self * -1

    def __mul__(self, other: Any) -> Any:
        if not hasattr(other, "__index__"):
            raise _trace.refuse(f"an index expression times {other!r}", "index expressions are affine: times integers only")
        by = other.__index__()
        return Index(self.shape, tuple(s * by for s in self.steps), self.constant * by)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        raise _trace.refuse("index expressions are affine, `//` is not", "use one nl.arange per digit", "unsupported")

    def __mod__(self, other: Any) -> Any:
        raise _trace.refuse("index expressions are affine, `%` is not", "use one nl.arange per digit", "unsupported")

    def __ge__(self, other: Any) -> "Mask":
        return Mask((self - other,))

    def __gt__(self, other: Any) -> "Mask":
        return Mask((self - other - 1,))

    def __le__(self, other: Any) -> "Mask":
        return Mask((other - self,))

    def __lt__(self, other: Any) -> "Mask":
        return Mask((other - self - 1,))

    def __eq__(self, other: Any) -> Any:
        if not isinstance(other, Index) and not hasattr(other, "__index__"):
            return NotImplemented
        return Mask((self - other, other - self), equal=True)

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise _trace.refuse("an index expression has many values, it decides nothing while the kernel is traced")

    def __repr__(self) -> str:
        terms = [f"{s}*i{d}" for d, s in enumerate(self.steps) if s]
        return " + ".join([*terms, str(self.constant)])


class Mask:
    """Where all of some affine expressions are at least 0; equal: the two expressions are one's two signs."""

    __slots__ = ("conditions", "equal")

    def __init__(self, conditions: tuple[Index, ...], equal: bool = False) -> None:
        self.conditions, self.equal = conditions, equal

    def __and__(self, other: Any) -> "Mask":
        if isinstance(other, Mask):
            return Mask(self.conditions + other.conditions)
        return self if other else Mask((Index((), (), -1),))

    __rand__ = __and__

    def __or__(self, other: Any) -> Any:
        raise _trace.refuse("masks are combined by & only", code="unsupported")

    __ror__ = __or__

    def __bool__(self) -> bool:
        raise _trace.refuse("a mask has a value per element, it decides nothing while the kernel is traced",
                            "combine masks by &, not by `and`")

    def boxes(self, shape: Sequence[int]) -> Iterator[Box]:
        """Where the mask holds in a tile of this shape, as ranges per axis; conditions over several axes part it."""
        n = len(shape)
        conditions = [spread(c, n) if len(c.shape) <= n else _narrowed(c, n) for c in self.conditions]
        for c in conditions:
            if any(e not in (1, s) and step for e, s, step in zip(c.shape, shape, c.steps)):
                raise _trace.refuse(f"a mask over {list(c.shape)} elements for a tile of {list(shape)}")
        boxes = list(_cut(conditions, [(0, e) for e in shape]))
        if len(boxes) > _UNROLLED:
            raise _trace.refuse(f"a mask that takes {len(boxes)} instructions, at most {_UNROLLED}", code="unsupported")
        return iter(boxes)


def spread(index: Index, n: int) -> Index:
    """With n axes, new ones of extent 1 in front."""
    missing = n - len(index.shape)
    return index if missing == 0 else Index((1,) * missing + index.shape, (0,) * missing + index.steps, index.constant)


def joined(a: Sequence[int], b: Sequence[int]) -> tuple[int, ...]:
    """The shape that two shapes of as many axes are repeated to."""
    for x, y in zip(a, b):
        if x != y and x != 1 and y != 1:
            raise _trace.refuse(f"index expressions of shapes {list(a)} and {list(b)} do not fit", "add axes by None")
    return tuple(y if x == 1 else x for x, y in zip(a, b))


def _narrowed(index: Index, n: int) -> Index:
    """Without axes of extent 1, for a tile that has fewer."""
    kept = [d for d, e in enumerate(index.shape) if e > 1]
    if len(kept) > n:
        raise _trace.refuse(f"a mask over {list(index.shape)} elements for a tile of {n} axes")
    kept = sorted(kept + [d for d in range(len(index.shape)) if d not in kept][:n - len(kept)])
    return Index(tuple(index.shape[d] for d in kept), tuple(index.steps[d] for d in kept), index.constant)


def _cut(conditions: list[Index], box: list[tuple[int, int]]) -> Iterator[Box]:
    box = list(box)
    left = []
    for c in conditions:
        used = [d for d, s in enumerate(c.steps) if s and box[d][1] - box[d][0] > 1]
        rest = c.constant + sum(s * box[d][0] for d, s in enumerate(c.steps) if s and d not in used)
        if not used:
            if rest < 0:
                return
        elif len(used) == 1:
            low, high = box[used[0]]
            step = c.steps[used[0]]  # rest + step * i >= 0
            box[used[0]] = (max(low, -(rest // step)), high) if step > 0 else (low, min(high, rest // -step + 1))
            if box[used[0]][0] >= box[used[0]][1]:
                return
        else:
            left.append(c)
    if not left:
        yield tuple(box)
        return
    reach = [[s * (hi - 1 if (s > 0) == top else lo) for s, (lo, hi) in zip(c.steps, box)] for c in left for top in (False, True)]
    sums = [sum(r) + left[k // 2].constant for k, r in enumerate(reach)]
    if any(high < 0 for high in sums[1::2]):
        return
    left = [c for c, low in zip(left, sums[::2]) if low < 0]
    if not left:
        yield tuple(box)
        return
    axes = [d for d, s in enumerate(left[0].steps) if s and box[d][1] - box[d][0] > 1]
    axis = min((d for d in axes if d > 0), key=lambda d: box[d][1] - box[d][0])
    for value in range(*box[axis]):
        yield from _cut(left, [*box[:axis], (value, value + 1), *box[axis + 1:]])


def arange(*arguments: int) -> Index:
    """nl.arange(n), (start, stop) or (start, stop, step): an index expression of one axis."""
    values = range(*(int(a) for a in arguments))
    if not values:
        raise _trace.refuse(f"nl.arange{arguments} is empty")
    return Index((len(values),), (values.step if len(values) > 1 else 0,), values.start)


class Axes(list[Index]):
    """The expressions of a grid, also as .p, .x, .y, .z, .w in this order."""

    def __getattr__(self, name: str) -> Index:
        at = "pxyzw".find(name)
        if len(name) != 1 or not 0 <= at < len(self):
            raise AttributeError(f"a grid of {len(self)} axes has no .{name}")
        return self[at]


class _Grid:
    """nl.mgrid[a:b, c:d]: one index expression per axis, all of the grid's shape; nl.ogrid: each along its own axis."""

    def __init__(self, dense: bool) -> None:
        self.dense = dense

    def __getitem__(self, items: Any) -> Any:
        slices = items if isinstance(items, tuple) else (items,)
        ranges = [range(int(s.start or 0), int(s.stop), int(s.step or 1)) for s in slices]
        if not all(ranges):
            raise _trace.refuse(f"a grid of {[len(r) for r in ranges]} elements is empty")
        shape = tuple(len(r) for r in ranges)
        out = []
        for d, r in enumerate(ranges):
            own = tuple(e if d == k or self.dense else 1 for k, e in enumerate(shape))
            out.append(Index(own, tuple(r.step if k == d and len(r) > 1 else 0 for k in range(len(shape))), r.start))
        return Axes(out) if isinstance(items, tuple) else out[0]


mgrid, ogrid = _Grid(True), _Grid(False)
