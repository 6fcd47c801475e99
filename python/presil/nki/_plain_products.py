"""Products in the order and precision of the tensor engine: for each result one chain of fused multiply-adds in fp32, by ascending row
of the contraction (docs/model.md)."""
from typing import Any

import numpy as np

F32 = np.float32


def chain(stationary: Any, moving: Any) -> Any:
    """[K, M] and [K, N] of any float type as [M, N] in fp32."""
    narrow = max(stationary.dtype.itemsize, moving.dtype.itemsize) <= 2
    a, b = stationary.astype(F32).astype(np.float64), moving.astype(F32).astype(np.float64)
    total = np.zeros((a.shape[1], b.shape[1]), F32)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for k in range(a.shape[0]):
            exact = np.multiply.outer(a[k], b[k])  # of two fp32 numbers, in fp64 without rounding
            total = _sum(exact, total, narrow).astype(F32)
    return canonical(total)


def canonical(values: Any) -> Any:
    """The chip has one NaN."""
    return np.where(np.isnan(values), F32(np.nan), values)


def _sum(product: Any, total: Any, narrow: bool) -> Any:
    """In fp64, so that rounding it to fp32 is the only rounding. Of 16-bit operands the product has 22 bits at most: where fp64 rounds
    the sum, one of the two is too small to matter. Otherwise rounded to odd, which a second rounding does not notice (Boldo and
    Melquiond, "Emulation of FMA and correctly rounded sums", 2008)."""
    wide = total.astype(np.float64)
    rounded = product + wide
    if narrow:
        return rounded
    part = rounded - product  # two-sum (Knuth): what the rounding left out
    left_out = (product - (rounded - part)) + (wide - part)
    even = (rounded.view(np.int64) & 1) == 0
    adjust = even & (left_out != 0) & np.isfinite(rounded)
    return np.where(adjust, np.nextafter(rounded, np.copysign(np.inf, left_out)), rounded)
