"""The bundled chips."""
import json
from dataclasses import dataclass

from presil import _core


@dataclass(frozen=True)
class Chip:
    """A bundled chip; figures are of one core. `presil show NAME` prints every parameter."""

    name: str
    spec_hash: str
    cores: int
    rows: int
    """of the systolic array"""
    columns: int
    bf16_macs_per_second: float
    sbuf_bytes: int
    psum_bytes: int
    hbm_bound_bytes_per_second: float


def chips() -> list[Chip]:
    """The bundled chips, by name."""
    return [Chip(**row) for row in json.loads(_core.chips_json())]
