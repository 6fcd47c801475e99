"""House rules as a program: arrows between rooms, banned names, lengths, format, dead files, links in documents.

Prints every finding as 'file:line: what, and what to do instead' and exits with 1 if there is any.
The rules are the tables below and tools/rooms.toml; long files are excused, with a reason, in tools/long_files.toml.
"""
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
COLUMNS_MAX = 120
LINES_MAX = 600

# Heavy headers: included by a .cc only, so that a header never drags them into another room.
HEAVY = re.compile(r"^(toml\+\+|nlohmann|google/protobuf|CLI|hwy|oneapi|tbb)/|\.pb\.h$")

# (pattern, what to do instead, rooms that may use it; () = none, tests included)
BANNED = [
    (r"\bs?rand\s*\(", "base/prng.h", ()),
    (r"\bstd::(random_device|mt19937(_64)?|default_random_engine)\b", "base/prng.h", ()),
    (r"\bstd::\w+_distribution\b", "base/prng.h; library distributions differ between versions", ()),
    (r"(?<![\w.>:])(std::)?time\s*\(\s*(0|NULL|nullptr|&\w*)\s*\)", "simulated time; host timing belongs to runtime/host.h", ("runtime",)),
    (r"\b(system|steady|high_resolution)_clock\b", "simulated time; host timing belongs to runtime/host.h", ("runtime",)),
    (r"\bstd::endl\b", "'\\n'", ()),
    (r"\busing namespace std\b", "std::", ()),
    (r"\b(TODO|FIXME|XXX)\b", "an open issue, or do it", ()),
    (r"\bstd::unordered_(map|set|multimap|multiset)\b[^;]*\bfor\b", "an ordered walk", ()),
    (r"\bHWY_(EXPORT|DYNAMIC_DISPATCH)\b", "numerics/simd_dispatch.h; Highway's needs its library", ()),
    (r"__DATE__|__TIME__", "nothing: builds are reproducible", ()),
]
# Results may not depend on the host's libm.
TRANSCENDENTAL = re.compile(
    r"\bstd::(exp2?|expm1|log(2|10|1p)?|pow|sin|cos|tan|asin|acos|atan2?|sinh|cosh|tanh|erfc?|cbrt|hypot|tgamma|lgamma)[fl]?\s*\(")
EXACT_ROOMS = {"numerics", "chip", "system", "kernels", "backend"}


def load_rooms():
    return tomllib.loads((ROOT / "tools/rooms.toml").read_text())["room"]


def may_include(rooms, user, used):
    if user == used:
        return True
    a, b = rooms[user], rooms[used]
    if a["line"] == b["line"]:
        return used in a.get("also", ())
    walled = "side" in a and "side" in b and a["side"] != b["side"]
    return b["line"] < a["line"] and not walled


def cmake_rooms():
    """Room -> DEPS, as src/CMakeLists.txt declares them."""
    text = re.sub(r"#.*", "", (SRC / "CMakeLists.txt").read_text())
    declared = {}
    for name, arguments in re.findall(r"presil_(?:room|python_module)\(\s*(\w+)([^)]*)\)", text):
        match = re.search(r"\bDEPS\b((?:\s+(?!LINK\b)[\w-]+)*)", arguments)
        declared[name] = match.group(1).split() if match else []
    return declared


def reachable(declared, room):
    seen, todo = set(), [room]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(declared.get(name, ()))
    return seen


def check_arrows(files):
    rooms, declared = load_rooms(), cmake_rooms()
    for name, deps in declared.items():
        for dep in deps:
            if name not in rooms or dep not in rooms:
                yield f"src/CMakeLists.txt:1: room '{name}' or '{dep}' is not in tools/rooms.toml"
            elif not may_include(rooms, name, dep):
                yield f"src/CMakeLists.txt:1: room '{name}' may not use '{dep}' (tools/rooms.toml)"
    for path in files:
        if SRC not in path.parents:
            continue
        room = path.relative_to(SRC).parts[0]
        if room not in declared:
            yield f"{path.relative_to(ROOT)}:1: dead file: room '{room}' is not declared in src/CMakeLists.txt"
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*"([^"/]+)/', line)
            used = match and match.group(1)
            if not used or not (SRC / used).is_dir():
                continue
            if used not in rooms or not may_include(rooms, room, used):
                yield f"{path.relative_to(ROOT)}:{number}: room '{room}' may not include '{used}' (tools/rooms.toml)"
            elif used not in reachable(declared, room):
                yield f"{path.relative_to(ROOT)}:{number}: '{used}' is not among the DEPS of '{room}' in src/CMakeLists.txt"


