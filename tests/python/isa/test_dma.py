"""What the DMA engines move, convert and add."""
import numpy as np

from machine import F32, SHAPES, Case, check, from_f32, sweep, to_f32, values_of

ROWS = {"dma_copy", "dma_transpose", "dma_gather", "dma_compute"}
PAIRS = [("fp32", "fp32"), ("bf16", "fp32"), ("fp32", "fp8_e4m3"), ("int32", "fp32"), ("uint8", "uint8"), ("fp16", "int8")]


def test_dma_copy():
    cases = []
    for chip, (p, n), pair, layout, memory, name in sweep("dma", 2, SHAPES, PAIRS, memories=("sbuf", "hbm")):
        c = Case(chip, name)
        values = values_of(c.random, pair[0], (p, n))
        shape = (1, p * n) if memory == "hbm" else (p, n)
        src = c.operand(pair[0], *shape, layout, memory, values=values.reshape(shape))
        dst = c.operand(pair[1], p, n, "gaps")
        back = c.operand(pair[1], 1, p * n, "gaps", "hbm")
        expected = values if pair[0] == pair[1] else from_f32(to_f32(values, pair[0]), pair[1])
        c.run("sync", "dma_copy", dst=dst, src=src).run("gpsimd", "dma_copy", dst=back, src=dst)
        cases.append(c.want(dst, expected).want(back, expected.reshape(1, -1)))
    check(cases)


def test_dma_transpose():
    cases = []
    for chip, (p, n), dtype, layout, memory, name in sweep("dma_transpose", 2, SHAPES, ("fp32", "bf16", "int32", "uint16"),
                                                          memories=("hbm", "sbuf")):
        if n > 128 and memory == "sbuf":
            continue
        c = Case(chip, name)
        values = values_of(c.random, dtype, (n, p))
        if memory == "hbm":
            src = c.operand(dtype, 1, n * p, memory="hbm", values=values.reshape(1, -1))
            c.operands[src].dims = [(p, n), (1, p)]
        else:
            src = c.operand(dtype, n, p, layout, values=values)
        dst = c.operand(dtype, p, n, layout)
        cases.append(c.run("sync", "dma_transpose", dst=dst, src=src).want(dst, values.T))
    check(cases)


def test_dma_gather():
    cases = []
    for chip, (p, n), dtype, _, _, name in sweep("dma_gather", 3, SHAPES, ("fp32", "bf16", "uint8")):
        c = Case(chip, name)
        table, index = values_of(c.random, dtype, (29, n)), c.random.integers(0, 29, (p, 1))
        src, idx = c.operand(dtype, 1, 29 * n, memory="hbm", values=table), c.operand("int32", p, 1, values=index.astype(np.int32))
        c.operands[src].dims = [(n, 29), (1, n)]
        dst = c.operand(dtype, p, n, "gaps")
        cases.append(c.run("gpsimd", "dma_gather", dst=dst, src=src, index=idx).want(dst, table[index[:, 0]]))
    check(cases)


def test_dma_compute():
    cases = []
    for chip, (p, n), count, layout, _, name in sweep("dma_compute", 2, SHAPES, (1, 2, 3, 16)):
        c = Case(chip, name)
        types = c.random.choice(["fp32", "bf16", "fp16", "int16", "fp8_e5m2"], count)
        sources, total = {}, None
        for k, dtype in enumerate(types):
            values = values_of(c.random, dtype, (p, n), specials=False)
            memory = "hbm" if c.random.random() < 0.4 else "sbuf"
            shape = (1, p * n) if memory == "hbm" else (p, n)
            sources[f"src{k}"] = c.operand(dtype, *shape, layout, memory, values=values.reshape(shape))
            x = to_f32(values, dtype)
            with np.errstate(all="ignore"):
                total = x if total is None else (total + x).astype(F32)
        kind = str(c.random.choice(["fp32", "bf16"]))
        dst = c.operand(kind, p, n, layout)
        cases.append(c.run("sync", "dma_compute", dst=dst, **sources).want(dst, from_f32(total, kind)))
    check(cases)


def test_dma_compute_adds_in_place():
    cases = []
    for chip, (p, n), dtype, layout, _, name in sweep("in place", 2, SHAPES, ("fp32", "bf16")):
        c = Case(chip, name)
        a, b = (values_of(c.random, dtype, (p, n), specials=False) for _ in range(2))
        dst, src = c.operand(dtype, p, n, layout, values=b), c.operand(dtype, p, n, values=a)
        c.run("sync", "dma_compute", dst=dst, src0=dst, src1=src)
        cases.append(c.want(dst, from_f32(to_f32(a, dtype) + to_f32(b, dtype), dtype)))
    check(cases)
