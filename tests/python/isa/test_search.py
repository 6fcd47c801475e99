"""Searches, gathers and what finds places."""
import numpy as np

from machine import F32, SHAPES, Case, check, from_f32, signless, sweep, to_f32, values_of

ROWS = {"max8", "nc_find_index8", "nc_match_replace8", "topk", "nonzero_with_count", "sequence_bounds", "nc_n_gather",
        "local_gather"}
WIDE = [(1, 8), (7, 13), (33, 97), (128, 60), (2, 16384)]
KINDS = ("fp32", "bf16", "fp8_e4m3", "int16")


def test_max8():
    cases = []
    for chip, (p, n), dtype, layout, memory, name in sweep("max8", 2, WIDE, KINDS, ("dense", "gaps"), ("sbuf", "psum")):
        if memory == "psum" and n > 1000:
            memory = "sbuf"
        c = Case(chip, name)
        a = values_of(c.random, dtype, (p, n), specials=False)
        src, dst = c.operand(dtype, p, n, layout, memory, values=a), c.operand("fp32", p, 8)
        expected = -np.sort(-to_f32(a, dtype), axis=1)[:, :8]
        cases.append(c.run("vector", "max8", dst=dst, src=src).want(dst, *signless(expected)))
    check(cases)


def few(c, dtype, shape):
    """Few values, so that some come again and some are absent."""
    return from_f32(c.random.integers(1, 9, shape).astype(F32), dtype)


def test_nc_find_index8():
    cases = []
    for chip, (p, n), dtype, layout, _, name in sweep("find", 2, WIDE, KINDS, ("dense", "gaps")):
        c = Case(chip, name)
        a, vals = few(c, dtype, (p, n)), few(c, "fp32", (p, 8)) * 2
        kind = "uint16" if n % 2 else "uint32"
        data, v, dst = c.operand(dtype, p, n, layout, values=a), c.operand("fp32", p, 8, values=vals), c.operand(kind, p, 8)
        expected = np.full((p, 8), -1, np.int64)
        for i in range(p):
            seen = {}
            for k, value in enumerate(vals[i]):
                places = np.flatnonzero(to_f32(a[i], dtype) == value)
                at = seen.get(value, 0)
                seen[value] = at + 1
                if at < len(places):
                    expected[i, k] = places[at]
        c.run("vector", "nc_find_index8", dst=dst, data=data, vals=v)
        cases.append(c.want(dst, expected.astype(np.uint64).astype(kind)))
    check(cases)


def test_nc_match_replace8():
    cases = []
    for chip, (p, n), dtype, layout, memory, name in sweep("match", 2, WIDE[:4], KINDS, ("dense", "gaps"), ("sbuf", "psum")):
        c = Case(chip, name)
        a, vals = few(c, dtype, (p, n)), few(c, "fp32", (p, 8)) * 2
        data, v = c.operand(dtype, p, n, layout, memory, values=a), c.operand("fp32", p, 8, values=vals)
        dst, idx = c.operand(dtype, p, n, layout), c.operand("uint32", p, 8)
        x, places = to_f32(a, dtype).copy(), np.full((p, 8), 0xFFFFFFFF, np.uint32)
        for i in range(p):
            left = list(range(n))
            for k in range(7, -1, -1):
                at = next((j for j in left if to_f32(a[i], dtype)[j] == vals[i, k]), None)
                if at is not None:
                    left.remove(at)
                    x[i, at], places[i, k] = -9, at
        c.run("vector", "nc_match_replace8", "imm=-9.0", dst=dst, data=data, vals=v, dst_idx=idx)
        cases.append(c.want(dst, from_f32(x, dtype)).want(idx, places))
    check(cases)


def test_topk():
    cases = []
    for chip, (p, n), k, layout, _, name in sweep("topk", 2, [(16, 1), (32, 7), (128, 40)], (1, 5, 16), ("dense", "gaps")):
        c = Case(chip, name)
        count = max(8, 16 * n - int(c.random.integers(0, 8)))
        k = min(k, count)
        a = from_f32(c.random.integers(-50, 50, (p, n)).astype(F32), "bf16")
        src, val, idx = c.operand("bf16", p, n, layout, values=a), c.operand("bf16", p, k), c.operand("uint32", p, k)
        values, places = np.empty((p, k), a.dtype), np.empty((p, k), np.uint32)
        for g in range(0, p, 16):
            snake = to_f32(a[g:g + 16], "bf16").T.reshape(-1)[:count]
            order = np.lexsort((np.arange(count), -snake))[:k][::-1]
            values[g:g + 16], places[g:g + 16] = from_f32(snake[order], "bf16"), order
        c.run("gpsimd", "topk", f"n={count}", val_dst=val, idx_dst=idx, src=src)
        cases.append(c.want(val, values).want(idx, places))
    check(cases)


