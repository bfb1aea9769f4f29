"""The recipe and cards of one language of a programme, as `finetune init` writes them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.messages import phrase
from finetune.pipeline.gate import open_project
from finetune.spec.load import load_card
from finetune.spec.tables.programme import PROGRAMMES, Programme

ROOT = Path(__file__).parents[4]
CARDS = {
    path.stem: card
    for path in sorted((ROOT / "data_cards").glob("*.md"))
    if (card := load_card(path)).corpus.source.kind != "files"  # texts of our own stay here
}
ROWS = [(programme, row) for programme in PROGRAMMES.values() for row in programme.languages]
IN_BOTH = {"eng_Latn", "fra_Latn"}
"""Languages that pairs are translated from."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recipes and cards of all languages of both programmes."""
    folder = tmp_path_factory.mktemp("programmes")
    for programme, row in ROWS:
        options = ("--language", row.code, "--programme", programme.name)
        assert main(["init", str(folder), *options]) == 0
    return folder


def test_the_programmes_are_the_languages_they_are_for() -> None:
    """The 22 scheduled languages of India, three of them in two scripts, and those of Senegal."""
    india = [row.code for row in PROGRAMMES["india"].languages]
    assert len({code[:3] for code in india}) == 22
    both = {code[:3] for code in india if sum(x[:3] == code[:3] for x in india) == 2}
    assert both == {"kas", "snd", "mni"}
    senegal = {row.code[:3] for row in PROGRAMMES["senegal"].languages}
    assert {"fra", "wol", "fuc", "srr", "mnk", "dyo", "snk"} <= senegal


def test_the_table_names_every_card_of_a_language() -> None:
    """A card that is added for a language is in its row, and a row names no card of another."""
    for _, row in ROWS:
        about = {
            name
            for name, card in CARDS.items()
            if row.code in card.corpus.languages
            and (row.code not in IN_BOTH or set(card.corpus.languages) <= IN_BOTH)
        }
        assert set(row.cards) == about, row.code
        assert {CARDS[name].corpus.source.kind for name in row.package} <= {"package"}
        assert "package" not in {CARDS[name].corpus.source.kind for name in row.hub}


def test_every_language_says_what_is_missing_and_who_could_give_it() -> None:
    """With a public page each."""
    for _, row in ROWS:
        assert str(row.missing)
        assert row.asked
        assert all(re.match(r"https?://\S+$", page) for page in row.asked), row.code


def test_every_language_yields_recipes_that_are_valid(project: Path) -> None:
    """Offline, for the language and with all its cards; a card of the Hub is in a recipe of it."""
    for programme, row in ROWS:
        name = f"{programme.name}-{row.code.lower().replace('_', '-')}"
        for stem, cards in ((name, row.package), (f"hub-{name}", row.hub)):
            recipe = project / "recipes" / f"{stem}.yaml"
            assert recipe.is_file() == bool(cards), stem
            if cards:
                opened = open_project(recipe, purpose="check")
                assert sorted(opened.cards) == sorted(cards)
                assert {corpus.target or row.code for corpus in opened.recipe.corpora} == {row.code}


def test_check_says_which_corpora_were_never_opened(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cards written from documentation are named for a recipe of the Hub; packages have none."""
    remark = "written from documentation, without access to the corpora: "
    assert main(["check", str(project / "recipes/hub-senegal-mnk-latn.yaml")]) == 0
    assert f"{remark}fineweb2-mnk" in capsys.readouterr().out
    assert main(["check", str(project / "recipes/senegal-dyo-latn.yaml")]) == 0
    assert remark not in capsys.readouterr().out


def test_a_language_without_a_card_gets_what_is_missing_and_who_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written."""
    senegal = PROGRAMMES["senegal"]
    bare = replace(
        senegal.languages[1], package=(), hub=(), beside=(), missing=phrase("any text"), own=()
    )
    planted: dict[str, Programme] = {"senegal": replace(senegal, languages=(bare,))}
    monkeypatch.setattr("finetune.verbs.start.init.PROGRAMMES", planted)
    options = ("--language", "wolof", "--programme", "senegal")
    assert main(["init", str(tmp_path / "new"), *options]) == 2
    said = capsys.readouterr().err
    assert "there is no card for Wolof (wol_Latn) yet. Missing: any text." in said
    assert bare.asked[0] in said
    assert not (tmp_path / "new").exists()


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same command can be repeated; after an edit it is refused, and changes nothing."""
    command = ["init", str(tmp_path), "--language", "Serer", "--programme", "senegal"]
    assert main(command) == 0
    assert main(command) == 0
    recipe = tmp_path / "recipes/senegal-srr-latn.yaml"
    recipe.write_text(recipe.read_text("utf-8").replace("rank: 16", "rank: 8"), encoding="utf-8")
    (tmp_path / "data_cards/udhr-srr.md").unlink()
    assert main(command) == 2
    assert "already exists" in capsys.readouterr().err
    assert "rank: 8" in recipe.read_text("utf-8")
    assert not (tmp_path / "data_cards/udhr-srr.md").exists()


@pytest.mark.parametrize("other", [("--text", "my.txt"), ("--example",)])
def test_a_programme_brings_its_own_texts(
    other: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Texts of one's own, and the example, are other ways to begin."""
    language = () if other == ("--example",) else ("--language", "wolof")
    assert main(["init", *language, "--programme", "senegal", *other]) == 2
    assert f"give one of {other[0]}, --programme" in capsys.readouterr().err
