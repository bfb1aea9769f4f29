"""Precision and recall of near duplicates on planted copies and on minimal pairs; a Markdown table.

    python benchmarks/near_duplicates.py

Texts are the strings of Kolibri (an installed package) in languages of seven scripts. To a third of
them a copy is added (typing error, capitals, punctuation, spacing, words in front or behind, cut
off, letters misread), to a third a minimal pair (another word or number). The strings themselves
hold pairs too: translations of two English strings that differ are two texts, those of one string
are copies. Only pairs that are near by definition count. Each language is measured twice: with
`minimal_pair_characters: 0`, which keeps one text of near ones, and with the default.
"""

from __future__ import annotations

import json
import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from finetune.prepare.overlap.minhash import Signatures, bands_for
from finetune.prepare.overlap.near import NearDuplicates
from finetune.prepare.overlap.shingles import comparable, gram_hashes
from finetune.prepare.reading.document import Document, digest, text_id
from finetune.prepare.reading.spool import Spool
from finetune.sources.packages import package_file
from finetune.spec.sections.overlap import Duplicates
from finetune.text.counts import is_unspaced

LANGUAGES = ("ha", "yo", "fr_FR", "hi_IN", "te", "ur_PK", "uk", "my", "zh_Hans")
FILE = "kolibri/locale/{}/LC_MESSAGES/kolibri.core.default_frontend-messages.json"
CODE = re.compile(r"[<>]|,\s*(plural|select)\b")
"""Not language: no string with it is taken, as in the data cards of Kolibri."""
CHARACTERS = (40, 200)
MISREAD = str.maketrans("nhieoclu", "huleceiv")


@dataclass(frozen=True, slots=True)
class Planted:
    """Two texts, by number, and whether one is a copy of the other."""

    one: int
    other: int
    is_copy: bool
    kind: str


