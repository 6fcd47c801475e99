"""Does the lint see what it forbids? Each rule gets a file that breaks it."""
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
spec = importlib.util.spec_from_file_location("lint", ROOT / "tools/lint.py")
lint = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lint)


@pytest.mark.parametrize("user, used, allowed", [
    ("cli", "base", True), ("compiler", "backend", True), ("system", "chip", True), ("tile", "isa", True),
    ("validate", "compiler", True), ("chip", "riscv", True), ("graph", "graph", True),
    ("isa", "tile", False), ("compiler", "chip", False), ("system", "kernels", False), ("chip", "kernels", False),
    ("base", "numerics", False), ("backend", "kernels", False), ("sim", "spec", False), ("report", "runtime", False),
])
def test_arrows(user, used, allowed):
    assert lint.may_include(lint.load_rooms(), user, used) == allowed


def in_tree(tmp_path, monkeypatch, name, text):
    """A tree with one source beside the real rooms table."""
    (tmp_path / "tools").mkdir()
    for table in ("rooms.toml", "long_files.toml"):
        (tmp_path / "tools" / table).write_text((ROOT / "tools" / table).read_text())
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    monkeypatch.setattr(lint, "ROOT", tmp_path)
    monkeypatch.setattr(lint, "SRC", tmp_path / "src")
    return path


@pytest.mark.parametrize("line, finding", [
    ("int x = rand();", "'rand(' is banned"),
    ("std::random_device d;", "'std::random_device' is banned"),
    ("std::normal_distribution<float> d;", "'std::normal_distribution' is banned"),
    ("auto t = std::chrono::system_clock::now();", "'system_clock' is banned"),
    ("auto t = std::time(nullptr);", "'std::time(nullptr)' is banned"),
    ("out << std::endl;", "'std::endl' is banned"),
    ("using namespace std;", "'using namespace std' is banned"),
    ("// TO" + "DO: later", "'TO" + "DO' is banned"),
    ("float y = std::exp(x);", "libm in a room"),
    ("int " + "x" * 120 + ";", "125 columns, at most 120"),
    ("\n" * 600, "601 lines, at most 600"),
])
def test_text_rules(tmp_path, monkeypatch, line, finding):
    path = in_tree(tmp_path, monkeypatch, "src/numerics/planted.cc", line + "\n")
    findings = list(lint.check_text([path]))
    assert len(findings) == 1 and finding in findings[0], findings


def test_clean_text_has_no_findings(tmp_path, monkeypatch):
    path = in_tree(tmp_path, monkeypatch, "src/numerics/clean.cc", "int to_time(int t) { return operand(t); }\n")
    assert list(lint.check_text([path])) == []


def test_host_clock_is_allowed_where_the_host_is_timed(tmp_path, monkeypatch):
    path = in_tree(tmp_path, monkeypatch, "src/runtime/host.h", "auto t = std::chrono::steady_clock::now();\n")
    assert list(lint.check_text([path])) == []


def test_heavy_header_in_a_header(tmp_path, monkeypatch):
    path = in_tree(tmp_path, monkeypatch, "src/spec/planted.h", "#include <toml++/toml.h>\n")
    assert ["heavy header toml++/toml.h" in f for f in lint.check_text([path])] == [True]


def test_include_against_the_arrows(tmp_path, monkeypatch):
    path = in_tree(tmp_path, monkeypatch, "src/isa/planted.cc", '#include "base/text.h"\n#include "tile/builder.h"\n')
    (tmp_path / "src/tile").mkdir()
    (tmp_path / "src/base").mkdir()
    (tmp_path / "src/CMakeLists.txt").write_text("presil_room(base)\npresil_room(isa DEPS base)\n")
    assert list(lint.check_arrows([path])) == [
        "src/isa/planted.cc:2: room 'isa' may not include 'tile' (tools/rooms.toml)"]


def test_undeclared_room_is_dead(tmp_path, monkeypatch):
    path = in_tree(tmp_path, monkeypatch, "src/attic/planted.cc", "")
    (tmp_path / "src/CMakeLists.txt").write_text("presil_room(base)\n")
    assert "dead file" in list(lint.check_arrows([path]))[0]


def test_broken_link(tmp_path, monkeypatch):
    path = in_tree(tmp_path, monkeypatch, "PAGE.md", "[here](PAGE.md) and\n[there](gone.md#part)\n")
    assert list(lint.check_links([path])) == ["PAGE.md:2: broken link gone.md"]


def test_page_outside_of_the_navigation(tmp_path, monkeypatch):
    page = in_tree(tmp_path, monkeypatch, "docs/lost.md", "")
    (tmp_path / "mkdocs.yml").write_text("nav:\n  - Here: here.md\n")
    assert list(lint.check_navigation([page])) == [
        "docs/lost.md:1: not in the navigation (mkdocs.yml)", "mkdocs.yml:1: there is no page docs/here.md"]


def test_symbolic_link(tmp_path, monkeypatch):
    monkeypatch.setattr(lint, "ROOT", tmp_path)
    (tmp_path / "link").symlink_to("elsewhere")
    (tmp_path / "file").write_text("")
    assert list(lint.check_symbolic_links([tmp_path / "file", tmp_path / "link"])) == [
        "link:1: a symbolic link is tracked; it means nothing in another clone"]


def test_named_file_that_is_gone(tmp_path, monkeypatch):
    path = in_tree(tmp_path, monkeypatch, "PAGE.md", "`tools/rooms.toml`, `chip/core.h`, `chip/NAME.h`\n")
    assert list(lint.check_named_files([path])) == ["PAGE.md:1: there is no file chip/core.h"]
