"""Tests of what spans rooms, through the binary and the scripts. ./dev test runs the quick ones, --long all."""
import signal
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "build/python"))  # the package with its extension
sys.path.insert(0, str(ROOT / "tests/python/isa"))


# A shell starts what runs behind it with SIGINT ignored, and so would be all that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run the slow tests too")
    parser.addoption("--update", action="store_true", help="rewrite what documents show of our output")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: slow; only with --long")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        for item in items:
            if "long" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="needs --long"))


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def presil():
    return ROOT / "build/presil"
