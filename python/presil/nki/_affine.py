"""Numbers that are known when the kernel runs: registers, and what indices make of them."""
from dataclasses import dataclass
from sys import _getframe
from typing import Any

from presil.nki import _trace


class Affine:
    """A number that is known when the kernel runs: a constant, and registers times numbers. What indices take."""

    def __init__(self, constant: int, terms: tuple[tuple[int, int], ...]) -> None:
        self.constant, self.terms = constant, terms  # (register, factor)

    def __add__(self, other: Any) -> "Affine":
        b = affine(other)
        return Affine(self.constant + b.constant, self.terms + b.terms)

    def __sub__(self, other: Any) -> "Affine":
        return self + affine(other) * -1

    def __mul__(self, other: Any) -> "Affine":
        if not hasattr(other, "__index__"):
            raise _trace.refuse(f"a register times {other!r}: an index follows registers times whole numbers")
        by = int(other)
        return Affine(self.constant * by, tuple((register, factor * by) for register, factor in self.terms))

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: Any) -> "Affine":
        return affine(other) + self * -1

    def __repr__(self) -> str:
        return " + ".join([f"{factor} * register {register}" for register, factor in self.terms] + [str(self.constant)])

    def _unknown(self, *_: Any) -> bool:
        raise _trace.refuse("what a register holds is known when the kernel runs, not while it is traced",
                            "while register:, nl.while_loop or nl.fori_loop decide on the device")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __floordiv__ = __mod__ = _unknown
    __bool__ = _unknown
    __hash__ = object.__hash__


class VirtualRegister(Affine):
    """A register of the sequencers. `counts`: it is a loop's counter."""

    def __init__(self, number: int, counts: bool = False) -> None:
        super().__init__(0, ((number, 1),))
        self.number, self.counts = number, counts

    def __bool__(self) -> bool:
        from presil.nki._registers import while_register
        frame = _getframe(1)
        return while_register(self, (id(frame), frame.f_lineno))

    def __repr__(self) -> str:
        return f"register {self.number}"


def affine(value: Any) -> Affine:
    if isinstance(value, Affine):
        return value
    if not hasattr(value, "__index__"):
        raise _trace.refuse(f"{value!r} is no whole number")
    return Affine(int(value), ())


@dataclass(frozen=True)
class Slice:
    """nl.ds(start, size)."""

    start: Any
    size: int
