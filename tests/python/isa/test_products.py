"""Products of scaled (MX) and sparse operands, and what makes the former, in float64."""
import ml_dtypes
import numpy as np

from machine import F32, GENERATIONS, Case, between, check, chips, from_f32, to_f32

ROWS = {"nc_matmul_mx", "nc_matmul_sparse", "quantize_mx"}
PACKED = {"fp8_e4m3fn_x4": ml_dtypes.float8_e4m3fn, "fp8_e5m2_x4": ml_dtypes.float8_e5m2,
          "fp4_e2m1fn_x4": ml_dtypes.float4_e2m1fn}
KMN = [(32, 2, 1), (32, 32, 7), (64, 64, 97), (128, 128, 512)]


def packed(c, dtype, partitions, elements):
    """Random elements of four numbers, and the numbers [partitions, elements, 4]."""
    numbers = (c.random.standard_normal((partitions, elements, 4)) * 2).astype(F32).astype(PACKED[dtype])
    bits = numbers.view(np.uint8)
    if dtype.startswith("fp4"):
        words = sum((bits[..., q].astype(np.uint16) & 15) << (4 * q) for q in range(4)).astype(np.uint16)
    else:
        words = np.ascontiguousarray(bits).view(np.uint32)[..., 0]
    return words, numbers.astype(np.float64)


def scale_places(partitions):
    """The partition of the scale of each partition of data."""
    p = np.arange(partitions)
    return p // 32 * 32 + p % 32 // 8


def scales(c, partitions, elements):
    held = 4 if partitions == 32 else partitions
    return c.random.integers(124, 131, (held, elements)).astype(np.uint8)


def bound(k, a, b):
    return (k + 2) * 2.0**-23 * np.einsum("kmq,knq->mn", np.abs(a), np.abs(b))


def test_nc_matmul_mx():
    cases = []
    for chip in chips(4):
        for n, (k, m, columns) in enumerate(KMN):
            for st in PACKED:
                for mv in PACKED:
                    c = Case(chip, f"mx {chip} {k} {m} {columns} {st} {mv}")
                    a_words, a = packed(c, st, k, m)
                    b_words, b = packed(c, mv, k, columns)
                    a_scale, b_scale = scales(c, k, m), scales(c, k, columns)
                    a = a * np.exp2(a_scale[scale_places(k)].astype(float) - 127)[..., None]
                    b = b * np.exp2(b_scale[scale_places(k)].astype(float) - 127)[..., None]
                    dst = c.operand("fp32", m, columns, memory="psum")
                    c.run("tensor", "nc_matmul_mx", dst=dst, stationary=c.operand(st, k, m, values=a_words),
                          moving=c.operand(mv, k, columns, "gaps" if n % 2 else "dense", values=b_words),
                          stationary_scale=c.operand("uint8", len(a_scale), m, values=a_scale),
                          moving_scale=c.operand("uint8", len(b_scale), columns, values=b_scale))
                    cases.append(c.want(dst, *between(np.einsum("kmq,knq->mn", a, b), bound(4 * k, a, b) + 1e-30, "fp32")))
    check(cases)


def test_quantize_mx():
    cases = []
    for chip in chips(4):
        for partitions in (32, 64, 128):
            for f in (1, 7, 60):
                for dtype, source in (("fp8_e4m3fn_x4", "bf16"), ("fp8_e5m2_x4", "fp16")):
                    c = Case(chip, f"quantize {chip} {partitions} {f} {dtype}")
                    a = from_f32((c.random.standard_normal((partitions, 4 * f)) * 3).astype(F32), source)
                    a[:8] = 0  # groups of zeros
                    x = to_f32(a, source).astype(np.float64).reshape(partitions, f, 4)
                    largest = np.abs(x).reshape(partitions // 8, 8, f, 4).max((1, 3))
                    emax = 8 if "e4m3" in dtype else 15
                    with np.errstate(divide="ignore"):
                        exponent = np.where(largest > 0, np.floor(np.log2(largest)) - emax + 1, -127)
                    divided = x / np.exp2(np.repeat(exponent, 8, 0))[..., None]
                    expected = np.ascontiguousarray(divided.astype(F32).astype(PACKED[dtype]).view(np.uint8)).view(np.uint32)[..., 0]
                    held = 4 if partitions == 32 else partitions
                    old = c.random.integers(0, 256, (held, f)).astype(np.uint8)
                    wanted = old.copy()
                    wanted[scale_places(partitions)[::8]] = exponent + 127
                    dst, scale = c.operand(dtype, partitions, f, "gaps"), c.operand("uint8", held, f, values=old)
                    c.run("vector", "quantize_mx", dst=dst, src=c.operand(source, partitions, 4 * f, values=a), dst_scale=scale)
                    cases.append(c.want(dst, expected).want(scale, wanted))
    check(cases)


def test_nc_matmul_sparse():
    cases = []
    for chip in chips(3):
        for kept, of in ((4, 16), (4, 12), (4, 8), (2, 8), (2, 4), (1, 4), (1, 2)):
            for k, m, n in ((4, 1, 1), (32, 31, 13), (64, 64, 97), (128, 128, 128)):
                for dtype in ("bf16", "fp16", "tf32") + (("fp8_e4m3",) if GENERATIONS[chip] == 3 else ()):
                    c = Case(chip, f"sparse {chip} {kept}:{of} {k} {m} {n} {dtype}")
                    ratio = of // kept
                    a = from_f32(c.random.standard_normal((k, m)).astype(F32), dtype)
                    b = from_f32(c.random.standard_normal((k, ratio * n)).astype(F32), dtype)
                    tags = c.random.integers(0, of, (k, (m + 3) // 4 * 4))
                    words = sum(tags[:, q::4] << (4 * q) for q in range(4)).astype(np.uint16)
                    x, y = to_f32(a, dtype).astype(np.float64), to_f32(b, dtype).astype(np.float64).reshape(k, ratio, n)
                    group = np.arange(k)[:, None] // kept * kept
                    chosen = y[group + tags[:, :m] // ratio, tags[:, :m] % ratio]  # [k, m, n]
                    exact, error = np.einsum("km,kmn->mn", x, chosen), np.einsum("km,kmn->mn", np.abs(x), np.abs(chosen))
                    moving = c.operand(dtype, k, ratio * n, values=b)
                    c.operands[moving].dims = [(n, ratio), (1, n)]
                    dst = c.operand("fp32", m, n, memory="psum")
                    c.run("tensor", "nc_matmul_sparse", f"kept={kept} of={of}", dst=dst, moving=moving,
                          stationary=c.operand(dtype, k, m, values=a), tags=c.operand("uint16", k, (m + 3) // 4, values=words))
                    cases.append(c.want(dst, *between(exact, (k + 2) * 2.0**-23 * error + 1e-30, "fp32")))
    check(cases)
