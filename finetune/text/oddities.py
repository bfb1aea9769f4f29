"""Findings: what is odd in a text and reported, not changed, such as scripts and directions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from finetune.spec.script import RIGHT_TO_LEFT, fits, script_of, scripts_in
from finetune.text.damage import PRIVATE_USE, looks_broken
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

Finder = Rule[Callable[[str], object]]

FINDINGS: Mapping[str, Finder] = by_key(
    Rule(
        "other-script",
        "most letters of a line are of another script than the card says",
        "la plupart des lettres d'une ligne sont d'une autre écriture que la fiche",
    ),
    Rule(
        "mixed-script",
        "a line has letters of two scripts or more",
        "une ligne a des lettres de deux écritures ou plus",
    ),
    Rule(
        "mixed-script-word",
        "one word has letters of two scripts, which look alike",
        "un mot a des lettres de deux écritures qui se ressemblent",
    ),
    Rule(
        "right-to-left",
        "a line has letters that are written from right to left",
        "une ligne a des lettres qui s'écrivent de droite à gauche",
    ),
    Rule(
        "mixed-direction",
        "a line has letters of both directions",
        "une ligne a des lettres des deux sens",
    ),
    Rule(
        "direction-marks",
        "invisible marks of direction, which are kept",
        "des marques invisibles de sens, qui sont gardées",
        function=_MARKS.search,
    ),
    Rule(
        "direction-controls",
        "embeddings, isolates or overrides, which can make text look other",
        "des commandes de sens qui peuvent faire passer un texte pour un autre",
        function=_CONTROLS.search,
    ),
    Rule(
        "private-use",
        "characters without a public meaning, often of an old font; they are kept",
        "des caractères sans sens public, souvent d'une vieille police ; gardés",
        function=PRIVATE_USE.search,
    ),
    Rule(
        "looks-broken",
        "decoded with the wrong encoding, as it seems; `prepare.text.mojibake` repairs",
        "semble mal décodé ; `prepare.text.mojibake` répare",
    ),
    Rule(
        "length-outlier",
        "far longer or shorter than the texts of its card",
        "bien plus long ou plus court que les textes de sa fiche",
    ),
    Rule(
        "length-ratio",
        "far longer or shorter than its translation leads one to expect",
        "bien plus long ou plus court que sa traduction ne le laisse attendre",
    ),
)
"""Everything that is reported of texts and stays as it is; no switch turns counting off. A function
looks for its finding in every line. `length-outlier` and `length-ratio` are found among the texts
of a corpus (finetune.prepare.checking.outliers)."""
_IN_LINES = [(rule.key, rule.function) for rule in FINDINGS.values() if rule.function is not None]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to look at, and the line where it first stands."""

    name: str
    lines: int
    """How many lines of the text have it."""
    line: str


def findings(text: str, *, script: str) -> Iterator[Finding]:
    """Yield what is odd in a text that is said to be in a script (ISO 15924).

    >>> [f.name for f in findings("abc \u0431\u0432", script="Latn")]
    ['mixed-script']
    """
    if text.isascii() and script == "Latn":
        return
    yield from _scripts(text, script)
    for key, holds in _IN_LINES:
        if holds(text):
            having = [line for line in text.split("\n") if holds(line)]
            yield Finding(key, len(having), having[0])
    if looks_broken(text):
        yield Finding("looks-broken", text.count("\n") + 1, text.partition("\n")[0])


def mostly_other(text: str, *, script: str) -> bool:
    """Say whether most letters of a text are of another script; placeholders do not count.

    >>> mostly_other("\u0431\u0432 a", script="Latn"), mostly_other("12", script="Latn")
    (True, False)
    """
    if script == "Latn" and text.isascii():
        return False
    found = scripts_in(_MARKUP.sub(" ", text))
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
