"""Writes a small classifier of pictures with drawn weights, for trying things out: python small_model.py model.onnx"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper


def main(path):
    random = np.random.default_rng(0)
    weights, nodes = [], []

    def weight(name, *shape):
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 1
        values = (random.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32)
        weights.append(onnx.numpy_helper.from_array(values, name))
        return name

    def node(op, inputs, output, **attributes):
        nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    x = "picture"
    for number, (channels_in, channels) in enumerate([(3, 32), (32, 64), (64, 128)], 1):
        conv = node("Conv", [x, weight(f"w{number}", channels, channels_in, 3, 3), weight(f"b{number}", channels)],
                    f"conv{number}", pads=[1, 1, 1, 1])
        x = node("MaxPool", [node("Relu", [conv], f"relu{number}")], f"pool{number}", kernel_shape=[2, 2], strides=[2, 2])
    flat = node("Flatten", [node("GlobalAveragePool", [x], "average")], "flat")
    node("Gemm", [flat, weight("w", 10, 128), weight("b", 10)], "scores", transB=1)
    graph = helper.make_graph(
        nodes, "small", [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["batch", 3, 32, 32])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 10])], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    print(f"{path}: pictures of [batch, 3, 32, 32] to scores of [batch, 10]")


if __name__ == "__main__":
    main(*sys.argv[1:])
