"""Does the comparison of documents with the truth let better times pass, and nothing else?"""
import pytest

import shown


@pytest.mark.parametrize("old, new, same", [
    ("bound by tensor", "bound by tensor", True),
    ("bound by tensor", "bound by vector", False),
    ("gemm 64x64: 12.0 us, 50 instructions", "gemm 64x64: 15.9 us, 40 instructions", True),
    ("gemm 64x64: 12.0 us", "gemm 64x65: 12.0 us", False),
    ("gemm: 12.0 us", "gemm: 20.0 us", False),
    ("gemm: 12.0 us", "gemm: 12.0 ms", False),
    ("mfu 0.5 %", "mfu 2.1 %", True),
    ("mfu 50 %", "mfu 90 %", False),
    ("macs   12  ", "macs 12", True),
    ("macs 12", "macs 13", False),
    ("spec 6782 ... end", "spec ffff and more end", False),
    ("spec 6782 ... end", "spec 6782 and more end", True),
    ("spec 6782 ... end", "spec 6782 and more END", False),
    ("a\n...\nd", "a\nb\nc\nd", True),
    ("a\n...\nd", "a\nd", True),
    ("a\n...\nd", "a\nb", False),
    ("a", "a\nb", False),
    ("a\nb", "a", False),
])
def test_same(old, new, same):
    assert shown.same(old.splitlines(), new.splitlines()) is same


def test_blocks_and_commands():
    text = "# x\n```console\n$ cat > f <<'EOF'\na = 1\nEOF\n$ one \\\n  two\nout\n```\ntext\n```python\nx = 1\n```\n"
    console, python = shown.blocks(text)
    assert (console.language, console.line, python.text) == ("console", 2, "x = 1\n")
    assert shown.commands(console) == [(3, "cat > f <<'EOF'\na = 1\nEOF", []), (6, "one \\\n  two", ["out"])]


def test_output_needs_a_command():
    with pytest.raises(ValueError, match="line 2: output before the first command: out"):
        shown.commands(shown.Block("console", 1, "out\n"))
