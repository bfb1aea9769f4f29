"""Normalisation of texts: NFC, line ends, invisible characters; letters are kept.

Never NFKC, and never a letter: ZWJ, ZWNJ, modifier letters (U+02BC, okina U+02BB), tone marks,
nuktas and the Ethiopic wordspace carry meaning. NFC because decomposed text costs a byte-level
tokenizer up to 60 % more tokens (Yoruba), and because it is the one form in which equal words are
equal. Every step is linear in the length of the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from finetune.messages import sentence
from finetune.spec.sections.text_checks import TextChecks
from finetune.text.damage import repaired
from finetune.text.escapes import unescaped
from finetune.text.letters import OWN_ARABIC, repairs_of
from finetune.text.presentation import in_reading_order, without_forms
from finetune.text.rules import Rule, by_key

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
    """Keys of the changes that were made (CHANGES), in order."""
    refused: str | None = None
    """The reason to reject the text: `direction-controls`, `mark-flood`."""


Change = Rule[Callable[[str, str], str]]
"""Its function takes a text and its language (a code of ours, or nothing) and returns the text."""


@cache
def _default() -> TextChecks:
    """Return the settings of a recipe that states none; made on use, since validators take long."""
    return TextChecks()


def normalize(text: str, *, language: str = "", checks: TextChecks | None = None) -> Normalized:
    r"""Return the text, normalised for a language, and the names of the changes that were made.

    Idempotent: a normalised text comes back as it is, without a change.

    >>> normalize("e\u0301a  \r\nb")
    Normalized(text='éa\nb', changes=('line-ends', 'nfc', 'surrounding-space'), refused=None)
    >>> normalize("Seneg\u0430al", language="wol_Latn").changes
    ('look-alikes',)
    """
    checks = checks or _default()
    changes: list[str] = []
    text = _changed(text, _DECODING, changes, language=language, checks=checks)
    refused = None
    if _ODD.search(text):
        if checks.direction_overrides == "drop" and _OVERRIDES.search(text):
            refused = "direction-controls"
        if checks.direction_controls == "drop" and _EMBEDDINGS.search(text):
            refused = "direction-controls"
        text = _changed(text, _RARE, changes, language=language, checks=checks)
    text = _changed(text, _SHAPES, changes, language=language, checks=checks)
    if _has_mark_flood(text):
        return Normalized(_space(text), tuple(changes), "mark-flood")
    text = _changed(text, _LAST, changes, language=language, checks=checks)
    return Normalized(text, tuple(changes), refused)


def _changed(
    text: str,
    rules: Sequence[Change],
    changes: list[str],
    *,
    language: str,
    checks: TextChecks,
) -> str:
    """Return a text after changes that are on; the keys of those that did something are added."""
    for rule in rules:
        if rule.function is None or not rule.is_on(checks):
            continue
        changed = rule.function(text, language)
        if changed != text:
            changes.append(rule.key)
            text = changed
    return text


def _without_zero_width_spaces(text: str, language: str) -> str:
    """Remove zero width spaces where the script parts words by spaces, but none after a virama: it
    was typed for a ZWNJ, and the shape of the letter hangs on it."""
    if language.rpartition("_")[2] in _BREAKS_AT_ZERO_WIDTH_SPACE:
        return text

    def kept(found: re.Match[str]) -> str:
        at = found.start()
        while at and found.start() - at < MAX_MARKS and unicodedata.combining(text[at - 1]):
            at -= 1
            if text[at] in _VIRAMAS:
                return found[0]
        return ""

    return _ZERO_WIDTH_SPACE.sub(kept, text)


def _joined_surrogates(text: str) -> str:
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
    """Return whether more marks stand in a row than any writing has.

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
    if text.isascii():
        return text
    repairs = repairs_of(language)
    if not repairs or repairs.keys().isdisjoint(text):
        return text
    if language.endswith("_Arab"):
        if OWN_ARABIC.isdisjoint(text):  # Arabic, as a quotation
            return text
        letters = _ARABIC_WORD.sub(lambda word: _arabic_word(word[0], repairs), text)
    else:
        letters = _LATIN_WORD.sub(lambda word: _latin_word(word[0], repairs), text)
    return unicodedata.normalize("NFC", letters)


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


