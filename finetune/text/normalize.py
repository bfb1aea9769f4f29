"""Text is kept: NFC, clean line ends, no invisible strays, and nothing that a reader could miss.

Never NFKC, and never a letter: ZWJ, ZWNJ, modifier letters (U+02BC, okina U+02BB), tone marks,
nuktas and the Ethiopic wordspace carry meaning. NFC because decomposed text costs a byte-level
tokenizer up to 60 % more tokens (Yoruba), and because it is the one form in which equal words are
equal. Every step is linear in the length of the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from finetune.spec.text_checks import TextChecks
from finetune.text.letters import OWN_ARABIC, repairs_of

DEFAULT = TextChecks()
MAX_MARKS = 30
"""Marks on one letter; Unicode's Stream-Safe Text Format (UAX #15, section 13) allows as many."""

_VIRAMAS = frozenset("\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca\uaaf6\uabed")
"""Of the scripts of India and Sri Lanka."""
_ZERO_WIDTH_SPACE = re.compile("\u200b")
_BREAKS_AT_ZERO_WIDTH_SPACE = frozenset(
    ("Thai", "Laoo", "Khmr", "Mymr", "Tibt", "Java", "Bali", "Sund", "Lana", "Talu", "Hani", "Jpan")
)
"""Scripts without spaces, where U+200B parts words (Unicode Standard, section 23.2)."""
_INVISIBLE = re.compile("[\u2060-\u2064\u206a-\u206f\ufff9-\ufffb]")
"""Word joiner, invisible operators, deprecated format characters, annotation anchors."""
_TAGS = re.compile("(\U0001f3f4[\U000e0020-\U000e007f]+)|[\U000e0000-\U000e007f]+")
"""Tag characters spell flags after U+1F3F4, and hide text anywhere else."""
_EXTRA_SELECTORS = re.compile(
    "([\ufe00-\ufe0f\U000e0100-\U000e01ef])[\ufe00-\ufe0f\U000e0100-\U000e01ef]+"
)
"""A variation selector belongs to one character; a second one in a row only hides data."""
_OVERRIDES = re.compile("[\u202d\u202e]")
_EMBEDDINGS = re.compile("[\u202a-\u202c\u2066-\u2069]")
_CONTROLS = re.compile("[\x01-\x08\x0e-\x1f\x7f]")
_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\u2028\u2029]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_ODD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f\xad\u200b\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufe00-\ufe0f"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e01ef]"
)
"""Whatever a step below looks for, so that a clean text is seen to be clean in one pass."""
_MARKS = "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff"
_LATIN_WORD = re.compile(f"[^\\W\\d_](?:[^\\W\\d_]|[{_MARKS}\u02bb\u02bc'\u2019-])*")
_ARABIC_WORD = re.compile("[\u0620-\u06ff]+")
_HARAKAT = re.compile("[\u064b-\u0650\u0652]")


@dataclass(frozen=True, slots=True)
class Normalized:
    """A text after normalisation."""

    text: str
    changes: tuple[str, ...]
    """Names of the changes that were made (CHANGES), in order."""
    refused: str | None = None
    """Why the text has to be left out as it is: `direction-controls`, `mark-flood`."""


CHANGES: Mapping[str, str] = {
    "mojibake": "text that was decoded wrongly is repaired",
    "surrogates": "halves of a character are joined, or shown as U+FFFD",
    "byte-order-mark": "byte order marks inside the text are removed",
    "nul": "NUL characters are removed",
    "line-ends": "every kind of line end becomes a line feed",
    "control-characters": "control characters, which stand for no letter, are removed",
    "soft-hyphen": "soft hyphens (invisible places for a line break) are removed",
    "zero-width-space": "zero width spaces are removed where the script parts words by spaces",
    "invisible": "invisible format characters are removed; joiners stay",
    "tag-characters": "tag characters, which hide text, are removed; flags stay",
    "variation-selectors": "surplus variation selectors, which hide data, are removed",
    "direction-controls": "controls that turn the direction of text are removed",
    "nfc": "letters and their marks are composed (NFC)",
    "look-alikes": "Greek, Cyrillic or wrongly hooked letters become those of the orthography",
    "surrounding-space": "space at the ends of lines and of the text is removed",
    "markup-lines": "lines of nothing but HTML, wikitext, placeholders or code are removed",
    "repeated-lines": "lines that stand in many texts, such as page headers, are removed",
    "personal-data": "personal data is masked",
}
"""Every change that is made to texts, for people."""


def normalize(text: str, *, language: str = "", checks: TextChecks = DEFAULT) -> Normalized:
    r"""Return the text, normalised for a language, and the names of the changes that were made.

    Idempotent: a normalised text comes back as it is, without a change.

    >>> normalize("e\u0301a  \r\nb")
    Normalized(text='éa\nb', changes=('line-ends', 'nfc', 'surrounding-space'), refused=None)
    >>> normalize("Seneg\u0430al", language="wol_Latn").changes
    ('look-alikes',)
    """
    changes: list[str] = []

    def made(name: str, changed: str) -> None:
        nonlocal text
        if changed != text:
            changes.append(name)
            text = changed

    if checks.mojibake:
        from finetune.text.mojibake import repaired

        made("mojibake", repaired(text))
    refused = None
    if _ODD.search(text):
        if checks.direction_overrides == "drop" and _OVERRIDES.search(text):
            refused = "direction-controls"
        if checks.direction_controls == "drop" and _EMBEDDINGS.search(text):
            refused = "direction-controls"
        for name, step in _steps(language.rpartition("_")[2], checks):
            made(name, step(text))
    if _has_mark_flood(text):
        return Normalized(_space(text), tuple(changes), "mark-flood")
    made("nfc", text if text.isascii() else unicodedata.normalize("NFC", text))
    if checks.look_alikes and not text.isascii():
        made("look-alikes", _letters(text, language))
    made("surrounding-space", _space(text))
    return Normalized(text, tuple(changes), refused)


