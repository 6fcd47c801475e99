"""tools/nki_validate.py: what it says about a folder that is not the documentation's repository."""
import os
import subprocess
import sys
from pathlib import Path

import presil

ROOT = Path(__file__).resolve().parents[2]
PAGE = "nki/guides/tutorials/kernel-optimization.rst"


def refused(folder: Path) -> str:
    """Its message. No table may have begun."""
    environment = {**os.environ, "PYTHONPATH": str(Path(presil.__file__).parents[1])}
    done = subprocess.run([sys.executable, ROOT / "tools/nki_validate.py", folder], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def test_a_missing_folder_is_named_before_the_table_begins(tmp_path: Path) -> None:
    assert refused(tmp_path / "none") == (
        f"nki_validate: {tmp_path}/none/{PAGE}: no such file "
        "(git clone https://github.com/aws-neuron/aws-neuron-sdk, pass its folder)\n")


def test_a_page_without_the_kernel_is_named(tmp_path: Path) -> None:
    (tmp_path / PAGE).parent.mkdir(parents=True)
    (tmp_path / PAGE).write_text("A page.\n\n.. code-block:: python\n\n   x = 1\n")
    assert refused(tmp_path) == f"nki_validate: {tmp_path}/{PAGE}: 0 code blocks with 'hoisting the load', expected one\n"


def test_a_later_row_that_misses_is_named_before_the_table_begins(tmp_path: Path) -> None:
    (tmp_path / PAGE).parent.mkdir(parents=True)
    (tmp_path / PAGE).write_text(".. code-block:: python\n\n   # hoisting the load\n   def matrix_multiply_kernel():\n       pass\n")
    assert "/matrix_multiplication_nki_kernels.py: no such file" in refused(tmp_path)
