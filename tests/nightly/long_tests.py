"""Long forms of slow tests, as trials: one test file each, run by pytest."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

from tests.nightly.record import ROOT
from tests.nightly.verdict import Verdict

FILES = (
    "tests/cluster/test_layouts.py",
    "tests/cluster/test_nasty_site.py",
    "tests/cluster/test_survival.py",
    "tests/e2e/test_full_disk.py",
    "tests/e2e/test_kill_train.py",
    "tests/e2e/test_known_bad_real.py",
    "tests/e2e/test_vocabulary_real.py",
    "tests/stages/test_prepare_contamination.py",
    "tests/stages/test_prepare_duplicates.py",
    "tests/stages/test_prepare_memory.py",
    "tests/unit/pipeline/test_store_kills.py",
    "tests/unit/readers/test_hostile.py",
    "tests/unit/statistics/test_significance.py",
)
"""Those with tests marked `nightly`; their short forms run in CI."""


def trials(seed: int, count: int) -> Iterator[Verdict]:
    """Yield a verdict per file, beginning with the one whose turn `seed` is."""
    for number in range(seed, seed + count):
        file = FILES[number % len(FILES)]
        command = [sys.executable, "-m", "pytest", "-q", "-m", "nightly", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*command, file], cwd=ROOT, capture_output=True, text=True, check=False
        )
        failed = re.findall(r"^(?:FAILED|ERROR) (.+)$", done.stdout, re.MULTILINE)
        if done.returncode and not failed:
            failed = [f"pytest ended with {done.returncode}: {done.stdout[-1000:]}"]
        yield Verdict(file, tuple(failed), seed=number)
