"""The table of verbs: `finetune VERB` is the module finetune/verbs/GROUP/VERB.py.

Such a module has `add_arguments(parser)`, the options of the verb alone, and
`run(options, console)`, which returns the exit code. Only that of the chosen verb is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
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


@dataclass(frozen=True, slots=True)
class Verb:
    """A row of the table of verbs."""

    name: str
    group: str
    help: str
    recipe: Literal["required", "optional"] | None = None
    """Whether it takes a recipe, with --set and --store."""
    store: bool = False
    """Whether it takes a store (one that takes a recipe does)."""
    all_ranks: bool = False
    """Whether every process of a launch takes part, be it by waiting; else rank 0 does alone."""
    hidden: bool = False
    """Nobody types it: the list of verbs leaves it out."""

    def module(self) -> ModuleType:
        """Import and return the verb's module."""
        return import_module(f"{__name__}.{self.group}.{self.name}")


_ROWS = (
    Verb("init", "start", "write a recipe and a data card for a language"),
    Verb(
        "check",
        "start",
        "validate recipe and cards, or a site; says all that is wrong",
        recipe="optional",
    ),
    Verb("plan", "start", "show stages, keys and what is done", recipe="required"),
    Verb(
        "run",
        "start",
        "do all that a recipe says and is not done yet",
        recipe="required",
        all_ranks=True,
    ),
    Verb("runs", "start", "what is in the store; remove some of it", store=True),
    Verb("cards", "data", "write, check, take back, show and publish data cards"),
    Verb("tokenizer", "data", "audit: what a text costs with several bases"),
    Verb("advise", "data", "a recipe for data cards, each line with its reason", store=True),
    Verb(
        "fetch",
        "data",
        "get everything the recipe needs from outside, once",
        recipe="required",
    ),
    Verb(
        "prepare",
        "train",
        "cards -> packed tokens and a report",
        recipe="required",
        all_ranks=True,
    ),
    Verb("train", "train", "tokens -> adapter", recipe="required", all_ranks=True),
    Verb(
        "estimate",
        "train",
        "memory, time and energy, before anything is queued",
        recipe="required",
    ),
    Verb(
        "evaluate",
        "release",
        "base and adapter on the same held-out texts",
        recipe="required",
        all_ranks=True,
    ),
    Verb(
        "release",
        "release",
        "build the folder that goes to the hub",
        recipe="required",
        all_ranks=True,
    ),
    Verb("publish", "release", "upload a built release", recipe="required"),
    Verb("results", "release", "one table: what each combination of a chain achieved", store=True),
    Verb("chat", "use", "talk to base and adapter in the terminal", recipe="required"),
    Verb("export", "use", "the adapter in another form, e.g. one whole model", recipe="required"),
    Verb(
        "submit",
        "cluster",
        "queue all that is not done yet on a Slurm cluster",
        recipe="required",
    ),
    Verb("status", "cluster", "what became of a chain of jobs: one line a job", store=True),
    Verb("logs", "cluster", "the log of a job; -f follows it over restarts", store=True),
    Verb("cancel", "cluster", "cancel every job of a chain; its state is kept", store=True),
    Verb("resubmit", "cluster", "submit again what of a chain is not done", store=True),
    Verb(
        "bundle",
        "cluster",
        "pack all that a recipe needs, for a cluster offline",
        recipe="required",
    ),
    Verb("unbundle", "cluster", "verify a bundle; its artefacts into the store", store=True),
    Verb("doctor", "cluster", "what of this machine or cluster does not work", all_ranks=True),
    Verb(
        "attempt",
        "cluster",
        "what batch scripts ask at the start and end of a job",
        hidden=True,
    ),
    Verb("schema", "reference", "print the JSON Schema of a recipe, data card or site"),
)
VERBS: Mapping[str, Verb] = {row.name: row for row in _ROWS}
