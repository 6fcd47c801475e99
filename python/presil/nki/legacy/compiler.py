"""nki.compiler: explicit allocators, and directives to the vendor's compiler. Allocators are honoured. The directives say how
that compiler is to arrange a kernel; presil's backend arranges it by its own rules, so that they change nothing here."""
from collections.abc import Callable
from typing import Any

from presil.nki.legacy._allocate import psum, sbuf
from presil.nki.legacy._names import missing

__all__ = ["enable_stack_allocator", "force_auto_alloc", "multi_buffer", "no_reorder", "psum", "sbuf",
           "skip_middle_end_transformations"]


def _directive(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    return function if function is not None else lambda f: f


enable_stack_allocator = force_auto_alloc = skip_middle_end_transformations = _directive


class _Hint:
    """What directives= of a loop takes."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.arguments, self.options = arguments, options


class no_reorder(_Hint):
    """Keep the order of instructions."""


class multi_buffer(_Hint):
    """Keep several iterations' tiles."""


__getattr__ = missing("compiler", globals())
