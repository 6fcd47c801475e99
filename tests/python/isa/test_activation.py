"""Functions of the scalar engine, and the exponential of the vector engine, against float64."""
import math
import re

import numpy as np
import pytest

import arithmetic as op
from machine import F32, GENERATIONS, SHAPES, Case, between, check, chips, from_f32, signless, sweep, to_f32, values_of

ROWS = {"activation", "activation_reduce", "activate2", "exponential"}
erf, erfc = np.vectorize(math.erf), np.vectorize(math.erfc)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def slope(x):
    return 1 / (2 + np.exp(x) + np.exp(-x))


C = float(F32(1.702))
# function, least and largest argument, error: relative, or absolute where the function crosses zero
FUNCTIONS = {
    "copy": (lambda x: x, -50, 50, 0, 0), "square": (lambda x: x * x, -50, 50, 6e-8, 0),
    "abs": (np.abs, -50, 50, 0, 0), "sign": (np.sign, -50, 50, 0, 0), "relu": (lambda x: np.maximum(x, 0), -50, 50, 0, 0),
    "leaky_relu": (lambda x: np.where(x > 0, x, 0.125 * x), -50, 50, 0, 0), "exp": (np.exp, -80, 80, 2e-7, 0),
    "log": (np.log, 2.0**-64, 2.0**64, 2e-7, 0), "sqrt": (np.sqrt, 2.0**-116, 2.0**118, 1e-7, 0),
    "rsqrt": (lambda x: 1 / np.sqrt(x), 2.0**-87, 2.0**97, 2e-7, 0),
    "reciprocal": (lambda x: 1 / x, 2.0**-42, 2.0**42, 1e-7, 0), "sigmoid": (sigmoid, -80, 40, 4e-7, 0),
    "tanh": (np.tanh, -20, 20, 4e-7, 0), "erf": (erf, -8, 8, 4e-7, 0),
    "gelu": (lambda x: 0.5 * x * erfc(-x * math.sqrt(0.5)), -12, 30, 4e-7, 0),
    "gelu_apprx_tanh": (lambda x: x * sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)), -9, 30, 4e-7, 0),
    "silu": (lambda x: x * sigmoid(x), -80, 80, 4e-7, 0),
    "softplus": (lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), -80, 80, 4e-7, 0),
    "mish": (lambda x: x * np.tanh(np.log1p(np.exp(x))), -15, 30, 4e-7, 0), "sin": (np.sin, -math.pi, math.pi, 0, 2e-7),
    "arctan": (np.arctan, -math.pi / 2, math.pi / 2, 4e-7, 0),
    "gelu_apprx_sigmoid": (lambda x: x * sigmoid(C * x), -40, 40, 4e-7, 0),
    "gelu_dx": (lambda x: 0.5 * erfc(-x * math.sqrt(0.5)) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi), -20, 20, 0, 2e-7),
    "gelu_apprx_sigmoid_dx": (lambda x: sigmoid(C * x) + C * x * slope(C * x), -40, 40, 0, 2e-7),
    "silu_dx": (lambda x: sigmoid(x) + x * slope(x), -80, 80, 0, 2e-7),
    "erf_dx": (lambda x: 2 / math.sqrt(math.pi) * np.exp(-x * x), -9, 9, 4e-7, 0),
}


def arguments(c, function, shape):
    """Half spread over the values, half over the exponents."""
    _, low, high, _, _ = FUNCTIONS[function]
    even = c.random.uniform(low, high, shape)
    least = math.log2(low) if low > 0 else -30
    magnitude = np.exp2(c.random.uniform(least, math.log2(high), shape))
    sign = 1 if low >= 0 else c.random.choice([-1, 1], shape)
    wide = np.where(c.random.random(shape) < 0.5, even, np.clip(magnitude * sign, low, high))
    return np.clip(wide.astype(F32), np.nextafter(F32(low), F32(0)) if low < 0 else F32(low), F32(high))


def result(function, x, dtype):
    f, _, _, relative, absolute = FUNCTIONS[function]
    exact = f(x.astype(np.float64))
    error = relative * np.abs(exact) + (absolute if absolute else 0)
    if relative == absolute == 0:
        exact = from_f32(exact, dtype)
        return exact, exact
    return between(exact, error + 1e-44, dtype)


def test_every_function_has_a_case(root):
    """The names are listed where the instruction set is documented."""
    page = (root / "docs/reference/isa.md").read_text()
    names = re.search(r"^\| function \| (.*) \|$", page, re.MULTILINE)[1]
    own = {name for name in re.findall(r"`(\w+)`", names) if not name.startswith("custom")}
    assert own == set(FUNCTIONS)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_activation(function):
    cases = []
    for chip, (p, n), dtype, layout, memory, name in sweep(f"activation {function}", 2, SHAPES[::2], ("fp32", "bf16", "fp16"),
                                                          memories=("sbuf", "psum")):
        c = Case(chip, name)
        x = arguments(c, function, (p, n))
        data, dst = c.operand("fp32", p, n, layout, memory, values=x), c.operand(dtype, p, n, layout)
        c.run("scalar", "activation", f"op={function} alpha=0.125", dst=dst, data=data)
        cases.append(c.want(dst, *result(function, x, dtype)))
    check(cases)


