"""Validation sample: every language, whole documents, independent of packing."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from finetune.artefacts.packed_split import DOCUMENT_DTYPE
from finetune.train.sample import even_quotas, even_sample


def records(parts: list[tuple[int, int, int]]) -> np.ndarray:
    """Make records of (document, language, bytes); rows and tokens do not matter here."""
    made = np.zeros(len(parts), dtype=DOCUMENT_DTYPE)
    for record, (document, language, size) in zip(made, parts, strict=True):
        record["document"], record["language"] = document, language
        record["supervised_bytes"] = size
    return made


corpora = st.lists(  # one document: its language, and the bytes of each of its parts
    st.tuples(st.integers(0, 3), st.lists(st.integers(0, 9), min_size=1, max_size=3)), max_size=40
)


@given(corpora, st.integers(1, 60), st.randoms(use_true_random=False))
def test_the_sample_is_even_whole_and_independent_of_packing(corpus, most, random):
    """Quotas differ by at most one where texts suffice; the order of records changes nothing."""
    parts = [
        (number, language, size)
        for number, (language, sizes) in enumerate(corpus)
        for size in sizes
    ]
    shuffled = random.sample(parts, len(parts))
    found = [parts[i] for i in even_sample(records(parts), most=most)]
    assert sorted(found) == sorted(shuffled[i] for i in even_sample(records(shuffled), most=most))
    chosen = {number for number, _, _ in found}
    spelling = {number for number, _, size in parts if size}
    assert len(chosen) == min(most, len(spelling))
    assert sorted(found) == sorted(part for part in parts if part[0] in chosen and part[2])
    of = dict(enumerate(language for language, _ in corpus))
    taken = Counter(of[number] for number in chosen)
    there = Counter(of[number] for number in spelling)
    for language, other in ((a, b) for a in there for b in there):
        if taken[language] < there[language]:  # it could have given more
            assert taken[other] <= taken[language] + 1


@given(st.lists(st.integers(0, 50), max_size=6), st.integers(0, 200))
def test_quotas_use_all_that_may_be_used(sizes, most):
    """The sum is the bound, or everything; no group gives more than it has."""
    quotas = even_quotas(sizes, most=most)
    assert sum(quotas) == min(most, sum(sizes))
    assert all(0 <= quota <= size for quota, size in zip(quotas, sizes, strict=True))
