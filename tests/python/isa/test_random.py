"""Random numbers: XORWOW, written once more in numpy, from states that a program sets or that a seed gives."""
import numpy as np

from machine import F32, GENERATIONS, SHAPES, Case, check, chips, from_f32, sweep, values_of

ROWS = {"rng", "set_rng_seed", "rand_set_state", "rand_get_state", "rand2", "dropout"}
U32, U64 = np.uint32, np.uint64


def next_words(state):
    """One step of every generator: state [..., 6] changes, words [...] are returned."""
    with np.errstate(over="ignore"):
        t = state[..., 0] ^ (state[..., 0] >> U32(2))
        last = state[..., 4].copy()
        state[..., 0:4] = state[..., 1:5].copy()
        state[..., 4] = last ^ (last << U32(4)) ^ t ^ (t << U32(1))
        state[..., 5] += U32(362437)
        return state[..., 4] + state[..., 5]


def draws(state, n):
    """n words per lane from state [lanes, generators, 6], whose generators take turns."""
    out = np.empty((state.shape[0], n), U32)
    for i in range(n):
        g = state[:, i % state.shape[1]]
        out[:, i] = next_words(g)
        state[:, i % state.shape[1]] = g
    return out


def philox(seed, stream, count):
    """The first `count` words of a stream: Philox 4x32-10."""
    out = []
    for block in range((count + 3) // 4):
        counter, key = [block, 0, stream & 0xFFFFFFFF, stream >> 32], [seed & 0xFFFFFFFF, seed >> 32]
        for _ in range(10):
            a, b = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
            counter = [(b >> 32) ^ counter[1] ^ key[0], b & 0xFFFFFFFF, (a >> 32) ^ counter[3] ^ key[1], a & 0xFFFFFFFF]
            key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
        out += counter
    return np.array(out[:count], U32)


def seeded(seed, lanes, generators):
    return np.array([[philox(seed, p * generators + g, 6) for g in range(generators)] for p in range(lanes)])


def unit(words):
    return (words >> U32(8)).astype(F32) * F32(2**-24)


def engines():
    return [(chip, engine) for chip in chips(3) for engine in ("vector", "gpsimd")
            if engine == "gpsimd" or GENERATIONS[chip] >= 4]


def set_state(c, engine, p, random):
    generators = 4 if engine == "vector" else 1
    state = random.integers(0, 1 << 32, (p, generators, 6), U64).astype(U32)
    n = c.operand("uint32", p, 6 * generators, values=state.reshape(p, -1))
    c.run(engine, "rand_set_state", src_seeds=n)
    return state


def test_rng_from_a_set_state():
    cases = []
    for chip, engine in engines():
        for p, n in SHAPES:
            for dtype in ("uint32", "int32", "uint16", "int8"):
                c = Case(chip, f"rng {chip} {engine} {p} {n} {dtype}")
                state = set_state(c, engine, p, c.random)
                dst, after = c.operand(dtype, p, n, "gaps"), c.operand("uint32", p, state[0].size)
                words = draws(state, n)
                c.run(engine, "rng", dst=dst).run(engine, "rand_get_state", dst=after)
                kept = words.astype(f"uint{np.dtype(dtype).itemsize * 8}").view(dtype)
                cases.append(c.want(dst, kept).want(after, state.reshape(p, -1)))
    check(cases)


def test_rng_from_a_seed():
    cases = []
    for chip in chips():
        for seed in (0, 1, 0xDEADBEEF):
            c = Case(chip, f"seed {chip} {seed}")
            s, dst = c.operand("uint32", 1, 1, values=np.array([[seed]], U32)), c.operand("uint32", 33, 60)
            c.run("vector", "set_rng_seed", src_seeds=s).run("vector", "rng", dst=dst)
            cases.append(c.want(dst, draws(seeded(seed, 33, 4), 60)))
    check(cases)


def test_rand2():
    cases = []
    for chip, (p, n), dtype, layout, memory, name in sweep("rand2", 4, SHAPES, ("fp32", "bf16", "fp8_e4m3", "int16"),
                                                          memories=("sbuf", "psum")):
        c = Case(chip, name)
        state = set_state(c, "vector", p, c.random)
        low, high = c.random.uniform(-4, 0, (p, 1)).astype(F32), c.random.uniform(1, 9, (p, 1)).astype(F32)
        dst, a, b = c.operand(dtype, p, n, layout, memory), c.operand("fp32", p, 1, values=low), c.operand("fp32", p, 1, values=high)
        c.run("vector", "rand2", dst=dst, min=a, max=b)
        wide = unit(draws(state, n)).astype(np.float64) * (high - low).astype(np.float64) + low
        cases.append(c.want(dst, from_f32(wide.astype(F32), dtype)))  # one rounding: fused
    check(cases)


def test_dropout():
    cases = []
    for chip, (p, n), dtype, layout, memory, name in sweep("dropout", 2, SHAPES, ("fp32", "bf16", "int8"), memories=("sbuf", "psum")):
        c = Case(chip, name)
        s = c.operand("uint32", 1, 1, values=np.array([[7]], U32))
        a, prob = values_of(c.random, dtype, (p, n)), c.random.uniform(0, 1, (p, 1)).astype(F32)
        data, dst = c.operand(dtype, p, n, layout, memory, values=a), c.operand(dtype, p, n, layout)
        c.run("vector", "set_rng_seed", src_seeds=s)
        c.run("vector", "dropout", dst=dst, data=data, prob=c.operand("fp32", p, 1, values=prob))
        dropped = unit(draws(seeded(7, p, 4), n)) < prob
        cases.append(c.want(dst, np.where(dropped, np.zeros((), a.dtype), a)))
    check(cases)
