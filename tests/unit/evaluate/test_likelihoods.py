"""Likelihoods of texts in memory, beside those of a prepared split."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest

from finetune.evaluate.base_and_adapter import System
from finetune.evaluate.likelihoods import likelihoods
from finetune.models.encode import Encoder
from finetune.models.in_memory import continuation, split_of_segments
from finetune.models.kinds import CAUSAL
from tests.support.tiny import tiny_model, tiny_tokenizer

pytestmark = pytest.mark.heavy


def _system() -> System:
    model = CAUSAL.wrap(tiny_model())
    return System("base", CAUSAL, model, tiny_tokenizer(), model.model.device, nullcontext)


def test_a_continuation_is_as_likely_beside_others_as_alone():
    """Packing changes nothing: no document sees another, and the context costs nothing."""
    system = _system()
    ids = [system.tokenizer.encode(text) for text in ("Na gode", "Sannu da zuwa", "The cat")]
    documents = [
        continuation(ids[2], ids[0], size_bytes=7),
        continuation([], ids[1], size_bytes=13),
        continuation(ids[1], [*ids[2], system.tokenizer.eos_token_id], size_bytes=7),
    ]
    together = likelihoods(system, documents, row_tokens=64)
    alone = [likelihoods(system, [one], row_tokens=8)[0] for one in documents]
    np.testing.assert_allclose([o.nats for o in together], [o.nats for o in alone], rtol=1e-5)
    assert [one.size_bytes for one in together] == [7, 13, 7]
    assert together[0].mark_nats == 0 < together[2].mark_nats


def test_a_text_and_its_tokens_are_equally_likely():
    """Text through the encoder, and the same tokens as a continuation of nothing, agree."""
    system = _system()
    [encoded] = Encoder(system.tokenizer).document((("Na gode", True),), row_tokens=64)
    same = continuation([], encoded.tokens_n.tolist(), size_bytes=encoded.supervised_bytes)
    one, other = likelihoods(system, [encoded, same], row_tokens=64)
    assert one.nats == pytest.approx(other.nats, rel=1e-6)


def test_a_segment_longer_than_a_row_is_refused():
    """Nothing is cut silently."""
    with pytest.raises(ValueError, match="do not fit"):
        split_of_segments([(0, continuation([1], [2, 3], size_bytes=2))], sequence_tokens=2)
