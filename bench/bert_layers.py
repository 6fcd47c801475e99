"""Encoder layers of BERT as ONNX, with random weights. BERT-base is the default; BERT-large: 24 layers, hidden 1024."""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEAD = 64  # features of a head


class Encoder:
    def __init__(self, hidden):
        self.hidden, self.feed_forward = hidden, 4 * hidden
        self.random = np.random.default_rng(0)
        self.nodes, self.weights = [], []
        self.prefix = ""  # of names that belong to one layer

    def constant(self, name, values):
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def drawn(self, name, *shape):
        return self.constant(self.prefix + name, (self.random.standard_normal(shape) * 0.02).astype(np.float32))

    def node(self, op, name, *inputs, **attributes):
        name = self.prefix + name
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def dense(self, name, x, rows, columns):
        product = self.node("MatMul", name + "_product", x, self.drawn(name + "_weight", rows, columns))
        return self.node("Add", name, product, self.drawn(name + "_bias", columns))

    def heads(self, name, x, order):
        split = self.node("Reshape", name + "_split", self.dense(name + "_dense", x, self.hidden, self.hidden), "by_head")
        return self.node("Transpose", name, split, perm=order)

    def normalized(self, name, *inputs):
        total = self.node("Add", name + "_sum", *inputs)
        scale = self.constant(self.prefix + name + "_scale", np.ones(self.hidden, np.float32))
        return self.node("LayerNormalization", name, total, scale, self.drawn(name + "_shift", self.hidden), axis=-1, epsilon=1e-12)


def add_layer(b, x):
    query, value = (b.heads(name, x, [0, 2, 1, 3]) for name in ("query", "value"))
    scores = b.node("MatMul", "scores", query, b.heads("key", x, [0, 2, 3, 1]))
    weights = b.node("Softmax", "weights", b.node("Mul", "scaled", scores, "scale"), axis=-1)
    context = b.node("Transpose", "context", b.node("MatMul", "weighted", weights, value), perm=[0, 2, 1, 3])
    attention = b.dense("attention", b.node("Reshape", "joined", context, "merged"), b.hidden, b.hidden)
    middle = b.normalized("middle", attention, x)
    wide = b.node("Gelu", "gelu", b.dense("wide", middle, b.hidden, b.feed_forward))
    return b.normalized("y", b.dense("narrow", wide, b.feed_forward, b.hidden), middle)


def bert_layers(path, layers=1, batch=4, sequence=384, hidden=768):
    b = Encoder(hidden)
    b.constant("by_head", np.array([0, 0, hidden // HEAD, HEAD], np.int64))
    b.constant("merged", np.array([0, 0, hidden], np.int64))
    b.constant("scale", np.float32(HEAD ** -0.5))
    y = "x"
    for layer in range(layers):
        b.prefix = f"{layer}." if layer + 1 < layers else ""
        y = add_layer(b, y)
    shape = [batch, sequence, hidden]
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)] for name in ("x", y)]
    graph = helper.make_graph(b.nodes, "bert_layers", *ends, b.weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)
