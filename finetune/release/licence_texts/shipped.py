"""Licence texts of a release: that of its own licence, and those of its base and corpora."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from finetune.spec.licence import KNOWN, MODEL_TERMS, NO_DERIVATIVES

FOLDER = "LICENSES"
"""Folder of the texts in a release (the REUSE convention)."""
_SPDX = {
    "afl-3.0": "AFL-3.0",
    "bsl-1.0": "BSL-1.0",
    "etalab-2.0": "etalab-2.0",
    "lppl-1.3c": "LPPL-1.3c",
    "ms-pl": "MS-PL",
    "odbl": "ODbL-1.0",
    "odc-by": "ODC-By-1.0",
    "pddl": "PDDL-1.0",
    "postgresql": "PostgreSQL",
    "unicode-3.0": "Unicode-3.0",
    "unicode-dfs-2016": "Unicode-DFS-2016",
    "unlicense": "Unlicense",
    "wtfpl": "WTFPL",
    "zlib": "Zlib",
    "apache-2.0": "Apache-2.0",
    "artistic-2.0": "Artistic-2.0",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd-3-clause-clear": "BSD-3-Clause-Clear",
    "cdla-permissive-1.0": "CDLA-Permissive-1.0",
    "cdla-permissive-2.0": "CDLA-Permissive-2.0",
    "cdla-sharing-1.0": "CDLA-Sharing-1.0",
}
"""Hub id -> SPDX identifier, where it is not the same in capitals."""
WITHOUT_TEXT = {
    "bsd": "the id stands for several texts",
    "gfdl": "the id names no version",
    "other": "terms of their owners",
}
"""Licences of our table that have no text here, and why; beside the terms of publishers of models
(spec.licence.MODEL_TERMS), which stay a link."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Licences with a text in a release, and those without one."""

    files: dict[str, str]
    """Licence -> name of the file in the release."""
    without: dict[str, str]
    """Licence -> why no text of it is there."""


def spdx_id(licence: str) -> str | None:
    """Return the SPDX identifier of a licence with a text here, by its Hub id.

    >>> spdx_id("cc-by-sa-4.0"), spdx_id("apache-2.0"), spdx_id("gemma")
    ('CC-BY-SA-4.0', 'Apache-2.0', None)
    """
    known = licence in KNOWN - NO_DERIVATIVES - set(MODEL_TERMS) - set(WITHOUT_TEXT)
    return _SPDX.get(licence, licence.upper()) if known else None


def texts_for(licences: Iterable[str]) -> Texts:
    """Return which texts a release under and from these licences has."""
    files, without = {}, {}
    for licence in sorted(set(licences)):
        if name := spdx_id(licence):
            files[licence] = f"{FOLDER}/{name}.txt"
        else:
            without[licence] = WITHOUT_TEXT.get(licence) or MODEL_TERMS.get(
                licence, "it is in no list of ours"
            )
    return Texts(files, without)


def write_texts(found: Texts, folder: Path) -> None:
    """Write the texts into the folder of a release."""
    shelf = resources.files(__package__)
    for name in found.files.values():
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes((shelf / target.name).read_bytes())
