"""The table of cases: every two values of different factors meet, in few cases."""

from __future__ import annotations

from tests.fake_cuda.pairs import pairs_of, pairwise
from tests.fake_cuda.table import FACTORS, MOST_CASES, TABLE


def test_every_pair_of_the_table_is_covered() -> None:
    """By few cases, none of which is there twice."""
    every = {
        frozenset({(one, a), (other, b)})
        for one in FACTORS
        for other in FACTORS
        for a in FACTORS[one]
        for b in FACTORS[other]
        if one < other
    }
    assert set().union(*map(pairs_of, TABLE)) == every
    assert len({tuple(case.items()) for case in TABLE}) == len(TABLE) <= MOST_CASES


def test_what_is_not_allowed_is_in_no_case() -> None:
    """Pairs that no allowed case can hold are not asked for."""
    factors = {"a": ["1", "2"], "b": ["x", "y"], "c": ["p", "q"]}
    cases = pairwise(factors, allowed=lambda case: (case["a"], case["b"]) != ("1", "x"))
    assert frozenset({("a", "1"), ("b", "x")}) not in set().union(*map(pairs_of, cases))
    assert len(set().union(*map(pairs_of, cases))) == 11
