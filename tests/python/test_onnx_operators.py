"""Every supported operator in its opset forms: one small model per row, interpreted and run by onnxruntime."""
import json
import subprocess
from dataclasses import dataclass, field

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from graph_tool import assert_close, interpret, run_onnxruntime, run_tool

RANDOM = np.random.default_rng(7)


@dataclass
class Fixed:
    """An operand that the model carries as an initializer."""
    value: np.ndarray


@dataclass
class Case:
    op: str
    operands: list
    attributes: dict = field(default_factory=dict)
    opset: int = 13
    outputs: int = 1
    around: int = 0  # operands, the last ones, that only graphs inside the node read: they are called x0, x1, ... there

    def name(self):
        shapes = "_".join("x".join(map(str, np.shape(v.value if isinstance(v, Fixed) else v))) or "s" for v in self.operands
                          if v is not None)
        extra = "_".join(f"{k}={v}" for k, v in self.attributes.items() if not isinstance(v, (onnx.TensorProto, onnx.GraphProto)))
        return f"{self.op}-{self.opset}-{shapes}-{extra}".replace(" ", "").replace("'", "")


def normal(*shape, dtype=np.float32):
    return np.asarray(RANDOM.standard_normal(shape), dtype)


def positive(*shape):
    return RANDOM.uniform(0.1, 3, shape).astype(np.float32)


def whole(low, high, *shape, dtype=np.int64):
    return RANDOM.integers(low, high, shape).astype(dtype)


def flags(*shape):
    return RANDOM.integers(0, 2, shape).astype(np.bool_)


def longs(*values):
    return Fixed(np.array(values, np.int64))


def floats(*values):
    return Fixed(np.array(values, np.float32))


def scalar(value, dtype=np.float32):
    return Fixed(np.array(value, dtype))


def tensor(array):
    return numpy_helper.from_array(np.asarray(array))


