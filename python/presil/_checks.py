"""Values from callers: checked here, so that what is wrong raises presil.Error with its name."""
import operator
import os

from presil._error import Error

Path = str | os.PathLike[str]


def text(value: object, name: str) -> str:
    if isinstance(value, str):
        return value
    raise Error(f"{value!r} is no string", name)


def path(value: object, name: str) -> str:
    if isinstance(value, (str, os.PathLike)):
        text = os.fspath(value)
        if isinstance(text, str) and text and "\0" not in text:
            return text
    raise Error(f"{value!r} is no path", name)


def integer(value: object, name: str, low: int, high: int = 2**63 - 1) -> int:
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise Error(f"{value!r} is no whole number", name) from None
    if low <= number <= high:
        return number
    raise Error(f"{number} is not between {low} and {high}", name)
