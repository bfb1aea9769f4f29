"""Forgetting: which English and French texts are scored."""

from __future__ import annotations

from types import SimpleNamespace as Of
from typing import Any

import numpy as np
import pytest

from finetune.artefacts.items import Item
from finetune.evaluate.parts import Part
from finetune.evaluate.tasks.forgetting import groups
from finetune.models import load
from finetune.spec.sections.known_language import Forgetting

TOKENS = ["", "How are you?", "Good morning", "Never trained"]


def _item(**facts: Any) -> Item:
    of_all = dict.fromkeys(("prompt", "reference", "source", "direction"))
    return Item(**{"id": "d", "card": "toy", "language": "hau_Latn", **of_all, **facts})


def _translation(source: str) -> Item:
    return _item(prompt="p", reference="Na gode", source=source, direction="eng_Latn>hau_Latn")


def _groups(
    items: list[Item], monkeypatch: pytest.MonkeyPatch, *, count: int = 10, **named: Any
) -> list[Any]:
    monkeypatch.setattr(
        load, "load_tokenizer", lambda _: Of(decode=lambda ids, **_: TOKENS[ids[0]])
    )
    documents_D = np.zeros(len(items), dtype=[("document", "<i8")])
    documents_D["document"] = range(len(items))[::-1]  # the last item has the lowest hash
    split = Of(documents_D=documents_D, token_ids_of=lambda record: [record])
    phase = Of(corpora=[Of(card="toy", replay=False), Of(card="known", replay=True)])
    job: Any = Of(
        recipe=Of(
            evaluate=Of(control_items=count, forgetting=Forgetting(**named) if named else None),
            training_phases=[phase],
        ),
        inputs={"base": Of(path=load.Path("base"))},
    )
    return groups(job, Part(None, items, {"adapter": split}, {}, 0))  # type: ignore[dict-item]


def test_sources_are_texts_of_their_own_each_once(monkeypatch):
    """In the order of hashes, without prompt, in the language of the source; not the targets."""
    items = [_translation(text) for text in ("Thanks", "Hello", "Hello", "Good night")]
    [group] = _groups(items, monkeypatch, count=2)
    assert (group.language, group.direction) == ("eng_Latn", None)
    assert [one.reference for one in group.items] == ["Good night", "Hello"]
    assert {(one.language, one.prompt, one.source) for one in group.items} == {
        ("eng_Latn", None, None)
    }


def test_without_sources_they_are_the_texts_of_replay_data(monkeypatch):
    """Texts that were trained on as the language itself are none."""
    english = {"language": "eng_Latn"}
    items = [_item(), _item(**english, card="known"), _item(**english, card="known")]
    [group] = _groups([*items, _item(**english)], monkeypatch)
    assert [one.reference for one in group.items] == ["Good morning", "How are you?"]


def test_where_no_such_text_is_held_out_nothing_is_measured(monkeypatch):
    """A recipe of Hausa texts alone, or `control_items: 0`."""
    assert _groups([_item()], monkeypatch) == []
    assert _groups([_translation("Thanks")], monkeypatch, count=0) == []


def test_a_named_card_is_the_only_one_that_is_scored(monkeypatch):
    """Its plain texts in English and French, and neither translations nor replay data."""
    english = {"language": "eng_Latn"}
    items = [_item(), _item(**english, card="news"), _item(**english, card="known")]
    [group] = _groups([*items, _translation("Thanks")], monkeypatch, card="news")
    assert (group.language, [one.reference for one in group.items]) == (
        "eng_Latn",
        ["How are you?"],
    )


@pytest.mark.parametrize(("language", "text"), [("eng_Latn", "Thanks"), ("hau_Latn", "Na gode")])
def test_of_a_parallel_card_either_side_is_a_text(monkeypatch, language, text):
    """The language decides, and a prompt is part of no text."""
    [group] = _groups([_translation("Thanks")], monkeypatch, card="toy", language=language)
    assert [(one.language, one.prompt, one.reference) for one in group.items] == [
        (language, None, text)
    ]
