"""Products on the tensor engine. Products of small whole numbers are exact; others keep the bound of a chain in fp32."""
import numpy as np

from machine import F32, GENERATIONS, Case, between, check, from_f32, sweep, to_f32

ROWS = {"nc_matmul"}
KMN = [(1, 1, 1), (3, 7, 13), (31, 32, 64), (33, 97, 60), (64, 64, 512), (128, 128, 512), (128, 1, 97)]
PAIRS = [("fp32", "fp32"), ("bf16", "bf16"), ("fp16", "bf16"), ("fp8_e4m3", "fp8_e5m2"), ("tf32", "fp32"), ("fp8_e3m4", "bf16")]


def operands(c, pair, k, m, n, layout, whole):
    def numbers(dtype, shape):
        values = c.random.integers(-3, 4, shape) if whole else c.random.standard_normal(shape)
        return from_f32(values.astype(F32), dtype)
    a, b = numbers(pair[0], (k, m)), numbers(pair[1], (k, n))
    return (a, b, c.operand(pair[0], k, m, "dense", values=a), c.operand(pair[1], k, n, layout, values=b))


def test_products_and_accumulation():
    cases = []
    for chip, (k, m, n), pair, layout, _, name in sweep("matmul", 2, KMN, PAIRS):
        for whole in (True, False):
            c = Case(chip, f"{name} {whole}")
            a, b, st, mv = operands(c, pair, k, m, n, layout, whole)
            dst = c.operand("fp32", m, n, memory="psum")
            x, y = to_f32(a, pair[0]).astype(np.float64), to_f32(b, pair[1]).astype(np.float64)
            # A bank holds 512 of them, and is where the result must lie.
            c.operands[dst].begin, c.operands[dst].offset, c.operands[dst].size = 0, 0, 4 * n
            c.contents[dst] = c.contents[dst][:, :4 * n]
            c.run("tensor", "nc_matmul", dst=dst, stationary=st, moving=mv)
            c.run("tensor", "nc_matmul", "accumulate=1", dst=dst, stationary=st, moving=mv)
            exact, error = 2 * (x.T @ y), (k + 2) * 2.0**-23 * (np.abs(x).T @ np.abs(y))
            if whole:
                c.want(dst, exact.astype(F32) + F32(0))
            else:
                c.want(dst, *between(exact, error, "fp32"))
            cases.append(c)
    check(cases)


def test_transposes_move_bits():
    cases = []
    for chip, (k, m, _), dtype, layout, _, name in sweep("is_transpose", 3, KMN, ("fp32", "bf16", "fp16")):
        c = Case(chip, name)
        size = 4 if dtype == "fp32" else 2
        a = c.random.integers(0, 1 << (8 * size), (k, m), np.uint64).astype(f"uint{8 * size}")
        st = c.operand(dtype, k, m, layout, values=a)
        mv = c.operand(dtype, k, k, values=from_f32(np.eye(k, dtype=F32), dtype))
        dst = c.operand(dtype, m, k, memory="psum")
        c.run("tensor", "nc_matmul", "is_transpose=1", dst=dst, stationary=st, moving=mv)
        c.operands[dst].dtype = f"uint{8 * size}"
        cases.append(c.want(dst, a.T))
    check(cases)


def test_bf16_results_of_generation_4():
    cases = []
    for chip, (k, m, n), pair, layout, _, name in sweep("matmul bf16", 4, KMN, PAIRS[1:3]):
        assert GENERATIONS[chip] == 4
        c = Case(chip, name)
        a, b, st, mv = operands(c, pair, k, m, n, layout, True)
        dst = c.operand("bf16", m, n, memory="psum")
        c.run("tensor", "nc_matmul", dst=dst, stationary=st, moving=mv)
        exact = to_f32(a, pair[0]).astype(np.float64).T @ to_f32(b, pair[1]).astype(np.float64)
        cases.append(c.want(dst, from_f32(exact.astype(F32) + F32(0), "bf16")))
    check(cases)
