#!/usr/bin/env python3
"""Fits the polynomials of the activation functions and prints src/numerics/activation_tables.inc.

Each row is a minimax fit (Remez exchange on a Chebyshev grid) of the relative error, in decimal arithmetic of 90
digits, so that every machine prints the same file. Usage: fit_activation_tables.py > src/numerics/activation_tables.inc
"""
import struct
import sys
from decimal import Decimal as D, getcontext

getcontext().prec = 90
ONE, TWO, HALF = D(1), D(2), D("0.5")


def arctan_series(x):
    total, power, n = D(0), x, 0
    while abs(power) > D(10) ** -95:
        total += power / (2 * n + 1) * (-1) ** n
        power *= x * x
        n += 1
    return total


PI = 4 * (4 * arctan_series(ONE / 5) - arctan_series(ONE / 239))
LN2 = TWO.ln()


def sin(x):
    total, term, n = D(0), x, 1
    while abs(term) > D(10) ** -95:
        total += term
        term *= -x * x / ((n + 1) * (n + 2))
        n += 2
    return total


def arctan(x):
    halvings = 0
    while x > D("0.1"):
        x = x / (1 + (1 + x * x).sqrt())
        halvings += 1
    return arctan_series(x) * 2 ** halvings


def erf(x):
    # erf(x) = 2/sqrt(pi) exp(-x^2) sum_n 2^n x^(2n+1) / (2n+1)!!: no cancellation.
    total, term, n = D(0), x, 0
    while term > total * D(10) ** -90:
        total += term
        n += 1
        term *= 2 * x * x / (2 * n + 1)
    return 2 / PI.sqrt() * (-x * x).exp() * total


def tanh(x):
    e = (2 * x).exp()
    return (e - 1) / (e + 1)


def crowded_nodes(count, low, high):
    """Chebyshev-like grid without a cosine: the map of evenly spaced s in [-1, 1] by s(3 - s^2)/2, which crowds the ends."""
    nodes = []
    for i in range(count):
        s = D(2 * i) / (count - 1) - 1
        nodes.append((low + high) / 2 + (high - low) / 2 * s * (3 - s * s) / 2)
    return nodes


def solve(matrix, right):
    n = len(right)
    rows = [list(r) + [b] for r, b in zip(matrix, right)]
    for col in range(n):
        pivot = max(range(col, n), key=lambda r: abs(rows[r][col]))
        rows[col], rows[pivot] = rows[pivot], rows[col]
        for r in range(col + 1, n):
            factor = rows[r][col] / rows[col][col]
            rows[r] = [a - factor * b for a, b in zip(rows[r], rows[col])]
    out = [D(0)] * n
    for r in reversed(range(n)):
        out[r] = (rows[r][n] - sum(rows[r][c] * out[c] for c in range(r + 1, n))) / rows[r][r]
    return out


def minimax(f, weight, low, high, degree):
    """Coefficients of the polynomial p minimizing max |p - f| * weight over [low, high], and that maximum."""
    grid = [x if x != 0 else D(10) ** -12 for x in crowded_nodes(60 * (degree + 2) + 1, low, high)]
    values, weights = [f(x) for x in grid], [weight(x) for x in grid]
    picked = [round(i * (len(grid) - 1) / (degree + 1)) for i in range(degree + 2)]
    for _ in range(40):
        matrix = [[grid[i] ** k for k in range(degree + 1)] + [(-1) ** j / weights[i]] for j, i in enumerate(picked)]
        *coefficients, level = solve(matrix, [values[i] for i in picked])
        errors = []
        for x, v, w in zip(grid, values, weights):
            p = D(0)
            for c in reversed(coefficients):
                p = p * x + c
            errors.append((p - v) * w)
        # One extremum per run of equal sign; keep the neighbours with the largest errors.
        extrema = []
        for i, e in enumerate(errors):
            if extrema and (e > 0) == (errors[extrema[-1]] > 0):
                if abs(e) > abs(errors[extrema[-1]]):
                    extrema[-1] = i
            else:
                extrema.append(i)
        while len(extrema) > degree + 2:
            extrema.pop(0 if abs(errors[extrema[0]]) < abs(errors[extrema[-1]]) else -1)
        worst = max(abs(e) for e in errors)
        if extrema == picked or len(extrema) < degree + 2:
            return coefficients, worst
        picked = extrema
    return coefficients, worst


def relative(f):
    return lambda x: ONE / abs(f(x))


def odd_remainder(f, first):
    """(f(x)/x - first) / x^2 as a function of s = x^2: the tail of an odd function after its linear term."""
    def tail(s):
        x = s.sqrt()
        return (f(x) / x - first) / (x * x)
    return tail


def odd_weight(f):
    """Relative error of f when the tail above is off by one unit."""
    def weight(s):
        x = s.sqrt()
        return abs(x * x * x / f(x))
    return weight


def exp_tail(r):
    return ((r.exp() - 1) / r - 1) / r


def log_tail(f):
    return ((1 + f).ln() - f) / (f * f)


def log_weight(f):
    return abs(f * f / (1 + f).ln())


ERFCX_PIVOT = D(2)


def erfcx_scaled(t):
    """(z + pivot) erfcx(z) at z = pivot (1 + t) / (1 - t)."""
    z = ERFCX_PIVOT * (1 + t) / (1 - t)
    return (z + ERFCX_PIVOT) * (z * z).exp() * (1 - erf(z))


def inverse_tanh2_tail(s2):
    s = s2.sqrt()
    return (((1 + s) / (1 - s)).ln() - 2 * s) / (s * s * s)


