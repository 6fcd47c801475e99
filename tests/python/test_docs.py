"""Does every command in the documentation run, and print what is shown? Are all pages reachable?

`pytest tests/python/test_docs.py --update` writes the present output and the generated pages into the documents.
"""
import contextlib
import io
import json
import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT

import reference_pages
import shown

DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if re.search(r"^```(console|python)$", path.read_text(), re.M))
# Commands that install or build are run where it says.
ELSEWHERE = {"./dev setup": ".ci/run", "./dev build": ".ci/run", "./dev test": ".ci/run", "./dev docs": "below",
             "pip install .": "test_package.py, --long", "export PATH=$PWD/build:$PWD/.venv/bin:$PATH": "`scratch` below",
             "git clone": "by whoever reads this", "cd presil": ""}


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """A folder that looks like a clone where presil is built."""
    for name in ("examples", "include", "build", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}/build:{ROOT}/.venv/bin:{os.environ['PATH']}")
    return tmp_path


def run_console(page, block, found):
    for line, command, expected in shown.commands(block):
        done = subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        output = done.stdout.splitlines()
        found.append((line, command, expected, output))
        if not expected:
            assert done.returncode == 0, f"{page}:{line}: {command}\n{done.stdout}"


def run_python(page, block, names):
    printed = io.StringIO()
    code = compile("\n" * block.line + block.text, str(page), "exec")
    with contextlib.redirect_stdout(printed):
        exec(code, names)
    return printed.getvalue().splitlines()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(DOCS).as_posix())
def test_a_page_does_what_it_shows(page, scratch, request):
    found, names, printed, printed_at = [], {"__name__": "__main__"}, None, 0
    for block in shown.blocks(page.read_text()):
        if block.language == "console":
            run_console(page.name, block, found)
        elif block.language == "python":
            printed, printed_at = run_python(page, block, names), block.line
        elif block.language == "text" and printed is not None:
            found.append((block.line, f"print of line {printed_at}", block.text.splitlines(), printed))
            printed = None
    if request.config.getoption("--update"):
        return update(page, found)
    for line, command, expected, output in found:
        if expected:
            assert shown.same(expected, output), f"{page.name}:{line}: {command}\nprints\n" + "\n".join(output)


def update(page, found):
    """Writes outputs that changed; those with "..." are left to a person."""
    text = page.read_text()
    for _, command, expected, output in found:
        old, new = "\n".join(expected), "\n".join(output)
        if expected and not shown.same(expected, output):
            assert "..." not in old, f"{command}: change it by hand:\n{new}"
            assert text.count(old + "\n") >= 1
            text = text.replace(old + "\n", new + "\n", 1)
    page.write_text(text)


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")) + [ROOT / "README.md"], ids=lambda path: path.name)
def test_other_commands_are_run_elsewhere(page):
    for block in shown.blocks(page.read_text()):
        assert block.language in ("", "console", "python", "text", "toml", "c", "sh", "json"), f"{page}:{block.line}"
        if block.language == "sh":
            for line in block.text.splitlines():
                known = [command for command in ELSEWHERE if line.startswith(command)]
                assert known, f"{page}:{block.line}: nothing runs this: {line}"


@pytest.mark.parametrize("name", reference_pages.PAGES)
def test_generated_pages(name, presil, request):
    path, wanted = DOCS / "reference" / name, reference_pages.PAGES[name](presil, DOCS)
    if request.config.getoption("--update"):
        path.write_text(wanted)
    assert path.read_text() == wanted, "pytest tests/python/test_docs.py --update writes it"


def test_the_documentation_builds(tmp_path):
    """./dev docs: mkdocs --strict, which refuses broken links and pages that are not in the navigation."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    index = (tmp_path / "site/index.html").read_text()
    assert "First steps" in index
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="(https?:)?//', index), "the pages load nothing from elsewhere"
    assert json.loads((tmp_path / "site/schema/run.json").read_text())["title"]


def test_a_page_outside_of_the_navigation_is_refused(tmp_path):
    for name in ("mkdocs.yml", "docs"):
        subprocess.run(["cp", "-r", ROOT / name, tmp_path / name], check=True)
    (tmp_path / "docs/lost.md").write_text("# Lost\n")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0 and "lost.md" in done.stderr
