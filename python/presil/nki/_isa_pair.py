"""What the two cores of a pair do together, of nki.isa: kernel[2](...) on a chip with pairs."""
from collections.abc import Sequence
from enum import Enum

from presil.nki import _trace
from presil.nki._issue import NkiInstruction, engine, issue, only
from presil.nki._tensor import Tensor


class dma_engine(Enum):
    dma = 0
    gpsimd_dma = 1


def _core(name: str) -> int:
    """The number of the core that runs this program."""
    core = _trace.trace().core
    if core is None:
        raise _trace.refuse(f"{name}: the kernel runs on one core", "launch it on a pair: kernel[2](...), on trn2 or trn3")
    return core


def sendrecv(src: Tensor, dst: Tensor, send_to_rank: int, recv_from_rank: int, pipe_id: int, dma_engine: dma_engine = dma_engine.dma,
             name: str | None = None) -> NkiInstruction:
    """Sends src to the other core, and receives into dst what that one sends."""
    other = 1 - _core("sendrecv")
    only("sendrecv", "send_to_rank", send_to_rank, (other,))
    only("sendrecv", "recv_from_rank", recv_from_rank, (other,))
    by_gpsimd = dma_engine.name == "gpsimd_dma"
    return issue("sendrecv", engine.unknown, "gpsimd" if by_gpsimd else "sync", (dst, src), send_to_rank=other, recv_from_rank=other,
                 pipe_id=pipe_id, gpsimd_dma=by_gpsimd)


def core_barrier(data: Tensor, cores: Sequence[int], engine: engine = engine.gpsimd, name: str | None = None) -> NkiInstruction:
    """Waits for the other core's; what both did with `data` before is complete then."""
    _core("core_barrier")
    only("core_barrier", "cores", tuple(cores), ((0, 1),))
    return issue("core_barrier", engine, "gpsimd", (data,))