def check_text(files):
    excused = tomllib.loads((ROOT / "tools/long_files.toml").read_text())
    for path in files:
        name = path.relative_to(ROOT)
        room = path.relative_to(SRC).parts[0] if SRC in path.parents else ""
        lines = path.read_text().splitlines()
        limit = excused.get(str(name), {}).get("lines", LINES_MAX)
        if len(lines) > limit:
            yield f"{name}:{len(lines)}: {len(lines)} lines, at most {limit}; split it, or give a reason in tools/long_files.toml"
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS_MAX:
                yield f"{name}:{number}: {len(line)} columns, at most {COLUMNS_MAX}"
            for pattern, instead, allowed in BANNED:
                if room not in allowed and re.search(pattern, line):
                    yield f"{name}:{number}: '{re.search(pattern, line).group(0)}' is banned; use {instead}"
            if room in EXACT_ROOMS and not path.name.endswith("_test.cc") and TRANSCENDENTAL.search(line):
                yield f"{name}:{number}: libm in a room whose results must be the same everywhere; use numerics/activation.h"
            heavy = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
            if heavy and HEAVY.search(heavy.group(1)) and path.suffix == ".h":
                yield f"{name}:{number}: heavy header {heavy.group(1)} in a header; include it from one .cc"


def check_format(files):
    command = ["clang-format-16", "--dry-run", "--ferror-limit=1", *map(str, files)]
    report = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stderr
    for path, number in re.findall(r"^(\S+?):(\d+):\d+: \w+: code should be clang-formatted", report, re.M):
        yield f"{Path(path).relative_to(ROOT)}:{number}: not formatted; run ./dev format"


def check_links(documents):
    for path in documents:
        text = re.sub(r"```.*?```", lambda block: "\n" * block.group(0).count("\n"), path.read_text(), flags=re.S)
        for match in re.finditer(r"\]\(([^)#\s]*)(#[^)\s]*)?\)", text):
            target = match.group(1)
            if target and "://" not in target and not (path.parent / target).exists():
                number = text.count("\n", 0, match.start()) + 1
                yield f"{path.relative_to(ROOT)}:{number}: broken link {target}"


def check_named_files(documents):
    """Files that a document names in code type, like `chip/core.h`, from the top or from src/."""
    for path in documents:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for name in re.findall(r"`([a-z_]+/[a-z0-9_/]+\.(?:cc|h|py|toml|json))`", line):
                if not (ROOT / name).exists() and not (SRC / name).exists():
                    yield f"{path.relative_to(ROOT)}:{number}: there is no file {name}"


def check_navigation(pages):
    """Pages and the navigation of mkdocs.yml name each other; with ./dev docs, links are checked as well."""
    named = set(re.findall(r":\s+(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M))
    pages = {str(path.relative_to(ROOT / "docs")) for path in pages}
    for page in sorted(pages - named):
        yield f"docs/{page}:1: not in the navigation (mkdocs.yml)"
    for page in sorted(named - pages):
        yield f"mkdocs.yml:1: there is no page docs/{page}"


def check_symbolic_links(paths):
    for path in paths:
        if path.is_symlink():
            yield f"{path.relative_to(ROOT)}:1: a symbolic link is tracked; it means nothing in another clone"


def tracked(*patterns):
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
                            cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted(ROOT / name for name in listed.stdout.split("\n") if name and ((ROOT / name).exists() or (ROOT / name).is_symlink()))


def main():
    code = tracked("*.cc", "*.h", "*.c")
    findings = [*check_arrows(code), *check_text(code), *check_format(code), *check_links(tracked("*.md")), *check_named_files(tracked("*.md")),
                *check_navigation(tracked("docs/*.md")),
                *check_symbolic_links(tracked())]
    print("\n".join(findings))
    print(f"lint: {len(code)} sources, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
