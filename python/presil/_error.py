"""The one exception type."""
import re

# Options of the command line, as messages name them, and what they are called here.
_OPTIONS = [
    (r"--dim (\S+)=N", r"dims={'\1': N}"),
    (r"--shape ([^\s=]+)=\S+", r"shapes={'\1': ...}"),
    (r"--retime", "retime=True"),
    (r"--double-as-fp32", "double_as_fp32=True"),
    (r"--dim\b", "dims"),
    (r"--shape\b", "shapes"),
    (r"--input\b", "inputs"),
    (r"--([a-z]+)", r"\1"),
]


def _without_dashes(text: str) -> str:
    for pattern, name in _OPTIONS:
        text = re.sub(r"(?<![^\s(])" + pattern, name, text)
    return text


class Error(Exception):
    """What presil refuses: a malformed file, an option or input that does not fit, something that nothing here can do.

    str(error) is the whole message: place, what was found and expected, and a hint.
    """

    message: str
    """What was found, and what was expected."""
    where: str
    """File, node, input or option; may be empty."""
    hint: str
    """The nearest valid name, or what to do; may be empty."""
    code: str
    """'bad_input', 'unsupported', 'io', or 'failed': a simulated program that did not get through."""

    def __init__(self, message: str, where: str = "", hint: str = "", code: str = "bad_input") -> None:
        self.message = _without_dashes(message)
        self.where = _without_dashes(where)
        self.hint = _without_dashes(hint)
        self.code = code
        super().__init__(self.message, self.where, self.hint, self.code)

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text} ({self.hint})" if self.hint else text


Error.__module__ = "presil"
