"""nki.jit, nki.baremetal, nki.simulate_kernel, nki.benchmark, nki.profile of the older interface."""
import warnings
from collections.abc import Callable
from typing import Any

from presil._error import Error
from presil._result import Result as Run
from presil.nki import _kernel, _trace
from presil.nki._tensor import Tensor
from presil.nki.legacy._tile import Tile, flush


class Kernel(_kernel.Kernel):
    """A function of the older interface. Programs of a grid run one after the other on one core."""

    pairs = False
    evicts = False

    def _run(self, program: Any, inputs: list[Any], check: bool = True) -> Run:
        """What masks leave out is undefined, and may be read: then a warning says where."""
        run = super()._run(program, inputs, check)
        if "nothing has written" in run.outcome:
            warnings.warn(f"{self.function.__name__}: {run.outcome}; its value is undefined", stacklevel=4)
            run = super()._run(program, inputs, False)
        return run

    def __getitem__(self, grid: Any) -> Any:
        """kernel[2, 4](...): launched on a grid of programs; an axis of 0 has one, as an axis of 1."""
        extents = tuple(grid) if isinstance(grid, tuple) else (grid,)
        return super().__getitem__(tuple(max(1, int(e)) for e in extents))

    def _compiled(self, arguments: Any, options: Any) -> Any:
        """What does not fit into PSUM is traced again, with tensors of more tiles than it has banks in SBUF."""
        try:
            return super()._compiled(arguments, options)
        except Error as error:
            if "PSUM banks" not in error.message:
                raise
        self.evicts = True
        try:
            return super()._compiled(arguments, options)
        finally:
            self.evicts = False

    def _called(self, trace: Any, bound: Any) -> Any:
        trace.shared_count, trace.evicts = 0, self.evicts
        result = self.function(*bound.args, **bound.kwargs)
        flush()
        return result

    def _given(self, trace: Any, name: str, value: Any, inputs: list[Any]) -> Any:
        trace.inputs = inputs
        tensor = super()._given(trace, name, value, inputs)
        return Tile.of(tensor) if isinstance(tensor, Tensor) else tensor

    def _returned(self, value: Any) -> tuple[list[str], Callable[[list[Any]], Any]]:
        tensors = value if isinstance(value, (tuple, list)) else [value]
        for t in tensors:
            if not isinstance(t, Tile) or t.buffer.name != "shared_hbm":
                raise Error(f"kernel '{self.function.__name__}' returns {t!r}",
                            hint="return tensors that were made with buffer=nl.shared_hbm")
        shapes = [t.shape for t in tensors]

        def arrays(values: list[Any]) -> Any:
            out = [v.reshape(s) for v, s in zip(values, shapes)]
            return tuple(out) if isinstance(value, (tuple, list)) else out[0]

        return [t.storage.name for t in tensors], arrays


class Latency:
    """Of one core: every run of a simulated kernel takes the same time."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def get_latency_percentile(self, percentile: float) -> int:
        """Microseconds, rounded up."""
        if not 0 <= percentile <= 100:
            raise Error(f"percentile {percentile}, expected 0 to 100")
        return -int(-self.run.seconds * 1e6 // 1)


class BenchmarkResult:
    def __init__(self, run: Run) -> None:
        self.nc_latency = Latency(run)


class Benchmarked(Kernel):
    """Called, it computes the kernel's time, without values; `benchmark_result.nc_latency` has it then."""

    benchmark_result: BenchmarkResult | None = None

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        if _trace.current is not None:
            return super().__call__(*arguments, **options)
        self.result = self.timed(*arguments, **options)
        self.benchmark_result = BenchmarkResult(self.result)
        return None


# What these functions take for the vendor's compiler, profiler and files, which do not exist here.
_VENDOR = {"additional_compile_opt", "artifacts_dir", "debug_kernel", "device_count", "enable_cache", "experimental_flags",
           "iters", "kernel_return", "platform_target", "profile_nth", "save_neff_name", "save_trace_name", "save_nc_latency",
           "show_compiler_tb", "warmup", "working_directory"}
_MODES = ("auto", "baremetal", "benchmark", "jax", "profile", "simulation", "torchxla", "trace", "xla")


def _wrapper(what: str, kind: type[Kernel]) -> Callable[..., Any]:
    def wrap(function: Any = None, *, chip: str | None = None, mode: str = "auto", grid: Any = None, **options: Any) -> Any:
        unknown = sorted(set(options) - _VENDOR)
        if unknown:
            import difflib
            near = difflib.get_close_matches(unknown[0], [*_VENDOR, "chip", "mode", "grid"], 1)
            raise Error(f"nki.{what} has no option {', '.join(unknown)}", hint=f"did you mean {near[0]}?" if near else "")
        if mode not in _MODES:
            raise Error(f"nki.{what}: mode '{mode}'", hint="one of " + ", ".join(_MODES))
        if function is None:
            return lambda f: wrap(f, chip=chip, mode=mode, grid=grid, **options)
        inner = function.function if isinstance(function, _kernel.Kernel) else function
        if not callable(inner):
            raise Error(f"{type(function).__name__} is no function", hint=f"decorate a function with @nki.{what}")
        target = options.get("platform_target") or chip or (function.chip if isinstance(function, _kernel.Kernel) else None)
        return (Benchmarked if mode in ("benchmark", "profile") else kind)(inner, target, tuple(grid or ()) or getattr(function, "grid", ()))

    wrap.__name__ = what
    return wrap


jit, baremetal = _wrapper("jit", Kernel), _wrapper("baremetal", Kernel)
benchmark, profile = _wrapper("benchmark", Benchmarked), _wrapper("profile", Benchmarked)


def simulate_kernel(kernel: Any, *arguments: Any, **options: Any) -> Any:
    """A kernel's outputs for these arrays."""
    return (kernel if isinstance(kernel, Kernel) else jit(kernel))(*arguments, **options)
