"""Few cases in which every two values of different factors meet (pairwise testing)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

Case = dict[str, str]
Pair = frozenset[tuple[str, str]]


def pairs_of(case: Mapping[str, str]) -> set[Pair]:
    """Return the pairs that meet in a case.

    >>> len(pairs_of({"size": "8B", "quantization": "4bit", "text": "long"}))
    3
    """
    return {frozenset(two) for two in itertools.combinations(case.items(), 2)}


def pairwise(
    factors: Mapping[str, Sequence[str]], *, allowed: Callable[[Case], bool] = lambda _: True
) -> list[Case]:
    """Return cases that cover every pair that an allowed case can hold; greedy, always the same.

    >>> pairwise({"a": ["1", "2"], "b": ["x", "y"]})
    [{'a': '1', 'b': 'x'}, {'a': '1', 'b': 'y'}, {'a': '2', 'b': 'x'}, {'a': '2', 'b': 'y'}]
    """
    combined = itertools.product(*factors.values())
    every = [dict(zip(factors, values, strict=True)) for values in combined]
    candidates = [(case, pairs_of(case)) for case in every if allowed(case)]
    left = set().union(*(pairs for _, pairs in candidates)) if candidates else set()
    chosen = []
    while left:
        case, pairs = max(candidates, key=lambda candidate: len(candidate[1] & left))
        chosen.append(case)
        left -= pairs
    return chosen
