"""Short texts to identify, and two made-up languages."""

from __future__ import annotations

import random


def made_up(letters: str, *, lines: int, seed: int) -> list[str]:
    """Return lines of made-up words of the letters, different from line to line."""
    dice = random.Random(seed)
    return [
        " ".join("".join(dice.choices(letters, k=dice.randint(2, 7))) for _ in range(8))
        for _ in range(lines)
    ]


FIRST = made_up("abdefghiklmno", lines=300, seed=1)
SECOND = made_up("opqrstuwxyzɗƙ", lines=300, seed=2)

ENGLISH = "Everyone has the right to read what they like and to say so in their own words."
FRENCH = "Chacun peut lire ce qui lui plaît et le dire avec ses propres mots, sans demander."
HAUSA = "Ina kwana, lafiya lau, na gode ƙwarai da gaske; sai an jima, mun gode da zuwa."
