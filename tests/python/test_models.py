"""Networks of many makers on the simulated core against onnxruntime: data and time, precisions, batches, seeds.

A row of MODELS is a network; quick tests run each once per precision, --long adds seeds and batches. Exported networks need
PyTorch (./dev setup --models) and are skipped without it.
"""
import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Callable

import numpy as np
import pytest

from compare import assert_agrees


def noise(**shapes):
    """name -> shape, whose extent None is the batch; values of a normal distribution."""
    def draw(rng, batch):
        return {name: rng.standard_normal([batch if n is None else n for n in shape]).astype(np.float32)
                for name, shape in shapes.items()}
    return draw


def tokens(vocabulary, length, **extra):
    def draw(rng, batch):
        ids = {"ids": rng.integers(0, vocabulary, (batch, length))}
        return ids | {name: make(rng, batch) for name, make in extra.items()}
    return draw


def sentences(rng, batch):
    mask = np.ones((batch, 40), np.int64)
    for row in range(1, batch):
        mask[row, rng.integers(5, 40):] = 0
    return {"input_ids": rng.integers(1000, 20000, (batch, 40)), "attention_mask": mask}


def sound(rng, batch):
    """A falling tone in noise, scaled as 16-bit samples."""
    t = np.arange(1760) / 16000
    return {"input": (3000 * np.sin(2 * np.pi * (900 - 3000 * t) * t) + 300 * rng.standard_normal((batch, 1760))).astype(
        np.float32)}


def speech(rate, samples, **states):
    """A voice-like hum that comes and goes, the sample rate, and states that something was heard before."""
    def draw(rng, batch):
        t = np.arange(samples) / rate
        hum = sum(np.sin(2 * np.pi * 130 * k * t + rng.uniform(0, 6)) / k for k in range(1, 12))
        wave = 0.1 * hum * np.exp(-8 * t) + 0.01 * rng.standard_normal((1, samples))
        return {"input": wave.astype(np.float32), "sr": np.array(rate)} | {
            name: 0.3 * rng.standard_normal(shape).astype(np.float32) for name, shape in states.items()}
    return draw


@dataclass
class Model:
    source: str  # group of tools/fetch_models.py, or "export"
    inputs: Callable
    batches: tuple = (1,)
    precisions: tuple = ("fp32", "bf16")
    seeds: tuple = (0, 1, 2)
    tolerance: str = ""  # row of compare.TOLERANCE; by precision when empty
    slow: bool = False   # only with --long
    file: str = ""       # without suffix; the row's name when empty


