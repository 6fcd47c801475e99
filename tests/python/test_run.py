"""Does a run print what its schema says, obey the laws that bound it, and come out the same however it is run?"""
import json
import re
import subprocess

import jsonschema
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper


@pytest.fixture(scope="module")
def schema(root):
    return json.loads((root / "docs/schema/run.json").read_text())


@pytest.fixture
def call(presil, tmp_path):
    def run(*arguments, code=0):
        done = subprocess.run([presil, *map(str, arguments)], cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == code, done.stderr
        return done

    return run


@pytest.fixture
def result(call, schema):
    """The JSON of a run, checked against the schema and the laws."""

    def run(*arguments):
        done = call(*arguments, "--json")
        assert done.stderr == ""
        found = json.loads(done.stdout)
        jsonschema.validate(found, schema)
        check_laws(found)
        return found

    return run


def check_laws(r):
    assert r["seconds"] >= r["ideal_seconds"] > 0
    for engine in r["engines"].values():
        assert engine["busy_fraction"] + sum(engine["waits"].values()) == pytest.approx(1, abs=1e-9)
    moved = r["hbm"]["read_bytes"] + r["hbm"]["write_bytes"]
    assert r["hbm"]["bound_fraction"] == pytest.approx(moved / r["seconds"] / r["hbm"]["bound_bytes_per_second"])
    assert sum(layer["seconds"] for layer in r["layers"]) == pytest.approx(r["seconds"])
    assert sum(layer["share"] for layer in r["layers"]) == pytest.approx(1)
    assert sum(layer["macs"] for layer in r["layers"]) == r["macs"]
    assert sum(layer["bytes"] for layer in r["layers"]) == moved


def save_model(path, batch="batch"):
    """y = relu(x w + b), with a dynamic batch."""
    random = np.random.default_rng(1)
    w, b = random.standard_normal((48, 20)).astype(np.float32), random.standard_normal(20).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["h"], name="dense"), helper.make_node("Relu", ["h"], ["y"], name="act")],
        "small", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 48])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 20])],
        [onnx.numpy_helper.from_array(w, "w"), onnx.numpy_helper.from_array(b, "b")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return w, b


@pytest.fixture
def model(tmp_path):
    return save_model(tmp_path / "small.onnx")


GEMM = ["bench", "gemm", "--m", 384, "--n", 640, "--k", 256]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_gemm(result, precision):
    r = result(*GEMM, "--precision", precision)
    assert r["macs"] == 384 * 640 * 256 and r["precision"] == precision
    assert r["outcome"] == {"kind": "done"} and r["findings"] == []
    assert r["confidence"]["level"] == "derived"


def test_elementwise(result):
    r = result("bench", "elementwise", "--bytes", "4 MiB", "--no-data")
    assert r["hbm"]["read_bytes"] == r["hbm"]["write_bytes"] == 4 << 20
    assert r["macs"] == 0 and r["mfu"] == 0


def test_time_does_not_depend_on_how_it_is_run(result, tmp_path):
    base = result(*GEMM)
    for extra in (["--no-data"], ["--no-check"], ["--trace", "t.pftrace"], ["-j", 1], ["-j", 2], ["--seed", 5]):
        other = result(*GEMM, *extra)
        assert other["trace_hash"] == base["trace_hash"] and other["seconds"] == base["seconds"], extra


def test_outputs_are_the_models(result, model, tmp_path):
    x = np.random.default_rng(2).standard_normal((5, 48)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    r = result("run", "small.onnx", "--dim", "batch=5", "--input", "x=x.npy", "--output-dir", "out")
    assert r["dims"] == {"batch": 5} and r["data"] is True
    assert r["outputs"] == [{"name": "y", "dtype": "fp32", "shape": [5, 20], "file": "y.npy"}]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["y.npy"]
    w, b = model
    np.testing.assert_allclose(np.load(tmp_path / "out/y.npy"), np.maximum(x @ w + b, 0), rtol=1e-5, atol=1e-5)


def test_drawn_inputs_depend_on_the_seed(call, model, tmp_path):
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        call("run", "small.onnx", "--dim", "batch=2", "--seed", seed, "--output-dir", folder)
    a, b, c = (np.load(tmp_path / folder / "y.npy") for folder in "abc")
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_an_executable_runs_as_its_model(result, call, model, tmp_path):
    direct = result("run", "small.onnx", "--dim", "batch=3", "--output-dir", "direct")
    call("compile", "small.onnx", "--dim", "batch=3", "-o", "small.presil", "--plan-out", "small.plan")
    saved = result("run", "small.presil", "--output-dir", "saved")
    assert saved["trace_hash"] == direct["trace_hash"]
    assert (tmp_path / "saved/y.npy").read_bytes() == (tmp_path / "direct/y.npy").read_bytes()
    assert "nc_matmul" in call("show", "small.presil").stdout
    assert call("show", "small.plan").stdout.startswith("plan ")


def test_an_executable_belongs_to_its_chip(call, model, tmp_path):
    call("compile", "small.onnx", "--dim", "batch=3", "--cores", 1, "-o", "small.presil")
    refused = call("run", "small.presil", "--chip", "trn1", code=2)
    assert refused.stderr.startswith("presil: error: small.presil: compiled for chip 'trn2' with spec ")
    assert refused.stderr.endswith("(compile it again, or run it as it is with --retime)\n")
    (tmp_path / "slow.toml").write_text('extends = "trn2"\nname = "slow"\n[scalar]\nclock = "0.6 GHz"\n')
    assert call("run", "small.presil", "--chip", "slow.toml", "--retime").stdout.startswith("small.onnx on one slow core")


def test_a_fault_of_the_simulated_program(call, model):
    """trn1 has less SBUF than the program uses: exit code 1 with engine, instruction, node and what happened."""
    call("compile", "small.onnx", "--dim", "batch=3", "--cores", 1, "-o", "small.presil")
    failed = call("run", "small.presil", "--chip", "trn1", "--retime", "--json", code=1)
    outcome = json.loads(failed.stdout)["outcome"]
    assert outcome["kind"] == "fault" and outcome["engine"] and outcome["source"] != ""
    assert "bytes of sbuf; the chip has 128 partitions of" in outcome["detail"] or "196608" in outcome["detail"]


def test_a_program_that_breaks_its_chips_rules(call, model, tmp_path):
    """Edited by hand: refused with everything that is wrong before anything runs, or run as it is with --retime."""
    call("compile", "small.onnx", "--dim", "batch=3", "--cores", 1, "-o", "small.presil")
    (tmp_path / "small.txt").write_text(text := call("show", "small.presil").stdout)
    call("run", "small.txt", "--no-data")
    damaged = re.sub(r"moving=sbuf\.fp32\[p0\+", "moving=sbuf.fp32[p16+", text, count=1)
    assert damaged != text
    (tmp_path / "small.txt").write_text(damaged)
    refused = call("run", "small.txt", "--no-data", code=2).stderr
    assert refused.startswith("presil: error: small.txt: 1 broken rule of chip 'trn2':\n  queue 0, instruction 0: nc_matmul ")
    assert "partition 16" in refused
    call("run", "small.txt", "--no-data", "--retime")


@pytest.mark.parametrize("arguments, message", [
    (["--dim", "batch=2", "--input", "z=x.npy"], "--input: the model has no input 'z'; it has x"),
    (["--dim", "batch=2", "--input", "x=x.npy"], "input 'x': shape [5, 48], expected [2, 48]"),
    (["--dim", "batch=5", "--input", "x=f8.npy"],
     "f8.npy: element type '<f8'; expected little-endian f4 f2 V2 (bf16) i1 u1 i2 u2 i4 u4 i8 or b1"),
    (["--dim", "batch=5", "--input", "x=i4.npy"], "input 'x': dtype int32, expected fp32"),
    (["--dim", "batch=5", "--input", "x=none.npy"], "none.npy: cannot be read: No such file or directory"),
    (["--dim", "batch=5", "--precision", "fp23"],
     "--precision: precision 'fp23' is not one of auto, fp32, tf32, bf16, fp16 (did you mean 'fp32'?)"),
    (["--dim", "batch=5", "--output-dir", "x.npy/sub"], "x.npy/sub: cannot be created: Not a directory"),
])
def test_bad_input(call, model, tmp_path, arguments, message):
    x = np.zeros((5, 48), np.float32)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "f8.npy", x.astype(np.float64))
    np.save(tmp_path / "i4.npy", x.astype(np.int32))
    before = sorted(tmp_path.iterdir())
    refused = call("run", "small.onnx", *arguments, code=2)
    assert (refused.stdout, refused.stderr) == ("", f"presil: error: {message}\n")
    assert sorted(tmp_path.iterdir()) == before


def flipped(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1:]


# A flipped bit in a model's weights is another model, not a damaged one.
@pytest.mark.parametrize("name, damage", [
    (name, damage) for name in ("small.presil", "small.onnx")
    for damage in (lambda data: data[:-7], lambda data: b"", lambda data: bytes(range(256)) * 4, flipped)
    if (name, damage) != ("small.onnx", flipped)
])
def test_a_damaged_file_is_refused(call, model, tmp_path, name, damage):
    call("compile", "small.onnx", "--dim", "batch=3", "--cores", 1, "-o", "small.presil")
    bad = f"bad_{name}"
    (tmp_path / bad).write_bytes(damage((tmp_path / name).read_bytes()))
    refused = call("run", bad, *([] if name.endswith(".presil") else ["--dim", "batch=3"]), code=2)
    assert refused.stdout == "" and refused.stderr.count("\n") == 1
    assert refused.stderr.startswith(f"presil: error: {bad}: ")


def test_reports(call, model, tmp_path):
    call("run", "small.onnx", "--dim", "batch=3", "--report", "r.html", "--trace", "t.pftrace")
    call("run", "small.onnx", "--dim", "batch=3", "--report", "r.md")
    html, markdown = (tmp_path / "r.html").read_text(), (tmp_path / "r.md").read_text()
    for word in ("small.onnx on trn2", "dense", "tensor", "twice as fast gains at most"):
        assert word in html and word in markdown
    assert html.startswith("<!doctype html>")


def test_large_gemm_keeps_the_tensor_engine_busy(result):
    assert result("bench", "gemm", "--m", 4096, "--n", 4096, "--k", 4096, "--cores", 1, "--no-data")["mfu"] >= 0.95


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_long_elementwise_chain_reaches_the_hbm_bound(result, precision):
    r = result("bench", "elementwise", "--bytes", "1 GiB", "--precision", precision, "--cores", 1,
               "--no-data")
    assert r["hbm"]["bound_fraction"] >= 0.90



def test_a_chain_with_two_functions_reaches_the_hbm_bound_in_bf16(result, tmp_path):
    """relu and sigmoid both are the scalar engine's; the vector engine takes its share of the relu."""
    shape = [2048, 32768]
    nodes = [helper.make_node("Mul", ["x", "a"], ["scaled"]), helper.make_node("Add", ["scaled", "b"], ["shifted"]),
             helper.make_node("Relu", ["shifted"], ["positive"]), helper.make_node("Sigmoid", ["positive"], ["gate"]),
             helper.make_node("Mul", ["gate", "x"], ["y"])]
    values = [helper.make_tensor(name, TensorProto.BFLOAT16, [], [value]) for name, value in (("a", 1.5), ("b", 0.5))]
    graph = helper.make_graph(nodes, "chain", [helper.make_tensor_value_info("x", TensorProto.BFLOAT16, shape)],
                              [helper.make_tensor_value_info("y", TensorProto.BFLOAT16, shape)], values)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "chain.onnx")
    assert result("run", "chain.onnx", "--chip", "trn2", "--cores", 1, "--no-data")["hbm"]["bound_fraction"] >= 0.90
