"""nki.language: types, buffers, tensors, loops, and operations on tiles as instructions of nki.isa."""
import builtins
from collections.abc import Iterable, Sequence
from typing import Any

from presil.nki import _capacity, _trace, isa
from presil.nki._affine import Slice
from presil.nki._names import missing
from presil.nki._registers import dynamic_range, fori_loop, while_loop
from presil.nki._tensor import Storage, Tensor
from presil.nki._types import DTYPES, HBM, OPS, PRIVATE_HBM, PSUM, SBUF, SHARED_HBM, Buffer, Op, as_dtype

globals().update(DTYPES)
globals().update(OPS)
sbuf, psum, hbm, shared_hbm, private_hbm = SBUF, PSUM, HBM, SHARED_HBM, PRIVATE_HBM

_BANK_BYTES, _BANKS = 2048, 8


class _TileSize:
    """Sizes of all generations (fact sheet of the NKI documentation), and of SBUF those of the chip that is traced for."""

    pmax = 128
    psum_bank_fmax = psum_fmax = 512
    psum_bank_fmax_bytes = _BANK_BYTES
    psum_num_banks = _BANKS
    gemm_stationary_fmax = 128
    gemm_moving_fmax = 512
    bn_stats_fmax = 512

    @property
    def sbuf_fmax_bytes(self) -> int:
        """Of one partition."""
        return _capacity.of(_trace.trace(), "sbuf")

    @property
    def sbuf_fmax(self) -> int:
        """fp32 elements of one partition."""
        return self.sbuf_fmax_bytes // 4

    @property
    def sbuf_size_bytes(self) -> int:
        return self.pmax * self.sbuf_fmax_bytes

    @property
    def total_available_sbuf_size(self) -> int:
        """Of one partition, as documented."""
        return self.sbuf_fmax_bytes


tile_size = _TileSize()


# --- tensors ---------------------------------------------------------------------------------------------------------

def ndarray(shape: Sequence[int], dtype: Any, buffer: Buffer = SBUF, name: str = "", address: Any = None) -> Tensor:
    """A tensor that holds nothing yet. On chip its first axis counts partitions; `address`: (partition, byte) on chip."""
    trace, kind = _trace.trace(), as_dtype(dtype)
    extents = [int(e) for e in shape]
    if not extents or builtins.min(extents) < 1:
        raise _trace.refuse(f"shape {tuple(shape)}: every extent is at least 1")
    steps = [1] * len(extents)
    for d in range(len(extents) - 2, -1, -1):
        steps[d] = steps[d + 1] * extents[d + 1]
    label = trace.name(name or f"tensor{len(trace.names)}")
    if buffer is SHARED_HBM and trace.shared_count < len(trace.shared):
        return _shared_again(trace, extents, kind)
    if buffer.memory == "hbm":
        role = "scratch" if buffer is PRIVATE_HBM else "output"  # a kernel may return what it makes in nl.hbm
        if trace.core and buffer is not SHARED_HBM:
            label = trace.name(f"{label}.core{trace.core}")  # the cores of a pair share what has one name
        storage = Storage(buffer, [trace.recording.tensor(label, kind.presil, extents, role)], 0, label)
        tensor = Tensor(storage, kind, extents, steps, 0)
        if buffer is SHARED_HBM:
            trace.shared.append(tensor)
            trace.shared_count += 1
        return tensor
    partitions, row = extents[0], steps[0] * kind.itemsize
    if partitions > tile_size.pmax:
        raise _trace.refuse(f"{partitions} partitions in shape {tuple(extents)}, a tile has at most {tile_size.pmax}")
    text = f"tensor '{label}' ({kind}, shape {tuple(extents)})"
    _capacity.check(trace, buffer.memory, text, row)
    trace.allocated[label] = _trace.line(), text
    place = (None, None) if address is None else (int(address[0]), int(address[1]))
    parts = [row]
    if buffer is PSUM and row > _BANK_BYTES:
        parts = [builtins.min(_BANK_BYTES, row - at) for at in range(0, row, _BANK_BYTES)]
    ids = [trace.recording.tile(buffer.memory, partitions, size, label, place[0],
                                None if place[1] is None else place[1] + k * _BANK_BYTES) for k, size in enumerate(parts)]
    return Tensor(Storage(buffer, ids, _BANK_BYTES, label), kind, extents, steps, 0)


