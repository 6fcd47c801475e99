"""Random numbers of nki.isa."""
from typing import Any

from presil.nki._issue import NkiInstruction, engine, issue, scalar
from presil.nki._tensor import Tensor


def rng(dst: Tensor, engine: engine = engine.vector, name: str | None = None) -> NkiInstruction:
    """dst = random bits."""
    return issue("rng", engine, "vector", (dst,))


def set_rng_seed(src_seeds: Tensor, name: str | None = None) -> NkiInstruction:
    """The vector engine's generators start anew."""
    return issue("set_rng_seed", engine.unknown, "vector", (src_seeds,))


def rand_set_state(src_seeds: Tensor, engine: engine = engine.gpsimd, name: str | None = None) -> NkiInstruction:
    """The generators of each lane take their states."""
    return issue("rand_set_state", engine, "gpsimd", (src_seeds,))


def rand_get_state(dst: Tensor, engine: engine = engine.gpsimd, name: str | None = None) -> NkiInstruction:
    """dst = the states of each lane's generators."""
    return issue("rand_get_state", engine, "gpsimd", (dst,))


def rand2(dst: Tensor, min: Any, max: Any, name: str | None = None) -> NkiInstruction:  # noqa: A002
    """dst = uniform random numbers from min to max."""
    (low, low_imm), (high, high_imm) = scalar(min), scalar(max)
    return issue("rand2", engine.unknown, "vector", (dst, low, high), min_imm=low_imm, max_imm=high_imm)


def dropout(dst: Tensor, data: Tensor, prob: Any, name: str | None = None) -> NkiInstruction:
    """dst = data, or zero with the probability prob."""
    p, imm = scalar(prob)
    return issue("dropout", engine.unknown, "vector", (dst, data, p), prob_imm=imm)
