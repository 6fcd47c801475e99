"""Instructions of the machine on operands from numpy: cases are built here, run by build/tests/tools/run_instructions in one
go, and compared. Nothing here computes what an instruction means: that is in the test files, in numpy."""
import os
import subprocess
import sys
import zlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import ml_dtypes
import numpy as np

TOOL = Path(__file__).resolve().parent.parent.parent.parent / "build/tests/tools/run_instructions"
GENERATIONS = {"trn1": 2, "inf2": 2, "trn2": 3, "trn3": 4}
F32 = np.float32

STORAGE = {"fp32": np.float32, "tf32": np.float32, "bf16": ml_dtypes.bfloat16, "fp16": np.float16,
           "fp8_e4m3": ml_dtypes.float8_e4m3, "fp8_e5m2": ml_dtypes.float8_e5m2,
           "fp8_e4m3fn": ml_dtypes.float8_e4m3fn, "fp8_e3m4": ml_dtypes.float8_e3m4,
           "int8": np.int8, "uint8": np.uint8, "int16": np.int16, "uint16": np.uint16, "int32": np.int32,
           "uint32": np.uint32, "bool": np.uint8, "fp8_e4m3fn_x4": np.uint32, "fp8_e5m2_x4": np.uint32,
           "fp4_e2m1fn_x4": np.uint16}
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32")
FLOATS = ("fp32", "bf16", "fp16", "fp8_e4m3", "fp8_e5m2", "fp8_e3m4", "tf32")


def chips(first_generation=2):
    """One chip of each generation that has an instruction."""
    return [c for c in ("trn1", "trn2", "trn3") if GENERATIONS[c] >= first_generation]


def to_f32(values, dtype):
    """What an engine reads: elements as fp32."""
    if dtype == "tf32":
        return round_tf32(values)
    if dtype == "bool":
        return (values != 0).astype(F32)
    return values.astype(F32)


def round_tf32(values):
    bits = np.asarray(values, F32).view(np.uint32)
    rounded = (bits + 0xFFF + (bits >> 13 & 1)) & np.uint32(0xFFFFE000)
    return np.where(np.isfinite(values), rounded.view(F32), values).astype(F32)


def from_f32(values, dtype):
    """What an engine stores: to nearest even; integers saturate, NaN becomes 0."""
    values = np.asarray(values, F32)
    if dtype == "tf32":
        return round_tf32(values)
    if dtype == "bool":
        return (values != 0).astype(np.uint8)
    if dtype in INTEGERS:
        info = np.iinfo(STORAGE[dtype])
        wide = np.rint(np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=1e18, neginf=-1e18))
        return np.clip(wide, info.min, info.max).astype(STORAGE[dtype])
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(STORAGE[dtype])


@dataclass
class Operand:
    """A view in the machine, with its own stretch of memory around it. dims: (step, count), outermost first."""
    memory: str
    dtype: str
    partition: int
    partitions: int
    dims: list
    begin: int  # first byte of the stretch
    size: int  # of the stretch, per partition
    offset: int  # of the first element, from begin

    @property
    def elements(self):
        return int(np.prod([count for _, count in self.dims], dtype=int))

    @property
    def text(self):
        place = f"p{self.partition}+{self.partitions} " if self.memory != "hbm" else ""
        dims = " ".join(f"{count}:{step}" for step, count in self.dims)
        return f"{self.memory}.{self.dtype}[{place}@{self.begin + self.offset} {dims}]"

    @property
    def stretch(self):
        place = f"p{self.partition}+{self.partitions} " if self.memory != "hbm" else ""
        return f"{self.memory}.uint8[{place}@{self.begin} {self.size}]"

    def places(self):
        """Byte of each element from `begin`, in order."""
        at = np.zeros((), int)
        for step, count in self.dims:
            at = at[..., None] + step * np.arange(count)
        return self.offset + at.reshape(-1) * np.dtype(STORAGE[self.dtype]).itemsize

    def put(self, stretch, values):
        """values [partitions, elements] into the bytes of the stretch [partitions, size]."""
        size = np.dtype(STORAGE[self.dtype]).itemsize
        raw = np.ascontiguousarray(values).view(np.uint8).reshape(self.partitions, -1, size)
        stretch[:, self.places()[:, None] + np.arange(size)] = raw

    def get(self, stretch):
        size = np.dtype(STORAGE[self.dtype]).itemsize
        raw = np.ascontiguousarray(stretch[:, self.places()[:, None] + np.arange(size)])
        return raw.reshape(self.partitions, -1).view(STORAGE[self.dtype])


