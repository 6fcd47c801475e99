"""Does the Python package compute what the command line computes, and say clearly what it does not take?"""
import gc
import json
import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time

import jsonschema
import ml_dtypes
import numpy as np
import onnx
import presil
import pytest
from onnx import TensorProto, helper
from presil import _arrays

import test_run


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """y = relu(x w + b) with a dynamic batch: path, w, b."""
    path = tmp_path_factory.mktemp("models") / "small.onnx"
    return path, *test_run.save_model(path)


@pytest.fixture(scope="module")
def program(small):
    return presil.compile(small[0], dims={"batch": 5}, cores=1)


def save_typed(path, onnx_type, cast=False):
    """y = -x in one dtype, or y = x as fp32."""
    x, y = (helper.make_tensor_value_info(name, kind, (3, 4)) for name, kind in
            (("x", onnx_type), ("y", TensorProto.FLOAT if cast else onnx_type)))
    node = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT) if cast else helper.make_node("Neg", ["x"], ["y"])
    graph = helper.make_graph([node], "typed", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def numbers(seed=0, shape=(5, 48)):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def message(call, *arguments, **options):
    with pytest.raises(presil.Error) as caught:
        call(*arguments, **options)
    return str(caught.value)


def test_a_run_is_that_of_the_command_line(root, small, tmp_path):
    x = numbers()
    np.save(tmp_path / "x.npy", x)
    arguments = ["run", small[0], "--dim", "batch=5", "--input", "x=x.npy", "--output-dir", "out", "--json"]
    printed = json.loads(subprocess.run([root / "build/presil", *arguments], cwd=tmp_path, capture_output=True, check=True).stdout)
    result = presil.run(small[0], chip="trn2", inputs={"x": x}, dims={"batch": 5})
    np.testing.assert_array_equal(result.outputs["y"], np.load(tmp_path / "out/y.npy"))
    jsonschema.validate(result.document, json.loads((root / "docs/schema/run.json").read_text()))
    test_run.check_laws(result.document)
    for key in set(printed) - {"host", "outputs"}:
        assert result.document[key] == printed[key], key
    assert result.seconds == printed["seconds"] and result.bound_by == printed["bound_by"]
    assert [layer.name for layer in result.layers] == [layer["name"] for layer in printed["layers"]]
    assert result.engines["tensor"].busy_fraction == printed["engines"]["tensor"]["busy_fraction"]
    assert result.ok and result.outcome == "done" and "small.onnx on trn2" in repr(result)


def test_a_program_says_what_it_takes_and_gives(program):
    assert program.inputs == [presil.TensorType("x", np.dtype(np.float32), (5, 48))]
    assert program.outputs == [presil.TensorType("y", np.dtype(np.float32), (5, 20))]
    assert (program.model, program.chip) == ("small.onnx", "trn2")
    assert program.spec_hash == {chip.name: chip.spec_hash for chip in presil.chips()}["trn2"]
    assert "nc_matmul" in program.text()


@pytest.mark.parametrize("form", [
    lambda x: np.asfortranarray(x),
    lambda x: np.repeat(np.repeat(x, 2, 0), 3, 1)[::2, ::3],
    lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    lambda x: x.astype(">f4"),
    lambda x: x.tolist(),
    lambda x: memoryview(x),
    lambda x: np.frombuffer(x.tobytes(), np.float32).reshape(x.shape),  # read-only
], ids=["column-major", "strided", "negative strides", "big-endian", "list", "memoryview", "read-only"])
def test_an_array_may_lie_anyhow(program, form):
    x = numbers(3)
    given = form(x)
    np.testing.assert_array_equal(program.run({"x": given}).outputs["y"], program.run({"x": x}).outputs["y"])


def test_inputs_are_not_changed_and_outputs_are_ones_own(program):
    x = numbers(4)
    before = x.copy()
    outputs = program.run({"x": x}).outputs
    np.testing.assert_array_equal(x, before)
    kept = outputs["y"].copy()
    gc.collect()
    program.run({"x": numbers(5)})
    np.testing.assert_array_equal(outputs["y"], kept)
    outputs["y"][:] = 0  # writable, and nobody else's
    np.testing.assert_array_equal(program.run({"x": x}).outputs["y"], kept)


@pytest.mark.parametrize("onnx_type, dtype", [
    (TensorProto.FLOAT, np.float32), (TensorProto.FLOAT16, np.float16), (TensorProto.BFLOAT16, ml_dtypes.bfloat16),
])
def test_floats_go_in_and_come_out(tmp_path, onnx_type, dtype):
    program = presil.compile(save_typed(tmp_path / "typed.onnx", onnx_type))
    assert program.inputs[0].dtype == program.outputs[0].dtype == dtype
    x = np.arange(-6, 6).reshape(3, 4).astype(dtype)
    y = program.run({"x": x}).outputs["y"]
    assert y.dtype == dtype
    np.testing.assert_array_equal(y.astype(np.float32), -x.astype(np.float32))


# A boolean is a byte in the core.
@pytest.mark.parametrize("onnx_type, given, dtype", [
    (TensorProto.INT32, np.int32, np.int32), (TensorProto.INT64, np.int64, np.int32), (TensorProto.INT64, np.int32, np.int32),
    (TensorProto.UINT8, np.uint8, np.uint8), (TensorProto.BOOL, np.bool_, np.uint8),
])
def test_integers_go_in(tmp_path, onnx_type, given, dtype):
    program = presil.compile(save_typed(tmp_path / "typed.onnx", onnx_type, cast=True))
    assert program.inputs[0].dtype == dtype
    x = np.arange(12).reshape(3, 4).astype(given)
    np.testing.assert_array_equal(program.run({"x": x}).outputs["y"], x.astype(np.float32))


@pytest.mark.parametrize("dtype", _arrays._NUMPY)
def test_every_dtype_of_the_core_has_an_array(dtype):
    x = np.arange(6).reshape(2, 3).astype(_arrays.numpy_dtype(dtype))
    name, found, shape, data = _arrays.given("x", x.T, dtype)
    assert (name, found, shape, data.ndim) == ("x", dtype, [3, 2], 1)
    y = _arrays.taken(found, shape, data)
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y.astype(np.float64), x.T.astype(np.float64))


