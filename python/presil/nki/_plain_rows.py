"""What each instruction of the table means, in NumPy. Arithmetic is fp32, as everywhere on the chip; functions are NumPy's, so that
results of activations and sums agree with the simulator's within rounding, all others bit for bit."""
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from presil import _core
from presil.nki._plain_products import canonical, chain

F32 = np.float32


def cast(values: Any, kind: np.dtype[Any]) -> Any:
    """Through fp32; to whole numbers to the nearest one, at most the largest."""
    if values.dtype == kind:
        return values
    if kind.kind in "iu":
        if values.dtype.kind in "iu":
            return values.astype(np.int64).astype(kind)
        limits = np.iinfo(kind)
        return np.clip(np.rint(values.astype(np.float64)), limits.min, limits.max).astype(kind)
    return values.astype(F32).astype(kind)


def _is(test: Any) -> Any:
    return np.asarray(test).astype(F32)


_ALU: dict[str, Callable[[Any, Any], Any]] = {
    "bypass": lambda a, b: a, "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "max": np.maximum, "min": np.minimum,
    "eq": lambda a, b: _is(a == b), "ne": lambda a, b: _is(a != b), "ge": lambda a, b: _is(a >= b), "gt": lambda a, b: _is(a > b),
    "le": lambda a, b: _is(a <= b), "lt": lambda a, b: _is(a < b), "divide": np.divide,
    "logical_and": lambda a, b: _is((a != 0) & (b != 0)), "logical_or": lambda a, b: _is((a != 0) | (b != 0)),
    "logical_xor": lambda a, b: _is((a != 0) ^ (b != 0)), "abs": lambda a, b: np.abs(a), "square": lambda a, b: a * a,
    "relu": lambda a, b: np.maximum(a, F32(0)), "abs_max": lambda a, b: np.maximum(np.abs(a), np.abs(b)),
    "abs_min": lambda a, b: np.minimum(np.abs(a), np.abs(b)),
}
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "copy": lambda x: x, "square": np.square, "abs": np.abs, "sign": np.sign, "relu": lambda x: np.maximum(x, F32(0)), "exp": np.exp,
    "log": np.log, "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x), "reciprocal": lambda x: 1 / x, "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "silu": lambda x: x / (1 + np.exp(-x)), "sin": np.sin, "arctan": np.arctan,
    "softplus": lambda x: np.logaddexp(0, x),
}
_ALU_NAMES = {_core.alu_number(name): name for name in _ALU}
_FUNCTION_NAMES = {_core.activation_number(name): name for name in _FUNCTIONS}
_RESET, _REDUCE, _RESET_REDUCE, _LOAD_REDUCE = 1, 2, 3, 4
_START = {"add": 0.0, "subtract": 0.0, "multiply": 1.0, "max": -np.inf, "min": np.inf}


@dataclass
class Step:
    """An instruction, its operands and attribute words by name."""

    name: str
    memory: Any
    operands: dict[str, Any]
    words: dict[str, int]
    line: str

    def has(self, operand: str) -> bool:
        return bool(self.operands[operand])

    def raw(self, operand: str) -> Any:
        return self.memory.get(self.operands[operand], f"{self.name} {operand}", self.line)

    def get(self, operand: str) -> Any:
        return self.raw(operand).astype(F32)

    def put(self, operand: str, values: Any) -> None:
        self.memory.put(self.operands[operand], values, f"{self.name} {operand}", self.line)

    def dims(self, operand: str) -> tuple[int, ...]:
        view = self.operands[operand]
        view = view[0] if isinstance(view[0], tuple) else view
        return tuple(view[7::2])

    def number(self, attribute: str) -> Any:
        return F32(struct.unpack("<f", struct.pack("<I", self.words[attribute]))[0])

    def signed(self, attribute: str) -> int:
        return (self.words[attribute] + 2**31) % 2**32 - 2**31

    def scalar(self, operand: str, immediate: str) -> Any:
        """One value per partition, or the constant."""
        return self.get(operand) if self.has(operand) else self.number(immediate)

    def alu(self, attribute: str, a: Any, b: Any, reverse: str = "") -> Any:
        function = _ALU[_ALU_NAMES[self.words[attribute]]]
        return function(b, a) if reverse and self.words[reverse] else function(a, b)

    def function(self, x: Any) -> Any:
        return _FUNCTIONS[_FUNCTION_NAMES[self.words["op"]]](x.astype(np.float64)).astype(F32)


