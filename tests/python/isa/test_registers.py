"""Registers, branches and loops of every sequencer: programs that compute in registers and store them, in numpy again."""
import json
import subprocess

import numpy as np
import pytest

from machine import chips

ROWS = {"register_move", "register_alu", "register_load", "register_store", "branch", "loop", "loop_end", "halt"}
ENGINES = ("tensor", "vector", "scalar", "gpsimd", "sync")
I32 = np.int32


def wrapped(f):
    def call(a, b):
        with np.errstate(all="ignore"):
            return np.asarray(f(a, b)).astype(np.int64).astype(I32)
    return call


def shifted(f):
    return lambda a, b: f(a.view(np.uint32), b.view(np.uint32) % 32).view(I32) if 0 <= b < 32 else I32(0)


OPERATORS = {name: wrapped(f) for name, f in {
    "add": lambda a, b: a + b, "subtract": lambda a, b: a - b, "multiply": lambda a, b: a.astype(np.int64) * b,
    "max": np.maximum, "min": np.minimum, "eq": np.equal, "ne": np.not_equal, "ge": np.greater_equal, "gt": np.greater,
    "le": np.less_equal, "lt": np.less,
    "bit_and": np.bitwise_and, "bit_or": np.bitwise_or, "bit_xor": np.bitwise_xor,
    "shift_left": shifted(lambda a, b: a << b), "shift_right": shifted(lambda a, b: a >> b),
}.items()}
LOADED = ("int8", "uint8", "int16", "uint16", "int32", "uint32")


@pytest.fixture
def words(presil, tmp_path):
    """The int32 words that a queue leaves in y."""

    def run(chip, lines, count, inputs=None, code=0):
        listed = json.loads(subprocess.run([presil, "chips", "--json"], capture_output=True, check=True).stdout)
        spec = next(c for c in listed if c["name"] == chip)["spec_hash"]
        text = (f'presil executable 1\nchip "{chip}" {spec}\nmodel "registers"\nprecision "fp32"\nsemaphores 1\n'
                "hbm_bytes 65536\nqueue {\n" + "\n".join(lines) + "\n}\n" +
                f'tensor output "y" int32[{count}] address=0 bytes={4 * count}\n')
        arguments = []
        if inputs is not None:
            text += f'tensor input "x" uint8[{inputs.size}] address=32768 bytes={inputs.size}\n'
            np.save(tmp_path / "x.npy", inputs)
            arguments = ["--input", "x=x.npy"]
        (tmp_path / "p.txt").write_text(text)
        done = subprocess.run([presil, "run", "p.txt", "--output-dir", "out", *arguments], cwd=tmp_path, capture_output=True,
                              text=True, timeout=60)
        assert done.returncode == code, done.stderr + done.stdout
        return np.load(tmp_path / "out/y.npy") if code == 0 else done.stdout + done.stderr

    return run


@pytest.mark.parametrize("chip", chips())
@pytest.mark.parametrize("engine", ENGINES)
def test_arithmetic(words, chip, engine):
    random = np.random.default_rng(3)
    special = np.array([0, 1, -1, 5, 31, 32, 2**31 - 1, -(2**31)], I32)
    lines, expected = [], []
    for name, f in OPERATORS.items():
        for _ in range(6):
            a = random.choice(special) if random.random() < 0.5 else I32(random.integers(-(2**31), 2**31))
            b = random.choice(special) if random.random() < 0.5 else I32(random.integers(-40, 40))
            lines += [f"{engine} register_move dst=r0 imm={a}", f"{engine} register_move dst=r1 imm={b}"]
            second = "b=r1" if random.random() < 0.5 else f"imm={b}"
            lines += [f"{engine} register_alu dst=r2 op={name} a=r0 {second}", f"{engine} register_move dst=r3 src=r2",
                      f"{engine} register_store dst=hbm.int32[@{4 * len(expected)}] src=r3"]
            expected.append(f(a, b))
    assert np.array_equal(words(chip, lines, len(expected)), np.array(expected, I32))


@pytest.mark.parametrize("chip", chips())
def test_loads_extend_by_sign(words, chip):
    raw = np.random.default_rng(4).integers(0, 256, 64, np.uint8)
    lines, expected = [], []
    for k, dtype in enumerate(LOADED):
        size = np.dtype(dtype).itemsize
        lines += [f"sync register_load src=hbm.{dtype}[@{32768 + 8 * k}] dst=r9",
                  f"sync register_store dst=hbm.int32[@{4 * k}] src=r9"]
        expected.append(raw[8 * k:8 * k + size].view(dtype)[0])
    assert np.array_equal(words(chip, lines, len(LOADED), raw), np.array(expected, np.int64).astype(I32))


@pytest.mark.parametrize("chip", chips())
@pytest.mark.parametrize("start,end,step", [(0, 5, 1), (3, 3, 1), (-4, 9, 3), (7, 2, 1)])
def test_loops_and_branches(words, chip, start, end, step):
    """The sum of the counters that are positive, and how many counters there were."""
    lines = ["sync register_move dst=r1 imm=0", "sync register_move dst=r2 imm=0",
             f"sync loop counter=r0 from_imm={start} until_imm={end} step={step} to=8",
             "sync register_alu dst=r2 op=add a=r2 imm=1",
             "sync branch op=lt a=r0 imm=1 to=6",
             "sync register_alu dst=r1 op=add a=r1 b=r0",
             "sync register_alu dst=r3 op=multiply a=r0 imm=2",
             "sync loop_end to=2",
             "sync register_store dst=hbm.int32[@0] src=r1", "sync register_store dst=hbm.int32[@4] src=r2",
             "sync branch to=12", "sync halt", "sync wait"]
    counters = range(start, end, step)
    assert list(words(chip, lines, 2)) == [sum(c for c in counters if c > 0), len(counters)]


def test_halt_is_a_fault(words):
    said = words("trn2", ["sync register_move dst=r0 imm=1", "sync register_store dst=hbm.int32[@0] src=r0", "sync halt"], 1,
                 code=1)
    assert "halt" in said