def test_scale_bias_and_accumulators():
    """func(data * scale + bias); sums of whole numbers are exact, whatever the commands that make them."""
    cases = []
    for chip, (p, n), dtype, layout, memory, name in sweep("accumulate", 2, SHAPES[:8], ("fp32", "bf16", "int8"),
                                                          memories=("sbuf", "psum")):
        c = Case(chip, name)
        a = from_f32(c.random.integers(-9, 9, (p, n)).astype(F32), dtype)
        scale, bias = c.random.integers(1, 4, (p, 1)).astype(F32), c.random.integers(-3, 4, (p, 1)).astype(F32)
        data, dst = c.operand(dtype, p, n, layout, memory, values=a), c.operand("fp32", p, n, layout)
        s, b = c.operand("fp32", p, 1, values=scale), c.operand("bf16", p, 1, values=from_f32(bias, "bf16"))
        y = np.maximum(to_f32(a, dtype) * scale + bias, 0)
        held = y.sum(1, keepdims=True)
        for cmd, value in (("reset_reduce", held), ("reduce", 2 * held), ("idle", 2 * held), ("reset", 0 * held)):
            out = c.operand("fp32", p, 1)
            c.run("scalar", "activation", f"op=relu reduce_cmd={cmd}", dst=dst, data=data, scale=s, bias=b, reduce_res=out)
            c.want(out, value)
        out = c.operand("fp32", p, 1)
        c.run("scalar", "activation_reduce", "op=relu", dst=dst, data=data, scale=s, bias=b, reduce_res=out)
        cases.append(c.want(out, held).want(dst, y))
    check(cases)


PAIRS = [("multiply", "add"), ("multiply", "subtract"), ("multiply", "bypass"), ("add", "bypass"), ("subtract", "bypass"),
         ("bypass", "bypass")]


def test_activate2():
    cases = []
    reductions = {"add": np.sum, "max": np.max, "min": np.min, "abs_max": lambda y, **k: np.abs(y).max(**k),
                  "abs_min": lambda y, **k: np.abs(y).min(**k)}
    for k, (o0, o1) in enumerate(PAIRS):
        for chip, (p, n), dtype, layout, memory, name in sweep(f"activate2 {o0} {o1}", 4, SHAPES[:8], ("fp32", "bf16", "int8"),
                                                              memories=("sbuf", "psum")):
            for o, reduction in reductions.items():
                c = Case(chip, f"{name} {o}")
                a = from_f32(c.random.integers(-9, 9, (p, n)).astype(F32), dtype)
                s0, s1 = (c.random.integers(-3, 4, (p, 1)).astype(F32) for _ in range(2))
                alpha = c.random.choice([0.25, 0.5], (p, 1)).astype(F32)
                r0, r1 = int(o0 != "bypass" and n % 2), int(o1 != "bypass" and n % 3 == 1)
                data, dst, out = (c.operand(dtype, p, n, layout, memory, values=a), c.operand("fp32", p, n),
                                  c.operand("fp32", p, 1))
                c.run("scalar", "activate2",
                      f"op=leaky_relu op0={o0} reverse0={r0} op1={o1} reverse1={r1} reduce_op={o} reduce_cmd=reset_reduce",
                      dst=dst, data=data, operand0=c.operand("fp32", p, 1, values=s0),
                      operand1=c.operand("fp32", p, 1, values=s1), relu_param=c.operand("fp32", p, 1, values=alpha),
                      reduce_res=out)
                x = op.apply(o1, op.apply(o0, to_f32(a, dtype), s0, r0), s1, r1)
                y = np.where(x > 0, x, alpha * x)
                held = reduction(y, axis=1, keepdims=True)
                # Adding zeros of either sign: their sum's sign is not the point here.
                cases.append(c.want(dst, *signless(y)).want(out, *signless(held)))
    check(cases)


def test_activate2_applies_every_function():
    cases = []
    for function in FUNCTIONS:
        c = Case("trn3", f"activate2 {function}")
        x = arguments(c, function, (33, 60))
        data, dst = c.operand("fp32", 33, 60, values=x), c.operand("fp32", 33, 60)
        c.run("scalar", "activate2", f"op={function} alpha=0.125", dst=dst, data=data)
        cases.append(c.want(dst, *result(function, x, "fp32")))
    check(cases)


def test_exponential():
    cases = []
    for chip, (p, n), dtype, layout, memory, name in sweep("exponential", 4, SHAPES, ("fp32", "bf16", "fp8_e4m3", "int8"),
                                                          memories=("sbuf", "psum")):
        c = Case(chip, name)
        a = values_of(c.random, dtype, (p, n), specials=False, scale=3)
        x = to_f32(a, dtype)
        most = x.max(1, keepdims=True)
        src, dst = c.operand(dtype, p, n, layout, memory, values=a), c.operand("fp32", p, n, layout)
        m, first, second = c.operand("fp32", p, 1, values=most), c.operand("fp32", p, 1), c.operand("fp32", p, 1)
        third, start = c.operand("fp32", p, 1), c.operand("fp32", p, 1, values=np.full((p, 1), 5, F32))
        for cmd, out, initial in (("reset_reduce", first, None), ("reduce", second, None), ("load_reduce", third, start)):
            c.run("vector", "exponential", f"reduce_cmd={cmd}", dst=dst, src=src, max_value=m, initial=initial, reduce_res=out)
        exact = np.exp((x - most).astype(np.float64))
        total = exact.sum(1, keepdims=True)
        error = (n + 4) * 1.2e-7 * total
        c.want(dst, *between(exact, 2e-7 * exact + 1e-44, "fp32")).want(first, *between(total, error, "fp32"))
        cases.append(c.want(second, *between(2 * total, 2 * error, "fp32")).want(third, *between(total + 5, 2 * error, "fp32")))
    check(cases)


def test_generations():
    assert chips(4) == ["trn3"] and GENERATIONS["trn2"] == 3
