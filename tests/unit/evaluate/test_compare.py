"""Every metric of a task is compared group by group, on what both systems gave for each item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from finetune.artefacts.items import Item
from finetune.artefacts.minimum_effect import minimum_effects
from finetune.artefacts.results import EvaluateResult, as_json, parse_result
from finetune.artefacts.scores import Pair, PairedTest
from finetune.artefacts.verdicts import judged
from finetune.evaluate.compare import Asked, Outputs, pairs_of_task
from finetune.evaluate.outputs import Generation, Likelihood
from finetune.evaluate.parts import Part
from finetune.spec.recipe import Evaluate
from finetune.spec.tables.metric import metric
from finetune.spec.tables.task import Group, task

ITEMS = 52
PART = Part(phase=None, items=[], splits={}, chosen={}, wanted=0)


def _item(number: int, direction: str | None) -> Item:
    return Item(
        id=str(number),
        card="toy",
        language="hau_Latn",
        prompt="p",
        reference=f"na gode sosai {number}",
        source="thanks",
        direction=direction,
    )


def _asked(*names: str, directions: tuple[str | None, ...]) -> Asked:
    groups = tuple(
        Group(
            language="hau_Latn",
            direction=direction,
            items=[_item(number, direction) for number in range(ITEMS)],
            is_scored=direction is not None,
        )
        for direction in directions
    )
    return Asked(task("translation"), tuple(map(metric, names)), (groups,), "split:test")


def _outputs(asked: Asked, *texts: str) -> list[list[list[Generation]]]:
    """Return what a system gives: the same text, numbered, for every item of a group."""
    return [
        [
            [
                Generation(text.format(number), item.reference or "", item.source)
                for number, item in enumerate(group.items)
            ]
            for text, group in zip(texts, asked.groups[0], strict=True)
        ]
    ]


def _judged(asked: Asked, outputs: Mapping[str, Sequence[Outputs]]) -> list[Pair]:
    found = pairs_of_task(asked, [PART], outputs, settings=Evaluate(resamples=200))
    return judged([one.pair for one in found])


def test_directions_are_kept_apart():
    """Each direction gets its own comparison; items without one get none."""
    asked = _asked("chrf++", directions=("eng_Latn>hau_Latn", "hau_Latn>eng_Latn", None))
    outputs = {
        "base": _outputs(asked, "x", "na gode", "x"),
        "adapter": _outputs(asked, "na gode sosai {}", "na gode", "na gode"),
    }
    first, second = _judged(asked, outputs)
    assert (first.test.direction, first.test.n) == ("eng_Latn>hau_Latn", ITEMS)
    assert first.adapter.value == pytest.approx(100)
    assert first.test.better == "adapter"
    assert second.test.difference == 0
    assert second.test.better == "neither"


def test_every_metric_of_a_task_scores_the_same_items():
    """A second metric is a second pair, with its own signature; records of old tasks name none."""
    asked = _asked("chrf++", "exact_match", directions=("eng_Latn>hau_Latn",))
    outputs = {"base": _outputs(asked, "x"), "adapter": _outputs(asked, "na gode  sosai {}\n")}
    pairs = _judged(asked, outputs)
    assert [pair.test.metric for pair in pairs] == ["chrf++", "exact_match"]
    exact = pairs[1]
    assert (exact.base.value, exact.adapter.value, exact.test.n) == (0, 1, ITEMS)
    assert exact.adapter.signature == "exact_match|norm:NFC,space|split:test"
    scores = tuple(score for pair in pairs for score in (pair.base, pair.adapter))
    result = EvaluateResult(scores, tuple(pair.test for pair in pairs))
    assert "task" not in as_json(result)["scores"][0]
    assert parse_result(as_json(result), EvaluateResult, path=Path("e")).pairs == pairs


def test_bits_state_their_bytes_and_the_ngram_model_is_given_no_source():
    """The signature has the bytes that are divided by; the n-gram model sees the text alone."""
    items = [_item(number, "eng_Latn>hau_Latn") for number in range(ITEMS)]
    group = Group(language="hau_Latn", items=items, unit="segment", given="source")
    asked = Asked(task("held_out_text"), (metric("bits_per_byte"),), ((group,),), "split:test")
    outputs = {
        name: [[[Likelihood(nats, 10) for _ in items]]]
        for name, nats in (("base", 9.0), ("adapter", 7.0), ("ngram", 8.0))
    }
    [pair] = _judged(asked, outputs)
    assert {score.system: score.given for score in pair.scores} == {
        "base": "source",
        "adapter": "source",
        "ngram": None,
    }
    assert all(score.signature.endswith(f"|bytes:{10 * ITEMS}") for score in pair.scores)


def test_exact_match_takes_nothing_away_but_space_and_composition():
    """Composed and decomposed letters are one, runs of space too; case, marks and joiners count."""
    same = [("ọ̀", "o\u0323\u0300"), (" na\u00a0 gode\n", "na gode"), ("", " ")]
    other = [("Na gode", "na gode"), ("o", "ọ"), ("na gode.", "na gode"), ("a\u200db", "ab")]
    outputs = [Generation(text, reference, None) for text, reference in same + other]
    found = metric("exact_match").statistics(outputs)
    np.testing.assert_array_equal(found[:, 0], [1] * len(same) + [0] * len(other))
    assert metric("exact_match").value(found.sum(axis=0)) == pytest.approx(3 / 7)


def test_a_recipe_may_ask_for_a_larger_effect():
    """Percent of the bits, points of chrF++: recorded with the test, which it decides."""
    asked = _asked("chrf++", "exact_match", directions=("eng_Latn>hau_Latn",))
    outputs = {
        "base": _outputs(asked, "gaskiya"),
        "adapter": _outputs(asked, "na gode sosai"),
    }

    def found(**effects: float) -> PairedTest:
        settings = Evaluate(resamples=200, minimum_effect=effects)
        pairs = pairs_of_task(asked, [PART], outputs, settings=settings)
        return judged([one.pair for one in pairs])[0].test

    usual, strict = found(), found(**{"chrf++": 99.5})
    assert (usual.minimum_effect, strict.minimum_effect) == (1, 99.5)
    assert (usual.better, strict.better) == ("adapter", "neither")
    assert minimum_effects([strict]) == "99.5 chrF++"
    assert metric("bits_per_byte").least_effect(3.0, {"bits_per_byte": 2.0}) == 0.06
