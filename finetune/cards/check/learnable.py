"""Accuracy of a classifier of a card's own lines, for a language that no model supports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from finetune.cards.check.finding import Finding
from finetune.cards.look import is_here
from finetune.errors import FinetuneError
from finetune.identify.lines import count_letters, plain
from finetune.messages import Sentence, phrase, problem, sentence
from finetune.readers.content import claims, texts_of
from finetune.readers.record import Rejection
from finetune.readers.units import records_of
from finetune.sources.files import SourceFile, resolve_files
from finetune.spec.card import DataCard
from finetune.spec.language import Named
from finetune.spec.load import load_card
from finetune.spec.withdrawn import record_hash

READ_RECORDS = 3000
"""Records of a card whose lines are taken, so that the check takes seconds."""
LINES = 1400
"""Lines of a language."""
MOST_OTHERS = 5
"""Other languages, those of the first cards by name."""
LEAST_LETTERS = 5


def learnable(card: DataCard, language: str, *, files: Sequence[SourceFile]) -> Finding | None:
    """Return how well the language of a card is separated from those of the cards beside it.

    None where there are too few lines of it. The other cards are those in the same folder, with
    texts on this machine in the same script.
    """
    from finetune.identify.learning_curve import learning_curve

    texts = {language: list(islice(_lines(card, language, files), LINES))}
    for other, one in _others(card, language=language):
        if len(texts) > MOST_OTHERS:
            break
        lines = texts.setdefault(other, [])
        there = files if one is card else None
        lines += islice(_lines(one, other, there), LINES - len(lines))
    curve = learning_curve(texts, language=language)
    if curve is None:
        return None
    found = problem(
        "learnable",
        "A classifier trained on so many lines of each language recognises this share of held-out "
        "lines in {language}: {shares}. It compared {others}; most often taken for: {confusions}.",
        language=Named(language),
        shares=[
            phrase(f"{size:,}: {one.share:.0%} ({one.right}/{one.of})")
            for size, one in curve.accuracy.items()
        ],
        others=[Named(one) for one in texts if one != language and texts[one]],
        confusions=[_confusion(*one) for one in curve.confusions] or phrase("-"),
    )
    return Finding("note", found)


def _confusion(language: str, count: int) -> Sentence:
    return sentence("{language}, {count}", language=Named(language), count=count)


def _others(card: DataCard, *, language: str) -> Iterator[tuple[str, DataCard]]:
    """Yield the languages of the same script, with the cards beside a card that have them."""
    script = language.rpartition("_")[2]
    own = [one for one in card.corpus.languages if one != language]
    yield from ((one, card) for one in own if one.endswith(script))
    for path in sorted(card.path.parent.glob("*.md")):
        if path.name == card.path.name:
            continue
        try:
            one = load_card(path)
        except FinetuneError:
            continue
        for other in one.corpus.languages if is_here(one) and not one.is_withdrawn else ():
            if other != language and other.endswith(script):
                yield other, one


def _lines(card: DataCard, language: str, files: Sequence[SourceFile] | None) -> Iterator[str]:
    """Yield lines of a card in a language; `files`: those of the card, if they were resolved."""
    try:
        files = resolve_files(card, inputs={}) if files is None else files
        for record in islice(records_of(card, files), READ_RECORDS):
            texts = texts_of(record, card.corpus)
            withdrawn = card.withdrawn and record_hash(record.fields) in card.withdrawn
            if withdrawn or isinstance(texts, Rejection):
                continue
            for claimed, text in claims(texts):
                lines = (plain(line) for line in text.split("\n") if claimed == language)
                yield from (line for line in lines if count_letters(line) >= LEAST_LETTERS)
    except FinetuneError:  # its own check reports it
        return
