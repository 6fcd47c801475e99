"""Reductions, scans and accumulators. Sums of small whole numbers are exact in any order; others are held to the bound of
summing n terms in fp32."""
import numpy as np

import arithmetic as op
from machine import F32, SHAPES, Case, between, check, from_f32, sweep, to_f32, values_of

ROWS = {"tensor_reduce", "tensor_partition_reduce", "tensor_tensor_scan", "tensor_scalar_reduce", "tensor_scalar_cumulative",
        "bn_stats", "bn_aggr"}
EXACT = {"max": np.max, "min": np.min, "logical_and": lambda x, axis: (x != 0).all(axis),
         "logical_or": lambda x, axis: (x != 0).any(axis)}
FINITE = ("fp32", "bf16", "fp16", "int8")


def finite(c, dtype, shape):
    return values_of(c.random, dtype, shape, specials=False)


def whole(c, dtype, shape):
    return c.random.integers(-4, 5, shape).astype(F32) if dtype == "fp32" else from_f32(
        c.random.integers(-4, 5, shape).astype(F32), dtype)


def test_tensor_reduce():
    cases = []
    for o in ("add", "max", "min", "logical_and", "logical_or"):
        for chip, (p, n), dtype, layout, memory, name in sweep(f"reduce {o}", 2, SHAPES, FINITE, memories=("sbuf", "psum")):
            c = Case(chip, name)
            a = whole(c, dtype, (p, n)) if o == "add" else finite(c, dtype, (p, n))
            data, dst = c.operand(dtype, p, n, layout, memory, values=a), c.operand("fp32", p, 1)
            axes = len(c.operands[data].dims)
            negate = int(c.random.integers(2))
            c.run("vector", "tensor_reduce", f"op={o} axes={axes} negate={negate}", dst=dst, data=data)
            x = to_f32(a, dtype)
            result = np.sum(x, 1, dtype=np.float64) if o == "add" else EXACT[o](x, axis=1)
            result = np.asarray(result, F32)[:, None] * (F32(-1) if negate else F32(1))
            cases.append(c.want(dst, from_f32(result, "fp32")))
    check(cases)


