"""Texts of an audit: those that `prepare` would keep of a card or file, with their English.

An audit measures and trains nothing, so that a card's texts are read whatever its consent and
permitted uses say of training; withdrawn ones are not read. A caller that measures for a
training run (`finetune advise`) refuses such cards first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from finetune.errors import DataError, RecipeError, suggestion
from finetune.messages import Place, problem
from finetune.pipeline.corpora import fetched_files
from finetune.pipeline.store import Store
from finetune.prepare.checking.checks import REASONS
from finetune.prepare.ledger import Ledger
from finetune.prepare.loop import Shared, documents_of
from finetune.prepare.overlap.exact import Digests
from finetune.prepare.reading.document_layout import Layout
from finetune.prepare.reading.drafts import entry_of
from finetune.readers.numbered_lines import numbered_lines
from finetune.readers.record import Record, Unit
from finetune.readers.units import units_of
from finetune.sources.files import SourceFile, resolve_files
from finetune.spec.card import CorpusBlock, DataCard
from finetune.spec.load import card_path, cards_folder, load_card
from finetune.spec.recipe import Corpus, Prepare
from finetune.text.shown import EVERYWHERE
from finetune.tokenizer.measure import Text

ENGLISH = "eng_Latn"
UNKNOWN = "und_Zzzz"  # ISO 639 and 15924: not determined
_BARE = Layout(
    tokenizer=None, kind="plain", eos="", special=re.compile(r"(?!)"), chat_template=None
)
"""No base is known here, so no control marks are looked for."""


class Texts:
    """Texts of one audit; it owns what was counted of them while they are read."""

    def __init__(self, card: DataCard, corpus: Corpus, units: Iterator[Unit]) -> None:
        self.card, self.corpus, self._units = card, corpus, units
        self.rejected: dict[str, int] = {}

    def __iter__(self) -> Iterator[Text]:
        ledger = Ledger()
        entry = entry_of(self.corpus, self.card)
        shared = Shared(_settings(self.card), _BARE, seen=Digests())
        for document in documents_of(entry, self._units, shared=shared, ledger=ledger):
            english = document.source if self.corpus.use == "translation" else None
            yield Text(document.target, document.where, english)
        self.rejected = {
            str(REASONS[why].about): times for why, times in ledger.by_reason().items()
        }


def _settings(card: DataCard) -> Prepare:
    """Return the checks of an audit; of a file in no stated language, numbers of all countries."""
    if UNKNOWN not in card.corpus.languages:
        return Prepare()
    return Prepare.model_validate({"personal_data": {"regions": EVERYWHERE}})


def texts_of_file(path: Path, *, english: Path | None) -> Texts:
    """Return the lines of a file, each with the same line of an English file.

    Raises RecipeError for a file that is not there. Reading them raises DataError for bytes that
    are not UTF-8, and if the files have not the same number of lines.
    """
    for option, file in (("--text", path), ("--parallel", english)):
        if file is not None and not file.is_file():
            raise RecipeError(
                problem("no-such-file", "there is no such file", at=Place(f"{option} {file}"))
            )
    languages = [ENGLISH, UNKNOWN] if english else [UNKNOWN]
    # not a card that anybody wrote: only what reading needs
    block = CorpusBlock.model_construct(kind="parallel" if english else "text", languages=languages)
    card = DataCard.model_construct(name=path.stem, path=path, corpus=block)
    if english is None:
        lines = numbered_lines(SourceFile(path, path.name), encoding="utf-8", strict=True)
        plain = (Record(Place(path, n), {"text": line}) for n, line in lines if line.strip())
        return Texts(card, _corpus(card, UNKNOWN, use="text"), plain)
    return Texts(card, _corpus(card, UNKNOWN, use="translation"), _pairs(path, english))


def card_to_read(name: str) -> DataCard:
    """Return a card of this folder's project, named by its file or its name.

    Raises RecipeError for a card that is not there or was withdrawn.
    """
    card = load_card(card_path(name, cards_folder(Path.cwd() / "recipe")))
    if card.is_withdrawn:
        raise RecipeError(
            problem(
                "withdrawn-card",
                "its texts were withdrawn; nothing of it is read",
                at=Place(card.path),
            )
        )
    return card


def texts_of_card(card: DataCard, *, language: str | None, store: Store) -> Texts:
    """Return the texts of a card in one language (of a conversation: its answers).

    Raises RecipeError for a language that is not in it; DataError for files that are missing or
    changed.
    """
    block = card.corpus
    target = _language(card, language)
    if block.kind == "parallel":
        use = "translation" if ENGLISH in block.languages and target != ENGLISH else "text"
    else:
        use = block.kind
    files = resolve_files(card, inputs=fetched_files(card, store=store))
    return Texts(card, _corpus(card, target, use=use), units_of(card, files))


def languages_of(card: DataCard) -> list[str]:
    """Return the languages of a card that a model would learn: all but its English, if others."""
    languages = list(card.corpus.languages)
    return [code for code in languages if code != ENGLISH] or languages[:1]


def _corpus(card: DataCard, target: str, *, use: str) -> Corpus:
    source = ENGLISH if use == "translation" else None
    return Corpus.model_construct(
        card=card.name,
        use=use,
        source=source,
        target=target if card.corpus.kind == "parallel" else None,
    )


def _pairs(path: Path, english: Path) -> Iterator[Record]:
    ours = numbered_lines(SourceFile(path, path.name), encoding="utf-8", strict=True)
    theirs = numbered_lines(SourceFile(english, english.name), encoding="utf-8", strict=True)
    for number, (one, other) in enumerate(zip_longest(ours, theirs), start=1):
        if one is None or other is None:
            longer, shorter = (english, path) if one is None else (path, english)
            raise DataError(
                problem(
                    "other-number-of-lines",
                    "{shorter} ends before this line; line n of one file must be the translation "
                    "of line n of the other",
                    at=Place(longer, number),
                    shorter=shorter,
                )
            )
        yield Record(Place(path, number), {UNKNOWN: one[1], ENGLISH: other[1]})


def _language(card: DataCard, wanted: str | None) -> str:
    languages = list(card.corpus.languages)
    others = [code for code in languages if code != ENGLISH]
    if wanted is not None and wanted not in languages:
        raise RecipeError(
            problem(
                "language-not-in-card",
                "{language!r} is not in card {card!r}{hint}",
                at=Place("--language"),
                language=wanted,
                card=card.name,
                hint=suggestion(wanted, languages, listed=len(languages)),
            )
        )
    if wanted is None and len(others) > 1:
        raise RecipeError(
            problem(
                "several-languages",
                "name one of its languages with --language: {languages}",
                at=Place(f"--card {card.name}"),
                languages=others,
            )
        )
    return wanted or (others or languages)[0]
