"""The plain interpreter: what a kernel means, one instruction after the other, in NumPy.

It takes the place of presil._core.Recording under the same interface, knows no time, no engine and no chip, and shares none of the
simulator's code: the judge of what the simulator computes. Read before anything was written and out of range are errors at
their line."""
from collections.abc import Callable
from typing import Any

import numpy as np

from presil import _arrays
from presil._error import Error
from presil.nki import _plain_rows
from presil.nki._plain_memory import Place, read, write
from presil.nki._plain_rows import ROWS, Step
from presil.nki._trace import TABLE
from presil.nki._types import DTYPES, HBM

_NAMES = {row[0]: name for name, row in TABLE.items()}
_KINDS = {d.number: _arrays.numpy_dtype(d.presil) for d in DTYPES.values()}


class Memory:
    """Tiles, tensors and registers."""

    def __init__(self) -> None:
        self.tiles: list[Place] = []
        self.tensors: list[Place] = []
        self.registers: dict[int, int] = {}
        self.engine: dict[str, Any] = {}  # accumulators, by engine

    def placed(self, operand: tuple[Any, ...]) -> tuple[Place, tuple[int, ...]]:
        """The place of an operand, and its view where the registers move it."""
        view = operand
        if isinstance(operand[0], tuple):
            moved = sum(self.registers[operand[k]] * operand[k + 1] for k in range(1, len(operand), 2))
            view = (*operand[0][:5], operand[0][5] + moved, *operand[0][6:])
        return (self.tensors if view[0] == HBM.number else self.tiles)[view[2]], view

    def get(self, operand: tuple[Any, ...], what: str, line: str) -> Any:
        place, view = self.placed(operand)
        return read(place, view, _KINDS[view[1]], what, line)

    def put(self, operand: tuple[Any, ...], values: Any, what: str, line: str) -> None:
        place, view = self.placed(operand)
        write(place, view, _plain_rows.cast(values, _KINDS[view[1]]), what, line)


class PlainRecording:
    """Instructions as they are traced, to be run in that order."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.code: list[Callable[[], int | None]] = []  # each returns where to go on, None: behind it
        self.shapes: list[tuple[str, str, list[int], str]] = []
        self.open: list[tuple[int, list[int], Callable[[], bool]]] = []
        self.count = 0

    def tensor(self, name: str, dtype: str, shape: list[int], role: str) -> int:
        self.shapes.append((name, dtype, list(shape), role))
        size = int(np.prod(shape)) * _arrays.numpy_dtype(dtype).itemsize
        self.memory.tensors.append(Place.empty(name, 1, size))
        return len(self.memory.tensors) - 1

    def tile(self, memory: str, partitions: int, bytes: int, name: str, partition: int | None, offset: int | None) -> int:  # noqa: A002
        self.memory.tiles.append(Place.empty(name, partitions, bytes))
        return len(self.memory.tiles) - 1

    def append(self, opcode: int, engine: int, operands: tuple[Any, ...], attributes: tuple[int, ...], line: str) -> int:
        name = _NAMES[opcode]
        row = ROWS.get(name)
        if row is None:
            raise Error(f"the plain interpreter does not have {name}", line, code="unsupported")
        _, _, names, words = TABLE[name]
        step = Step(name, self.memory, dict(zip(names, operands)), {a: w for (a, _, _), w in zip(words, attributes)}, line)
        self.code.append(lambda: row(step))
        self.count += 1
        return self.count - 1

    def order(self, before: int, after: int) -> None:
        """The order of the program is kept in any case."""

    # --- registers and loops ----------------------------------------------------------------------------------------
    def make_register(self, line: str) -> int:
        number = len(self.memory.registers)
        self.memory.registers[number] = 0
        self.assign(number, 0, line)
        return number

    def _value(self, value: Any) -> int:
        return self.memory.registers[value[0]] if isinstance(value, tuple) else int(value)

    def assign(self, to: int, value: Any, line: str) -> None:
        self.code.append(lambda: self.memory.registers.__setitem__(to, self._value(value)))

    def load_register(self, to: int, element: tuple[Any, ...], line: str) -> None:
        self.code.append(lambda: self.memory.registers.__setitem__(to, int(self.memory.get(element, "register_load", line)[0, 0])))

    def store_register(self, element: tuple[Any, ...], source: int, line: str) -> None:
        self.code.append(lambda: self.memory.put(element, np.array([[self.memory.registers[source]]]), "register_store", line))

    def begin_loop(self, lower: Any, upper: Any, step: int, line: str) -> int:
        registers, counter = self.memory.registers, len(self.memory.registers)
        registers[counter] = 0
        leaves: list[int] = [0]

        def begin() -> int | None:
            registers[counter] = self._value(lower)
            return None if registers[counter] < self._value(upper) else leaves[0]

        def again() -> bool:
            registers[counter] += step
            return registers[counter] < self._value(upper)

        self.code.append(begin)
        self.open.append((len(self.code), leaves, again))
        return counter

    def leave_unless(self, condition: int, line: str) -> None:
        leaves = self.open[-1][1]
        self.code.append(lambda: None if self.memory.registers[condition] else leaves[0])

    def end_loop(self, line: str) -> None:
        body, leaves, again = self.open.pop()
        self.code.append(lambda: body if again() else None)
        leaves[0] = len(self.code)

    def run(self, inputs: list[Any]) -> dict[str, Any]:
        """The outputs by name. inputs: as presil._core takes them."""
        given = {name: data for name, _, _, data in inputs}
        for (name, _, _, _), place in zip(self.shapes, self.memory.tensors):
            if name in given:
                place.bytes[0], place.written[0] = given[name], True
        at = 0
        while at < len(self.code):
            to = self.code[at]()
            at = at + 1 if to is None else to
        outputs = {}
        for (name, dtype, shape, role), place in zip(self.shapes, self.memory.tensors):
            if role == "output":
                if not place.written.all():
                    raise Error(f"output '{name}' was not written as a whole")
                outputs[name] = place.bytes[0].view(_arrays.numpy_dtype(dtype)).reshape(shape)
        return outputs

