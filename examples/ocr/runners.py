"""What executes a network: a simulated core, or onnxruntime as the reference."""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
MODELS = ROOT / ".cache/models"
NETWORKS = {
    "detection": MODELS / "ch_PP-OCRv4_det_infer.onnx",
    "direction": MODELS / "ch_ppocr_mobile_v2.0_cls_infer.onnx",
    "recognition": MODELS / "ch_PP-OCRv4_rec_infer.onnx",
}
INPUT = "x"  # all three networks have one input of this name


class Reference:
    """onnxruntime on the host. It has no simulated time."""

    def __init__(self):
        import onnxruntime

        self.sessions = {name: onnxruntime.InferenceSession(str(path)) for name, path in NETWORKS.items()}
        self.runs = []

    def __call__(self, network, tensor):
        return self.sessions[network].run(None, {INPUT: tensor})[0]


class Simulated:
    """`presil run`, once per network and tensor. Keeps each run's JSON in `runs`, and its report and trace in `folder`."""

    def __init__(self, chip, precision, folder):
        self.chip, self.precision, self.folder = chip, precision, Path(folder)
        self.runs = []

    def __call__(self, network, tensor):
        self.folder.mkdir(parents=True, exist_ok=True)
        stem = self.folder / f"{network}{sum(run['network'] == network for run in self.runs) + 1}"
        with tempfile.TemporaryDirectory() as scratch:
            np.save(f"{scratch}/{INPUT}.npy", tensor)
            shape = "x".join(map(str, tensor.shape))
            command = [ROOT / "build/presil", "run", NETWORKS[network], "--chip", self.chip, "--precision", self.precision,
                       "--shape", f"{INPUT}={shape}", "--input", f"{INPUT}={scratch}/{INPUT}.npy", "--output-dir", scratch,
                       "--report", f"{stem}.html", "--trace", f"{stem}.pftrace", "--json"]
            finished = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True)
            if finished.returncode != 0:
                sys.stderr.write(finished.stdout)
                sys.exit(finished.returncode)
            result = json.loads(finished.stdout)
            self.runs.append({"network": network, "shape": list(tensor.shape), "stem": stem.name, **result})
            return np.load(Path(scratch) / result["outputs"][0]["file"]).astype(np.float32)
