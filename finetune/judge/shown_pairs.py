"""The pairs of outputs that judges may see, out of the generations of an evaluation.

A text of a card that is not shared, or that holds personal data, is not shown; nor is a pair with a
secret in it. Personal data that a pattern finds in the rest is masked, as in every quotation.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from finetune.artefacts.outputs.generation_records import GENERATIONS, read_generations
from finetune.artefacts.remake import how_to_remake
from finetune.errors import RecipeError, suggestion
from finetune.messages import Place, problem
from finetune.output.paths import HOME_OF_ANYONE
from finetune.output.secrets import secrets_in
from finetune.spec.language import Named
from finetune.text.shown import quotable

Task = Literal["translation", "answer"]
NO_CARD = ""
"""Card of the prompts of a recipe."""
BASE = "base"
_MARKS = re.compile(r"<\|[^|<>]{1,40}\|>|</?s>|<(?:start|end)_of_turn>|\[/?INST\]|<[be]os>")
"""Marks of chat templates."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The outputs of the adapter and of another system for one prompt."""

    id: str
    task: Task
    language: str
    """The language that they should be in."""
    group: str
    """Direction and phase."""
    source: str
    source_language: str | None
    reference: str | None
    adapter: str
    other: str


@dataclass(frozen=True, slots=True)
class Pairs:
    """The pairs that are shown, and how many are not, by reason."""

    shown: tuple[Pair, ...]
    left_out: dict[str, int] = field(default_factory=dict)


def pairs_of(
    folder: Path,
    *,
    language: str | None,
    other: str,
    shared: Collection[str],
    most: int,
    file: str = GENERATIONS,
) -> Pairs:
    """Return the pairs of an evaluation in a language, at most `most`, in turn of its groups.

    `other`: `base`, or the name of a model of `evaluate.models`; `shared`: the cards whose texts
    may be shown; `language` may be None where there is one alone. The same every time.

    Raises RecipeError if the evaluation has no such language or model, or nothing may be shown.
    """
    records = list(read_generations(folder, file=file))
    language = _one_language(records, language)
    records = [record for record in records if record["language"] == language]
    _refuse_unknown(records, other, folder)
    left_out: Counter[str] = Counter()
    found: dict[str, Pair] = {}
    for record in records:
        pair = _pair(record, other)
        reason = _reason(pair, record, shared)
        if reason is None and pair.id in found:
            reason = "twice"
        if reason is None:
            found[pair.id] = pair
        else:
            left_out[reason] += 1
    pairs = _in_turn(list(found.values()))
    if any(pair.task == "translation" for pair in pairs):  # other questions fit answers
        answers = sum(pair.task == "answer" for pair in pairs)
        left_out["other-task"] += answers
        pairs = [pair for pair in pairs if pair.task == "translation"]
    if len(pairs) > most:
        left_out["over-number"] += len(pairs) - most
    if not pairs:
        raise RecipeError(
            problem(
                "nothing-to-judge",
                "no output in {language} may be shown to judges: {reasons}",
                at=Place(folder / file),
                language=Named(language),
                reasons=[f"{reason} {n}" for reason, n in sorted(left_out.items())] or "none",
            )
        )
    return Pairs(tuple(pairs[:most]), {why: n for why, n in sorted(left_out.items()) if n})


def _one_language(records: Sequence[dict[str, Any]], wanted: str | None) -> str:
    there = sorted({str(record["language"]) for record in records})
    if wanted in there:
        return str(wanted)
    if wanted is None and len(there) == 1:
        return there[0]
    if not there:
        raise RecipeError(
            problem(
                "no-generations",
                "nothing was generated in the evaluation (evaluate.generate_items, "
                "evaluate.prompts), so there is nothing to judge",
            )
        )
    raise RecipeError(
        problem(
            "which-language",
            "name the language whose speakers judge: one of {there}",
            at=Place(key="--language"),
            there=[Named(code) for code in there],
        )
    )


def _refuse_unknown(records: Sequence[dict[str, Any]], other: str, folder: Path) -> None:
    """Raise RecipeError if the evaluation has no outputs of a model."""
    known = {name for record in records for name in record.get("models") or ()}
    if other != BASE and other not in known:
        raise RecipeError(
            problem(
                "no-outputs-of-model",
                "{name!r}: the evaluation has outputs of {known}{hint}; name a model in "
                "evaluate.models and evaluate (one of before models were kept: {remedy})",
                at=Place(key="--against"),
                name=other,
                known=[BASE, *sorted(known)],
                hint=suggestion(other, [BASE, *sorted(known)]),
                remedy=how_to_remake(folder),
            )
        )


def _pair(record: dict[str, Any], other: str) -> Pair:
    direction, phase = record.get("direction"), record.get("phase")
    texts = record if other == BASE else record.get("models") or {}
    source = record.get("source") or readable_prompt(record.get("prompt") or "")
    name = json.dumps([record["id"], direction, phase], ensure_ascii=False)
    return Pair(
        id=hashlib.sha256(name.encode()).hexdigest(),
        task="translation" if direction else "answer",
        language=str(record["language"]),
        group=f"{direction or ''} {phase or ''}",
        source=quotable(source),
        source_language=_language_of_source(record),
        reference=quotable(record.get("reference") or "") or None,
        adapter=quotable(record["adapter"]),
        other=quotable(str(texts.get(other) or "")),
    )


def _language_of_source(record: dict[str, Any]) -> str | None:
    """Return the language of a source or of a prompt of the recipe; None: of another prompt."""
    if direction := record.get("direction"):
        return str(direction).partition(">")[0]
    return str(record["language"]) if record["card"] == NO_CARD else None


def readable_prompt(text: str) -> str:
    """Return a prompt without the marks of a chat template.

    >>> readable_prompt("<|im_start|>user\\nIna kwana?<|im_end|>\\n<|im_start|>assistant\\n")
    'Ina kwana?'
    """
    parts = _MARKS.split(text)
    roles = r"(?:system|user|assistant|model)\n"
    turns = [re.sub(rf"\A{roles}", "", part).strip() for part in parts]
    return "\n\n".join(turn for turn in turns if turn)


def _reason(pair: Pair, record: dict[str, Any], shared: Collection[str]) -> str | None:
    """Return why a pair is not shown, or None if it is."""
    if record["card"] not in shared:
        return "not-shared"
    texts = " ".join((pair.source, pair.reference or "", pair.adapter, pair.other))
    if HOME_OF_ANYONE.search(texts) or any(secrets_in(texts)):
        return "private"
    if not (pair.adapter.strip() or pair.other.strip()):
        return "empty"
    return "equal" if pair.adapter.split() == pair.other.split() else None


def _in_turn(pairs: Sequence[Pair]) -> list[Pair]:
    """Return pairs with one of each group in turn, so that a part of them has all groups."""
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(pair.group, []).append(pair)
    rounds = zip_longest(*(groups[name] for name in sorted(groups)))
    return [pair for one in rounds for pair in one if pair is not None]
