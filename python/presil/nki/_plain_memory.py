"""Memory of the plain interpreter: bytes, and whether something was ever written to them."""
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from presil._error import Error

Array = NDArray[Any]


@dataclass
class Place:
    """A tile or a tensor: [partitions, bytes]; a tensor in HBM is one partition."""

    name: str
    bytes: Array
    written: Array

    @classmethod
    def empty(cls, name: str, partitions: int, size: int) -> "Place":
        return cls(name, np.full((partitions, size), 0xA5, np.uint8), np.zeros((partitions, size), bool))


def addresses(view: tuple[int, ...], itemsize: int) -> Array:
    """Byte offsets of the elements of a view within a partition, in order."""
    offsets = np.array([view[5]], np.int64)
    for k in range(6, len(view), 2):
        offsets = (offsets[:, None] + np.arange(view[k + 1], dtype=np.int64) * view[k] * itemsize).reshape(-1)
    return offsets


def _cells(place: Place, view: tuple[int, ...], itemsize: int, what: str, line: str) -> tuple[Array, Array]:
    """Partitions and bytes that a view names, as indices that broadcast."""
    first, count = view[3], view[4]
    offsets = addresses(view, itemsize)
    if first + count > place.bytes.shape[0] or offsets.min() < 0 or offsets.max() + itemsize > place.bytes.shape[1]:
        raise Error(f"{what} leaves '{place.name}', which has {place.bytes.shape[0]} partitions of {place.bytes.shape[1]} bytes", line)
    return np.arange(first, first + count)[:, None, None], offsets[None, :, None] + np.arange(itemsize)


def read(place: Place, view: tuple[int, ...], kind: np.dtype[Any], what: str, line: str) -> Array:
    """[partitions, elements]."""
    rows, columns = _cells(place, view, kind.itemsize, what, line)
    if not place.written[rows, columns].all():
        raise Error(f"{what} reads '{place.name}' where nothing was written", line)
    return np.ascontiguousarray(place.bytes[rows, columns]).view(kind)[:, :, 0]


def write(place: Place, view: tuple[int, ...], values: Array, what: str, line: str) -> None:
    rows, columns = _cells(place, view, values.dtype.itemsize, what, line)
    shape = (view[4], columns.shape[1])
    data = np.ascontiguousarray(values.reshape(shape)).view(np.uint8).reshape(*shape, values.dtype.itemsize)
    place.bytes[rows, columns] = data
    place.written[rows, columns] = True