def test_an_int64_that_the_core_cannot_hold_is_refused(tmp_path):
    program = presil.compile(save_typed(tmp_path / "typed.onnx", TensorProto.INT64, cast=True))
    x = np.arange(12).reshape(3, 4)
    assert message(program.run, {"x": x + 2**40}) == \
        "input 'x': value 1099511627776 of int64 does not fit int32, in which the core computes"


def test_nan_and_infinity_are_values(small):
    _, w, b = small
    x = np.zeros((2, 48), np.float32)
    x[0, 0], x[1, 0] = np.array(0xFFC12345, np.uint32).view(np.float32), np.inf
    result = presil.run(small[0], inputs={"x": x}, dims={"batch": 2})
    assert result.ok and result.document["findings"] == []
    y = result.outputs["y"]
    assert set(y[0].view(np.uint32)) == {0x7FC00000}  # the canonical NaN, whatever its payload was
    np.testing.assert_array_equal(y[1], np.where(w[0] > 0, np.inf, 0))


def test_without_data_there_is_time_only(small, program):
    timed = presil.run(small[0], dims={"batch": 5}, data=False, cores=1)
    assert timed.outputs == {} and timed.seconds == program.run().seconds
    assert timed.document["trace_hash"] == program.run().document["trace_hash"]


def test_chips(small):
    chips = {chip.name: chip for chip in presil.chips()}
    assert list(chips) == sorted(chips) and {"trn1", "trn2"} <= set(chips)
    for name, chip in chips.items():
        run = presil.run(small[0], chip, dims={"batch": 5}, data=False, cores=1).document
        assert run["chip"] == {"name": name, "spec_hash": chip.spec_hash}
        assert run["hbm"]["bound_bytes_per_second"] == chip.hbm_bound_bytes_per_second


