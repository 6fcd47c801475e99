"""nki.jit: a kernel as a function of arrays."""
import functools
import importlib
import inspect
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from presil import _arrays, _core
from presil._error import Error
from presil._program import Program
from presil._result import Result
from presil.nki import _capacity, _trace
from presil.nki._tensor import Storage, Tensor
from presil.nki._types import HBM, as_dtype

# What the public interface takes the target from; else trn2.
_TARGET = "NEURON_PLATFORM_TARGET_OVERRIDE"


# Turns of loops on the device, of all queues together, after which a kernel counts as endless.
_TURNS_MAX = 10_000_000
_GENERATIONS = {"gen2": "trn1", "gen3": "trn2", "gen4": "trn3"}


def default_chip() -> str:
    wanted = os.environ.get(_TARGET, "trn2")
    return _GENERATIONS.get(wanted, wanted)


class Kernel:
    """A function that was decorated with @nki.jit. Called with arrays, it is traced, compiled for a chip and run there, in
    bits and cycles; `kernel.result` is then the last call's presil.Result."""

    def __init__(self, function: Callable[..., Any], chip: str | None = None, grid: tuple[int, ...] = ()) -> None:
        self.function, self.chip, self.grid = function, chip, grid
        self.result: Result | None = None
        self.prints: list[tuple[str, str]] = []  # of the last call: prefix and name of what device_print shows
        self.allocated: dict[str, tuple[str, str]] = {}  # by the last call, for messages about tensors that do not fit
        functools.update_wrapper(self, function)

    def on(self, chip: str) -> "Kernel":
        """The same kernel for another chip."""
        return type(self)(self.function, chip, self.grid)

    pairs = True  # kernel[2] runs on the two cores of a pair, where the chip has pairs

    def __getitem__(self, grid: Any) -> "Kernel":
        """kernel[2](...): on a pair of cores; kernel[2, 4](...): launched on a grid of programs, one after the other."""
        extents = tuple(grid) if isinstance(grid, tuple) else (grid,)
        return type(self)(self.function, self.chip, tuple(int(e) for e in extents))

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        if _trace.current is not None:
            return self.function(*arguments, **options)  # a kernel inside a kernel is a part of it
        program, inputs, returned = self._compiled(arguments, options)
        self.result = self._run(program, inputs)
        return returned(self.result)

    def _run(self, program: Program, inputs: list[Any], check: bool = True) -> Result:
        return Result(program._core.run(inputs, True, check, 0, 0, False, _TURNS_MAX))

    def timed(self, *arguments: Any, **options: Any) -> Result:
        """Time without values."""
        program, inputs, _ = self._compiled(arguments, options)
        return Result(program._core.run(inputs, False, False, 0, 0, False, _TURNS_MAX))

    def _profiled(self, kind: Callable[..., Any], data: bool, arguments: Any, options: Any) -> Any:
        """The run as kind(outcome, what it returned)."""
        program, inputs, returned = self._compiled(arguments, options)
        core = program._core.run(inputs, data, data, 0, 0, True, _TURNS_MAX)
        self.result = kind(core, returned if data else lambda _: None)
        return self.result

    def _compiled(self, arguments: Any, options: Any) -> tuple[Program, list[Any], Callable[[Result], Any]]:
        """The program, its inputs, and how what a call returns is made of a result."""
        chip = self.chip or default_chip()
        generation, paired = _core.chip_generation(chip), self._paired(chip)
        recordings = [_core.Recording(self.function.__name__) for _ in range(2 if paired else 1)]
        traced = [self._traced(recording, generation, arguments, options, core if paired else None)
                  for core, recording in enumerate(recordings)]
        inputs, outputs, made, _ = traced[0]
        self.prints = [shown for trace in traced for shown in trace[3]]
        inputs += [extra for extra in traced[-1][0] if extra[0] not in {name for name, *_ in inputs}]
        try:
            core = _core.compile_pair(recordings[0], recordings[1], chip) if paired else recordings[0].compile(chip)
        except Error as error:
            raise _capacity.at_its_line(error, self.allocated) from None

        def returned(result: Result) -> Any:
            self.show(result.outputs)
            return made([result.outputs[name] for name in outputs])

        return Program(core, True), inputs, returned

    def show(self, arrays: Any) -> None:
        """What device_print asked for, of the outputs by name."""
        for prefix, name in self.prints:
            print(prefix, arrays[name])

    def _paired(self, chip: str) -> bool:
        return self.pairs and self.grid == (2,) and _core.chip_pairs(chip)

    def _traced(self, recording: Any, generation: int, arguments: Any, options: Any,
                core: int | None = None) -> tuple[list[Any], list[str], Callable[[Any], Any], list[tuple[str, str]]]:
        """Inputs, names of outputs, how what a call returns is made of their arrays, and prints. Instructions go to `recording`;
        `core`: those of one core of a pair, which is its program."""
        trace = _trace.Trace(recording, generation, self.grid)
        trace.core = core
        trace.chip, self.allocated = self.chip or default_chip(), trace.allocated
        bound = inspect.signature(self.function).bind(*arguments, **options)
        inputs: list[Any] = []
        trace.given = lambda name, value: self._given(trace, name, value, inputs)
        for name, value in bound.arguments.items():
            bound.arguments[name] = self._given(trace, name, value, inputs)
        returned = None
        _trace.current = trace
        try:
            for trace.program in np.ndindex(*self.grid) if core is None and self.grid else [() if core is None else (core,)]:
                trace.shared_count = 0
                result = self._called(trace, bound)
                returned = result if returned is None else returned
            trace.finish()
        finally:
            _trace.current = None
        alike = _as_given([*arguments, *options.values()])
        outputs, shape = self._returned(returned)
        return inputs, outputs, lambda arrays: shape([alike(array) for array in arrays]), trace.prints

    # What another interface to the same tracer does otherwise.
    def _called(self, trace: _trace.Trace, bound: inspect.BoundArguments) -> Any:
        """One program of the grid."""
        return self.function(*bound.args, **bound.kwargs)

    def _given(self, trace: _trace.Trace, name: str, value: Any, inputs: list[Any]) -> Any:
        return _given(trace, name, value, inputs)

    def _returned(self, value: Any) -> tuple[list[str], Any]:
        return _returned(self.function.__name__, value)


