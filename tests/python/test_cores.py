"""Do several cores give what one gives, and is what they share shared?"""
import json
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper


@pytest.fixture
def result(presil, tmp_path):
    def run(*arguments):
        command = [presil, *map(str, arguments), "--json"]
        return json.loads(subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout)

    return run


def test_gemm_on_eight_cores(result):
    r = result("bench", "gemm", "--m", 4096, "--n", 4096, "--k", 4096, "--cores", 8, "--no-data")
    assert r["cores"] == 8 and r["mfu"] >= 0.85
    assert [core["core"] for core in r["per_core"]] == [0, 2, 4, 6, 1, 3, 5, 7]
    assert len({core["trace_hash"] for core in r["per_core"]}) == 1
    one = result("bench", "gemm", "--m", 512, "--n", 4096, "--k", 4096, "--cores", 1, "--no-data")
    assert one["seconds"] <= r["seconds"] <= 1.02 * one["seconds"]
    assert r["macs"] == 8 * one["macs"] and r["instructions"] == 8 * one["instructions"]


@pytest.mark.parametrize("chip, cores", [("trn2", 4), ("trn1", 2)])
def test_images_are_shared(result, tmp_path, chip, cores):
    """A small network: every picture's result is the same, whatever core computed it."""
    random = np.random.default_rng(0)
    weight = numpy_helper.from_array(random.standard_normal((16, 3, 3, 3)).astype(np.float32), "w")
    dense = numpy_helper.from_array(random.standard_normal((16, 10)).astype(np.float32), "d")
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c"], ["r"]),
             helper.make_node("ReduceMean", ["r"], ["m"], axes=[2, 3], keepdims=0), helper.make_node("MatMul", ["m", "d"], ["y"])]
    ends = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 3, 16, 16]),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, 10])]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], [weight, dense])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]), tmp_path / "net.onnx")
    shared = result("run", "net.onnx", "--chip", chip, "--output-dir", "shared")
    alone = result("run", "net.onnx", "--chip", chip, "--cores", 1, "--output-dir", "alone")
    assert shared["cores"] == cores and alone["cores"] == 1
    assert shared["findings"] == [] and shared["outcome"]["kind"] == "done"
    assert shared["outputs"][0]["shape"] == [4, 10]
    np.testing.assert_allclose(np.load(tmp_path / "shared/y.npy"), np.load(tmp_path / "alone/y.npy"), rtol=1e-5, atol=1e-6)


def test_a_compiled_file_knows_its_cores(result, presil, tmp_path):
    call = lambda *a: subprocess.run([presil, *map(str, a)], cwd=tmp_path, capture_output=True, text=True)
    source = tmp_path / "add.onnx"
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [6, 5]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "add", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]), source)
    assert "compiled for 6 trn2 cores" in call("compile", "add.onnx", "-o", "a.presil", "--plan-out", "a.plan").stdout
    assert "cores=6" in (tmp_path / "a.plan").read_text().splitlines()[0]
    assert result("run", "a.presil")["cores"] == 6
    refused = call("run", "a.presil", "--cores", 2)
    assert refused.returncode == 2
    assert refused.stderr == "presil: error: --cores: 'a.presil' is compiled for 6 cores, 2 asked for (compile the model again)\n"
    fewer = call("run", "add.onnx", "--cores", 4, "--no-data").stdout
    assert "on 3 trn2 cores" in fewer and "fewer cores than 4" in fewer


def linear(path, rows, inner, columns, seed=0, tail=()):
    """relu(x @ a) @ w + b, then `tail`."""
    random = np.random.default_rng(seed)
    constant = lambda name, *shape: numpy_helper.from_array(random.standard_normal(shape).astype(np.float32), name)
    nodes = [helper.make_node("MatMul", ["x", "a"], ["h0"]), helper.make_node("Relu", ["h0"], ["h"]),
             helper.make_node("MatMul", ["h", "w"], ["p"]), helper.make_node("Add", ["p", "b"], ["y" if not tail else "s"]), *tail]
    ends = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, 24]),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [rows, columns])]
    weights = [constant("a", 24, inner), constant("w", inner, columns), constant("b", columns)]
    graph = helper.make_graph(nodes, "linear", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)


@pytest.mark.parametrize("rows, columns, cores", [(1, 4096, 8), (3, 1000, 8), (1, 999, 3), (2, 4096, 8)])
def test_columns_are_shared_where_rows_are_few(result, tmp_path, rows, columns, cores):
    import onnxruntime

    linear(tmp_path / "linear.onnx", rows, 512, columns)
    x = np.random.default_rng(1).standard_normal((rows, 24)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    asked = [] if cores == 8 else ["--cores", cores]
    shared = result("run", "linear.onnx", "--input", "x=x.npy", "--output-dir", "out", *asked)
    assert shared["cores"] == cores and shared["findings"] == []
    wanted = onnxruntime.InferenceSession(tmp_path / "linear.onnx").run(None, {"x": x})[0]
    np.testing.assert_allclose(np.load(tmp_path / "out/y.npy"), wanted, rtol=1e-4, atol=1e-3)
    quiet = result("run", "linear.onnx", "--no-data", *asked)
    assert quiet["cores"] == cores and quiet["trace_hash"] == shared["trace_hash"]
    alone = result("run", "linear.onnx", "--no-data", "--cores", 1)
    assert quiet["seconds"] < alone["seconds"]


def test_columns_that_are_mixed_stay_together(result, tmp_path):
    linear(tmp_path / "mixed.onnx", 1, 512, 4096, tail=[helper.make_node("Softmax", ["s"], ["y"], axis=-1)])
    assert result("run", "mixed.onnx", "--no-data")["cores"] == 1
