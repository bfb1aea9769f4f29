"""The verb `advise`: a recipe for cards, from what was measured, with the reason of every line."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.errors import RecipeError, ReleaseError, StoreError
from finetune.output.console import Console
from finetune.pipeline.store import Store
from finetune.spec.card import DataCard
from finetune.spec.load import load_project, load_recipe
from finetune.spec.permission import adapter_terms, refuse_training
from finetune.spec.site import load_site

if TYPE_CHECKING:
    from finetune.advice.facts import Candidate, CardFacts, Facts
    from finetune.advice.proposal import Line
    from finetune.estimate.estimate import Estimate
    from finetune.tokenizer.bases import Opened
    from finetune.tokenizer.measure import Text

LONG = 0.95
RESAMPLES = 200
MIN_TOKENS = 8192
"""Of one step (train.batch_tokens)."""


def advise(options: Namespace, console: Console) -> int:
    """Measure, propose, write the recipe, and say why each line is as it is."""
    from finetune.advice.proposal import propose

    out: Path = options.out
    if out.exists():
        raise RecipeError(f"--out {out}: is there already; name another file")
    if options.budget_hours is not None and options.budget_hours <= 0:
        raise RecipeError(f"--budget-hours {options.budget_hours}: must be more than 0")
    store = Store(options.store.resolve())
    facts = _facts(options, console, store=store)
    for label, why in facts.missing.items():
        console.say(f"not compared: {label}: {why}")
    found = None
    chosen, lines = propose(facts, affordable_epochs=None)
    with _draft(out) as draft:
        _write(draft, out, facts=facts, chosen=chosen, lines=lines)
        try:
            found = _estimate(draft, options, store=store)
        except StoreError:
            console.say(
                f"cost: not known before the base is here: finetune fetch {out}, then finetune "
                f"estimate {out}"
            )
    if options.budget_hours is not None:
        epochs = _affordable(options.budget_hours, found)
        chosen, lines = propose(facts, affordable_epochs=epochs)
    cost = _expected(found, options)
    _write(out, out, facts=facts, chosen=chosen, lines=lines, cost=cost)
    _show(console, out, lines, cost)
    return 0


def _facts(options: Namespace, console: Console, *, store: Store) -> Facts:
    from finetune.advice.facts import Facts

    opened, candidates, missing = _bases(options.base or _recipes(), store=store)
    cards = [_measured(name, opened, store=store) for name in options.card]
    replay = [_measured(name, opened, store=store) for name in options.replay]
    found = {one.card.name: one.card for group in (*cards, *replay) for one in group}
    refuse_training(found, today=date.today())
    console.detail(f"{sum(one.audit.documents for group in cards for one in group):,} documents")
    return Facts(
        cards=tuple(one for group in cards for one in group),
        replay=tuple(one for group in replay for one in group),
        candidates=tuple(_licensed(one, found) for one in candidates),
        missing=missing,
    )


def _recipes() -> list[str]:
    """Return the recipes of the project: their bases are compared where none is named."""
    found = sorted(str(path) for path in Path("recipes").glob("*.yaml"))
    if not found:
        raise RecipeError(
            "no base to propose: name recipes whose bases are meant with --base, or work in a "
            "folder with recipes/ (`finetune init` makes one)"
        )
    return found


def _bases(
    recipes: Sequence[str], *, store: Store
) -> tuple[dict[str, Opened], list[Candidate], dict[str, str]]:
    """Open the tokenizers of the bases that recipes name, each base once."""
    from finetune.advice.facts import Candidate
    from finetune.tokenizer.bases import open_bases

    opened: dict[str, Opened] = {}
    candidates: list[Candidate] = []
    missing: dict[str, str] = {}
    for recipe in recipes:
        if not recipe.endswith((".yaml", ".yml")):
            raise RecipeError(
                f"--base {recipe}: name a recipe (a .yaml file) whose base is meant: there its "
                "licence and its name on the Hub stand too"
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
            "no base that the recipes name is on this machine; `finetune fetch RECIPE` gets one",
            *(f"{label}: {why}" for label, why in missing.items()),
        )
    return opened, candidates, missing


def _licensed(one: Candidate, cards: dict[str, DataCard]) -> Candidate:
    try:
        adapter_terms(one.base.licence, cards, wanted="auto", today=date.today())
    except ReleaseError as error:
        return replace(one, refused=str(error).replace("\n", "; "))
    return one


def _measured(name: str, opened: dict[str, Opened], *, store: Store) -> list[CardFacts]:
    """Measure every language of a card that is not its English."""
    from finetune.advice.facts import CardFacts
    from finetune.prepare.reading.texts import ENGLISH, languages_of, texts_of_card
    from finetune.tokenizer.measure import audit

    found = []
    vocabularies = {label: one.vocabulary for label, one in opened.items()}
    for language in languages_of(name):
        texts = texts_of_card(name, language=language, store=store)
        sizes: list[int] = []
        measured = audit(_sized(texts, sizes), vocabularies, resamples=RESAMPLES)
        use = texts.corpus.use
        source = ENGLISH if use == "translation" else None
        long = sorted(sizes)[min(len(sizes) - 1, int(LONG * len(sizes)))]
        found.append(CardFacts(texts.card, language, use, source, measured, long))
    return found


def _sized(texts: Iterable[Text], sizes: list[int]) -> Iterator[Text]:
    """Yield texts, and note how many bytes each has with its English."""
    for text in texts:
        sizes.append(len(text.text.encode()) + len((text.english or "").encode()))
        yield text


def _write(
    path: Path,
    named: Path,
    *,
    facts: Facts,
    chosen: Candidate,
    lines: Sequence[Line],
    cost: str = "",
) -> None:
    from finetune.advice.recipe import recipe_text

    text = recipe_text(named.stem, str(named), facts=facts, chosen=chosen, lines=lines, cost=cost)
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise RecipeError(f"{path}: cannot be written: {error.strerror}") from None
    load_project(path)  # what cannot be read back is our mistake, and is not left unsaid


@contextmanager
def _draft(out: Path) -> Iterator[Path]:
    """A file beside the recipe, which is removed again: cards are found from where it lies."""
    if not out.parent.is_dir():
        raise RecipeError(f"--out: there is no folder {out.parent}")
    path = out.with_name(f".{out.stem}.{os.getpid()}.yaml")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _estimate(draft: Path, options: Namespace, *, store: Store) -> Estimate:
    from finetune.estimate.estimate import estimate
    from finetune.estimate.target import choose_target

    site = load_site(options.site) if options.site else None
    return estimate(load_project(draft), choose_target(site), store=store, pue=1.0)


def _affordable(hours: float, found: Estimate | None) -> float:
    """Return the passes over the corpus that fit into some hours, at the slower end."""
    from finetune.advice.proposal import EPOCHS

    if found is None or found.cost.tokens_per_second is None:
        raise RecipeError(
            f"--budget-hours {hours:g}: how fast this would train is not known; fetch the base "
            "first, or leave the budget out"
        )
    speed = min(found.cost.tokens_per_second)
    tokens = speed * 3600 * hours
    if tokens < MIN_TOKENS:
        raise RecipeError(
            f"--budget-hours {hours:g}: not enough for one step of {MIN_TOKENS:,} tokens at "
            f"{speed:.3g} tokens a second; allow more, or name GPUs with --site"
        )
    return tokens * EPOCHS / sum(each.tokens for each in found.lengths)


def _expected(found: Estimate | None, options: Namespace) -> str:
    """Say what training costs, and what that rests on; empty if it is not known."""
    if found is None or found.cost.hours is None or found.cost.tokens_per_second is None:
        return ""
    slow, fast = sorted(found.cost.tokens_per_second)
    speed = f"{slow:,.0f} to {fast:,.0f} tokens a second (finetune estimate; not measured here)"
    if options.budget_hours is not None:
        return f"Fits into {options.budget_hours:g} hours of training at {speed}."
    low, high = found.cost.hours
    return f"Expected: {low:.2g} to {high:.2g} hours of training at {speed}."


def _show(console: Console, out: Path, lines: Sequence[Line], cost: str) -> None:
    if console.json_lines:
        for line in lines:
            console.say(line.key, **asdict(line))
        console.say(f"wrote {out}", recipe=str(out), cost=cost or None)
        return
    for line in lines:
        value = "as it is" if line.value is None else line.value
        console.say(f"{line.key}: {value}")
        console.say(f"  {line.reason}{f' [{line.source}]' if line.source else ''}")
    if cost:
        console.say(cost)
    console.say(f"wrote {out}; next: finetune check {out}, finetune estimate {out}")
