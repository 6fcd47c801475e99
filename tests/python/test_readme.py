"""Is what the README shows still so? Its output is the demo's; times may lag behind the compiler by a fifth."""
import re
import subprocess
import sys

import pytest

import test_demo

NUMBER = re.compile(r"\d+\.\d+")


@test_demo.needs_models
def test_demo_output(root, tmp_path):
    shown = re.search(r"<!-- output of ./dev demo.*?-->\n```\n(.*?)```", (root / "README.md").read_text(), re.S).group(1)
    done = subprocess.run([sys.executable, root / "examples/ocr/demo.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    words = [re.sub(r"\s+", " ", NUMBER.sub("#", text)) for text in (shown, done.stdout)]
    assert words[0] == words[1], f"the README shows something else than this:\n{done.stdout}"
    for old, new in zip(NUMBER.findall(shown), NUMBER.findall(done.stdout), strict=True):
        assert float(new) == pytest.approx(float(old), rel=0.2), f"update the README:\n{done.stdout}"
    for name in ("report.md", "detection1.html", "direction1.html", "recognition1.html", "recognition1.pftrace"):
        assert (tmp_path / "out" / name).stat().st_size > 500, name
