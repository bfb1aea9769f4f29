"""chrF++ from summed counts is sacrebleu's, for corpora and for resamples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import CHRF

from finetune.artefacts.items import Item
from finetune.evaluate.metrics.chrf import (
    Translated,
    chrf_counts,
    chrf_of_sums,
    compare_translations,
)
from finetune.spec.recipe import Evaluate

_texts = st.text(alphabet="aƙb ñ.,ው", max_size=12)
_corpora = st.lists(st.tuples(_texts, _texts), min_size=1, max_size=6)


def _score(hypotheses: list[str], references: list[str]) -> float:
    return CHRF(word_order=2).corpus_score(hypotheses, [references]).score


@settings(max_examples=150, deadline=None)
@given(_corpora)
def test_equals_sacrebleus_corpus_score(corpus):
    """For any texts, empty ones too, the score of summed counts is sacrebleu's corpus score."""
    hypotheses, references = [h for h, _ in corpus], [r for _, r in corpus]
    counts, signature = chrf_counts(hypotheses, references)
    expected = _score(hypotheses, references)
    assert float(chrf_of_sums(counts.sum(axis=0))) == pytest.approx(expected, abs=1e-9)
    assert signature.startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:no|version:")


def test_a_resample_equals_rescoring_its_items():
    """Counts of drawn items added up score as sacrebleu scores the drawn items."""
    references = ["Ina kwana?", "Na gode ƙwarai.", "Lafiya lau", "Sai an jima"]
    hypotheses = ["Ina kwan", "Na gode", "Lafia lau!", "ok"]
    counts, _ = chrf_counts(hypotheses, references)
    draws = np.random.default_rng(0).integers(4, size=(20, 4))
    found = chrf_of_sums(counts[draws].sum(axis=1))
    for score, draw in zip(found, draws, strict=True):
        expected = _score([hypotheses[i] for i in draw], [references[i] for i in draw])
        assert score == pytest.approx(expected, abs=1e-9)


def _translated(direction: str | None, base: str, adapter: str, number: int) -> Translated:
    item = Item(
        id=str(number),
        card="toy",
        language="hau_Latn",
        prompt="p",
        reference=f"na gode sosai {number}",
        source="thanks",
        direction=direction,
    )
    return Translated(item=item, base=base, adapter=adapter)


def test_directions_are_kept_apart():
    """Each direction gets its own comparison; items without one get none."""
    translated = [_translated("eng_Latn>hau_Latn", "x", f"na gode sosai {n}", n) for n in range(12)]
    translated += [_translated("hau_Latn>eng_Latn", "na gode", "na gode", n) for n in range(12)]
    translated += [_translated(None, "x", "na gode", 0)]
    first, second = compare_translations(translated, settings=Evaluate(resamples=200))
    assert (first.test.direction, first.test.n) == ("eng_Latn>hau_Latn", 12)
    assert first.adapter.value == pytest.approx(100)
    assert first.test.better == "adapter"
    assert second.test.difference == 0
    assert second.test.better == "neither"
