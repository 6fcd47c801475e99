"""What modules of the older interface say of names that they do not have."""
import difflib
from collections.abc import Callable, Mapping
from typing import Any

from presil.nki import _trace


def missing(module: str, names: Mapping[str, Any]) -> Callable[[str], Any]:
    """The __getattr__ of a module: an AttributeError at the kernel's line, with the nearest name."""
    def absent(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        near = difflib.get_close_matches(name, [n for n in names if not n.startswith("_")], 1)
        hint = f" (did you mean '{near[0]}'?)" if near else " here"
        raise AttributeError(f"{_trace.line()}: neuronxcc.nki.{module} has no '{name}'{hint}")

    return absent
