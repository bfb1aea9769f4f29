from __future__ import annotations

import io
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from finetune.prepare.ledger import Ledger
from finetune.prepare.loop import apply
from finetune.prepare.overlap.exact import held_out
from finetune.prepare.reading.document import (
    SPLITS,
    Document,
    digest,
    lowest_hashes,
    split_of,
    text_id,
)
from finetune.prepare.reading.spool import Spool


def _document(source: str, target: str, language: str = "hau_Latn") -> Document:
    return Document(
        id=text_id(source),
        content=digest(source, target),
        text_digests=frozenset({digest(source), digest(target)}),
        card="c",
        language=language,
        where="f:1",
        record="0" * 64,
        contributor=None,
        pieces=((source, False), (target, True)),
        splittable=False,
        target=target,
        reference=target,
        source=source,
    )


def separate(
    documents: Sequence[Document],
    *,
    ledger: Ledger,
    validation_share: float,
    test_share: float,
    elsewhere: Sequence[Document] = (),
) -> dict[str, list[Document]]:
    """Return the documents of a phase that are left in each split; `elsewhere`: another phase's."""
    shares = {"validation_share": validation_share, "test_share": test_share}
    found: dict[str, list[Document]] = {split: [] for split in SPLITS}
    with (
        tempfile.TemporaryDirectory() as folder,
        Spool(Path(folder) / "spool", phase="here") as spool,
    ):
        for phase, its in (("here", documents), ("there", elsewhere)):
            for document in its:
                spool.add(document, split_of(document.id, **shares), phase=phase)
        apply(held_out(spool), spool, ledger=ledger)
        for number, document in spool.documents(spool.left()):
            found[spool.split_of(number)].append(document)
    return found


@given(st.text(), st.floats(0.01, 0.49), st.floats(0.01, 0.49))
def test_the_split_depends_on_the_text_alone(text: str, validation: float, test: float) -> None:
    """Splitting is pure, and a larger validation share never moves a text out of test."""
    first = split_of(text_id(text), validation_share=validation, test_share=test)
    assert first == split_of(text_id(text), validation_share=validation, test_share=test)
    if first == "test":
        assert split_of(text_id(text), validation_share=0.49, test_share=test) == "test"


def test_shares_are_met() -> None:
    """Of many texts about the stated share falls into each split."""
    splits = Counter(
        split_of(text_id(str(n)), validation_share=0.05, test_share=0.1) for n in range(20_000)
    )
    assert abs(splits["test"] / 20_000 - 0.1) < 0.01
    assert abs(splits["validation"] / 20_000 - 0.05) < 0.01


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=80))
def test_no_text_stands_in_two_splits(pairs: list[tuple[int, int]]) -> None:
    """No text of a held-out pair is in train, and none of test in validation; all is counted."""
    ledger = Ledger(io.StringIO())
    documents = [_document(f"source {a}", f"target {b}") for a, b in pairs]
    found = separate(documents, validation_share=0.3, test_share=0.3, ledger=ledger)
    texts = {split: {s for d in found[split] for s in d.text_digests} for split in found}
    assert not texts["train"] & (texts["test"] | texts["validation"])
    assert not texts["validation"] & texts["test"]
    kept = sum(map(len, found.values()))
    assert kept + sum(ledger.by_reason().values()) == len(pairs)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.booleans()), max_size=80))
def test_no_text_stands_in_two_splits_of_two_phases(drawn: list[tuple[int, int, bool]]) -> None:
    """No phase trains on text that another holds out, as source or target, nor validates on test.

    Sources and targets share texts, as plain texts of one phase are translations in the next.
    """
    shares = {"validation_share": 0.3, "test_share": 0.3}
    phases = [
        [_document(f"text {a}", f"text {b}") for a, b, second in drawn if second == phase]
        for phase in (False, True)
    ]
    found = [
        separate(
            phases[i],
            ledger=Ledger(io.StringIO()),
            elsewhere=phases[1 - i],
            **shares,
        )
        for i in (0, 1)
    ]
    texts = {
        split: {s for splits in found for d in splits[split] for s in d.text_digests}
        for split in found[0]
    }
    assert not texts["train"] & (texts["test"] | texts["validation"])
    assert not texts["validation"] & texts["test"]


def test_a_dropped_validation_text_of_another_phase_holds_nothing_back() -> None:
    """A pair that leaves validation for a text of test is no longer held out."""
    at = {"validation": 0.99, "test": 0.0, "train": 0.5}

    def placed(where: str, *texts: str) -> Document:
        document = _document(*texts)
        return replace(document, id=f"{int(at[where] * 16**13):013x}".ljust(64, "0"))

    other = [placed("test", "a", "b"), placed("validation", "b", "c")]
    shares = {"validation_share": 0.1, "test_share": 0.1}
    found = separate(
        [placed("train", "c", "d"), placed("train", "a", "e")],
        ledger=Ledger(io.StringIO()),
        elsewhere=other,
        **shares,
    )
    assert [d.source for d in found["train"]] == ["c"]


def test_translations_of_one_sentence_stay_together() -> None:
    """Rows with one source text fall into one split, whatever their language."""
    documents = [
        _document(f"source {n}", f"{language} {n}", language)
        for n in range(200)
        for language in ("hau_Latn", "yor_Latn", "swh_Latn")
    ]
    found = separate(documents, validation_share=0.2, test_share=0.2, ledger=Ledger(io.StringIO()))
    for split in found:
        assert set(Counter(d.source for d in found[split]).values()) == {3}


@given(st.lists(st.sampled_from("abcde"), max_size=12), st.integers(1, 6))
def test_a_corpus_that_repeats_documents_is_limited_like_any_other(texts, count) -> None:
    """Equal documents differ in nothing that could decide between them: the earlier stays."""
    documents = [replace(_document(t, t.upper()), where=str(n)) for n, t in enumerate(texts)]

    results = list(lowest_hashes(count=count, seed=7)(iter(documents)))

    kept = [r.item.where for r in results if not r.reason]
    assert len(kept) == min(count, len(documents))
    assert Counter(r.item.where for r in results) == Counter(d.where for d in documents)
    for earlier, later in combinations(documents, 2):
        if earlier.content == later.content:
            assert earlier.where in kept or later.where not in kept
