"""The stage prepare: cards -> documents -> tokens -> packed splits and a report.

Whatever the size of the corpus: texts and tokens wait on disk, and what stays in memory is a
stated number of bytes per document (docs/data/duplicates.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from finetune.artefacts.emissions import Energy
from finetune.artefacts.job import Job
from finetune.artefacts.packed_split import open_split, subsets_of
from finetune.artefacts.results import (
    LanguageCounts,
    PreparedCounts,
    PrepareResult,
    SplitCounts,
    as_json,
)
from finetune.errors import DataError
from finetune.launch.energy import metered_stage, of_stage
from finetune.messages import Place, Sentence, problem, sentence
from finetune.mix.allocate import Subset
from finetune.mix.mixture_plan import replayed_subsets
from finetune.models.encode import Encoder
from finetune.models.load import load_tokenizer, tokenizer_folder
from finetune.prepare.checking.identification import make_language_check, tell
from finetune.prepare.ledger import Ledger, quoting
from finetune.prepare.loop import encode, gathered, show
from finetune.prepare.packing.pack import pack, pack_groups
from finetune.prepare.packing.tokens import Tokens
from finetune.prepare.packing.write import Segments, item_of, split_segments, write_split
from finetune.prepare.reading.document import SPLITS, Split
from finetune.prepare.reading.document_layout import Layout
from finetune.prepare.reading.phase_corpora import corpora_of, layout_of
from finetune.prepare.reading.spool import Spool
from finetune.prepare.report.corpus_report import per_language, personal_data_notes, write_report
from finetune.prepare.report.document_notes import document_counts, document_lines
from finetune.prepare.report.prompt_tokens import prompt_lines, prompt_tokens
from finetune.spec.entries import target_language

_OVERLAP = ("in-evaluation", "near-evaluation")
LEDGER_FILE = "ledger.jsonl"
"""One line per kept document: record hash, card, licence, consent, contributor, split."""


def run(job: Job) -> dict[str, Any]:
    """Write the splits, `rejected.jsonl`, `ledger.jsonl` and the reports; return the result.

    Raises DataError for a corpus that cannot be read or of which nothing is left, RecipeError for
    a base whose tokenizer cannot do what the recipe asks.
    """
    with metered_stage(job.workspace, leads=job.leads):
        result = _prepared(job)
    used = of_stage(job.workspace)
    return as_json(replace(result, energy=Energy(*used) if used else None))


def _prepared(job: Job) -> PrepareResult:
    tokenizer = load_tokenizer(tokenizer_folder(job))
    layout = layout_of(job, job.phase, tokenizer)
    language_check = make_language_check(job)
    cards, languages = _names(job)
    with (job.workspace / "rejected.jsonl").open("w", encoding="utf-8", newline="\n") as stream:
        ledger = Ledger(stream, quoting(job.recipe.prepare, job.cards))
        encoder = Encoder(tokenizer)
        with gathered(job, tokenizer, ledger=ledger, language_check=language_check) as spool:
            counts = _encoded(job, spool, encoder=encoder, ledger=ledger, layout=layout)
    if layout.chat_template is not None:
        path = job.workspace / "chat_template.jinja"
        path.write_text(layout.chat_template, encoding="utf-8", newline="\n")
    train = open_split(job.workspace / "train", languages=languages, cards=cards)
    subsets = subsets_of(train)
    beside = {
        "mixture": _mixture_facts(job, subsets),
        "identification": language_check.facts(ledger.confusion) if language_check else None,
    }
    write_report(job.workspace, ledger, counts=counts, beside=beside)
    _tell(job, ledger, counts)
    if language_check:
        tell(language_check, ledger.confusion, job)
    own_template = layout.chat_template is not None
    return PrepareResult(
        languages=languages,
        cards=cards,
        counts=PreparedCounts(**{s: SplitCounts(**sizes) for s, sizes in counts.items()}),
        subsets=tuple(subsets),
        per_language={
            language: LanguageCounts(**facts) for language, facts in per_language(ledger).items()
        },
        rejected=ledger.by_reason(),
        documents=document_counts(ledger),
        chat_template=job.recipe.prepare.chat_template if own_template else None,
        system_message=layout.system_prompt.added,
        system_role=layout.system_prompt.has_role,
    )


def _names(job: Job) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the cards and the languages of the job's phase, each once, in order."""
    corpora = corpora_of(job, job.phase)
    languages = (target_language(corpus, job.cards[corpus.card]) for corpus in corpora)
    return tuple(dict.fromkeys(c.card for c in corpora)), tuple(dict.fromkeys(languages))


