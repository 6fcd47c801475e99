"""Does every instruction have a case here, and does a case that is wrong fail?"""
import importlib
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from machine import Case, check, run, values_of

HERE = Path(__file__).resolve().parent


def covered():
    rows = set()
    for file in HERE.glob("test_*.py"):
        rows |= getattr(importlib.import_module(file.stem), "ROWS", set())
    return rows


def test_every_instruction_has_a_case(presil):
    listed = json.loads(subprocess.run([presil, "ops", "--isa", "--json"], capture_output=True, check=True).stdout)
    names = {row["name"] for row in listed}
    assert names - covered() == set(), "rows of `presil ops --isa` without a case"
    assert covered() - names == set(), "cases of instructions that do not exist"


def canary(expected):
    c = Case("trn2", "canary")
    a = values_of(c.random, "fp32", (3, 5), specials=False)
    src, dst = c.operand("fp32", 3, 5, values=a), c.operand("fp32", 3, 5, "gaps")
    return c.run("vector", "tensor_copy", dst=dst, src=src).want(dst, expected(a))


def test_one_bit_too_many_is_found():
    check([canary(lambda a: a)])
    with pytest.raises(AssertionError, match="1 of 15 elements differ"):
        check([canary(lambda a: np.where(np.arange(15).reshape(3, 5) == 7, np.nextafter(a, 9), a))])


def test_a_write_beside_the_elements_is_found():
    c = canary(lambda a: a)
    c.operands[1].dims = [(c.operands[1].dims[0][0], 3)]  # of the five that are written
    c.wants = [(1, c.wants[0][1][:, :3], c.wants[0][2][:, :3])]
    with pytest.raises(AssertionError, match="bytes between or around the elements have changed"):
        check([c])


def test_what_breaks_a_rule_is_refused():
    c = canary(lambda a: a)
    c.chip, c.lines = "trn1", [line.replace("vector", "scalar") for line in c.lines]
    assert run([c]) == ["refused instruction 0: tensor_copy: needs generation 3 on the scalar engine; use activation with copy"]
