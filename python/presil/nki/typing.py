"""nki.typing: annotations of a kernel's arguments; they say something to readers only."""
from typing import Any


class tensor:
    """nt.tensor, nt.tensor[shape]."""

    def __class_getitem__(cls, item: Any) -> type["tensor"]:
        return cls


class mutable_tensor(tensor):
    """A tensor that a kernel writes to."""
