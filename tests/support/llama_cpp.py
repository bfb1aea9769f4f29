"""llama.cpp for tests: its converters, and its library under the Python package llama-cpp-python.

From package registries, once for a virtual environment, by checksum: the converters and the Python
part from the source distribution of llama-cpp-python, a built library from npm. Nothing is
compiled. `python -m tests.support.llama_cpp` fetches both beforehand.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

from finetune.errors import FinetuneError
from finetune.sources.npm import fetch_files

SDIST = "llama-cpp-python==0.3.36"
SDIST_SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
DISKCACHE = "diskcache==5.6.3"
"""Imported by llama-cpp-python, and not used."""
LIBRARY = "@node-llama-cpp/linux-x64==3.22.1"
BINS = "package/bins/linux-x64/"
FILES = {
    "libggml-base.so": "6c342c8aeb20cb31a18099d6f79de4de6703814d1cfd5c4d754a8643087e486e",
    "libggml-cpu-haswell.so": "ddaa96012769f0e86e8670cca374243751880bea2c2d0a4413b3a1b7a29dca74",
    "libggml-cpu-x64.so": "1174c3c3e0b8722313df561d7ef5ece516a070732cec9b8ddda3667c0b959728",
    "libggml.v0.5.0.so": "41cd5e6ad78b9f0af31a6f80d637d3168e75ff84db14c495de4d3d9c95607444",
    "libllama.v0.5.0.so": "2ecd1d85f68456573a664106a9039366b88231579fd65d9669c9a6ab41374fd4",
}
KEPT = ("convert_lora_to_gguf.py", "convert_hf_to_gguf.py", "conversion/", "gguf-py/gguf/")
HOME = Path(sys.prefix) / "share" / "finetune-tests" / "llama.cpp-2"
REQUIRED = os.environ.get("FINETUNE_REQUIRE_LLAMA_CPP") == "1"
BACKENDS = """
import ctypes
from pathlib import Path
_lib = Path(__file__).parent / "lib"
# this library finds its processor's part only when given its folder
_load = ctypes.CDLL(str(_lib / "libggml.so")).ggml_backend_load_all_from_path
_load.argtypes = [ctypes.c_char_p]
_load(str(_lib).encode())
"""


def converter(name: str) -> Path:
    """Return a program of llama.cpp's converters; the test is skipped where it cannot be had."""
    return _home() / "converter" / name


def engine() -> Path:
    """Return a folder for `sys.path` with a package `llama_cpp` that runs models."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        pytest.skip("the built llama.cpp is for Linux on x86-64")
    return _home() / "site"


def fetch() -> None:
    """Put everything below `HOME`, all of it or nothing."""
    HOME.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HOME.parent) as scratch:
        folder = Path(scratch) / "made"
        _python_parts(Path(scratch), folder)
        lib = folder / "site" / "llama_cpp" / "lib"
        fetch_files(LIBRARY, {BINS + name: sha256 for name, sha256 in FILES.items()}, lib)
        for file in (lib / BINS).iterdir():
            file.rename(lib / file.name)
        shutil.rmtree(lib / "package")
        for name in ("llama", "ggml"):
            (lib / f"lib{name}.so").symlink_to(f"lib{name}.v0.5.0.so")
        try:
            folder.rename(HOME)
        except OSError:  # another worker was faster
            if not HOME.is_dir():
                raise


def _home() -> Path:
    if not HOME.is_dir():
        try:
            fetch()
        except (FinetuneError, subprocess.CalledProcessError) as error:
            if REQUIRED:
                raise
            pytest.skip(f"llama.cpp is not to be had from the package registries: {error}")
    return HOME


def _python_parts(scratch: Path, folder: Path) -> None:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
    no = ("--no-deps", "--no-binary", "llama-cpp-python")
    subprocess.run([*pip, "download", *no, SDIST, "-d", scratch], check=True)
    site = folder / "site"
    subprocess.run([*pip, "install", "--no-deps", "--target", site, DISKCACHE], check=True)
    [archive] = scratch.glob("llama_cpp_python-*.tar.gz")
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == SDIST_SHA256
    with tarfile.open(archive) as tar:
        for member in tar:
            target = _target(member.name.partition("/")[2])
            if target and member.isfile():
                content = tar.extractfile(member)
                assert content
                (folder / target).parent.mkdir(parents=True, exist_ok=True)
                (folder / target).write_bytes(content.read())
    _adapt(site / "llama_cpp")


def _target(name: str) -> str | None:
    vendored = name.removeprefix("vendor/llama.cpp/")
    if vendored != name:
        return f"converter/{vendored}" if vendored.startswith(KEPT) else None
    is_part = name.startswith("llama_cpp/") and not name.startswith("llama_cpp/server/")
    return f"site/{name}" if is_part else None


def _adapt(package: Path) -> None:
    """Let the package work with a library that is some days older and has no `llama_batch_ext_*`.

    Nothing here calls those; all structures are the same in both.
    """
    types = package / "_ctypes_extensions.py"
    text = types.read_text("utf-8")
    before = "            if enabled:\n"
    assert text.count(before) == 1
    types.write_text(text.replace(before, "            if enabled and hasattr(lib, name):\n"))
    first = package / "__init__.py"
    first.write_text(BACKENDS + first.read_text("utf-8"))


if __name__ == "__main__":
    if not HOME.is_dir():
        fetch()
    print(HOME)
