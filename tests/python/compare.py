"""How far outputs may be from onnxruntime's (docs/model.md, tolerance)."""
import numpy as np
import onnx

from graph_tool import run_onnxruntime

# Relative root mean square error by precision; fp32 is bounded by onnxruntime's own spread as well.
TOLERANCE = {"fp32": 1e-4, "fp16": 5e-3, "bf16": 3e-2, "int8": 2e-2}


def rms(values):
    return float(np.sqrt(np.mean(np.square(values.astype(np.float64)))))


def rounded_operands(path, tmp_path):
    """The model with both operands x of every convolution and matmul rounded to bf16's 8 bits: t - (t - x), where
    t = (2^16 + 1) x (Veltkamp's splitting), which old opsets can say."""
    model = onnx.load(path)
    model.graph.initializer.append(onnx.helper.make_tensor("split", onnx.TensorProto.FLOAT, [], [65537.0]))
    make, nodes = onnx.helper.make_node, []
    for node in model.graph.node:
        if node.op_type in ("Conv", "ConvTranspose", "MatMul", "Gemm"):
            for i in range(2):
                x, t = node.input[i], f"{node.output[0]}.operand{i}"
                nodes += [make("Mul", [x, "split"], [t]), make("Sub", [t, x], [t + ".low"]),
                          make("Sub", [t, t + ".low"], [t + ".high"])]
                node.input[i] = t + ".high"
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, tmp_path / "rounded.onnx")
    return tmp_path / "rounded.onnx"


def nudged(inputs):
    """Every float one unit in the last place up or down, by a fixed draw."""
    rng = np.random.default_rng(1)
    return {name: np.nextafter(x, np.where(rng.random(x.shape) < 0.5, np.inf, -np.inf).astype(x.dtype))
            if x.dtype.kind == "f" else x for name, x in inputs.items()}


def assert_agrees(path, inputs, outputs, precision, tmp_path):
    """outputs: arrays in the model's order. Returns onnxruntime's, optimized."""
    plain, optimized = run_onnxruntime(path, inputs), run_onnxruntime(path, inputs, True)
    assert len(outputs) == len(optimized)
    rounded = moved = None
    for k, (ours, reference) in enumerate(zip(outputs, optimized)):
        assert ours.shape == reference.shape
        error, spread = rms(ours - reference), rms(plain[k] - reference)
        bound = max(TOLERANCE[precision] * rms(reference), 4 * spread)
        if precision == "bf16" and error > bound:
            # Some inputs make a network amplify what rounding the operands does by itself, whoever multiplies them; 3
            # because one draw of a random error is held against another.
            rounded = rounded or run_onnxruntime(rounded_operands(path, tmp_path), inputs, True)
            bound = max(bound, 3 * rms(rounded[k] - reference))
        if precision == "int8" and error > bound:
            # Quantized anew at every layer, a network may carry the last bit of its input to the next integer and on: no
            # two orders of the same arithmetic agree better than onnxruntime with itself on such an input.
            moved = moved or run_onnxruntime(path, nudged(inputs), True)
            bound = max(bound, 3 * rms(moved[k] - reference))
        assert error <= bound, f"output {k}: error {error:.3g} rms {rms(reference):.3g} bound {bound:.3g}"
    return optimized
