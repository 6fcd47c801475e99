"""What gpsimd looks up: gathers, bounds, places, the largest."""
from presil.nki._issue import NkiInstruction, engine, issue
from presil.nki._tensor import Tensor


def local_gather(dst: Tensor, src_buffer: Tensor, index: Tensor, num_elem_per_idx: int = 1, num_valid_indices: int | None = None,
                 name: str | None = None) -> NkiInstruction:
    """Per 16 partitions: dst[p] = num_elem_per_idx elements of src_buffer[p] at each of the 16 partitions' indices."""
    return issue("local_gather", engine.unknown, "gpsimd", (dst, src_buffer, index), num_elem_per_idx=num_elem_per_idx,
                 num_valid_indices=num_valid_indices or 0)


def nc_n_gather(dst: Tensor, data: Tensor, indices: Tensor, name: str | None = None) -> NkiInstruction:
    """dst[p, i] = data[p, indices[p, i]]."""
    return issue("nc_n_gather", engine.unknown, "gpsimd", (dst, data, indices))


def sequence_bounds(dst: Tensor, segment_ids: Tensor, name: str | None = None) -> NkiInstruction:
    """dst[0, 0, i], dst[0, 1, i] = where the run of equal ids around i begins and ends."""
    return issue("sequence_bounds", engine.unknown, "gpsimd", (dst, segment_ids))


def nonzero_with_count(dst: Tensor, src: Tensor, index_offset: int = 0, padding_val: int = -1,
                       name: str | None = None) -> NkiInstruction:
    """Partitions 0, 16, ...: dst = places of nonzeros, padding, and their number."""
    return issue("nonzero_with_count", engine.unknown, "gpsimd", (dst, src), index_offset=index_offset, padding_val=padding_val)


def topk(val_dst: Tensor, idx_dst: Tensor, src: Tensor, n: int, name: str | None = None) -> NkiInstruction:
    """Per 16 partitions: the largest of the first n elements, ascending, and their places."""
    return issue("topk", engine.unknown, "gpsimd", (val_dst, idx_dst, src), n=n)
