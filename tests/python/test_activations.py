"""Tables for the scalar engine: do they keep their error, and do models and programs use them?"""
import json
import math
import re
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper


@pytest.fixture
def call(presil, tmp_path):
    def run(*arguments, code=0):
        done = subprocess.run([presil, *map(str, arguments)], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stderr + done.stdout
        return done

    return run


def save_model(path, op="Sigmoid"):
    """y = f(x w), then z = f(2 y): the function twice, by two nodes."""
    random = np.random.default_rng(2)
    w = random.standard_normal((40, 24)).astype(np.float32)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"], name="dense"), helper.make_node(op, ["h"], ["y"], name="first"),
             helper.make_node("Mul", ["y", "two"], ["d"], name="double"), helper.make_node(op, ["d"], ["z"], name="second")]
    constants = [onnx.numpy_helper.from_array(w, "w"), onnx.numpy_helper.from_array(np.float32([2]), "two")]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [8, 40])],
                              [helper.make_tensor_value_info(n, TensorProto.FLOAT, [8, 24]) for n in ("y", "z")], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    x = random.standard_normal((8, 40)).astype(np.float32)
    np.save(path.parent / "x.npy", x)
    return x @ w


def outputs(call, tmp_path, *arguments):
    found = json.loads(call("run", "m.onnx", "--input", "x=x.npy", "--output-dir", "out", "--json", *arguments).stdout)
    return np.load(tmp_path / "out/y.npy"), np.load(tmp_path / "out/z.npy"), found


def sigmoid(x, slope=1.0):
    return 1 / (1 + np.exp(-slope * x.astype(np.float64)))


def fit(call, formula, name, *more):
    return call("fit-activation", "--formula", formula, "--range", "-20:20", "--error", "1e-6", "-o", name, *more).stdout


def test_a_table_replaces_a_function_everywhere_or_in_a_layer(call, tmp_path):
    h = save_model(tmp_path / "m.onnx")
    said = fit(call, "sigmoid(0.5*x)", "soft.toml")
    assert re.fullmatch(r"soft.toml: \d+ pieces, worst absolute error \S+ at \S+ \(of 1000001 points; asked for 1e-06\)\n", said)
    plain_y, plain_z, plain = outputs(call, tmp_path)
    assert np.abs(plain_y - sigmoid(h)).max() < 3e-6
    y, z, _ = outputs(call, tmp_path, "--activation", "sigmoid=soft.toml")
    assert np.abs(y - sigmoid(h, 0.5)).max() < 3e-6
    assert np.abs(z - sigmoid(2 * sigmoid(h, 0.5), 0.5)).max() < 3e-6
    y, z, one = outputs(call, tmp_path, "--activation", "double=soft.toml")
    assert np.array_equal(y, plain_y)
    assert np.abs(z - sigmoid(2 * sigmoid(h), 0.5)).max() < 3e-6
    assert one["seconds"] > plain["seconds"]  # two tables in turn are loaded


def test_an_executable_carries_its_tables(call, tmp_path):
    h = save_model(tmp_path / "m.onnx")
    fit(call, "sigmoid(0.5*x)", "soft.toml")
    call("compile", "m.onnx", "--activation", "sigmoid=soft.toml", "-o", "m.presil")
    (tmp_path / "soft.toml").unlink()
    text = call("show", "m.presil").stdout
    assert 'activation "soft" {' in text and "op=custom0" in text and "op=sigmoid" not in text
    (tmp_path / "m.txt").write_text(text)
    for file in ("m.presil", "m.txt"):
        call("run", file, "--input", "x=x.npy", "--output-dir", "out")
        assert np.abs(np.load(tmp_path / "out/y.npy") - sigmoid(h, 0.5)).max() < 3e-6


@pytest.mark.parametrize("kind,error", [("absolute", 1e-5), ("relative", 1e-5), ("ulp", 8)])
def test_points_become_a_table_too(call, tmp_path, kind, error):
    x = np.linspace(0.5, 4, 300)
    np.save(tmp_path / "points.npy", np.stack([x, np.exp(x)], 1).astype(np.float32))
    (tmp_path / "points.csv").write_text("x,y\n" + "".join(f"{a},{math.exp(a)}\n" for a in x))
    for file in ("points.npy", "points.csv"):
        said = call("fit-activation", "--samples", file, "--range", "0.5:4", "--error", error, "--kind", kind, "-o", "e.toml").stdout
        assert f"worst {kind} error" in said
        assert float(said.split("error ")[1].split(" ")[0]) <= error


