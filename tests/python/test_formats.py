"""Do the number formats agree with ml_dtypes, for every pattern and at every rounding boundary?"""
import subprocess
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

TOOL = Path(__file__).resolve().parent.parent.parent / "build/tests/tools/convert_values"
FORMATS = {"bf16": ml_dtypes.bfloat16, "fp16": np.float16, "fp8_e4m3": ml_dtypes.float8_e4m3,
           "fp8_e5m2": ml_dtypes.float8_e5m2, "fp8_e4m3fn": ml_dtypes.float8_e4m3fn,
           "fp8_e3m4": ml_dtypes.float8_e3m4, "fp8_e8m0": ml_dtypes.float8_e8m0fnu}


def converted(direction, name, values, dtype):
    done = subprocess.run([TOOL, direction, name], input=values.tobytes(), capture_output=True, check=True, timeout=60)
    return np.frombuffer(done.stdout, dtype)


def patterns(dtype):
    bits = np.dtype(dtype).itemsize * 8
    return np.arange(1 << bits, dtype=f"uint{bits}")


@pytest.mark.parametrize("name", FORMATS)
def test_every_pattern_reads_alike(name):
    bits = patterns(FORMATS[name])
    expected = bits.view(FORMATS[name]).astype(np.float32)
    found = converted("from", name, bits, np.float32)
    assert np.array_equal(found, expected, equal_nan=True)
    assert np.array_equal(np.signbit(found[~np.isnan(found)]), np.signbit(expected[~np.isnan(expected)]))


@pytest.mark.parametrize("name", FORMATS)
def test_every_rounding_boundary_writes_alike(name):
    """All numbers of the format, the points halfway between neighbours, and one fp32 step to either side of each."""
    numbers = np.sort(patterns(FORMATS[name]).view(FORMATS[name]).astype(np.float64))
    numbers = np.unique(numbers[np.isfinite(numbers)])
    middles = (numbers[1:] + numbers[:-1]) / 2
    past = [numbers[-1] + (numbers[-1] - numbers[-2]) / 2, numbers[-1] * 2, np.finfo(np.float32).max, np.inf]
    values = np.concatenate([numbers, middles, past, np.negative(past)])
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
        values = np.concatenate([values, *(np.nextafter(values, np.float32(end)) for end in (np.inf, -np.inf)),
                                 np.random.default_rng(3).integers(0, 1 << 32, 100_000, np.uint32).view(np.float32)])
    values = values[~np.isnan(values)]  # the machine's NaN is canonical, ml_dtypes' keeps its sign
    if name == "fp8_e8m0":  # ml_dtypes rounds fp32's denormals up, the machine to the nearest
        values = values[(values <= 2.0**-127) | (values >= 1.5 * 2.0**-127)]
    with np.errstate(over="ignore"):
        expected = values.astype(FORMATS[name])
    bits = f"uint{expected.itemsize * 8}"
    found = converted("to", name, values, bits)
    real = ~np.isnan(expected.astype(np.float32))
    assert np.array_equal(found[real], expected.view(bits)[real])
    assert np.isnan(found.view(FORMATS[name])[~real].astype(np.float32)).all()
