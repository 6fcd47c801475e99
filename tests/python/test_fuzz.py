"""Can fuzzing find anything at all? Both harnesses must hear the canary, say so and keep the input."""
import shutil
import subprocess

import numpy as np
import pytest

SEEDS = {"chip": "show", "onnx": "show", "plan": "show", "decode": "show", "assembly": "run", "run": "run"}


@pytest.mark.skipif(not shutil.which("clang++-16"), reason="clang 16 is not installed")
def test_the_canary_sings(root):
    found = root / ".cache/fuzz/canary"
    shutil.rmtree(found, ignore_errors=True)
    done = subprocess.run([root / "dev", "fuzz", "canary", "--seconds", "120"], capture_output=True, text=True)
    assert done.returncode not in (0, 2), done.stdout + done.stderr
    assert "internal error" in done.stderr and "the canary sings" in done.stderr
    crashes = list(found.glob("crash-*"))
    assert len(crashes) == 1 and crashes[0].read_bytes().startswith(b"dead")


def test_the_canary_sings_in_the_seeded_sample(root, tmp_path):
    sample = [root / "build/tests/fuzz/canary_fuzz_sample", root / "tests/fuzz/corpus/canary", "--keep", tmp_path]
    done = subprocess.run(sample, capture_output=True, text=True)
    assert done.returncode == 1 and "the canary sings" in done.stderr
    [crash] = tmp_path.iterdir()
    assert crash.read_bytes().startswith(b"dead")
    assert done.stderr.endswith(f"did not go through; kept in {crash}\n")
    again = subprocess.run(sample, capture_output=True, text=True)
    assert (again.returncode, again.stderr) == (1, done.stderr)


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("clang++-16"), reason="clang 16 is not installed")
@pytest.mark.parametrize("target", [*SEEDS, "graph", "npy", "trace"])
def test_a_minute_of_fuzzing_finds_nothing(root, target):
    done = subprocess.run([root / "dev", "fuzz", target, "--seconds", "60"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def test_an_unknown_target_is_named(root):
    done = subprocess.run([root / "dev", "fuzz", "decod"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("dev: error: no fuzz target 'decod'; targets: ")


def test_every_target_has_seeds(root):
    targets = {path.stem.removesuffix("_fuzz") for path in (root / "tests/fuzz").glob("*_fuzz.cc")}
    seeds = {path.name for path in (root / "tests/fuzz/corpus").iterdir() if any(path.iterdir())}
    assert targets == seeds


@pytest.mark.parametrize("target", SEEDS)
def test_seeds_are_well_formed(root, presil, target):
    """One that is refused at its first line leads a fuzzer nowhere."""
    for seed in (root / "tests/fuzz/corpus" / target).iterdir():
        options = ["--no-data", "--retime"] if SEEDS[target] == "run" else []
        if options and b"register_load" in seed.read_bytes():
            options += ["--assume", "rows=2"]  # how often it loops is known with data only
        done = subprocess.run([presil, SEEDS[target], seed, *options], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), seed


def test_array_seeds_are_well_formed(root):
    for seed in (root / "tests/fuzz/corpus/npy").iterdir():
        assert np.load(seed).nbytes > 0
