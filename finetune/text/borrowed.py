"""Latin parts of texts in every script: placeholders, tags, addresses, names of products.

They are in no language, and in a text of another script they do not count against it.
"""

from __future__ import annotations

import re
from collections import Counter

from finetune.spec.script import fits, scripts_in

_ENDS = (
    "com org net edu gov mil int info io dev app biz museum "
    "html htm php asp aspx jsp xhtml xml json js css ts py java exe msi dmg apk deb rpm xpi jar "
    "pdf doc docx odt ods odp xls xlsx ppt pptx txt csv tsv md rtf epub tex "
    "png jpg jpeg gif svg webp bmp ico mp3 mp4 ogg oga ogv wav avi mkv webm mov "
    "zip gz tar bz2 7z rar iso ini cfg conf log bak tmp po pot mo yml yaml toml sh bat"
)
"""Ends of host names and files; of countries only after `www.` or with two dots."""
MARKUP = re.compile(
    r"\{[^{}]*+\}|<[^<>]*+>|\b\w{1,10}+://\S+|[^\s@]{1,64}+@\S+"
    r"|(?<![\w.-])www\.[\w./?=&%#~+-]+"
    r"|(?<![\w.-])(?:[A-Za-z0-9_-]{1,63}+\.){1,8}(?:" + "|".join(_ENDS.split()) + r")"
    r"(?![\w-])(?:[/:?#][^\s<>]*)?"
    r"|(?<![\w.-])[A-Za-z0-9-]{1,63}+(?:\.[A-Za-z0-9-]{2,63}+){1,7}\.[a-z]{2}(?![\w.-])"
    r"(?:/[^\s<>]*)?"
    r"|%(?:\(\w{1,40}+\))?(?:\d{1,2}\$)?[-+#0]{0,3}[@A-Za-z]\b|&\w{1,20}+;|\$\w{1,40}+\b"
    r"|(?<!\w)[A-Za-z0-9]{1,40}+(?:_[A-Za-z0-9]{1,40}+){1,8}+(?!\w)"
    r"|(?<![\w/])/?(?:[A-Za-z0-9.~-]{1,60}+/){2,20}[A-Za-z0-9._~-]{0,60}"
)
"""Placeholders, tags, e-mail and web addresses, host names, files, paths and identifiers. Each part
is bounded, or a long text without spaces would take its length squared (RFC 5321: 64 characters
before an `@`; RFC 1035: 63 in a label)."""
SIGN = re.compile(r"[{<@%&$_/]|\.[\w./?=&%#~+-]")
"""A sign that every such part has: most texts have none, and need no search for the parts."""
_CAMEL = re.compile(r"(?<!\w)[A-Z][a-z]{1,40}(?:[A-Z][a-z]{1,40}){1,5}(?!\w)")
"""`SmartBlock`; Bantu prefixes are small (`isiZulu`)."""
_NAME_WORDS = 3
"""Words of a name that stands alone."""
_BORROWED_WORDS = (3, 5)
"""Words that another script's text borrows at most: any, or all written like names."""
_LATIN = r"[A-Za-z\u00c0-\u024f0-9][\w'’.+/:&-]{0,60}"
_RUN = re.compile(rf"{_LATIN}(?:[ \u00a0&+/-]{{1,3}}{_LATIN})*")
_NAME = re.compile(r"\d|[A-Z\u00c0-\u00de]")
_SMALL = frozenset({"for", "of", "and", "by", "de", "the", "vs", "x"})
"""Words inside names of products: `Firefox for Android`."""


def without_markup(text: str) -> str:
    """Return a text with a space for each placeholder, tag, address, path and product's name.

    >>> without_markup("addons.mozilla.org ᱥᱮᱸᱫᱽᱨᱟᱭ ᱢᱮ"), without_markup("Ina kwana {name}?")
    ('  ᱥᱮᱸᱫᱽᱨᱟᱭ ᱢᱮ', 'Ina kwana  ?')
    """
    bare = MARKUP.sub(" ", text) if SIGN.search(text) else text
    return _CAMEL.sub(" ", bare)


def letters_of(text: str, *, script: str) -> Counter[str]:
    """Count the letters of a text without markup by script; `script` is the declared one.

    Latin names and a few other words in a row do not count in a text of another script.

    >>> letters_of("SmartBlock ᱴᱷᱤᱠᱟᱭ", script="Olck")
    Counter({'Olck': 6})
    """
    bare = without_markup(text)
    letters = scripts_in(bare)
    if fits(script, "Latn") or "Latn" not in letters:
        return letters
    return scripts_in(without_borrowed(bare, mixed=any(fits(script, one) for one in letters)))


def without_borrowed(text: str, *, mixed: bool) -> str:
    """Return a text of another script without the Latin words that it borrows.

    `mixed`: there are letters of the declared script too. Then up to three Latin words in a row, or
    five that are written like names (with a capital or a digit), are borrowed; alone, up to three
    like names. What is longer is Latin text.

    >>> without_borrowed("VLC media player ᱴᱷᱤᱠᱟᱭ", mixed=True)
    '  ᱴᱷᱤᱠᱟᱭ'
    >>> without_borrowed("Good morning", mixed=False), without_borrowed("Firefox", mixed=False)
    ('Good morning', ' ')
    """
    return _RUN.sub(lambda run: " " if _is_borrowed(run[0], mixed=mixed) else run[0], text)


def _is_borrowed(run: str, *, mixed: bool) -> bool:
    words = [word for word in re.split(r"[ \u00a0&+/-]+", run) if word]
    any_, named = _BORROWED_WORDS if mixed else (0, _NAME_WORDS)
    if len(words) <= any_:
        return True
    ends = words[0] not in _SMALL and words[-1] not in _SMALL
    names = [word for word in words if word not in _SMALL]
    return ends and len(names) <= named and all(_NAME.search(word) for word in names)
