"""What the DMA engines move, convert and add."""
import numpy as np

from machine import F32, SHAPES, STORAGE, Case, check, from_f32, sweep, to_f32, values_of

ROWS = {"dma_copy", "dma_transpose", "dma_compute"}
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


TABLE = 29  # rows


def table_of(c, dtype, n, rows=TABLE, specials=True):
    """An operand of so many rows of n elements, and what they hold."""
    values = values_of(c.random, dtype, (rows, n), specials=specials)
    table = c.operand(dtype, 1, rows * n, memory="hbm", values=values)
    c.operands[table].dims = [(n, rows), (1, n)]
    return table, values


def indices_of(c, shape, dtype="uint32", beyond=0, unique=False):
    """An operand of row numbers; the last `beyond` kinds of them name no row."""
    if unique:
        index = c.random.permutation(TABLE + beyond)[:shape[0]].reshape(shape)
    else:
        index = c.random.integers(0, TABLE + beyond, shape)
    stored = index.astype(STORAGE[dtype])
    if dtype == "int32" and beyond:
        stored[index >= TABLE] = -1
    return c.operand(dtype, *shape, values=stored), index


def test_dma_copy_gathers():
    cases = []
    for chip, (p, n), dtype, layout, _, name in sweep("gather", 3, SHAPES, ("fp32", "bf16", "uint8")):
        for mode in ("error", "skip"):
            c = Case(chip, name + mode)
            src, table = table_of(c, dtype, n)
            idx, index = indices_of(c, (p, 1), str(c.random.choice(["int32", "uint32"])), 9 if mode == "skip" else 0)
            before = values_of(c.random, dtype, (p, n))
            dst = c.operand(dtype, p, n, layout, values=before)
            expected = np.where(index < TABLE, table[np.minimum(index[:, 0], TABLE - 1)], before)
            c.run("gpsimd", "dma_copy", f"oob_mode={mode}", dst=dst, src=src, index=idx)
            cases.append(c.want(dst, expected))
    check(cases)


def test_dma_copy_scatters():
    cases = []
    for chip, (p, n), dtype, layout, _, name in sweep("scatter", 3, SHAPES, ("fp32", "fp16", "int8")):
        for mode in ("error", "skip"):
            c = Case(chip, name + mode)
            dst, table = table_of(c, dtype, n)
            idx, index = indices_of(c, (p, 1), str(c.random.choice(["int32", "uint32"])), 9 if mode == "skip" else 0)
            values = values_of(c.random, dtype, (p, n))
            src = c.operand(dtype, p, n, layout, values=values)
            expected = table.copy()
            for k in range(p):  # of equal indices the last one counts
                if index[k, 0] < TABLE:
                    expected[index[k, 0]] = values[k]
            c.run("gpsimd", "dma_copy", f"scatter=1 oob_mode={mode}", dst=dst, src=src, index=idx)
            cases.append(c.want(dst, expected.reshape(1, -1)))
    check(cases)


def test_dma_transpose_of_rows():
    cases = []
    for chip, (p, n), dtype, layout, _, name in sweep("turned rows", 3, SHAPES, ("bf16", "fp16", "uint16")):
        for mode in ("error", "skip"):
            c = Case(chip, name + mode)
            src, table = table_of(c, dtype, p)
            down = 1 if n <= 64 else 3
            across = 128 if down > 1 else 64
            idx, index = indices_of(c, (across, down), beyond=9 if mode == "skip" else 0)
            columns = min(across * down, (n + 15) // 16 * 16)
            before = values_of(c.random, dtype, (p, columns))
            dst = c.operand(dtype, p, columns, layout, values=before)
            flat = index.T.flatten()[:columns]
            expected = np.where(flat < TABLE, table[np.minimum(flat, TABLE - 1)].T, before)
            c.run("gpsimd", "dma_transpose", f"oob_mode={mode}", dst=dst, src=src, index=idx)
            cases.append(c.want(dst, expected))
    check(cases)


def test_dma_compute_of_rows():
    cases = []
    for chip, (p, n), pair, layout, _, name in sweep("summed rows", 3, SHAPES, [("fp32", "fp32"), ("bf16", "fp32"), ("fp32", "int8")]):
        c = Case(chip, name)
        src, table = table_of(c, pair[0], n, specials=False)
        idx, index = indices_of(c, (p, 1))
        before = values_of(c.random, pair[1], (p, n), specials=False)
        dst = c.operand(pair[1], p, n, layout, values=before)
        c.run("gpsimd", "dma_compute", dst=dst, src0=dst, src1=src, index=idx)
        cases.append(c.want(dst, from_f32(to_f32(before, pair[1]) + to_f32(table, pair[0])[index[:, 0]], pair[1])))
    check(cases)


def test_dma_compute_into_rows():
    cases = []
    shapes = [(min(p, TABLE), n) for p, n in SHAPES]
    for chip, (p, n), pair, layout, _, name in sweep("rows summed", 3, shapes, [("fp32", "fp32"), ("bf16", "fp32"), ("int8", "fp16")]):
        for mode in ("error", "skip"):
            c = Case(chip, name + mode)
            dst, table = table_of(c, pair[0], n, specials=False)
            idx, index = indices_of(c, (p, 1), beyond=9 if mode == "skip" else 0, unique=True)
            values = values_of(c.random, pair[1], (p, n), specials=False)
            src = c.operand(pair[1], p, n, layout, values=values)
            expected = table.copy()
            for k in range(p):
                if index[k, 0] < TABLE:
                    row = to_f32(table[index[k, 0]], pair[0]) + to_f32(values[k], pair[1])
                    expected[index[k, 0]] = from_f32(row, pair[0])
            c.run("gpsimd", "dma_compute", f"oob_mode={mode}", dst=dst, src0=dst, src1=src, index=idx)
            cases.append(c.want(dst, expected.reshape(1, -1)))
    check(cases)


def test_modes_of_descriptors_and_classes_change_no_value():
    cases = []
    for chip, (p, n), dtype, layout, _, name in sweep("modes", 3, SHAPES, ("fp32", "bf16")):
        for engine, mode in (("sync", "hwdge"), ("scalar", "hwdge"), ("gpsimd", "swdge"), ("vector", "none")):
            c = Case(chip, name + mode)
            values = values_of(c.random, dtype, (p, n))
            src, dst = c.operand(dtype, p, n, layout, values=values), c.operand(dtype, 1, p * n, "gaps", "hbm")
            priority = " priority=3" if chip == "trn3" else ""
            cases.append(c.run(engine, "dma_copy", f"dge_mode={mode}{priority}", dst=dst, src=src)
                         .want(dst, values.reshape(1, -1)))
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