LAYOUTS = ("dense", "gaps", "rows", "turned")


@dataclass
class Case:
    """Instructions with their operands; `want` says what must be where afterwards."""
    chip: str
    name: str = ""
    lines: list = field(default_factory=list)
    operands: list = field(default_factory=list)
    contents: list = field(default_factory=list)  # bytes of each stretch before
    wants: list = field(default_factory=list)  # (operand number, low, high): values between, elementwise
    ends: dict = field(default_factory=dict)  # bytes used, by memory

    def __post_init__(self):
        self.random = np.random.default_rng(zlib.crc32(self.name.encode()))

    def operand(self, dtype, partitions, elements, layout="dense", memory="sbuf", start=0, values=None):
        """A new operand of `elements` per partition; `layout` says how they lie. values [partitions, elements]."""
        dims = pattern(elements, layout, self.random)
        size = np.dtype(STORAGE[dtype]).itemsize
        low = sum(step * (count - 1) for step, count in dims if step < 0)
        high = sum(step * (count - 1) for step, count in dims if step > 0)
        margin = 8
        extent = (high - low + 1) * size
        begin = self.ends.get(memory, 0)
        view = Operand(memory, dtype, start, partitions, dims, begin, extent + 2 * margin, margin - low * size)
        self.ends[memory] = (begin + view.size + 63) // 64 * 64
        stretch = self.random.integers(0, 256, (partitions, view.size), np.uint8)
        if values is not None:
            view.put(stretch, np.asarray(values).reshape(partitions, elements))
        self.operands.append(view)
        self.contents.append(stretch)
        return len(self.operands) - 1

    def text(self, n):
        return self.operands[n].text

    def run(self, engine, opcode, attributes="", **operands):
        views = " ".join(f"{name}={self.text(n)}" for name, n in operands.items() if n is not None)
        self.lines.append(f"{engine} {opcode} {views} {attributes}".strip())
        return self

    def want(self, n, low, high=None):
        """Operand n holds these stored values, or ones between low and high; nothing else near it has changed."""
        self.wants.append((n, low, low if high is None else high))
        return self


