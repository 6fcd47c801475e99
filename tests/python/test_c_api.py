"""Does libpresil show its interface and nothing else, and does the C example do what it says?"""
import re
import subprocess

import pytest

import test_run


@pytest.fixture(scope="module")
def declared(root):
    return set(re.findall(r"\b(presil_\w+)\(", strip_comments((root / "include/presil/presil.h").read_text())))


def strip_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def test_the_library_exports_what_the_header_declares(root, declared):
    listed = subprocess.run(["nm", "--dynamic", "--defined-only", root / "build/libpresil.so"],
                            capture_output=True, text=True, check=True).stdout
    assert len(declared) > 25
    assert {line.split()[-1] for line in listed.splitlines()} == declared


@pytest.mark.parametrize("language", [["cc", "-x", "c", "-std=c11"], ["c++", "-x", "c++", "-std=c++11"]])
def test_the_header_stands_alone(root, tmp_path, language):
    flags = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-I", root / "include"]
    text = "#include <presil/presil.h>\npresil_compile_options o = PRESIL_COMPILE_OPTIONS_DEFAULTS;\n" \
           "presil_run_options r = PRESIL_RUN_OPTIONS_DEFAULTS;\n"
    done = subprocess.run([*language, *flags, "-"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_example(root, tmp_path):
    test_run.save_model(tmp_path / "small.onnx", batch=2)
    example = root / "build/examples/c/run_model"
    done = subprocess.run([example, "small.onnx", "trn1"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    output, time = done.stdout.splitlines()
    assert output.startswith("y: fp32 [2, 20] ")
    assert re.fullmatch(r"trn1: [\d.]+ us, \d+ cycles of the tensor engine, \d+ instructions", time)
    refused = subprocess.run([example, "none.onnx"], cwd=tmp_path, capture_output=True, text=True)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "run_model: none.onnx: cannot be read: No such file or directory\n"


def test_it_can_be_installed(root, tmp_path):
    """cmake --install gives the binary, the library and the header; a program links with nothing else."""
    install = ["cmake", "--install", root / "build", "--component", "sdk", "--prefix", tmp_path / "sdk"]
    subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
    (library,) = (tmp_path / "sdk").rglob("libpresil.so")
    build = ["cc", "-std=c11", "-I", tmp_path / "sdk/include", root / "examples/c/run_model.c", "-o", tmp_path / "run_model",
             "-L", library.parent, "-lpresil", f"-Wl,-rpath,{library.parent}"]
    subprocess.run(build, check=True)
    done = subprocess.run([tmp_path / "run_model", root / "tests/fuzz/corpus/onnx/dense.onnx"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("y: fp32 [2, 3] ")
    version = subprocess.run([tmp_path / "sdk/bin/presil", "--version"], capture_output=True, text=True)
    assert version.stdout.startswith("presil 0.")