def _shared_again(trace: _trace.Trace, extents: list[int], kind: Any) -> Tensor:
    """What an earlier program of the grid made at this place of its own."""
    tensor: Tensor = trace.shared[trace.shared_count]
    trace.shared_count += 1
    if tuple(extents) != tuple(tensor.shape) or kind is not tensor.dtype:
        raise _trace.refuse(f"program {trace.program} makes a shared tensor of shape {tuple(extents)} of {kind}, where an earlier one made "
                            f"{tensor!r}", "every program of a grid makes the same ones, in the same order")
    return tensor


def zeros(shape: Sequence[int], dtype: Any, buffer: Buffer = SBUF, name: str = "") -> Tensor:
    return full(shape, 0, dtype, buffer, name)


def ones(shape: Sequence[int], dtype: Any, buffer: Buffer = SBUF, name: str = "") -> Tensor:
    return full(shape, 1, dtype, buffer, name)


def full(shape: Sequence[int], fill_value: float, dtype: Any, buffer: Buffer = SBUF, name: str = "") -> Tensor:
    out = ndarray(shape, dtype, buffer, name)
    isa.memset(out, fill_value)
    return out


def zeros_like(x: Tensor, dtype: Any = None, buffer: Buffer | None = None) -> Tensor:
    return zeros(x.shape, dtype or x.dtype, buffer or x.buffer)


def empty_like(x: Tensor, dtype: Any = None, buffer: Buffer | None = None) -> Tensor:
    return ndarray(x.shape, dtype or x.dtype, buffer or x.buffer)


def ds(start: Any, size: int) -> Slice:
    """`size` elements from `start`, as an index."""
    return Slice(start, size)


# --- loops and programs: traced, so that every iteration is written out ----------------------------------------------

def static_range(*arguments: int) -> Iterable[int]:
    return range(*arguments)


affine_range = sequential_range = static_range


class no_reorder:
    """with nl.no_reorder(): the instructions inside start in the order of the program."""

    def __enter__(self) -> None:
        _trace.trace().begin_order()

    def __exit__(self, *_: object) -> None:
        _trace.trace().end_order()


def program_id(axis: int = 0) -> int:
    """The number of this program along an axis of the grid; 0 without a grid."""
    grid = _trace.trace().program or (0,)
    if not 0 <= axis < len(grid):
        raise _trace.refuse(f"program_id({axis}): the kernel was launched on a grid of {len(grid)} axes")
    return grid[axis]


def num_programs(axis: int = 0) -> int:
    grid = _trace.trace().grid
    return grid[axis] if axis < len(grid) else 1


def program_ndim() -> int:
    return len(_trace.trace().grid)


# --- moving ----------------------------------------------------------------------------------------------------------

def load(src: Tensor, dtype: Any = None) -> Tensor:
    """A tile in SBUF with what lies in HBM; the first axis becomes partitions."""
    out = ndarray(src.shape, dtype or src.dtype)
    isa.dma_copy(out, src)
    return out


def store(dst: Tensor, value: Tensor) -> None:
    """A tile to HBM. What lies in PSUM passes through SBUF, which DMA can read."""
    if value.buffer is PSUM:
        value = copy_to_sbuf(value, dst.dtype)
    isa.dma_copy(dst, value)


def copy_to_sbuf(src: Tensor, dtype: Any = None) -> Tensor:
    out = ndarray(src.shape, dtype or src.dtype)
    isa.tensor_copy(out, src)
    return out