_DECODING: tuple[Change, ...] = (
    Rule(
        "escapes",
        sentence("HTML entities and escapes of Moses become their characters"),
        switch="prepare.text.escapes",
        off=(False,),
        function=lambda text, _: unescaped(text),
    ),
    Rule(
        "mojibake",
        sentence("wrongly decoded text is repaired"),
        switch="prepare.text.mojibake",
        off=(False,),
        function=lambda text, _: repaired(text),
    ),
)
_TURNED: Change = Rule(
    "direction-controls",
    sentence("controls that turn the direction of text are removed"),
    switch="prepare.text.direction_controls",
    off=("drop", "keep"),
    function=lambda text, _: _EMBEDDINGS.sub("", text),
)
_RARE: tuple[Change, ...] = (
    Rule(
        "surrogates",
        sentence("halves of a character are joined, or replaced by U+FFFD"),
        function=lambda text, _: _joined_surrogates(text),
    ),
    Rule(
        "byte-order-mark",
        sentence("byte order marks inside the text are removed"),
        function=lambda text, _: text.replace("\ufeff", ""),
    ),
    Rule(
        "nul",
        sentence("NUL characters are removed"),
        function=lambda text, _: text.replace("\0", ""),
    ),
    Rule(
        "line-ends",
        sentence("every kind of line end becomes a line feed"),
        function=lambda text, _: _LINE_ENDS.sub("\n", text),
    ),
    Rule(
        "control-characters",
        sentence("control characters, which are no letters, are removed"),
        function=lambda text, _: _CONTROLS.sub("", text),
    ),
    _TURNED,
    replace(
        _TURNED,
        switch="prepare.text.direction_overrides",
        function=lambda text, _: _OVERRIDES.sub("", text),
    ),
    Rule(
        "soft-hyphen",
        sentence("soft hyphens (invisible hyphenation points) are removed"),
        switch="prepare.text.invisible",
        off=("keep",),
        function=lambda text, _: text.replace("\xad", ""),
    ),
    Rule(
        "invisible",
        sentence("invisible format characters are removed; joiners are kept"),
        switch="prepare.text.invisible",
        off=("keep",),
        function=lambda text, _: _INVISIBLE.sub("", text),
    ),
    Rule(
        "tag-characters",
        sentence("tag characters, which hide text, are removed; flags are kept"),
        switch="prepare.text.invisible",
        off=("keep",),
        function=lambda text, _: _TAGS.sub(lambda found: found[1] or "", text),
    ),
    Rule(
        "variation-selectors",
        sentence("surplus variation selectors, which hide data, are removed"),
        switch="prepare.text.invisible",
        off=("keep",),
        function=lambda text, _: _EXTRA_SELECTORS.sub(r"\1", text),
    ),
    Rule(
        "zero-width-space",
        sentence("zero-width spaces are removed where the script separates words by spaces"),
        switch="prepare.text.invisible",
        off=("keep",),
        function=_without_zero_width_spaces,
    ),
)
"""Rare characters. Removing comes before NFC, which joins what then stands together."""
_SHAPES: tuple[Change, ...] = (
    Rule(
        "visual-order",
        sentence("lines stored in the order of display are turned round"),
        switch="prepare.text.visual_order",
        off=(False,),
        function=lambda text, _: in_reading_order(text),
    ),
    Rule(
        "presentation-forms",
        sentence("presentation forms become letters"),
        switch="prepare.text.presentation_forms",
        off=(False,),
        function=lambda text, _: without_forms(text),
    ),
)
"""Before the marks of a letter are counted, because one form may stand for several of them."""
_LAST: tuple[Change, ...] = (
    Rule(
        "nfc",
        sentence("letters and their marks are composed (NFC)"),
        function=lambda text, _: text if text.isascii() else unicodedata.normalize("NFC", text),
    ),
    Rule(
        "look-alikes",
        sentence("Greek, Cyrillic or wrongly hooked letters become those of the orthography"),
        switch="prepare.text.look_alikes",
        off=(False,),
        function=_letters,
    ),
    Rule(
        "surrounding-space",
        sentence("spaces at the ends of lines and of the text are removed"),
        function=lambda text, _: _space(text),
    ),
)
CHANGES: Mapping[str, Change] = by_key(
    Rule(
        "cut-words",
        sentence("words that a line end cuts in two are joined, if they stand elsewhere (PDF)"),
    ),
    Rule(
        "quote-marks",
        sentence("`>` at the beginning of wrapped lines, as e-mails quote, is removed"),
    ),
    *_DECODING,
    *_RARE,
    *_SHAPES,
    *_LAST,
    Rule(
        "markup-lines",
        sentence("lines of nothing but HTML, wikitext, placeholders or code are removed"),
        switch="prepare.text.max_markup_share",
        off=(1,),
    ),
    Rule(
        "repeated-lines",
        sentence("lines that occur in many texts, such as page headers, are removed"),
        switch="prepare.text.repeated_lines",
        off=(0,),
    ),
    Rule(
        "personal-data",
        sentence("personal data is masked"),
        switch="prepare.personal_data",
    ),
)
"""Every change that is made to texts, in the order in which they are tried. The first is made
by a reader, the last three after normalisation (finetune.prepare.checking.clean)."""