def pattern(elements, layout, random):
    if layout == "dense" or elements == 1:
        return [(1, elements)]
    if layout == "gaps":
        return [(int(random.choice([2, 3, -1])), elements)]
    inner = next((k for k in (2, 3, 5, 7) if elements % k == 0), elements)
    if layout == "rows":  # rows with something between them
        return [(inner + 3, elements // inner), (1, inner)]
    return [(1, elements // inner), (elements // inner, inner)]  # turned


def run(cases):
    """The answer to each case: a list of stretches, or a message."""
    request = bytearray()
    for c in cases:
        request += f"case {c.chip} {len(c.lines)} {len(c.operands)} {len(c.wants)}\n".encode()
        request += "".join(line + "\n" for line in c.lines).encode()
        for view, bytes_ in zip(c.operands, c.contents):
            request += f"{view.stretch}\n".encode() + bytes_.tobytes()
        request += "".join(c.operands[n].stretch + "\n" for n, _, _ in c.wants).encode()
    done = subprocess.run([TOOL], input=bytes(request), capture_output=True, timeout=600)
    assert done.returncode == 0, done.stderr.decode()
    out, at, answers = done.stdout, 0, []
    for c in cases:
        end = out.index(b"\n", at)
        head, at = out[at:end].decode(), end + 1
        if not head.startswith("ok "):
            answers.append(head)
            continue
        stretches = []
        for n, _, _ in c.wants:
            view = c.operands[n]
            count = view.partitions * view.size
            stretches.append(np.frombuffer(out, np.uint8, count, at).reshape(view.partitions, view.size))
            at += count
        answers.append(stretches)
    return answers


def check(cases):
    """Every case gives what it wants."""
    assert cases
    problems = []
    for c, answer in zip(cases, run(cases)):
        if isinstance(answer, str):
            problems.append(f"{c.name}: {answer}\n  {c.lines}")
            continue
        for (n, low, high), found in zip(c.wants, answer):
            problem = difference(c, c.operands[n], np.asarray(low), np.asarray(high), c.contents[n], found)
            if problem:
                problems.append(f"{c.name}: {problem}\n  {c.lines}")
    assert not problems, f"{len(problems)} of {len(cases)} cases:\n" + "\n".join(problems[:5])


def difference(case, view, low, high, before, found):
    got = view.get(found)
    low, high = (np.broadcast_to(np.asarray(x), got.shape) for x in (low, high))
    if got.dtype.kind in "iub":
        bad = (got < low) | (got > high)
    else:
        wide, least, most = (np.asarray(x).astype(np.float64) for x in (got, low, high))
        one = (least == most) & (np.signbit(least) == np.signbit(most))
        equal = one & (wide == least) & (np.signbit(wide) == np.signbit(least))
        inside = ~one & (wide >= least) & (wide <= most)
        bad = ~(equal | inside | (np.isnan(wide) & np.isnan(least)))
    if bad.any():
        p, i = np.argwhere(bad)[0]
        return (f"{bad.sum()} of {bad.size} elements differ, first [{p},{i}]: {got[p, i]!r}, expected "
                f"{np.broadcast_to(low, got.shape)[p, i]!r} to {np.broadcast_to(high, got.shape)[p, i]!r}")
    untouched = before.copy()
    view.put(untouched, got)
    if not np.array_equal(untouched, found):
        return "bytes between or around the elements have changed"
    return ""


def between(exact, error, dtype):
    """Stored values that `exact` (float64) may become when it is off by `error` before it is rounded."""
    with np.errstate(over="ignore", invalid="ignore"):
        return from_f32(np.asarray(exact - error, F32), dtype), from_f32(np.asarray(exact + error, F32), dtype)


def signless(values):
    """From and to values, zeros of either sign."""
    return np.where(values == 0, F32(-0.0), values).astype(F32), np.where(values == 0, F32(0.0), values).astype(F32)


# Partitions and elements of each: one, primes, what fills a quadrant, the maxima.
LONG = "--long" in sys.argv or bool(os.environ.get("PRESIL_LONG"))
SHAPES = [(1, 1), (7, 13), (33, 30), (64, 8), (128, 97)]
if LONG:
    SHAPES = [(1, 1), (2, 3), (7, 13), (31, 30), (32, 64), (33, 97), (64, 8), (128, 60), (128, 512), (127, 2048)]


def start_of(partitions, random):
    """A legal first partition."""
    if partitions > 64:
        return 0
    return int(random.choice([0, 64] if partitions > 32 else [0, 32, 64, 96]))


@cache
def special():
    return np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 3e38, 1.0, -1.0, 2.5, -0.5], F32)


def values_of(random, dtype, shape, specials=True, scale=1.0):
    """Random elements of a type, as stored."""
    if dtype in INTEGERS:
        info = np.iinfo(STORAGE[dtype])
        wide = random.integers(info.min, info.max, shape, np.int64, endpoint=True)
        return np.where(random.random(shape) < 0.5, random.integers(0, 100, shape), wide).astype(STORAGE[dtype])
    if dtype == "bool":
        return random.integers(0, 2, shape).astype(np.uint8)
    numbers = (random.standard_normal(shape) * scale).astype(F32)
    if specials:
        numbers = np.where(random.random(shape) < 0.04, random.choice(special(), shape), numbers)
    if dtype in ("fp32", "tf32"):
        return numbers.astype(F32)
    with np.errstate(over="ignore"):
        return numbers.astype(STORAGE[dtype])


def sweep(rows, first_generation=2, shapes=SHAPES, dtypes=("fp32",), layouts=LAYOUTS, memories=("sbuf",)):
    """Cases (chip, shape, dtype, layout, memory, name) for a row: every shape, then types and layouts in turn."""
    n = 0
    for chip in chips(first_generation):
        for shape in shapes:
            for dtype in dtypes:
                n += 1
                layout, memory = layouts[n % len(layouts)], memories[n % len(memories)]
                yield chip, shape, dtype, layout, memory, f"{rows} {chip} {shape} {dtype} {layout} {memory} {n}"
