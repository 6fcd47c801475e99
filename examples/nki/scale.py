"""Rows times a number: a first kernel. presil nki run examples/nki/scale.py"""
import numpy as np
import nki
import nki.isa as nisa
import nki.language as nl

@nki.jit
def scaled(x, factor):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    for row in nl.affine_range(x.shape[0] // 128):
        tile = nl.load(x[nl.ds(row * 128, 128), :])
        nisa.tensor_scalar(dst=tile, data=tile, op0=nl.multiply, operand0=factor)
        nl.store(out[nl.ds(row * 128, 128), :], tile)
    return out

x = np.ones((512, 2048), np.float32)
assert (scaled(x, 3.0) == 3).all()
print(scaled.result)
