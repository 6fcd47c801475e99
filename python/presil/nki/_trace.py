"""The kernel that is being traced: instructions of the table, each with the line that issued it."""
import struct
import sys
from pathlib import Path
from typing import Any

from presil import _core
from presil._error import Error
from presil.nki._types import DType, Op

_FOLDER = str(Path(__file__).parent)
TABLE = _core.instruction_table()
_ENGINES = {name: _core.engine_number(name) for name in ("tensor", "vector", "scalar", "gpsimd", "sync")}
_F32 = struct.Struct("<f")
_U32 = struct.Struct("<I")
# Python that never stops issuing instructions is stopped.
INSTRUCTIONS_MAX = 50_000_000
_KIND_F32 = 0  # isa::AttributeKind

current: "Trace | None" = None


def line() -> str:
    """file:line of the kernel's code, the nearest frame outside of this package, or where a result was asked for that is
    computed later."""
    if current is not None and current.at is not None:
        return current.at
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_FOLDER):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def refuse(message: str, hint: str = "", code: str = "bad_input") -> Error:
    """An error at the kernel's line."""
    return Error(message, line(), hint, code)


class Trace:
    """One call of a kernel. recording: presil._core.Recording, or what has its methods. `generation`: 2, 3 or 4."""

    def __init__(self, recording: Any, generation: int, grid: tuple[int, ...] = ()) -> None:
        self.recording = recording
        self.generation = generation
        self.grid, self.program = grid, (0,) * len(grid)
        self.core: int | None = None  # of a pair
        self.names: dict[str, int] = {}
        self.chip = ""  # its name or file
        self.allocated: dict[str, tuple[str, str]] = {}  # on chip, by name: line, and tensor for messages
        self.at: str | None = None
        # What presil.nki.legacy keeps: a result that waits for its destination, tensors that programs share,
        # inputs beside the arguments, whether tensors too large for PSUM lie in SBUF, and the loops that run now.
        self.pending: Any = None
        self.shared: list[Any] = []
        self.shared_count = 0
        self.places = 0  # that the older interface has made
        self.inputs: list[Any] = []
        self.given: Any = None  # given(name, array): a tensor of HBM, as the kernel's arguments become
        self.evicts = False
        self.host_loops: list[Any] = []
        self.loops: list[int] = []  # counters of the loops on the device that are open
        self.open_loops: dict[int, str] = {}  # of dynamic_range: where each began
        self.whiles: list[tuple[int, tuple[int, int]]] = []  # of `while register`: its register and place
        self.no_reorder, self.ordered = False, -1  # nl.no_reorder(): the instruction before
        self.prints: list[tuple[str, str]] = []  # of device_print: prefix, tensor
        self.instructions = 0

    def name(self, wanted: str) -> str:
        """Unique: the name itself, or with a number behind."""
        count = self.names.get(wanted, 0)
        self.names[wanted] = count + 1
        return wanted if count == 0 else f"{wanted}.{count}"

    def append(self, name: str, engine: str, operands: tuple[Any, ...], attributes: dict[str, Any]) -> int:
        """operands: tensors or None, in the table's order; attributes by name, the others as the table has them. Returns the
        instruction's number."""
        self.instructions += 1
        if self.instructions > INSTRUCTIONS_MAX:
            raise refuse(f"more than {INSTRUCTIONS_MAX} instructions: the kernel does not end, or has loops that belong on the device",
                         "nl.dynamic_range and nl.fori_loop are not written out")
        opcode, engines, _, rows = TABLE[name]
        if engine not in engines:
            raise refuse(f"{name} does not run on the {engine} engine", f"one of {', '.join(engines)}")
        words = tuple(_word(attributes[a], kind) if a in attributes else initial for a, kind, initial in rows)
        views = tuple(() if o is None else o.encoded() for o in operands)
        number: int = self.recording.append(opcode, _ENGINES[engine] or 0, views, words, line())
        if self.no_reorder:
            if self.ordered >= 0:
                self.recording.order(self.ordered, number)
            self.ordered = number
        return number

    def begin_order(self) -> None:
        self.no_reorder, self.ordered = True, -1

    def end_order(self) -> None:
        self.no_reorder = False

    def finish(self) -> None:
        """Errors: loops that the kernel left before their bodies ended."""
        if self.open_loops:
            raise Error("a loop on the device ends when it has counted, not by break or return", next(iter(self.open_loops.values())))
        if self.whiles:
            raise Error("a register decides about loops only", hint="while register:, nl.while_loop, nl.fori_loop")


class Bits(int):
    """A constant whose bits count, where others are fp32."""


def _word(value: Any, kind: int) -> int:
    if kind == _KIND_F32 and not isinstance(value, Bits):
        return int(_U32.unpack(_F32.pack(float(value)))[0])
    if isinstance(value, Op):
        raise AssertionError("operations are passed as numbers")
    return int(value) & 0xFFFFFFFF


def trace() -> Trace:
    if current is None:
        raise Error("this works inside a kernel only", line(), "put it into a function that is decorated with @nki.jit")
    return current


def alu(op: Op | None, what: str) -> int:
    """Number of an ALU operation; bypass for None."""
    if op is None:
        return int(_core.alu_number("bypass") or 0)
    if not isinstance(op, Op) or op.alu is None:
        raise refuse(f"{what}: {op!r} is no operation of the vector engine's ALU")
    return op.alu


def activation(op: Op, what: str = "op") -> int:
    if not isinstance(op, Op) or op.activation is None:
        raise refuse(f"{what}: {op!r} is no activation function")
    return op.activation


def same_dtype(a: DType, b: DType) -> bool:
    return a.number == b.number