def test_drawn_inputs_depend_on_the_seed(program):
    a, b, c = (program.run(seed=seed).outputs["y"] for seed in (1, 1, 2))
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_files(program, small, tmp_path):
    program.save(tmp_path / "small.presil")
    loaded = presil.compile(tmp_path / "small.presil")
    x = numbers()
    result = loaded.run({"x": x})
    np.testing.assert_array_equal(result.outputs["y"], program.run({"x": x}).outputs["y"])
    result.report(tmp_path / "r.html")
    result.report(tmp_path / "r.md")
    result.trace(tmp_path / "t.pftrace")
    assert "small.onnx on trn2" in (tmp_path / "r.html").read_text()
    assert (tmp_path / "t.pftrace").stat().st_size > 500
    assert presil.run(tmp_path / "small.presil", "trn1", data=False, retime=True).document["chip"]["name"] == "trn1"
    assert len(list(tmp_path.iterdir())) == 4


def test_a_fault_of_the_simulated_program_is_a_result(program, tmp_path):
    program.save(tmp_path / "small.presil")
    failed = presil.run(tmp_path / "small.presil", "trn1", retime=True)
    assert not failed.ok and failed.outcome.startswith("fault: ")
    assert message(lambda: failed.outputs) == "the simulated program failed: " + failed.outcome
    assert failed.outcome in repr(failed)


def test_bad_inputs(program):
    x = numbers()

    def refused(**inputs):
        return message(program.run, inputs)

    assert refused(x=x.astype(np.float64)) == \
        "input 'x': dtype float64, expected float32 (convert it with .astype('float32'))"
    assert refused(x=x.astype(np.int32)) == "input 'x': dtype int32, expected fp32"
    assert refused(x=x.astype(np.complex64)).startswith("input 'x': dtype complex64, expected float32")
    assert refused(x=x.astype(ml_dtypes.float8_e4m3b11fnuz)).startswith("input 'x': dtype float8_e4m3b11fnuz, expected float32")
    assert refused(x=np.array("text")).startswith("input 'x': dtype <U4, expected float32")
    assert refused(x=[[1, 2], [3]]).startswith("input 'x': list is no array: ")
    assert refused(x=None).startswith("input 'x': dtype object, expected float32")
    assert refused(x=np.ma.masked_array(x, x > 0)).startswith("input 'x': a masked array has no values")
    assert refused(x=x[:4]) == "input 'x': shape [4, 48], expected [5, 48]"
    assert refused(x=x[0, 0]) == "input 'x': shape [], expected [5, 48]"
    assert refused(X=x) == "inputs: the model has no input 'X'; it has x"


def test_bad_options(small, program, tmp_path):
    path = small[0]

    def refused(model=path, **options):
        return message(presil.run, model, **options)

    assert refused(tmp_path / "none.onnx") == f"{tmp_path}/none.onnx: cannot be read: No such file or directory"
    assert refused(None) == "model: None is no path"
    assert refused(b"bytes") == "model: b'bytes' is no path"
    assert refused(chip="trn4", dims={"batch": 2}) == \
        "unknown chip 'trn4'; bundled: edge-npu, inf2, tpu-v4-like, trn1, trn2, trn3 (did you mean 'trn1'?)"
    assert refused(chip=3, dims={"batch": 2}) == "chip: 3 is no path"
    assert refused() == f"{path}: input 'x': has dynamic dimension 'batch' (give dims={{'batch': N}} or shapes={{'x': ...}})"
    assert refused(dims={"bach": 2}) == f"{path}: dims: the model has no dynamic dimension 'bach' (did you mean 'batch'?)"
    assert refused(dims={"batch": 0}) == "dims['batch']: 0 is not between 1 and 9223372036854775807"
    assert refused(dims={"batch": 2.0}) == "dims['batch']: 2.0 is no whole number"
    assert refused(shapes={"x": (2, "48")}) == "shapes['x']: '48' is no whole number"
    assert refused(dims={"batch": 2}, precision="fp23") == \
        "precision: precision 'fp23' is not one of auto, fp32, tf32, bf16, fp16 (did you mean 'fp32'?)"
    assert refused(dims={"batch": 2}, precision=32) == "precision: 32 is no string"
    assert refused(dims={"batch": 2}, seed=-1) == "seed: -1 is not between 0 and 18446744073709551615"
    assert message(program.save, tmp_path / "x.txt") == f"path: '{tmp_path}/x.txt' does not end in .presil"
    assert message(program.run().report, "r.pdf") == "report: 'r.pdf' ends in neither .html nor .md"
    assert message(program.run().trace, "") == "trace: '' is no path"
    assert list(tmp_path.iterdir()) == []
    program.save(tmp_path / "small.presil")
    assert message(presil.run, tmp_path / "small.presil", "trn1").endswith("or run it as it is with retime=True)")


