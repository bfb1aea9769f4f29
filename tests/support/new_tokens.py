"""A tokenizer extended by the tokens of a made-up Devanagari lexicon."""

from __future__ import annotations

import random

from finetune.spec.sections.vocabulary import Vocabulary
from finetune.tokenizer.extend import Corpus, extend
from tests.support.tiny import CORPUS
from tests.support.vocabularies import byte_level

# Syllables made from code points: a consonant, and a vowel sign, virama or nothing behind it.
SYLLABLES = [
    chr(0x0915 + n) + mark for n in range(12) for mark in ("", "\u093f", "\u0940", "\u094d")
]


def words(seed: int, *, count: int = 60) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices(SYLLABLES, k=rng.randint(2, 4))) for _ in range(count)]


LEXICON = words(0)


def texts(seed: int, *, count: int = 80) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(LEXICON, k=8)) + " \u0964" for _ in range(count)]


SCRIPTS = frozenset({"Deva"})
CORPUS_DEVA = Corpus({"hin_Deva": texts(1)}, {"hin_Deva": texts(2)}, protected=CORPUS)


def extended(**keys: object):
    return extend(
        byte_level().to_str(), CORPUS_DEVA, Vocabulary(**keys), scripts=frozenset({"Deva"})
    )


EXTENDED = extended()
