"""Findings that are reported without a change, such as mixed scripts and directions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from finetune.messages import sentence
from finetune.spec.script import RIGHT_TO_LEFT, fits, script_of, scripts_in
from finetune.text.borrowed import letters_of
from finetune.text.damage import PRIVATE_USE, looks_broken
from finetune.text.escapes import has_encoded_letters, has_entities, has_moses_escapes
from finetune.text.markup import has_page_tags, is_json
from finetune.text.presentation import FORM, is_visual
from finetune.text.rules import Rule, by_key

_LOOK_ALIKE_SCRIPTS = frozenset(("Latn", "Cyrl", "Grek"))
_WORD = re.compile(r"[^\W\d_]+")
_MARKUP = re.compile(
    r"\{[^{}\n]{0,80}\}|<[^<>\n]{0,80}>|https?://\S+|(?<!\S)[^\s@]{1,64}@\S+|%\w|&\w+;"
)
"""Placeholders, tags and addresses, which are Latin in texts of every script. Narrower than what
finetune.text.markup takes for no language: there signs of code count too; here letters would be
lost that have a script."""
_MARKS = re.compile("[\u200e\u200f\u061c]")
_CONTROLS = re.compile("[\u202a-\u202e\u2066-\u2069]")

_SIGNS = re.compile(r"[&@<>=%\\+]|[}\]]\s*$")
"""Signs of every finding in ASCII letters; without one of them nothing is looked for."""
_QUOTED = re.compile(r"^(?:> ?)+[^\W\d_]", re.MULTILINE)
_CUT = re.compile(r"[^\W\d_][-\u2010]$", re.MULTILINE)

Finder = Rule[Callable[[str], object]]

FINDINGS: Mapping[str, Finder] = by_key(
    Rule(
        "other-script",
        sentence("most letters of a line are in another script than the card declares"),
    ),
    Rule(
        "mixed-script",
        sentence("a line has letters of two or more scripts"),
    ),
    Rule(
        "mixed-script-word",
        sentence("one word has letters of two scripts that look alike"),
    ),
    Rule(
        "right-to-left",
        sentence("a line has letters that are written from right to left"),
    ),
    Rule(
        "mixed-direction",
        sentence("a line has letters of both directions"),
    ),
    Rule(
        "direction-marks",
        sentence("invisible direction marks, which are kept"),
        function=_MARKS.search,
    ),
    Rule(
        "direction-controls",
        sentence("embeddings, isolates or overrides, which can disguise text"),
        function=_CONTROLS.search,
    ),
    Rule(
        "private-use",
        sentence("characters without a public meaning, often from an old font; they are kept"),
        function=PRIVATE_USE.search,
    ),
    Rule(
        "looks-broken",
        sentence("apparently decoded with the wrong encoding; `prepare.text.mojibake` repairs it"),
    ),
    Rule(
        "presentation-forms",
        sentence(
            "letters stored as their shapes, as in PDF files; `prepare.text.presentation_forms` "
            "makes them letters"
        ),
        function=FORM.search,
    ),
    Rule(
        "visual-order",
        sentence(
            "a line stored in the order of display, from its last letter to its first; "
            "`prepare.text.visual_order` turns it round"
        ),
        function=lambda text: any(map(is_visual, text.split("\n"))),
    ),
    Rule(
        "html-entities",
        sentence("HTML entities such as `&amp;`; `prepare.text.escapes` replaces them"),
        function=has_entities,
    ),
    Rule(
        "moses-escapes",
        sentence("escapes of the tokenizer of Moses; `prepare.text.escapes` replaces them"),
        function=has_moses_escapes,
    ),
    Rule(
        "encoded-letters",
        sentence("letters written as codes (`=C3=AB`, `%C3%AB`); export the texts again"),
        function=has_encoded_letters,
    ),
    Rule(
        "page-tags",
        sentence("tags of a web page such as `<p>`, which are kept; remove them from the file"),
        function=has_page_tags,
    ),
    Rule(
        "json-text",
        sentence(
            "a JSON object, or a list, in the place of a text; name a column of the text alone"
        ),
        function=is_json,
    ),
    Rule(
        "quote-marks",
        sentence("a line that begins with `>`, as e-mails quote"),
        function=_QUOTED.search,
    ),
    Rule(
        "cut-words",
        sentence("a word that a line end may cut in two: the line ends with a hyphen"),
        function=_CUT.search,
    ),
    Rule(
        "length-outlier",
        sentence("much longer or shorter than the other texts of its card"),
    ),
    Rule(
        "length-ratio",
        sentence("much longer or shorter than expected from its translation"),
    ),
)
"""Everything that is reported of texts and stays as it is; no switch turns counting off. A function
looks for its finding in every line. `length-outlier` and `length-ratio` are found among the texts
of a corpus (finetune.prepare.checking.outliers)."""
_IN_LINES = [(rule.key, rule.function) for rule in FINDINGS.values() if rule.function is not None]


REPAIRABLE = (
    *("looks-broken", "presentation-forms", "visual-order", "html-entities", "moses-escapes"),
    *("encoded-letters", "page-tags", "json-text", "quote-marks"),
    "look-alikes",
)
"""Findings that a setting of `prepare.text` repairs, or only a better file, named in their words;
the last one is a change that is made by default."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to look at, and the line where it first stands."""

    name: str
    lines: int
    """Number of lines that have it."""
    line: str


