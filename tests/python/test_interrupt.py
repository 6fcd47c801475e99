"""Does a run that is interrupted end at once, whatever it is doing, and leave nothing half-written?"""
import random
import signal
import subprocess
import time

import pytest

# Compiling and writing, simulating with data: each takes long enough to be hit.
WORK = {
    "time": "bench gemm --m 600000 --n 64 --k 64 --no-data --report r.html --trace t.pftrace",
    "data": "bench gemm --m 4096 --n 4096 --k 4096 --report r.html --trace t.pftrace",
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("work", WORK)
def test_an_interrupted_run_leaves_nothing(presil, tmp_path, work, number, request):
    seed = f"{work} {number.name}"
    draw = random.Random(seed)
    for _ in range(20 if request.config.getoption("--long") else 3):
        delay = draw.uniform(0.02, 0.9)
        process = subprocess.Popen([presil, *WORK[work].split()], cwd=tmp_path, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(delay)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        left = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
        if process.returncode == 0:  # it was done before
            assert err == "" and out.count("\n") == 4
        else:
            assert (process.returncode, out, err) == (128 + number, "", "presil: interrupted\n"), (seed, delay)
        assert set(left) <= {"r.html", "t.pftrace"} and all(left.values()), (seed, delay, left)
        for path in tmp_path.iterdir():
            path.unlink()


def test_a_second_interrupt_needs_no_cooperation(presil, tmp_path):
    process = subprocess.Popen([presil, *WORK["data"].split()], cwd=tmp_path, stderr=subprocess.DEVNULL)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) in (130, -signal.SIGINT)
