"""Use of the source: what each translation is compared with, and its scores."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from finetune.artefacts.items import Item
from finetune.evaluate import likelihoods as measured_likelihoods
from finetune.evaluate.metrics import choice_accuracy, source_bits
from finetune.evaluate.outputs import Likelihood, SourceUse
from finetune.evaluate.tasks.wrong_source import CANDIDATES, answer, arranged
from finetune.spec.tables.task import Group


def _item(number: int, *, source: str | None = None, target: str | None = None) -> Item:
    source = source or f"English {number}"
    return Item(
        id=f"d{number}",
        card="toy",
        language="hau_Latn",
        prompt=f"to Hausa: {source} =",
        reference=target or f"Hausa {'x' * number}",
        source=source,
        direction="eng_Latn>hau_Latn",
    )


@pytest.mark.parametrize("count", [4, 5, 6, 7, 8, 13])
def test_no_item_is_compared_with_itself(count):
    """The wrong source is another item's, and so are the three other texts, of near length."""
    items = arranged([_item(number) for number in range(count)])
    assert len(items) == count
    for item in items:
        assert item.wrong_prompt != item.prompt
        assert item.reference not in item.others
        assert len(set(item.others)) == CANDIDATES - 1
        assert item.empty_prompt == "to Hausa:  ="
        assert all(abs(len(other) - len(item.reference)) < CANDIDATES for other in item.others)
    assert len({item.wrong_prompt for item in items}) >= count - CANDIDATES + 1


def test_texts_that_would_be_right_twice_are_asked_once():
    """A repeated source or target is skipped; too few different items are no control."""
    items = [*(_item(number) for number in range(5)), _item(9, source="English 2")]
    assert [item.id for item in arranged([*items, _item(10, target="Hausa x")])] == [
        "d0",
        "d1",
        "d2",
        "d3",
        "d4",
    ]
    assert arranged([_item(number) for number in range(3)]) == []


def _answers(monkeypatch, nats_of):
    """Return what a system with planted likelihoods answers to eight items."""

    def given_prompts(job, system, part, pairs, *, what):
        return [Likelihood(nats_of(*pair), len(pair[1].encode())) for pair in pairs]

    monkeypatch.setattr(measured_likelihoods, "given_prompts", given_prompts)
    group = Group(language="hau_Latn", items=arranged([_item(number) for number in range(8)]))
    [found] = answer(SimpleNamespace(), SimpleNamespace(), SimpleNamespace(), [group])
    return found


def test_a_model_that_reads_its_source_needs_more_bits_with_the_wrong_one(monkeypatch):
    """Planted: 1 nat less for the text of the source; it also chooses every text."""

    def nats_of(prompt, target):
        return 5.0 - (f"English {target.count('x')} =" in prompt)

    found = _answers(monkeypatch, nats_of)
    assert {(one.wrong_nats, one.right_nats, one.lead_nats) for one in found} == {(5.0, 4.0, 1.0)}
    assert choice_accuracy.statistics(found).tolist() == [[1.0, 1.0]] * 8
    assert source_bits.METRIC.value(source_bits.statistics(found).sum(axis=0)) > 0


def test_a_model_that_ignores_its_source_chooses_nothing(monkeypatch):
    """A text that is likely anyway is not favoured, and a tie is wrong."""
    found = _answers(monkeypatch, lambda _, target: float(len(target)))
    assert {(one.wrong_nats - one.right_nats, one.lead_nats) for one in found} == {(0.0, 0.0)}
    assert choice_accuracy.statistics(found)[:, 0].sum() == 0


def test_bits_are_saved_per_byte():
    """(wrong - right) over bytes, in bits."""
    found = source_bits.statistics([SourceUse(2.0, 2.0 + 0.6931471805599453 * 6, 3, 0.0)])
    assert source_bits.METRIC.value(found.sum(axis=0)) == pytest.approx(2.0)