Step = Callable[[str], str]


def _steps(script: str, checks: TextChecks) -> list[tuple[str, Step]]:
    """Return the steps for rare characters; removing comes before NFC, which joins what then
    stands together."""
    steps: list[tuple[str, Step]] = [
        ("surrogates", _surrogates),
        ("byte-order-mark", lambda text: text.replace("\ufeff", "")),
        ("nul", lambda text: text.replace("\0", "")),
        ("line-ends", lambda text: _LINE_ENDS.sub("\n", text)),
        ("control-characters", lambda text: _CONTROLS.sub("", text)),
    ]
    if checks.direction_controls == "remove":
        steps.append(("direction-controls", lambda text: _EMBEDDINGS.sub("", text)))
    if checks.direction_overrides == "remove":
        steps.append(("direction-controls", lambda text: _OVERRIDES.sub("", text)))
    if checks.invisible == "keep":
        return steps
    steps += [
        ("soft-hyphen", lambda text: text.replace("\xad", "")),
        ("invisible", lambda text: _INVISIBLE.sub("", text)),
        ("tag-characters", lambda text: _TAGS.sub(lambda found: found[1] or "", text)),
        ("variation-selectors", lambda text: _EXTRA_SELECTORS.sub(r"\1", text)),
    ]
    if script not in _BREAKS_AT_ZERO_WIDTH_SPACE:
        steps.append(("zero-width-space", _zero_width_space))
    return steps


def _zero_width_space(text: str) -> str:
    """Remove zero width spaces, but none after a virama: it was typed for a ZWNJ, and the shape of
    the letter hangs on it."""

    def kept(found: re.Match[str]) -> str:
        at = found.start()
        while at and found.start() - at < MAX_MARKS and unicodedata.combining(text[at - 1]):
            at -= 1
            if text[at] in _VIRAMAS:
                return found[0]
        return ""

    return _ZERO_WIDTH_SPACE.sub(kept, text)


def _surrogates(text: str) -> str:
    if not _SURROGATES.search(text):
        return text
    # a decoder of UTF-16 joins two halves that stand together
    data = text.encode("utf-16-le", "surrogatepass")
    return data.decode("utf-16-le", "replace")


def _space(text: str) -> str:
    if "\n" in text:
        text = "\n".join(line.rstrip() for line in text.split("\n"))
    return text.strip()


def _has_mark_flood(text: str) -> bool:
    """Say whether more marks stand in a row than any writing has.

    Sorting them for NFC takes time that grows with their number squared.
    """
    if text.isascii() or len(text) <= MAX_MARKS:
        return False
    # in a run of more than MAX_MARKS there is one at every MAX_MARKS-th place
    for at in range(MAX_MARKS, len(text), MAX_MARKS):
        if unicodedata.combining(text[at]) and _run_around(text, at) > MAX_MARKS:
            return True
    return False


def _run_around(text: str, at: int) -> int:
    start = end = at
    while start and unicodedata.combining(text[start - 1]) and end - start <= MAX_MARKS:
        start -= 1
    while end < len(text) and unicodedata.combining(text[end]) and end - start <= MAX_MARKS:
        end += 1
    return end - start


def _letters(text: str, language: str) -> str:
    """Return a text with the look-alikes of its language repaired."""
    repairs = repairs_of(language)
    if not repairs or repairs.keys().isdisjoint(text):
        return text
    if language.endswith("_Arab"):
        if OWN_ARABIC.isdisjoint(text):  # Arabic, as a quotation
            return text
        repaired = _ARABIC_WORD.sub(lambda word: _arabic_word(word[0], repairs), text)
    else:
        repaired = _LATIN_WORD.sub(lambda word: _latin_word(word[0], repairs), text)
    return unicodedata.normalize("NFC", repaired)


def _latin_word(word: str, repairs: Mapping[str, str]) -> str:
    """Repair a word with at least one Latin letter and no foreign one that cannot be repaired.

    >>> _latin_word("Λόγος", {"ο": "o"})
    'Λόγος'
    """
    if word.isascii() or repairs.keys().isdisjoint(word):
        return word
    others = [letter for letter in word if letter not in repairs]
    latin = any(_is_latin(letter) for letter in others)
    foreign = any(letter.isalpha() and not _is_latin(letter) for letter in others)
    if not latin or foreign:
        return word
    return "".join(repairs.get(letter, letter) for letter in word)


def _is_latin(letter: str) -> bool:
    code = ord(letter)
    if code < 0x250:
        return letter.isalpha()
    return unicodedata.name(letter, "").startswith(("LATIN", "MODIFIER"))


def _arabic_word(word: str, repairs: Mapping[str, str]) -> str:
    """Repair a word, unless its vowels are written out as in a quotation of the Quran."""
    if len(_HARAKAT.findall(word)) > 1:
        return word
    return "".join(repairs.get(letter, letter) for letter in word)
