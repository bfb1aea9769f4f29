"""Documents -> segments on disk, with what the reports count."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import IO

import numpy as np

from finetune.artefacts.job import Job
from finetune.errors import DataError
from finetune.prepare.ledger import SAMPLES, Ledger, ledger_line
from finetune.prepare.loop import corpora_of
from finetune.prepare.packing.encode import Encoded, Encoder
from finetune.prepare.packing.tokens import Tokens
from finetune.prepare.packing.write import Segments
from finetune.prepare.reading.document import Document
from finetune.prepare.reading.layout import Layout
from finetune.prepare.reading.split import SPLITS, Split
from finetune.prepare.reading.spool import Spool
from finetune.prepare.report.report import EXAMPLES_PER_LANGUAGE, Reporter
from finetune.spec.entries import learned_language

UPDATE_DOCUMENTS = 500


@dataclass(slots=True)
class Encoding:
    """What encoding needs and gathers."""

    job: Job
    layout: Layout
    ledger: Ledger
    encoder: Encoder = field(init=False)
    reporter: Reporter = field(init=False)
    cards: tuple[str, ...] = field(init=False)
    languages: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.encoder = Encoder(self.layout.tokenizer)
        self.reporter = Reporter(self.encoder)
        corpora = corpora_of(self.job, self.job.phase)
        self.cards = tuple(dict.fromkeys(corpus.card for corpus in corpora))
        self.languages = tuple(
            dict.fromkeys(learned_language(c, self.job.cards[c.card]) for c in corpora)
        )

    def encode(self, spool: Spool, tokens: Tokens, *, records: IO[str]) -> None:
        """Encode the documents that are left, in the order they came.

        Every kept document gets its line in the ledger of records.
        """
        left = spool.left()
        total = int(left.sum())
        with self.job.console.progress("encode", total=total, unit="documents") as progress:
            for done, (number, document) in enumerate(spool.documents(left), start=1):
                split = spool.split_of(number)
                if segments := self._segments(document):
                    for encoded in segments:
                        tokens.add(encoded, document=number)
                    card = self.job.cards[document.card]
                    records.write(ledger_line(document, card, split=split))
                    self.reporter.add(split, document)
                if done % UPDATE_DOCUMENTS == 0 or done == total:
                    progress.update(done)
        tokens.flush()

    def _segments(self, document: Document) -> list[Encoded]:
        """Return the segments of a document; none if it is too long and not to be cut."""
        settings = self.job.recipe.prepare
        parts = self.encoder.document(document.pieces, row_tokens=settings.sequence_tokens)
        if len(parts) > 1 and settings.over_length == "error":
            raise DataError(
                f"{document.where} (card {document.card}): longer than a row of "
                f"{settings.sequence_tokens} tokens, and the recipe says `over_length: error`; "
                "raise prepare.sequence_tokens, or choose `split` or `drop`"
            )
        if len(parts) > 1 and not (document.splittable and settings.over_length == "split"):
            self.ledger.drop(document, reason="over-length")
            return []
        return parts

    def segments(self, split: Split, spool: Spool, tokens: Tokens) -> Segments:
        """Return the segments of a split; documents are numbered by the order of their hashes."""
        documents_S = tokens.documents_S.astype(np.int64)
        numbers = np.flatnonzero(spool.split_numbers()[documents_S] == SPLITS.index(split))
        numbers = numbers[spool.in_hash_order(documents_S[numbers])]
        documents = documents_S[numbers]
        kinds = spool.kind_numbers()[documents]
        cards = [self._place(self.cards, kind.card) for kind in spool.kinds]
        languages = [self._place(self.languages, kind.language) for kind in spool.kinds]
        is_next = np.ones(len(documents), dtype=np.int64)
        is_next[1:] = documents[1:] != documents[:-1]
        return Segments(
            tokens=tokens,
            numbers_D=numbers,
            documents_D=np.cumsum(is_next) - 1,
            languages_D=np.array(languages, dtype=np.int16)[kinds],
            cards_D=np.array(cards, dtype=np.int16)[kinds],
        )

    @staticmethod
    def _place(names: tuple[str, ...], name: str) -> int:
        return names.index(name) if name in names else -1  # of another phase, never encoded

    def show(self, segments: Segments, spool: Spool) -> None:
        """Show the first documents of each language by the order of their hashes as samples."""
        for language in range(len(self.languages)):
            places = np.flatnonzero(segments.languages_D == language)
            numbers = segments.tokens.documents_S[segments.numbers_D[places]]
            first = dict.fromkeys(numbers[: SAMPLES * SAMPLES].tolist())
            for shown, number in enumerate(list(first)[:SAMPLES]):
                document = spool.read(number)
                self.ledger.keep(document)
                if shown < EXAMPLES_PER_LANGUAGE:
                    self.reporter.show(document, self._segments(document))
