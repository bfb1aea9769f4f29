"""Refusals by terms of communities, each with the line of the card that states the term."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from finetune.artefacts.gates.result import GateResult
from finetune.artefacts.job import Artifact
from finetune.artefacts.results import ReleaseResult, as_json
from finetune.cards.publish import files_of
from finetune.cli import main
from finetune.cluster.bundle.bundle import Contents, write_bundle
from finetune.errors import RecipeError, ReleaseError
from finetune.output.console import Console
from finetune.pipeline.gate import Opened, open_project
from finetune.pipeline.plan import steps_of
from finetune.pipeline.store import Store
from finetune.release import publish as publishing
from finetune.release.publish import How, publish_release
from finetune.spec.load import load_card
from finetune.spec.permission import may_be_passed_on
from tests.support.good_card import TODAY
from tests.support.problems import raises
from tests.support.published import PASSED
from tests.support.small_recipe import CARD, RECIPE

TERMS = """\
  contact: someone
  terms:
    authority: {who: Council of elders, contact: council@example.org}
    rehosting: forbidden
    forbidden_uses:
      - health
    adapters: %s
"""
LINE_OF_TERMS = 15
QUIET = Console(out=io.StringIO())


@pytest.fixture
def here(tmp_path: Path, variables: Any, inside: Any) -> Path:
    """A recipe with one card, `words`, in the working folder."""
    inside(tmp_path)
    variables(XDG_CONFIG_HOME=str(tmp_path / "config"), FINETUNE_STORE=str(tmp_path / "store"))
    Path("recipes").mkdir()
    Path("recipes/tiny.yaml").write_text(RECIPE, encoding="utf-8")
    Path("data_cards").mkdir()
    write_card("private")
    return tmp_path


def write_card(adapters: str | None, *, change: tuple[str, str] = ("", "")) -> None:
    """Write the card with terms, or without any."""
    texts = Path("data_cards/words.txt")
    texts.write_text("words\nbenn\nñaar\n", encoding="utf-8")
    card = CARD.replace("0" * 64, hashlib.sha256(texts.read_bytes()).hexdigest())
    if adapters:
        card = card.replace("  contact: someone\n", TERMS % adapters)
    Path("data_cards/words.md").write_text(card.replace(*change), encoding="utf-8")


def opened(purpose: Any = "publish", *overrides: str) -> Opened:
    return open_project(Path("recipes/tiny.yaml"), purpose=purpose, overrides=overrides)


@pytest.mark.parametrize("verb", ["check", "train", "publish"])
def test_a_use_that_a_card_forbids_is_refused_before_anything_else(here: Path, verb: str) -> None:
    """The message names both files, the line of the card, and whom to ask."""
    with raises(
        RecipeError,
        code="forbidden-use",
        name="health",
        card="words",
        where=f"data_cards/words.md:{LINE_OF_TERMS + 4}:9",
        authority="Council of elders (council@example.org)",
    ):
        opened(verb, "intended_use=health")
    assert opened("check").recipe.intended_use == "general"


def test_the_line_is_the_name_of_the_licence_where_the_card_says_no_more(here: Path) -> None:
    """A named licence forbids without a line of its own in the card."""
    named = "license: other\nlicense_name: NOODL-1.0\nlicense_link: https://example.org/noodl"
    access = ("  contact: someone\n", "  contact: someone\n  access: {kind: ask}\n")
    write_card(None, change=access)
    card = Path("data_cards/words.md")
    card.write_text(card.read_text().replace("license: mit", named))
    with raises(ReleaseError, code="terms-gated", at="words.md:4:15: license_name"):
        publish(opened("publish", "release.licence=other"))


def publish(
    project: Opened, *, gates: tuple[GateResult, ...] = PASSED, how: How | None = None
) -> None:
    """Publish a release to the Hub for everyone; nothing is there to upload."""
    result = as_json(ReleaseResult(project.recipe.released.repo, "mit", files={}, gates=gates))
    release = Artifact("release", "0" * 16, Path("store/release") / ("0" * 16), result)
    settings = project.recipe.publish.model_copy(update={"hub": "huggingface", "private": False})
    recipe = project.recipe.model_copy(update={"publish": settings})
    store = SimpleNamespace(root=Path("store"))
    publish_release(
        replace(project, recipe=recipe),
        release,
        store=store,
        console=QUIET,
        how=how,  # type: ignore[arg-type]
    )


@pytest.fixture(autouse=True)
def no_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The release is never read: it is refused before."""
    monkeypatch.setattr(publishing, "refuse_damaged", lambda *_, **__: None)


