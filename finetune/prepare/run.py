"""The stage prepare: cards -> documents -> tokens -> packed splits and a report.

Whatever the size of the corpus: texts and tokens wait on disk, and what stays in memory is a
stated number of bytes per document (docs/duplicates.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from finetune.artefacts.job import Job
from finetune.artefacts.packed_split import cells_of, open_split
from finetune.errors import DataError
from finetune.mix.mixture import replayed_cells
from finetune.models.load import load_tokenizer, tokenizer_folder
from finetune.prepare.checking.identification import make_language_check, tell
from finetune.prepare.ledger import Ledger
from finetune.prepare.loop import encode, gathered, show
from finetune.prepare.packing.encode import Encoder
from finetune.prepare.packing.pack import pack, pack_groups
from finetune.prepare.packing.tokens import Tokens
from finetune.prepare.packing.write import Segments, item_of, split_segments, write_split
from finetune.prepare.reading.document import SPLITS, Split
from finetune.prepare.reading.phase_corpora import corpora_of, layout_of
from finetune.prepare.reading.spool import Spool
from finetune.prepare.report.corpus_report import per_language, personal_data_notes, write_report
from finetune.spec.entries import learned_language

LEDGER_FILE = "ledger.jsonl"
"""One line per kept document: record hash, card, licence, consent, contributor, split."""


def run(job: Job) -> dict[str, Any]:
    """Write the splits, `rejected.jsonl`, `ledger.jsonl` and the reports; return the result.

    Raises DataError for a corpus that cannot be read or of which nothing is left, RecipeError for
    a base whose tokenizer cannot do what the recipe asks.
    """
    tokenizer = load_tokenizer(tokenizer_folder(job))
    layout = layout_of(job, job.phase, tokenizer)
    language_check = make_language_check(job)
    cards, languages = _names(job)
    with (job.workspace / "rejected.jsonl").open("w", encoding="utf-8", newline="\n") as stream:
        ledger = Ledger(stream)
        encoder = Encoder(tokenizer)
        with gathered(job, tokenizer, ledger=ledger, language_check=language_check) as spool:
            counts = _encoded(job, spool, encoder=encoder, ledger=ledger)
    if layout.chat_template is not None:
        path = job.workspace / "chat_template.jinja"
        path.write_text(layout.chat_template, encoding="utf-8", newline="\n")
    train = open_split(job.workspace / "train", languages=languages, cards=cards)
    cells = [asdict(cell) for cell in cells_of(train)]
    beside = {
        "mix": _mix_facts(job, cells),
        "identification": language_check.facts(ledger.confusion) if language_check else None,
    }
    write_report(job.workspace, ledger, counts=counts, beside=beside)
    _tell(job, ledger, counts)
    if language_check:
        tell(language_check, ledger.confusion, job)
    return {
        "languages": list(languages),
        "cards": list(cards),
        "counts": counts,
        "cells": cells,
        "per_language": per_language(ledger),
        "rejected": ledger.by_reason(),
        "chat_template": (
            job.recipe.prepare.chat_template if layout.chat_template is not None else None
        ),
    }


def _names(job: Job) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the cards and the languages of the job's phase, each once, in order."""
    corpora = corpora_of(job, job.phase)
    languages = (learned_language(corpus, job.cards[corpus.card]) for corpus in corpora)
    return tuple(dict.fromkeys(c.card for c in corpora)), tuple(dict.fromkeys(languages))


def _encoded(
    job: Job, spool: Spool, *, encoder: Encoder, ledger: Ledger
) -> dict[str, dict[str, int]]:
    """Encode what is left in the spool and write the splits; return their counts."""
    cards, languages = _names(job)
    with Tokens(spool.folder / "tokens") as tokens:
        with (job.workspace / LEDGER_FILE).open("w", encoding="utf-8", newline="\n") as records:
            encode(job, spool, tokens, encoder=encoder, ledger=ledger, records=records)
        segments = {
            split: split_segments(split, spool, tokens, cards=cards, languages=languages)
            for split in SPLITS
        }
        kept = {split: segments[split].num_documents for split in SPLITS}
        _refuse_empty(kept, ledger)
        show(job, segments["train"], spool, encoder=encoder, ledger=ledger)
        return {split: _write(job, split, segments.pop(split), spool) for split in SPLITS}


def _refuse_empty(kept: Mapping[Split, int], ledger: Ledger) -> None:
    empty = [split for split in SPLITS if not kept[split]]
    if not empty:
        return
    read = sum(ledger.read.values())
    reasons = ", ".join(f"{reason} {n}" for reason, n in ledger.by_reason().items()) or "none"
    raise DataError(
        f"nothing is left for {' and '.join(empty)}: {read} records read; rejected: {reasons}; "
        f"kept: {', '.join(f'{split} {n}' for split, n in kept.items())}. Add texts, or change "
        "what rejects them (card: drop_matching, columns; recipe: prepare.min_characters, "
        "validation_share, test_share)"
    )


def _write(job: Job, split: Split, segments: Segments, spool: Spool) -> dict[str, int]:
    settings = job.recipe.prepare
    layout: dict[str, int] = {"row_tokens": settings.sequence_tokens, "seed": settings.seed}
    if split == "train" and job.phase.mixing is not None:
        rows = pack_groups(segments.lengths_D, segments.groups_D, **layout)
    else:
        rows = pack(segments.lengths_D, **layout)

    def item(segment: int) -> dict[str, str | None]:
        return item_of(spool.read(int(segments.tokens.documents_S[segment])))

    return write_split(
        job.workspace / split,
        segments,
        rows=rows,
        row_tokens=settings.sequence_tokens,
        item=None if split == "train" else item,
    )


def _mix_facts(job: Job, cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what can be mixed. Shares are the training's: another mix needs no new corpus."""
    replayed = replayed_cells(corpora_of(job, job.phase), job.cards)
    return {
        "rows_by_group": job.phase.mixing is not None,
        "cells": [c | {"replay": (c["language"], c["card"]) in replayed} for c in cells],
    }


def _tell(job: Job, ledger: Ledger, counts: dict[str, dict[str, int]]) -> None:
    rows = []
    for language, facts in per_language(ledger).items():
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
    for note in personal_data_notes((job.cards[name] for name in used), ledger):
        job.console.say(f"personal data: {note}")
    columns = ["language", *SPLITS, "words", "bytes/token", "tokens/word"]
    job.console.table("documents by language", columns, rows)
    job.console.say(
        f"{counts['train']['rows']} rows of {job.recipe.prepare.sequence_tokens} tokens to train "
        f"on, {counts['train']['supervised_tokens']} of the tokens are learned; left out: "
        + (", ".join(f"{k} {v}" for k, v in ledger.by_reason().items()) or "nothing"),
        counts=counts,
    )
