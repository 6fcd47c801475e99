"""Element types, operations and memories under the names of nki.language."""
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from presil import _core
from presil._error import Error


class DType:
    """An element type; equal to the numpy type that holds its values."""

    def __init__(self, name: str, presil: str, numpy: Any) -> None:
        self.name, self.presil, self.numpy = name, presil, np.dtype(numpy)
        self.itemsize = self.numpy.itemsize
        self.number = _core.dtype_number(presil) or 0

    @property
    def dtype(self) -> "np.dtype[Any]":
        """What NumPy takes it for, where it is given as a type."""
        return self.numpy  # type: ignore[no-any-return]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, DType):
            return self.name == other.name
        try:
            return self is as_dtype(other)
        except Error:
            return False

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return self.name


_ROWS = [
    ("float32", "fp32", np.float32), ("tfloat32", "tf32", np.float32), ("bfloat16", "bf16", ml_dtypes.bfloat16),
    ("float16", "fp16", np.float16), ("float8_e4m3", "fp8_e4m3", ml_dtypes.float8_e4m3),
    ("float8_e4m3fn", "fp8_e4m3fn", ml_dtypes.float8_e4m3fn), ("float8_e5m2", "fp8_e5m2", ml_dtypes.float8_e5m2),
    ("float8_e8m0fnu", "fp8_e8m0", ml_dtypes.float8_e8m0fnu), ("int8", "int8", np.int8), ("uint8", "uint8", np.uint8),
    ("int16", "int16", np.int16), ("uint16", "uint16", np.uint16), ("int32", "int32", np.int32),
    ("uint32", "uint32", np.uint32), ("bool_", "uint8", np.bool_), ("float8_e4m3fn_x4", "fp8_e4m3fn_x4", np.uint32),
    ("float8_e5m2_x4", "fp8_e5m2_x4", np.uint32), ("float4_e2m1fn_x4", "fp4_e2m1fn_x4", np.uint16),
]
DTYPES = {name: DType(name, presil, numpy) for name, presil, numpy in _ROWS}
_BY_NUMPY = {d.numpy: d for d in reversed(DTYPES.values()) if d.name != "tfloat32" and not d.name.endswith("_x4")}


def as_dtype(value: Any) -> DType:
    """A type of ours, of numpy, or its name."""
    if isinstance(value, DType):
        return value
    name = str(value).removeprefix("torch.").removeprefix("jax.numpy.")
    if name in DTYPES:
        return DTYPES[name]
    try:
        return _BY_NUMPY[np.dtype(value)]
    except (KeyError, TypeError):
        raise Error(f"{value!r} is no element type here", hint="one of " + ", ".join(DTYPES)) from None


class Op:
    """An operation's name, as an argument of instructions; called, it is computed on tiles (nki.language)."""

    call: Callable[..., Any] | None = None

    def __init__(self, name: str, alu: str | None = None, activation: str | None = None) -> None:
        self.name = name
        self.alu = None if alu is None else _core.alu_number(alu)
        self.activation = None if activation is None else _core.activation_number(activation)
        assert (self.alu is None) == (alu is None) and (self.activation is None) == (activation is None), name

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        if self.call is None:
            raise Error(f"nl.{self.name} is an operation's name only", code="unsupported")
        return self.call(*arguments, **options)

    def __repr__(self) -> str:
        return f"nl.{self.name}"


# name here: (ALU operation, activation function)
_OPS: dict[str, tuple[str | None, str | None]] = {
    "add": ("add", None), "subtract": ("subtract", None), "multiply": ("multiply", None), "maximum": ("max", None),
    "minimum": ("min", None), "power": ("power", None), "equal": ("eq", None), "not_equal": ("ne", None),
    "less": ("lt", None), "less_equal": ("le", None), "greater": ("gt", None), "greater_equal": ("ge", None),
    "bitwise_and": ("bit_and", None), "bitwise_or": ("bit_or", None), "bitwise_xor": ("bit_xor", None),
    "invert": ("bit_not", None), "left_shift": ("shift_left", None), "right_shift": ("shift_right", None),
    "logical_and": ("logical_and", None), "logical_or": ("logical_or", None), "logical_xor": ("logical_xor", None),
    "abs": ("abs", "abs"), "square": ("square", "square"), "relu": ("relu", "relu"), "rsqrt": ("rsqrt", "rsqrt"),
    "exp": (None, "exp"), "log": (None, "log"), "sqrt": (None, "sqrt"), "tanh": (None, "tanh"),
    "sigmoid": (None, "sigmoid"), "gelu": (None, "gelu"), "gelu_apprx_tanh": (None, "gelu_apprx_tanh"),
    "gelu_apprx_sigmoid": (None, "gelu_apprx_sigmoid"), "gelu_dx": (None, "gelu_dx"), "silu": (None, "silu"),
    "silu_dx": (None, "silu_dx"), "softplus": (None, "softplus"), "mish": (None, "mish"), "erf": (None, "erf"),
    "erf_dx": (None, "erf_dx"), "reciprocal": ("reciprocal", "reciprocal"), "sin": (None, "sin"), "sign": (None, "sign"),
    "arctan": (None, "arctan"), "abs_max": ("abs_max", None), "abs_min": ("abs_min", None), "divide": ("divide", None),
    "gelu_apprx_sigmoid_dx": (None, "gelu_apprx_sigmoid_dx"), "prelu": (None, "leaky_relu"), "copy": ("bypass", "copy"), "bypass": ("bypass", "copy"),
}
OPS = {name: Op(name, *both) for name, both in _OPS.items()}


class Buffer:
    """Where a tensor lies."""

    def __init__(self, name: str, memory: str) -> None:
        self.name, self.memory = name, memory
        self.number = _core.memory_number(memory)

    def __repr__(self) -> str:
        return f"nl.{self.name}"


SBUF, PSUM = Buffer("sbuf", "sbuf"), Buffer("psum", "psum")
SHARED_HBM, PRIVATE_HBM, HBM = Buffer("shared_hbm", "hbm"), Buffer("private_hbm", "hbm"), Buffer("hbm", "hbm")


def as_op(op: "Op | None", default: str) -> str:
    """An operation's name."""
    return default if op is None else getattr(op, "name", repr(op))
