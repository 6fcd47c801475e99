"""What a run gives."""
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from presil import _arrays, _core
from presil._checks import Path, path
from presil._error import Error


@dataclass(frozen=True)
class Layer:
    """A layer of the model; over layers, seconds sum to the run's."""

    name: str
    kind: str
    seconds: float
    share: float
    macs: int
    bytes: int
    """moved to and from HBM"""
    bound_by: str


@dataclass(frozen=True)
class Engine:
    """An engine of the core, or its DMA engines together."""

    name: str
    instructions: int
    busy_fraction: float
    utilization: float
    """tensor: useful macs at the precision's rate over the run's time"""
    waits: Mapping[str, float]
    """fractions of the run's time by cause; with busy_fraction they sum to 1"""


class Result:
    """A finished run: outputs, times, and where the time went."""

    def __init__(self, core: _core.Outcome) -> None:
        self._core = core

    @property
    def ok(self) -> bool:
        """Whether the simulated program got through."""
        return self._core.ok

    @property
    def outcome(self) -> str:
        """'done', or what happened: engine, instruction, origin."""
        return self._core.text

    @cached_property
    def outputs(self) -> dict[str, _arrays.Array]:
        """Arrays by name, in the model's order and dtypes (bfloat16 and float8 from ml_dtypes); empty without data."""
        if not self.ok:
            raise Error("the simulated program failed: " + self.outcome, code="failed")
        return {name: _arrays.taken(dtype, shape, data) for name, dtype, shape, data in self._core.outputs()}

    @cached_property
    def document(self) -> dict[str, Any]:
        """Everything, as `presil run --json` prints it (docs/schema/run.json)."""
        document: dict[str, Any] = json.loads(self._core.json)
        return document

    @property
    def seconds(self) -> float:
        """Simulated time, from the first instruction to the last byte of output in HBM."""
        return float(self.document["seconds"])

    @property
    def bound_by(self) -> str:
        """The busiest resource, or 'latency' when nothing is busy half of the time."""
        return str(self.document["bound_by"])

    @cached_property
    def layers(self) -> list[Layer]:
        return [Layer(**row) for row in self.document["layers"]]

    @cached_property
    def engines(self) -> dict[str, Engine]:
        return {name: Engine(name=name, **row) for name, row in self.document["engines"].items()}

    def report(self, file: Path) -> None:
        """Writes the report, FILE.html or FILE.md. The program runs once more for its trace, in time only."""
        self._core.report(path(file, "report"))

    def trace(self, file: Path) -> None:
        """Writes all events: FILE.pftrace for the Perfetto viewer, FILE.trace for `presil report`.

        The program runs once more for it, in time only.
        """
        self._core.trace(path(file, "trace"))

    def __repr__(self) -> str:
        document = self.document
        if not self.ok:
            return f"<presil.Result {document['model']} on {document['chip']['name']}: {self.outcome}>"
        return (f"<presil.Result {document['model']} on {document['chip']['name']}: {self.seconds:.3e} s, "
                f"bound by {self.bound_by}>")
