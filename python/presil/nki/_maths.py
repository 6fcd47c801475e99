"""Functions of nki.language that no instruction has: from several instructions, in fp32."""
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from presil.nki import _composed, _trace, isa
from presil.nki import language as nl
from presil.nki._tensor import Tensor
from presil.nki._types import HBM, OPS, SBUF, Buffer, as_dtype

_F32 = "float32"
_WHOLE = 2.0**23  # from here on fp32 has whole numbers only


def cos(x: Tensor, dtype: Any = None) -> Tensor:
    """sin(x + pi / 2)."""
    quarter = nl.full((x.shape[0], 1), math.pi / 2, _F32)
    out = nl.ndarray(x.shape, dtype or x.dtype)
    isa.activation(out, OPS["sin"], x, bias=quarter)
    return out


def tan(x: Tensor, dtype: Any = None) -> Any:
    return OPS["divide"](OPS["sin"](x, dtype=_F32), cos(x, _F32), dtype=dtype or x.dtype)


def floor(x: Tensor, dtype: Any = None) -> Tensor:
    """The nearest whole number, less one where it lies above x."""
    nearest = nl.ndarray(x.shape, "int32")
    isa.tensor_copy(nearest, x)
    number = OPS["copy"](nearest, dtype=_F32)
    below = OPS["subtract"](number, OPS["greater"](number, x, dtype=_F32), dtype=_F32)
    has_fraction = OPS["less"](OPS["abs"](x, dtype=_F32), _WHOLE, dtype="uint8")
    return _composed.where(has_fraction, below, x, dtype or x.dtype)


def ceil(x: Tensor, dtype: Any = None) -> Any:
    return _composed.negative(floor(_composed.negative(x, _F32), _F32), dtype or x.dtype)


def trunc(x: Tensor, dtype: Any = None) -> Any:
    return OPS["multiply"](floor(OPS["abs"](x, dtype=_F32), _F32), OPS["sign"](x, dtype=_F32), dtype=dtype or x.dtype)


def _remainder(whole: Any, x: Any, y: Any, dtype: Any) -> Any:
    tile = x if isinstance(x, Tensor) else y
    quotient = whole(OPS["divide"](x, y, dtype=_F32), _F32)
    return OPS["subtract"](x, OPS["multiply"](quotient, y, dtype=_F32), dtype=dtype or tile.dtype)


def fmod(x: Any, y: Any, dtype: Any = None) -> Any:
    """x - trunc(x / y) y; the quotient is rounded, so it is exact where x / y is."""
    return _remainder(trunc, x, y, dtype)


def mod(x: Any, y: Any, dtype: Any = None) -> Any:
    """x - floor(x / y) y, as fmod."""
    return _remainder(floor, x, y, dtype)


def all(x: Tensor, axis: int | Sequence[int], dtype: Any = None) -> Any:  # noqa: A001
    """1 where no element along the axes is 0, else 0."""
    return nl.min(OPS["not_equal"](x, 0.0, dtype=_F32), axis, dtype or x.dtype)


def rand(shape: Sequence[int], dtype: Any, buffer: Buffer = SBUF, name: str = "") -> Tensor:
    """Uniform in [0, 1): 24 random bits each."""
    bits, values = nl.ndarray(shape, "uint32"), nl.ndarray(shape, _F32)
    isa.rng(bits)
    isa.tensor_scalar(bits, bits, OPS["right_shift"], 8)
    isa.tensor_scalar(values, bits, OPS["multiply"], 2.0**-24)
    out = nl.ndarray(shape, dtype, buffer, name)
    if buffer.memory == "hbm":
        nl.store(out, OPS["copy"](values, dtype=dtype))
    else:
        isa.tensor_copy(out, values)
    return out


def shared_constant(constant: Any) -> Tensor:
    """An array, or a file of numpy.save, in HBM."""
    trace = _trace.trace()
    value = np.load(constant) if isinstance(constant, str) else np.asarray(constant)
    tensor: Tensor = trace.given("constant", value)
    return tensor


def shared_identity_matrix(n: int, dtype: Any = "uint8", dst: Tensor | None = None) -> Tensor:
    """An identity matrix in SBUF."""
    out = nl.ndarray((n, n), dtype) if dst is None else dst
    isa.dma_copy(out, shared_constant(np.identity(n).astype(as_dtype(dtype).numpy)))
    return out


def device_print(print_prefix: str, tensor: Tensor) -> None:
    """After a run with data, the prefix and what the tensor held here are printed."""
    trace = _trace.trace()
    if trace.loops:
        raise _trace.refuse("device_print in a loop on the device", "print behind it, or write the loop out")
    out = nl.ndarray(tensor.shape, tensor.dtype, HBM, "printed")
    if tensor.on_chip:
        nl.store(out, tensor)
    else:
        isa.dma_copy(out, tensor)
    trace.prints.append((print_prefix, out.storage.name))


prod = nl._reduction("multiply")