@pytest.mark.parametrize("arguments,message", [
    (["--formula", "sigmod(x)", "--range", "-1:1"],
     "formula, character 1: expected a number, x or a function, found 'sigmod(x)' (did you mean 'sigmoid'?)"),
    (["--range", "-1:1"], "fit-activation: give one of --formula and --samples"),
    (["--formula", "x", "--range", "1"], "--range: '1' is not LO:HI"),
    (["--formula", "x", "--range", "-1:1", "--kind", "ulps"], "--kind: 'ulps' is unknown (did you mean 'ulp'?)"),
    (["--formula", "x", "--range", "-1:1", "--above", "clam"], "--above: 'clam' is unknown (did you mean 'clamp'?)"),
    (["--samples", "none.csv", "--range", "-1:1"], "none.csv: cannot be read: No such file or directory"),
])
def test_fit_errors(call, arguments, message):
    done = call("fit-activation", *arguments, "--error", "1e-5", "-o", "f.toml", code=2)
    assert done.stderr == f"presil: error: {message}\n"


def test_replacement_errors(call, tmp_path):
    save_model(tmp_path / "m.onnx")
    fit(call, "x", "f.toml")

    def error(*arguments):
        return call("run", "m.onnx", *arguments, code=2).stderr

    assert error("--activation", "sigmoids=f.toml") == (
        "presil: error: --activation: nothing applies 'sigmoids'; the program applies sigmoid (did you mean 'sigmoid'?)\n")
    assert error("--activation", "relu=f.toml") == (
        "presil: error: --activation: relu needs no table and may run on any engine (name another function)\n")
    assert error("--activation", "f.toml") == "presil: error: --activation: 'f.toml' is not NAME=FILE.toml\n"
    (tmp_path / "bad.toml").write_text('name = "f"\npieces = [[0, 0, 0, 0, 0, 0]]\n')
    assert error("--activation", "sigmoid=bad.toml") == "presil: error: bad.toml: the first piece does not begin at -inf\n"
    (tmp_path / "bad.toml").write_text('name = "f"\npieces = [[-inf, 0, 1]]\n')
    assert error("--activation", "sigmoid=bad.toml") == (
        "presil: error: bad.toml:2: a piece is not [start, origin, c0, c1, c2, c3]\n")
    (tmp_path / "bad.toml").write_text('nam = "f"\n')
    assert error("--activation", "sigmoid=bad.toml") == "presil: error: bad.toml:1: unknown key 'nam' (did you mean 'name'?)\n"


def test_stochastic_rounding_repeats_whatever_the_threads(call, tmp_path):
    h = save_model(tmp_path / "m.onnx")
    bf16 = ("--precision", "bf16")
    nearest = outputs(call, tmp_path, *bf16)
    one = outputs(call, tmp_path, *bf16, "--rounding", "stochastic:3", "-j", "1")
    two = outputs(call, tmp_path, *bf16, "--rounding", "stochastic:3", "-j", "2")
    other = outputs(call, tmp_path, *bf16, "--rounding", "stochastic:4")
    assert np.array_equal(one[0], two[0]) and np.array_equal(one[1], two[1])
    assert not np.array_equal(one[0], nearest[0]) and not np.array_equal(one[0], other[0])
    assert one[2]["seconds"] == nearest[2]["seconds"]
    assert np.abs(one[0] - sigmoid(h)).max() < 0.03
    done = call("run", "m.onnx", "--rounding", "stochastic:x", code=2)
    assert done.stderr == "presil: error: --rounding: 'stochastic:x' is not nearest, stochastic or stochastic:SEED\n"
    done = call("run", "m.onnx", "--cfp8-bias", "16", code=2)
    assert done.stderr == "presil: error: --cfp8-bias: 16, expected 0 to 15\n"