def test_an_error_has_its_parts(small):
    with pytest.raises(presil.Error) as caught:
        presil.compile(small[0], dims={"bach": 2})
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.code, error.where, error.hint) == ("bad_input", f"{small[0]}: dims", "did you mean 'batch'?")
    assert str(error) == str(caught.value) and repr(type(error)) == "<class 'presil.Error'>"


def test_threads_run_at_once_and_do_not_know_of_each_other(small, program):
    """Four threads share a program while a fifth compiles and a sixth counts: the interpreter is free meanwhile."""
    inputs = [numbers(seed) for seed in range(4)]
    expected = [program.run({"x": x}).outputs["y"] for x in inputs]
    found = [None] * 4
    counted, done = [0], threading.Event()

    def work(k):
        for _ in range(10):
            found[k] = program.run({"x": inputs[k]}).outputs["y"]

    def compile_others():
        for batch in range(1, 6):
            assert presil.run(small[0], dims={"batch": batch}).ok

    def count():
        while not done.is_set():
            counted[0] += 1

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)] + [threading.Thread(target=compile_others)]
    counter = threading.Thread(target=count)
    for thread in [counter, *threads]:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    counter.join()
    assert counted[0] > 1000
    for y, want in zip(found, expected):
        np.testing.assert_array_equal(y, want)


# Compiles, runs and reports until it is interrupted; afterwards it goes on.
BUSY = """
    import os, presil
    try:
        print("ready", flush=True)
        while True:
            program = presil.compile("long.onnx")
            result = program.run()
            result.report("report.html")
            program.save("long.presil")
    except KeyboardInterrupt:
        print("interrupted")
    print(presil.compile("long.onnx", data=False).run().ok, sorted(set(os.listdir()) - {"long.onnx"}))
"""


@pytest.fixture(scope="module")
def long_model(tmp_path_factory):
    """Twelve matmuls of 1024: compiling, running and writing take a part of a second each."""
    path = tmp_path_factory.mktemp("models") / "long.onnx"
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1024, 1024]) for name in "xy")
    names = ["x", *(f"t{k}" for k in range(11)), "y"]
    nodes = [helper.make_node("MatMul", [a, "x"], [b]) for a, b in zip(names, names[1:])]
    graph = helper.make_graph(nodes, "long", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


DELAYS = [0.0, 0.07, 0.3, 0.9, 1.6]
DRAWN = [round(random.Random(k).uniform(0, 3), 3) for k in range(30)]


@pytest.mark.parametrize("delay", DELAYS + [pytest.param(delay, marks=pytest.mark.long) for delay in DRAWN])
def test_ctrl_c_at_any_moment(root, long_model, tmp_path, delay):
    """KeyboardInterrupt is raised soon, nothing is half-written, and the process goes on."""
    (tmp_path / "long.onnx").symlink_to(long_model)
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(BUSY)], cwd=tmp_path, text=True,
                               env={"PYTHONPATH": str(root / "build/python")}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == "ready\n"
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert re.fullmatch(r"interrupted\nTrue \[('long.presil')?(, )?('report.html')?\]\n", out), out
    for path in tmp_path.glob("long.presil"):
        assert presil.compile(path).model == "long.onnx"


