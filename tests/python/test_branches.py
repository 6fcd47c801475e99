"""Models with branches on the simulated core: which way is taken, what carries state from call to call, and what a run without
data knows."""
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from command import run

VOICE = {"v4": ("silero_vad_legacy", {16000: 512, 8000: 256}, {"h": (2, 1, 64), "c": (2, 1, 64)}),
         "v5": ("silero_vad_v5", {16000: 576, 8000: 288}, {"state": (2, 1, 128)}),
         "v6": ("silero_vad_v6", {16000: 576, 8000: 288}, {"state": (2, 1, 128)})}


@pytest.fixture(scope="session")
def models(root):
    subprocess.run([sys.executable, root / "tools/fetch_models.py", "voice", "small"], check=True)
    return root / ".cache/models"


def shapes(feeds):
    return [word for name, value in feeds.items() if value.ndim
            for word in ("--shape", f"{name}={'x'.join(map(str, value.shape))}")]


@pytest.mark.parametrize("rate", [16000, 8000])
@pytest.mark.parametrize("version", VOICE)
def test_voice_activity_over_calls_that_carry_their_state(presil, models, tmp_path, version, rate):
    file, samples, states = VOICE[version]
    model = models / f"{file}.onnx"
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(rate)
    ours = {name: np.zeros(shape, np.float32) for name, shape in states.items()}
    theirs = dict(ours)
    times = set()
    for call in range(3):
        t = (np.arange(samples[rate]) + call * samples[rate]) / rate
        wave = 0.2 * np.sin(2 * np.pi * 180 * t) * (call > 0) + 0.01 * rng.standard_normal(samples[rate])
        given = {"input": wave.astype(np.float32)[None], "sr": np.array(rate)}
        feeds = given | ours
        result, outputs = run(presil, model, feeds, tmp_path, *shapes(feeds))
        assert result["outcome"]["kind"] == "done" and result["findings"] == []
        times.add(result["trace_hash"])
        reference = session.run(None, given | theirs)
        for a, b in zip(outputs, reference, strict=True):
            assert a.shape == b.shape and np.isfinite(a).all()
            assert np.abs(a - b).max() <= 1e-4 * np.sqrt(np.mean(b ** 2))
        ours, theirs = (dict(zip(states, values[1:])) for values in (outputs, reference))
    assert len(times) == 1


def test_a_branch_whose_shapes_contradict_the_inputs_stops_the_machine(presil, models, tmp_path):
    feeds = {"input": np.zeros((1, 576), np.float32), "state": np.zeros((2, 1, 128), np.float32), "sr": np.array(8000)}
    result, _ = run(presil, models / "silero_vad_v5.onnx", feeds, tmp_path, *shapes(feeds))
    outcome = result["outcome"]
    assert outcome["kind"] == "fault" and outcome["source"] == "if of If_0 (layer If_0)"
    assert outcome["detail"].endswith("(halt) stops the machine")


def test_both_ways_without_data_take_as_long_as_with_it(presil, models, tmp_path):
    model = models / "hey_jarvis_v0.1.onnx"
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    rng, seen = np.random.default_rng(0), {}
    while len(seen) < 2:
        x = rng.standard_normal((1, 16, 96)).astype(np.float32) * rng.uniform(0.1, 4)
        result, outputs = run(presil, model, {"x.1": x}, tmp_path)
        np.testing.assert_allclose(outputs[0], session.run(None, {"x.1": x})[0], rtol=1e-4, atol=1e-6)
        seen.setdefault(result["seconds"], result)
    short, long = (seen[t]["trace_hash"] for t in sorted(seen))
    for assumed, expected in ((0, short), (1, long)):
        result, _ = run(presil, model, {}, tmp_path, "--no-data", "--assume", f"If_32={assumed}")
        assert result["trace_hash"] == expected
        assert result["assumptions"] == [{"node": "If_32", "value": assumed}]
    message, _ = run(presil, model, {}, tmp_path, "--no-data")
    assert message == ("presil: error: If_32: the program goes on by a value that a run without data does not know (if of If_32 "
                       "(layer If_32)) (--assume 'If_32=N', an --input that it follows from, or a run with data)")


