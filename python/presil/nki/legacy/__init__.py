"""presil.nki.legacy: the older public interface, `neuronxcc.nki`, on the same tracer as presil.nki.

    from neuronxcc import nki
    import neuronxcc.nki.language as nl

finds it after `import presil.nki.activate`. Instructions return their destination; tiles are indexed by nl.arange and
nl.mgrid; masks clip.
"""
from presil.nki.legacy import compiler, isa, language, typing
from presil.nki.legacy._kernel import Kernel, baremetal, benchmark, jit, profile, simulate_kernel
from presil.nki.legacy._tile import Tile as tensor

__all__ = ["Kernel", "baremetal", "benchmark", "compiler", "isa", "jit", "language", "profile", "simulate_kernel", "tensor", "typing"]