def _as_given(arguments: list[Any]) -> Callable[[Any], Any]:
    """Turns a NumPy array into the kind of array that a kernel was given first."""
    for value in arguments:
        framework = type(value).__module__.partition(".")[0]
        if framework == "torch":
            return _to_torch
        if framework in ("jax", "jaxlib"):
            to_jax: Callable[[Any], Any] = importlib.import_module("jax.numpy").asarray
            return to_jax
        if isinstance(value, np.ndarray):
            break
    return lambda array: array


def _to_torch(array: Any) -> Any:
    import torch
    kind = getattr(torch, array.dtype.name, None)
    if array.dtype.kind in "fiub" and hasattr(np, array.dtype.name):
        return torch.from_numpy(np.array(array))
    if kind is None:
        raise Error(f"PyTorch has no type for {array.dtype}", hint="pass NumPy arrays")
    return torch.from_numpy(array.view(f"uint{8 * array.dtype.itemsize}")).view(kind)


def _from_torch(tensor: Any) -> Any:
    """NumPy has no bfloat16 and float8 of its own: their bits are taken."""
    import ml_dtypes
    import torch
    value = tensor.detach().cpu().contiguous()
    name = str(value.dtype).removeprefix("torch.")
    if hasattr(np, name) or name == "bool":
        return value.numpy()
    kind = getattr(ml_dtypes, name, None)
    if kind is None:
        raise Error(f"{value.dtype} is no element type here")
    return value.view(getattr(torch, f"uint{8 * value.element_size()}")).numpy().view(kind)


def _given(trace: _trace.Trace, name: str, value: Any, inputs: list[Any]) -> Any:
    """Arrays become tensors in HBM, those in lists, tuples and dictionaries too; anything else is passed on."""
    if type(value) in (list, tuple):
        return type(value)(_given(trace, f"{name}{k}", item, inputs) for k, item in enumerate(value))
    if type(value) is dict:
        return {key: _given(trace, f"{name}.{key}", item, inputs) for key, item in value.items()}
    if hasattr(value, "detach"):
        value = _from_torch(value)
    if not hasattr(value, "__array__") or np.isscalar(value):
        return value
    array = np.asarray(value)
    kind = as_dtype(array.dtype)
    label = trace.name(name)
    inputs.append(_arrays.given(label, array, kind.presil))
    extents = list(array.shape)
    steps = [1] * len(extents)
    for d in range(len(extents) - 2, -1, -1):
        steps[d] = steps[d + 1] * extents[d + 1]
    storage = Storage(HBM, [trace.recording.tensor(label, kind.presil, extents, "input")], 0, label)
    storage.given = True
    return Tensor(storage, kind, extents, steps, 0)


def _returned(kernel: str, value: Any) -> tuple[list[str], Any]:
    """Names of the outputs, and how a call returns their arrays."""
    tensors = value if isinstance(value, (tuple, list)) else [value]
    for t in tensors:
        if not isinstance(t, Tensor) or t.buffer.name not in ("shared_hbm", "hbm") or t.storage.given:
            raise Error(f"kernel '{kernel}' returns {t!r}", hint="return tensors that were made with buffer=nl.shared_hbm or nl.hbm")
    names = [t.storage.name for t in tensors]
    return names, (tuple if isinstance(value, (tuple, list)) else lambda arrays: arrays[0])


def jit(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Makes a kernel of a function."""
    unknown = set(options) - {"chip", "platform_target"}
    if unknown:
        raise Error(f"nki.jit has no option {', '.join(sorted(unknown))}", hint="chip='trn2'")
    if "platform_target" in options:
        options.setdefault("chip", options.pop("platform_target"))
    if function is None:
        return lambda f: Kernel(f, **options)
    if not callable(function):
        raise Error(f"{type(function).__name__} is no function", hint="decorate a function with @nki.jit")
    return Kernel(function, **options)
