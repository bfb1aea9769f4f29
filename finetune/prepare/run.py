"""The stage: cards -> documents -> tokens -> packed splits and a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from finetune import registry
from finetune.errors import DataError
from finetune.job import Job
from finetune.models.load import load_tokenizer
from finetune.prepare.document import Document
from finetune.prepare.documents import Maker, learned_language
from finetune.prepare.encode import Encoder
from finetune.prepare.layout import Layout, make_layout
from finetune.prepare.ledger import Ledger, ledger_line
from finetune.prepare.pack import pack
from finetune.prepare.report import Reporter
from finetune.prepare.source import resolve_files
from finetune.prepare.split import SPLITS, Split, separate
from finetune.prepare.write import Segment, item_of, write_split
from finetune.spec.card import DataCard, HubSource
from finetune.spec.load import resolved_use
from finetune.spec.recipe import Corpus

ENCODE_UPDATE_DOCUMENTS = 500
LEDGER_FILE = "ledger.jsonl"
"""One line a kept document: record hash, card, licence, consent, contributor, split."""


def run(job: Job) -> dict[str, Any]:
    """Write the splits, `rejected.jsonl`, `ledger.jsonl` and the reports; return the result.

    Raises DataError for a corpus that cannot be read or of which nothing is left, RecipeError for
    a base whose tokenizer cannot do what the recipe asks.
    """
    settings = job.recipe.prepare
    for name in dict.fromkeys(c.card for c in job.phase.corpora):
        if job.cards[name].is_withdrawn:
            job.console.say(f"{name}: withdrawn by its owners; nothing of it is read", card=name)
    layout = _layout(job)
    with (job.workspace / "rejected.jsonl").open("w", encoding="utf-8", newline="\n") as stream:
        ledger = Ledger(stream)
        splits = separate(
            _documents(job, layout, ledger),
            validation_share=settings.validation_share,
            test_share=settings.test_share,
            ledger=ledger,
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
    stage.reporter.write(job.workspace, counts=counts, ledger=ledger)
    _tell(job, stage, counts)
    return {
        "languages": list(stage.languages),
        "cards": list(stage.cards),
        "counts": counts,
        "per_language": stage.reporter.per_language(),
        "rejected": ledger.by_reason(),
        "chat_template": settings.chat_template if layout.chat_template is not None else None,
    }


def _layout(job: Job) -> Layout:
    settings = job.recipe.prepare
    uses = {resolved_use(c, job.cards[c.card]) for c in _corpora(job)}
    return make_layout(
        load_tokenizer(job.inputs["base"].path / "model"),
        kind=settings.layout,
        chat_template=settings.chat_template,
        conversations=uses != {"text"},
    )


def _documents(job: Job, layout: Layout, ledger: Ledger) -> list[Document]:
    documents: list[Document] = []
    seen: set[bytes] = set()
    files = {name: resolve_files(card, inputs=job.inputs) for name, card in _cards(job).items()}
    for corpus in _corpora(job):
        card = job.cards[corpus.card]
        maker = Maker(corpus, card, job.recipe.prepare, layout, ledger, seen)
        hub = isinstance(card.corpus.source, HubSource)  # fetched as Parquet, whatever it was there
        read = registry.reader("parquet" if hub else card.corpus.format)
        before = len(documents)
        documents.extend(maker.documents(read(files[corpus.card], corpus=card.corpus)))
        job.console.detail(f"{card.name}: {len(documents) - before} documents ({maker.use})")
    return documents


def _corpora(job: Job) -> list[Corpus]:
    """Return the corpora whose card was not taken back: nothing of the others is even read."""
    found = [c for c in job.phase.corpora if not job.cards[c.card].is_withdrawn]
    if not found:
        names = ", ".join(dict.fromkeys(c.card for c in job.phase.corpora))
        raise DataError(f"every card was withdrawn ({names}); there is nothing to train on")
    return found


def _cards(job: Job) -> dict[str, DataCard]:
    return {corpus.card: job.cards[corpus.card] for corpus in _corpora(job)}


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
        self.cards = tuple(_cards(self.job))
        self.languages = tuple(
            dict.fromkeys(
                learned_language(corpus, self.job.cards[corpus.card])
                for corpus in _corpora(self.job)
            )
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
    rows = pack(
        [len(segment.encoded.tokens_n) for segment in segments],
        row_tokens=settings.sequence_tokens,
        seed=settings.seed,
    )
    return write_split(
        job.workspace / split, segments, rows=rows, row_tokens=settings.sequence_tokens
    )


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
    columns = ["language", *SPLITS, "words", "bytes/token", "tokens/word"]
    job.console.table("documents by language", columns, rows)
    job.console.say(
        f"{counts['train']['rows']} rows of {job.recipe.prepare.sequence_tokens} tokens to train "
        f"on, {counts['train']['supervised_tokens']} of the tokens are learned; left out: "
        + (", ".join(f"{k} {v}" for k, v in stage.ledger.by_reason().items()) or "nothing"),
        counts=counts,
    )
