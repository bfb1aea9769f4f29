"""Memory of the prepare stage: measured in processes of their own, on 10 times the corpus."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

STATED_BYTES = 300
"""Memory per document that docs/data/duplicates.md states."""

PROGRAM = """
import json, sys
from pathlib import Path
from finetune.prepare.run import run
from tests.support.prepare_job import make_card, make_job

def kib(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))

folder = Path(sys.argv[1])
card = make_card(folder, "text", (folder / "corpus.txt").read_bytes())
job = make_job(folder, card, duplicates={"near": 0.8})
Path("/proc/self/clear_refs").write_text("5")  # what was needed until here does not count
before = kib("VmRSS")
result = run(job)
print(json.dumps({
    "grown_bytes": (kib("VmHWM") - before) * 1024,
    "documents": sum(c["documents"] for c in result["counts"].values()),
}))
"""


def peak_of(folder: Path, *, documents: int) -> tuple[int, int]:
    """Return by how many bytes preparing so many random lines grows at most, and the documents."""
    folder.mkdir()
    rng = random.Random(documents)
    syllables = [a + b for a in "bdfgklmnrstwyɓɗƙ" for b in "aeiou"]
    with (folder / "corpus.txt").open("w", encoding="utf-8") as file:
        for _ in range(documents):
            words = ("".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(8))
            file.write(" ".join(words) + "\n")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        check=True,
        capture_output=True,
        text=True,
    )
    facts = json.loads(done.stdout.splitlines()[-1])
    return facts["grown_bytes"], facts["documents"]


@pytest.mark.parametrize(
    "documents",
    [
        pytest.param(5_000, marks=pytest.mark.slow),
        pytest.param(20_000, marks=[pytest.mark.nightly, pytest.mark.timeout(900)]),
    ],
)
def test_memory_grows_by_the_stated_bytes_per_document(tmp_path: Path, documents: int) -> None:
    """Ten times the corpus needs at most the stated bytes more for each document more."""
    small, few = peak_of(tmp_path / "small", documents=documents)
    large, many = peak_of(tmp_path / "large", documents=10 * documents)
    assert many > 9 * few
    print(f"{(large - small) / (many - few):.0f} bytes per document")
    assert (large - small) / (many - few) <= STATED_BYTES
