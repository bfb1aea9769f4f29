"""Texts of an audit: those that `prepare` would keep of a card or file, with their English.

An audit measures and trains nothing, so that a card's texts are read whatever its consent and
permitted uses say of training; those that were taken back are never read. Whoever measures for a
training (`finetune advise`) refuses such cards first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from finetune.errors import DataError, RecipeError
from finetune.pipeline.corpora import fetched_files
from finetune.pipeline.store import Store
from finetune.prepare.checking.checks import REASONS
from finetune.prepare.ledger import Ledger
from finetune.prepare.loop import Shared, documents_of
from finetune.prepare.overlap.exact import Digests
from finetune.prepare.reading.document_layout import Layout
from finetune.prepare.reading.drafts import entry_of
from finetune.readers.numbered_lines import numbered_lines
from finetune.readers.record import Record
from finetune.sources.files import SourceFile, reader_of, resolve_files
from finetune.spec.card import CorpusBlock, DataCard
from finetune.spec.load import card_path, cards_folder, did_you_mean, load_card
from finetune.spec.recipe import Corpus, Prepare
from finetune.tokenizer.measure import Text

ENGLISH = "eng_Latn"
UNKNOWN = "und_Zzzz"  # ISO 639 and 15924: not determined
_BARE = Layout(
    tokenizer=None, kind="plain", eos="", special=re.compile(r"(?!)"), chat_template=None
)
"""No base is known here, so no control marks are looked for."""


class Texts:
    """Texts of one audit; it owns what was counted of them while they are read."""

    def __init__(self, card: DataCard, corpus: Corpus, records: Iterator[Record]) -> None:
        self.card, self.corpus, self._records = card, corpus, records
        self.rejected: dict[str, int] = {}

    def __iter__(self) -> Iterator[Text]:
        ledger = Ledger()
        entry = entry_of(self.corpus, self.card)
        shared = Shared(Prepare(), _BARE, seen=Digests())
        for document in documents_of(entry, self._records, shared=shared, ledger=ledger):
            english = document.source if self.corpus.use == "translation" else None
            yield Text(document.target, document.where, english)
        self.rejected = {REASONS[why].en: times for why, times in ledger.by_reason().items()}


def texts_of_file(path: Path, *, english: Path | None) -> Texts:
    """Return the lines of a file, each with the same line of an English file.

    Raises RecipeError for a file that is not there. Reading them raises DataError for bytes that
    are not UTF-8, and if the files have not the same number of lines.
    """
    for option, file in (("--text", path), ("--parallel", english)):
        if file is not None and not file.is_file():
            raise RecipeError(f"{option} {file}: there is no such file")
    languages = [ENGLISH, UNKNOWN] if english else [UNKNOWN]
    # not a card that anybody wrote: only what reading needs
    block = CorpusBlock.model_construct(kind="parallel" if english else "text", languages=languages)
    card = DataCard.model_construct(name=path.stem, path=path, corpus=block)
    if english is None:
        lines = numbered_lines(SourceFile(path, path.name), encoding="utf-8")
        plain = (Record(f"{path}:{n}", {"text": line}) for n, line in lines if line.strip())
        return Texts(card, _corpus(card, UNKNOWN, use="text"), plain)
    return Texts(card, _corpus(card, UNKNOWN, use="translation"), _pairs(path, english))


def card_to_read(name: str) -> DataCard:
    """Return a card of this folder's project, named by its file or its name.

    Raises RecipeError for a card that is not there or was withdrawn.
    """
    card = load_card(card_path(name, cards_folder(Path.cwd() / "recipe")))
    if card.is_withdrawn:
        raise RecipeError(f"--card {name}: its texts were taken back; nothing of it is read")
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
    records = reader_of(card)(files, corpus=block)
    return Texts(card, _corpus(card, target, use=use), records)


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
    ours = numbered_lines(SourceFile(path, path.name), encoding="utf-8")
    theirs = numbered_lines(SourceFile(english, english.name), encoding="utf-8")
    for number, (one, other) in enumerate(zip_longest(ours, theirs), start=1):
        if one is None or other is None:
            longer, shorter = (english, path) if one is None else (path, english)
            raise DataError(
                f"{longer}:{number}: {shorter} ends before this line; line n of one file must be "
                "the translation of line n of the other"
            )
        yield Record(f"{path}:{number}", {UNKNOWN: one[1], ENGLISH: other[1]})


def _language(card: DataCard, wanted: str | None) -> str:
    languages = list(card.corpus.languages)
    others = [code for code in languages if code != ENGLISH]
    if wanted is not None and wanted not in languages:
        raise RecipeError(
            f"--language {wanted}: card {card.name!r} has {', '.join(languages)}"
            f"{did_you_mean(wanted, languages)}"
        )
    if wanted is None and len(others) > 1:
        raise RecipeError(
            f"--card {card.name}: say which language with --language: {', '.join(others)}"
        )
    return wanted or (others or languages)[0]
