"""llama.cpp as it is found on this machine: llama-cpp-python, in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from finetune.errors import ReleaseError, first_line
from finetune.messages import Place, problem

PACKAGE, EXTRA = "llama_cpp", "gguf"
SPEED_TOKENS = 32
_PROGRAM = Path(__file__).with_name("runtime_program.py")


@dataclass(frozen=True, slots=True)
class Scored:
    """Answers of the runtime; N supervised tokens, V tokens of the vocabulary."""

    metadata: Mapping[str, str]
    vocabulary: int
    eos: int
    ids: Sequence[Sequence[int]]
    """Of each text."""
    nats: Sequence[float]
    """Of each item, over its supervised tokens."""
    best: Sequence[Sequence[int]]
    """Most probable token at each supervised one, by item."""
    tokens_per_second: float
    """Of generation, one token at a time."""
    prompt_tokens_per_second: float
    peak_bytes: int
    rows: Path
    """File of float32 (N, V): log-probabilities of the first N supervised tokens."""


def is_installed() -> bool:
    """Return whether llama-cpp-python is installed; it is not imported."""
    return find_spec(PACKAGE) is not None


def can_quantize() -> bool:
    """Return whether llama.cpp's own quantizer is here."""
    return shutil.which("llama-quantize") is not None or is_installed()


def score(
    model: Path,
    *,
    items: Sequence[Mapping[str, Any]],
    texts: Sequence[str],
    scratch: Path,
    rows_most: int,
    lora: Path | None = None,
) -> Scored:
    """Return what the runtime computes with a GGUF file, and with a LoRA file on top of it.

    `items`: `tokens`, and `supervised` (1 for a target) of each. Raises ReleaseError if the runtime
    cannot open or run the file.
    """
    rows = scratch / "rows.f32"
    request = {
        "model": str(model),
        "lora": str(lora) if lora else None,
        "items": list(items),
        "texts": list(texts),
        "rows": str(rows),
        "rows_most": rows_most,
        "threads": _threads(),
        "speed_tokens": SPEED_TOKENS,
    }
    return Scored(rows=rows, **_answer(request, scratch, about=lora or model))


def quantize(model: Path, target: Path, *, type_: str) -> None:
    """Write a GGUF file of 16 bits in a type of llama.cpp: by `llama-quantize` on PATH, or by
    llama-cpp-python. Raises ReleaseError if it fails."""
    if program := shutil.which("llama-quantize"):
        done = subprocess.run(
            [program, str(model), str(target), type_.upper()],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            raise _failed(target, done.stderr)
        return
    request = {
        "quantize": type_,
        "model": str(model),
        "target": str(target),
        "threads": _threads(),
    }
    with tempfile.TemporaryDirectory() as scratch:
        if _answer(request, Path(scratch), about=target)["failed"]:
            raise _failed(target, "")


def _threads() -> int:
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


def _answer(request: Mapping[str, Any], scratch: Path, *, about: Path) -> dict[str, Any]:
    """Run the program; ReleaseError with its last line if it fails."""
    asked, answered = scratch / "request.json", scratch / "answer.json"
    asked.write_text(json.dumps(request), encoding="utf-8")
    paths = [*filter(None, sys.path), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-P", str(_PROGRAM), str(asked), str(answered)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode or not answered.is_file():
        raise _failed(about, done.stderr)
    found: dict[str, Any] = json.loads(answered.read_text("utf-8"))
    return found


def _failed(file: Path, said: str) -> ReleaseError:
    lines = [line for line in said.strip().splitlines() if line.strip()]
    return ReleaseError(
        problem(
            "gguf-unreadable",
            "llama.cpp cannot open or run it ({why}); nothing was written",
            at=Place(file.name),
            why=first_line(Exception(lines[-1] if lines else "it ended without a word")),
        )
    )
