"""Initial embedding rows of new tokens: means of rows of the base.

For little text, means of old sub-tokens do better than random rows and than methods that need
embeddings of the language (Yamaguchi et al. 2024).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from finetune.tokenizer.definition import Extended, NewToken, opened

Span = tuple[int, int]


def means(tokens: Sequence[NewToken]) -> tuple[Mapping[int, float], ...]:
    """Return for each token the base's tokens that spell it, each as often as it does.

    >>> means([NewToken(9, "ana", (3, 4, 3))])
    ({3: 2.0, 4: 1.0},)
    """
    return tuple({k: float(n) for k, n in Counter(token.parts).items()} for token in tokens)


def aligned(
    definition: str, extended: Extended, texts: Iterable[str]
) -> tuple[Mapping[int, float], ...]:
    """Return for each token the base's tokens that stand in its place in the texts.

    Each counts by the characters that both have in common. A token that does not occur there
    alone starts as its mean.
    """
    base, new = opened(definition), extended.tokenizer()
    first = extended.tokens[0].id
    counts: list[Counter[int]] = [Counter() for _ in extended.tokens]
    for text in texts:
        one, two = (t.encode(text, add_special_tokens=False) for t in (base, new))
        for number, old, shared in _overlaps(two, one):
            if number >= first:
                counts[number - first][old] += shared
    return tuple(
        {k: float(n) for k, n in sorted(counted.items())} if counted else mean
        for counted, mean in zip(counts, means(extended.tokens), strict=True)
    )


def _overlaps(one: Any, two: Any) -> Iterator[tuple[int, int, int]]:
    """Yield tokens of two encodings of a text that share characters, and how many."""
    spans: list[Span] = two.offsets
    at = 0
    for number, (start, end) in zip(one.ids, one.offsets, strict=True):
        while at < len(spans) and spans[at][1] <= start:
            at += 1
        other = at
        while other < len(spans) and spans[other][0] < end:
            shared = min(end, spans[other][1]) - max(start, spans[other][0])
            if shared > 0:
                yield number, two.ids[other], shared
            other += 1
