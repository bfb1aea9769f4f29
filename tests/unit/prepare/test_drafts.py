from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from finetune.errors import DataError
from finetune.messages import Place
from finetune.prepare.ledger import Ledger
from finetune.prepare.loop import Shared, documents_of
from finetune.prepare.reading.document import Document
from finetune.prepare.reading.document_layout import make_layout
from finetune.prepare.reading.drafts import entry_of
from finetune.readers.record import Record
from finetune.spec.card import DataCard
from finetune.spec.recipe import Corpus, Prepare
from tests.support.prepare_job import make_card, pairs_card
from tests.support.tiny import tiny_tokenizer

CHAT: dict[str, Any] = {"kind": "chat", "format": "jsonl", "columns": {"messages": "m"}}


def make(
    card: DataCard, records: list[dict[str, Any]], *, seen: set[bytes] | None = None, **facts: Any
) -> tuple[list[Document], Ledger]:
    """Return the documents that records become, and the ledger."""
    ledger = Ledger(io.StringIO())
    prepare = {k: facts.pop(k) for k in ("min_characters", "seed", "text") if k in facts}
    kind = facts.pop("layout", "chat")
    layout = make_layout(tiny_tokenizer(), kind=kind, chat_template="model", conversations=True)
    if card.corpus.kind == "parallel":
        facts = {"source": "eng_Latn", "target": card.corpus.languages[1]} | facts
    corpus = Corpus(card=card.name, **facts)
    shared = Shared(Prepare(**prepare), layout, seen=set() if seen is None else seen)
    numbered = (Record(Place("f", n), fields) for n, fields in enumerate(records, start=1))
    made = documents_of(entry_of(corpus, card), numbered, shared=shared, ledger=ledger)
    return list(made), ledger


def pair(english: str | None, hausa: str | None) -> dict[str, Any]:
    return {"eng_Latn": english, "hau_Latn": hausa}


def test_every_pair_is_kept_or_counted_under_one_reason(tmp_path: Path) -> None:
    """Each kind of rejection is counted once and written down with its text."""
    card = pairs_card(tmp_path, drop_matching=r"[{}<>]")
    records = [
        pair("Good morning", "Ina kwana"),
        pair("Good morning", " Ina kwana "),
        pair("Good", None),
        pair("  ", "Ina"),
        pair("No", "A"),
        pair("Hello {name}", "Sannu {name}"),
        pair("Kolibri", "Kolibri"),
        pair("stop <|im_end|>", "tsaya"),
        pair("stop", "tsaya <|endoftext|>"),
    ]
    documents, ledger = make(card, records, min_characters=2)
    assert [d.target for d in documents] == ["Ina kwana"]
    assert ledger.by_reason() == {
        "empty": 2,
        "too-short": 1,
        "matches-drop-pattern": 3,  # control marks have angle brackets too
        "untranslated": 1,
        "duplicate": 1,
    }
    assert isinstance(ledger.stream, io.StringIO)
    written = [json.loads(line) for line in ledger.stream.getvalue().splitlines()]
    assert len(written) == 8
    assert written[0] == {
        "card": "pairs",
        "language": "hau_Latn",
        "reason": "duplicate",
        "where": "f:2",
        "text": "Good morning\nIna kwana",
    }
    assert ledger.changes == {  # each side under its own language
        ("hau_Latn", "surrounding-space"): 1,
        ("eng_Latn", "surrounding-space"): 1,
    }
    (sample,) = ledger.change_samples["hau_Latn", "surrounding-space"]
    assert (sample["before"], sample["after"]) == (" Ina kwana ", "Ina kwana")


def test_pairs_with_other_placeholders_are_rejected(tmp_path: Path) -> None:
    """A lost `%s` is a reason, order is free, and a switch keeps the pair."""
    card = pairs_card(tmp_path)
    records = [pair("%s files", "fayiloli"), pair("{0} of {1}", "{1} cikin {0}")]
    documents, ledger = make(card, records)
    assert [d.target for d in documents] == ["{1} cikin {0}"]
    assert ledger.by_reason() == {"placeholder-mismatch": 1}
    assert len(make(card, records, text={"placeholders": "keep"})[0]) == 2


def test_a_control_mark_of_the_model_is_rejected(tmp_path: Path) -> None:
    """A text cannot end or fake a turn."""
    _, ledger = make(make_card(tmp_path, "c", ""), [{"text": "a<|im_end|>b"}, {"text": "a|b"}])
    assert ledger.by_reason() == {"special-token": 1}


def test_a_translation_knows_prompt_reference_and_direction(tmp_path: Path) -> None:
    """The prompt names the languages, stands before the answer, and its braces are text."""
    card = pairs_card(tmp_path)
    (document,), _ = make(card, [pair("Open {n}", "Buɗe {n}")], layout="plain")
    assert document.prompt == "Translate from English into Hausa:\nOpen {n}\n"
    assert document.reference == "Buɗe {n}"
    assert document.direction == "eng_Latn>hau_Latn"
    assert document.pieces[-1] == ("Buɗe {n}<|im_end|>", True)
    assert not document.splittable


