"""Loops whose number of iterations data decides, as device loops: against onnxruntime, with data and without."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from command import run

F, I, B = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def value(name, dtype, shape=()):
    return helper.make_tensor_value_info(name, dtype, shape)


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def save(folder, nodes, inputs, outputs, **constants):
    initializers = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "loop.onnx")
    return folder / "loop.onnx"


def body(nodes, inputs, outputs):
    return helper.make_graph(nodes, "body", [value("i", I), value("c", B), *inputs], outputs)


def expect_same(presil, model, feeds, folder):
    result, outputs = run(presil, model, feeds, folder, "--check")
    assert result["outcome"]["kind"] == "done" and result["findings"] == [], result
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    for ours, theirs in zip(outputs, session.run(None, {k: np.asarray(v) for k, v in feeds.items()}), strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5)
    return result


def carried(folder):
    """x' = tanh(x W) + iteration, s' = s + sum(x'); on as long as s' is below a limit."""
    steps = [node("MatMul", "x w", "m"), node("Tanh", "m", "t"), node("Cast", "i", "fi", to=F), node("Add", "t fi", "x2"),
             node("ReduceSum", "x2", "r", keepdims=0), node("Add", "s r", "s2"), node("Less", "s2 limit", "again")]
    inner = body(steps, [value("x", F, [4, 16]), value("s", F)], [value("again", B), value("x2", F, [4, 16]), value("s2", F)])
    w = np.random.default_rng(1).standard_normal((16, 16)).astype(np.float32) * 0.4
    return save(folder, [node("Relu", "x0", "xr"), node("Loop", "n go xr s0", "y z", name="Loop_1", body=inner),
                         node("Mul", "y two", "out")],
                [value("x0", F, [4, 16]), value("s0", F), value("n", I), value("go", B), value("limit", F)],
                [value("out", F, [4, 16]), value("z", F)], w=w, two=np.float32(2))


@pytest.mark.parametrize("seed", range(3))
def test_trip_counts_and_conditions_from_data(presil, tmp_path, seed):
    model = carried(tmp_path)
    rng = np.random.default_rng(seed)
    feeds = {"x0": rng.standard_normal((4, 16)).astype(np.float32), "s0": np.float32(0)}
    seconds = []
    for n, limit, go in ((0, 1e9, True), (1, 1e9, True), (7, 1e9, True), (40, 60, True), (5, 1e9, False)):
        decides = {"n": np.int64(n), "go": np.bool_(go)}
        result = expect_same(presil, model, feeds | decides | {"limit": np.float32(limit)}, tmp_path)
        seconds.append(result["seconds"])
        if limit < 1e9:
            continue
        # The condition would let one more iteration run than the trip count does.
        without, _ = run(presil, model, decides, tmp_path, "--no-data", "--assume", f"Loop_1={n + 1}")
        assert without["trace_hash"] == result["trace_hash"]
    assert seconds[4] < seconds[1] < seconds[2] and seconds[0] < seconds[1]


def test_states_that_change_places(presil, tmp_path):
    inner = body([node("Add", "a b", "sum"), node("Identity", "b", "b_out"), node("Identity", "c", "again")],
                 [value("a", F, [8]), value("b", F, [8])], [value("again", B), value("b_out", F, [8]), value("sum", F, [8])])
    model = save(tmp_path, [helper.make_node("Loop", ["n", "", "a0", "b0"], ["a", "b"], name="fibonacci", body=inner)],
                 [value("n", I), value("a0", F, [8]), value("b0", F, [8])], [value("a", F, [8]), value("b", F, [8])])
    for n in (0, 1, 2, 9):
        expect_same(presil, model, {"n": np.int64(n), "a0": np.zeros(8, np.float32), "b0": np.arange(8, dtype=np.float32)}, tmp_path)


def test_a_choice_and_a_loop_inside_a_loop(presil, tmp_path):
    inner = body([node("Mul", "v half", "v2"), node("Identity", "c", "again")], [value("v", F, [3, 5])],
                 [value("again", B), value("v2", F, [3, 5])])
    then = helper.make_graph([node("Add", "x step", "p")], "then", [], [value("p", F, [3, 5])])
    otherwise = helper.make_graph([helper.make_node("Loop", ["k", "", "x"], ["q"], body=inner, name="halve")], "else", [],
                                  [value("q", F, [3, 5])])
    outer = body([node("ReduceMax", "x", "m", keepdims=0), node("Less", "m five", "low"),
                  node("If", "low", "x2", then_branch=then, else_branch=otherwise, name="low_or_high"), node("Identity", "c", "go_on")],
                 [value("x", F, [3, 5])], [value("go_on", B), value("x2", F, [3, 5])])
    model = save(tmp_path, [helper.make_node("Loop", ["n", "", "x0"], ["y"], body=outer, name="outer")],
                 [value("n", I), value("k", I), value("x0", F, [3, 5])], [value("y", F, [3, 5])], half=np.float32(0.5),
                 step=np.float32(1.5), five=np.float32(5))
    rng = np.random.default_rng(5)
    for n, k in ((0, 2), (1, 0), (6, 1), (9, 3)):
        expect_same(presil, model, {"n": np.int64(n), "k": np.int64(k), "x0": rng.standard_normal((3, 5)).astype(np.float32)},
                    tmp_path)


def test_more_iterations_than_are_written_out(presil, tmp_path):
    inner = body([node("Add", "x one", "x2"), node("Identity", "c", "again")], [value("x", F, [4])],
                 [value("again", B), value("x2", F, [4])])
    model = save(tmp_path, [helper.make_node("Loop", ["n", "", "x0"], ["y"], body=inner, name="many")], [value("x0", F, [4])],
                 [value("y", F, [4])], n=np.int64(5000), one=np.float32(1))
    expect_same(presil, model, {"x0": np.zeros(4, np.float32)}, tmp_path)


def test_endless_loops_end_at_the_limit(presil, tmp_path):
    inner = body([node("Add", "x one", "x2"), node("Less", "x2 bound", "again")], [value("x", F)], [value("again", B), value("x2", F)])
    model = save(tmp_path, [helper.make_node("Loop", ["", "go", "x0"], ["y"], body=inner, name="endless")],
                 [value("x0", F), value("bound", F), value("go", B)], [value("y", F)], one=np.float32(1))
    feeds = {"x0": np.float32(0), "go": np.bool_(True)}
    expect_same(presil, model, feeds | {"bound": np.float32(9)}, tmp_path)
    result, _ = run(presil, model, feeds | {"bound": np.float32(np.inf)}, tmp_path, "--max-iterations", "50")
    assert result["outcome"]["kind"] == "loop_limit"
    assert "jumps back for the 51th time of all: more than the limit of 50" in result["outcome"]["detail"]


def test_scan_outputs_of_unknown_length_are_refused(presil, tmp_path):
    inner = body([node("Add", "x one", "x2"), node("Identity", "x2", "row"), node("Identity", "c", "again")], [value("x", F)],
                 [value("again", B), value("x2", F), value("row", F)])
    model = save(tmp_path, [helper.make_node("Loop", ["n", "", "x0"], ["y", "rows"], body=inner, name="scan")],
                 [value("n", I), value("x0", F)], [value("y", F), value("rows", F, ["rows"])], one=np.float32(1))
    message, _ = run(presil, model, {"n": np.int64(3), "x0": np.float32(0)}, tmp_path)
    assert message == (f"presil: error: {model}: scan: Loop: how often it runs is known only when the model runs, and so is the length "
                       "of its 1 scan output")
