"""Can fuzzing find anything at all? The canary must, and ./dev fuzz must say so and keep the input."""
import shutil
import subprocess

import pytest


@pytest.mark.skipif(not shutil.which("clang++-16"), reason="clang 16 is not installed")
def test_the_canary_sings(root):
    found = root / ".cache/fuzz/canary"
    shutil.rmtree(found, ignore_errors=True)
    done = subprocess.run([root / "dev", "fuzz", "canary", "--seconds", "120"], capture_output=True, text=True)
    assert done.returncode not in (0, 2), done.stdout + done.stderr
    assert "internal error" in done.stderr and "the canary sings" in done.stderr
    crashes = list(found.glob("crash-*"))
    assert len(crashes) == 1 and crashes[0].read_bytes().startswith(b"dead")


def test_an_unknown_target_is_named(root):
    done = subprocess.run([root / "dev", "fuzz", "decod"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("dev: error: no fuzz target 'decod'; targets: ")
