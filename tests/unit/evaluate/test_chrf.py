"""chrF++ from summed counts is sacrebleu's, for corpora and for resamples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import CHRF

from finetune.evaluate.metrics.chrf import chrf_of_sums, signature, statistics
from finetune.evaluate.outputs import Generation

_texts = st.text(alphabet="aƙb ñ.,ው", max_size=12)
_corpora = st.lists(st.tuples(_texts, _texts), min_size=1, max_size=6)


def _counts(hypotheses: list[str], references: list[str]) -> np.ndarray:
    pairs = zip(hypotheses, references, strict=True)
    return statistics([Generation(text, reference, None) for text, reference in pairs])


def _score(hypotheses: list[str], references: list[str]) -> float:
    return CHRF(word_order=2).corpus_score(hypotheses, [references]).score


@settings(max_examples=150, deadline=None)
@given(_corpora)
def test_equals_sacrebleus_corpus_score(corpus):
    """For any texts, empty ones too, the score of summed counts is sacrebleu's corpus score."""
    hypotheses, references = [h for h, _ in corpus], [r for _, r in corpus]
    counts = _counts(hypotheses, references)
    expected = _score(hypotheses, references)
    assert float(chrf_of_sums(counts.sum(axis=0))) == pytest.approx(expected, abs=1e-9)


def test_a_resample_equals_rescoring_its_items():
    """Counts of drawn items added up score as sacrebleu scores the drawn items."""
    references = ["Ina kwana?", "Na gode ƙwarai.", "Lafiya lau", "Sai an jima"]
    hypotheses = ["Ina kwan", "Na gode", "Lafia lau!", "ok"]
    counts = _counts(hypotheses, references)
    draws = np.random.default_rng(0).integers(4, size=(20, 4))
    found = chrf_of_sums(counts[draws].sum(axis=1))
    for score, draw in zip(found, draws, strict=True):
        expected = _score([hypotheses[i] for i in draw], [references[i] for i in draw])
        assert score == pytest.approx(expected, abs=1e-9)


def test_the_signature_is_sacrebleus():
    """The signature is sacrebleu's for a corpus with one reference, then the conditions."""
    metric = CHRF(word_order=2)
    metric.corpus_score(["a"], [["b"]])
    assert signature("split:test") == f"{metric.get_signature()}|split:test"
    assert signature("").startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:no|version:")
