"""What a module says about a name that it does not have."""
import difflib
from collections.abc import Callable, Mapping
from typing import Any

from presil._error import Error
from presil.nki import _trace


class MissingName(Error, AttributeError):
    """So that hasattr and imports see what they expect."""


def missing(module: str, names: Mapping[str, Any], not_yet: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's __getattr__. not_yet: what the public interface has and presil does not, with what it needs."""

    def refuse(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in not_yet:
            raise MissingName(f"{module}.{name} is not there yet: {not_yet[name]}", _trace.line(), code="unsupported")
        public = [known for known in names if not known.startswith("_")]
        near = difflib.get_close_matches(name, public, 1)
        raise MissingName(f"{module} has no '{name}'", _trace.line(), f"did you mean '{near[0]}'?" if near else "")

    return refuse
