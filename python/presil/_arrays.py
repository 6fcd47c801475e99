"""NumPy arrays and the core's dtypes."""
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from presil._error import Error

Array = NDArray[Any]

# A packed type (last, so that integers keep their names) travels as the unsigned integers that hold its numbers.
_NUMPY: dict[str, np.dtype[Any]] = {
    "fp32": np.dtype(np.float32),
    "tf32": np.dtype(np.float32),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "fp16": np.dtype(np.float16),
    "fp8_e4m3": np.dtype(ml_dtypes.float8_e4m3),
    "fp8_e5m2": np.dtype(ml_dtypes.float8_e5m2),
    "fp8_e4m3fn": np.dtype(ml_dtypes.float8_e4m3fn),
    "fp8_e3m4": np.dtype(ml_dtypes.float8_e3m4),
    "fp8_e8m0": np.dtype(ml_dtypes.float8_e8m0fnu),
    "int8": np.dtype(np.int8),
    "uint8": np.dtype(np.uint8),
    "int16": np.dtype(np.int16),
    "uint16": np.dtype(np.uint16),
    "int32": np.dtype(np.int32),
    "uint32": np.dtype(np.uint32),
    "int64": np.dtype(np.int64),
    "bool": np.dtype(np.bool_),
    "fp8_e4m3fn_x4": np.dtype(np.uint32),
    "fp8_e5m2_x4": np.dtype(np.uint32),
    "fp4_e2m1fn_x4": np.dtype(np.uint16),
}


def numpy_dtype(dtype: str) -> np.dtype[Any]:
    return _NUMPY[dtype]


def _plain(value: object, expected: np.dtype[Any]) -> Array:
    """Numbers and lists of numbers, which have no dtype of their own, become floats where floats are expected."""
    array = np.asarray(value)
    if array.dtype in (np.float64, np.int64) and expected.kind in "fV":
        return array.astype(expected)
    return array


def given(name: str, value: object, dtype: str) -> tuple[str, str, list[int], NDArray[np.uint8]]:
    """An input as presil._core takes it: name, dtype, shape, bytes. `dtype` is what the program expects."""
    where = f"input '{name}'"
    expected = numpy_dtype(dtype)
    try:
        array = np.asarray(value) if hasattr(value, "dtype") else _plain(value, expected)
    except (TypeError, ValueError) as error:
        raise Error(f"{type(value).__name__} is no array: {error}", where) from None
    if isinstance(value, np.ma.MaskedArray):
        raise Error("a masked array has no values where it is masked", where, "give value.filled(...)")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    found = dtype if array.dtype == expected else next((k for k, v in _NUMPY.items() if v == array.dtype), None)
    if found is None:
        raise Error(f"dtype {array.dtype}, expected {expected}", where, f"convert it with .astype('{expected}')")
    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return name, found, list(array.shape), data


def taken(dtype: str, shape: list[int], data: NDArray[np.uint8]) -> Array:
    """The bytes of an output as an array."""
    return data.view(numpy_dtype(dtype)).reshape(shape)