def fp32(x):
    return struct.unpack("<f", struct.pack("<f", float(x)))[0]


def fp32_truncated(x, bits):
    """x with only its leading `bits` mantissa bits, so that small multiples of it are exact."""
    mantissa, exponent = abs(float(x)).hex().split("p")
    scale = D(2) ** (bits - 1 - int(exponent))
    return float(D(int(x * scale)) / scale)


def hexadecimal(x, suffix):
    mantissa, exponent = x.hex().split("p")
    return mantissa.rstrip("0").rstrip(".") + "p" + exponent + suffix


def emit_array(name, comment, coefficients, as_double=False):
    kind, suffix = ("double", "") if as_double else ("float", "f")
    words = [hexadecimal(float(c) if as_double else fp32(c), suffix) for c in coefficients]
    print(f"// {comment}")
    print(f"inline constexpr {kind} {name}[] = {{")
    for word in words:
        print(f"    {word},")
    print("};")


def emit_scalar(name, value):
    print(f"inline constexpr float {name} = {hexadecimal(value, 'f')};")


def emit_split(name, x, parts):
    rest = x
    for i, bits in enumerate(parts):
        value = fp32_truncated(rest, bits) if bits else fp32(rest)
        emit_scalar(f"{name}{i}", value)
        rest -= D(value)


def row(name, comment, f, weight, low, high, degree, as_double=False):
    coefficients, worst = minimax(f, weight, low, high, degree)
    print(f"{name}: degree {degree}, fit error {worst:.2e}", file=sys.stderr)
    emit_array(name, f"{comment} Fit error {worst:.1e}.", coefficients, as_double)


def main():
    print("// Written by tools/fit_activation_tables.py; edit that. Coefficients in ascending order of powers.")
    print("#pragma once")
    print("namespace presil::numerics {")
    edge = LN2 / 2 * D("1.0001")
    row("kExp", "exp(r) = 1 + r + r^2 p(r), |r| <= ln(2)/2.", exp_tail, lambda r: r * r,
        -edge, edge, 4)
    root = HALF.sqrt()
    row("kLog", "log(1 + f) = f + f^2 p(f), sqrt(1/2) <= 1 + f <= sqrt(2).", log_tail, log_weight,
        root * D("0.9999") - 1, 2 * root * D("1.0001") - 1, 8)
    row("kTanh", "tanh(x) = x + x^3 p(x^2), |x| <= 0.625.", odd_remainder(tanh, ONE), odd_weight(tanh),
        D(0), D("0.625") ** 2, 4)
    slope = 2 / PI.sqrt()
    slope_high = D(fp32(slope))
    row("kErf", "erf(x) = kErfSlope x + x p(x^2), |x| <= 1; p(0) is what the slope's rounding left.",
        lambda s: erf(s.sqrt()) / s.sqrt() - slope_high,
        lambda s: s.sqrt() / erf(s.sqrt()), D(0), ONE, 6)
    emit_scalar("kErfSlope", fp32(slope))
    row("kErfcx", "exp(z^2) erfc(z) = p((z - 2) / (z + 2)) / (z + 2), 0 <= z <= 11.", erfcx_scaled,
        relative(erfcx_scaled), -ONE, (11 - ERFCX_PIVOT) / (11 + ERFCX_PIVOT), 9)
    row("kSin", "sin(r) = r + r^3 p(r^2), |r| <= pi/2.", odd_remainder(sin, ONE), odd_weight(sin),
        D(0), (PI / 2 * D("1.0001")) ** 2, 4)
    row("kArctan", "arctan(x) = x + x^3 p(x^2), |x| <= 1.", odd_remainder(arctan, ONE), odd_weight(arctan),
        D(0), ONE, 8)
    row("kLog1p", "log((1 + s) / (1 - s)) = 2 s + s^3 p(s^2), 0 <= s <= 1/3.", inverse_tanh2_tail,
        lambda s2: s2 / 2, D(0), ONE / 9 * D("1.0001"), 4)
    widest = ((2 * root - 1) / (2 * root + 1) * D("1.0001")) ** 2
    row("kPowerLog2", "log2((1 + s) / (1 - s)) = s p(s^2), |s| <= 0.172.",
        lambda s2: ((1 + s2.sqrt()) / (1 - s2.sqrt())).ln() / LN2
        / s2.sqrt(), lambda s2: ONE, D(0), widest, 6, True)
    row("kPowerExp2", "2^f = p(f), |f| <= 1/2.", lambda f: (f * LN2).exp(), lambda f: ONE / (f * LN2).exp(),
        -HALF, HALF, 8, True)
    print("// Constants, split so that small multiples of the leading parts are exact.")
    emit_scalar("kLog2e", fp32(1 / LN2))
    emit_split("kLn2Part", LN2, [15, 0])
    emit_split("kPiPart", PI, [11, 11, 0])
    emit_scalar("kInversePi", fp32(1 / PI))
    emit_split("kHalfPiPart", PI / 2, [24, 0])
    emit_scalar("kRootHalf", fp32(root))
    # gelu_apprx_tanh(x) = x sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3)).
    outer = 2 * (2 / PI).sqrt()
    emit_split("kGeluTanhLinear", outer, [24, 0])
    emit_split("kGeluTanhCubic", outer * D("0.044715"), [24, 0])
    emit_scalar("kInverseRootTwoPi", fp32(1 / (2 * PI).sqrt()))
    emit_scalar("kGeluSigmoid", fp32(D("1.702")))
    print("}  // namespace presil::numerics")


if __name__ == "__main__":
    main()
