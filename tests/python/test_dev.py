"""Does the entry point find what is missing, and do nothing when nothing is?"""
import importlib.machinery
import importlib.util
import subprocess

import pytest


@pytest.fixture
def dev(root):
    loader = importlib.machinery.SourceFileLoader("dev_script", str(root / "dev"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("dev_script", loader))
    loader.exec_module(module)
    return module


def test_setup_is_idle_when_nothing_is_missing(root):
    subprocess.run([root / "dev", "setup"], check=True)
    done = subprocess.run([root / "dev", "setup"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_packages_may_depend_on_a_program(dev, tmp_path, monkeypatch):
    monkeypatch.setattr(dev, "APT_LIST", tmp_path / "list")
    dev.APT_LIST.write_text("# comment\nninja-build\nshell ?sh  # has one\nother ?no-such-program\n\n")
    assert list(dev.wanted_packages()) == ["ninja-build", "other"]


def test_missing_packages_are_named(dev, tmp_path, monkeypatch):
    monkeypatch.setattr(dev, "APT_LIST", tmp_path / "list")
    dev.APT_LIST.write_text("dpkg\nno-such-package-anywhere\n")
    assert dev.missing_packages() == ["no-such-package-anywhere"]


def test_unprivileged_setup_says_what_to_install(dev, tmp_path, monkeypatch):
    monkeypatch.setattr(dev, "APT_LIST", tmp_path / "list")
    monkeypatch.setattr(dev.os, "geteuid", lambda: 1000)
    dev.APT_LIST.write_text("no-such-package-anywhere\n")
    with pytest.raises(SystemExit, match="sudo apt-get install no-such-package-anywhere"):
        dev.install_packages()


def test_every_listed_dependency_has_a_reason(root):
    """Packages of both lists appear in ARCHITECTURE.md, by the word in their name that means something."""
    text = (root / "ARCHITECTURE.md").read_text().lower()
    words = {"g++": "gcc", "ninja-build": "ninja", "python3-venv": "python", "libclang-rt-16-dev": "clang 16",
             "clang-16": "clang 16", "clang-format-16": "clang-format 16", "libtomlplusplus-dev": "toml++",
             "nlohmann-json3-dev": "nlohmann-json", "libprotobuf-dev": "protobuf", "protobuf-compiler": "protobuf",
             "libhwy-dev": "highway", "libgtest-dev": "googletest", "libgmock-dev": "googletest",
             "libbenchmark-dev": "google benchmark", "fonts-liberation": "liberation", "libcli11-dev": "cli11",
             "libfmt-dev": "fmt", "libzstd-dev": "zstd", "libxxhash-dev": "xxhash", "zlib1g-dev": "zlib",
             "chromium-driver": "chromium with its driver"}
    apt = [line.split()[0] for line in (root / "tools/apt-packages.txt").read_text().splitlines() if line and line[0] != "#"]
    pip = [line.split("==")[0] for line in (root / "tools/python-requirements.txt").read_text().splitlines() if "==" in line]
    for name in apt + pip:
        assert words.get(name, name) in text, name
