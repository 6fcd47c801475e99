"""Is a program that breaks its chip's rules refused, with all that is wrong, before anything runs?"""
import json
import subprocess

import pytest

HEAD = """presil executable 1
chip "{chip}" {hash}
model "broken"
precision "fp32"
semaphores 0
hbm_bytes 1048576
"""
TENSOR = "queue {{\n{lines}\n}}\n"


@pytest.fixture
def refused(presil, tmp_path):
    """What `presil run` says about a text of queues on a chip."""

    def run(chip, *queues):
        chips = json.loads(subprocess.run([presil, "chips", "--json"], capture_output=True, text=True, check=True).stdout)
        spec = next(c for c in chips if c["name"] == chip)["spec_hash"]
        text = HEAD.format(chip=chip, hash=spec) + "".join("queue {\n" + "\n".join(q) + "\n}\n" for q in queues)
        (tmp_path / "broken.txt").write_text(text)
        done = subprocess.run([presil, "run", "broken.txt"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (2, ""), done.stdout + done.stderr
        return done.stderr

    return run


def test_everything_that_is_wrong_is_said_at_once(refused):
    tensor = [
        "  tensor nc_matmul dst=psum.fp32[p0+64 513] stationary=sbuf.bf16[p0+64 64] moving=sbuf.bf16[p0+64 @1024 513]",
        "  tensor nc_matmul dst=psum.fp32[p0+64 128] stationary=hbm.bf16[64 64] moving=sbuf.bf16[p0+64 @1024 128]",
    ]
    vector = [
        "  vector exponential dst=sbuf.fp32[p0+128 16] src=sbuf.fp32[p0+128 16]",
        "  vector tensor_copy dst=sbuf.fp32[p0+129 16] src=sbuf.fp32[p0+129 @64 16]",
        "  vector tensor_copy dst=sbuf.fp32[p16+32 16] src=sbuf.fp32[p0+32 16]",
        "  vector reciprocal dst=sbuf.bf16[p0+128 2:32768] data=sbuf.bf16[p0+128 @2 2:-32769]",
    ]
    assert refused("trn1", tensor, vector) == """presil: error: broken.txt: 12 broken rules of chip 'trn1':
  queue 0, instruction 0: nc_matmul dst: bytes 0 to 2051 cross a PSUM bank, banks have 2048 bytes
  queue 0, instruction 0: nc_matmul moving: 513 elements per partition, from 1 to 512
  queue 0, instruction 1: nc_matmul stationary: is in hbm; legal: sbuf
  queue 0, instruction 1: nc_matmul stationary: 4096 elements per partition, from 1 to 128
  queue 0, instruction 1: nc_matmul moving: 64 partitions, stationary has 1
  queue 0, instruction 1: nc_matmul dst: 64 partitions, stationary has 4096 columns
  queue 1, instruction 0: exponential: needs generation 4, trn1 is generation 2
  queue 1, instruction 1: tensor_copy dst: partitions 0 to 128, sbuf has 128
  queue 1, instruction 1: tensor_copy src: partitions 0 to 128, sbuf has 128
  queue 1, instruction 2: tensor_copy dst: starts at partition 16, 32 partitions start at a multiple of 32
  queue 1, instruction 3: reciprocal dst: dimension 0 has step 32768, from -32768 to 32767
  queue 1, instruction 3: reciprocal data: dimension 0 has step -32769, from -32768 to 32767
"""


def test_kinds_of_fp8_do_not_mix(refused):
    line = ("  tensor nc_matmul dst=psum.fp32[p0+64 128] stationary=sbuf.fp8_e4m3[p0+64 64] "
            "moving=sbuf.fp8_e4m3fn[p0+64 @1024 128]")
    assert refused("trn3", [line]) == (
        "presil: error: broken.txt: 1 broken rule of chip 'trn3':\n"
        "  queue 0, instruction 0: nc_matmul moving: type is fp8_e4m3fn, stationary has fp8_e4m3; the two kinds of e4m3 do not mix\n")
