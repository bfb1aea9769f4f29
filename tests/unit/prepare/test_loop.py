"""The loop writes down what steps return, item by item, and lets pass what has no reason."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

from finetune.prepare.ledger import Ledger
from finetune.prepare.loop import through
from finetune.prepare.reading.document import Document, digest, text_id
from finetune.prepare.step import Outlier, Place, Result, Step, each
from finetune.text.oddities import Finding


def document(text: str) -> Document:
    return Document(
        id=text_id(text),
        content=digest(text),
        text_digests=frozenset({digest(text)}),
        card="c",
        language="hau_Latn",
        where=f"f:{text}",
        record="0" * 64,
        contributor=None,
        pieces=((text, True),),
        splittable=True,
        target=text,
    )


def without(*texts: str, reason: str = "empty") -> Step:
    return each(lambda d: Result(d, reason if d.target in texts else None))


def held_back(documents: Iterator[Document]) -> Iterator[Result]:
    """Let all pass when all were seen, with a note on the last."""
    seen = list(documents)
    yield from (Result(one) for one in seen[:-1])
    place = Place(seen[-1].card, seen[-1].language, seen[-1].where)
    yield Result(seen[-1], notes=(Outlier(place, Finding("length-outlier", 1, "d")),))


def test_each_item_passes_all_steps_before_the_next_is_taken() -> None:
    """Rejections stand in the order of the items, whichever step left them out."""
    stream = io.StringIO()
    steps = [without("c"), without("b", reason="duplicate")]
    left = through(map(document, "abcd"), steps, ledger=Ledger(stream))
    assert [d.target for d in left] == ["a", "d"]
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["text"], line["reason"]) for line in lines] == [
        ("b", "duplicate"),
        ("c", "empty"),
    ]


def test_a_step_may_hold_items_back() -> None:
    """Rejections of a later step are written when the items come; notes of kept items too."""
    ledger = Ledger()
    steps = [without("b"), held_back, without("a")]
    left = through(map(document, "abcd"), steps, ledger=ledger)
    assert [d.target for d in left] == ["c", "d"]
    assert ledger.by_reason() == {"empty": 2}
    assert ledger.findings == {("hau_Latn", "length-outlier"): 1}