def test_tensor_reduce_of_the_last_dimensions():
    cases = []
    for chip, (p, n), dtype, _, _, name in sweep("reduce last", 2, [(1, 1), (7, 12), (128, 60)], ("fp32", "bf16")):
        c = Case(chip, name)
        a = whole(c, dtype, (p, n))
        data, dst = c.operand(dtype, p, n, values=a), c.operand("fp32", p, max(1, n // 6))
        c.operands[data].dims = [(6, n // 6), (3, 2), (1, 3)] if n > 1 else [(1, 1)]
        c.run("vector", "tensor_reduce", f"axes={2 if n > 1 else 1}", dst=dst, data=data)
        cases.append(c.want(dst, to_f32(a, dtype).reshape(p, -1, 6 if n > 1 else 1).sum(2)))
    check(cases)


def test_sums_of_any_numbers_keep_the_bound():
    cases = []
    for chip, (p, n), dtype, layout, _, name in sweep("sum", 2, SHAPES, FINITE[:3]):
        c = Case(chip, name)
        a = finite(c, dtype, (p, n))
        data, dst = c.operand(dtype, p, n, layout, values=a), c.operand("fp32", p, 1)
        c.run("vector", "tensor_reduce", f"axes={len(c.operands[data].dims)}", dst=dst, data=data)
        wide = to_f32(a, dtype).astype(np.float64)
        error = n * 2.0**-24 * np.abs(wide).sum(1) + 1e-30
        cases.append(c.want(dst, *between(wide.sum(1)[:, None], error[:, None], "fp32")))
    check(cases)


def test_tensor_partition_reduce():
    cases = []
    for o in ("add", "average", "max", "bit_and", "bit_or"):
        types = ("int32", "uint8") if o.startswith("bit") else ("fp32", "bf16", "int8")
        for chip, (p, n), dtype, layout, _, name in sweep(f"partitions {o}", 2, SHAPES, types):
            c = Case(chip, name)
            a = whole(c, dtype, (p, n)) if o in ("add", "average") else finite(c, dtype, (p, n))
            data, dst = c.operand(dtype, p, n, layout, values=a), c.operand(dtype, 1, n)
            c.run("gpsimd", "tensor_partition_reduce", "average=1" if o == "average" else f"op={o}", dst=dst, data=data)
            if o.startswith("bit"):
                result = (np.bitwise_and if o == "bit_and" else np.bitwise_or).reduce(a, 0)[None]
            else:
                x = to_f32(a, dtype)
                result = x.max(0) if o == "max" else x.sum(0, dtype=np.float64).astype(F32)
                result = from_f32(result / F32(p) if o == "average" else result, dtype)[None]
            cases.append(c.want(dst, result))
    check(cases)


def test_tensor_tensor_scan():
    cases = []
    for o0, o1 in (("multiply", "add"), ("add", "max"), ("subtract", "subtract"), ("min", "multiply"), ("ge", "add")):
        for chip, (p, n), dtype, layout, memory, name in sweep(f"scan {o0} {o1}", 2, SHAPES, ("fp32", "bf16"),
                                                              memories=("sbuf", "psum")):
            c = Case(chip, name)
            a, b = values_of(c.random, dtype, (p, n)), values_of(c.random, "fp32", (p, n))
            data0, data1 = c.operand(dtype, p, n, layout, memory, values=a), c.operand("fp32", p, n, values=b)
            dst, (r0, r1) = c.operand(dtype, p, n, layout), c.random.integers(0, 2, 2)
            initial, start = None, np.full(p, 0.75, F32)
            if n % 2:
                start = values_of(c.random, "fp32", (p, 1))[:, 0]
                initial = c.operand("fp32", p, 1, values=start)
            c.run("vector", "tensor_tensor_scan", f"op0={o0} op1={o1} imm=0.75 reverse0={r0} reverse1={r1}", dst=dst,
                  data0=data0, data1=data1, initial=initial)
            x = to_f32(a, dtype)
            out = op.scan(lambda s, i: op.apply(o1, op.apply(o0, x[:, i], s, r0), b[:, i], r1), start, x)
            cases.append(c.want(dst, from_f32(out, dtype)))
    check(cases)


IDENTITY = {"add": 0.0, "subtract": 0.0, "multiply": 1.0, "max": -np.inf, "min": np.inf}


def test_tensor_scalar_reduce():
    """Three in a row: from the identity, onwards, from a value; the accumulators live in between."""
    cases = []
    for o in ("add", "multiply", "max", "min"):
        for chip, (p, n), dtype, layout, memory, name in sweep(f"scalar reduce {o}", 2, SHAPES[:8], ("fp32", "bf16", "int8"),
                                                              memories=("sbuf", "psum")):
            c = Case(chip, name)
            x = c.random.choice([1.0, 2.0, -1.0], (p, n)) if o == "multiply" and n < 20 else np.ones((p, n))
            a = from_f32(x.astype(F32), dtype) if o == "multiply" else whole(c, dtype, (p, n))
            start = c.random.integers(-3, 4, (p, 1)).astype(F32)
            data, initial = c.operand(dtype, p, n, layout, memory, values=a), c.operand("fp32", p, 1, values=start)
            outs = [c.operand("fp32", p, 1) for _ in range(3)]
            dst = c.operand("fp32", p, n)
            first = "multiply" if o == "multiply" else "subtract"
            s = F32(-1) if o == "multiply" else F32(2)
            t = op.apply(first, to_f32(a, dtype), s)
            row = {"add": t.sum(1), "multiply": t.prod(1), "max": t.max(1), "min": t.min(1)}[o][:, None].astype(F32)
            held = op.apply(o, F32(IDENTITY[o]), row)
            for k, (cmd, negate) in enumerate((("reset_reduce", 0), ("reduce", 1), ("load_reduce", 0))):
                held = held if k == 0 else op.apply(o, held, row) if k == 1 else op.apply(o, start, row)
                c.run("vector", "tensor_scalar_reduce",
                      f"op0={first} imm0={float(s)} reduce_op={o} reduce_cmd={cmd} negate={negate}", dst=dst, data=data,
                      initial=initial if k == 2 else None, reduce_res=outs[k])
                c.want(outs[k], -held if negate else held)
            cases.append(c.want(dst, t))
    check(cases)


def test_tensor_scalar_cumulative():
    cases = []
    for o in IDENTITY:
        for chip, (p, n), dtype, layout, memory, name in sweep(f"cumulative {o}", 2, SHAPES[:8], ("fp32", "bf16", "int16"),
                                                              memories=("sbuf", "psum")):
            c = Case(chip, name)
            a, b = values_of(c.random, dtype, (p, n)), values_of(c.random, dtype, (p, n))
            src, more = c.operand(dtype, p, n, layout, memory, values=a), c.operand(dtype, p, n, values=b)
            dst, after = c.operand("fp32", p, n, layout), c.operand(dtype, p, n)
            for s, d, cmd in ((src, dst, "reset_reduce"), (more, after, "reduce")):
                c.run("vector", "tensor_scalar_cumulative", f"op0=multiply imm0=0.5 op1={o} reduce_cmd={cmd}", dst=d, src=s)
            start = np.full(p, IDENTITY[o], F32)
            for values, d, kind in ((a, dst, "fp32"), (b, after, dtype)):
                x = op.apply("multiply", to_f32(values, dtype), F32(0.5))
                out = op.scan(lambda r, i: op.apply(o, x[:, i], r), start, x)
                start = out[:, -1]
                c.want(d, from_f32(out, kind))
            cases.append(c)
    check(cases)


def test_batch_statistics():
    """bn_stats of whole numbers, then bn_aggr of two of its results: mean and variance."""
    cases = []
    for chip, (p, n), dtype, layout, memory, name in sweep("bn", 2, [(1, 1), (7, 13), (33, 97), (128, 512)], FINITE,
                                                          memories=("sbuf", "psum")):
        c = Case(chip, name)
        a = finite(c, dtype, (p, n))
        x = to_f32(a, dtype).astype(np.float64)
        data, stats = c.operand(dtype, p, n, layout, memory, values=a), c.operand("fp32", p, 6)
        out = c.operand("fp32", p, 2)
        c.run("vector", "bn_stats", dst=stats, data=data).run("vector", "bn_aggr", dst=out, data=stats)
        exact, error = np.zeros((p, 6)), np.zeros((p, 6))
        for k, part in enumerate((x[:, 0::2], x[:, 1::2])):
            count = part.shape[1]
            exact[:, 3 * k] = count
            if count:
                mean, scale = part.mean(1), np.abs(part).max(1) + 1e-30
                exact[:, 3 * k + 1], exact[:, 3 * k + 2] = mean, ((part - mean[:, None]) ** 2).sum(1)
                error[:, 3 * k + 1], error[:, 3 * k + 2] = n * 2.0**-23 * scale, n * n * 2.0**-20 * scale**2
        c.want(stats, *between(exact, error, "fp32"))
        whole_error = (n + 4) * 2.0**-20 * np.stack([np.abs(x).max(1) + 1e-30, np.abs(x).max(1) ** 2 * n + 1e-30], 1)
        cases.append(c.want(out, *between(np.stack([x.mean(1), x.var(1)], 1), whole_error, "fp32")))
    check(cases)
