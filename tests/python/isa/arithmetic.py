"""Operators in numpy, from the documentation: fp32 results of fp32 arguments."""
import numpy as np

F32 = np.float32


def quiet(f):
    def call(*a):
        with np.errstate(all="ignore"):
            return np.asarray(f(*a), F32)
    return call


def choose(better):
    return lambda a, b: np.where(np.isnan(a) | np.isnan(b), np.nan, np.where(better(a, b), a, b))


BINARY = {name: quiet(f) for name, f in {
    "add": lambda a, b: a + b, "subtract": lambda a, b: a - b, "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b, "max": choose(np.greater), "min": choose(np.less),
    "eq": np.equal, "ne": np.not_equal, "ge": np.greater_equal, "gt": np.greater, "le": np.less_equal, "lt": np.less,
    "logical_and": lambda a, b: (a != 0) & (b != 0), "logical_or": lambda a, b: (a != 0) | (b != 0),
    "logical_xor": lambda a, b: (a != 0) ^ (b != 0),
    "abs_max": lambda a, b: choose(np.greater)(np.abs(a), np.abs(b)),
    "abs_min": lambda a, b: choose(np.less)(np.abs(a), np.abs(b)),
}.items()}
UNARY = {name: quiet(f) for name, f in {
    "bypass": lambda a, b: a, "abs": lambda a, b: np.abs(a), "square": lambda a, b: a * a,
    "relu": lambda a, b: np.where(np.isnan(a), a, np.where(a > 0, a, 0)),
    "rsqrt": lambda a, b: F32(1) / np.sqrt(a), "reciprocal": lambda a, b: F32(1) / a,
}.items()}
OPERATORS = BINARY | UNARY
NEWER = {"abs_max": 4, "abs_min": 4}  # generations that have them
BITS = {
    "bit_and": np.bitwise_and, "bit_or": np.bitwise_or, "bit_xor": np.bitwise_xor,
    "shift_left": lambda a, b: np.where(b < a.itemsize * 8, a << np.minimum(b, a.itemsize * 8 - 1), 0).astype(a.dtype),
    "shift_right": lambda a, b: np.where(b < a.itemsize * 8, a >> np.minimum(b, a.itemsize * 8 - 1), 0).astype(a.dtype),
}


def apply(op, a, b, reverse=False):
    a, b = np.broadcast_arrays(np.asarray(a, F32), np.asarray(b, F32))
    return OPERATORS[op](b, a) if reverse else OPERATORS[op](a, b)


def unsigned(values):
    return values.view(f"uint{values.itemsize * 8}")


def floats(name, value):
    return f"{name}={float(F32(value))!r}"


def scan(f, start, rows):
    """f(state, column) along the free axis: all states [partitions, elements]."""
    out, state = np.empty_like(rows, F32), np.asarray(start, F32)
    for i in range(rows.shape[1]):
        state = out[:, i] = f(state, i)
    return out