def test_a_report_of_a_program_with_branches(presil, models, tmp_path):
    x = np.zeros((1, 16, 96), np.float32)
    result, _ = run(presil, models / "hey_jarvis_v0.1.onnx", {"x.1": x}, tmp_path, "--report", tmp_path / "r.md", "--trace",
                    tmp_path / "t.trace")
    assert result["outcome"]["kind"] == "done" and "If_32" in (tmp_path / "r.md").read_text()


def test_without_data_given_inputs_decide(presil, models, tmp_path):
    feeds = {"input": np.zeros((1, 288), np.float32), "state": np.zeros((2, 1, 128), np.float32)}
    for rate in (8000, 16000):
        sr = {"sr": np.array(rate)}
        with_data, _ = run(presil, models / "silero_vad_v6.onnx", feeds | sr, tmp_path, *shapes(feeds))
        without, _ = run(presil, models / "silero_vad_v6.onnx", sr, tmp_path, *shapes(feeds), "--no-data")
        assert with_data["trace_hash"] == without["trace_hash"]


BAD = [(["If_3=1"], "assumed node 'If_3': no branch or loop of the program stems from it (did you mean 'If_32'?)"),
       (["If_32"], "--assume: 'If_32' is not NODE=N"), (["If_32=x"], "--assume: 'If_32=x' is not NODE=N"),
       (["If_32=1", "--assume", "If_32=0"], "--assume: 'If_32' is given twice")]


@pytest.mark.parametrize("given,message", BAD)
def test_bad_assumptions(presil, models, tmp_path, given, message):
    found, _ = run(presil, models / "hey_jarvis_v0.1.onnx", {}, tmp_path, "--no-data", "--assume", *given)
    assert found == "presil: error: " + message


def test_branches_in_a_row_and_inside_each_other(presil, tmp_path):
    """Eight ways through three Ifs, of which one depends on the result of another."""
    def graph(nodes, out):
        return helper.make_graph(nodes, "g", [], [helper.make_tensor_value_info(out, TensorProto.FLOAT, None)])
    node = helper.make_node
    inner = node("If", ["q"], ["i"], name="inner", then_branch=graph([node("Exp", ["a"], ["e"])], "e"),
                 else_branch=graph([node("Neg", ["a"], ["n"])], "n"))
    nodes = [node("If", ["p"], ["b"], name="outer", then_branch=graph([node("Tanh", ["x"], ["a"]), inner], "i"),
                  else_branch=graph([node("Relu", ["x"], ["r"])], "r")),
             node("ReduceSum", ["b"], ["total"], keepdims=0), node("Greater", ["total", "limit"], ["late"]),
             node("If", ["late"], ["y"], name="last", then_branch=graph([node("Add", ["b", "b"], ["d"])], "d"),
                  else_branch=graph([node("Identity", ["x"], ["s"])], "s")),
             node("Mul", ["y", "b"], ["z"])]
    info = helper.make_tensor_value_info
    inputs = [info("x", TensorProto.FLOAT, [3, 5]), info("p", TensorProto.BOOL, []), info("q", TensorProto.BOOL, [1]),
              info("limit", TensorProto.FLOAT, [])]
    outputs = [info(name, TensorProto.FLOAT, None) for name in ("z", "b")]
    model = helper.make_model(helper.make_graph(nodes, "g", inputs, outputs), opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    file = tmp_path / "model.onnx"
    onnx.save(model, file)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).standard_normal((3, 5)).astype(np.float32)
    for p in (False, True):
        for q in (False, True):
            for limit in (-1e9, 1e9):
                feeds = {"x": x, "p": np.array(p), "q": np.array([q]), "limit": np.array(limit, np.float32)}
                result, ours = run(presil, file, feeds, tmp_path)
                assert result["findings"] == []
                for a, b in zip(ours, session.run(None, feeds), strict=True):
                    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


