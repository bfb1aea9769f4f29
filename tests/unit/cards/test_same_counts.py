"""`cards check` counts what `prepare` counts, over all formats."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from finetune.cards.check.findings import check_card
from finetune.cards.look import ALL_UNITS, look
from finetune.prepare.ledger import Ledger
from finetune.prepare.loop import Shared, documents_of
from finetune.prepare.overlap.exact import Digests
from finetune.prepare.reading.document_layout import Layout
from finetune.prepare.reading.drafts import entry_of
from finetune.readers.reasons import ALL
from finetune.readers.units import units_of
from finetune.sources.files import resolve_files
from finetune.spec.card import DataCard
from finetune.spec.formats import FORMATS
from finetune.spec.recipe import Corpus, Prepare
from finetune.spec.withdrawn import record_hash
from tests.support.format_samples import CHATS, SAMPLES
from tests.support.good_card import TODAY, found, write
from tests.support.made.pages import pdf_file
from tests.support.prepare_job import make_card

PLAIN = Layout(
    tokenizer=None, kind="plain", eos="", special=re.compile(r"(?!)"), chat_template=None
)


def prepared(card: DataCard) -> Ledger:
    """Return what `prepare` counts of a card, without a base."""
    ledger = Ledger()
    languages = card.corpus.languages
    pair = {"source": languages[0], "target": languages[1]} if languages[1:] else {}
    entry = entry_of(Corpus(card=card.name, **pair), card)
    units = units_of(card, resolve_files(card, inputs={}))
    shared = Shared(Prepare(), PLAIN, seen=Digests())
    list(documents_of(entry, units, shared=shared, ledger=ledger))
    return ledger


def same_counts(card: DataCard) -> dict[str, int]:
    """Assert that both count alike; return the rejections."""
    seen, ledger = look(card, units=ALL_UNITS, samples=0), prepared(card)
    decided = {key: count for key, count in ledger.by_reason().items() if key in ALL}
    assert dict(seen.rejected) == decided
    assert seen.records == sum(ledger.read.values()) - sum(decided.values())
    return decided


@pytest.mark.parametrize("name", FORMATS)
def test_check_and_prepare_count_the_same(tmp_path: Path, name: str) -> None:
    """Records, and rejections by reason; every reason that a sample is made for is met."""
    sample = SAMPLES[name]
    card = make_card(tmp_path, "corpus", sample.content(), **({"format": name} | sample.corpus))
    assert set(sample.rejected) == set(same_counts(card))


def test_a_pattern_of_the_card_and_withdrawn_records_count_alike(tmp_path: Path) -> None:
    """A withdrawn record is counted as such, even if it is malformed, and its text is not shown."""
    import json

    lines = "".join(json.dumps({"m": turns}) + "\n" for turns in CHATS)
    corpus: dict[str, Any] = {
        "kind": "chat",
        "format": "jsonl",
        "columns": {"messages": "m"},
        "drop_matching": "Jaam",
    }
    card = make_card(tmp_path, "corpus", lines, **corpus)
    card = card.model_copy(update={"withdrawn": frozenset({record_hash({"messages": CHATS[-2]})})})
    assert same_counts(card)["withdrawn"] == 1
    ledger = prepared(card)
    [withdrawn] = ledger.rejected_samples["hau_Latn", "withdrawn"]
    assert withdrawn.text == ""
    assert ledger.by_reason()["matches-drop-pattern"] == 3


def test_changes_of_a_reader_are_counted(tmp_path: Path) -> None:
    """Joined words of a PDF file are changes of the corpus report; kept hyphens are odd lines."""
    card = make_card(tmp_path, "corpus", pdf_file(1).data, format="pdf")
    ledger = prepared(card)
    assert ledger.changes["hau_Latn", "cut-words"] >= 3
    assert ledger.findings["hau_Latn", "cut-words"] >= 3
    [sample, *_] = ledger.change_samples["hau_Latn", "cut-words"]
    assert (sample["before"], sample["after"]) == ("makar-\nanta,", "makaranta,")


def test_rejections_are_shown_with_their_places(tmp_path: Path) -> None:
    """A person sees how many of which reason, and where the first ones are; no text is quoted."""
    texts = "Nanga def?\n" * 150 + "\u200b\n"
    finding = found(write(tmp_path, texts=texts))["rejected-units"]
    assert (finding.level, finding.facts["count"]) == ("warning", 1)
    assert finding.facts["places"] == ("radio.txt:151",)


def test_too_many_malformed_records_are_an_error_of_check(tmp_path: Path) -> None:
    """A card that `prepare` refuses is not sound."""
    path = write(
        tmp_path, ("format: text", "format: jsonl\n  columns: {text: t}"), texts='{"t": 3}\n' * 9
    )
    levels = {finding.code: finding.level for finding in check_card(path, today=TODAY)}
    assert levels["too-many-malformed"] == "error"
