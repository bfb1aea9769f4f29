"""The loop of the stage: drives the steps, writes the ledger, spools kept documents.

The way of a text: read -> clean -> check -> identify language -> exact duplicates -> layout ->
length outliers -> lowest hashes -> contamination -> spool -> held out -> near duplicates -> encode.
Each step is a function in its own room (finetune.prepare.step); only here their results are
counted, written and shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

import numpy as np

from finetune.artefacts.job import Job
from finetune.messages import counted
from finetune.models.encode import Encoder
from finetune.prepare.checking.checks import Limits, checked
from finetune.prepare.checking.clean import Cleaner, countries
from finetune.prepare.checking.identification import LanguageCheck
from finetune.prepare.checking.outliers import usual_lengths
from finetune.prepare.ledger import SAMPLE_CHARACTERS, SAMPLES, Ledger, ledger_line
from finetune.prepare.overlap.contamination import Contamination, load_sets
from finetune.prepare.overlap.exact import Digests, Seen, held_out, once
from finetune.prepare.overlap.minhash import Signatures, bands_for
from finetune.prepare.overlap.near import NearDuplicates
from finetune.prepare.packing.over_length import segments_of, token_view
from finetune.prepare.packing.tokens import Tokens
from finetune.prepare.packing.write import Segments
from finetune.prepare.reading.document import Document, Split, id_of, lowest_hashes, split_of
from finetune.prepare.reading.document_layout import Layout, laid_out
from finetune.prepare.reading.drafts import Draft, Entry, read, standing
from finetune.prepare.reading.phase_corpora import layout_of, refuse_withdrawn, units_of_phase
from finetune.prepare.reading.spool import Spool
from finetune.prepare.step import Decision, RejectedUnit, Result, Step, each
from finetune.readers.record import Record, Unit
from finetune.spec.card import drop_pattern
from finetune.spec.recipe import Phase, Prepare

SPOOL_FOLDER = "spool"
UPDATE_DOCUMENTS = 500
EXAMPLES_PER_LANGUAGE = 2
EXAMPLES = 12


def through(items: Iterator[Any], steps: Iterable[Step], *, ledger: Ledger) -> Iterator[Any]:
    """Yield the items that all steps let pass; everything that they return is written down."""
    for step in steps:
        items = _passed(step(items), ledger)
    return items


def _passed(results: Iterable[Result], ledger: Ledger) -> Iterator[Any]:
    for result in results:
        ledger.write(result)
        if result.reason is None:
            yield result.item


@dataclass(frozen=True, slots=True)
class Shared:
    """Settings shared by all corpus entries of a phase."""

    settings: Prepare
    layout: Layout
    seen: Seen
    language_check: LanguageCheck | None = None
    contamination: Contamination | None = None


def steps_of(entry: Entry, shared: Shared) -> list[Step]:
    """Return the steps from a record of a corpus entry to a document, in their order."""
    settings = shared.settings
    limits = Limits(settings, drop_pattern(entry.card), shared.layout.special)
    steps = [
        each(standing),
        each(read),
        each(Cleaner(limits, countries(settings, entry.card), use=entry.use)),
        each(checked(limits)),
    ]
    if shared.language_check is not None:
        steps.append(each(shared.language_check))
    steps += [
        each(once(shared.seen, is_test=partial(_is_test, settings=settings))),
        each(partial(laid_out, layout=shared.layout)),
        usual_lengths(drop=settings.text.length_outliers == "drop"),
    ]
    if entry.corpus.max_documents is not None:
        steps.append(lowest_hashes(count=entry.corpus.max_documents, seed=settings.seed))
    if shared.contamination is not None:
        steps.append(each(partial(_uncontaminated, sets=shared.contamination, settings=settings)))
    return steps


def _uncontaminated(document: Document, *, sets: Contamination, settings: Prepare) -> Result:
    # what is in the recipe's own test is not trained on, and may be in another set too
    return Result(document) if _split(document, settings) == "test" else sets(document)


def documents_of(
    entry: Entry, units: Iterable[Unit], *, shared: Shared, ledger: Ledger
) -> Iterator[Document]:
    """Yield the documents of a corpus entry that pass all steps."""
    return through(_drafts(entry, units, ledger), steps_of(entry, shared), ledger=ledger)


def _drafts(entry: Entry, units: Iterable[Unit], ledger: Ledger) -> Iterator[Draft]:
    card, language = entry.card.name, entry.language
    ledger.read[card, language] += 0  # a card without text is a row too
    ledger.documents.setdefault(card, entry.documents)
    for unit in units:
        ledger.read[card, language] += 1
        if isinstance(unit, Record):
            yield Draft(entry, unit)
        else:
            ledger.reject(RejectedUnit(card, language, unit.where, unit.text), unit.reason)


@contextmanager
def gathered(
    job: Job, tokenizer: Any, *, ledger: Ledger, language_check: LanguageCheck | None
) -> Iterator[Spool]:
    """Read the cards of the job's phase once, and yield its documents, each in its split.

    What is left of them are `spool.documents(spool.left())`. They lie in the job's workspace until
    the block ends. Raises DataError for a corpus that cannot be read, or of which every card was
    withdrawn.
    """
    refuse_withdrawn(job)
    settings = job.recipe.prepare
    with ExitStack() as stack:
        spool = stack.enter_context(Spool(job.workspace / SPOOL_FOLDER, phase=job.phase.name))
        signatures = None
        if settings.duplicates.near != "off":
            bands = bands_for(settings.duplicates.near)
            signatures = stack.enter_context(Signatures(spool.folder / "signatures", bands))
        sets = load_sets(settings.evaluation_sets)
        shared = _shared(job, job.phase, tokenizer, language_check, contamination=sets)
        for document in _documents(job, job.phase, shared=shared, ledger=ledger):
            _add(document, spool, signatures, phase=job.phase.name, settings=settings)
        if sets is not None:
            ledger.parts["contamination"] = sets.facts()
        _tell(job, spool)
        for phase, document in _elsewhere(job, tokenizer, language_check):
            if _split(document, settings) != "train":
                _add(document, spool, signatures, phase=phase, settings=settings)
        apply(held_out(spool), spool, ledger=ledger)
        if signatures is not None:
            near = NearDuplicates(spool, signatures, settings.duplicates)
            apply(near, spool, ledger=ledger)
            ledger.parts["duplicates"] = near.facts()
        yield spool


def _shared(
    job: Job,
    phase: Phase,
    tokenizer: Any,
    language_check: LanguageCheck | None,
    *,
    contamination: Contamination | None = None,
) -> Shared:
    settings = job.recipe.prepare
    return Shared(
        settings,
        layout_of(job, phase, tokenizer),
        Digests(),
        language_check,
        contamination,
    )


def _documents(job: Job, phase: Phase, *, shared: Shared, ledger: Ledger) -> Iterator[Document]:
    """Yield the documents of a phase, each once."""
    for entry, units in units_of_phase(job, phase):
        yield from documents_of(entry, units, shared=shared, ledger=ledger)


def _elsewhere(
    job: Job, tokenizer: Any, language_check: LanguageCheck | None
) -> Iterator[tuple[str, Document]]:
    """Yield the documents of the other phases: read again, so that no phase waits for another.

    What those hold out, this one must not train on; each phase finds the same splits, because they
    follow from the texts alone. What happens to texts there is counted there.
    """
    if job.recipe.prepare.identify.action != "drop":
        language_check = None  # one that only reports decides nothing
    for phase in job.recipe.training_phases:
        if phase.name != job.phase.name:
            shared = _shared(job, phase, tokenizer, language_check)
            for document in _documents(job, phase, shared=shared, ledger=Ledger()):
                yield phase.name, document


def apply(decisions: Iterable[Decision], spool: Spool, *, ledger: Ledger) -> None:
    """Drop documents from the spool, each before the next is decided, and write them down."""
    for decision in decisions:
        spool.drop(decision.number)
        if not spool.is_own(decision.number):
            continue
        document = spool.read(decision.number)
        ledger.reject(document, decision.reason)
        shown = sum(sample["reason"] == decision.reason for sample in ledger.copies)
        if decision.copy is not None and shown < SAMPLES:
            kept = spool.read(decision.copy.kept)
            ledger.copies.append(
                {
                    "reason": decision.reason,
                    "similarity": round(decision.copy.similarity, 3),
                    "rejected": _sample(document, ledger, part=decision.copy.part),
                    "kept": _sample(kept, ledger, part=decision.copy.kept_part),
                }
            )


def _sample(document: Document, ledger: Ledger, *, part: int) -> dict[str, str]:
    text = ledger.quote(document.texts[part], document)[:SAMPLE_CHARACTERS]
    return {"card": document.card, "where": document.where, "text": text}


def encode(
    job: Job, spool: Spool, tokens: Tokens, *, encoder: Encoder, ledger: Ledger, records: IO[str]
) -> None:
    """Encode the documents that are left, in the order they came; count what is kept.

    Every kept document gets its line in `records`: whose it is, and on which terms.
    """
    left = spool.left()
    total = int(left.sum())
    settings = job.recipe.prepare
    with job.console.progress("tokenizing", total=total, unit="documents") as progress:
        for done, (number, document) in enumerate(spool.documents(left), start=1):
            segments, reason = segments_of(document, encoder=encoder, settings=settings)
            if reason is not None:
                ledger.reject(document, reason)
            else:
                split = spool.split_of(number)
                for segment in segments:
                    tokens.add(segment, document=number)
                records.write(ledger_line(document, job.cards[document.card], split=split))
                ledger.keep(document, split=split, tokens=encoder.count(document.target))
            if done % UPDATE_DOCUMENTS == 0 or done == total:
                progress.update(done)
    tokens.flush()


def show(job: Job, segments: Segments, spool: Spool, *, encoder: Encoder, ledger: Ledger) -> None:
    """Show the first documents of each language by the order of their hashes as samples."""
    for language in np.unique(segments.languages_D):
        places = np.flatnonzero(segments.languages_D == language)
        numbers = segments.tokens.documents_S[segments.numbers_D[places]]
        first = dict.fromkeys(numbers[: SAMPLES * SAMPLES].tolist())
        for shown, number in enumerate(list(first)[:SAMPLES]):
            document = spool.read(number)
            ledger.show(document)
            whole = "".join(text for text, _ in document.pieces)
            if ledger.quote(whole, document) != whole:
                continue  # its tokens would show what is kept from readers
            if shown < EXAMPLES_PER_LANGUAGE and len(ledger.examples) < EXAMPLES:
                ledger.examples.append(_example(document, encoder, settings=job.recipe.prepare))


def _example(document: Document, encoder: Encoder, *, settings: Prepare) -> dict[str, Any]:
    """Return a document laid out token by token."""
    segments, _ = segments_of(document, encoder=encoder, settings=settings)
    return {
        "card": document.card,
        "language": document.language,
        "tokens": len(segments[0].tokens_n),
        "supervised_tokens": int(segments[0].supervised_n.sum()),
        "supervised_bytes": segments[0].supervised_bytes,
        "pieces": token_view(encoder.tokenizer, segments[0]),
    }


def _add(
    document: Document,
    spool: Spool,
    signatures: Signatures | None,
    *,
    phase: str,
    settings: Prepare,
) -> None:
    spool.add(document, _split(document, settings), phase=phase)
    if signatures is not None:
        for text in document.texts:
            signatures.add(text)


def _is_test(draft: Draft, *, settings: Prepare) -> bool:
    if draft.tested is not None:
        return draft.tested
    return _split_of(id_of(draft.anchor), settings) == "test"


def _split(document: Document, settings: Prepare) -> Split:
    return _split_of(document.id, settings, tested=document.tested)


def _split_of(document_id: str, settings: Prepare, *, tested: bool | None = None) -> Split:
    return split_of(
        document_id,
        validation_share=settings.validation_share,
        test_share=settings.test_share,
        tested=tested,
    )


def _tell(job: Job, spool: Spool) -> None:
    """Say how many documents each card has."""
    counts: Counter[str] = Counter()
    for kind, number in zip(spool.kinds, np.bincount(spool.kind_numbers()), strict=True):
        counts[kind.card] += int(number)
    for name, total in counts.items():
        number = counted("{count} document", "{count} documents", total)
        job.console.detail(f"{name}: {number}")
