"""The picture of scores: well-formed, everything inside, labels escaped."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.evaluate.compare import Subject, pair_of
from finetune.evaluate.figure import interval_chart, ticks
from finetune.evaluate.outputs import Likelihood
from finetune.evaluate.scores import Pair
from finetune.spec.recipe import Evaluate
from finetune.spec.tables.metric import metric

SVG = "{http://www.w3.org/2000/svg}"


def _pair(base: float, adapter: float) -> Pair:
    systems = [
        [Likelihood(value * size * math.log(2), size) for size in range(1, 13)]
        for value in (base, adapter)
    ]
    return pair_of(
        metric("bits_per_byte"),
        *systems,
        subject=Subject("hau_Latn", None, None, ""),
        settings=Evaluate(resamples=100),
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=5))
def test_every_mark_is_inside(values):
    """Dots and intervals of any scores, equal or zero ones too, lie inside the picture."""
    pairs = [_pair(*value) for value in values]
    root = ET.fromstring(interval_chart(pairs, labels=["a <b>"] * len(pairs), axis="x & y"))
    width, height = (float(part) for part in root.attrib["viewBox"].split()[2:])
    dots = list(root.iter(f"{SVG}circle"))
    assert len(dots) == 2 * len(pairs)
    for dot in dots:
        assert 0 <= float(dot.attrib["cx"]) <= width
        assert 0 <= float(dot.attrib["cy"]) <= height
    assert sum(text.text == "a <b>" for text in root.iter(f"{SVG}text")) == len(pairs)


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 100), st.floats(1e-3, 100))
def test_ticks_are_few_and_inside(low, span):
    """Between 2 and 9 ticks lie in any range."""
    found = ticks(low, low + span)
    assert 2 <= len(found) <= 9
    assert all(low - span / 100 <= tick <= low + span * 1.01 for tick in found)