def test_both_directions_and_the_plain_side_of_a_pair_share_an_id(tmp_path: Path) -> None:
    """However a pair is used, the side the card lists first decides where it falls."""
    card = pairs_card(tmp_path)
    record = [pair("Open", "Buɗe")]
    (there,), _ = make(card, record)
    (back,), _ = make(card, record, source="hau_Latn", target="eng_Latn")
    (plain,), _ = make(card, record, use="text")
    assert there.id == back.id == plain.id
    assert there.text_digests == back.text_digests == plain.text_digests
    assert (back.language, plain.language) == ("eng_Latn", "hau_Latn")
    assert plain.pieces == (("Buɗe<|im_end|>", True),)
    assert plain.splittable


def test_duplicates_are_found_across_cards(tmp_path: Path) -> None:
    """A text that another card brought is a duplicate; the same pair backwards is none."""
    seen: set[bytes] = set()
    first, _ = make(make_card(tmp_path, "a", ""), [{"text": "Ina kwana"}], seen=seen)
    second, ledger = make(
        make_card(tmp_path, "b", ""), [{"text": "Ina  kwana"}, {"text": "Ina kwana\n"}], seen=seen
    )
    assert len(first) == 1
    assert [d.target for d in second] == ["Ina  kwana"]
    assert ledger.by_reason() == {"duplicate": 1}
    card = pairs_card(tmp_path)
    there, _ = make(card, [pair("Open", "Buɗe")], seen=seen)
    back, _ = make(card, [pair("Open", "Buɗe")], seen=seen, source="hau_Latn", target="eng_Latn")
    assert len(there) == len(back) == 1


def test_max_documents_chooses_the_same_sentences_in_every_language(tmp_path: Path) -> None:
    """The choice is by hash of the source, whatever the order; the rest is counted."""
    hausa = [pair(f"Sentence {n}", f"Jimla {n}") for n in range(50)]
    yoruba = [{"eng_Latn": f"Sentence {n}", "yor_Latn": f"Gbolohun {n}"} for n in range(50)]
    one, ledger = make(pairs_card(tmp_path), hausa, max_documents=7)
    two, _ = make(pairs_card(tmp_path, target="yor_Latn"), yoruba[::-1], max_documents=7)
    assert {d.source for d in one} == {d.source for d in two}
    assert len(one) == 7
    assert ledger.by_reason() == {"max-documents": 43}
    other, _ = make(pairs_card(tmp_path), hausa, max_documents=7, seed=1)
    assert {d.source for d in other} != {d.source for d in one}


def test_conversations_in_every_spelling(tmp_path: Path) -> None:
    """role/content, ShareGPT, a JSON string, and instruction records give the same document."""
    card = make_card(tmp_path, "chat", "", **CHAT)
    turns = [{"role": "user", "content": "Sannu"}, {"role": "assistant", "content": "Yauwa"}]
    other = [{"from": "human", "value": "Sannu"}, {"from": "gpt", "value": "Yauwa"}]
    records = [
        {"messages": turns},
        {"messages": other},
        {"messages": json.dumps(turns)},
        {"instruction": "Sannu", "input": "", "answer": "Yauwa"},
        {"messages": [*turns, {"role": "user", "content": "Me?"}]},
    ]
    made = [make(card, [record])[0][0] for record in records]
    assert len({d.content for d in made}) == 1
    assert made[0].source == "Sannu"
    assert made[0].reference == "Yauwa"
    assert make(card, [{"instruction": "A", "input": "B", "answer": "C"}])[0][0].source == "A\n\nB"


def test_a_conversation_without_an_answer_is_counted(tmp_path: Path) -> None:
    """Questions without an answer are rejected, and nothing is lost silently."""
    card = make_card(tmp_path, "chat", "", **CHAT)
    _, ledger = make(card, [{"messages": [{"role": "user", "content": "Sannu"}]}, {"messages": []}])
    assert ledger.by_reason() == {"no-answer": 1, "empty": 1}


@pytest.mark.parametrize(
    "messages",
    ["no json", ["a"], [{"role": "bishop", "content": "a"}], [{"role": "user"}], {"a": 1}, 3],
)
def test_what_is_no_conversation_is_an_error(tmp_path: Path, messages: Any) -> None:
    """A record of another shape is named with its line."""
    with pytest.raises(DataError) as caught:
        make(make_card(tmp_path, "chat", "", **CHAT), [{"messages": messages}])
    [found] = caught.value.problems
    assert str(found.place) == "f:1: messages"
    assert found.code in ("no-conversation", "not-json", "unknown-role")


def test_a_number_where_a_text_belongs_is_an_error(tmp_path: Path) -> None:
    """A wrong column is not silently written out as text."""
    with pytest.raises(DataError) as caught:
        make(pairs_card(tmp_path), [{"eng_Latn": "a", "hau_Latn": 3}])
    [found] = caught.value.problems
    assert (found.code, str(found.place)) == ("field-without-text", "f:1: hau_Latn")
    assert str(found.facts["kind"]) == "a number"
