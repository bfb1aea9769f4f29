"""Tasks of lm-evaluation-harness by name and language, of the version that the extra pins.

The table beside this module is written at development time, so that `finetune check` knows every
name without the package, which takes seconds to import.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path

PACKAGE, VERSION = "lm_eval", "0.4.13"
HARNESS = f"lm-evaluation-harness {VERSION}"
COLUMNS = ("name", "languages", "family", "file", "dataset", "config", "kind", "metric")
FAMILIES = {
    "belebele": "Belebele",
    "afrixnli": "IrokoBench (AfriXNLI)",
    "afrimmlu": "IrokoBench (AfriMMLU)",
    "afrimgsm": "IrokoBench (AfriMGSM)",
    "afrobench": "AfroBench",
    "sib": "SIB-200",
    "indicparam": "IndicParam",
    "mmlu_prox": "MMLU-ProX",
    "global_piqa": "Global-PIQA",
    "include": "INCLUDE",
}
"""Families of the table; those of AfroBench that have the texts of SIB-200 are `sib`."""
FAMILY_NAMES = (
    *("Belebele", "IrokoBench", "AfroBench", "SIB-200"),
    *("IndicParam", "MMLU-ProX", "Global-PIQA", "INCLUDE"),
)
"""The same for people; IrokoBench is three of them."""
_FILE = "public_tasks.tsv"


@dataclass(frozen=True, slots=True)
class PublicTask:
    """A row of the table."""

    name: str
    languages: tuple[str, ...]
    """In our spelling; two of a translation, its target last."""
    family: str
    file: str
    """YAML file, relative to the folder of the package's tasks."""
    dataset: str
    """Id on the Hub."""
    config: str | None
    kind: str
    """`multiple_choice` or `generate_until`."""
    metric: str | None
    """Metric with a value per item: `acc_norm`, else `acc`; of a generation `exact_match`. None:
    all of its metrics are of a whole corpus, and it cannot be compared item by item."""


@cache
def _lines() -> dict[str, str]:
    """Return the line of each name; only those that are asked for are taken apart."""
    text = (Path(__file__).parent / _FILE).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")][1:]
    return {line.partition("\t")[0]: line for line in lines}


def public_task(name: str) -> PublicTask | None:
    """Return the row of a name; None for a name that the harness does not have.

    >>> public_task("belebele_wol_Latn").dataset, public_task("belebele_wol_Latn").metric
    ('facebook/belebele', 'acc_norm')
    """
    line = _lines().get(name)
    return None if line is None else _row(line)


def _row(line: str) -> PublicTask:
    name, languages, family, file, dataset, config, kind, metric = line.split("\t")
    codes = tuple(languages.split())
    return PublicTask(name, codes, family, file, dataset, config or None, kind, metric or None)


def all_tasks() -> Iterator[PublicTask]:
    """Yield every row."""
    return map(_row, _lines().values())


def tasks_in(language: str) -> list[PublicTask]:
    """Return the rows of a language.

    >>> sorted({task.family for task in tasks_in("wol_Latn")})[:3], tasks_in("kas_Arab")
    (['afrimgsm', 'afrimmlu', 'afrixnli'], [])
    """
    found = (_row(line) for line in _lines().values() if language in line)
    return [task for task in found if language in task.languages]


def without_task(languages: Iterable[str]) -> list[str]:
    """Return the languages for which no family has a task, in whatever script.

    >>> without_task(["wol_Latn", "kas_Arab", "srr_Latn", "snd_Deva"])
    ['kas_Arab', 'srr_Latn']
    """
    there = _languages()
    return [code for code in languages if code.partition("_")[0] not in there]


@cache
def _languages() -> frozenset[str]:
    """Return the languages of the table, without their scripts."""
    columns = (line.split("\t", 2)[1] for line in _lines().values())
    return frozenset(re.findall(r"\b([a-z]{3})_", " ".join(columns)))


def near(name: str) -> list[str]:
    """Return names of the table that may be meant.

    >>> near("belebele_wol")[0]
    'belebele_wol_Latn'
    """
    longer = [known for known in _lines() if known.startswith(name)] if len(name) > 3 else []
    return longer[:3] or get_close_matches(name, _lines(), n=3, cutoff=0.7)
