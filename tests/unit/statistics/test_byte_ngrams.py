"""The byte n-gram model against a plain implementation of its definition."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.statistics.byte_ngrams import ORDERS, count, nats_of

TEXTS = st.lists(st.text(alphabet="aɓƙ ት", max_size=8).map(str.encode), min_size=1, max_size=5)
END, BEGIN = 256, 257
Counts = dict[tuple[int, ...], Counter[int]]


def _after(texts: list[bytes]) -> Counts:
    """Count what follows each context of up to four symbols."""
    found: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for text in texts:
        symbols = (*[BEGIN] * (ORDERS - 1), *text, END)
        for at in range(ORDERS - 1, len(symbols)):
            for length in range(ORDERS):
                found[symbols[at - length : at]][symbols[at]] += 1
    return found


def _probability(
    after: dict[tuple[int, ...], Counter[int]], context: tuple[int, ...], symbol: int
) -> float:
    """Return the interpolated probability, by Witten and Bell's recursion."""
    p = 1 / 257
    for length in range(len(context) + 1):
        seen = after.get(context[len(context) - length :], Counter())
        if seen:
            p = (seen[symbol] + len(seen) * p) / (seen.total() + len(seen))
    return p


@settings(max_examples=60, deadline=None)
@given(TEXTS, TEXTS)
def test_likelihoods_are_those_of_the_recursion(trained, scored):
    """Bits of each text and of its end mark, for any texts, empty ones too."""
    after, expected = _after(trained), []
    for text in scored:
        symbols = (*[BEGIN] * (ORDERS - 1), *text, END)
        nats = [
            -math.log(_probability(after, symbols[at - ORDERS + 1 : at], symbols[at]))
            for at in range(ORDERS - 1, len(symbols))
        ]
        expected.append((sum(nats[:-1]), nats[-1]))
    np.testing.assert_allclose(nats_of(count(trained), scored), expected, rtol=1e-9, atol=1e-12)


def test_probabilities_sum_to_one():
    """After any context the 257 symbols share a probability of 1."""
    after = _after([b"ina kwana", b"ina gajiya"])
    for context in ((BEGIN,) * 4, tuple(b"na k"), tuple(b"zzzz")):
        assert sum(_probability(after, context, s) for s in range(257)) == pytest.approx(1)


def test_a_text_that_was_counted_needs_few_bits_and_another_script_many():
    """Repeated text costs less than a bit per byte; bytes that were not counted, over eight."""
    model = count([b"ina kwana lafiya lau " * 20] * 5)
    known, other = nats_of(model, [b"ina kwana lafiya lau ", "ᱥᱟᱱᱛᱟᱲᱤ".encode()])[:, 0] / math.log(
        2
    )
    assert known / 21 < 1
    assert other / len("ᱥᱟᱱᱛᱟᱲᱤ".encode()) > 8


def test_bytes_at_the_beginning_can_be_context_alone():
    """The nats of the last bytes of a text are those of the text without those of its beginning."""
    model = count([b"ina kwana", b"ina gajiya"])
    whole, begun = nats_of(model, [b"ina kwana", b"ina "])
    [end] = nats_of(model, [b"ina kwana"], sizes_N=[5])
    np.testing.assert_allclose(end, [whole[0] - begun[0], whole[1]])
