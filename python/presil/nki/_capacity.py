"""What fits into a partition of SBUF and PSUM, and what to say at the line of a tensor that does not."""
import re

from presil._chips import chips
from presil._error import Error
from presil.nki import _trace

# Bundled chips whose tiles have 128 partitions, the smaller memories first; _SAME: as one of them.
_CHIPS = ("trn1", "trn2", "trn3")
_SAME = ("inf2",)
_PARTITIONS = 128
_BY_NAME = {chip.name: chip for chip in chips()}
_TILE = re.compile(r"tile '([^']+)'")


def _bytes_per_partition(memory: str) -> dict[str, int]:
    """By chip; `memory`: "sbuf" or "psum"."""
    rows = [_BY_NAME[name] for name in (*_CHIPS, *_SAME)]
    return {chip.name: (chip.sbuf_bytes if memory == "sbuf" else chip.psum_bytes) // _PARTITIONS for chip in rows}


def of(trace: "_trace.Trace", memory: str) -> int:
    """Bytes of a partition of the chip that the kernel is traced for. Errors: a chip from a file."""
    size = _bytes_per_partition(memory).get(trace.chip)
    if size is None:
        raise _trace.refuse(f"the size of {memory.upper()} of chip '{trace.chip}' is known when the kernel is compiled", "a bundled chip")
    return size


def check(trace: "_trace.Trace", memory: str, tensor: str, bytes_needed: int) -> None:
    """bytes_needed: of one partition. Errors: a tensor that a bundled chip has no place for; for chips from files, which are
    read when the kernel is compiled, `at_its_line` has it."""
    sizes = _bytes_per_partition(memory)
    limit = sizes.get(trace.chip)
    if limit is None or bytes_needed <= limit:
        return
    larger = next((name for name in _CHIPS if sizes[name] >= bytes_needed), None)
    hint = f"{larger} has {sizes[larger]}: kernel.on('{larger}')" if larger else "no generation has as much: work on parts of it"
    raise _trace.refuse(f"{tensor} needs {bytes_needed} bytes in each partition, {memory.upper()} of {trace.chip} has {limit}",
                        hint)


def at_its_line(error: Error, allocated: dict[str, tuple[str, str]]) -> Error:
    """An error about a tile that found no place, at the line that allocated it. allocated: line and tensor, by name."""
    named = _TILE.search(error.message)
    known = allocated.get(named[1]) if named else None
    if error.code != "unsupported" or known is None or named is None:
        return error
    line, tensor = known
    return Error(error.message.replace(named[0], tensor, 1), line, "tensors live until their last use: use fewer at once", error.code)
