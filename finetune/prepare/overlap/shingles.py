"""Texts as sets of character n-grams, for comparison only: what is trained on stays as it is.

Characters and not words, because words are long where a language agglutinates and have no borders
in many scripts. G n-grams of a batch of texts.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from finetune.text.escapes import unescaped
from finetune.text.spellings import inside_words, letters_alike

GRAM = 5
"""Characters of an n-gram."""
_PRIME = np.uint64(0x100000001B3)  # of FNV-1a
_UNIT = np.dtype("<u4")
_BETWEEN = "\0"
"""Stands between texts."""
_NOTHING = np.uint32(0xFFFFFFFF)
_BLOCK = 256
"""Code points that are looked up together."""


def comparable(texts: Sequence[str]) -> list[str]:
    r"""Return texts without what copies of a text differ in by accident.

    HTML entities become characters and equivalent spellings one (finetune.text.spellings), case is
    folded, digits of any script become 0-9, what is no letter, mark or digit becomes one space, and
    format characters (ZWJ, ZWNJ, soft hyphen) vanish. Marks stay: vowel signs and tones make words;
    so does an apostrophe inside a word. A text of punctuation alone stays as it is.

    >>> comparable(["  Ina  KWANA?! Lafiya-lau…", "१२ é", "?!"])
    ['ina kwana lafiya lau', '12 é', '?!']
    >>> comparable(["caf&eacute; &amp; l&#39;eau"]) == comparable(["Café & l’eau"])
    True
    """
    plain = (unescaped(text) if "&" in text else text for text in texts)
    bare = (text.replace(_BETWEEN, " ") for text in plain)  # of a file that nothing normalised
    whole = _BETWEEN.join(("", *bare, "")).casefold()
    if not whole.isascii():
        whole = letters_alike(whole)
    whole = inside_words(whole)
    codes = _MEANINGS[np.frombuffer(whole.encode("utf-32-le"), dtype=_UNIT)]
    codes = codes[codes != _NOTHING]
    space, border = codes == ord(" "), codes == ord(_BETWEEN)
    doubled = space[1:] & (space[:-1] | border[:-1])
    codes = codes[np.concatenate([[True], ~doubled])]
    before_border = (codes[:-1] == ord(" ")) & (codes[1:] == ord(_BETWEEN))
    codes = codes[np.concatenate([~before_border, [True]])]
    found = codes.tobytes().decode("utf-32-le").split(_BETWEEN)[1:-1]
    return [text or raw.strip() for text, raw in zip(found, texts, strict=True)]


class Meanings:
    """Folded form of each code point in a comparison, filled lazily in blocks.

    All of Unicode at once takes a second per process.
    """

    def __init__(self) -> None:
        self._codes = np.zeros(sys.maxunicode + 1, dtype=_UNIT)
        self._known = np.zeros(len(self._codes) // _BLOCK, dtype=bool)

    @property
    def blocks(self) -> int:
        """Number of blocks filled."""
        return int(self._known.sum())

    def __getitem__(self, codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
        blocks = codes // _BLOCK
        if not self._known[blocks].all():
            for block in np.unique(blocks[~self._known[blocks]]).tolist():
                start = block * _BLOCK
                self._codes[start : start + _BLOCK] = list(
                    map(_meaning, range(start, start + _BLOCK))
                )
                self._known[block] = True
        return self._codes[codes]


def _meaning(code: int) -> int:
    category = unicodedata.category(chr(code))
    if category == "Cf":
        return int(_NOTHING)
    if category == "Nd":
        return ord(str(unicodedata.decimal(chr(code))))
    return ord(" ") if category[0] in "PSZC" and code else code


_MEANINGS = Meanings()


def gram_hashes(
    texts: Sequence[str], *, gram: int = GRAM
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the hashes of the n-grams of comparable texts (G), and where each text's begin.

    The same n-gram has the same hash on every machine and in every version.

    >>> hashes_G, starts = gram_hashes(["abcdefg", "bcdef"])
    >>> starts.tolist(), bool(hashes_G[1] == hashes_G[3])
    ([0, 3], True)
    """
    padding = "\0" * (gram - 1)
    codes = np.frombuffer((padding.join(texts) + padding).encode("utf-32-le"), dtype=_UNIT)
    places = codes.astype(np.uint64)
    count = len(codes) - gram + 1
    hashes = places[:count].copy()
    for shift in range(1, gram):
        hashes *= _PRIME
        hashes += places[shift : shift + count]
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    sizes = np.maximum(1, lengths - gram + 1)
    text_starts = np.cumsum(lengths + gram - 1) - (lengths + gram - 1)
    starts = np.cumsum(sizes) - sizes
    inside = np.arange(int(sizes.sum())) + np.repeat(text_starts - starts, sizes)
    return _mixed(hashes[inside]), starts


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return values whose bits all depend on each other (the finalizer of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
