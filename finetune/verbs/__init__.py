"""The table of verbs: `finetune VERB` is the module finetune/verbs/GROUP/VERB.py.

Such a module has `add_arguments(parser)`, the options of the verb alone, and
`run(options, console)`, which returns the exit code. Only the module of the chosen verb is
imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Literal

GROUPS: Mapping[str, str] = {
    "start": "Start",
    "data": "Data",
    "train": "Train",
    "release": "Evaluate and release",
    "use": "Use",
    "cluster": "Cluster",
    "reference": "Reference",
}
"""Folder of a group -> its heading in `finetune --help`."""

RENAMED: Mapping[str, Sequence[str]] = {
    "merge": ("export", "--format", "merged"),
    "results": ("report", "--sweep"),
    "catalogue": ("cards", "catalogue"),
}
"""Old names, accepted for one more release with a warning -> the words that replace them."""
MEANT: Mapping[str, str] = {"resume": "run", "talk": "chat", "compare": "report"}
"""Words that are not verbs -> the verb to suggest for them."""


@dataclass(frozen=True, slots=True)
class Verb:
    """A row of the table of verbs."""

    name: str
    group: str
    help: str
    recipe: Literal["required", "optional"] | None = None
    """True if it takes a recipe, with --set and --store."""
    store: bool = False
    """True if it takes a store; a verb that takes a recipe does."""
    all_ranks: bool = False
    """True if every rank of a launch runs the verb; if not, only rank 0 does."""
    hidden: bool = False
    """For batch scripts: not in the list of verbs."""

    def module(self) -> ModuleType:
        """Import and return the verb's module."""
        return import_module(f"{__name__}.{self.group}.{self.name}")


_ROWS = (
    Verb("init", "start", "create a recipe and a data card for a language"),
    Verb(
        "check",
        "start",
        "validate a recipe with its cards, or a site; list every problem",
        recipe="optional",
    ),
    Verb("plan", "start", "show the stages of a recipe: cached or to do", recipe="required"),
    Verb(
        "run",
        "start",
        "run every stage of a recipe that is not cached; also resumes",
        recipe="required",
        all_ranks=True,
    ),
    Verb("runs", "start", "list, verify or remove the artefacts of a store", store=True),
    Verb("cards", "data", "write, check, list, publish and withdraw data cards"),
    Verb("tokenizer", "data", "compare tokenizers: tokens per word, bytes per token"),
    Verb("advise", "data", "propose a recipe for data cards, with reasons", store=True),
    Verb(
        "fetch",
        "data",
        "download the base and the corpora; write the lock file",
        recipe="required",
    ),
    Verb(
        "prepare",
        "train",
        "build packed sequences and the corpus report",
        recipe="required",
        all_ranks=True,
    ),
    Verb(
        "train",
        "train",
        "train the adapter; resumes from the last checkpoint",
        recipe="required",
        all_ranks=True,
    ),
    Verb(
        "estimate",
        "train",
        "estimate memory, time and energy before training",
        recipe="required",
    ),
    Verb(
        "evaluate",
        "release",
        "score base and adapter on the test split",
        recipe="required",
        all_ranks=True,
    ),
    Verb(
        "release",
        "release",
        "build the release: adapter, model card, scores",
        recipe="required",
        all_ranks=True,
    ),
    Verb(
        "report",
        "release",
        "one page on runs, seeds or a sweep: gains, samples, cost",
        store=True,
    ),
    Verb("judge", "release", "let speakers judge outputs on an offline page; collect the answers"),
    Verb("publish", "release", "upload a built release to a hub", recipe="required"),
    Verb(
        "credits",
        "release",
        "show whose texts were trained on, in shares by card and person",
        store=True,
    ),
    Verb("reproduce", "release", "make a release again from its folder, and compare"),
    Verb("chat", "use", "chat with base and adapter in the terminal", recipe="required"),
    Verb(
        "translate",
        "use",
        "translate a file: text, subtitles, USFM, PO, a table; resumes",
        recipe="required",
    ),
    Verb("compose", "use", "make one adapter of several on the same base", store=True),
    Verb("export", "use", "export an adapter, e.g. merged into its base", store=True),
    Verb(
        "submit",
        "cluster",
        "submit the stages that are to do as Slurm jobs",
        recipe="required",
    ),
    Verb("status", "cluster", "show the state of a job chain, one line per job", store=True),
    Verb("logs", "cluster", "print the log of a job; -f follows it", store=True),
    Verb("cancel", "cluster", "cancel the jobs of a chain; keep its checkpoints", store=True),
    Verb("resubmit", "cluster", "resubmit the unfinished jobs of a chain", store=True),
    Verb(
        "bundle",
        "cluster",
        "pack all that a recipe needs for an air-gapped cluster",
        recipe="required",
    ),
    Verb("unbundle", "cluster", "verify a bundle; add its artefacts to the store", store=True),
    Verb("doctor", "cluster", "diagnose this machine or a cluster", all_ranks=True),
    Verb("attempt", "cluster", "record the start and end of a job attempt", hidden=True),
    Verb("schema", "reference", "print the JSON Schema of a recipe, card or site"),
)
VERBS: Mapping[str, Verb] = {row.name: row for row in _ROWS}
