"""The parts of docs/data/programmes.md that are written from the table, cards and recipe headers.

`python -m tests.support.programmes_page` writes them; a test compares them with the page.
"""

from __future__ import annotations

import re
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from finetune.spec.language import find_languages
from finetune.spec.load import Project, load_card, load_project
from finetune.spec.tables.programme import PROGRAMMES, Programme, ProgrammeLanguage
from finetune.spec.trained_languages import trained_languages

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/data/programmes.md"
_INTRO = (
    "Bits per byte of held-out texts (base, base with three examples, byte n-gram model, adapter):"
)
_SCORES = re.compile(
    r"(?P<name>[^;()]+?(?: \((?P<script>[A-Z][a-z]{3})\))?) \(n = (?P<n>\d+)\) "
    r"(?P<base>[\d.]+), (?P<examples>[\d.]+), (?P<ngram>[\d.]+), (?P<adapter>\d+\.\d+)"
)
_HEAD = (
    "| language | code | recipe | n | base | + 3 examples | n-gram | adapter |\n"
    "|---|---|---|---:|---:|---:|---:|---:|\n"
)


class Scores(NamedTuple):
    """Bits per byte of one language in the header of a recipe."""

    recipe: str
    name: str
    code: str
    items: int
    base: str
    examples: str
    ngram: str
    adapter: str


@cache
def projects() -> Mapping[str, Project]:
    """Return the recipes of the repository by name."""
    return {path.stem: load_project(path) for path in sorted(ROOT.glob("recipes/*.yaml"))}


def header(recipe: str) -> str:
    """Return the comment above a recipe in one line."""
    text = (ROOT / f"recipes/{recipe}.yaml").read_text(encoding="utf-8").partition("\nname:")[0]
    return " ".join(line.removeprefix("#").strip() for line in text.splitlines())


def scores_of(recipe: str) -> list[Scores]:
    """Return what a header states per language; none for a recipe that was not evaluated.

    Raises ValueError for a name that is no language of the recipe.
    """
    _, _, rest = header(recipe).partition(_INTRO)
    trained = trained_languages(projects()[recipe].recipe, projects()[recipe].cards)
    found = []
    for match in _SCORES.finditer(rest.strip()):
        name = match["name"].removesuffix(f" ({match['script']})").strip()
        named = {row.code for row in _rows() if row.name.partition(" (")[0] == name}
        codes = {*find_languages(name), *named} & set(trained)
        if match["script"]:
            codes = {code for code in codes if code.endswith(match["script"])}
        if len(codes) != 1:
            raise ValueError(f"{recipe}: {name} is {codes or 'no language of the recipe'}")
        scores = (match[key] for key in ("base", "examples", "ngram", "adapter"))
        found.append(Scores(recipe, name, codes.pop(), int(match["n"]), *scores))
    return found


def runs(codes: Iterable[str]) -> str:
    """Return the table of what was run for languages, in their order."""
    of: defaultdict[str, list[Scores]] = defaultdict(list)
    for recipe in projects():
        for scores in scores_of(recipe):
            of[scores.code].append(scores)
    ours = {row.code: row.name for row in _rows()}
    rows = [
        f"| {ours.get(code, one.name)} | `{code}` | {one.recipe} | {one.items} "
        f"| {one.base} | {one.examples} | {one.ngram} | {one.adapter} |\n"
        for code in codes
        for one in of[code]
    ]
    return _HEAD + "".join(rows)


def other_codes() -> list[str]:
    """Return the languages with scores that are in neither programme."""
    ours = {row.code for row in _rows()}
    named = (scores.code for recipe in projects() for scores in scores_of(recipe))
    return sorted(set(named) - ours)


def _rows() -> Iterator[ProgrammeLanguage]:
    for programme in PROGRAMMES.values():
        yield from programme.languages


def languages(programme: Programme) -> str:
    """Return the list of the languages of a programme: cards, recipes, what is missing."""
    return "".join(_item(row) for row in programme.languages)


def _item(row: ProgrammeLanguage) -> str:
    cards = {name: load_card(ROOT / f"data_cards/{name}.md") for name in row.cards}
    others = [name for name in cards if name != row.cards[0]]
    opened = [name for name in others if cards[name].corpus.status == "verified"]
    read = [name for name in others if name not in opened]
    recipes = [
        name
        for name, project in projects().items()
        if row.code in trained_languages(project.recipe, project.cards)
    ]
    parts = [
        f"best card {_links('data_cards', row.cards[:1], 'md')}",
        f"other verified {_links('data_cards', opened, 'md')}" if opened else "",
        f"from documentation {_links('data_cards', read, 'md')}" if read else "",
        f"recipes {_links('recipes', recipes, 'yaml')}" if recipes else "no recipe",
        f"missing: {row.missing} ({', '.join(f'<{page}>' for page in row.asked)})",
    ]
    text = f"- {row.name} `{row.code}`: " + "; ".join(part for part in parts if part) + "."
    return "\n".join(_wrapped(text)) + "\n"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text, 118, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _links(folder: str, names: Iterable[str], suffix: str) -> str:
    return ", ".join(f"[{name}](../../{folder}/{name}.{suffix})" for name in names)


def parts() -> Iterator[tuple[str, str]]:
    """Yield name and text of each written part of the page."""
    for name, programme in PROGRAMMES.items():
        yield f"languages of {name}", languages(programme)
        yield f"runs of {name}", runs(row.code for row in programme.languages)
    yield "other runs", runs(other_codes())


def page_with_parts(page: str) -> str:
    """Return the page with its written parts as they are now."""
    for name, text in parts():
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, found, rest = page.partition(start)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"the page has no part {start.strip()} ... {end}")
        page = f"{before}{start}\n{text}\n{closed}{after}"
    return page


if __name__ == "__main__":
    PAGE.write_text(page_with_parts(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
