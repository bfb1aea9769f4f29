"""ELAN and Praat files: speakers, subdivided tiers, translations with other borders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from tests.support.made import Made, Texts

PAIR = {"kind": "parallel", "languages": ["wol_Latn", "fra_Latn"]}


@dataclass
class _Elan:
    """A file that is being written."""

    slots: list[int | None] = field(default_factory=list)
    tiers: dict[str, list[str]] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)
    annotations: int = 0

    def _add(self, tier: str, inner: str, text: str, *, settings: str = "") -> str:
        self.annotations += 1
        own = f"a{self.annotations}"
        kind, _, attributes = inner.partition(" ")
        self.tiers.setdefault(tier, []).append(
            f'<ANNOTATION><{kind} ANNOTATION_ID="{own}" {attributes}{settings}>'
            f"<ANNOTATION_VALUE>{escape(text)}</ANNOTATION_VALUE></{kind}></ANNOTATION>"
        )
        return own

    def timed(self, tier: str, begin: int, end: int, text: str) -> str:
        """Add an annotation with a time of its own; return its id."""
        first = len(self.slots)
        self.slots += [begin, end]
        slots = f'TIME_SLOT_REF1="t{first}" TIME_SLOT_REF2="t{first + 1}"'
        return self._add(tier, f"ALIGNABLE_ANNOTATION {slots}", text)

    def of(self, tier: str, parent: str, text: str, *, previous: str = "") -> str:
        """Add an annotation that belongs to another; return its id."""
        after = f' PREVIOUS_ANNOTATION="{previous}"' if previous else ""
        return self._add(tier, f'REF_ANNOTATION ANNOTATION_REF="{parent}"', text, settings=after)

    def written(self) -> bytes:
        """Return the file."""
        slots = "".join(
            f'<TIME_SLOT TIME_SLOT_ID="t{at}" TIME_VALUE="{value}"/>'
            for at, value in sorted(enumerate(self.slots), key=lambda one: one[1] or 0)
        )
        tiers = "".join(
            f'<TIER TIER_ID="{name}" LINGUISTIC_TYPE_REF="x" {self.heads.get(name, "")}>'
            f"{''.join(annotations)}</TIER>"
            for name, annotations in self.tiers.items()
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ANNOTATION_DOCUMENT><HEADER/>'
            f"<TIME_ORDER>{slots}</TIME_ORDER>{tiers}"
            '<LANGUAGE LANG_ID="wol" LANG_LABEL="Wolof (wol)"/></ANNOTATION_DOCUMENT>'
        ).encode()


def elan_words(seed: int) -> Made:
    """Return a file whose sentences are subdivided into words, written in any order."""
    texts, elan = Texts(seed), _Elan()
    made = Made({"format": "elan", "columns": {"text": "wd@*"}})
    for speaker in ("A", "B")[: 1 + seed % 2]:
        for number in range(texts.rng.randint(1, 5)):
            root = elan.timed(f"ref@{speaker}", 2000 * number, 2000 * number + 1900, "")
            sentence = elan.of(f"tx@{speaker}", root, "")
            text, previous = texts.next(), ""
            for word in text.split():
                previous = elan.of(f"wd@{speaker}", sentence, word, previous=previous)
            made.records.append({"text": text})
        texts.rng.shuffle(elan.tiers[f"wd@{speaker}"])
        elan.heads[f"wd@{speaker}"] = 'LANG_REF="hau"'
    made.data = elan.written()
    return made


def elan_pairs(seed: int) -> Made:
    """Return a file in which hands set the borders of translations: late, joined, or missing."""
    texts, elan = Texts(seed), _Elan()
    columns = {"wol_Latn": "tx@*", "fra_Latn": "ft@*"}
    made = Made({"format": "elan", "columns": columns} | PAIR)
    spans = _spans(texts, made)
    for speaker in "AB":
        for tier, begin, end, text in spans(speaker):
            elan.timed(tier, begin, end, text)
    made.data = elan.written()
    return made


def _spans(texts: Texts, made: Made):  # type: ignore[no-untyped-def]
    """Return a function that makes the annotations of a speaker: (tier, begin, end, text)."""

    def of(speaker: str) -> Sequence[tuple[str, int, int, str]]:
        at, found = 0, []
        tx, ft = f"tx@{speaker}", f"ft@{speaker}"
        for _ in range(texts.rng.randint(1, 6)):
            kind = texts.rng.choice(["pair", "pair", "two to one", "one to two", "alone", "lonely"])
            shift = texts.rng.randint(-150, 150)
            wolof, french, more = texts.next(), texts.next(), ""
            if kind in ("pair", "one to two", "alone"):
                found.append((tx, at + 200, at + 2000, wolof))
            if kind in ("pair", "two to one", "lonely"):
                found.append((ft, at + 200 + shift, at + 2000 + shift, french))
            if kind in ("two to one", "one to two"):
                more = texts.next()
                tier, whole = (tx, wolof) if kind == "two to one" else (ft, french)
                found.append((tier, at + 200, at + 1000, whole))
                found.append((tier, at + 1050, at + 2000, more))
            if kind == "two to one":
                wolof = f"{wolof} {more}"
            elif kind == "one to two":
                french = f"{french} {more}"
            if kind in ("alone", "lonely"):
                made.left.append(("unpaired", wolof if kind == "alone" else french))
            else:
                made.records.append({"wol_Latn": wolof, "fra_Latn": french})
            at += 3000
        found.append((tx, at + 500, at + 900, last := texts.next()))
        found.append((ft, at + 500, at + 900, end := texts.next()))
        made.records.append({"wol_Latn": last, "fra_Latn": end})
        return sorted(found, key=lambda one: one[1])

    return of


def textgrid(seed: int) -> Made:
    """Return a Praat file, long or short, of intervals with pauses; `seed` gives the encoding."""
    texts = Texts(seed)
    columns = {"wol_Latn": "tx@*", "fra_Latn": "ft@*"}
    made = Made({"format": "textgrid", "columns": columns} | PAIR)
    tiers: dict[str, list[tuple[float, float, str]]] = {}
    for tier, begin, end, text in _spans(texts, made)("A"):
        tiers.setdefault(tier, []).append((begin / 1000, end / 1000, text))
    long = seed % 2 == 0
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]

    def add(name: str, value: object, *, depth: int = 0) -> None:
        lines.append(f"{'    ' * depth}{name} = {value} " if long else str(value))

    add("xmin", 0)
    add("xmax", 999)
    lines.append("tiers? <exists> " if long else "<exists>")
    add("size", len(tiers))
    lines.extend(["item []: "] if long else [])
    for number, (tier, spans) in enumerate(tiers.items(), start=1):
        lines.extend([f"    item [{number}]:"] if long else [])
        filled = _with_pauses(spans)
        add("class", '"IntervalTier"', depth=2)
        add("name", f'"{tier}"', depth=2)
        add("xmin", 0, depth=2)
        add("xmax", 999, depth=2)
        add("intervals: size", len(filled), depth=2)
        for at, (begin, end, text) in enumerate(filled, start=1):
            lines.extend([f"        intervals [{at}]:"] if long else [])
            add("xmin", begin, depth=3)
            add("xmax", end, depth=3)
            quoted = text.replace('"', '""')
            add("text", f'"{quoted}"', depth=3)
    made.data = "\n".join(lines).encode("utf-16" if seed % 3 == 0 else "utf-8")
    return made


def _with_pauses(spans: Sequence[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """Return intervals without gaps: Praat has an empty one for a pause."""
    found: list[tuple[float, float, str]] = []
    at = 0.0
    for begin, end, text in spans:
        found += [(at, begin, ""), (begin, end, text)]
        at = end
    return [*found, (at, 999, " ")]
