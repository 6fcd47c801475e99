"""Does the ratchet of `./dev bench --ratchet` notice what got worse, on either side of its tolerance?"""
import sys
import tomllib

import pytest


@pytest.fixture(scope="module")
def ratchet(root):
    sys.path.insert(0, str(root / "bench"))
    import ratchet

    sys.path.pop(0)
    return ratchet


@pytest.mark.parametrize("kept, now, more_is_better, expected", [
    (None, 1.0, False, "new"),
    (100, 100, False, "as before"),
    (100, 104.9, False, "as before"),
    (100, 105.1, False, "worse"),
    (100, 94.9, False, "better"),
    (100, 95.3, True, "as before"),
    (100, 95.1, True, "worse"),
    (100, 106, True, "better"),
])
def test_verdict(ratchet, kept, now, more_is_better, expected):
    assert ratchet.verdict(kept, now, 5, more_is_better) == expected


def test_every_row_is_kept(ratchet):
    assert list(tomllib.loads(ratchet.KEPT.read_text())) == list(ratchet.ROWS)


def test_a_run_keeps_what_is_better_and_fails_for_what_is_worse(ratchet, monkeypatch, tmp_path, capsys):
    def unavailable():
        raise ratchet.Unavailable("no such machine")

    rows = {"slow": (lambda: 2.0, 5, False), "fast": (lambda: 2.0, 5, True), "absent": (unavailable, 5, False)}
    monkeypatch.setattr(ratchet, "ROWS", rows)
    monkeypatch.setattr(ratchet, "KEPT", tmp_path / "kept.toml")
    ratchet.KEPT.write_text("slow = 1.0\nfast = 1.0\nabsent = 7.0\n")
    assert ratchet.run("", False) == 1 and ratchet.run("fast", False) == 0
    out = capsys.readouterr().out
    assert "worse   (kept 1, tolerance 5 %)" in out and "not measured: no such machine" in out
    assert tomllib.loads(ratchet.KEPT.read_text()) == {"slow": 1.0, "fast": 1.0, "absent": 7.0}
    assert ratchet.run("", True) == 1
    assert tomllib.loads(ratchet.KEPT.read_text()) == {"slow": 1.0, "fast": 2.0, "absent": 7.0}
