"""The closed set of languages that a text is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

NEAR: Mapping[str, tuple[str, ...]] = {
    "wol": ("srr", "fuc", "fuv"),
    "fuc": ("fuf", "fuv", "wol"),
    "srr": ("wol", "fuc"),
    "bam": ("dyu", "emk", "mnk"),
    "dyu": ("bam", "emk"),
    "mnk": ("bam", "emk"),
    "snk": ("bam", "mnk"),
    "xho": ("zul", "nbl", "ssw"),
    "zul": ("xho", "nbl", "ssw"),
    "nbl": ("zul", "xho", "ssw"),
    "ssw": ("zul", "xho", "nbl"),
    "tsn": ("nso", "sot"),
    "nso": ("tsn", "sot"),
    "sot": ("tsn", "nso"),
    "kin": ("run", "lug"),
    "run": ("kin", "lug"),
    "lin": ("kng", "lua"),
    "tir": ("amh",),
    "amh": ("tir",),
    "hau": ("fuv", "yor"),
    "swh": ("nya", "kin"),
    "asm": ("ben",),
    "ben": ("asm",),
    "mni": ("ben", "asm"),
    "hin": ("mai", "bho", "mar", "npi"),
    "mai": ("hin", "bho", "npi"),
    "bho": ("hin", "mai"),
    "mar": ("hin", "gom"),
    "gom": ("mar", "hin"),
    "npi": ("hin", "mai"),
    "brx": ("hin", "npi"),
    "dgo": ("hin", "pan"),
    "kas": ("urd",),
    "snd": ("urd", "hin"),
    "urd": ("pes", "arb", "hin"),
    "san": ("hin", "mar"),
    "gle": ("gla", "glv"),
    "gla": ("gle", "glv"),
    "bre": ("cym", "fra"),
    "fuf": ("fuc", "fuv"),
    "fuv": ("fuc", "fuf", "hau"),
    "nya": ("swh", "sna"),
    "sna": ("nya", "zul"),
    "pan": ("dgo",),
    "ory": ("ben",),
    "dyo": ("wol", "mnk", "fuc"),
    "ind": ("zsm", "jav", "sun"),
    "zsm": ("ind", "jav", "sun"),
    "plt": ("zsm", "fra"),
    "ayr": ("quy", "spa"),
    "quy": ("ayr", "spa"),
}
"""Languages that are taken for each other: relatives and neighbours in the same script, and the
confusions that were measured (docs/data/language-id.md). ISO 639-3 codes; the script is that of the
text that is judged, because a text in another script is found without a model."""


def closed_set(claimed: Iterable[str], *, contrast: Iterable[str] = ()) -> tuple[str, ...]:
    """Return what texts that claim these languages may be in, the claimed ones first.

    `claimed`: the languages of the cards; `contrast`: what else the recipe names. Added are the
    neighbours of every claimed language, in its script.

    >>> closed_set(["xho_Latn"], contrast=["eng_Latn"])
    ('xho_Latn', 'eng_Latn', 'zul_Latn', 'nbl_Latn', 'ssw_Latn')
    """
    languages = list(dict.fromkeys(claimed))
    near = [
        f"{code}_{script}"
        for language in languages
        for iso, _, script in [language.partition("_")]
        for code in NEAR.get(iso, ())
    ]
    return tuple(dict.fromkeys([*languages, *contrast, *near]))
