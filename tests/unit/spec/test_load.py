"""Recipes and cards: wrong input gives clear messages with places, never a traceback."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.errors import FinetuneError, RecipeError
from finetune.spec.load import load_card, load_project, load_recipe
from finetune.spec.recipe import Recipe
from tests.support.problems import raises
from tests.support.small_recipe import CARD, RECIPE


@pytest.fixture
def write(tmp_path, inside):
    """Write a recipe and a card; return the recipe's path."""
    inside(tmp_path)

    def _write(recipe: str = RECIPE, card: str = CARD) -> Path:
        Path("data_cards").mkdir(exist_ok=True)
        Path("data_cards/words.md").write_text(card, encoding="utf-8")
        Path("tiny.yaml").write_text(recipe, encoding="utf-8")
        return Path("tiny.yaml")

    return _write


def test_a_revision_that_looks_like_a_number_stays_text(write):
    """`7e12345...` is a float to YAML and a commit to us."""
    digits = "1234567890123456789012345678901234567890"
    recipe = load_recipe(write(RECIPE.replace("7e12345678901234567890123456789012345678", digits)))
    assert recipe.base.revision == digits


@pytest.mark.parametrize(
    ("old", "new", "code", "at"),
    [
        ("card: words", "card: wrods", "no-such-card", "tiny.yaml:7:11: corpora[0].card"),
        ("max_steps", "max_stepz", "unknown-key", "tiny.yaml:9:14: train.max_stepz"),
        ("max_steps: 3", "max_steps: x", "no-integer", "tiny.yaml:9:14: train.max_steps"),
        ("batch_tokens: 512", "batch_tokens: 500", "batch-no-multiple", "tiny.yaml:1:1"),
        ("name: tiny", "name: ../etc/$(id)", "wrong-form", "tiny.yaml:1:7: name"),
        ("name: tiny", "name: tiny\nname: two", "key-twice", "tiny.yaml:2:1: name"),
        ("  max_steps: 3", "\tmax_steps: 3", "not-yaml", "tiny.yaml:9:1"),
        ("name: tiny", "name: &a tiny\nlora: *a", "yaml-alias", "tiny.yaml:1:7: lora"),
        ("name: tiny", "name: [", "not-yaml", ""),
        (
            "name: tiny",
            "name: tiny\nelectricity: {grid_gco2_per_kwh: 56}",
            "missing-key",
            "tiny.yaml:2:14: electricity.source",
        ),
    ],
)
def test_a_mistake_in_a_recipe_is_reported_with_its_place(write, old, new, code, at):
    """Code and place."""
    with raises(RecipeError, code=code, at=at) as caught:
        load_project(write(RECIPE.replace(old, new)))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ("card: words", "card: wrods", "words"),
        ("max_steps", "max_stepz", "max_steps"),
        ("  max_steps: 3", "\tmax_steps: 3", None),
    ],
)
def test_a_mistake_in_a_recipe_has_a_hint(write, old, new, hint):
    """The nearest name, or how to indent."""
    with pytest.raises(RecipeError) as caught:
        load_project(write(RECIPE.replace(old, new)))
    found = caught.value.problems[0].facts["hint"]
    assert str(found)
    assert found.facts.get("near") == hint


@pytest.mark.parametrize(
    ("set_to", "message"),
    [
        ("prepare.duplicates.near=2", "must be at most 1; got '2'; or write one of: 'off'"),
        ("lora.target_modules=5", "must be a list; got '5'; or write one of: 'all-linear'"),
        ("prepare.personal_data.regions=[SN,sn]", "or IN; write SN"),
        ("prepare.personal_data.regions=[XX]", "e.g. SN or IN"),
    ],
)
def test_a_value_of_two_forms_has_one_answer(write, set_to, message):
    """A word in the place of a number gives one problem; countries are those of ISO 3166."""
    with pytest.raises(RecipeError) as caught:
        load_project(write(RECIPE), overrides=[set_to])
    [one] = caught.value.problems
    assert str(one).endswith(message)


@pytest.mark.parametrize(
    ("old", "new", "at"),
    [
        ("train:", "trian:", "tiny.yaml:8:1: trian"),
        ("  max_steps: 3", "  lora:\n    rank: 3", "tiny.yaml:9:3: train.lora"),
        ("corpora:", "corpra:", "tiny.yaml:6:1: corpra"),
        ("name: tiny", "name: tiny\npublsh: {hub: directory}", "tiny.yaml:2:9: publsh"),
    ],
)
def test_an_unknown_section_is_reported_where_its_name_is(write, old, new, at):
    """And not on the line of its first key."""
    with pytest.raises(RecipeError) as caught:
        load_project(write(RECIPE.replace(old, new)))
    assert at in [str(one.place) for one in caught.value.problems if one.code == "unknown-key"]


