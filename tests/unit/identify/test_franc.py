"""franc's similarities from matrices: those of pyfranc itself, for any line and any languages."""

from __future__ import annotations

import math
import random

import pytest
from pyfranc import franc
from pyfranc.data import data

from finetune.identify.franc import make_scorer

CODES = {group: {code: f"{code} {group}" for code in models} for group, models in data.items()}
ALL = sorted({code for models in data.values() for code in models})
FEW = {"Latin": {code: code for code in ("wol", "srr", "fuv")}}
FIXED = [
    "", " ", "...", "1234", "नमस्ते", "বাংলা ভাষা", "漢字かな", "a", "abc漢字", "ᱥᱟᱱᱛᱟᱲᱤ", "x" * 3000,
    "İstanbul", "\n a \t b", "zzzzq", "a a a a a a", "мир world", "\ud800",
]  # fmt: skip


def lines(group: str) -> list[str]:
    """Return lines made of the trigrams of a group's languages, with signs between some."""
    rng = random.Random(group)
    made = []
    for model in rng.sample(sorted(data[group].values()), min(8, len(data[group]))):
        trigrams = model.split("|")
        for count in (1, 4, 30, 200):
            ends = rng.choices(["", "", ". ", "7", " ("], k=count)
            made.append("".join(rng.choice(trigrams) + end for end in ends))
    return made


@pytest.mark.parametrize("group", [*CODES, "fixed"])
def test_the_answers_are_those_of_pyfranc(group: str) -> None:
    """The same numbers for each language, to the last bit, with all languages and with three."""
    every, few = make_scorer(CODES, scale=1.5), make_scorer(FEW, scale=1.0)
    for line in FIXED[:-1] if group == "fixed" else lines(group):
        weight = 1.5 * math.sqrt(len(line))
        expected = franc.lang_detect(line, whitelist=ALL, minlength=1)
        found = {label.split()[0]: value for label, value in every(line).items()}
        assert found == {code: weight * value for code, value in expected if code in ALL}
        expected = franc.lang_detect(line, whitelist=[*FEW["Latin"]], minlength=1)
        similar = {code: math.sqrt(len(line)) * v for code, v in expected if code in FEW["Latin"]}
        assert few(line) == similar


def test_a_text_that_is_no_unicode_gets_no_answer() -> None:
    """Lone surrogates, which pyfranc takes two by two for letters, are in no language."""
    assert make_scorer(CODES, scale=1.0)(FIXED[-1]) == {}
