"""Parts of a nightly run, one row each."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.nightly.long_tests import FILES
from tests.nightly.mutations import MUTATIONS
from tests.nightly.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of trial.

    `function` (`module:name`) takes `seed` and `count` and yields one verdict per trial; the same
    arguments give the same trials. A verdict has `case` (what was tried) and `problems`.
    """

    name: str
    about: str
    """The trials and their criterion, in a sentence for `docs/why/reliability.md`."""
    function: str
    count: int
    """Trials of a whole run."""
    short: int
    """Trials of the slow test; 0: the short form is in the tests of what it is about."""
    at_once: int = 1
    """Trials of one call. A failure is repeated by the seed of its call."""
    needs: str = ""
    """A module without which the part cannot be run; it is skipped then."""

    @property
    def is_here(self) -> bool:
        """Return whether it can be run."""
        return not self.needs or importlib.util.find_spec(self.needs) is not None

    def load(self) -> Callable[..., Iterator[Verdict]]:
        """Return the function."""
        module, _, name = self.function.partition(":")
        found: Any = getattr(importlib.import_module(module), name)
        return found  # type: ignore[no-any-return]

    def calls(self, seed: int, count: int | None = None) -> list[tuple[int, int]]:
        """Return seed and count of each call; together they are `count` trials."""
        left = self.count if count is None else count
        starts = range(0, left, self.at_once)
        return [(seed + begun, min(self.at_once, left - begun)) for begun in starts]


PARTS = (
    Part(
        "kills",
        "SIGKILL (in some trials SIGTERM or SIGINT) at random instants, and before chosen writes, "
        "renames and syncs, of every command that writes; the same command again ends with the "
        "same bytes and leaves nothing behind",
        "tests.nightly.kills:trials",
        count=1000,
        short=6,
        at_once=4,
    ),
    Part(
        "environments",
        "`finetune run` with few file descriptors, little memory, small files, closed or full "
        "streams, unusual variables, ignored signals, umasks and other users; it ends with the "
        "same adapter, or an error message names what is missing",
        "tests.nightly.environments:trials",
        count=440,
        short=0,
        at_once=4,
    ),
    Part(
        "specs",
        "recipes, cards, sites, locks and `--set` options with random mistakes and hostile values, "
        "read by the commands that use them; they pass or an error message names the mistake, "
        "without a traceback or a hang",
        "tests.nightly.borrowed:specs",
        count=10_000,
        short=0,
        at_once=100,
        needs="tests.support.mutated_specs",
    ),
    Part(
        "corpora",
        "corpus files of every format with random damage, read by `cards check` and `prepare`; "
        "the same criterion, within 20 s of CPU time and 2 GiB of memory, and no control "
        "character is printed",
        "tests.nightly.borrowed:corpora",
        count=1000,
        short=0,
        at_once=18,
        needs="tests.support.hostile_corpora",
    ),
    Part(
        "parquet",
        "Parquet tables with damage in the footer or anywhere; read or rejected with an error "
        "message, and no library ends the process",
        "tests.nightly.borrowed:parquet",
        count=20_000,
        short=0,
        at_once=500,
        needs="tests.support.hostile_corpora",
    ),
    Part(
        "bundles",
        "hostile bundles made by hand, and mutants of a valid one; rejected by name, nothing is "
        "written outside, nothing is run, nothing altered is accepted",
        "tests.nightly.borrowed:archives",
        count=1000,
        short=0,
        at_once=20,
        needs="tests.support.hostile_archives",
    ),
    Part(
        "npm",
        "hostile npm archives made by hand, and mutants of a valid one; the same criterion",
        "tests.nightly.borrowed:npm_archives",
        count=400,
        short=0,
        at_once=20,
        needs="tests.support.hostile_archives",
    ),
    Part(
        "bases",
        "`finetune run` with a base that lacks tensors, is of another model, truncated, a pointer, "
        "or whose tokenizer or configuration is damaged, in one way or two; rejected by name "
        "before training",
        "tests.nightly.borrowed:bases",
        count=300,
        short=0,
        at_once=10,
        needs="tests.support.damaged_bases",
    ),
    Part(
        "bent-bases",
        "`finetune run` with a base with single changed bits or bytes; rejected with an error "
        "message, or without effect",
        "tests.nightly.borrowed:bent_bases",
        count=300,
        short=0,
        at_once=10,
        needs="tests.support.damaged_bases",
    ),
    Part(
        "flips",
        "one bit flipped in a file of a finished store, every kind of file in turn; found before "
        "use, with the file and the command that makes it again",
        "tests.nightly.borrowed:flips",
        count=300,
        short=0,
        at_once=30,
        needs="tests.support.flips",
    ),
    Part(
        "power-cuts",
        "the disk as it may be after a power cut during `finetune run`, unsynced data lost; the "
        "same command ends with the same result",
        "tests.nightly.borrowed:power_cuts",
        count=300,
        short=0,
        at_once=300,
        needs="tests.support.power_cut",
    ),
    Part(
        "nasty-site",
        "a chain on a real Slurm with every odd property of a site at once, the controller away "
        "for three minutes at the stop signal, requeueing allowed and forbidden in turn; it ends "
        "right and no job is left",
        "tests.nightly.nasty_site:trials",
        count=20,
        short=0,
    ),
    Part(
        "long-tests",
        "the long forms of slow tests (`-m nightly`), a test file per trial: ten times the texts, "
        "every write, every layout of ranks; all pass",
        "tests.nightly.long_tests:trials",
        count=len(FILES),
        short=0,
    ),
    Part(
        "mutations",
        "one wrong line of code per invariant, planted in a copy of the checkout; a test of those "
        "named for it fails",
        "tests.nightly.mutations:trials",
        count=len(MUTATIONS),
        short=0,
    ),
)
"""In the order in which they run."""


def named(names: list[str]) -> tuple[Part, ...]:
    """Return parts by name, all if none is named; KeyError for one that there is not."""
    known = {part.name: part for part in PARTS}
    return tuple(known[name] for name in names) if names else PARTS
