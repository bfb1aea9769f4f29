"""Measurements for a proposal: cards, bases, and the tokenizers of the bases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from finetune.advice.facts import Candidate, CardFacts, Facts
from finetune.errors import RecipeError, ReleaseError
from finetune.messages import Place, problem
from finetune.output.console import Console
from finetune.pipeline.store import Store
from finetune.prepare.audit import ENGLISH, card_to_read, languages_of, texts_of_card
from finetune.spec.card import DataCard
from finetune.spec.load import load_recipe
from finetune.spec.permission import adapter_terms, refuse_training
from finetune.tokenizer.bases import OpenedBase, open_bases
from finetune.tokenizer.measure import Text, audit

LONG = 0.95
RESAMPLES = 200


def measure(
    trained_cards: Sequence[str],
    *,
    replay_cards: Sequence[str],
    recipes: Sequence[str],
    store: Store,
    console: Console,
) -> Facts:
    """Return the measurements of cards with the bases that recipes name.

    Raises RecipeError for a card on which nothing may be trained, or if no base is here.
    """
    trained = [card_to_read(name) for name in trained_cards]
    replayed = [card_to_read(name) for name in replay_cards]
    by_name = {card.name: card for card in (*trained, *replayed)}
    # there is no recipe yet that the gate could open; before any text is read
    refuse_training(by_name, today=date.today())
    opened, candidates, missing = _bases(recipes, store=store)
    cards = [_measured(card, opened, store=store) for card in trained]
    replay = [_measured(card, opened, store=store) for card in replayed]
    console.detail(f"{sum(one.audit.documents for group in cards for one in group):,} documents")
    return Facts(
        cards=tuple(one for group in cards for one in group),
        replay=tuple(one for group in replay for one in group),
        candidates=tuple(_licensed(one, by_name) for one in candidates),
        missing=missing,
    )


def recipes_here() -> list[str]:
    """Return the recipes of the project: their bases are compared by default."""
    recipes = sorted(str(path) for path in Path("recipes").glob("*.yaml"))
    if not recipes:
        raise RecipeError(
            problem(
                "no-base-to-propose",
                "no base to propose: name recipes with these bases with --base, or work in a "
                "folder with recipes/ (`finetune init` makes one)",
            )
        )
    return recipes


def _bases(
    recipes: Sequence[str], *, store: Store
) -> tuple[dict[str, OpenedBase], list[Candidate], dict[str, str]]:
    """Open the tokenizers of the bases that recipes name, each base once."""
    opened: dict[str, OpenedBase] = {}
    candidates: list[Candidate] = []
    missing: dict[str, str] = {}
    for recipe in recipes:
        if not recipe.endswith((".yaml", ".yml")):
            raise RecipeError(
                problem(
                    "base-without-recipe",
                    "{given!r}: name a recipe (a .yaml file) that uses the base; the recipe "
                    "states its licence and its name on the Hub too",
                    at=Place(key="--base"),
                    given=recipe,
                )
            )
        base = load_recipe(Path(recipe)).base
        label = base.released_id
        if label in missing or label in opened:
            continue
        try:
            [one] = open_bases([recipe], store=store).values()
        except RecipeError as error:
            missing[label] = str(error).partition("\n")[0]
            continue
        opened[label] = one
        candidates.append(Candidate(label, base, recipe, one.context_tokens))
    if not candidates:
        raise RecipeError(
            problem(
                "no-base-here",
                "none of the bases of the recipes is on this machine; `finetune fetch RECIPE` "
                "downloads one",
            ),
            *(
                problem("base-not-here", "{base}: {reason}", base=label, reason=reason)
                for label, reason in missing.items()
            ),
        )
    return opened, candidates, missing


def _licensed(one: Candidate, cards: dict[str, DataCard]) -> Candidate:
    """Return a candidate with the refusals of its licence; no recipe of it exists that the gate
    could open."""
    try:
        adapter_terms(one.base.licence, cards, wanted="auto", today=date.today())
    except ReleaseError as error:
        return replace(one, refused=str(error).replace("\n", "; "))
    return one


def _measured(card: DataCard, opened: dict[str, OpenedBase], *, store: Store) -> list[CardFacts]:
    """Measure every language of a card except the one that is translated from."""
    facts = []
    vocabularies = {label: one.vocabulary for label, one in opened.items()}
    original = _original(card)
    for language in languages_of(card):
        if language == original:
            continue
        texts = texts_of_card(card, language=language, store=store)
        sizes: list[int] = []
        measured = audit(_sized(texts, sizes), vocabularies, resamples=RESAMPLES)
        use = texts.corpus.use
        source = ENGLISH if use == "translation" else None
        if original is not None:  # taken to be as long as its translation
            use, source, sizes = "translation", original, [2 * size for size in sizes]
        long = sorted(sizes)[min(len(sizes) - 1, int(LONG * len(sizes)))]
        facts.append(CardFacts(texts.card, language, use, source, measured, long))
    return facts


def _original(card: DataCard) -> str | None:
    """Return the language that a pair without English is translated from: the one listed first."""
    languages = list(card.corpus.languages)
    is_pair = card.corpus.kind == "parallel" and len(languages) == 2
    return languages[0] if is_pair and ENGLISH not in languages else None


def _sized(texts: Iterable[Text], sizes: list[int]) -> Iterator[Text]:
    """Yield texts, and note how many bytes each has with its English."""
    for text in texts:
        sizes.append(len(text.text.encode()) + len((text.english or "").encode()))
        yield text
