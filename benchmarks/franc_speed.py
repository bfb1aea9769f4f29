"""Speed of franc's scorer, ours against pyfranc's, on lines made of its own trigrams.

    python benchmarks/franc_speed.py

Prints megabytes per CPU second over all languages and over three, and the ratio, which depends less
on the machine.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from pyfranc import franc
from pyfranc.data import data

from finetune.identify.models import load_franc

THREE = ("wol_Latn", "srr_Latn", "fuv_Latn")
CHARACTERS = (40, 100, 300)
LEAST_SECONDS = 2.0


def main() -> None:
    """Measure both scorers and print a Markdown table."""
    model = load_franc()
    every = sorted({code for models in data.values() for code in models})
    print("| characters | languages | pyfranc MB/CPU-s | finetune MB/CPU-s | ratio |")
    print("|---:|---:|---:|---:|---:|")
    for characters in CHARACTERS:
        lines = _lines(characters)
        for labels, codes in ((model.labels, every), (THREE, [x[:3] for x in THREE])):
            theirs = _speed(
                lambda line, codes=codes: franc.lang_detect(line, whitelist=codes, minlength=1),
                lines,
            )
            ours = _speed(model.bind(labels), lines)
            row = f"| {characters} | {len(labels)} | {theirs:.3f} | {ours:.2f} |"
            print(f"{row} {ours / theirs:.0f} |")


def _lines(characters: int) -> list[str]:
    rng = random.Random(1)
    models = [model.split("|") for model in data["Latin"].values()]
    texts = ("".join(rng.choices(rng.choice(models), k=characters)) for _ in range(30))
    return [text[:characters] for text in texts]


def _speed(score: Callable[[str], object], lines: Sequence[str]) -> float:
    """Return megabytes per CPU second."""
    size, began = 0, time.process_time()
    while (spent := time.process_time() - began) < LEAST_SECONDS:
        for line in lines:
            score(line)
            size += len(line.encode())
    return size / spent / 1e6


if __name__ == "__main__":
    main()
