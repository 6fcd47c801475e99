"""compile and run."""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from presil import _arrays, _core
from presil._checks import Path, integer, path, text
from presil._chips import Chip
from presil._result import Result


# Jumps backwards after which a program counts as endless.
_JUMPS_MAX = 100_000_000


@dataclass(frozen=True)
class TensorType:
    """An input or output of a program."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


class Program:
    """A model, compiled for one core of a chip. Any number of threads may run it at once."""

    def __init__(self, core: _core.Program, data: bool) -> None:
        self._core = core
        self._data = data

    @property
    def model(self) -> str:
        """Name of the model's file."""
        return self._core.model

    @property
    def chip(self) -> str:
        return self._core.chip

    @property
    def spec_hash(self) -> str:
        """Equal for chips with equal numbers."""
        return self._core.spec_hash

    @property
    def inputs(self) -> list[TensorType]:
        return [_type(*row) for row in self._core.inputs()]

    @property
    def outputs(self) -> list[TensorType]:
        return [_type(*row) for row in self._core.outputs()]

    def text(self) -> str:
        """Every instruction, as `presil show` prints it."""
        return self._core.text()

    def save(self, file: Path) -> None:
        """Writes FILE.presil, whole or not at all."""
        self._core.save(path(file, "file"))

    def run(
        self,
        inputs: Mapping[str, object] | None = None,
        *,
        data: bool | None = None,
        check: bool = True,
        seed: int = 0,
        threads: int = 0,
    ) -> Result:
        """Runs on one simulated core.

        inputs: arrays by name; those that are not given are drawn from `seed`. An array's dtype is the model's, int64
            where it computes in int32 too; anything else is refused. Numbers and lists are converted.
        data: False computes time only. Default: whether the program was compiled with data.
        check: look for races and never-written reads (with data).
        threads: of the host, 0: all. No result depends on it.
        """
        dtypes = {name: dtype for name, dtype, _ in self._core.inputs()}
        arrays = [_arrays.given(name, value, dtypes.get(name, "fp32")) for name, value in (inputs or {}).items()]
        core = self._core.run(
            arrays,
            self._data if data is None else bool(data),
            bool(check),
            integer(seed, "seed", 0, 2**64 - 1),
            integer(threads, "threads", 0, 2**32 - 1),
            False,
            _JUMPS_MAX,
        )
        return Result(core)

    def __repr__(self) -> str:
        return f"<presil.Program {self.model} for {self.chip}>"


def compile(
    model: Path,
    chip: Path | Chip | None = None,
    *,
    precision: str = "auto",
    dims: Mapping[str, int] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    double_as_fp32: bool = False,
    data: bool = True,
    retime: bool = False,
    cores: int = 0,
) -> Program:
    """Compiles MODEL.onnx for cores of a chip, or loads a compiled FILE.presil.

    chip: a bundled chip or a chip file. Default: trn2, or what FILE.presil was compiled for.
    precision: 'auto' (the model's own), 'fp32', 'tf32', 'bf16' or 'fp16'.
    dims: sizes of dynamic dimensions by name; shapes: whole shapes of inputs by name.
    double_as_fp32: compute double tensors in fp32; otherwise they are refused.
    data: False leaves the weights' values out: quicker, and the program can be timed only.
    retime: run FILE.presil on another chip than it was compiled for.
    cores: of the chip, at most, which share the batch of the inputs evenly; 0: all.
    """
    core = _core.load(
        path(model, "model"),
        None if chip is None else chip.name if isinstance(chip, Chip) else path(chip, "chip"),
        text(precision, "precision"),
        [(str(name), integer(size, f"dims['{name}']", 1)) for name, size in (dims or {}).items()],
        [(str(name), [integer(size, f"shapes['{name}']", 0) for size in sizes])
         for name, sizes in (shapes or {}).items()],
        bool(double_as_fp32),
        bool(data),
        bool(retime),
        integer(cores, "cores", 0),
    )
    return Program(core, bool(data))


def run(
    model: Path,
    chip: Path | Chip | None = None,
    inputs: Mapping[str, object] | None = None,
    *,
    precision: str = "auto",
    dims: Mapping[str, int] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    double_as_fp32: bool = False,
    data: bool = True,
    retime: bool = False,
    cores: int = 0,
    check: bool = True,
    seed: int = 0,
    threads: int = 0,
) -> Result:
    """Compiles a model and runs it on simulated cores; options as in compile() and Program.run()."""
    program = compile(model, chip, precision=precision, dims=dims, shapes=shapes, double_as_fp32=double_as_fp32,
                      data=data, retime=retime, cores=cores)
    return program.run(inputs, check=check, seed=seed, threads=threads)


def _type(name: str, dtype: str, shape: list[int]) -> TensorType:
    return TensorType(name, _arrays.numpy_dtype(dtype), tuple(shape))
