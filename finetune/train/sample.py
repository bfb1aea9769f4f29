"""The validation sample: equally many held-out documents per language, always the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def even_sample(documents_D: NDArray[np.void], *, most: int) -> NDArray[np.int64]:
    """Return the indices of the records of at most `most` documents, evenly over the languages.

    A language with fewer documents than its share gives all it has, and the rest goes to the
    others. Documents are numbered in the order of their content hash, so that the first of each
    language are a random sample that does not depend on how they are packed. All parts of a split
    document go together; those without text are skipped.
    """
    with_text_D = documents_D["supervised_bytes"] > 0
    numbers = [
        np.unique(documents_D["document"][with_text_D & (documents_D["language"] == language)])
        for language in np.unique(documents_D["language"][with_text_D])
    ]
    quotas = even_quotas([len(mine) for mine in numbers], most=most)
    chosen = [mine[:quota] for mine, quota in zip(numbers, quotas, strict=True)]
    wanted = np.concatenate(chosen) if chosen else np.empty(0, dtype=np.int64)
    return np.flatnonzero(with_text_D & np.isin(documents_D["document"], wanted))


def even_quotas(sizes: Sequence[int], *, most: int) -> list[int]:
    """Share out `most` over groups of these sizes as evenly as they allow, the first ones first.

    >>> even_quotas([100, 3, 50], most=20)
    [9, 3, 8]
    """
    quotas = [0] * len(sizes)
    left = min(most, sum(sizes))
    while left:
        not_full = [i for i, size in enumerate(sizes) if quotas[i] < size]
        share = max(1, left // len(not_full))
        for i in not_full:
            given = min(share, sizes[i] - quotas[i], left)
            quotas[i], left = quotas[i] + given, left - given
    return quotas