def main() -> None:
    """Print a row for each language, and the copies found by kind."""
    print("| language | copies | found, before | now | minimal pairs | lost, before | now | time |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    missed: Counter[str] = Counter()
    for language in LANGUAGES:
        texts, planted = _planted(language, random.Random(language))
        before, seconds_before = _rejected(texts, Duplicates(minimal_pair_characters=0))
        now, seconds_now = _rejected(texts, Duplicates())
        copies = [pair for pair in planted if pair.is_copy]
        pairs = [pair for pair in planted if not pair.is_copy]
        counts = [
            sum(map(_meets(gone), group)) for group in (copies, pairs) for gone in (before, now)
        ]
        missed.update(pair.kind for pair in planted if _meets(now)(pair) != pair.is_copy)
        ratio = seconds_now / seconds_before
        cells = (language, len(copies), *counts[:2], len(pairs), *counts[2:], f"{ratio:.2f}")
        print(f"| {' | '.join(map(str, cells))} |")
    print("\nWrong now, by kind:", dict(missed.most_common()))


def _meets(gone: set[int]) -> Callable[[Planted], bool]:
    return lambda pair: pair.one in gone or pair.other in gone


def _strings(language: str) -> dict[str, str]:
    """Return key -> string of the files of a language."""
    found: dict[str, str] = {}
    folder = package_file("kolibri", FILE.format(language)).parent
    for path in sorted(folder.glob("*.json")):
        messages = json.loads(path.read_text(encoding="utf-8"))
        found |= {f"{path.name} {key}": text for key, text in messages.items()}
    return found


def _planted(language: str, rng: random.Random) -> tuple[list[str], list[Planted]]:
    english, strings = _strings("en"), _strings(language)
    named = {text: english.get(key, "") for key, text in strings.items()}
    named = {text: key for text, key in named.items() if text and not CODE.search(text)}
    texts = [text for text in named if CHARACTERS[0] <= len(text) <= CHARACTERS[1]]
    words = sorted({word for text in texts for word in text.split(" ") if word.isalpha()})
    pairs: list[Planted] = []
    for number, text in enumerate(list(texts)):
        kinds = (COPIES, PAIRS, {})[number % 3]
        if kinds:
            kind = rng.choice(sorted(kinds))
            made = kinds[kind](text, rng, words)
            if made not in texts and _near(text, made):
                pairs.append(Planted(number, len(texts), kinds is COPIES, kind))
                texts.append(made)
    return texts, pairs + list(_natural(texts, named))


def _natural(texts: Sequence[str], named: dict[str, str]) -> Iterator[Planted]:
    """Yield pairs of the strings themselves; their English says what was meant."""
    by_gram: dict[int, list[int]] = {}
    for number, text in enumerate(texts):
        if text in named:
            for gram in np.unique(gram_hashes(comparable([text]))[0])[:8].tolist():
                by_gram.setdefault(gram, []).append(number)
    candidates = {pair for group in by_gram.values() for pair in combinations(group, 2)}
    for one, other in sorted(candidates):
        if _near(texts[one], texts[other]):
            meant = comparable([named[texts[one]], named[texts[other]]])
            if all(meant):
                yield Planted(one, other, meant[0] == meant[1], "translations")


def _near(one: str, other: str) -> bool:
    texts = comparable([one, other])
    if texts[0] != texts[1] and min(map(len, texts)) < Duplicates().min_characters:
        return False  # shorter ones are not compared
    first, second = (np.unique(gram_hashes([text])[0]) for text in texts)
    shared = len(np.intersect1d(first, second))
    return shared >= 0.8 * (len(first) + len(second) - shared)


def _rejected(texts: Sequence[str], settings: Duplicates) -> tuple[set[int], float]:
    """Return the numbers of the texts that are rejected, and the seconds that it took."""
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        signatures = Signatures(path / "signatures", bands_for(settings.threshold))
        with Spool(path / "spool", phase="train") as spool, signatures:
            for text in texts:
                spool.add(_document(text), "train", phase="train")
                signatures.add(text)
            gone = set()
            for decision in NearDuplicates(spool, signatures, settings):
                spool.drop(decision.number)
                gone.add(decision.number)
    return gone, time.process_time() - started


def _document(text: str) -> Document:
    return Document(
        id=text_id(text),
        content=digest(text),
        text_digests=frozenset({digest(text)}),
        card="kolibri",
        language="und_Zzzz",
        where="",
        record="0" * 64,
        contributor=None,
        pieces=((text, True),),
        splittable=True,
        target=text,
    )


Change = Callable[[str, random.Random, Sequence[str]], str]


def _typo(text: str, rng: random.Random, _: Sequence[str]) -> str:
    at = rng.choice([n for n, c in enumerate(text[:-1]) if c.isalpha() and text[n + 1].isalpha()])
    return rng.choice((text[:at] + text[at + 1 :], text[:at] + text[at] + text[at:]))


def _misread(text: str, rng: random.Random, _: Sequence[str]) -> str:
    return "".join(c.translate(MISREAD) if rng.random() < 0.03 else c for c in text)


def _other_word(text: str, rng: random.Random, words: Sequence[str]) -> str:
    parts = text.split(" ")
    places = [n for n, part in enumerate(parts) if part.isalpha()]
    if not places:
        return text
    at = rng.choice(places)
    spaced = not is_unspaced(parts[at][0])
    alike = [word for word in words if abs(len(word) - len(parts[at])) <= 2 and word != parts[at]]
    return " ".join((*parts[:at], rng.choice(alike or words), *parts[at + 1 :])) if spaced else text


def _number(text: str, rng: random.Random, _: Sequence[str]) -> str:
    return re.sub(r"\d+", lambda found: str(int(found[0]) + rng.randint(1, 9)), text)


COPIES: dict[str, Change] = {
    "typing error": _typo,
    "capitals": lambda text, *_: text.upper(),
    "punctuation": lambda text, *_: f"«{text.rstrip('.!?')}»…",
    "spacing": lambda text, *_: text.replace(" ", "  ", 3).replace("-", " "),
    "in front": lambda text, rng, words: f"{rng.choice(words)}: {text}",
    "behind": lambda text, rng, words: f"{text} ({rng.choice(words)})",
    "cut off": lambda text, *_: text[: int(0.85 * len(text))],
    "misread": _misread,
}
PAIRS: dict[str, Change] = {"word": _other_word, "number": _number}


if __name__ == "__main__":
    main()
