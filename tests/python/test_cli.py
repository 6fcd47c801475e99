"""Does every command do what its help says, and refuse what it cannot do with one exact message?"""
import json
import subprocess

import jsonschema
import pytest
from onnx import TensorProto, helper


@pytest.fixture
def call(presil, tmp_path):
    """Runs presil in a scratch folder: (exit code, stdout, stderr)."""

    def run(*arguments):
        done = subprocess.run([presil, *map(str, arguments)], cwd=tmp_path, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout, done.stderr

    return run


COMMANDS = ["run", "show", "bench", "bench gemm", "bench elementwise", "bench conv", "bench attention", "chips", "ops"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_of_the_command(call, command):
    code, out, err = call(*command.split(), "--help")
    assert code == 0 and err == ""
    assert f"Example:\n  presil {command} " in out or f"Example:\n  presil {command}\n" in out


def test_version(call):
    assert call("--version") == (0, "presil 0.1.0\n", "")


CONV = ["--c", "4", "--h", "6", "--w", "5", "--k", "6", "--s", "1"]


@pytest.mark.parametrize("arguments, message", [
    ([], "A subcommand is required (see --help)"),
    (["bensh"], "unknown argument 'bensh' (did you mean 'bench'?)"),
    (["chips", "--jsn"], "unknown argument '--jsn' (did you mean '--json'?)"),
    (["run"], "MODEL is required (see --help)"),
    (["run", "none.onnx"], "none.onnx: cannot be read: No such file or directory"),
    (["bench", "gemm", "--m", "0", "--n", "1", "--k", "1"], "--m: '0' is not a whole number above 0 (see --help)"),
    (["bench", "gemm", "--m", "8", "--n", "-1", "--k", "1"], "--n: '-1' is not a whole number above 0 (see --help)"),
    (["bench", "gemm", "--m", "8", "--n", "8", "--k", "8", "--precision", "bf61"],
     "--precision: 'bf61' is not one of fp32, tf32, bf16, fp16, fp8, mxfp8 (did you mean 'bf16'?)"),
    (["bench", "gemm", "--m", "8", "--n", "8", "--k", "8", "--no-data", "--report", "x.pdf"],
     "--report: 'x.pdf' ends in neither .html nor .md"),
    (["bench", "gemm", "--m", "8", "--n", "8", "--k", "8", "--no-data", "--trace", "x.json"],
     "--trace: 'x.json' ends in neither .pftrace nor .trace"),
    (["bench", "gemm", "--m", "8", "--n", "8", "--k", "8", "--no-data", "--cores", "9"],
     "--cores: 9 cores asked for, chip 'trn2' has 8"),
    (["bench", "gemm", "--m", "8", "--n", "8", "--k", "8", "--cores", "0"],
     "--cores: '0' is not a whole number above 0 (see --help)"),
    (["run", "m.onnx", "--dim", "n=0"], "--dim: 'n=0' is not NAME=N with N > 0"),
    (["run", "m.onnx", "--shape", "x=1x0"], "--shape: 'x=1x0' is not NAME=1x3x224x224 with positive sizes"),
    (["bench", "elementwise", "--bytes", "many"], None),
    (["bench", "conv", *CONV, "--r", "7"], "--r: 7 is more than the padded input's 6"),
    (["bench", "conv", *CONV, "--r", "1", "--groups", "3"], "--groups: --c 4 is not a multiple of 3"),
    (["bench", "conv", *CONV, "--r", "1", "--groups", "4"], "--groups: --k 6 is not a multiple of 4"),
    (["bench", "conv", *CONV, "--r", "1", "--pad", "-1"], "--pad: -1 is not from 0 to 1048576"),
    (["bench", "conv", *CONV, "--r", "1", "--stride", "1048577"], "--stride: 1048577 is not from 1 to 1048576"),
    (["bench", "conv", *CONV, "--r", "1", "--n", str(2**62)],
     "x [4611686018427387904, 4, 6, 5] has more than 1099511627776 elements"),
    (["bench", "conv", *CONV], "--r is required (see --help)"),
    (["bench", "conv", *CONV, "--r", "1", "--input", "weight=none.npy"],
     "none.npy: cannot be read: No such file or directory"),
    (["bench", "attention", "--heads", "2", "--seq", "8"], "--head-dim is required (see --help)"),
    (["bench", "attention", "--heads", "2", "--seq", str(2**61), "--head-dim", "8"],
     "q [1, 2305843009213693952, 2, 8] has more than 1099511627776 elements"),
    (["bench", "attention", "--heads", "2", "--seq", "8", "--head-dim", "8", "--casual"],
     "unknown argument '--casual' (did you mean '--causal'?)"),
    (["show", "trn3x"], None),
])
def test_bad_arguments(call, tmp_path, arguments, message):
    code, out, err = call(*arguments)
    assert code == 2 and out == ""
    assert err.startswith("presil: error: ") and err.count("\n") == 1
    if message is not None:
        assert err == f"presil: error: {message}\n"
    assert list(tmp_path.iterdir()) == []


def test_chips(call):
    code, out, _ = call("chips", "--json")
    chips = {chip["name"]: chip for chip in json.loads(out)}
    assert code == 0 and {"trn1", "trn2"} <= set(chips)
    assert chips["trn2"]["sbuf_bytes"] > chips["trn1"]["sbuf_bytes"]
    assert "trn2" in call("chips")[1]


@pytest.mark.parametrize("command, schema", [("chips", "chips"), ("ops", "operators"), ("ops --isa", "instructions")])
def test_lists_keep_their_schema(call, root, command, schema):
    code, out, err = call(*command.split(), "--json")
    assert (code, err) == (0, "")
    jsonschema.validate(json.loads(out), json.loads((root / f"docs/schema/{schema}.json").read_text()))


def test_a_chip_shown_can_be_used_as_a_file(call, tmp_path):
    (tmp_path / "copy.toml").write_text(call("show", "trn2")[1])
    gemm = ["bench", "gemm", "--m", "256", "--n", "256", "--k", "256", "--no-data", "--json", "--chip"]
    results = [json.loads(call(*gemm, chip)[1]) for chip in ("trn2", "copy.toml")]
    assert results[0]["trace_hash"] == results[1]["trace_hash"]
    assert results[0]["chip"]["spec_hash"] == results[1]["chip"]["spec_hash"]


def test_ops(call):
    operators = {row["name"] for row in json.loads(call("ops", "--json")[1])}
    assert {"Conv", "MatMul", "Softmax"} <= operators
    instructions = {row["name"]: row for row in json.loads(call("ops", "--isa", "--json")[1])}
    assert instructions["nc_matmul"]["engines"] == ["tensor"]
    assert call("ops")[0] == 0 and "nc_matmul" in call("ops", "--isa")[1]


def test_progress_is_for_terminals_and_long_work_only(presil, tmp_path):
    """On a terminal a long run names its phase and takes the line back; a short one, or a pipe, prints nothing."""
    import os
    import pty

    def stderr_on_a_terminal(*arguments):
        master, slave = pty.openpty()
        done = subprocess.run([presil, *arguments], stdout=subprocess.PIPE, stderr=slave, cwd=tmp_path)
        os.close(slave)
        assert done.returncode == 0
        text = b""
        os.set_blocking(master, False)
        try:
            while block := os.read(master, 4096):
                text += block
        except (BlockingIOError, OSError):
            pass
        os.close(master)
        return text.decode()

    assert stderr_on_a_terminal("chips") == ""
    long = stderr_on_a_terminal(*"bench gemm --m 8000000 --n 64 --k 64 --cores 1 --no-data".split())
    assert "presil: compiling ..." in long and long.endswith("\r\033[K")


@pytest.mark.parametrize("text, words", [
    ('[tensr]\nrows = 64\n', ["bad.toml:3", "tensr", "did you mean 'tensor'?"]),
    ('[tensor]\nrow = 64\n', ["bad.toml:4", "row", "did you mean 'rows'?"]),
    ('[tensor]\nclock = "2.4"\n', ["bad.toml:4", "unit"]),
    ('[tensor]\nclock = "2.4 Ghz"\n', ["bad.toml:4", "Ghz"]),
    ('[tensor]\nrows = 0\n', ["bad.toml:4", "rows", "0"]),
    ('[dma]\nengines = -1\n', ["bad.toml:4", "engines", "-1"]),
    ('[sbuf]\nbytes_per_partition = "1 B"\n', ["bad.toml"]),
    ('[tensor\n', ["bad.toml:3"]),
])
def test_bad_chip_files(call, tmp_path, text, words):
    (tmp_path / "bad.toml").write_text('extends = "trn2"\nname = "bad"\n' + text)
    code, out, err = call(*"bench gemm --m 8 --n 8 --k 8 --chip bad.toml".split())
    assert (code, out) == (2, "") and err.startswith("presil: error: bad.toml") and err.count("\n") == 1
    for word in words:
        assert word in err


def test_what_the_compiler_refuses_names_the_file(call, tmp_path):
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1, 1, 1, 1], [1.0])
    wide = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 2, 4096]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"], name="c")], "g", wide[:1], wide[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    (tmp_path / "tiny.toml").write_text('extends = "trn2"\n[sbuf]\npartition_size = "1 KiB"\n')
    code, out, err = call("compile", "m.onnx", "--chip", "tiny.toml", "-o", "m.presil")
    assert (code, out) == (2, "") and err.startswith("presil: error: m.onnx: c: one row of what this step touches takes ")
    assert call("compile", "m.onnx", "--precision", "fp23", "-o", "m.presil")[2] == (
        "presil: error: --precision: precision 'fp23' is not one of auto, fp32, tf32, bf16, fp16 (did you mean 'fp32'?)\n")
