"""presil.nki: kernels written for the public NKI interface, run on a simulated core.

    import numpy as np
    from presil import nki
    from presil.nki import isa as nisa, language as nl

    @nki.jit
    def double(x):
        out = nl.ndarray(x.shape, x.dtype, buffer=nl.shared_hbm)
        tile = nl.load(x)
        nisa.tensor_scalar(tile, tile, nl.multiply, 2.0)
        nl.store(out, tile)
        return out

    double(np.ones((128, 512), np.float32))
    double.result.seconds, double.result.bound_by

Instructions are traced: loops over ranges are written out, and what is wrong is refused at its line.
"""
from presil.nki import collectives, isa, language, typing
from presil.nki._kernel import Kernel, jit
from presil.nki._profile import Benchmark, Profile, benchmark, interpret, profile, simulate

__all__ = ["Benchmark", "Kernel", "Profile", "benchmark", "collectives", "interpret", "isa", "jit", "language", "profile", "simulate", "typing"]