def _commanded(s: Step, engine: str, start: Any, values: Any) -> Any:
    """The engine's accumulators after the command; `values` reduces a row and what was there."""
    command, held = s.words["reduce_cmd"], s.memory.engine.get(engine, F32(0))
    if command in (_RESET, _RESET_REDUCE):
        held = F32(start)
    if command == _LOAD_REDUCE:
        held = s.scalar("initial", "initial_imm")
    if command in (_REDUCE, _RESET_REDUCE, _LOAD_REDUCE):
        held = values(held)
    s.memory.engine[engine] = held
    return held


def _dma_copy(s: Step) -> None:
    if not s.has("index"):
        return s.put("dst", s.raw("src").reshape(-1))
    table = "dst" if s.words["scatter"] else "src"
    view = s.operands[table]
    rows = s.raw("index")[:, 0].astype(np.int64)
    rows_to_write = s.raw("src") if s.words["scatter"] else np.empty((0, 0))
    size = s.memory.placed(view)[0].bytes.shape[1]
    out = []
    for k, row in enumerate(rows):
        one = (*view[:5], view[5] + int(row) * view[6] * _bytes(s, table, size), *view[8:])
        if s.words["scatter"]:
            s.memory.put(one, rows_to_write[k], f"{s.name} {table}", s.line)
        else:
            out.append(s.memory.get(one, f"{s.name} {table}", s.line)[0])
    if out:
        s.put("dst", np.stack(out))
    return None


def _bytes(s: Step, operand: str, size: int) -> int:
    from presil.nki._plain import _KINDS
    return _KINDS[s.operands[operand][1]].itemsize


def _nc_matmul(s: Step) -> None:
    a, b = s.raw("stationary"), s.raw("moving")
    if s.words["perf_mode"]:  # two rows of the contraction from one partition
        a, b = (x.reshape(2 * x.shape[0], -1) for x in (a, b))
    product = chain(a, b)
    s.put("dst", canonical(product + s.get("dst")) if s.words["accumulate"] else product)


def _tensor_reduce(s: Step) -> None:
    x, dims = s.get("data"), s.dims("data")
    kept = int(np.prod(dims[:len(dims) - s.words["axes"]]))
    rows = x.reshape(x.shape[0], kept, -1)
    name = _ALU_NAMES[s.words["op"]]
    reduced = {"add": lambda: rows.astype(np.float64).sum(2), "multiply": lambda: rows.astype(np.float64).prod(2),
               "max": lambda: rows.max(2), "min": lambda: rows.min(2)}[name]().astype(F32)
    s.put("dst", -reduced if s.words["negate"] else reduced)


def _tensor_scalar(s: Step) -> None:
    first = s.alu("op0", s.get("data"), s.scalar("operand0", "imm0"), "reverse0")
    s.put("dst", s.alu("op1", first, s.scalar("operand1", "imm1"), "reverse1"))


def _scalar_tensor_tensor(s: Step) -> None:
    first = s.alu("op0", s.get("data"), s.scalar("operand0", "imm0"), "reverse0")
    s.put("dst", s.alu("op1", first, s.get("operand1"), "reverse1"))


def _activation(s: Step) -> None:
    y = s.function(s.get("data") * s.scalar("scale", "scale_imm") + s.scalar("bias", "bias_imm"))
    total = y.astype(np.float64).sum(1, keepdims=True).astype(F32)
    if s.name == "activation_reduce":
        s.put("reduce_res", total)
    elif s.words["reduce_cmd"]:
        held = _commanded(s, "scalar", 0, lambda before: before + total)
        if s.has("reduce_res"):
            s.put("reduce_res", np.broadcast_to(held, total.shape).astype(F32))
    s.put("dst", y)


def _tensor_tensor_scan(s: Step) -> None:
    a, b = s.get("data0"), s.get("data1")
    r = np.broadcast_to(s.scalar("initial", "imm"), (a.shape[0], 1))[:, 0]
    out = np.empty_like(a)
    for i in range(a.shape[1]):
        r = s.alu("op1", s.alu("op0", a[:, i], r, "reverse0"), b[:, i], "reverse1")
        out[:, i] = r
    s.put("dst", out)


