"""Countries where a language is spoken, for telephone and identity numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

REGIONS: Mapping[str, tuple[str, ...]] = {
    # Senegal and its neighbours
    "wol": ("SN", "GM"),
    "fuc": ("SN", "MR", "GM"),
    "fuf": ("GN", "SN"),
    "fuv": ("NG",),
    "srr": ("SN", "GM"),
    "mnk": ("GM", "SN", "GW"),
    "dyo": ("SN", "GM"),
    "snk": ("SN", "ML", "MR"),
    "bam": ("ML",),
    "dyu": ("CI", "BF"),
    # the coast and Nigeria
    "hau": ("NG", "NE"),
    "yor": ("NG", "BJ"),
    "ibo": ("NG",),
    "ewe": ("GH", "TG"),
    "fon": ("BJ",),
    "aka": ("GH",),
    "twi": ("GH",),
    # east and south
    "swh": ("KE", "TZ"),
    "nya": ("MW", "ZM"),
    "amh": ("ET",),
    "som": ("SO", "KE"),
    "zul": ("ZA",),
    "xho": ("ZA",),
    # South Asia: the scheduled languages of India, and where else they are official
    **dict.fromkeys(
        ("hin", "mar", "guj", "tel", "kan", "mal", "ory", "asm", "mni", "sat", "brx", "doi"),
        ("IN",),
    ),
    **dict.fromkeys(("gom", "knn", "mai", "san", "kas"), ("IN",)),
    "npi": ("IN", "NP"),
    "ben": ("IN", "BD"),
    "pan": ("IN", "PK"),
    "pnb": ("PK",),
    "snd": ("IN", "PK"),
    "tam": ("IN", "LK"),
    "urd": ("IN", "PK"),
    # spoken in too many countries to guess from the language: only +numbers are found
    "eng": (),
    "fra": ("FR",),
}
"""ISO 639-3 -> ISO 3166-1, the countries with most speakers or an official standing."""


def regions_of(languages: Iterable[str]) -> tuple[str, ...]:
    """Return the countries of languages (codes of ours), sorted.

    What is not in REGIONS is looked up in CLDR's likely subtags.

    >>> regions_of(["wol_Latn", "eng_Latn"]), regions_of(["lug_Latn"])
    (('GM', 'SN'), ('UG',))
    """
    return tuple(sorted({region for one in languages for region in _of(one.partition("_")[0])}))


@lru_cache(maxsize=1024)
def _of(code: str) -> tuple[str, ...]:
    if code in REGIONS:
        return REGIONS[code]
    import langcodes  # loaded on use: most languages are in the table
    from langcodes.data_dicts import LIKELY_SUBTAGS

    language = langcodes.Language.get(code).language
    if language not in LIKELY_SUBTAGS:  # `maximize` would answer with the United States
        return ()
    territory = langcodes.Language.get(code).maximize().territory
    return (territory,) if territory and territory.isalpha() else ()
