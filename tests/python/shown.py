"""What documents show: commands in fenced blocks, and whether their output is still so.

A `console` block has commands behind "$ " and under each the output that is shown, if any; a command may go on with a
heredoc or behind a backslash. In shown output "..." stands for anything. Simulated times and what hangs on them change as
the compiler gets better: a number before a unit of LOOSE may be off by a third, everything else is exact.
"""
import re
from dataclasses import dataclass

LOOSE = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?(?= ?(?:fs|ns|us|ms|s|%|cycles?|instructions?|KiB|MiB)(?![\w/]))")
WITHIN = 1 / 3
# A part of the time may move by a tenth of the whole: work moves between engines.
SMALL = {"%": 10.0}


@dataclass
class Block:
    language: str
    line: int
    text: str


def blocks(document):
    """The fenced blocks of a Markdown text, in order."""
    found, inside, fence = [], None, re.compile(r"^```(\w*)")
    for number, line in enumerate(document.splitlines(), 1):
        match = fence.match(line)
        if inside is not None and match:
            found.append(inside)
            inside = None
        elif inside is not None:
            inside.text += line + "\n"
        elif match:
            inside = Block(match.group(1), number, "")
    return found


def commands(block):
    """(line in the document, command, lines of output that are shown) of a console block."""
    found, until = [], None
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        if until is not None:  # a heredoc
            found[-1][1] += "\n" + line
            until = None if line == until else until
        elif line.startswith("$ "):
            found.append([number, line[2:], []])
            heredoc = re.search(r"<<\s*'?(\w+)'?", line)
            until = heredoc.group(1) if heredoc else None
        elif found and found[-1][1].endswith("\\"):
            found[-1][1] += "\n" + line
        elif found:
            found[-1][2].append(line)
        else:
            raise ValueError(f"line {number}: output before the first command: {line}")
    return [tuple(row) for row in found]


def _parts(line):
    """A line without its loose numbers and without its alignment; and the numbers with the unit behind them."""
    numbers = [(float(m.group()), line[m.end():].split()[0]) for m in LOOSE.finditer(line)]
    return " ".join(LOOSE.sub("#", line).split()), numbers


def _close(old, new):
    (a, unit), (b, _) = old, new
    return abs(a - b) <= max(WITHIN * max(a, b), SMALL.get(unit.strip(",.:;)"), 0))


def _same_line(shown, found):
    (words, old), (text, new) = _parts(shown), _parts(found)
    if "..." in words:
        pattern = ".*".join(re.escape(part) for part in words.split("..."))
        return re.fullmatch(pattern, text) is not None
    return words == text and all(map(_close, old, new))


def same(shown, found):
    """Whether lines that are shown still stand for lines that were found. A line "..." stands for any number of lines."""
    if not shown:
        return not found
    if shown[0].strip() == "...":
        return any(same(shown[1:], found[skip:]) for skip in range(len(found) + 1))
    return bool(found) and _same_line(shown[0], found[0]) and same(shown[1:], found[1:])
