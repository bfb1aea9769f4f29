"""Languages that will have too few test items for a claim, known before training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from finetune.messages import Sentence, sentence
from finetune.output.console import Console
from finetune.pipeline import plan
from finetune.pipeline.plan import Step
from finetune.pipeline.store import Store
from finetune.spec.card import DataCard
from finetune.spec.entries import target_language
from finetune.spec.language import language_name
from finetune.spec.load import Project
from finetune.spec.recipe import Corpus
from finetune.statistics.claims import MIN_ITEMS_OF_A_CLAIM

MOST_OF_SIZE = {"n<1K": 1_000, "1K<n<10K": 10_000, "10K<n<100K": 100_000}
"""The most records of a card, by the first of its `size_categories`."""
_MOST_SHARE = 0.49


@dataclass(frozen=True, slots=True)
class FewItems:
    """Languages with fewer test items than a claim needs, and the same remedy."""

    languages: tuple[str, ...]
    items: int
    """As counted in the prepared corpus, or at most, by what cards and recipe say."""
    share: float | None
    """The test share that would hold out enough; None if it is not the share that is too small."""
    can_claim: bool
    """False: there are too few texts for a claim, whatever the share."""

    def sentence(self) -> Sentence:
        """Say it with a remedy."""
        languages = list(dict.fromkeys(map(language_name, self.languages)))
        facts = {"languages": languages, "items": self.items, "needed": MIN_ITEMS_OF_A_CLAIM}
        if not self.can_claim:
            return sentence(
                "  {languages}: {items} test items at most, and a claim needs {needed}; there are "
                "too few texts to claim anything",
                **facts,
            )
        if self.share is None:
            return sentence(
                "  {languages}: {items} test items at most, and a claim needs {needed}; set "
                "evaluate.max_documents to {needed} or more",
                **facts,
            )
        return sentence(
            "  {languages}: {items} test items at most, and a claim needs {needed}; set "
            "prepare.test_share to {share:g} or more, and evaluate.max_documents to {needed} or "
            "more",
            **facts,
            share=self.share,
        )


def few_test_items(project: Project, *, store: Store) -> list[FewItems]:
    """Return the languages that are known to have too few test items, grouped by the remedy.

    Counted where a corpus is prepared; else the most that sizes of cards and limits of the recipe
    allow. A card that names its test records itself says nothing of their number.
    """
    limit = project.recipe.evaluate.max_documents
    found: dict[FewItems, list[str]] = {}
    for language, expected in _expected(project, store).items():
        few = limit if expected is None else min(expected.items, limit)
        if few < MIN_ITEMS_OF_A_CLAIM:
            found.setdefault(_few(few, expected), []).append(language)
    return [replace(few, languages=tuple(named)) for few, named in found.items()]


def show_few_test_items(project: Project, *, store: Store, console: Console) -> None:
    """Warn of such languages, with what to do."""
    for few in few_test_items(project, store=store):
        console.say(
            few.sentence(),
            warning="few-test-items",
            languages=few.languages,
            test_items=few.items,
            test_share=few.share,
        )


@dataclass(frozen=True, slots=True)
class _Expected:
    items: int
    texts: int
    """In all splits."""


def _few(items: int, expected: _Expected | None) -> FewItems:
    if expected is None or expected.items >= MIN_ITEMS_OF_A_CLAIM:
        return FewItems((), items, share=None, can_claim=True)
    share = math.ceil(100 * MIN_ITEMS_OF_A_CLAIM / max(1, expected.texts)) / 100
    enough = share <= _MOST_SHARE
    return FewItems((), items, share=share if enough else None, can_claim=enough)


def _expected(project: Project, store: Store) -> Mapping[str, _Expected | None]:
    """Return what is known of each language of the last phase; None: nothing."""
    step = plan.prepared_for_training(project)[-1]
    prepared = store.find("prepare", step.key)
    if prepared is not None:
        from finetune.artefacts.results import PrepareResult, read_result  # loaded on use: 30 ms

        counts = read_result(prepared, PrepareResult).per_language
        return {
            language: _Expected(each.splits.get("test", 0), each.documents)
            for language, each in counts.items()
            if each.splits
        }
    return _at_most(project, step)


def _at_most(project: Project, step: Step) -> Mapping[str, _Expected | None]:
    texts: dict[str, list[int | None]] = {}
    for corpus in step.phase.corpora:
        card = project.cards[corpus.card]
        if not (card.is_withdrawn or corpus.replay or card.corpus.test == "none"):
            texts.setdefault(target_language(corpus, card), []).append(_texts(corpus, card))
    share = project.recipe.prepare.test_share
    found: dict[str, _Expected | None] = {}
    for language, each in texts.items():
        known = [number for number in each if number is not None]
        total = sum(known) if len(known) == len(each) else None
        found[language] = None if total is None else _Expected(round(share * total), total)
    return found


def _texts(corpus: Corpus, card: DataCard) -> int | None:
    """Return the most texts that an entry can have; None if nothing says it."""
    if corpus.evaluate_only or card.corpus.test not in (None, "none"):
        return None
    stated = card.hub_metadata.get("size_categories")
    size = MOST_OF_SIZE.get(str(stated[0])) if isinstance(stated, list) and stated else None
    known = [most for most in (corpus.max_documents, size) if most is not None]
    return min(known) if known else None
