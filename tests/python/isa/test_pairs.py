"""What two cores of a pair do together: whole programs for both, run, and compared with numpy."""
import json
import subprocess

import numpy as np
import pytest

from machine import SHAPES, STORAGE, chips, values_of

ROWS = {"sendrecv", "core_barrier"}
ENGINES = ("tensor", "vector", "scalar", "gpsimd", "sync")
DTYPES = ("fp32", "bf16", "uint8", "int32", "fp16", "fp8_e5m2")


@pytest.fixture
def pair(presil, tmp_path):
    """What is in y (bytes) after the queues of core 0 and core 1, which find `x` (bytes) at address 0; y follows it."""
    listed = json.loads(subprocess.run([presil, "chips", "--json"], capture_output=True, check=True).stdout)

    def run(chip, queues, x, size, code=0):
        spec = next(c for c in listed if c["name"] == chip)["spec_hash"]
        text = (f'presil executable 1\nchip "{chip}" {spec}\nmodel "pair"\nprecision "fp32"\nlnc 2\nsemaphores 8\n'
                f"hbm_bytes {x.size + size}\n")
        for core, lines in queues:
            text += f"queue core={core} {{\n" + "\n".join(lines) + "\n}\n"
        text += (f'tensor input "x" uint8[{x.size}] address=0 bytes={x.size}\n'
                 f'tensor output "y" uint8[{size}] address={x.size} bytes={size}\n')
        np.save(tmp_path / "x.npy", x)
        (tmp_path / "p.txt").write_text(text)
        done = subprocess.run([presil, "run", "p.txt", "--output-dir", "out", "--check", "--input", "x=x.npy", "--json"],
                              cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, done.stderr + done.stdout
        if code == 0:
            assert json.loads(done.stdout)["findings"] == []
        return np.load(tmp_path / "out/y.npy") if code == 0 else done.stderr + done.stdout

    return run


def exchanged(engine, dtype, p, n, step, start, gpsimd=False):
    """Queues in which each core loads its half of x, sends it and stores what it has received into its half of y."""
    size = np.dtype(STORAGE[dtype]).itemsize
    half = p * n * size
    queues = []
    for core in (0, 1):
        src = f"sbuf.{dtype}[p{start}+{p} {n}:{step}]"
        dst = f"sbuf.{dtype}[p{start}+{p} @65536 {n}]"
        flags = " gpsimd_dma=1" if gpsimd else ""
        queues.append((core, [f"sync dma_copy dst={src} src=hbm.{dtype}[@{core * half} {p * n}] signal=s0",
                              f"sync dma_copy dst=hbm.{dtype}[@{(2 + core) * half} {p * n}] src={dst} wait=s1>=1"]))
        queues.append((core, [f"{engine} sendrecv dst={dst} src={src} send_to_rank={1 - core} "
                              f"recv_from_rank={1 - core} pipe_id=3{flags} wait=s0>=16 signal=s1"]))
    return queues, half


@pytest.mark.parametrize("chip", chips(3))
def test_sendrecv(pair, chip):
    for number, (p, n) in enumerate(SHAPES):
        for dtype in DTYPES[number % 2::2]:
            random = np.random.default_rng(number)
            engine = ("scalar", "vector", "tensor", "gpsimd")[number % 4]
            step, start = (1, 2, 3)[number % 3], 0 if p > 64 else 32 * (number % 2)
            queues, half = exchanged(engine, dtype, p, n, step, start)
            x = np.concatenate([values_of(random, dtype, (p, n)).reshape(-1).view(np.uint8) for _ in (0, 1)])
            y = pair(chip, queues, x, 2 * half)
            assert np.array_equal(y, np.concatenate([x[half:], x[:half]])), (chip, p, n, dtype)


@pytest.mark.parametrize("chip", chips(3))
def test_sendrecv_by_the_engines_of_gpsimd(pair, chip):
    x = np.random.default_rng(1).integers(0, 256, 2 * 128 * 256 * 2, np.uint8)
    queues, half = exchanged("gpsimd", "uint16", 128, 256, 1, 0, gpsimd=True)
    assert np.array_equal(pair(chip, queues, x, 2 * half), np.concatenate([x[half:], x[:half]]))
    queues, half = exchanged("gpsimd", "uint16", 127, 257, 1, 0, gpsimd=True)
    x = np.zeros(2 * half, np.uint8)
    assert "sendrecv src: 257 elements per partition, gpsimd's DMA engines move at most 256" in pair(
        chip, queues, x, 2 * half, code=2)


@pytest.mark.parametrize("chip", chips(3))
@pytest.mark.parametrize("engine", ENGINES)
def test_core_barrier(pair, chip, engine):
    """Each core puts its half into y, both meet, each takes the other's half and adds it to its own."""
    count = 32 * 5
    half, y = 4 * count, 8 * count
    values = np.random.default_rng(5).standard_normal((2, count)).astype(np.float32)
    queues = []
    for core in (0, 1):
        own, other = f"@{y + core * half} {count}", f"@{y + (1 - core) * half} {count}"
        place = ("sbuf.fp32[p0+32 5]", "sbuf.fp32[p0+32 @1024 5]", "sbuf.fp32[p0+32 @2048 5]")
        queues.append((core, [f"sync dma_copy dst={place[0]} src=hbm.fp32[@{core * half} {count}] signal=s0",
                              f"sync dma_copy dst=hbm.fp32[{own}] src={place[0]} wait=s0>=16 signal=s1",
                              f"sync dma_copy dst={place[1]} src=hbm.fp32[{other}] wait=s2>=1 signal=s3",
                              f"sync dma_copy dst=hbm.fp32[{own}] src={place[2]} wait=s4>=1 wait=s5>=1"]))
        barriers = [f"{engine} core_barrier data=hbm.fp32[@{y} {2 * count}] wait=s1>=16 signal=s2",
                    f"{engine} core_barrier data=hbm.fp32[@{y} {2 * count}] wait=s3>=16 signal=s5"]
        add = [f"vector tensor_tensor dst={place[2]} data1={place[0]} data2={place[1]} op=add wait=s3>=16 signal=s4"]
        if engine == "sync":  # a queue has one order
            queues[-1][1].insert(2, barriers[0])
            queues[-1][1].insert(4, barriers[1])
            queues.append((core, add))
        elif engine == "vector":
            queues.append((core, [barriers[0], *add, barriers[1]]))
        else:
            queues += [(core, barriers), (core, add)]
    found = pair(chip, queues, values.reshape(-1).view(np.uint8), 2 * half).view(np.float32).reshape(2, count)
    assert np.array_equal(found, np.array([values[0] + values[1], values[1] + values[0]]))


def test_cores_that_do_not_meet(pair):
    queues, half = exchanged("scalar", "fp32", 8, 8, 1, 0)
    queues[3][1][0] = queues[3][1][0].replace("pipe_id=3", "pipe_id=4")
    assert "1 instructions of core 0 meet 0 of core 1: sendrecv of pipe 3" in pair(
        "trn2", queues, np.zeros(2 * half, np.uint8), 2 * half, code=2)
