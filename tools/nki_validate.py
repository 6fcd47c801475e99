"""Predicts the published device times of the documentation's kernels by the kernels themselves.

    PYTHONPATH=build/python python tools/nki_validate.py SDK

SDK: the files of the repository aws-neuron/aws-neuron-sdk. Prints row, published and predicted milliseconds, error.
"""
import argparse
import importlib.util
import re
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_EXAMPLES = "nki/examples"
_MATMUL = f"{_EXAMPLES}/matrix_multiplication/matrix_multiplication_nki_kernels.py"
_MAMBA = f"{_EXAMPLES}/fused_mamba/mamba_nki_kernels.py"
_PAGE = "nki/guides/tutorials/kernel-optimization.rst"


@dataclass(frozen=True)
class Row:
    """shape: of a product M, K, N; of a scan the steps and channels. text: what names the block of a page."""

    name: str
    chip: str
    file: str
    kernel: str
    shape: tuple[int, ...]
    dtype: str
    milliseconds: float
    text: str = ""


_GEMM = (4096, 8192, 8192)
ROWS = [
    Row("K02", "trn2", _PAGE, "matrix_multiply_kernel", _GEMM, "float32", 28.197982, "hoisting the load"),
    Row("K05", "trn1", _MATMUL, "nki_matmul_tiled_", _GEMM, "bfloat16", 51.80),
    Row("K07", "trn1", _MATMUL, "nki_matmul_block_free_dimension_", _GEMM, "bfloat16", 22.07),
    Row("K09", "trn1", _MAMBA, "mamba_v1", (512, 256), "float32", 0.17293),
    *(Row(n, "trn1", _MAMBA, f"mamba_{v}", (steps, 4096), "float32", ms) for n, v, steps, ms in (
        ("K16", "v2", 2048, 8.9), ("K20", "v2", 6144, 27.5), ("K24", "v3", 1024, 3.3), ("K27", "v3", 4096, 13.3),
        ("K30", "v3", 7168, 24.2))),
]


def _kernel(row: Row, folder: Path, scratch: Path) -> Any:
    path = folder / row.file
    if not path.is_file():
        raise SystemExit(f"nki_validate: {path}: no such file (git clone https://github.com/aws-neuron/aws-neuron-sdk, pass its folder)")
    if row.text:
        blocks = re.findall(r"\.\. code-block:: python\n\n((?:(?:[ \t]+.*)?\n)+)", path.read_text())
        chosen = [b for b in blocks if row.kernel in b and row.text in b]
        if len(chosen) != 1:
            raise SystemExit(f"nki_validate: {path}: {len(chosen)} code blocks with '{row.text}', expected one")
        path = scratch / f"{row.name}.py"
        path.write_text(textwrap.dedent(chosen[0]))
    spec = importlib.util.spec_from_file_location(row.name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, row.kernel)


def _arguments(row: Row) -> list[Any]:
    import ml_dtypes
    kind = ml_dtypes.bfloat16 if row.dtype == "bfloat16" else np.dtype(row.dtype)
    if len(row.shape) == 3:
        m, k, n = row.shape
        shapes: list[tuple[int, ...]] = [(k, m), (k, n)]
    else:
        steps, channels = row.shape
        shapes = [(1, channels, steps), (1, channels, steps), (channels, 16), (1, 16, steps), (1, 16, steps)]
    return [np.zeros(s, kind) for s in shapes]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sdk", type=Path)
    options = parser.parse_args()
    import presil.nki.activate  # noqa: F401
    from presil.nki import profile
    errors = []
    with tempfile.TemporaryDirectory() as scratch:
        kernels = [_kernel(row, options.sdk, Path(scratch)) for row in ROWS]
        print("| row | chip | kernel | published ms | predicted ms | error |\n|---|---|---|---|---|---|")
        for row, kernel in zip(ROWS, kernels):
            done = profile(kernel, chip=row.chip, data=False)(*_arguments(row))
            errors.append(done.seconds * 1e3 / row.milliseconds - 1)
            print(f"| {row.name} | {row.chip} | `{row.kernel}` | {row.milliseconds:.6g} | {done.seconds * 1e3:.4g} | {errors[-1]:+.1%} |", flush=True)
    print(f"\nmean of the absolute errors: {np.mean(np.abs(errors)):.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
