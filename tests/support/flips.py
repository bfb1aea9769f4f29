"""Bits flipped in the files of a finished store: is each found before it is used, and named?

    for flip in flips(project, seed=0, count=100):
        assert flip.verdict == "found", flip

`project` is the folder of `tests.support.project.write_project` in which `finetune run` has
finished. It is as before when the iterator ends.
"""

from __future__ import annotations

import contextlib
import io
import random
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

RECIPE = "recipes/tiny.yaml"
STORE = ".finetune"
ORDER = (
    *("base", "corpus", "prepare", "vocabulary", "train"),
    *("baseline", "evaluate", "release"),
)
Verdict = Literal["found", "silent", "unnamed", "traceback"]


@dataclass(frozen=True, slots=True)
class Flip:
    """A bit that was flipped, and what the next command made of it."""

    file: str
    """Inside the store."""
    bit: int
    verdict: Verdict
    """`found`: refused, with the name of the file and the command that makes it again."""
    said: str

    @property
    def command(self) -> str:
        """The command that the message advises."""
        start = self.said.index("finetune runs --store")
        return self.said[start:].partition(", then the same command")[0]


def flips(project: Path, *, seed: int, count: int) -> Iterator[Flip]:
    """Yield `count` flips, one of each kind of file before a second one of any."""
    chance = random.Random(seed)
    store = project / STORE
    with tempfile.TemporaryDirectory() as folder:
        good = Path(folder) / "good"
        shutil.copytree(store, good)
        for file in _chosen(good, chance, count):
            bit = chance.randrange(8 * (good / file).stat().st_size)
            yield flip(project, good, file=file, bit=bit)
        restore(store, good)


def flip(project: Path, good: Path, *, file: str, bit: int) -> Flip:
    """Flip a bit where the stages after it are not done yet, and run the recipe again.

    Of a release the stages before it are done too, and it is to be published.
    """
    store = project / STORE
    restore(store, good)
    stage = file.partition("/")[0]
    for later in ORDER[ORDER.index(stage) + 1 :]:
        shutil.rmtree(store / later, ignore_errors=True)
    content = bytearray((store / file).read_bytes())
    content[bit // 8] ^= 1 << (bit % 8)
    (store / file).write_bytes(content)
    code, said = finetune(project, "run", RECIPE)
    if "Traceback" in said:
        verdict: Verdict = "traceback"
    elif code == 0:
        verdict = "silent"
    else:
        key = "/".join(file.split("/")[:2])
        inner = file.removeprefix(key + "/")
        named = "its manifest" in said if inner == "manifest.json" else inner in said
        verdict = "found" if named and f"--remove {key}" in said else "unnamed"
    return Flip(file, bit, verdict, said)


def restore(store: Path, good: Path) -> None:
    """Make the store what it was; caches of checksums see the copied files as new."""
    shutil.rmtree(store, ignore_errors=True)
    shutil.copytree(good, store)


def finetune(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run the command line in this process; return its exit code and what it printed."""
    from finetune.cli import main

    out = io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(out),
    ):
        try:
            code = main(arguments)
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        except Exception:
            traceback.print_exc(file=sys.stderr)
            code = 1
    return code, out.getvalue()


def kind_of(file: str) -> str:
    """Return the kind of a file of the store: its stage and its name without what counts up."""
    stage, _, *inner = file.split("/")
    name = inner[-1]
    if name.startswith("events.out"):
        name = "events.out"
    return "/".join([stage, *(p for p in inner[:-1] if not p.startswith("step-")), name])


def _chosen(good: Path, chance: random.Random, count: int) -> list[str]:
    kinds: dict[str, list[str]] = {}
    for path in sorted(p for p in good.rglob("*") if p.is_file() and p.stat().st_size):
        file = path.relative_to(good).as_posix()
        if file.partition("/")[0] in ORDER and file.count("/") >= 2:
            kinds.setdefault(kind_of(file), []).append(file)
    names = sorted(kinds)
    chance.shuffle(names)
    return [chance.choice(kinds[names[n % len(names)]]) for n in range(count)]
