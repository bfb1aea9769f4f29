"""The stage: cards -> documents -> tokens -> packed splits and a report."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from finetune import registry
from finetune.errors import DataError
from finetune.job import Job
from finetune.mixing import replayed_cells
from finetune.models.load import load_tokenizer
from finetune.packed import PackedSplit, cells_of, open_split
from finetune.prepare.checks import countries, notes
from finetune.prepare.document import Document
from finetune.prepare.documents import Maker
from finetune.prepare.encode import Encoder
from finetune.prepare.layout import Layout, make_layout
from finetune.prepare.ledger import Ledger, ledger_line
from finetune.prepare.pack import pack, pack_groups
from finetune.prepare.report import Reporter
from finetune.prepare.source import resolve_files
from finetune.prepare.split import SPLITS, HeldOut, Split, held_out, separate
from finetune.prepare.write import Segment, item_of, write_split
from finetune.spec.card import HubSource
from finetune.spec.entries import learned_language
from finetune.spec.load import resolved_use
from finetune.spec.recipe import Corpus, Phase

ENCODE_UPDATE_DOCUMENTS = 500
LEDGER_FILE = "ledger.jsonl"
"""One line a kept document: record hash, card, licence, consent, contributor, split."""


def run(job: Job) -> dict[str, Any]:
    """Write the splits, `rejected.jsonl`, `ledger.jsonl` and the reports; return the result.

    Raises DataError for a corpus that cannot be read or of which nothing is left, RecipeError for
    a base whose tokenizer cannot do what the recipe asks.
    """
    settings = job.recipe.prepare
    _refuse_withdrawn(job)
    tokenizer = load_tokenizer(job.inputs["base"].path / "model")
    layout = _layout(job, job.phase, tokenizer)
    with (job.workspace / "rejected.jsonl").open("w", encoding="utf-8", newline="\n") as stream:
        ledger = Ledger(stream)
        splits = separate(
            _told(job, _documents(job, job.phase, layout=layout, ledger=ledger)),
            validation_share=settings.validation_share,
            test_share=settings.test_share,
            ledger=ledger,
            elsewhere=_held_out_elsewhere(job, tokenizer),
        )
        stage = _Stage(job=job, layout=layout, ledger=ledger)
        with (job.workspace / LEDGER_FILE).open("w", encoding="utf-8", newline="\n") as records:
            segments = {
                split: stage.encode(split, splits.pop(split), records=records) for split in SPLITS
            }
    _refuse_empty(segments, ledger)
    counts: dict[str, dict[str, int]] = {
        split: _write(job, split, segments[split]) for split in SPLITS
    }
    if layout.chat_template is not None:
        path = job.workspace / "chat_template.jinja"
        path.write_text(layout.chat_template, encoding="utf-8", newline="\n")
    cells = [asdict(cell) for cell in cells_of(_train_split(job, stage))]
    stage.reporter.write(job.workspace, counts=counts, ledger=ledger, mix=_mix_facts(job, cells))
    _tell(job, stage, counts)
    return {
        "languages": list(stage.languages),
        "cards": list(stage.cards),
        "counts": counts,
        "cells": cells,
        "per_language": stage.reporter.per_language(),
        "rejected": ledger.by_reason(),
        "chat_template": settings.chat_template if layout.chat_template is not None else None,
    }


def _layout(job: Job, phase: Phase, tokenizer: Any) -> Layout:
    settings = job.recipe.prepare
    uses = {resolved_use(c, job.cards[c.card]) for c in _corpora(job, phase)}
    return make_layout(
        tokenizer,
        kind=settings.layout,
        chat_template=settings.chat_template,
        conversations=uses != {"text"},
    )


def _documents(job: Job, phase: Phase, *, layout: Layout, ledger: Ledger) -> Iterator[Document]:
    """Yield the documents of a phase, each once."""
    seen: set[bytes] = set()
    corpora = _corpora(job, phase)
    files = {c.card: resolve_files(job.cards[c.card], inputs=job.inputs) for c in corpora}
    for corpus in corpora:
        card = job.cards[corpus.card]
        settings = job.recipe.prepare
        regions = countries(settings, job.cards.values())
        maker = Maker(corpus, card, settings, layout, ledger, seen, regions)
        hub = isinstance(card.corpus.source, HubSource)  # fetched as Parquet, whatever it was there
        read = registry.reader("parquet" if hub else card.corpus.format)
        yield from maker.documents(read(files[corpus.card], corpus=card.corpus))


def _corpora(job: Job, phase: Phase) -> list[Corpus]:
    """Return the corpora whose card was not taken back: nothing of the others is even read."""
    return [c for c in phase.corpora if not job.cards[c.card].is_withdrawn]


def _refuse_withdrawn(job: Job) -> None:
    """Say which cards were taken back. Raises DataError if no other is left."""
    names = list(dict.fromkeys(c.card for c in job.phase.corpora))
    for name in names:
        if job.cards[name].is_withdrawn:
            job.console.say(f"{name}: withdrawn by its owners; nothing of it is read", card=name)
    if not _corpora(job, job.phase):
        raise DataError(
            f"every card was withdrawn ({', '.join(names)}); there is nothing to train on"
        )


def _told(job: Job, documents: Iterator[Document]) -> list[Document]:
    """Return the documents as a list, and say how many each card has."""
    found = list(documents)
    for name, number in Counter(document.card for document in found).items():
        job.console.detail(f"{name}: {number} documents")
    return found


def _held_out_elsewhere(job: Job, tokenizer: Any) -> HeldOut:
    """Return what the other phases hold out: read again here, so that no phase waits for another.

    Each phase finds the same sides, because they follow from the texts alone.
    """
    settings = job.recipe.prepare
    others = [p for p in job.recipe.stages_of_training if p.name != job.phase.name]
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        return held_out(
            (
                document
                for phase in others
                for document in _documents(
                    job,
                    phase,
                    layout=_layout(job, phase, tokenizer),
                    ledger=Ledger(nowhere),
                )
            ),
            validation_share=settings.validation_share,
            test_share=settings.test_share,
        )


@dataclass(slots=True)
class _Stage:
    """What encoding the splits needs and gathers."""

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
        corpora = _corpora(self.job, self.job.phase)
        self.cards = tuple(dict.fromkeys(corpus.card for corpus in corpora))
        self.languages = tuple(
            dict.fromkeys(learned_language(c, self.job.cards[c.card]) for c in corpora)
        )

    def encode(self, split: Split, documents: list[Document], *, records: IO[str]) -> list[Segment]:
        """Return the segments of a split; documents are numbered by the order of their hashes.

        Every kept document gets its line in the ledger of records.
        """
        segments: list[Segment] = []
        console = self.job.console
        number = 0
        with console.progress(
            f"encode {split}", total=len(documents), unit="documents"
        ) as progress:
            for index, document in enumerate(documents):
                made = self._segments(document, number=number, held_out=split != "train")
                if made:
                    self.ledger.keep(document)
                    records.write(ledger_line(document, self.job.cards[document.card], split=split))
                    self.reporter.add(split, document, [segment.encoded for segment in made])
                    segments += made
                    number += 1
                if (index + 1) % ENCODE_UPDATE_DOCUMENTS == 0 or index + 1 == len(documents):
                    progress.update(index + 1)
        return segments

    def _segments(self, document: Document, *, number: int, held_out: bool) -> list[Segment]:
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
        return [
            Segment(
                document=number,
                encoded=part,
                language=self.languages.index(document.language),
                card=self.cards.index(document.card),
                item=item_of(document) if held_out else None,
            )
            for part in parts
        ]


def _refuse_empty(segments: dict[Split, list[Segment]], ledger: Ledger) -> None:
    empty = [split for split in SPLITS if not segments[split]]
    if not empty:
        return
    read = sum(ledger.read.values())
    reasons = ", ".join(f"{reason} {n}" for reason, n in ledger.by_reason().items()) or "none"
    kept = {split: len({s.document for s in segments[split]}) for split in SPLITS}
    raise DataError(
        f"nothing is left for {' and '.join(empty)}: {read} records read; rejected: {reasons}; "
        f"kept: {', '.join(f'{split} {n}' for split, n in kept.items())}. Add texts, or change "
        "what rejects them (card: drop_matching, columns; recipe: prepare.min_characters, "
        "validation_share, test_share)"
    )


def _write(job: Job, split: Split, segments: Sequence[Segment]) -> dict[str, int]:
    settings = job.recipe.prepare
    lengths = [len(segment.encoded.tokens_n) for segment in segments]
    layout: dict[str, int] = {"row_tokens": settings.sequence_tokens, "seed": settings.seed}
    if split == "train" and job.phase.mixing is not None:
        rows = pack_groups(lengths, [(s.language, s.card) for s in segments], **layout)
    else:
        rows = pack(lengths, **layout)
    return write_split(
        job.workspace / split, segments, rows=rows, row_tokens=settings.sequence_tokens
    )


def _train_split(job: Job, stage: _Stage) -> PackedSplit:
    return open_split(job.workspace / "train", languages=stage.languages, cards=stage.cards)


def _mix_facts(job: Job, cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what can be mixed. Shares are the training's: another mix needs no new corpus."""
    replayed = replayed_cells(_corpora(job, job.phase), job.cards)
    return {
        "rows_by_group": job.phase.mixing is not None,
        "cells": [c | {"replay": (c["language"], c["card"]) in replayed} for c in cells],
    }


def _tell(job: Job, stage: _Stage, counts: dict[str, dict[str, int]]) -> None:
    rows = []
    for language, facts in stage.reporter.per_language().items():
        held = facts["splits"]
        for split in SPLITS:
            if not held[split]:
                job.console.say(f"warning: {language} has no document for {split}")
        rows.append(
            [
                language,
                *(held[split] for split in SPLITS),
                facts["words"],
                facts["bytes_per_token"],
                facts["tokens_per_word"],
            ]
        )
    used = dict.fromkeys(corpus.card for corpus in job.phase.corpora)
    for note in notes((job.cards[name] for name in used), stage.ledger):
        job.console.say(f"personal data: {note}")
    columns = ["language", *SPLITS, "words", "bytes/token", "tokens/word"]
    job.console.table("documents by language", columns, rows)
    job.console.say(
        f"{counts['train']['rows']} rows of {job.recipe.prepare.sequence_tokens} tokens to train "
        f"on, {counts['train']['supervised_tokens']} of the tokens are learned; left out: "
        + (", ".join(f"{k} {v}" for k, v in stage.ledger.by_reason().items()) or "nothing"),
        counts=counts,
    )