def _encoded(
    job: Job, spool: Spool, *, encoder: Encoder, ledger: Ledger, layout: Layout
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
        _refuse_empty(job, kept, ledger)
        show(job, segments["train"], spool, encoder=encoder, ledger=ledger)
        ledger.parts["prompts"] = prompt_tokens(
            job, segments["train"], layout=layout, encoder=encoder, cards=cards
        )
        return {split: _write(job, split, segments.pop(split), spool) for split in SPLITS}


def _refuse_empty(job: Job, kept: Mapping[Split, int], ledger: Ledger) -> None:
    """Raise DataError if nothing is left to train on, or to test on where a test is wanted."""
    tested = [job.cards[n] for n in _names(job)[0] if job.cards[n].corpus.test != "none"]
    facts: dict[str, Any] = {
        "count": sum(ledger.read.values()),
        "rejected": [f"{reason} {n:,}" for reason, n in ledger.by_reason().items()] or "none",
        "kept": [f"{split} {n:,}" for split, n in kept.items()],
    }
    if not kept["train"]:
        raise DataError(
            problem(
                "empty-split",
                "nothing is left for {splits}; records read: {count}; rejected: {rejected}; kept: "
                "{kept}. Add texts, or change the settings that reject them (card: drop_matching, "
                "columns, test; recipe: prepare.min_characters, validation_share, test_share)",
                splits=[split for split in SPLITS if not kept[split]],
                **facts,
            )
        )
    if kept["test"] or not tested:
        return
    raise DataError(
        *(
            problem(
                "no-test-records",
                "no record of these corpora fell into the test split, so nothing could be said "
                "about the adapter; records read: {count}; rejected: {rejected}; kept: {kept}. Add "
                "texts; or write {none} to keep none for the test and claim nothing, or {files} "
                "with a file of the card that is the test",
                at=Place(card.path, key="corpus.test"),
                none="`test: none`",
                files="`test: [FILE]`",
                **facts,
            )
            for card in tested
        )
    )


def _write(job: Job, split: Split, segments: Segments, spool: Spool) -> dict[str, int]:
    settings = job.recipe.prepare
    layout: dict[str, int] = {"row_tokens": settings.sequence_tokens, "seed": settings.seed}
    if split == "train" and job.phase.active_mixture is not None:
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


def _mixture_facts(job: Job, subsets: Sequence[Subset]) -> dict[str, Any]:
    """Return what can be mixed. Shares are the training's: another mixture needs no new corpus."""
    replayed = replayed_subsets(corpora_of(job, job.phase), job.cards)
    return {
        "rows_by_group": job.phase.active_mixture is not None,
        "subsets": [
            asdict(subset) | {"replay": (subset.language, subset.card) in replayed}
            for subset in subsets
        ],
    }


def _tell(job: Job, ledger: Ledger, counts: dict[str, dict[str, int]]) -> None:
    rows = []
    for language, facts in per_language(ledger).items():
        held = facts["splits"]
        for split in SPLITS:
            if not held[split]:
                job.console.say(_lacks(language, split))
        rows.append(
            [
                language,
                *(held[split] for split in SPLITS),
                facts["words"],
                facts["bytes_per_token"],
                facts["tokens_per_word"],
            ]
        )
    for (card, language), read in ledger.read.items():
        if not read:
            job.console.say(f"warning: {card}: the files hold no text in {language}", card=card)
    used = dict.fromkeys(corpus.card for corpus in job.phase.corpora)
    for note in personal_data_notes((job.cards[name] for name in used), ledger):
        job.console.say(f"personal data: {note}")
    columns = ["language", *SPLITS, "words", "bytes/token", "tokens/word"]
    names = ["language", *SPLITS, "words", "bytes_per_token", "tokens_per_word"]
    records = [dict(zip(names, row, strict=True)) for row in rows]
    shown = [[f"{x:,}" if isinstance(x, int) else x for x in row] for row in rows]
    job.console.table("documents by language", columns, shown, name="documents", facts=records)
    job.console.say(
        f"{counts['train']['rows']:,} packed sequences of {job.recipe.prepare.sequence_tokens:,} "
        f"tokens for training, {counts['train']['supervised_tokens']:,} supervised tokens",
        counts=counts,
    )
    for line in prompt_lines(ledger.parts["prompts"]):
        job.console.say(line)
    for said in document_lines(document_counts(ledger)):
        job.console.say(said)
    job.console.say(removed(ledger.by_reason()), rejected=ledger.by_reason())
    for one in ledger.not_laid_out:
        job.console.say(sentence("template-unfit, the first: {what}", what=one))


def _lacks(language: str, split: Split) -> Sentence:
    """Return what follows for a language that has no document in a split."""
    if split == "train":
        return sentence("warning: {language} has no document for training", language=language)
    if split == "test":
        return sentence(
            "{language} has no document for test, so nothing is claimed for it", language=language
        )
    return sentence(
        "{language} has no document for validation; without any validation document the last "
        "checkpoint is taken",
        language=language,
    )


def removed(reasons: Mapping[str, int]) -> str:
    """Return the line of rejected and removed records, by reason.

    >>> removed({"in-evaluation": 277, "near-evaluation": 1223, "too-short": 3})
    'removed: overlap with validation/test 277 exact, 1,223 near-duplicate; rejected: too-short 3'
    """
    exact, near = reasons.get("in-evaluation", 0), reasons.get("near-evaluation", 0)
    others = [f"{reason} {n:,}" for reason, n in reasons.items() if reason not in _OVERLAP]
    rejected = f"rejected: {', '.join(others) or 'none'}"
    if not exact and not near:
        return rejected
    overlap = f"overlap with validation/test {exact:,} exact, {near:,} near-duplicate"
    return f"removed: {overlap}; {rejected}"