def test_all_problems_are_reported_at_once(write):
    """Three mistakes give three lines."""
    text = RECIPE.replace("max_steps: 3", "max_steps: -1\n  rate: 3").replace(
        "repo: org/tiny", "repo: 7"
    )
    with pytest.raises(RecipeError) as caught:
        load_project(write(text))
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("old", "new", "codes", "at"),
    [
        ("[wo]", "[no]", "unquoted-value", "2:12: language[0]"),
        ("license: mit", "licence: mit", ("no-hub-key", "missing-key"), "3:10: licence"),
        ("wol_Latn", "wo", "no-language-code", "7:15: corpus.languages[0]"),
        ("license: mit", "license: other", "licence-without-name", "3:10: license"),
        ("---\nlanguage", "language", "no-front-matter", "1:1"),
        ("---\n# Words", "# Words", "front-matter-not-closed", "1:1"),
        ("format: text", "format: ../tmx", "wrong-form", "13:11: corpus.format"),
    ],
)
def test_a_mistake_in_a_card_is_reported_with_its_place(write, old, new, codes, at):
    """The card's own line numbers, front matter included."""
    with raises(RecipeError, code=codes, at=f"data_cards/words.md:{at}"):
        load_project(write(card=CARD.replace(old, new, 1)))


def test_bytes_that_are_not_utf8_are_reported_with_line_and_column(tmp_path):
    """Latin-1 text is refused, never guessed."""
    path = tmp_path / "r.yaml"
    path.write_bytes(b"name: a\nx: caf\xe9\n")
    with raises(RecipeError, code="not-utf-8", at="r.yaml:2:7", byte=0xE9):
        load_recipe(path)


def test_set_changes_one_value_and_is_checked(write):
    """--set reaches into sections and lists, and its mistakes name it."""
    path = write()
    assert load_recipe(path, overrides=["train.max_steps=20"]).train.max_steps == 20
    assert load_recipe(path, overrides=["corpora[0].max_documents=5"]).corpora[0].max_documents == 5
    for override, code in (
        ("corpora.7.card=x", "no-such-key"),
        ("train.max_steps", "no-key-value"),
        ("train.max_stepz=3", "unknown-key"),
    ):
        with pytest.raises(RecipeError) as caught:
            load_recipe(path, overrides=[override])
        assert caught.value.codes == (code,)
        assert caught.value.problems[0].place.file == f"--set {override}"


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(st.text(max_size=300), st.text(alphabet="-:[]{}&*!|>'\"%@` \n\tabn0", max_size=120))
)
def test_no_text_gives_a_traceback(tmp_path_factory, text):
    """Any text as a recipe or a card gives an error of the family, or a value."""
    folder = tmp_path_factory.mktemp("fuzz")
    recipe, card = folder / "r.yaml", folder / "c.md"
    recipe.write_bytes(text.encode("utf-8", "surrogatepass"))
    card.write_bytes(f"---\n{text}\n---\n".encode("utf-8", "surrogatepass"))
    for load, path in ((load_recipe, recipe), (load_card, card)):
        with pytest.raises(FinetuneError):
            load(path)


@settings(max_examples=100, deadline=None)
@given(
    line=st.integers(0, RECIPE.count("\n") - 1),
    junk=st.text(alphabet="-:[]{}&*!|>'\"%@` \tab0\x00é", max_size=12),
)
def test_no_damaged_line_gives_a_traceback(tmp_path_factory, line, junk):
    """A good recipe with one line replaced is refused in the family's words, or still good."""
    lines = RECIPE.split("\n")
    lines[line] = junk
    path = tmp_path_factory.mktemp("fuzz") / "r.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    with contextlib.suppress(FinetuneError):  # any other exception fails the test
        assert load_recipe(path).released.repo


def test_defaults_are_of_the_type_that_is_read_back() -> None:
    """A recipe written as JSON and read again has the same values, 32.0 and not 32: what is made
    from it (an adapter's configuration) is the same to the byte."""
    recipe = Recipe.model_validate(
        {
            "name": "x",
            "base": {"model": "org/base", "revision": "0" * 40, "licence": "mit"},
            "corpora": [{"card": "a"}],
            "train": {"max_steps": 1},
            "release": {"repo": "org/x"},
        }
    )
    again = Recipe.model_validate_json(recipe.model_dump_json())
    assert repr(again) == repr(recipe)