def broadcast_to(src: Tensor, shape: Sequence[int], dtype: Any = None) -> Tensor:
    """src repeated to `shape`. Along free axes a view; one partition over all of them by the tensor engine."""
    if len(shape) != src.ndim:
        raise _trace.refuse(f"{src!r} cannot be repeated to {tuple(shape)}")
    out = src
    for axis in range(1, src.ndim):
        if out.shape[axis] != shape[axis]:
            out = out.broadcast(axis, shape[axis])
    if out.shape[0] == shape[0]:
        return out
    if out.shape[0] != 1:
        raise _trace.refuse(f"{src!r} cannot be repeated to {tuple(shape)}: it has {out.shape[0]} partitions")
    count = out.size
    weights = ones((1, shape[0]), src.dtype)
    result = ndarray((shape[0], count), dtype or src.dtype)
    row = out.reshape((1, count))
    for begin in range(0, count, tile_size.gemm_moving_fmax):
        end = builtins.min(count, begin + tile_size.gemm_moving_fmax)
        bank = ndarray((shape[0], end - begin), DTYPES["float32"], PSUM)
        isa.nc_matmul(bank, weights, row[:, begin:end])
        isa.tensor_copy(result[:, begin:end], bank)
    return result.reshape(tuple(shape))


# --- operations on tiles ---------------------------------------------------------------------------------------------

def _tile_for(x: Tensor, dtype: Any) -> Tensor:
    return ndarray(x.shape, dtype or x.dtype)


def _binary(op: Op) -> Any:
    def call(x: Any, y: Any, dtype: Any = None) -> Tensor:
        if not isinstance(x, Tensor) and not isinstance(y, Tensor):
            raise _trace.refuse(f"nl.{op.name} of two numbers", "compute it in Python")
        reverse = not isinstance(x, Tensor) or (isinstance(y, Tensor) and x.size < y.size)
        a, b = (y, x) if reverse else (x, y)
        per_partition = isinstance(b, Tensor) and b.size == b.shape[0] and a.size > b.size and b.shape[0] == a.shape[0]
        out = _tile_for(a, dtype)
        if not isinstance(b, Tensor) or per_partition:
            isa.tensor_scalar(out, a, op, b, reverse0=reverse)
            return out
        first, second = (broadcast_to(b, a.shape), a) if reverse else (a, b if b.shape == a.shape else broadcast_to(b, a.shape))
        isa.tensor_tensor(out, first, second, op)
        return out

    return call


def _unary(op: Op) -> Any:
    def call(x: Tensor, dtype: Any = None) -> Tensor:
        out = _tile_for(x, dtype)
        if op.name == "reciprocal":
            isa.reciprocal(out, x)
        elif op.name in ("copy", "bypass"):
            isa.tensor_copy(out, x)
        elif op.name == "invert":
            isa.tensor_scalar(out, x, op, 0)
        else:
            isa.activation(out, op, x)
        return out

    return call


for _op in OPS.values():
    _op.call = _unary(_op) if _op.activation is not None or _op.name == "invert" else _binary(_op)


def _reduction(op: str) -> Any:
    def call(x: Tensor, axis: int | Sequence[int], dtype: Any = None, keepdims: bool = False) -> Tensor:
        axes = {a % x.ndim for a in ([axis] if isinstance(axis, int) else axis)}
        kept = [1 if d in axes else e for d, e in enumerate(x.shape)]
        out = ndarray(kept, dtype or x.dtype)
        isa.tensor_reduce(out, OPS[op], x, sorted(axes))
        return out if keepdims else out.reshape([e for d, e in enumerate(kept) if d not in axes or d == 0] or [1])

    return call


sum, max, min = _reduction("add"), _reduction("maximum"), _reduction("minimum")  # noqa: A001


def transpose(x: Tensor, dtype: Any = None) -> Tensor:
    """[p, f] to [f, p] on the tensor engine."""
    bank = ndarray((x.size // x.shape[0], x.shape[0]), x.dtype if _trace.trace().generation > 2 else DTYPES["float32"], PSUM)
    isa.nc_transpose(bank, x)
    return copy_to_sbuf(bank, dtype or x.dtype)


# What is composed of the functions above stands in a file of its own, which needs them.
from presil.nki._composed import (dropout, expand_dims, gather_flattened, is_hbm, is_on_chip, is_psum,  # noqa: E402
                                  is_sbuf, load_transpose2d, logical_not, matmul, mean, negative, random_seed, rms_norm,
                                  softmax, var, where)
from presil.nki._maths import (all, ceil, cos, device_print, floor, fmod, mod, prod, rand, shared_constant,  # noqa: A004, E402
                               shared_identity_matrix, tan, trunc)

__getattr__ = missing("nki.language", globals(), {})