@pytest.mark.parametrize(
    ("adapters", "code"), [("private", "terms-no-public"), ("ask", "terms-gated")]
)
@pytest.mark.parametrize("how", [None, How(make_public=True)])
def test_no_adapter_is_public_against_the_terms(
    here: Path, adapters: str, code: str, how: How | None
) -> None:
    """`publish` and `--make-public` are refused with file and line, and the way out."""
    write_card(adapters)
    at = f"data_cards/words.md:{LINE_OF_TERMS + 5}:15: corpus.terms.adapters"
    with raises(ReleaseError, code=code, at=at, repo="org/tiny"):
        publish(opened(), how=how)


def test_all_that_bars_a_public_release_is_said_at_once(here: Path) -> None:
    """The terms of the card and a gate of the evaluation."""
    with pytest.raises(ReleaseError) as refused:
        publish(opened(), gates=())
    assert refused.value.codes[0] == "terms-no-public"
    assert "gate-not-passed" in refused.value.codes


def test_texts_are_not_bundled_for_others(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bundle holds copies of the texts: refused with the line, unless it stays with us."""
    contents = Contents(opened("bundle"), (), Store(here / "store"), None, wheels=False)
    at = f"data_cards/words.md:{LINE_OF_TERMS + 2}:16: corpus.terms.rehosting"
    with raises(ReleaseError, code="terms-no-copies", at=at):
        write_bundle(here / "bundle", contents)
    assert not (here / "bundle").exists()
    write_bundle(here / "bundle", replace(contents, own_use=True))
    assert (here / "bundle/project/data_cards/words.txt").is_file()


def test_texts_are_not_published_as_a_data_set(here: Path) -> None:
    """`cards publish` is refused at the same line, and no release shows a text of the card."""
    card = load_card(Path("data_cards/words.md"))
    with raises(ReleaseError, code="terms-no-copies", at="corpus.terms.rehosting"):
        files_of(card, public=False, today=TODAY, folder=here)
    assert not may_be_passed_on(card)
    write_card(None)
    assert may_be_passed_on(load_card(Path("data_cards/words.md")))


def test_check_says_the_terms(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """People read whose terms they are; programs get them as values."""
    assert main(["check", "recipes/tiny.yaml"]) == 0
    said = capsys.readouterr().out
    assert "terms of communities: Not to be made public (Council of elders (words))." in said
    assert "Not permitted: advice on health (Council of elders (words))." in said
    assert main(["check", "recipes/tiny.yaml", "--json"]) == 0
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    [terms] = [line["terms"] for line in lines if "terms" in line]
    assert terms["adapters"] == {"what": "private", "owners": ["Council of elders (words)"]}


def test_changed_terms_make_a_new_release_and_nothing_else(here: Path) -> None:
    """Keys of texts and training stay; a card that says nothing new has the keys of before."""

    def keys() -> dict[str, str]:
        return {step.stage.name: step.key for step in steps_of(opened("plan"))}

    strict = keys()
    write_card("ask")
    changed = keys()
    assert {name for name in strict if strict[name] != changed[name]} == {"release"}
    write_card(None)
    assert {name for name in strict if strict[name] != keys()[name]} == {"evaluate", "release"}