def model_of(case):
    names, inputs, initializers, feeds = [], [], [], {}
    for i, operand in enumerate(case.operands):
        name = "" if operand is None else f"x{i}"
        names.append(name)
        if isinstance(operand, Fixed):
            initializers.append(numpy_helper.from_array(operand.value, name))
        elif operand is not None:
            kind = helper.np_dtype_to_tensor_dtype(operand.dtype)
            # A named dimension each, so that shapes reach the importer from outside.
            inputs.append(helper.make_tensor_value_info(name, kind, [f"{name}d{d}" for d in range(operand.ndim)]))
            feeds[name] = operand
    outputs = [f"y{i}" for i in range(case.outputs)]
    node = helper.make_node(case.op, names[:len(names) - case.around], outputs, name=f"the_{case.op}", **case.attributes)
    graph = helper.make_graph([node], "g", inputs, [onnx.ValueInfoProto(name=o) for o in outputs], initializers)
    # onnxruntime wants output types; unknown shapes are fine.
    inferred = onnx.shape_inference.infer_shapes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", case.opset)], ir_version=8))
    types = {v.name: v.type.tensor_type.elem_type for v in inferred.graph.output}
    del graph.output[:]
    graph.output.extend(helper.make_tensor_value_info(o, types.get(o) or TensorProto.FLOAT, None) for o in outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", case.opset)], ir_version=8), feeds


X = normal(2, 3, 4, 5)
IMAGE = normal(2, 4, 7, 9)
UNARY = [Case(op, [X], opset=opset) for op, opset in
         [("Abs", 13), ("Ceil", 13), ("Cos", 7), ("Erf", 13), ("Exp", 13), ("Floor", 13), ("Identity", 13), ("Neg", 13),
          ("Reciprocal", 13), ("Relu", 7), ("Relu", 14), ("Round", 11), ("Sigmoid", 13), ("Sign", 13), ("Sin", 7),
          ("Softplus", 7), ("Softsign", 7), ("Tanh", 13), ("Elu", 7), ("HardSigmoid", 7), ("HardSwish", 14),
          ("LeakyRelu", 7), ("Mish", 18), ("Gelu", 20), ("Softplus", 22)]]
UNARY += [Case("Log", [positive(3, 4)]), Case("Sqrt", [positive(3, 4)]), Case("Not", [flags(3, 4)], opset=7),
          Case("Neg", [whole(-9, 9, 5, dtype=np.int32)]), Case("Abs", [whole(-9, 9, 5, dtype=np.int32)]),
          Case("Elu", [X], {"alpha": 0.3}, 7), Case("LeakyRelu", [X], {"alpha": 0.3}, 16),
          Case("HardSigmoid", [X], {"alpha": 1 / 6, "beta": 0.5}, 7), Case("Gelu", [X], {"approximate": "tanh"}, 20),
          Case("Sin", [normal(64) * 50], opset=7), Case("Cos", [normal(64) * 5], opset=7)]
BINARY = [Case(op, [a, b], opset=opset) for op, opset in [("Add", 7), ("Sub", 13), ("Mul", 14), ("Div", 7)]
          for a, b in [(X, X), (X, normal(5)), (normal(4, 1), X), (X, normal()), (X, scalar(2.5)), (floats(1, 2, 3, 4, 5), X)]]
BINARY += [Case(op, [whole(-20, 20, 3, 4, dtype=np.int32), whole(1, 7, 4, dtype=np.int32)], opset=13)
           for op in ["Add", "Sub", "Mul", "Div", "Mod"]]
BINARY += [Case("Pow", [positive(3, 4), normal(4)], opset=7), Case("Pow", [X, scalar(2)], opset=7),
           Case("Pow", [X, scalar(3.0)], opset=13), Case("Pow", [positive(3), scalar(0.5)], opset=13),
           Case("Pow", [positive(3), scalar(-0.5)], opset=13), Case("Pow", [X, scalar(2, np.int64)], opset=13),
           Case("PRelu", [X, floats(0.2)], opset=9), Case("PRelu", [X, Fixed(normal(3, 1, 1))], opset=16),
           Case("PRelu", [X, normal(3, 1, 1)], opset=16)]
COMPARE = [Case(op, [whole(0, 4, 3, 5).astype(np.float32), whole(0, 4, 5).astype(np.float32)], opset=opset)
           for op, opset in [("Equal", 11), ("Greater", 9), ("GreaterOrEqual", 12), ("Less", 9), ("LessOrEqual", 16)]]
COMPARE += [Case("Equal", [whole(0, 3, 6), whole(0, 3, 6)], opset=7)]
COMPARE += [Case("IsNaN", [np.array([1, np.nan, np.inf, -np.nan], np.float32)], opset=opset) for opset in (9, 20)]
COMPARE += [Case(op, [flags(3, 4), flags(4)], opset=7) for op in ["And", "Or", "Xor"]]
COMPARE += [Case("Where", [flags(3, 4), normal(3, 4), normal(4)], opset=9), Case("Where", [flags(3, 1), normal(), normal(4)], opset=16),
            Case("Where", [flags(4), whole(0, 9, 4), whole(0, 9, 4)], opset=16)]
VARIADIC = [Case(op, [normal(3, 4), normal(4), normal(3, 1)], opset=opset) for op in ["Max", "Min", "Sum", "Mean"] for opset in (8, 13)]
VARIADIC += [Case("Max", [normal(3, 4)], opset=13), Case("Min", [X, scalar(0.5)], opset=13), Case("Max", [X, scalar(0)], opset=13)]
CLIP = [Case("Clip", [X], {"min": -0.5, "max": 0.7}, 6 + 1), Case("Clip", [X], {"min": 0.0}, 10), Case("Clip", [X], {}, 10),
        Case("Clip", [X, scalar(-0.5), scalar(0.7)], opset=11), Case("Clip", [X, None, scalar(0.7)], opset=13),
        Case("Clip", [X, scalar(0)], opset=12), Case("Clip", [X, np.array(-0.2, np.float32), np.array(0.1, np.float32)], opset=13),
        Case("Clip", [whole(-9, 9, 7, dtype=np.int32), scalar(-3, np.int32), scalar(4, np.int32)], opset=13)]
CAST = [Case("Cast", [X * 10], {"to": TensorProto.INT32}), Case("Cast", [X], {"to": TensorProto.BOOL}, 9),
        Case("Cast", [whole(-5, 5, 6)], {"to": TensorProto.FLOAT}), Case("Cast", [flags(6)], {"to": TensorProto.FLOAT}),
        Case("Cast", [X], {"to": TensorProto.FLOAT16}), Case("Cast", [normal(4, dtype=np.float16)], {"to": TensorProto.FLOAT}),
        Case("Cast", [whole(-300, 300, 9, dtype=np.int32)], {"to": TensorProto.UINT8}), Case("Cast", [X], {"to": TensorProto.FLOAT}, 7)]
CONV = [Case("Conv", [IMAGE, Fixed(normal(6, 4, 3, 3))], opset=7),
        Case("Conv", [IMAGE, Fixed(normal(6, 4, 3, 3)), Fixed(normal(6))], {"pads": [1, 0, 2, 1], "strides": [2, 1]}, 11),
        Case("Conv", [IMAGE, Fixed(normal(4, 1, 3, 2))], {"group": 4, "dilations": [2, 3], "kernel_shape": [3, 2]}),
        Case("Conv", [IMAGE, Fixed(normal(6, 2, 1, 1)), normal(6)], {"group": 2}, 22),
        Case("Conv", [normal(2, 3, 11), Fixed(normal(4, 3, 5))], {"strides": [3], "pads": [2, 2]}),
        *[Case("Conv", [IMAGE, Fixed(normal(3, 4, 3, 4))], {"auto_pad": mode, "strides": [2, 2]})
          for mode in ("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET")],
        Case("Conv", [IMAGE, normal(3, 4, 2, 2)]),
        Case("ConvTranspose", [IMAGE, Fixed(normal(4, 3, 3, 3))], opset=7),
        Case("ConvTranspose", [IMAGE, Fixed(normal(4, 3, 2, 2)), Fixed(normal(3))], {"strides": [2, 2]}, 11),
        Case("ConvTranspose", [IMAGE, Fixed(normal(4, 3, 3, 3)), Fixed(normal(6))],
             {"strides": [2, 3], "pads": [1, 0, 1, 2], "output_padding": [1, 0], "group": 2, "dilations": [1, 2]}),
        Case("ConvTranspose", [IMAGE, Fixed(normal(4, 3, 3, 3))], {"strides": [2, 2], "output_shape": [15, 18]}),
        Case("ConvTranspose", [IMAGE, Fixed(normal(4, 3, 3, 3))], {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
        Case("ConvTranspose", [IMAGE, Fixed(normal(4, 3, 4, 4))], {"strides": [2, 2], "auto_pad": "SAME_LOWER"}),
        Case("ConvTranspose", [normal(1, 2, 5), Fixed(normal(2, 3, 4))], {"strides": [2], "pads": [1, 1]})]
POOL = [Case(op, [IMAGE], {"kernel_shape": [3, 2], "strides": [2, 2], **extra}, opset) for op, extra, opset in [
    ("MaxPool", {}, 8), ("MaxPool", {"pads": [1, 0, 1, 1]}, 12), ("MaxPool", {"ceil_mode": 1}, 10),
    ("MaxPool", {"ceil_mode": 1, "pads": [1, 1, 1, 1]}, 12), ("MaxPool", {"dilations": [2, 3]}, 12),
    ("MaxPool", {"auto_pad": "SAME_UPPER"}, 12), ("AveragePool", {}, 7), ("AveragePool", {"pads": [1, 1, 1, 0]}, 11),
    ("AveragePool", {"pads": [1, 1, 1, 0], "count_include_pad": 1}, 11), ("AveragePool", {"ceil_mode": 1}, 10),
    ("AveragePool", {"ceil_mode": 1, "pads": [1, 1, 1, 1], "count_include_pad": 1}, 19),
    ("AveragePool", {"auto_pad": "SAME_LOWER"}, 11), ("AveragePool", {"dilations": [2, 2]}, 19)]]
POOL += [Case("MaxPool", [normal(2, 3, 9)], {"kernel_shape": [4]}), Case("GlobalAveragePool", [IMAGE], opset=7),
         Case("GlobalMaxPool", [IMAGE], opset=7), Case("GlobalAveragePool", [normal(2, 3, 5)], opset=22)]
NORMAL = [Case("BatchNormalization", [IMAGE, *(Fixed(v) for v in (normal(4), normal(4), normal(4), positive(4)))], extra, opset)
          for extra, opset in [({}, 7), ({"epsilon": 0.01, "momentum": 0.5}, 9), ({"training_mode": 0}, 14), ({}, 15)]]
NORMAL += [Case("BatchNormalization", [IMAGE, normal(4), normal(4), normal(4), positive(4)], {}, 15),
           Case("BatchNormalization", [normal(3, 4), *(Fixed(v) for v in (normal(4), normal(4), normal(4), positive(4)))], {}, 9),
           Case("InstanceNormalization", [IMAGE, Fixed(normal(4)), Fixed(normal(4))], {"epsilon": 0.1}, 7),
           Case("LayerNormalization", [X, Fixed(normal(5)), Fixed(normal(5))], {}, 17),
           Case("LayerNormalization", [X, Fixed(normal(4, 5))], {"axis": 2, "epsilon": 0.1}, 17),
           Case("LayerNormalization", [X, normal(5), normal(5)], {"axis": -1}, 17),
           *[Case(op, [X], {"axis": axis}, opset) for op in ("Softmax", "LogSoftmax") for axis in (0, 1, 2, 3, -1) for opset in (7, 11, 13)
             if axis >= 0 or opset > 10],
           Case("Softmax", [X], {}, 9), Case("Softmax", [X], {}, 13)]
LINEAR = [Case("MatMul", [normal(3, 4), normal(4, 5)], opset=7), Case("MatMul", [normal(2, 3, 4), Fixed(normal(4, 5))], opset=9),
          Case("MatMul", [normal(2, 1, 3, 4), normal(5, 4, 6)]), Case("MatMul", [normal(4), normal(4)]),
          Case("MatMul", [normal(4), normal(2, 4, 5)]), Case("MatMul", [normal(2, 3, 4), normal(4)]),
          Case("Gemm", [normal(3, 4), Fixed(normal(4, 5)), Fixed(normal(5))], opset=7),
          Case("Gemm", [normal(4, 3), Fixed(normal(5, 4)), Fixed(normal(1, 5))], {"transA": 1, "transB": 1, "alpha": 0.5, "beta": 2.0}, 9),
          Case("Gemm", [normal(3, 4), normal(4, 5), normal(3, 1)], {"alpha": 2.0}, 11),
          Case("Gemm", [normal(3, 4), Fixed(normal(5, 4))], {"transB": 1}, 11),
          Case("Gemm", [normal(3, 4), Fixed(normal(4, 5)), Fixed(normal(3, 5))], {"beta": 0.0}, 13)]
REDUCE = [Case(op, [X], attributes, opset) for op in ("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceL1",
                                                      "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp")
          for attributes, opset in [({"axes": [1, -1], "keepdims": 0}, 11), ({}, 12 if op != "ReduceSum" else 11)]]
REDUCE += [Case(op, [X, longs(0, 2)], {"keepdims": 0}, 18) for op in ("ReduceMax", "ReduceMean", "ReduceL2", "ReduceLogSumExp")]
REDUCE += [Case("ReduceSum", [X, longs(2)], {}, 13), Case("ReduceSum", [X], {"noop_with_empty_axes": 1}, 13),
           Case("ReduceMax", [whole(-9, 9, 3, 4, dtype=np.int32)], {"axes": [1]}, 12), Case("ReduceMean", [X], {}, 18),
           Case("ReduceSum", [whole(-9, 9, 3, 4, dtype=np.int32), longs(0)], {}, 13)]
SHAPES = [Case("Reshape", [X, longs(0, -1, 10)], opset=7), Case("Reshape", [X, longs(6, 20)], opset=14),
          Case("Reshape", [X, longs(-1, 1)], {"allowzero": 1}, 14), Case("Flatten", [X], {}, 7),
          Case("Flatten", [X], {"axis": 0}, 9), Case("Flatten", [X], {"axis": -1}, 13), Case("Flatten", [X], {"axis": 4}, 13),
          Case("Squeeze", [normal(1, 3, 1, 2)], {"axes": [0]}, 7), Case("Squeeze", [normal(1, 3, 1, 2)], {}, 11),
          Case("Squeeze", [normal(1, 3, 1, 2), longs(-2)], {}, 13), Case("Unsqueeze", [normal(3, 2)], {"axes": [0, 3]}, 7),
          Case("Unsqueeze", [normal(3, 2), longs(-1, 0)], {}, 13), Case("Transpose", [X], {}, 7),
          Case("Transpose", [X], {"perm": [0, 2, 3, 1]}, 13), Case("Shape", [X], {}, 7), Case("Shape", [X], {"start": 1, "end": -1}, 15),
          Case("Size", [X], {}, 7), Case("Concat", [normal(2, 3), normal(2, 1), normal(2, 4)], {"axis": 1}, 7),
          Case("Concat", [normal(2, 3), normal(1, 3)], {"axis": -2}, 13), Case("Expand", [normal(3, 1), longs(2, 1, 4)], opset=8),
          Case("Expand", [normal(3, 1), longs(3, 1)], opset=13), Case("Tile", [normal(2, 3), longs(2, 3)], opset=7),
          Case("Tile", [normal(2, 3), longs(1, 4)], opset=13), Case("ConstantOfShape", [longs(2, 3)], {}, 9),
          Case("ConstantOfShape", [longs(2, 3)], {"value": tensor(np.array([2.5], np.float32))}, 9),
          Case("ConstantOfShape", [longs(200, 300)], {"value": tensor(np.array([7], np.int64))}, 9),
          Case("Range", [scalar(1, np.int64), scalar(10, np.int64), scalar(3, np.int64)], opset=11),
          Case("Range", [scalar(5.0), scalar(-1.0), scalar(-0.75)], opset=11),
          Case("Trilu", [normal(2, 4, 5)], {}, 14), Case("Trilu", [normal(4, 4), scalar(-1, np.int64)], {"upper": 0}, 14),
          Case("Trilu", [normal(4, 6), scalar(2, np.int64)], {}, 14),
          Case("Constant", [], {"value": tensor(normal(2, 2))}, 7), Case("Constant", [], {"value_floats": [1.5, 2.5]}, 12),
          Case("Constant", [], {"value_ints": [3, 4]}, 12), Case("Constant", [], {"value_float": 1.5}, 12),
          Case("Constant", [], {"value_int": 5}, 13), Case("Dropout", [X], {"ratio": 0.3}, 7), Case("Dropout", [X, scalar(0.5)], {}, 12)]
INDEX = [Case("Gather", [X, Fixed(np.array([2, 0], np.int64))], {"axis": 1}, 7), Case("Gather", [X, scalar(-1, np.int64)], {"axis": 2}, 11),
         Case("Gather", [X, Fixed(np.array([[0, 2]], np.int32))], {"axis": -1}, 13), Case("Gather", [X, whole(-3, 3, 2, 2)], {"axis": 1}, 13),
         Case("Gather", [Fixed(normal(300, 100)), whole(0, 300, 2, 5)], {}, 13),
         Case("Slice", [X], {"starts": [1, -2], "ends": [3, 2**62], "axes": [1, 3]}, 9), Case("Slice", [X], {"starts": [0], "ends": [1]}, 9),
         Case("Slice", [X, longs(1), longs(-1), longs(-1)], opset=10),
         Case("Slice", [X, longs(-1, 0), longs(-(2**63) + 1, 9), longs(3, 2), longs(-2, 3)], opset=13),
         Case("Slice", [X, longs(3), longs(1), longs(1)], opset=13),
         Case("Split", [X], {"axis": 3, "split": [2, 3]}, 11, 2), Case("Split", [X], {"axis": 2}, 11, 2),
         Case("Split", [X, longs(1, 2)], {"axis": 1}, 13, 2), Case("Split", [X], {"axis": -1, "num_outputs": 2}, 18, 2),
         *[Case("Pad", [normal(2, 3, 5)], {"mode": mode, "pads": [0, 1, 2, 0, 0, 1]}, 10) for mode in ("constant", "reflect", "edge")],
         Case("Pad", [normal(2, 3), longs(1, 0, 0, 2), scalar(1.5)], {}, 11), Case("Pad", [normal(2, 5), longs(1, 2), None, longs(-1)], {}, 18),
         Case("Pad", [normal(4, 5), longs(-1, 1, 0, -2)], {}, 13), Case("Pad", [whole(0, 9, 4, dtype=np.int32), longs(1, 1), scalar(3, np.int32)], {}, 13)]
GRID = np.stack(np.meshgrid([2, 0], [1, 3, -1], indexing="ij"), -1)
INDEX += [Case("ScatterND", [X, Fixed(np.array([[[1]], [[-2]]])), normal(2, 1, 3, 4, 5)], {}, 11),
          Case("ScatterND", [normal(3, 4, 5), Fixed(GRID), normal(2, 3, 5)], {}, 13),
          Case("ScatterND", [normal(3, 4), Fixed(np.array([[0, 1], [2, 3], [0, 1]])), floats(5, 6, 7)], {}, 16),
          Case("ScatterND", [Fixed(normal(3, 4)), Fixed(np.zeros((0, 2), np.int64)), Fixed(np.zeros(0, np.float32))], {}, 18),
          Case("ScatterElements", [X, Fixed(whole(-3, 3, 2, 2, 4, 5) % 3), normal(2, 2, 4, 5)], {"axis": 1}, 11),
          Case("ScatterElements", [normal(5), longs(3, -1, 3), floats(1, 2, 9)], {}, 18)]
SHAPES += [Case("CumSum", [normal(3, 4), scalar(1, np.int64)], opset=11), Case("CumSum", [X, scalar(-3, np.int32)], opset=14),
           Case("CumSum", [whole(-9, 9, 3, 5, dtype=np.int32), scalar(0, np.int64)], {"reverse": 1}, 14),
           Case("CumSum", [normal(6), longs(0)], {"exclusive": 1}, 14),
           Case("CumSum", [normal(2, 6), scalar(1, np.int64)], {"exclusive": 1, "reverse": 1}, 14)]
SMALL = normal(1, 2, 4, 5)
RESIZE = [Case("Resize", [SMALL, floats(), floats(1, 1, *scales)], {"mode": mode, "coordinate_transformation_mode": coordinates, **extra}, opset)
          for scales in ((2, 2), (0.6, 1.7), (3, 0.5))
          for mode, extras in (("nearest", [{"nearest_mode": r} for r in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")]),
                               ("linear", [{}])) for extra in extras
          for coordinates in ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners") for opset in (11, 19)
          if scales == (0.6, 1.7) or (opset == 19 and extra.get("nearest_mode", "ceil") == "ceil")]
RESIZE += [Case("Resize", [SMALL, None, None, longs(1, 2, 7, 3)], {"mode": mode}, 13) for mode in ("nearest", "linear")]
RESIZE += [Case("Resize", [SMALL, None, None, longs(9, 10)], {"mode": "linear", "axes": [2, 3]}, 18),
           Case("Resize", [SMALL, None, floats(2.0, 1.5)], {"axes": [3, 2]}, 18), Case("Resize", [SMALL, floats(1, 1, 2, 3)], {}, 10),
           Case("Resize", [SMALL, floats(1, 1, 0.5, 0.6)], {}, 10), Case("Resize", [SMALL, floats(1, 1, 2, 3)], {"mode": "linear"}, 10),
           Case("Upsample", [SMALL], {"scales": [1.0, 1.0, 2.0, 2.0]}, 7), Case("Upsample", [SMALL, floats(1, 1, 2, 3)], {"mode": "linear"}, 9)]
BYTES, SIGNED = {"dtype": np.uint8}, {"dtype": np.int8}
IMAGE8, FILTER8 = whole(0, 256, 2, 3, 6, 5, **BYTES), whole(-128, 128, 4, 3, 3, 2, **SIGNED)
FILTERU8 = whole(0, 256, 4, 3, 3, 2, **BYTES)
ROWS8, COLUMNS8, COLUMNSU8 = whole(0, 256, 2, 5, 7, **BYTES), whole(-128, 128, 7, 4, **SIGNED), whole(0, 256, 7, 4, **BYTES)
QUANTIZED = [
    *[Case("DynamicQuantizeLinear", [x], {}, 11, 3)
      for x in (normal(3, 4), normal(2, 3, 5, 4), positive(2, 9), -positive(7), np.zeros((2, 3), np.float32), np.array(-2.5, np.float32))],
    *[Case("QuantizeLinear", [4 * normal(2, 3, 5), scalar(0.05), zero], {}, 10)
      for zero in (scalar(7, np.uint8), scalar(-3, np.int8), None)],
    Case("QuantizeLinear", [np.array([-1.5, -0.5, 0.5, 1.5, 2.5, 200, -200, 40000], np.float32), scalar(1.0), scalar(1, np.int8)], {}, 13),
    Case("QuantizeLinear", [4 * normal(2, 3, 5), floats(0.05, 0.5, 0.1), Fixed(np.array([0, 9, 200], np.uint8))], {"axis": 1}, 13),
    Case("QuantizeLinear", [4 * normal(2, 5), floats(*np.linspace(0.1, 1, 5)), Fixed(np.arange(-2, 3).astype(np.int8))], {"axis": -1}, 13),
    Case("QuantizeLinear", [4 * normal(2, 3), np.array(0.03, np.float32), np.array(130, np.uint8)], {}, 13),
    Case("QuantizeLinear", [40 * normal(2, 3), scalar(0.01), scalar(1000, np.int16)], {}, 21),
    Case("DequantizeLinear", [whole(0, 256, 2, 3, 4, **BYTES), scalar(0.1), scalar(128, np.uint8)], {}, 10),
    Case("DequantizeLinear", [whole(-128, 128, 2, 3, **SIGNED), scalar(0.1)], {}, 13),
    Case("DequantizeLinear", [Fixed(whole(-128, 128, 2, 3, **SIGNED)), floats(0.5, 0.25), Fixed(np.array([3, -4], np.int8))], {"axis": 0}, 13),
    Case("DequantizeLinear", [whole(-9999, 9999, 4, dtype=np.int32), scalar(0.01)], {}, 13),
    Case("DequantizeLinear", [whole(0, 256, 2, 3, **BYTES), np.array(0.1, np.float32), np.array(7, np.uint8)], {}, 13),
    Case("ConvInteger", [IMAGE8, Fixed(FILTER8)], {}, 10),
    Case("ConvInteger", [IMAGE8, Fixed(FILTERU8), scalar(130, np.uint8), scalar(99, np.uint8)], {"pads": [1, 0, 2, 1]}, 10),
    Case("ConvInteger", [IMAGE8, Fixed(FILTER8), np.array(17, np.uint8)], {"strides": [2, 1], "dilations": [1, 2], "pads": [1, 1, 1, 1]}, 10),
    Case("ConvInteger", [IMAGE8, Fixed(whole(0, 256, 6, 1, 3, 3, **BYTES)), scalar(3, np.uint8), scalar(4, np.uint8)],
         {"group": 3, "auto_pad": "SAME_UPPER"}, 10),
    Case("MatMulInteger", [ROWS8, Fixed(COLUMNS8)], {}, 10),
    Case("MatMulInteger", [ROWS8, Fixed(COLUMNSU8), scalar(100, np.uint8), scalar(3, np.uint8)], {}, 10),
    Case("MatMulInteger", [ROWS8, COLUMNSU8, np.array(255, np.uint8), Fixed(np.arange(4).astype(np.uint8))], {}, 10),
    Case("QLinearConv", [IMAGE8, scalar(0.02), scalar(128, np.uint8), Fixed(FILTER8), scalar(0.01), scalar(0, np.int8), scalar(0.5),
                         scalar(100, np.uint8)], {"pads": [1, 1, 1, 1]}, 10),
    Case("QLinearConv", [IMAGE8, scalar(0.02), scalar(3, np.uint8), Fixed(FILTER8), floats(0.01, 0.02, 0.03, 0.04),
                         Fixed(np.zeros(4, np.int8)), scalar(0.7), scalar(9, np.uint8), Fixed(np.arange(-900, 900, 450).astype(np.int32))], {}, 10),
    Case("QLinearMatMul", [ROWS8, scalar(0.02), scalar(128, np.uint8), Fixed(COLUMNSU8), scalar(0.03), scalar(120, np.uint8), scalar(0.3),
                           scalar(99, np.uint8)], {}, 10)]


def body(nodes, inputs=(), outputs=(), constants=()):
    """A graph inside a node; names with their element type and shape."""
    def info(name, kind=TensorProto.FLOAT, shape=None):
        return helper.make_tensor_value_info(name, kind, shape)
    return helper.make_graph([helper.make_node(op, list(given), list(made), **more) for op, given, made, more in nodes], "inside",
                             [info(*i) for i in inputs], [info(*o) for o in outputs],
                             [numpy_helper.from_array(value, name) for name, value in constants])


def branches(then, otherwise, outputs=("b",)):
    return {"then_branch": body(then, outputs=[(o,) for o in outputs]), "else_branch": body(otherwise, outputs=[(o,) for o in outputs])}


DOUBLE, NEGATE = ("Add", ["x1", "x1"], ["b"], {}), ("Neg", ["x1"], ["b"], {})
INSIDE = ("If", ["x2"], ["b"], branches([("Relu", ["x1"], ["d"], {}), ("Exp", ["d"], ["b2"], {})], [("Tanh", ["x1"], ["b2"], {})], ("b2",)))
COUNT = [("i", TensorProto.INT64, []), ("go", TensorProto.BOOL, [])]
# A state that doubles and every value that it had; three states of different shapes; one that ends by its own condition.
GROW = body([("Add", ["s", "s"], ["s2"], {}), ("Identity", ["go"], ["go2"], {}), ("Relu", ["s"], ["y"], {})], [*COUNT, ("s",)],
            [("go2", TensorProto.BOOL), ("s2",), ("y",)])
FIVE = body([("Mul", ["s", "x2"], ["s2"], {}), ("Less", ["i", "four"], ["go2"], {})], [*COUNT, ("s",)],
            [("go2", TensorProto.BOOL), ("s2",)], [("four", np.array(4))])
SUMS = body([("Add", ["s", "x"], ["s2"], {}), ("Identity", ["s2"], ["y"], {})], [("s",), ("x",)], [("s2",), ("y",)])
CONTROL = [
    *[Case("If", [scalar(value, np.bool_), X], branches([DOUBLE], [NEGATE]), around=1) for value in (False, True)],
    *[Case("If", [np.array(value), X], branches([DOUBLE], [NEGATE]), around=1) for value in (False, True)],
    *[Case("If", [np.array(a), X, np.array(b)], branches([INSIDE], [NEGATE]), around=2) for a in (False, True) for b in (False, True)],
    Case("Loop", [scalar(3, np.int64), None, normal(4)], {"body": GROW}, outputs=2),
    Case("Loop", [scalar(9, np.int64), scalar(True, np.bool_), normal(4, 2)], {"body": GROW}, outputs=2, opset=11),
    Case("Loop", [None, scalar(True, np.bool_), normal(4), normal(4)], {"body": FIVE}, around=1),
    *[Case("Scan", [normal(4), normal(5, 4)], {"body": SUMS, "num_scan_inputs": 1, "scan_input_directions": [i],
                                               "scan_output_directions": [o]}, outputs=2) for i in (0, 1) for o in (0, 1)],
    Case("Scan", [normal(3, 2), normal(3, 7, 2)], {"body": SUMS, "num_scan_inputs": 1, "scan_input_axes": [1], "scan_output_axes": [-1]},
         outputs=2, opset=11)]


def recurrent(op, gates, states, steps=3, batch=2, width=5, hidden=4, directions=1, constant=True, bias=True, extra=(), opset=14, **attributes):
    draw = Fixed if constant else (lambda value: value)
    first = [normal(steps, batch, width), draw(normal(directions, gates * hidden, width)), draw(normal(directions, gates * hidden, hidden)),
             draw(normal(directions, 2 * gates * hidden)) if bias else None, None]
    if directions == 2:
        attributes["direction"] = "bidirectional"
    return Case(op, [*first, *[normal(directions, batch, hidden) for _ in range(states)], *extra], {"hidden_size": hidden, **attributes}, opset,
                1 + (op == "LSTM") + 1)


LENGTHS = np.array([2, 3], np.int32)


def with_lengths(case, lengths):
    case.operands[4] = lengths
    return case


RECURRENT = [
    *[recurrent(op, gates, states, **more) for op, gates, states in [("LSTM", 4, 2), ("GRU", 3, 1), ("RNN", 1, 1)]
      for more in [{}, {"direction": "reverse"}, {"directions": 2, "steps": 4}, {"steps": 1, "batch": 1}, {"bias": False, "opset": 7},
                   {"clip": 0.5}, {"constant": False}]],
    *[with_lengths(recurrent(op, gates, states, **more), LENGTHS) for op, gates, states in [("LSTM", 4, 2), ("GRU", 3, 1), ("RNN", 1, 1)]
      for more in [{}, {"directions": 2}]],
    recurrent("LSTM", 4, 2, extra=[Fixed(normal(1, 12))]), recurrent("LSTM", 4, 0), recurrent("GRU", 3, 1, linear_before_reset=1),
    recurrent("GRU", 3, 0, linear_before_reset=1, bias=False), recurrent("RNN", 1, 1, activations=["Relu"]),
    recurrent("LSTM", 4, 2, activations=["HardSigmoid", "Softsign", "Affine"], activation_alpha=[0.3, 0.9], activation_beta=[0.4, 0.1]),
    recurrent("GRU", 3, 1, directions=2, activations=["Sigmoid", "LeakyRelu", "Sigmoid", "Elu"], activation_alpha=[0.2, 0.7]),
    recurrent("LSTM", 4, 2, extra=[Fixed(normal(1, 12))], input_forget=1)]
CASES = [*CONTROL, *RECURRENT, *QUANTIZED, *UNARY, *BINARY, *COMPARE, *VARIADIC, *CLIP, *CAST, *CONV, *POOL, *NORMAL, *LINEAR, *REDUCE, *SHAPES, *INDEX, *RESIZE]


@pytest.mark.parametrize("case", CASES, ids=Case.name)
def test_operator_agrees_with_onnxruntime(tmp_path, case):
    model, feeds = model_of(case)
    file = tmp_path / "model.onnx"
    onnx.save(model, file)
    reference, other = run_onnxruntime(file, feeds), run_onnxruntime(file, feeds, optimize=True)
    half = any(np.asarray(v).dtype == np.float16 for v in [*feeds.values(), *reference])
    for simplify in (False, True):
        ours = interpret(file, feeds, simplify)
        assert_close(ours, reference, other, 5e-3 if half else 2e-6)


# What a chip makes of it: rows fetched by run-time indices, integers and masks, scalars, convolution of frames.
BIG = whole(-(2**31), 2**31, 40)
NEAR = np.array([[0, 1, -2, 3, 7], [2**24 - 2, 2**24 - 1, 2**24, 2**24 + 1, 2**31 - 1]])
RUN = [Case("IsNaN", [np.array([1, np.nan, np.inf, -np.nan], np.float32)]),
       Case("Gather", [Fixed(normal(50, 6)), whole(-50, 50, 7)], {}), Case("Gather", [Fixed(normal(300, 16)), whole(-300, 300, 2, 150)], {}),
       Case("Gather", [Fixed(normal(9)), whole(-9, 9, 3, 4)], {}), Case("Gather", [Fixed(normal(9, 4)), whole(0, 9)], {}),
       Case("Gather", [Fixed(normal(9)), whole(0, 9)], {}), Case("Gather", [X, whole(-4, 4, 2, 3)], {"axis": 2}),
       Case("Gather", [X, whole(-5, 5, 6, dtype=np.int32)], {"axis": -1}), Case("Gather", [X, whole(-3, 3, 2, 2, 2)], {"axis": 1}),
       Case("Gather", [normal(40, 6), whole(0, 40, 1)], {}), Case("Gather", [Fixed(normal(2, 3, 5)), whole(0, 2, 200)], {}),
       Case("Gather", [Fixed(whole(-99, 99, 20, 3)), whole(0, 20, 5)], {}),
       Case("Gather", [X, Fixed(np.array([2, 2, 0], np.int64))], {"axis": 1}), Case("ScatterND", [normal(3, 4, 5), Fixed(GRID), normal(2, 3, 5)], {}),
       *[Case(op, [NEAR, other], opset=13) for other in (scalar(2**24 - 1, np.int64), longs(*range(5)))
         for op in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")],
       Case("Cast", [BIG], {"to": TensorProto.FLOAT}), Case("Cast", [np.array([0, 3, -(2**31), 2**24 + 1])], {"to": TensorProto.BOOL}),
       Case("Cast", [X * 1000], {"to": TensorProto.INT64}), Case("Cast", [np.array([-2.5, -0.5, 0.5, 1.5, 2.5, 3e6], np.float32)], {"to": TensorProto.INT32}),
       Case("Cast", [flags(5, 6)], {"to": TensorProto.FLOAT}), Case("Cast", [flags(5, 6)], {"to": TensorProto.INT64}),
       Case("Cast", [np.array([0.0, -0.0, 0.1, np.nan], np.float32)], {"to": TensorProto.BOOL}),
       Case("Not", [flags(5, 6)]), *[Case(op, [flags(5, 6), flags(6)]) for op in ("And", "Or", "Xor")],
       Case("Where", [flags(5, 6), normal(5, 6), scalar(-np.inf)], opset=16), Case("Where", [flags(6), scalar(1.5), normal(5, 6)], opset=16),
       Case("Where", [flags(5, 1), normal(5, 6), normal(1, 6)], opset=16), Case("CumSum", [normal(3, 20), scalar(1, np.int64)], opset=14),
       Case("ReduceMax", [X], {"keepdims": 0}), Case("ReduceSum", [X], {"keepdims": 0}), Case("ReduceMean", [normal(7)], {"keepdims": 0}),
       Case("Add", [normal(), normal(3, 4)]), Case("Mul", [normal(), normal()]), Case("Unsqueeze", [normal(), longs(0)]),
       Case("Conv", [normal(2, 1, 900), Fixed(normal(140, 1, 200)), Fixed(normal(140))], {"strides": [70]}),
       Case("Conv", [normal(1, 1, 1, 700), Fixed(normal(6, 1, 1, 150))], {"strides": [1, 3], "dilations": [1, 2]}),
       *[Case("Pad", [normal(2, 3, 9), longs(0, 0, 4, 0, 0, 3)], {"mode": mode}) for mode in ("reflect", "edge")],
       Case("Pad", [normal(1, 2, 4, 5), longs(0, 0, 3, 2, 0, 0, 1, 4)], {"mode": "reflect"}), *CONTROL[2:],
       *[recurrent(op, gates, states, hidden=hidden, **more) for op, gates, states in [("LSTM", 4, 2), ("GRU", 3, 1), ("RNN", 1, 1)]
         for hidden, more in [(4, {}), (64, {"directions": 2}), (130, {"batch": 1, "steps": 2})]],
       with_lengths(recurrent("LSTM", 4, 2), LENGTHS), recurrent("GRU", 3, 1, linear_before_reset=1)]


def run_presil(presil, case, tmp_path, *options):
    model, feeds = model_of(case)
    onnx.save(model, tmp_path / "model.onnx")
    given = []
    for name, value in feeds.items():
        np.save(tmp_path / f"{name}.npy", value)
        given += ["--input", f"{name}={tmp_path / name}.npy"]
        given += ["--shape", f"{name}={'x'.join(map(str, value.shape))}"] if value.ndim else []
    done = subprocess.run([presil, "run", tmp_path / "model.onnx", *given, *options, "--output-dir", tmp_path / "out", "--json"],
                          capture_output=True, text=True, timeout=60)
    return feeds, done


@pytest.mark.parametrize("case", RUN, ids=Case.name)
def test_chip_agrees_with_onnxruntime(presil, tmp_path, case):
    feeds, done = run_presil(presil, case, tmp_path)
    assert done.returncode == 0, done.stderr + done.stdout
    result = json.loads(done.stdout)
    assert result["findings"] == []
    ours = [np.load(tmp_path / "out" / output["file"]) for output in result["outputs"]]
    file = tmp_path / "model.onnx"
    assert_close(ours, run_onnxruntime(file, feeds), run_onnxruntime(file, feeds, optimize=True))


def test_index_outside_a_table_is_a_fault(presil, tmp_path):
    case = Case("Gather", [Fixed(normal(50, 6)), np.array([[3, 4], [49, 50]])], {})
    _, done = run_presil(presil, case, tmp_path)
    assert done.returncode == 1
    outcome = json.loads(done.stdout)["outcome"]
    assert outcome["kind"] == "fault" and outcome["engine"] == "core2: gpsimd" and "the_Gather" in outcome["source"]
    assert outcome["detail"] == "dma_copy: index 1 is 50, the table has 50 rows"
    # Time does not depend on indices.
    _, timed = run_presil(presil, case, tmp_path, "--no-data")
    case.operands[1] = np.array([[3, 4], [-49, -50]])
    _, fine = run_presil(presil, case, tmp_path)
    assert (timed.returncode, fine.returncode) == (0, 0)
    assert json.loads(timed.stdout)["trace_hash"] == json.loads(fine.stdout)["trace_hash"]


REFUSED = [(Case("Add", [whole(0, 9, 4), longs(1)]),
            "int32 arithmetic while the model runs on values in [-2147483648, 2147483647] and [1, 1] gives values in "
            "[-2147483647, 2147483648]; the engines compute in fp32, exact up to 16777216"),
           (Case("Equal", [whole(0, 9, 4), whole(0, 9, 4)]),
            "int32 arithmetic while the model runs on values in [-2147483648, 2147483647] and [-2147483648, 2147483647] gives "
            "values in [0, 1]; the engines compute in fp32, exact up to 16777216"),
           (Case("Div", [whole(0, 9, 4), longs(2)]), "'div' of int32 while the model runs"),
           (Case("Cast", [whole(0, 9, 4)], {"to": TensorProto.UINT8}), "cast from int32 to uint8 while the model runs")]


@pytest.mark.parametrize("case,message", REFUSED, ids=[case.name() for case, _ in REFUSED])
def test_integers_that_would_round_are_refused(presil, tmp_path, case, message):
    _, done = run_presil(presil, case, tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip() == f"presil: error: {tmp_path / 'model.onnx'}: the_{case.op}: {message}"


def test_every_operator_has_a_case():
    supported = {line.split()[0] for line in run_tool("--operators").splitlines()}
    assert {case.op for case in CASES} == supported
