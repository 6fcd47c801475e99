"""How instructions of nki.isa reach the trace, and the names that several of them take."""
from collections.abc import Sequence
from enum import Enum, IntEnum
from typing import Any

import numpy as np

from presil.nki import _trace
from presil.nki._tensor import Encoded, Tensor
from presil.nki._types import Op


class engine(Enum):
    unknown = 0
    tensor = 1
    scalar = 2
    gpsimd = 3
    dma = 4
    vector = 5
    sync = 6


class reduce_cmd(Enum):
    idle = 0
    reset = 1
    reduce = 2
    reset_reduce = 3
    load_reduce = 4


class dge_mode(Enum):
    unknown = 0
    swdge = 1
    hwdge = 2
    none = 3


class oob_mode(Enum):
    error = 0
    skip = 1


class matmul_perf_mode(Enum):
    none = "none"
    double_row = "double_row"


class nc_version(IntEnum):
    gen2 = 2
    gen3 = 3
    gen4 = 4


class NkiInstruction:
    """An instruction that was issued."""

    def __init__(self, number: int, loops: tuple[int, ...]) -> None:
        self.number, self.loops = number, loops

    def depends_on(self, *producers: "NkiInstruction") -> "NkiInstruction":
        """This instruction starts only when those have completed."""
        trace = _trace.trace()
        for producer in producers:
            if not isinstance(producer, NkiInstruction):
                raise _trace.refuse(f"depends_on: {type(producer).__name__} is no instruction", "pass what a call of nki.isa returned")
            if self.loops[:len(producer.loops)] != producer.loops:
                raise _trace.refuse("depends_on: the other instruction runs in a loop on the device that this one is not in")
            trace.recording.order(producer.number, self.number)
        return self


Operand = Tensor | Encoded | None


def issue(name: str, chosen: engine, default: str, operands: tuple[Operand, ...], **attributes: Any) -> NkiInstruction:
    trace = _trace.trace()
    for o in operands:
        if o is not None and not isinstance(o, (Tensor, Encoded)):
            raise _trace.refuse(f"{name}: {type(o).__name__} is no tensor of this kernel")
        if isinstance(o, Tensor) and o.index is not None and name not in ("dma_copy", "dma_transpose", "dma_compute"):
            raise _trace.refuse(f"{name}: {o!r} is addressed by a vector of indices, which only transfers are",
                                "dma_copy, dma_transpose or dma_compute")
    number = trace.append(name, default if chosen is engine.unknown else chosen.name, operands, attributes)
    return NkiInstruction(number, tuple(trace.loops))


_BITVEC = {"bitwise_and", "bitwise_or", "bitwise_xor", "invert", "left_shift", "right_shift"}


def scalar_for(op: Op | None, value: Any) -> tuple[Tensor | None, float]:
    """`scalar` of an ALU operation: bitvec operations take whole numbers, whose bits they use."""
    if op is None or op.name not in _BITVEC or isinstance(value, Tensor) or value is None:
        return scalar(value)
    if not isinstance(value, (int, np.integer)):
        raise _trace.refuse(f"{op!r} of {value!r}", "a whole number")
    return None, _trace.Bits(value)


def scalar(value: Any) -> tuple[Tensor | None, float]:
    """A constant or one value per partition: operand and immediate."""
    if isinstance(value, Tensor):
        return value, 0.0
    if value is None:
        return None, 0.0
    try:
        return None, float(value)
    except (TypeError, ValueError):
        raise _trace.refuse(f"{value!r} is neither a number nor a tensor of this kernel") from None


def only(name: str, what: str, value: Any, legal: Sequence[Any]) -> None:
    """Refuses a value that an instruction does not take."""
    if all(value is not one and value != one for one in legal):
        raise _trace.refuse(f"{name}: {what} is {value!r}", "one of " + ", ".join(repr(one) for one in legal))