def _cumulative(s: Step) -> None:
    x = s.alu("op0", s.get("src"), s.scalar("operand0", "imm0"), "reverse0")
    out = np.empty_like(x)

    def turn(held: Any) -> Any:
        r = np.broadcast_to(held, (x.shape[0], 1))[:, 0]
        for i in range(x.shape[1]):
            r = s.alu("op1", x[:, i], r)
            out[:, i] = r
        return r[:, None]

    _commanded(s, "vector", _START[_ALU_NAMES[s.words["op1"]]], turn)
    s.put("dst", out)


def _affine_numbers(s: Step, operand: str) -> Any:
    dims, partitions = s.dims(operand), s.operands[operand][4]
    total = np.zeros((1,), np.int64)
    for k, count in enumerate(dims):
        total = (total[:, None] + np.arange(count) * s.signed(f"step{k}")).reshape(-1)
    return s.signed("offset") + np.arange(partitions)[:, None] * s.signed("channel_multiplier") + total[None]


def _affine_select(s: Step) -> None:
    holds = s.alu("cmp_op", _affine_numbers(s, "dst").astype(np.float64), 0.0) != 0
    s.put("dst", np.where(holds, s.get("on_true"), s.number("value")))


def _predicated(s: Step) -> None:
    chosen = (s.raw("predicate") != 0) != bool(s.words["reverse_pred"])
    s.put("dst", np.where(chosen, s.get("src") if s.has("src") else s.number("imm"), s.get("dst")))


def _partition_reduce(s: Step) -> None:
    x, name = s.get("data"), _ALU_NAMES[s.words["op"]]
    s.put("dst", (x.max(0) if name == "max" else x.astype(np.float64).sum(0).astype(F32))[None])


def _shuffle(s: Step) -> None:
    x = s.raw("src")
    mask = b"".join(s.words[f"mask{k}"].to_bytes(4, "little") for k in range(8))
    rows = [32 * (p // 32) + mask[p % 32] if mask[p % 32] != 255 else None for p in range(x.shape[0])]
    kept = s.raw("dst") if None in rows else x
    s.put("dst", np.stack([kept[p] if row is None else x[row] for p, row in enumerate(rows)]))


ROWS: dict[str, Callable[[Step], None]] = {
    "dma_copy": _dma_copy,
    "dma_transpose": lambda s: s.put("dst", s.raw("src").reshape(-1, s.operands["dst"][4]).T),
    "dma_compute": lambda s: s.put("dst", sum((s.get(f"src{k}").reshape(-1) for k in range(1, 16) if s.has(f"src{k}")),
                                              s.get("src0").reshape(-1))),
    "nc_matmul": _nc_matmul,
    "nc_transpose": lambda s: s.put("dst", s.raw("data").T),
    "tensor_copy": lambda s: s.put("dst", s.raw("src")),
    "tensor_tensor": lambda s: s.put("dst", s.alu("op", s.get("data1"), s.get("data2"))),
    "tensor_scalar": _tensor_scalar,
    "scalar_tensor_tensor": _scalar_tensor_tensor,
    "tensor_reduce": _tensor_reduce,
    "activation": _activation,
    "activation_reduce": _activation,
    "reciprocal": lambda s: s.put("dst", F32(1) / s.get("data")),
    "memset": lambda s: s.put("dst", np.full((s.operands["dst"][4], int(np.prod(s.dims("dst")))), s.number("value"))),
    "tensor_tensor_scan": _tensor_tensor_scan,
    "tensor_scalar_cumulative": _cumulative,
    "iota": lambda s: s.put("dst", _affine_numbers(s, "dst")),
    "affine_select": _affine_select,
    "max8": lambda s: s.put("dst", -np.sort(-s.get("src"), axis=1)[:, :8]),
    "tensor_copy_predicated": _predicated,
    "nc_n_gather": lambda s: s.put("dst", np.take_along_axis(s.raw("data"), s.raw("indices").astype(np.int64), 1)),
    "tensor_partition_reduce": _partition_reduce,
    "nc_stream_shuffle": _shuffle,
}
