"""What modules of the older interface say of names that they do not have."""
import difflib
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from presil.nki import _trace


F = TypeVar("F", bound=Callable[..., Any])


def instruction(function: F) -> F:
    """Takes `name=` too, and says at the kernel's line which option it does not have."""
    known = list(inspect.signature(function).parameters)

    @functools.wraps(function)
    def call(*arguments: Any, name: Any = None, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except TypeError:
            unknown = [o for o in options if o not in known]
            if not unknown:
                raise
        near = difflib.get_close_matches(unknown[0], known, 1)
        raise _trace.refuse(f"{function.__name__} has no option {unknown[0]}",
                            f"did you mean {near[0]}?" if near else "it has " + ", ".join(known), "unsupported")

    return call  # type: ignore[return-value]


def missing(module: str, names: Mapping[str, Any]) -> Callable[[str], Any]:
    """The __getattr__ of a module: an AttributeError at the kernel's line, with the nearest name."""
    def absent(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        near = difflib.get_close_matches(name, [n for n in names if not n.startswith("_")], 1)
        hint = f" (did you mean '{near[0]}'?)" if near else " here"
        raise AttributeError(f"{_trace.line()}: neuronxcc.nki.{module} has no '{name}'{hint}")

    return absent
