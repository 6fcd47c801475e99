"""Element-wise arithmetic of the vector, scalar and gpsimd engines."""
import numpy as np

import arithmetic as op
from machine import F32, GENERATIONS, INTEGERS, SHAPES, Case, check, from_f32, start_of, sweep, to_f32, values_of

ROWS = {"tensor_tensor", "tensor_scalar", "scalar_tensor_tensor", "reciprocal"}
TYPES = [("fp32", "fp32", "fp32"), ("bf16", "bf16", "bf16"), ("fp16", "fp32", "fp8_e4m3"), ("int16", "fp32", "int8"),
         ("tf32", "uint8", "bf16"), ("fp8_e5m2", "fp8_e3m4", "fp16"), ("int32", "int32", "fp32")]


def legal(name, chip):
    return GENERATIONS[chip] >= op.NEWER.get(name, 2)


def test_tensor_tensor():
    cases = []
    for o in op.BINARY:
        for chip, (p, n), types, layout, memory, name in sweep(f"tensor_tensor {o}", 2, SHAPES[1::2], TYPES,
                                                              memories=("sbuf", "psum", "sbuf")):
            if not legal(o, chip):
                continue
            c = Case(chip, name)
            a, b = values_of(c.random, types[0], (p, n)), values_of(c.random, types[1], (p, n))
            start = start_of(p, c.random)
            data1 = c.operand(types[0], p, n, layout, memory, start, a)
            data2 = c.operand(types[1], p, n, "dense", "sbuf", start, b)
            dst = c.operand(types[2], p, n, layout, "sbuf", start)
            c.run("vector", "tensor_tensor", f"op={o}", dst=dst, data1=data1, data2=data2)
            expected = op.apply(o, to_f32(a, types[0]), to_f32(b, types[1]))
            cases.append(c.want(dst, from_f32(expected, types[2])))
    check(cases)


def test_tensor_tensor_on_bits_and_integers():
    cases = []
    for o, f in op.BITS.items():
        for chip, (p, n), dtype, layout, _, name in sweep(f"bits {o}", 2, SHAPES[::3], INTEGERS):
            c = Case(chip, name)
            a, b = values_of(c.random, dtype, (p, n)), values_of(c.random, dtype, (p, n))
            if o.startswith("shift"):
                b = (np.abs(b.astype(np.int64)) % 40).astype(dtype)
            data1, data2 = c.operand(dtype, p, n, layout, values=a), c.operand(dtype, p, n, values=b)
            dst = c.operand(dtype, p, n, layout)
            c.run("vector", "tensor_tensor", f"op={o}", dst=dst, data1=data1, data2=data2)
            cases.append(c.want(dst, f(op.unsigned(a), op.unsigned(b)).view(dtype)))
    for o in ("add", "subtract", "multiply"):  # modulo 2^32 on gpsimd
        for chip, (p, n), dtype, layout, _, name in sweep(f"integers {o}", 2, SHAPES[::3], ("int32", "uint32")):
            c = Case(chip, name)
            a, b = (c.random.integers(0, 1 << 32, (p, n), np.uint64).astype(np.uint32) for _ in range(2))
            data1, data2 = c.operand(dtype, p, n, layout, values=a), c.operand(dtype, p, n, values=b)
            dst = c.operand(dtype, p, n)
            c.run("gpsimd", "tensor_tensor", f"op={o}", dst=dst, data1=data1, data2=data2)
            expected = {"add": a + b, "subtract": a - b, "multiply": a * b}[o]
            cases.append(c.want(dst, expected.view(dtype)))
    check(cases)


def test_power():
    """On gpsimd: within an fp32 unit of the real power."""
    cases = []
    for chip, (p, n), dtype, layout, _, name in sweep("power", 2, SHAPES[::2], ("fp32", "bf16")):
        c = Case(chip, name)
        a = np.exp2(c.random.uniform(-8, 8, (p, n))).astype(F32)
        b = from_f32(c.random.uniform(-9, 9, (p, n)), dtype)
        data1, data2, dst = (c.operand("fp32", p, n, layout, values=a), c.operand(dtype, p, n, values=b),
                             c.operand("fp32", p, n))
        c.run("gpsimd", "tensor_tensor", "op=power", dst=dst, data1=data1, data2=data2)
        exact = a.astype(np.float64) ** to_f32(b, dtype).astype(np.float64)
        # Small whole exponents are up to seven multiplications.
        cases.append(c.want(dst, (exact * (1 - 5e-7)).astype(F32), (exact * (1 + 5e-7)).astype(F32)))
    check(cases)


def scalar(c, n, p, chance=0.5):
    """One value per partition or an immediate: operand, attribute, values."""
    if c.random.random() < chance:
        values = values_of(c.random, "fp32", (p, 1))
        return c.operand("fp32", p, 1, values=values), "", values
    value = F32(c.random.choice([0.5, -2.0, 3.25]))
    return None, op.floats(f"imm{n}", value), value


def late(o):
    return o in ("square", "relu")


