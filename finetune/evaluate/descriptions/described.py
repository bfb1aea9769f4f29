"""Descriptions of what systems generate: languages, repetition, copies, empty outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from finetune.artefacts.job import Job
from finetune.artefacts.outputs.output_facts import REFERENCE, GroupOutputs, OutputFacts
from finetune.errors import DataError
from finetune.evaluate.compare import Asked, Outputs
from finetune.evaluate.descriptions.everyday import TEXTS
from finetune.evaluate.metrics.copy_rate import is_copy
from finetune.evaluate.outputs import Generation
from finetune.evaluate.parts import Part
from finetune.evaluate.yardsticks import kept_texts
from finetune.identify.models import Model, load_models
from finetune.identify.naming import MOST_BYTES, Namer, namers
from finetune.spec.tables.metric import FIDELITY
from finetune.spec.tables.task import Group
from finetune.text.repetition import repeated_grams

COVERED = 0.5
"""Share of the references that must be identified as the language, for outputs to be described."""
Answers = Mapping[str, Sequence[Outputs]]
"""By system, part by part; None for a group of which a system has nothing."""


def described(
    job: Job, asked: Asked, parts: Sequence[Part], answers: Answers
) -> tuple[dict[str, list[Outputs]], list[GroupOutputs]]:
    """Return the generations of a task with the languages they are in, and facts on each group.

    Groups without a score are left as they are, and so are tasks without language fidelity.
    """
    found = {name: [list(of_part) for of_part in each] for name, each in answers.items()}
    facts: list[GroupOutputs] = []
    if FIDELITY not in [row.name for row in asked.metrics]:
        return {name: list(each) for name, each in answers.items()}, facts
    models = _models(job)
    for number, part in enumerate(parts):
        for place, group in enumerate(asked.groups[number]):
            if not group.is_scored:
                continue
            given = {name: each[number][place] for name, each in found.items()}
            mine = {name: outputs for name, outputs in given.items() if outputs is not None}
            named, of_group = describe(
                group,
                mine,
                phase=part.phase,
                models=models,
                texts=partial(_texts_at_hand, job, part, group.language),
            )
            facts.append(of_group)
            for name, outputs in named.items():
                found[name][number][place] = outputs
    return {name: list(each) for name, each in found.items()}, facts


def describe(
    group: Group,
    outputs: Mapping[str, Sequence[Generation]],
    *,
    phase: str | None,
    models: Sequence[Model],
    texts: Callable[[], Mapping[str, Sequence[str]]],
) -> tuple[dict[str, list[Generation]], GroupOutputs]:
    """Return the outputs for a group with the languages they are in, and facts on them."""
    references = [item.reference or "" for item in group.items]
    ways = namers(group.language, models=models, texts=texts)
    namer, known, how = _chosen(ways, group.language, references)
    named = {
        system: _with_languages(each, group.language, namer, known)
        for system, each in outputs.items()
    }
    own = [
        Generation(text, text, item.source, group.language, found, found)
        for text, item, found in zip(references, group.items, known, strict=True)
    ]
    facts = {REFERENCE: facts_of(own)} | {name: facts_of(each) for name, each in named.items()}
    where = (group.language, group.direction, phase)
    return named, GroupOutputs(*where, namer is not None, how, facts)


def facts_of(outputs: Sequence[Generation]) -> OutputFacts:
    """Return facts on the outputs of one system."""
    words = [word.casefold() for one in outputs for word in one.text.split()]
    repeated, grams = map(sum, zip(*(repeated_grams(one.text) for one in outputs), strict=True))
    has_sources = all(one.source for one in outputs)
    languages = Counter(one.found for one in outputs if one.found)
    return OutputFacts(
        n=len(outputs),
        empty=sum(not one.text.strip() for one in outputs),
        words=len(words),
        distinct_words=len(set(words)),
        repetition=repeated / max(1, grams),
        copies=sum(is_copy(one.text, one.source or "") for one in outputs) if has_sources else None,
        languages=dict(sorted(languages.items(), key=lambda pair: (-pair[1], pair[0]))),
    )


def _with_languages(
    outputs: Sequence[Generation],
    language: str,
    namer: Namer | None,
    known: Sequence[str | None],
) -> list[Generation]:
    names = namer.name([one.text for one in outputs]) if namer else [None] * len(outputs)
    return [
        replace(one, language=language, found=found, reference_found=reference)
        for one, found, reference in zip(outputs, names, known, strict=True)
    ]


def _chosen(
    ways: Iterable[Namer], language: str, references: Sequence[str]
) -> tuple[Namer | None, Sequence[str | None], str]:
    """Return the first way that finds the language in half of the references, and what it found.

    None if there is no such way; and how, or what was tried.
    """
    tried = []
    for way in ways:
        names = way.name(references)
        right = sum(name == language for name in names)
        if right >= COVERED * len(references):
            return way, names, way.how
        tried.append(f"{way.how}: {right} of {len(references)} references")
    return None, [None] * len(references), "; ".join(tried) or "no model knows the language"


def _models(job: Job) -> tuple[Model, ...]:
    """Return the models of the recipe; none where it asks for none or they are not installed."""
    settings = job.recipe.prepare.identify
    try:
        return () if settings.action == "off" else load_models(settings)
    except DataError:
        return ()


def _texts_at_hand(job: Job, part: Part, language: str) -> dict[str, list[str]]:
    """Return texts by language: what the adapter learned, sources of pairs, English and French."""
    from finetune.models.load import load_tokenizer, tokenizer_folder

    tokenizer = load_tokenizer(tokenizer_folder(job))
    targets = sorted({language, *(item.language for item in part.items)})
    found = {one: _first(kept_texts(job, part, one, tokenizer=tokenizer)) for one in targets}
    for item in part.items:
        source = (item.direction or "").partition(">")[0]
        if item.source and source not in targets:  # else it is the reference of another item
            found.setdefault(source, []).append(item.source)
    for one, texts in TEXTS.items():
        found.setdefault(one, []).extend(texts)
    return found


def _first(texts: Iterable[bytes]) -> list[str]:
    """Return the first texts, as many as a model of their language is made of."""
    sizes = 0
    found = []
    for text in texts:
        found.append(text.decode())
        sizes += len(text)
        if sizes >= MOST_BYTES:
            break
    return found