def test_nonzero_with_count():
    cases = []
    for chip, (p, n), dtype, layout, _, name in sweep("nonzero", 3, SHAPES, ("fp32", "int32")):
        c = Case(chip, name)
        a = (c.random.integers(0, 2, (p, n)) * c.random.integers(-5, 5, (p, n))).astype("float32" if dtype == "fp32" else dtype)
        old = values_of(c.random, "int32", (p, n + 1))
        src, dst = c.operand(dtype, p, n, layout, values=a), c.operand("int32", p, n + 1, values=old)
        expected = old.copy()
        for i in range(0, p, 16):
            places = np.flatnonzero(a[i])
            expected[i] = -3
            expected[i, :len(places)], expected[i, n] = places + 7, len(places)
        c.run("gpsimd", "nonzero_with_count", "index_offset=7 padding_val=-3", dst=dst, src=src)
        cases.append(c.want(dst, expected))
    check(cases)


def test_sequence_bounds():
    cases = []
    for chip, (_, n), dtype, layout, _, name in sweep("bounds", 2, SHAPES, ("fp32", "int32")):
        c = Case(chip, name)
        runs = np.repeat(c.random.integers(0, 4, n), c.random.integers(1, 5, n))[:n]
        ids = runs.astype("float32" if dtype == "fp32" else dtype)
        src, dst = c.operand(dtype, 1, n, layout, values=ids), c.operand(dtype, 1, 2 * n)
        begin, end = np.empty(n), np.empty(n)
        for i in range(n):
            first = last = i
            while first > 0 and runs[first - 1] == runs[i]:
                first -= 1
            while last + 1 < n and runs[last + 1] == runs[i]:
                last += 1
            begin[i], end[i] = (n, -1) if runs[i] == 0 else (first, last + 1)
        c.run("gpsimd", "sequence_bounds", dst=dst, segment_ids=src)
        cases.append(c.want(dst, np.concatenate([begin, end])[None].astype(ids.dtype)))
    check(cases)


def test_nc_n_gather():
    cases = []
    for chip, (p, n), dtype, layout, _, name in sweep("n_gather", 2, SHAPES, ("fp32", "bf16", "uint8")):
        c = Case(chip, name)
        a, index = values_of(c.random, dtype, (p, 37)), c.random.integers(0, 37, (p, n)).astype(np.uint32)
        data, idx = c.operand(dtype, p, 37, "gaps", values=a), c.operand("uint32", p, n, layout, values=index)
        dst = c.operand(dtype, p, n, layout)
        c.run("gpsimd", "nc_n_gather", dst=dst, data=data, indices=idx)
        cases.append(c.want(dst, np.take_along_axis(a, index.astype(int), 1)))
    check(cases)


def test_local_gather():
    cases = []
    for chip, (p, n), e, layout, _, name in sweep("local_gather", 2, [(16, 1), (32, 3), (128, 2)], (1, 2, 4, 8, 16, 32)):
        for dtype in ("fp32", "bf16", "uint8"):
            c = Case(chip, f"{name} {dtype}")
            a, index = values_of(c.random, dtype, (p, 5 * e)), c.random.integers(0, 5, (p, n)).astype(np.uint16)
            data, idx = c.operand(dtype, p, 5 * e, values=a), c.operand("uint16", p, n, layout, values=index)
            count = 16 * n - int(c.random.integers(0, 10))
            dst = c.operand(dtype, p, count * e)
            expected = np.empty((p, count * e), a.dtype)
            for g in range(0, p, 16):
                order = index[g:g + 16].T.reshape(-1)[:count].astype(int)
                columns = (order[:, None] * e + np.arange(e)).reshape(-1)
                expected[g:g + 16] = a[g:g + 16][:, columns]
            c.run("gpsimd", "local_gather", f"num_elem_per_idx={e} num_valid_indices={count}", dst=dst, src_buffer=data,
                  index=idx)
            cases.append(c.want(dst, expected))
    check(cases)
