"""Copies, fills and what moves bits from one place to another."""
import numpy as np

from machine import F32, GENERATIONS, SHAPES, Case, check, from_f32, start_of, sweep, to_f32, values_of

ROWS = {"tensor_copy", "memset", "tensor_copy_predicated", "nc_stream_shuffle", "nc_transpose", "wait"}
PAIRS = [("fp32", "fp32"), ("bf16", "bf16"), ("fp32", "bf16"), ("bf16", "fp32"), ("fp16", "fp8_e5m2"),
         ("fp8_e4m3", "fp16"), ("int32", "fp32"), ("fp32", "int8"), ("uint8", "int16"), ("tf32", "fp32"),
         ("fp8_e3m4", "fp32"), ("bool", "fp32"), ("uint16", "uint32"), ("int32", "int32")]


def test_tensor_copy():
    cases = []
    for engine in ("vector", "scalar", "gpsimd"):
        first = 3 if engine == "scalar" else 2
        memories = ("sbuf",) if engine == "gpsimd" else ("sbuf", "psum", "sbuf")
        for chip, (p, n), pair, layout, memory, name in sweep(f"copy {engine}", first, SHAPES, PAIRS, memories=memories):
            c = Case(chip, name)
            values = values_of(c.random, pair[0], (p, n))
            start = start_of(p, c.random)
            src = c.operand(pair[0], p, n, layout, memory, start, values)
            dst = c.operand(pair[1], p, n, "gaps" if layout == "dense" else layout, start=start)
            expected = values if pair[0] == pair[1] else from_f32(to_f32(values, pair[0]), pair[1])
            cases.append(c.run(engine, "tensor_copy", dst=dst, src=src).want(dst, expected))
    check(cases)


def test_packed_elements_move_and_are_cleared():
    cases = []
    for dtype in ("fp8_e4m3fn_x4", "fp8_e5m2_x4", "fp4_e2m1fn_x4"):
        c = Case("trn3", dtype)
        values = c.random.integers(0, 1 << 16, (31, 20)).astype("uint16" if "fp4" in dtype else "uint32")
        src, dst, zero = c.operand(dtype, 31, 20, values=values), c.operand(dtype, 31, 20, "gaps"), c.operand(dtype, 31, 7)
        c.run("vector", "tensor_copy", dst=dst, src=src).run("gpsimd", "memset", dst=zero)
        cases.append(c.want(dst, values).want(zero, np.zeros((31, 7), values.dtype)))
    check(cases)


def test_memset():
    cases = []
    for dtype in ("fp32", "bf16", "fp8_e4m3", "int16", "uint8", "tf32", "bool"):
        for engine in ("vector", "gpsimd"):
            for chip, (p, n), value, layout, _, name in sweep(f"memset {dtype} {engine}", 2, SHAPES[::3], (0.0, 3.0, 100.0)):
                c = Case(chip, name)
                dst = c.operand(dtype, p, n, layout, "psum" if engine == "vector" else "sbuf")
                c.run(engine, "memset", f"value={value}", dst=dst)
                cases.append(c.want(dst, from_f32(np.full((p, n), value, F32), dtype)))
    check(cases)


def test_tensor_copy_predicated():
    cases = []
    for chip, (p, n), dtype, layout, memory, name in sweep("predicated", 2, SHAPES, ("fp32", "bf16", "int32", "uint8"),
                                                          memories=("sbuf", "psum")):
        c = Case(chip, name)
        old, new = values_of(c.random, dtype, (p, n)), values_of(c.random, dtype, (p, n))
        mask = c.random.integers(0, 3, (p, n))
        kind = c.random.choice(["uint8", "uint16", "uint32"])
        dst, pred = c.operand(dtype, p, n, layout, values=old), c.operand(kind, p, n, values=mask.astype(kind))
        reverse = bool(c.random.integers(2))
        src = c.operand(dtype, p, n, "gaps", memory, values=new) if c.random.random() < 0.7 else None
        if src is None:
            new = from_f32(np.full((p, n), 2.5, F32), dtype)
        c.run("vector", "tensor_copy_predicated", f"imm=2.5 reverse_pred={int(reverse)}", dst=dst, src=src, predicate=pred)
        cases.append(c.want(dst, np.where((mask != 0) != reverse, new, old)))
    check(cases)


def test_nc_stream_shuffle():
    cases = []
    for chip, (p, n), dtype, layout, memory, name in sweep("shuffle", 2, [(32, 1), (32, 97), (64, 13), (96, 30), (128, 60)],
                                                          ("fp32", "bf16", "uint8"), memories=("sbuf", "psum")):
        c = Case(chip, name)
        values, old = values_of(c.random, dtype, (p, n)), values_of(c.random, dtype, (p, n))
        mask = np.where(c.random.random(32) < 0.2, 255, c.random.integers(0, 32, 32)).astype(np.uint8)
        src, dst = c.operand(dtype, p, n, layout, memory, values=values), c.operand(dtype, p, n, values=old)
        words = " ".join(f"mask{k}={w:#010x}" for k, w in enumerate(mask.view(np.uint32)))
        expected = old.copy()
        for i in range(p):
            if mask[i % 32] != 255:
                expected[i] = values[i - i % 32 + mask[i % 32]]
        cases.append(c.run("vector", "nc_stream_shuffle", words, dst=dst, src=src).want(dst, expected))
    check(cases)


def test_nc_transpose():
    cases = []
    for chip, (p, n), dtype, layout, memory, name in sweep("transpose vector", 2, [(1, 1), (3, 32), (31, 7), (32, 32)],
                                                          ("fp32", "bf16", "int8"), memories=("sbuf", "psum")):
        c = Case(chip, name)
        values = values_of(c.random, dtype, (p, n))
        src, dst = c.operand(dtype, p, n, layout, memory, values=values), c.operand(dtype, n, p)
        cases.append(c.run("vector", "nc_transpose", dst=dst, data=src).want(dst, values.T))
    for chip, (p, n), dtype, layout, _, name in sweep("transpose tensor", 2, [(1, 1), (13, 128), (128, 31), (128, 128)],
                                                      ("fp32", "bf16", "fp16")):
        c = Case(chip, name)
        values = values_of(c.random, dtype, (p, n), specials=False)
        into = "fp32" if GENERATIONS[chip] < 3 else dtype
        src, dst = c.operand(dtype, p, n, layout, values=values), c.operand(into, n, p, memory="psum")
        cases.append(c.run("tensor", "nc_transpose", dst=dst, data=src).want(dst, from_f32(to_f32(values, dtype), into).T))
    check(cases)


def test_wait_changes_nothing():
    c = Case("trn2", "wait")
    values = values_of(c.random, "fp32", (4, 4))
    n = c.operand("fp32", 4, 4, values=values)
    c.lines.append("sync wait")
    check([c.want(n, values)])
