"""False winners: how often equal systems are called different, by the test alone and by all rules.

Two systems that are equally good by construction are compared as an evaluation does it: the
exchange test, and beside it the interval with the minimum effect of 1 %. `variance`: the scores of
one vary three times as much. `tails`: Student's t with 2 degrees of freedom. `clusters`: documents
of 1 to 10 items that one system happens to find easier or harder as a whole.

    python benchmarks/false_winners.py [--draws 2000]
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np

from finetune.statistics.bootstrap import ratio_of_sums
from finetune.statistics.claims import LEVEL
from finetune.statistics.significance import compare

MINIMUM_EFFECT = 0.01


def main() -> None:
    """Print a row per kind of null and number of documents."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=2000, help="pairs of systems per row")
    draws = parser.parse_args().draws
    most = LEVEL + 2 * math.sqrt(LEVEL * (1 - LEVEL) / draws)
    print(f"{draws:,} draws; at most {100 * most:.1f} % (5 % and two sampling errors)")
    print("| null | documents | test alone | test, interval and minimum effect |")
    print("|---|---:|---:|---:|")
    started = time.process_time()
    for kind in ("variance", "tails", "clusters"):
        for documents in (20, 50, 200):
            alone, ruled = false_winners(kind, documents, draws=draws)
            wrong = " **too many**" if max(alone, ruled) > most else ""
            print(f"| {kind} | {documents} | {100 * alone:.1f} % | {100 * ruled:.1f} %{wrong} |")
    print(f"{time.process_time() - started:.0f} CPU seconds")


def false_winners(kind: str, documents: int, *, draws: int) -> tuple[float, float]:
    """Return the shares of draws with a winner: by the test alone, and by all rules."""
    rng, alone, ruled = np.random.default_rng(documents), 0, 0
    for number in range(draws):
        first, second, document = _null(kind, documents, rng)
        found = compare(
            first,
            second,
            documents=document.tolist(),
            score=ratio_of_sums,
            resamples=1000,
            seed=number,
        )
        gap = found.difference
        end = max(gap.low, -gap.high)
        is_significant = found.p_value < LEVEL
        alone += is_significant
        ruled += is_significant and end > 0 and end >= MINIMUM_EFFECT * found.first.value
    return alone / draws, ruled / draws


def _null(
    kind: str, documents: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    items = rng.integers(1, 11, documents) if kind == "clusters" else np.ones(documents, dtype=int)
    document = np.repeat(np.arange(documents), items)
    length = rng.lognormal(4, 1, len(document))
    shape = (2, len(document))
    draw = rng.standard_t(2, shape) if kind == "tails" else rng.normal(size=shape)
    noise = draw * np.array([[0.2], [0.6]])
    if kind == "clusters":
        noise[1] += 0.5 * rng.normal(size=documents)[document]
    first, second = (np.stack([length * (3 + one), length], axis=1) for one in noise)
    return first, second, document


if __name__ == "__main__":
    main()