IMAGE = noise(input=(None, 3, 224, 224))
MODELS = {
    "face_detection_front_128x128_barracuda": Model("small", noise(**{"input:0": (1, 128, 128, 3)})),
    "face_detection_back_256x256_barracuda": Model("small", noise(**{"input:0": (1, 256, 256, 3)})),
    "melspectrogram": Model("small", sound, batches=(1, 4, 8)),
    "embedding_model": Model("small", noise(input_1=(None, 76, 32, 1)), batches=(1, 4, 8)),
    "alexa_v0.1": Model("small", noise(**{"onnx::Flatten_0": (1, 16, 96)})),
    "weather_v0.1": Model("small", noise(**{"onnx::Flatten_0": (1, 22, 96)})),
    "timer_v0.1": Model("small", noise(**{"onnx::Flatten_0": (1, 34, 96)})),
    "hey_mycroft_v0.1": Model("small", noise(**{"onnx::Flatten_0": (1, 16, 96)})),
    "hey_rhasspy_v0.1": Model("small", noise(**{"onnx::Flatten_0": (1, 16, 96)})),
    "hey_jarvis_v0.1": Model("small", noise(**{"x.1": (1, 16, 96)})),
    "silero_v4": Model("voice", speech(16000, 512, h=(2, 1, 64), c=(2, 1, 64)), file="silero_vad_legacy"),
    "silero_v4_8k": Model("voice", speech(8000, 256, h=(2, 1, 64), c=(2, 1, 64)), file="silero_vad_legacy"),
    "silero_v5": Model("voice", speech(16000, 576, state=(2, 1, 128)), file="silero_vad_v5"),
    "silero_v6": Model("voice", speech(16000, 576, state=(2, 1, 128)), file="silero_vad_v6"),
    "silero_v5_8k": Model("voice", speech(8000, 288, state=(2, 1, 128)), file="silero_vad_v5"),
    "silero_v6_8k": Model("voice", speech(8000, 288, state=(2, 1, 128)), file="silero_vad_v6"),
    "need_help_now": Model("wakeword", noise(**{"onnx::Flatten_0": (1, 28, 96)}), slow=True),
    "hey_lookdeep": Model("wakeword", noise(**{"onnx::Flatten_0": (1, 28, 96)}), slow=True),
    "coca_cola_model_28_05052025": Model("wakeword", noise(**{"onnx::Flatten_0": (1, 28, 96)}), slow=True),
    "isnet_fp16": Model("isnet", noise(input=(1, 3, 1024, 1024)), precisions=("auto",), tolerance="fp16", slow=True),
    "isnet_int8": Model("isnet", noise(input=(1, 3, 1024, 1024)), precisions=("auto",), tolerance="int8", slow=True),
    "resnet50": Model("export", IMAGE, batches=(1, 4, 8)),
    "mobilenet_v3_small": Model("export", IMAGE, batches=(1, 4, 8)),
    "efficientnet_b0": Model("export", IMAGE, batches=(1, 4, 8)),
    "vit_b_16": Model("export", IMAGE, batches=(1, 4, 8), slow=True),
    "swin_t": Model("export", IMAGE, batches=(1, 4, 8), slow=True),
    "decoder_13": Model("export", tokens(5000, 48), batches=(1, 4, 8), slow=True),
    "decoder_17": Model("export", tokens(5000, 48), batches=(1, 4, 8), slow=True),
    "encoder": Model("export", noise(x=(1, 50, 256))),
    "minilm": Model("export", sentences, batches=(1, 4, 8), slow=True),
}


def cases():
    for name, model in MODELS.items():
        for precision in model.precisions:
            for batch in model.batches:
                for seed in model.seeds:
                    quick = not model.slow and batch == model.batches[0] and seed == model.seeds[0]
                    marks = [] if quick else [pytest.mark.long]
                    yield pytest.param(name, precision, batch, seed, marks=marks)


@pytest.fixture(scope="session")
def model_path(root):
    """name -> file, fetched or exported once."""
    def path(name):
        source = MODELS[name].source
        if source == "export" and not importlib.util.find_spec("torch"):
            pytest.skip("needs PyTorch: ./dev setup --models")
        command = ["tools/export_models.py", name] if source == "export" else ["tools/fetch_models.py", source]
        subprocess.run([sys.executable, *command], cwd=root, check=True)
        return root / f".cache/models/{MODELS[name].file or name}.onnx"
    return path


@pytest.mark.parametrize("name,precision,batch,seed", list(cases()))
def test_agrees_with_onnxruntime(presil, root, model_path, tmp_path, name, precision, batch, seed):
    model, path = MODELS[name], model_path(name)
    inputs = model.inputs(np.random.default_rng(seed), batch)
    options = []
    for k, (input_name, values) in enumerate(inputs.items()):
        np.save(tmp_path / f"{k}.npy", values)
        options += ["--input", f"{input_name}={tmp_path / f'{k}.npy'}"]
        if values.ndim:
            options += ["--shape", f"{input_name}=" + "x".join(map(str, values.shape))]
    done = subprocess.run([presil, "run", path, *options, "--precision", precision, "--output-dir", tmp_path / "out",
                           "--json"], cwd=root, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["outcome"]["kind"] == "done" and result["findings"] == []
    outputs = [np.load(tmp_path / "out" / output["file"]) for output in result["outputs"]]
    assert_agrees(path, inputs, outputs, model.tolerance or precision, tmp_path)
