"""Does validation print every row, stay within its bound, and agree with what runs say of it?"""
import json
import subprocess

import jsonschema
import pytest


@pytest.fixture(scope="module")
def report(presil):
    done = subprocess.run([presil, "validate", "--suite", "core", "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_schema_holds(report, root):
    jsonschema.validate(report, json.loads((root / "docs/schema/validate.json").read_text()))


def test_rows_and_means(report):
    rows = {row["id"]: row for row in report["rows"]}
    assert {"I09", "I19", "I28", "D02", "D07", "K02", "K05", "K07"} <= set(rows)
    suite, = report["suites"]
    beyond = [max(0, abs(r["error"]) - r["reading_error"]) for r in rows.values() if r["grade"] <= 2]
    assert suite["mean_abs_error"] == pytest.approx(sum(beyond) / len(beyond))
    assert suite["worst_abs_error"] == pytest.approx(max(beyond))
    assert suite["mean_abs_error"] <= 0.10
    for row in rows.values():
        assert row["error"] == pytest.approx(row["predicted"] / row["published"] - 1)


def test_runs_quote_the_suite(presil, report):
    gemm = [presil, *"bench gemm --m 128 --n 128 --k 128 --no-data --json".split()]
    confidence = json.loads(subprocess.run(gemm, capture_output=True, text=True, check=True).stdout)["confidence"]
    assert confidence["suite"] == "core"
    assert confidence["mean_abs_error"] == pytest.approx(report["suites"][0]["mean_abs_error"], abs=5e-4)
