"""The library that lets a CPU build of torch compute gradients of fake CUDA tensors.

It is compiled with g++ against torch's own headers in seconds, kept in a folder for temporary files
by the hash of its source and of torch's version, and must be loaded before torch.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TORCH = "2.13.0"
"""The version whose registries and interfaces the source was written for."""
SOURCE = Path(__file__).with_name("fake_cuda_hooks.cpp")
REQUIRED = "FINETUNE_REQUIRE_GXX"


def missing() -> str | None:
    """Return why fake CUDA tensors cannot be had here, or None."""
    version = importlib.metadata.version("torch")
    if version.partition("+")[0] != TORCH:
        return f"fake CUDA tensors are known for torch {TORCH}, and this is {version}"
    if (_torch() / "lib/libtorch_cuda.so").exists():
        return f"this torch ({version}) has CUDA of its own, which fake hooks cannot replace"
    if shutil.which("g++") is None:
        return "g++ is not installed, so the hooks of fake CUDA tensors are not compiled"
    return None


def load() -> None:
    """Compile the library unless it is there, and load it. Call it before torch is imported."""
    if "torch" in sys.modules:
        raise RuntimeError("torch is loaded already: fake CUDA needs a process of its own")
    ctypes.CDLL(str(_library()))


def _library() -> Path:
    torch, version = _torch(), importlib.metadata.version("torch")
    content = SOURCE.read_bytes() + f"{version} {torch}".encode()
    path = _own_folder() / f"{hashlib.sha256(content).hexdigest()[:16]}.so"
    if path.exists():
        return path
    built = path.with_suffix(f".{os.getpid()}")
    includes = [f"-I{torch / folder}" for folder in ("include", "include/torch/csrc/api/include")]
    libraries = [f"-L{torch / 'lib'}", "-ltorch_cpu", "-lc10", f"-Wl,-rpath,{torch / 'lib'}"]
    command = ["g++", "-O0", "-std=c++20", "-shared", "-fPIC", *includes, str(SOURCE)]
    subprocess.run([*command, "-o", str(built), *libraries], check=True)
    return built.rename(path)


def _own_folder() -> Path:
    """Return a folder of this user alone: what lies in it is loaded as code."""
    folder = Path(tempfile.gettempdir()) / f"finetune-fake-cuda-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise RuntimeError(f"{folder} belongs to another user, or others may write into it")
    return folder


def _torch() -> Path:
    """Return the folder of torch, which is not imported for it."""
    spec = importlib.util.find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