def test_nothing_leaks(root, small, tmp_path):
    """Memory stays as it is over many runs and failures, and nanobind reports no leaked instance at exit."""
    code = """
        import resource, sys, numpy as np, presil
        path = sys.argv[1]
        program = presil.compile(path, dims={"batch": 5})
        x = np.ones((5, 48), np.float32)
        def rounds(n):
            for _ in range(n):
                program.run({"x": x}).outputs["y"].sum()
                presil.compile(path, dims={"batch": 3})
                for bad in ({"z": x}, {"x": x[:2]}):
                    try:
                        program.run(bad)
                    except presil.Error:
                        pass
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(rounds(60), rounds(240))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), small[0]], cwd=tmp_path, capture_output=True,
                          text=True, env={"PYTHONPATH": str(root / "build/python")})
    assert (done.returncode, done.stderr) == (0, "")
    first, second = map(int, done.stdout.split())
    assert second - first < 8 * 1024, "KiB; what the allocator keeps varies by less"


def test_types(root, tmp_path):
    """The package and a user of it pass mypy --strict; the stub of the extension has what the extension has."""
    user = tmp_path / "user.py"
    user.write_text(textwrap.dedent("""
        import numpy as np
        import presil

        result: presil.Result = presil.run("m.onnx", chip="trn2", inputs={"x": np.zeros(3)}, dims={"n": 1})
        y: float = float(result.outputs["y"].sum()) + result.seconds + result.layers[0].share
        names: list[str] = [chip.name for chip in presil.chips()]
        presil.run("m.onnx", seed="1")  # type: ignore[arg-type]
    """))
    cache = ["--cache-dir", root / ".cache/mypy"]
    strict = [sys.executable, "-m", "mypy", "--strict", "--warn-unused-ignores", *cache, user, root / "python/presil"]
    done = subprocess.run(strict, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    compare = [sys.executable, "-m", "mypy.stubtest", "presil", "--ignore-disjoint-bases",
               "--allowlist", root / "tests/python/stubtest_allowlist.txt"]
    done = subprocess.run(compare, cwd=root / "build/python", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_version_is_the_projects(root):
    assert f"project(presil VERSION {presil.__version__} " in (root / "CMakeLists.txt").read_text()


@pytest.mark.long
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_it_installs_into_a_clean_environment(root, small, tmp_path, kind):
    """From a fresh clone, `pip install .`; or from its source distribution."""
    subprocess.run(["git", "clone", "-q", root, tmp_path / "clone"], check=True)
    source = tmp_path / "clone"
    if kind == "sdist":
        subprocess.run([sys.executable, "-m", "build", "--sdist", "--outdir", tmp_path / "dist", source], check=True)
        (source,) = (tmp_path / "dist").glob("presil-*.tar.gz")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv/bin/python"
    launcher = {"CMAKE_CXX_COMPILER_LAUNCHER": "ccache", "CCACHE_BASEDIR": tempfile.gettempdir(), "CCACHE_NOHASHDIR": "1"}
    launcher = launcher if shutil.which("ccache") else {}
    subprocess.run([python, "-m", "pip", "install", "-q", source], check=True, env={**os.environ, **launcher})
    code = f"import presil; r = presil.run({str(small[0])!r}, dims={{'batch': 2}}); print(r.outputs['y'].shape, r.ok)"
    done = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "(2, 20) True\n", "")
    listed = subprocess.run([python, "-c", "import presil, os; print(sorted(os.listdir(os.path.dirname(presil.__file__))))"],
                            cwd=tmp_path, capture_output=True, text=True).stdout
    assert "py.typed" in listed and "_core.pyi" in listed
