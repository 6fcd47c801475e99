"""Selections, ranges and affine patterns."""
import numpy as np

import arithmetic as op
from machine import F32, SHAPES, Case, check, from_f32, sweep, to_f32, values_of

ROWS = {"select_reduce", "range_select", "iota", "affine_select"}
LOWEST = np.finfo(F32).min


def maximum(rows, start=-np.inf):
    return op.apply("max", F32(start), np.max(rows, axis=1, keepdims=True))


def test_select_reduce():
    cases = []
    for chip, (p, n), dtype, layout, memory, name in sweep("select", 2, SHAPES, ("fp32", "bf16", "fp8_e5m2", "int16"),
                                                          memories=("sbuf", "psum")):
        c = Case(chip, name)
        a = values_of(c.random, dtype, (p, n), specials=False)
        kind = c.random.choice(["int8", "uint8", "int16", "uint16"])
        mask, reverse = c.random.integers(0, 3, (p, n)).astype(kind), int(c.random.integers(2))
        other = values_of(c.random, "fp32", (p, 1), specials=False)
        on_true, pred = c.operand(dtype, p, n, layout, memory, values=a), c.operand(kind, p, n, values=mask)
        on_false, dst = c.operand("fp32", p, 1, values=other), c.operand("fp32", p, n, layout)
        if n % 2:
            on_false, other = None, F32(-2.5)
        chosen = np.where((mask != 0) != bool(reverse), to_f32(a, dtype), other)
        for cmd in ("reset_reduce", "reduce", "idle"):
            out = c.operand("fp32", p, 1)
            c.run("vector", "select_reduce", f"imm=-2.5 reduce_cmd={cmd} reverse_pred={reverse}", dst=dst, predicate=pred,
                  on_true=on_true, on_false=on_false, reduce_res=out)
            c.want(out, maximum(chosen))
        cases.append(c.want(dst, chosen))
    check(cases)


def test_range_select():
    cases = []
    for ops in (("ge", "lt"), ("gt", "le"), ("eq", "ge")):
        for chip, (p, n), dtype, layout, memory, name in sweep(f"range {ops}", 3, SHAPES, ("fp32", "bf16"),
                                                              memories=("sbuf", "psum")):
            c = Case(chip, name)
            a = values_of(c.random, dtype, (p, n), specials=False)
            first = int(c.random.integers(-5, 1000))
            bounds = [first + c.random.integers(-1, n + 1, (p, 1)).astype(F32) for _ in range(2)]
            data, dst = c.operand(dtype, p, n, layout, memory, values=a), c.operand(dtype, p, n, layout)
            b0, b1 = (c.operand("fp32", p, 1, values=b) for b in bounds)
            j = (first + np.arange(n)).astype(F32)[None]
            inside = (op.apply(ops[0], j, bounds[0]) != 0) & (op.apply(ops[1], j, bounds[1]) != 0)
            chosen = np.where(inside, to_f32(a, dtype), LOWEST)
            out = c.operand("fp32", p, 1)
            c.run("vector", "range_select", f"comp_op0={ops[0]} comp_op1={ops[1]} range_start={first} reduce_cmd=reset_reduce",
                  dst=dst, on_true=data, bound0=b0, bound1=b1, reduce_res=out)
            cases.append(c.want(dst, from_f32(chosen, dtype)).want(out, maximum(chosen)))
    check(cases)


def affine(c, p, view, random):
    """offset + p * multiplier + sum of index * step over dst's own dimensions, in int32."""
    offset, multiplier = (int(x) for x in random.integers(-100, 100, 2))
    steps = [int(x) for x in random.integers(-20, 20, 4)]
    at = offset + multiplier * np.arange(p)
    for (_, count), step in zip(view.dims, steps):
        at = at[..., None] + step * np.arange(count)
    words = f"offset={offset} channel_multiplier={multiplier} " + " ".join(f"step{k}={s}" for k, s in enumerate(steps))
    return at.reshape(p, -1), words


def test_iota():
    cases = []
    for chip, (p, n), dtype, layout, _, name in sweep("iota", 2, SHAPES, ("int32", "fp32", "bf16", "int16", "uint8")):
        c = Case(chip, name)
        dst = c.operand(dtype, p, n, layout)
        values, words = affine(c, p, c.operands[dst], c.random)
        cases.append(c.run("gpsimd", "iota", words, dst=dst).want(dst, from_f32(values.astype(F32), dtype)))
    check(cases)


def test_affine_select():
    cases = []
    for o in ("eq", "ne", "ge", "gt", "le", "lt"):
        for chip, (p, n), types, layout, _, name in sweep(f"affine {o}", 2, SHAPES[::2],
                                                          (("fp32", "fp32"), ("bf16", "fp32"), ("int32", "int32"))):
            c = Case(chip, name)
            a = values_of(c.random, types[0], (p, n))
            data, dst = c.operand(types[0], p, n, values=a), c.operand(types[1], p, n, layout)
            at, words = affine(c, p, c.operands[dst], c.random)
            c.run("gpsimd", "affine_select", f"cmp_op={o} value=-7.0 {words}", dst=dst, on_true=data)
            kept = a if types[0] == types[1] else from_f32(to_f32(a, types[0]), types[1])
            cases.append(c.want(dst, np.where(op.apply(o, at, 0) != 0, kept, from_f32(F32(-7), types[1]))))
    check(cases)
