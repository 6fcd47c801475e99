"""Runs that answer questions: values only (simulate), values and where the time goes (profile), times (benchmark)."""
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from presil import _core
from presil._error import Error
from presil._result import Result
from presil.nki._kernel import Kernel, default_chip, jit
from presil.nki._plain import PlainRecording


@dataclass(frozen=True)
class Line:
    """What a line of the kernel's source costs, by instruction and engine."""

    line: str
    instruction: str
    engine: str
    executed: int
    busy_seconds: float
    """its engine is occupied"""
    transfer_seconds: float
    """of DMA: from triggers to last bytes, transfers added up"""


class Profile(Result):
    """A presil.Result with what the run returned and how well it used the chip.

    hfu, mbu and the flops are those of the public profiler (Neuron Explorer, "profile schema reference"); docs/nki.md has
    their definitions and that of DMA efficiency."""

    def __init__(self, core: _core.Outcome, returned: Callable[[Result], Any]) -> None:
        super().__init__(core)
        self._returned = returned

    @cached_property
    def returned(self) -> Any:
        """What a call of the kernel returns; None for a run in time only."""
        return self._returned(self)

    @cached_property
    def measures(self) -> dict[str, Any]:
        """hfu, mbu, flops, dma_*, memories, lines: as numbers."""
        measures: dict[str, Any] = json.loads(self._core.profile_json())
        return measures

    @property
    def hfu(self) -> float:
        """2 x rows x columns x elements of all instructions of the tensor engine, transposes included, over what its whole
        array does at one multiply-add per element and cycle."""
        return float(self.measures["hfu"])

    @property
    def mbu(self) -> float:
        """Bytes to and from HBM over time x the bandwidth of one HBM stack."""
        return float(self.measures["mbu"])

    @property
    def dma_efficiency(self) -> float:
        """Bytes moved over what the DMA engines could have moved while they had transfers under way."""
        return float(self.measures["dma_efficiency"])

    @property
    def sbuf_peak_bytes(self) -> int:
        """Most bytes of SBUF that were in use at an instant, in pieces of 32 partitions x 64 bytes."""
        return self._peak("SBUF")

    @property
    def psum_peak_bytes(self) -> int:
        return self._peak("PSUM")

    def _peak(self, memory: str) -> int:
        return max(int(row["peak_bytes"]) for row in self.measures["memories"] if row["memory"].startswith(memory))

    @cached_property
    def lines(self) -> list[Line]:
        """Lines of the kernel's source by time, most first."""
        return [Line(**row) for row in self.measures["lines"]]


def _kernel(kernel: Any, what: str, chip: str | None) -> Kernel:
    if not isinstance(kernel, Kernel):
        if not callable(kernel):
            raise Error(f"nki.{what}: {type(kernel).__name__} is no kernel", hint="pass a function that is decorated with @nki.jit")
        kernel = jit(kernel)
    made: Kernel = kernel if chip is None else kernel.on(chip)
    return made


def simulate(kernel: Any, chip: str | None = None) -> Callable[..., Any]:
    """nki.simulate(kernel)(arrays...): what the kernel returns. Our cores are always simulated, so this is kernel(arrays...);
    a plain function becomes a kernel."""
    return _kernel(kernel, "simulate", chip)


def interpret(kernel: Any, chip: str | None = None) -> Callable[..., Any]:
    """interpret(kernel)(arrays...): what the kernel means, by NumPy, one instruction after the other, without the simulator. Products,
    sums and functions agree with it within rounding. Errors: what was never written is read; out of range."""
    made = _kernel(kernel, "interpret", chip)

    def call(*arguments: Any, **options: Any) -> Any:
        recording = PlainRecording()
        generation = _core.chip_generation(made.chip or default_chip())
        inputs, outputs, returned, made.prints = made._traced(recording, generation, arguments, options)
        arrays = recording.run(inputs)
        made.show(arrays)
        return returned([arrays[name] for name in outputs])

    return call


def profile(kernel: Any, chip: str | None = None, data: bool = True) -> Callable[..., Profile]:
    """profile(kernel, chip="trn2")(arrays...): a Profile. data=False: time without values."""
    made = _kernel(kernel, "profile", chip)
    return lambda *arguments, **options: made._profiled(Profile, data, arguments, options)


class Latency:
    """Times of repeated runs, which are all equal here: nothing else runs on a simulated chip."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def get_latency_percentile(self, percentile: int) -> int:
        """Microseconds, rounded up."""
        if not 0 <= percentile <= 100:
            raise Error(f"percentile {percentile} is not between 0 and 100")
        return math.ceil(self.seconds * 1e6)


@dataclass(frozen=True)
class BenchmarkResult:
    """As the public interface names it; `profile` has the rest."""

    nc_latency: Latency
    profile: Profile


class Benchmark:
    """A kernel whose calls are timed."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.benchmark_result: BenchmarkResult | None = None

    def __getitem__(self, grid: Any) -> "Benchmark":
        return Benchmark(self.kernel[grid])

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        done = self.kernel._profiled(Profile, True, arguments, options)
        self.benchmark_result = BenchmarkResult(Latency(done.seconds), done)
        return done.returned


def benchmark(kernel: Any = None, *, warmup: int = 10, iters: int = 100, chip: str | None = None) -> Any:
    """nki.benchmark(kernel)(arrays...), or a decorator: `.benchmark_result.nc_latency` of the call. One run says what any
    number of them would, so that `warmup` and `iters` have to be possible numbers and change nothing."""
    if warmup < 0 or iters < 1:
        raise Error(f"nki.benchmark: {warmup} warm-up runs and {iters} runs", hint="warmup >= 0, iters >= 1")
    if kernel is None:
        return lambda function: Benchmark(_kernel(function, "benchmark", chip))
    return Benchmark(_kernel(kernel, "benchmark", chip))