def test_tensor_scalar():
    cases = []
    ops = [o for o in op.OPERATORS if not late(o)]
    for k, first in enumerate(op.OPERATORS):
        for chip, (p, n), types, layout, memory, name in sweep(f"tensor_scalar {first}", 4 if late(first) else 2,
                                                              SHAPES[::2], TYPES[:5], memories=("sbuf", "psum", "sbuf")):
            c = Case(chip, name)
            second = ops[(k + n) % len(ops)]
            if not legal(first, chip) or not legal(second, chip):
                continue
            a = values_of(c.random, types[0], (p, n))
            data, dst = c.operand(types[0], p, n, layout, memory, values=a), c.operand(types[2], p, n, layout)
            (s0, imm0, v0), (s1, imm1, v1) = scalar(c, 0, p), scalar(c, 1, p)
            r0, r1 = c.random.integers(0, 2, 2)
            engine = "scalar" if GENERATIONS[chip] >= 4 and n % 2 else "vector"
            c.run(engine, "tensor_scalar", f"op0={first} {imm0} reverse0={r0} op1={second} {imm1} reverse1={r1}",
                  dst=dst, data=data, operand0=s0, operand1=s1)
            t = op.apply(first, to_f32(a, types[0]), v0, r0)
            cases.append(c.want(dst, from_f32(op.apply(second, t, v1, r1), types[2])))
    check(cases)


def test_tensor_scalar_of_the_scalar_and_gpsimd_engines():
    cases = []
    for first, second in (("multiply", "add"), ("multiply", "bypass"), ("add", "bypass"), ("rsqrt", "bypass")):
        engine, generation = ("gpsimd", 2) if first == "rsqrt" else ("scalar", 3)
        for chip, (p, n), types, layout, _, name in sweep(f"{engine} {first} {second}", generation, SHAPES, TYPES):
            c = Case(chip, name)
            a = values_of(c.random, types[0], (p, n))
            data, dst = c.operand(types[0], p, n, layout, values=a), c.operand(types[2], p, n, layout)
            (s0, imm0, v0), (s1, imm1, v1) = scalar(c, 0, p), scalar(c, 1, p)
            c.run(engine, "tensor_scalar", f"op0={first} {imm0} op1={second} {imm1}", dst=dst, data=data,
                  operand0=s0, operand1=s1)
            expected = op.apply(second, op.apply(first, to_f32(a, types[0]), v0), v1)
            cases.append(c.want(dst, from_f32(expected, types[2])))
    check(cases)


def test_tensor_scalar_on_bits():
    cases = []
    for o, f in op.BITS.items():
        for chip, (p, n), dtype, layout, _, name in sweep(f"tensor_scalar {o}", 2, SHAPES[::3], INTEGERS):
            c = Case(chip, name)
            a = values_of(c.random, dtype, (p, n))
            s = c.random.integers(0, 8 if o.startswith("shift") else 100, (p, 1)).astype(dtype)
            data, dst = c.operand(dtype, p, n, layout, values=a), c.operand(dtype, p, n)
            c.run("vector", "tensor_scalar", f"op0={o}", dst=dst, data=data, operand0=c.operand(dtype, p, 1, values=s))
            cases.append(c.want(dst, f(op.unsigned(a), np.broadcast_to(op.unsigned(s), a.shape)).view(dtype)))
    check(cases)


def test_scalar_tensor_tensor():
    cases = []
    ops = [o for o in op.OPERATORS if not late(o)]
    for k, first in enumerate(ops):
        for chip, (p, n), types, layout, memory, name in sweep(f"stt {first}", 2, SHAPES[1::2], TYPES[:5],
                                                              memories=("sbuf", "psum")):
            second = ops[(5 * k + n) % len(ops)]
            if not legal(first, chip) or not legal(second, chip):
                continue
            c = Case(chip, name)
            a, b = values_of(c.random, types[0], (p, n)), values_of(c.random, types[1], (p, n))
            data, other = c.operand(types[0], p, n, layout, memory, values=a), c.operand(types[1], p, n, values=b)
            dst = c.operand(types[2], p, n, layout)
            (s0, imm0, v0), (r0, r1) = scalar(c, 0, p), c.random.integers(0, 2, 2)
            c.run("vector", "scalar_tensor_tensor", f"op0={first} {imm0} reverse0={r0} op1={second} reverse1={r1}",
                  dst=dst, data=data, operand0=s0, operand1=other)
            t = op.apply(first, to_f32(a, types[0]), v0, r0)
            cases.append(c.want(dst, from_f32(op.apply(second, t, to_f32(b, types[1]), r1), types[2])))
    check(cases)


def test_reciprocal():
    cases = []
    for chip, (p, n), types, layout, memory, name in sweep("reciprocal", 2, SHAPES, TYPES, memories=("sbuf", "psum")):
        c = Case(chip, name)
        a = values_of(c.random, types[0], (p, n))
        data, dst = c.operand(types[0], p, n, layout, memory, values=a), c.operand(types[2], p, n, layout)
        c.run("vector", "reciprocal", dst=dst, data=data)
        cases.append(c.want(dst, from_f32(op.UNARY["reciprocal"](to_f32(a, types[0]), 0), types[2])))
    check(cases)
