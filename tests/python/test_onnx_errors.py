"""Bad models: each gives exactly one message with place, found and expected, quickly and in little memory."""
import resource
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from graph_tool import TOOL

FLOAT = TensorProto.FLOAT
MEMORY_BYTES = 512 << 20


def info(name, shape, dtype=FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def model(nodes, inputs=None, outputs=None, initializers=(), opset=13, domains=()):
    inputs = [info("x", [1, 3, 4, 4])] if inputs is None else inputs
    graph = helper.make_graph(nodes, "g", inputs, outputs or [info("y", None)], list(initializers))
    opsets = [helper.make_opsetid("", opset)] + [helper.make_opsetid(d, 1) for d in domains]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def node(op, inputs=("x",), outputs=("y",), name="n", **attributes):
    return helper.make_node(op, list(inputs), list(outputs), name=name, **attributes)


def array(value, name, dtype=np.float32):
    return numpy_helper.from_array(np.asarray(value, dtype), name)


def raw_tensor(name, dims, data, dtype=FLOAT):
    return TensorProto(name=name, dims=dims, data_type=dtype, raw_data=data)


def external(name, dims, **entries):
    t = TensorProto(name=name, dims=dims, data_type=FLOAT, data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        t.external_data.add(key=key, value=str(value))
    return t


def with_weight(tensor):
    return model([node("Add", ("x", tensor.name))], initializers=[tensor])


IDENTITY = model([node("Relu")])
GOOD = IDENTITY.SerializeToString()
DYNAMIC = model([node("Relu")], [info("x", ["batch", 3, "height", "width"])])
UNNAMED = model([node("Relu")], [info("x", [1, None])])
TWO = model([node("Add", ("x", "z"))], [info("x", ["n", 3]), info("z", ["n", 3])])
OPS = "presil ops lists those that are"
BESIDE = "external data lies beside the model, in the file that it names"

# model (or bytes), options, message behind "FILE: "
CASES = {
    "empty": (b"", [], "not an ONNX model: the file is empty"),
    "text": (b"hello, I am a text file and no model", [],
             "not an ONNX model, or a damaged one: wire type 4 does not exist at byte 3"),
    "zeros": (bytes(64), [], "not an ONNX model: protobuf cannot parse it"),
    "wire_type": (b"\x0f\x01", [], "not an ONNX model, or a damaged one: wire type 7 does not exist at byte 1"),
    "truncated": (GOOD[:-9], [], "not an ONNX model, or a damaged one: a field of 60 bytes does not fit into the remaining 57 at byte 3"),
    "endless_number": (b"\x08" + b"\xff" * 11, [], "not an ONNX model, or a damaged one: a number is longer than 10 bytes at byte 11"),
    "half_number": (b"\x08\xff", [], "not an ONNX model, or a damaged one: the data ends inside a number at byte 1"),
    "nested": (lambda: nested(72), [], "not an ONNX model, or a damaged one: messages are nested deeper than 64 at byte 139"),
    "other_message": (onnx.ValueInfoProto(name="x").SerializeToString(), [], "not an ONNX model: it has no graph"),
    "no_opset": (lambda: no_opset(), [], "it does not say which opset it uses"),
    "no_outputs": (lambda: no_outputs(), [], "the graph has no outputs"),
    "old_opset": (model([node("Relu")], opset=6), [],
                  "opset 6 is not supported, only 7 to 28 (convert it with onnx.version_converter)"),
    "new_opset": (model([node("Relu")], opset=99), [], "opset 99 is not supported, only 7 to 28"),
    "unknown_operator": (model([node("Rellu")]), [], "n: operator 'Rellu' (opset 13) is not supported (did you mean 'Relu'?)"),
    "far_operator": (model([node("NonMaxSuppression", name="")]), [],
                     f"#0 NonMaxSuppression: operator 'NonMaxSuppression' (opset 13) is not supported ({OPS})"),
    "foreign_operator": (model([node("Gelu", domain="com.microsoft")], domains=["com.microsoft"]), [],
                         "n: operator 'Gelu' of domain 'com.microsoft' is not supported (only ONNX's own operators are; see presil ops)"),
    "operator_too_old": (model([node("Upsample", scales=[1.0, 1.0, 2.0, 2.0])]), [],
                         "n: operator 'Upsample' needs opset 7 to 9, the model uses 13"),
    "double_input": (model([node("Relu")], [info("x", [1], TensorProto.DOUBLE)]), [],
                     "input 'x': double is not supported (--double-as-fp32 converts)"),
    "double_weight": (with_weight(array([1.0], "w", np.float64)), [],
                      "tensor 'w': double is not supported (--double-as-fp32 converts)"),
    "string": (model([node("Relu")], [info("x", [1], TensorProto.STRING)]), [],
               "input 'x': STRING is not supported (supported are FLOAT, FLOAT16, BFLOAT16, BOOL and integers up to INT64 but UINT64)"),
    "future_type": (model([node("Cast", to=99)]), [],
                    "n: data type 99 is not supported (supported are FLOAT, FLOAT16, BFLOAT16, BOOL and integers up to INT64 but UINT64)"),
    "unknown_attribute": (model([node("Relu", speed=3)]), [], "n: Relu: attribute 'speed' is not supported in opset 13"),
    "attribute_kind": (model([node("Elu", alpha="big")]), [], "n: Elu: attribute 'alpha' is not a float"),
    "attribute_value": (model([node("Resize", ("x", "", "s"), mode="cubic")], initializers=[array([1, 1, 2, 2], "s")]), [],
                        "n: Resize: mode='cubic' is not supported, only 'nearest', 'linear', 'bilinear'"),
    "training": (model([node("BatchNormalization", ("x", "c", "c", "c", "c"), training_mode=1)], initializers=[array([1, 1, 1], "c")],
                       opset=15), [], "n: BatchNormalization: training_mode=1 is not supported, only 0"),
    "second_output": (model([node("MaxPool", outputs=("y", "where"), kernel_shape=[2, 2])]), [],
                      "n: MaxPool: its output 1 'where' is not supported"),
    "run_time_shape": (model([node("Reshape", ("x", "s"))], [info("x", [4]), info("s", [2], TensorProto.INT64)]), [],
                       "n: Reshape: shape 's' depends on run-time data, it must be constant"),
    "quantized_type": (model([node("QuantizeLinear", ("x", "s", "z"))],
                             initializers=[array([0.1], "s", np.float32), array([0], "z", np.int32)]), [],
                       "n: QuantizeLinear: 'z' is int32; quantized types are int8, uint8, int16 and uint16"),
    "quantized_axis": (model([node("QuantizeLinear", ("x", "s"), axis=0)], [info("x", [2, 3])],
                             initializers=[array([0.1, 0.2, 0.3], "s", np.float32)]), [],
                       "n: QuantizeLinear: 's' is [3]; it may hold one number, or one for each of axis 0 of [2, 3]"),
    "integer_operand": (model([node("MatMulInteger", ("x", "w"))], [info("x", [2, 3])],
                              initializers=[array([[1], [2], [3]], "w", np.int8)]), [],
                        "n: MatMulInteger: 'x' is fp32, expected int8 or uint8"),
    "missing_scales": (model([node("Resize")], opset=10), [], "n: Resize: scales is missing"),
    "empty_scalar": (model([node("Range", ("a", "a", "a"))], [], initializers=[array([], "a", np.int64)]), [],
                     "n: Range: start has 0 elements, expected one"),
    "dynamic": (DYNAMIC, [], "input 'x': has dynamic dimension 'batch' (give --dim batch=N or --shape x=batchx3xheightxwidth)"),
    "dynamic_rest": (DYNAMIC, ["--dim", "batch=1", "--dim", "height=8"],
                     "input 'x': has dynamic dimension 'width' (give --dim width=N or --shape x=batchx3xheightxwidth)"),
    "dynamic_unnamed": (UNNAMED, [], "input 'x': has a dynamic dimension 1 without a name in 1x? "
                                     "(give --shape x=... with a number for every dimension)"),
    "wrong_dim": (DYNAMIC, ["--dim", "widht=9"], "--dim: the model has no dynamic dimension 'widht' (did you mean 'width'?)"),
    "far_dim": (DYNAMIC, ["--dim", "q=9"], "--dim: the model has no dynamic dimension 'q' (it has 'batch', 'height', 'width')"),
    "zero_dim": (DYNAMIC, ["--dim", "width=0"], "--dim: dimension 'width' is 0, expected at least 1"),
    "wrong_input": (DYNAMIC, ["--shape", "imaeg=1x3x8x8"], "--shape: the model has no input 'imaeg' (it has 'x')"),
    "wrong_rank": (DYNAMIC, ["--shape", "x=1x3"], "input 'x': --shape gives 2 dimensions, the model declares batchx3xheightxwidth"),
    "wrong_size": (DYNAMIC, ["--shape", "x=1x4x8x8"], "input 'x': --shape gives 4 for dimension 1, the model declares batchx3xheightxwidth"),
    "negative_shape": (DYNAMIC, ["--shape", "x=1x3x-8x8"], "input 'x': shape [1, 3, -8, 8] is not valid"),
    "contradiction": (TWO, ["--shape", "x=2x3", "--shape", "z=5x3"], "input 'z': dimension 'n' is 5 here and 2 elsewhere"),
    "absurd_input": (model([node("Relu")], [info("x", [2**31, 2**31, 2**31])]), [],
                     "input 'x': shape [2147483648, 2147483648, 2147483648] has more than 1099511627776 elements"),
    "absurd_weight": (with_weight(raw_tensor("w", [2**40, 2**40], b"")), [],
                      "tensor 'w': shape [1099511627776, 1099511627776] is negative or has more than 1099511627776 elements"),
    "negative_weight": (with_weight(raw_tensor("w", [-3], b"")), [],
                        "tensor 'w': shape [-3] is negative or has more than 1099511627776 elements"),
    "short_weight": (with_weight(raw_tensor("w", [4], b"12345678")), [], "tensor 'w': has 8 bytes of data, FLOAT [4] needs 16"),
    "short_weight_no_data": (with_weight(raw_tensor("w", [2**39], b"12345678")), ["--no-data"],
                             "tensor 'w': has 8 bytes of data, FLOAT [549755813888] needs 2199023255552"),
    "absurd_output": (model([node("Expand", ("x", "s"))], initializers=[array([2**39, 1, 1, 4, 4], "s", np.int64)]), [],
                      "n: Expand: [1, 3, 4, 4] does not expand to [549755813888, 1, 1, 4, 4]"),
    "absurd_tile": (model([node("Tile", ("x", "s"))], initializers=[array([2**39, 1, 1, 1], "s", np.int64)]), [],
                    "n: Tile: [549755813888, 1, 3, 4, 4] is too large"),
    "absurd_range": (model([node("Range", ("a", "b", "c"))], [], initializers=[array(v, k, np.int64) for k, v in
                                                                                (("a", 0), ("b", 2**60), ("c", 1))]), [],
                     "n: Range: 1.152921504606847e+18 elements are more than 4194304"),
    "absurd_pad": (model([node("Pad", ("x", "p"))], initializers=[array([2**39, 0, 0, 0, 2**39, 0, 0, 0], "p", np.int64)]), [],
                   "n: pad: its output [1099511627777, 3, 4, 4] has more than 1099511627776 elements"),
    "absurd_kernel": (model([node("MaxPool", kernel_shape=[2**62, 1])]), [],
                      "n: MaxPool: kernel 4611686018427387904, stride 1 and dilation 1 of spatial axis 0 must be from 1 to 1048576"),
    "big_integer": (model([node("Add", ("i", "k"))], [info("i", [2], TensorProto.INT64)], [info("y", None, TensorProto.INT64)],
                          initializers=[array([2**40], "k", np.int64)]), [],
                    "constant 'k': int64 value 1099511627776 does not fit into int32"),
    "channels": (model([node("Conv", ("x", "w"))], initializers=[array(np.zeros((2, 4, 1, 1)), "w")]), [],
                 "n: conv: input [1, 3, 4, 4], weight [2, 4, 1, 1] and group 1 do not fit"),
    "three_dimensional": (model([node("Conv", ("x", "w"))], [info("x", [1, 1, 4, 4, 4])], initializers=[array(np.zeros((1, 1, 1, 1, 1)), "w")]),
                          [], "n: Conv: 3 spatial axes are not supported, only 1 and 2"),
    "broadcast": (model([node("Add", ("x", "w"))], initializers=[array([1, 2, 3], "w")]), [],
                  "n: elementwise: add of 'x' [1, 3, 4, 4] and 'w' [3]: the shapes do not broadcast"),
    "dtypes": (model([node("Add", ("x", "w"))], initializers=[array([1], "w", np.int64)]), [],
               "n: elementwise: operands 'x' is fp32 and 'w' is int64, expected one dtype"),
    "division_by_zero": (model([node("Div", ("a", "b"))], [], initializers=[array([1], "a", np.int64), array([0], "b", np.int64)]), [],
                         "n: div: integer division by zero"),
    "concat_axis": (model([node("Concat", ("x", "x"))]), [], "n: Concat: attribute 'axis' is missing"),
    "flag": (model([node("ReduceMean", keepdims=101)]), [], "n: ReduceMean: keepdims is 101, expected 0 or 1"),
    "clip_bound": (model([node("Clip", ("x", "w"))], initializers=[array([1, 2, 3, 4], "w")]), [],
                   "n: Clip: min has shape [4], expected a scalar"),
    "slope": (model([node("PRelu", ("w", "x"))], initializers=[array([[[1]], [[2]], [[3]]], "w")]), [],
              "n: PRelu: slope [1, 3, 4, 4] does not broadcast to [3, 1, 1]"),
    "early_gemm": (model([node("Gemm", ("x", "w"))], [info("x", [2, 3])], initializers=[array(np.zeros((3, 2)), "w")], opset=9), [],
                   "n: Gemm: has 2 inputs, takes 3"),
    "early_dropout": (model([node("Dropout", ("x", "x"))], opset=10), [], "n: Dropout: has 2 inputs, takes 1"),
    "declared_size": (model([node("Relu")], outputs=[info("y", [1, 3, 4, 5])]), [],
                      "n: its output 'y' has shape [1, 3, 4, 4], the model declares 1x3x4x5"),
    "declared_rank": (model([node("Relu")], outputs=[info("y", ["n", 3, 16])]), [],
                      "n: its output 'y' has shape [1, 3, 4, 4], the model declares nx3x16"),
    "declared_type": (model([node("Relu")], outputs=[info("y", [1, 3, 4, 4], TensorProto.INT32)]), [],
                      "n: its output 'y' is fp32, the model declares int32"),
    "declared_between": (lambda: between([1, 3, 5, 4]), [],
                         "one: its output 'z' has shape [1, 3, 4, 4], the model declares 1x3x5x4"),
    "operands": (model([node("Relu", ("x", "x"))]), [], "n: Relu: has 2 inputs, takes 1"),
    "omitted": (model([node("Add", ("x", ""))]), [], "n: Add: has 1 inputs, takes 2"),
    "omitted_variadic": (model([node("Max", ("x", "", "x"))]), [], "n: Max: has 2 inputs, takes at least 3"),
    "cycle": (model([node("Add", ("x", "b"), ("a",), "one"), node("Relu", ("a",), ("b",), "two"), node("Relu", ("b",), ("y",), "three")]), [],
              "g: the graph has a cycle: 'two' needs 'one' needs 'two'"),
    "self_cycle": (model([node("Add", ("x", "y"))]), [], "g: the graph has a cycle: 'n' needs 'n'"),
    "dangling": (model([node("Add", ("x", "weigth"))], initializers=[array([1], "weight")]), [],
                 "n: input 'weigth' is produced by no node, input or initializer (did you mean 'weight'?)"),
    "dangling_output": (model([node("Relu", outputs=("z",))]), [], "g: graph output 'y' is produced by no node, input or initializer"),
    "produced_twice": (model([node("Relu", name="a"), node("Abs", name="b")]), [], "b: output 'y' is produced by node 'a' too"),
    "shadowed_input": (model([node("Relu", outputs=("x",))], outputs=[info("x", None)]), [],
                       "n: output 'x' is produced by an input or initializer too"),
    "input_twice": (model([node("Relu")], [info("x", [1]), info("x", [1])]), [], "input 'x': is declared twice"),
    "initializer_twice": (model([node("Relu")], initializers=[array([1], "w"), array([1], "w")]), [], "initializer 'w': is given twice"),
    "sequence": (model([node("Relu")], [helper.make_tensor_sequence_value_info("x", FLOAT, [1])]), [],
                 "input 'x': is not a tensor (sequences, maps and optionals are not supported)"),
    "external_missing": (with_weight(external("w", [4], location="w.bin")), [],
                         f"tensor 'w': external data 'w.bin' cannot be read: No such file or directory ({BESIDE})"),
    "external_escape": (with_weight(external("w", [4], location="../w.bin")), [],
                        f"tensor 'w': external data '../w.bin' is outside the model's folder ({BESIDE})"),
    "external_absolute": (with_weight(external("w", [4], location="/etc/passwd")), [],
                          f"tensor 'w': external data '/etc/passwd' is outside the model's folder ({BESIDE})"),
    "external_link": (with_weight(external("w", [4], location="link.bin")), [],
                      f"tensor 'w': external data 'link.bin' links outside the model's folder ({BESIDE})"),
    "external_short": (with_weight(external("w", [4], location="eight.bin")), [],
                       f"tensor 'w': external data 'eight.bin' has 8 bytes from byte 0, the shape needs 16 ({BESIDE})"),
    "external_offset": (with_weight(external("w", [1], location="eight.bin", offset=9)), [],
                        f"tensor 'w': external data 'eight.bin' starts at byte 9, the file has 8 ({BESIDE})"),
    "external_length": (with_weight(external("w", [1], location="eight.bin", length=8)), [],
                        f"tensor 'w': external data 'eight.bin' has 8 bytes from byte 0, the shape needs 4 ({BESIDE})"),
    "external_number": (with_weight(external("w", [1], location="eight.bin", offset="zero")), [],
                        f"tensor 'w': offset or length of its external data is not a number ({BESIDE})"),
}


def varint(value):
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def nested(depth):
    """graph { node { attribute { g { node ... } } } }: deeper than any real model."""
    message = b""
    for i in range(depth):
        tag = (0x32, 0x2A, 0x0A)[i % 3]  # attribute.g, node.attribute, graph.node from the inside out
        message = bytes([tag]) + varint(len(message)) + message
    return b"\x3a" + varint(len(message)) + message


def no_opset():
    m = onnx.ModelProto.FromString(GOOD)
    del m.opset_import[:]
    return m


def no_outputs():
    m = onnx.ModelProto.FromString(GOOD)
    del m.graph.output[:]
    return m


def between(shape, first=1):
    m = model([node("Relu", outputs=("z",), name="one"), node("Relu", ("z",), name="two")], [info("x", [first, 3, 4, 4])])
    m.graph.value_info.append(info("z", shape))
    return m


def limit_memory():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (2, 2))


@pytest.mark.parametrize("name", CASES)
def test_message(tmp_path, name):
    bad, options, message = CASES[name]
    bad = bad() if callable(bad) else bad
    file = tmp_path / "m.onnx"
    file.write_bytes(bad if isinstance(bad, bytes) else bad.SerializeToString())
    (tmp_path / "eight.bin").write_bytes(b"12345678")
    (tmp_path / "link.bin").symlink_to("/etc/passwd")
    done = subprocess.run([TOOL, file, *options], capture_output=True, text=True, preexec_fn=limit_memory, timeout=10)
    assert done.stderr == f"{file}: {message}\n"
    assert (done.returncode, done.stdout) == (2, "")


def test_no_file(tmp_path):
    done = subprocess.run([TOOL, tmp_path / "none.onnx"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, f"{tmp_path}/none.onnx: cannot be read: No such file or directory\n")
    done = subprocess.run([TOOL, tmp_path], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, f"{tmp_path}: cannot be read: it is not a regular file\n")


def test_external_data_is_read(tmp_path):
    file = tmp_path / "m.onnx"
    file.write_bytes(with_weight(external("w", [1], location="eight.bin", offset=4, length=4)).SerializeToString())
    (tmp_path / "eight.bin").write_bytes(np.array([0, 2.5], np.float32).tobytes())
    done = subprocess.run([TOOL, file, "--print"], capture_output=True, text=True)
    assert '"w" = [2.5]' in done.stdout


def test_large_external_data_is_not_needed_without_data(tmp_path):
    file = tmp_path / "m.onnx"
    weight = external("w", [65536, 3, 4, 4], location="w.bin")
    file.write_bytes(with_weight(weight).SerializeToString())
    assert subprocess.run([TOOL, file, "--no-data"], capture_output=True).returncode == 0
    assert subprocess.run([TOOL, file], capture_output=True).returncode == 2


def test_double_is_converted_on_request(tmp_path):
    file = tmp_path / "m.onnx"
    weight = array([0.1], "w", np.float64)
    file.write_bytes(model([node("Add", ("x", "w"))], [info("x", [2], TensorProto.DOUBLE)], initializers=[weight]).SerializeToString())
    done = subprocess.run([TOOL, file, "--double-as-fp32", "--print"], capture_output=True, text=True)
    assert '"w" = [0.1]' in done.stdout and " = add(" in done.stdout


@pytest.mark.parametrize("shape", [["n", 3, None, 4], [0, 3, 4, 4], [], None])
def test_declarations_that_leave_something_open_fit(tmp_path, shape):
    file = tmp_path / "m.onnx"
    file.write_bytes(between(shape).SerializeToString())
    assert subprocess.run([TOOL, file], capture_output=True).returncode == 0


def test_sizes_of_an_exporters_example_fit(tmp_path):
    """Between the nodes of a model with dynamic inputs."""
    file = tmp_path / "m.onnx"
    file.write_bytes(between([1, 3, 4, 4], first="batch").SerializeToString())
    assert subprocess.run([TOOL, file, "--dim", "batch=2"], capture_output=True).returncode == 0