def findings(text: str, *, script: str) -> Iterator[Finding]:
    """Yield what is odd in a text declared as a script (ISO 15924).

    >>> [f.name for f in findings("abc \u0431\u0432", script="Latn")]
    ['mixed-script']
    """
    if text.isascii() and script == "Latn" and "-\n" not in text and not _SIGNS.search(text):
        return
    yield from _scripts(text, script)
    for key, holds in _IN_LINES:
        having = [line for line in text.split("\n") if holds(line)] if holds(text) else []
        if having:
            yield Finding(key, len(having), having[0])
    if looks_broken(text):
        yield Finding("looks-broken", text.count("\n") + 1, text.partition("\n")[0])


def mostly_other(text: str, *, script: str) -> bool:
    """Return whether most letters of a text are of another script; placeholders do not count.

    >>> mostly_other("\u0431\u0432 a", script="Latn"), mostly_other("12", script="Latn")
    (True, False)
    """
    if script == "Latn" and text.isascii():
        return False
    found = letters_of(text, script=script)
    expected = sum(times for one, times in found.items() if fits(script, one))
    return 2 * expected < found.total()


def _scripts(text: str, script: str) -> Iterator[Finding]:
    there = {found for letter in set(text) if (found := script_of(letter))}
    lines: Counter[str] = Counter()
    first: dict[str, str] = {}
    if all(fits(script, one) for one in there):  # nearly always
        if script in RIGHT_TO_LEFT and there:
            lines["right-to-left"] = text.count("\n") + 1
            first["right-to-left"] = text.partition("\n")[0]
    else:
        for line in text.split("\n"):
            for name in _of_line(line, script):
                lines[name] += 1
                first.setdefault(name, line)
    yield from (Finding(name, times, first[name]) for name, times in lines.items())


def _of_line(line: str, script: str) -> Iterator[str]:
    bare = _MARKUP.sub(" ", line)
    found = scripts_in(bare)
    if not found:
        return
    if mostly_other(bare, script=script):
        yield "other-script"
    if not (all(fits(script, one) for one in found) or len(found) == 1):
        yield "mixed-script"
        yield from _word_finding(bare, found)
    turned = [one in RIGHT_TO_LEFT for one in found]
    if any(turned):
        yield "right-to-left"
        if not all(turned):
            yield "mixed-direction"


def _word_finding(line: str, found: Counter[str]) -> Iterator[str]:
    if len(_LOOK_ALIKE_SCRIPTS & found.keys()) < 2:
        return
    for word in _WORD.findall(line):
        if not word.isascii() and len(_LOOK_ALIKE_SCRIPTS & scripts_in(word).keys()) > 1:
            yield "mixed-script-word"
            return