class Draw:
    """A random model: element-wise nodes, sums, and Ifs inside and behind each other; nodes read any value around them."""

    def __init__(self, seed):
        self.rng, self.count = np.random.default_rng(seed), 0

    def name(self):
        self.count += 1
        return f"t{self.count}"

    def pick(self, values):
        return values[self.rng.integers(len(values))]

    def nodes(self, values, depth, size):
        """`values` grows by what the nodes make."""
        nodes = []
        for _ in range(size):
            out, kind = self.name(), self.rng.integers(6)
            if kind < 2:
                nodes.append(helper.make_node(self.pick(["Tanh", "Relu", "Neg", "Sigmoid"]), [self.pick(values)], [out]))
            elif kind == 2:
                nodes.append(helper.make_node(self.pick(["Add", "Mul", "Max"]), [self.pick(values), self.pick(values)], [out]))
            else:
                nodes += self.choice(values, depth, out)
            values.append(out)
        return nodes

    def choice(self, values, depth, out):
        condition, nodes = self.pick(["p", "q"]), []
        if self.rng.integers(2):
            total, condition = self.name(), self.name()
            nodes = [helper.make_node("ReduceSum", [self.pick(values)], [total], keepdims=0),
                     helper.make_node("Greater", [total, "limit"], [condition])]
        branches = {}
        for branch in ("then_branch", "else_branch"):
            inner, end = list(values), self.name()
            inside = self.nodes(inner, depth + 1, int(self.rng.integers(1, 4))) if depth < 2 else []
            inside.append(helper.make_node("Identity", [self.pick(inner)], [end]))
            branches[branch] = helper.make_graph(inside, "g", [], [helper.make_tensor_value_info(end, TensorProto.FLOAT, None)])
        return nodes + [helper.make_node("If", [condition], [out], name=f"if_{out}", **branches)]

    def model(self):
        info, values = helper.make_tensor_value_info, ["x", "y"]
        nodes = self.nodes(values, 0, 4)
        ends = [self.name(), self.name()]
        nodes += [helper.make_node("Identity", [self.pick(values[-3:])], [end]) for end in ends]
        inputs = [info("x", TensorProto.FLOAT, [4, 6]), info("y", TensorProto.FLOAT, [4, 6]), info("p", TensorProto.BOOL, []),
                  info("q", TensorProto.BOOL, []), info("limit", TensorProto.FLOAT, [])]
        graph = helper.make_graph(nodes, "g", inputs, [info(end, TensorProto.FLOAT, [4, 6]) for end in ends])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.mark.parametrize("seed", [*range(12), *[pytest.param(seed, marks=pytest.mark.long) for seed in range(12, 200)]])
def test_random_branches(presil, tmp_path, seed):
    draw, file = Draw(seed), tmp_path / "model.onnx"
    onnx.save(draw.model(), file)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    used = {i.name for i in session.get_inputs()}
    for trial in range(2):
        rng = np.random.default_rng(100 * seed + trial)
        feeds = {"x": rng.standard_normal((4, 6)).astype(np.float32), "y": rng.standard_normal((4, 6)).astype(np.float32),
                 "p": np.array(bool(trial)), "q": np.array(bool(rng.integers(2))), "limit": np.array(rng.normal(), np.float32)}
        feeds = {name: value for name, value in feeds.items() if name in used}
        result, ours = run(presil, file, feeds, tmp_path)
        assert not isinstance(result, str), result
        assert result["outcome"]["kind"] == "done" and result["findings"] == []
        for a, b in zip(ours, session.run(None, feeds), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6)
        timed, _ = run(presil, file, feeds, tmp_path, "--no-data")
        assert timed["trace_hash"] == result["trace_hash"]
