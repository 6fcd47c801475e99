"""Is what the README shows still so? Text, networks and shapes exactly; times may lag behind the compiler by a third.

`pytest tests/python/test_readme.py --update` writes the present output into the README.
"""
import re
import subprocess
import sys

import pytest

import test_demo

BLOCK = re.compile(r"(<!-- output of ./dev demo.*?-->\n```\n)(.*?)```", re.S)
TIME = re.compile(r"(\w+) .*? (\d+\.\d+) ms")


@test_demo.needs_models
def test_demo_output(root, tmp_path, request):
    readme = root / "README.md"
    shown = BLOCK.search(readme.read_text()).group(2)
    done = subprocess.run([sys.executable, root / "examples/ocr/demo.py"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("report.md", "detection1.html", "direction1.html", "recognition1.html", "recognition1.pftrace"):
        assert (tmp_path / "out" / name).stat().st_size > 500, name
    if request.config.getoption("--update"):
        readme.write_text(BLOCK.sub(lambda match: match.group(1) + done.stdout + "```", readme.read_text()))
        return
    stable = [re.sub(r" \d+\.\d+ .*", "", text) for text in (shown, done.stdout)]
    assert stable[0] == stable[1], f"the README shows something else than this:\n{done.stdout}"
    for (name, old), (_, new) in zip(TIME.findall(shown), TIME.findall(done.stdout), strict=True):
        assert float(new) == pytest.approx(float(old), rel=1 / 3), f"{name}: update the README:\n{done.stdout}"
