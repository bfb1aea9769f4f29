"""Texts that stay with their owner: nothing made of them goes to the public Hub or to everyone."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.errors import RecipeError, ReleaseError
from finetune.pipeline.gate import open_project
from finetune.pipeline.internal_texts import refuse_outside
from finetune.spec.sections.publish import Publish
from tests.support.problems import raises
from tests.support.release_job import card
from tests.support.small_project import write_small_project
from tests.support.surroundings import Inside, Variables

INTERNAL = {"handbook": card("handbook", corpus={"access": {"kind": "internal"}})}
OWN = "http://hub.example.org:8080"
HUB = Publish(hub="huggingface")
EVERYONE = Publish(hub="huggingface", private=False)


@pytest.mark.parametrize(
    ("address", "settings", "codes"),
    [
        ("https://huggingface.co", HUB, ["internal-outside"]),
        ("https://huggingface.co/", EVERYONE, ["internal-public", "internal-outside"]),
        ("https://cdn.HF.co", HUB, ["internal-outside"]),
        (OWN, EVERYONE, ["internal-public"]),
    ],
)
def test_places_outside_are_refused(
    variables: Variables, address: str, settings: Publish, codes: list[str]
) -> None:
    """The public Hub is, also for a private repository, and so is a public one on any server."""
    variables(HF_ENDPOINT=address)
    with pytest.raises(ReleaseError) as caught:
        refuse_outside(INTERNAL, settings)
    assert list(caught.value.codes) == codes
    assert {one.facts["name"] for one in caught.value.problems} == {"handbook"}


def test_the_owners_places_are_not(variables: Variables) -> None:
    """A folder, and a private repository on a server of one's own; other cards go anywhere."""
    variables(HF_ENDPOINT="https://huggingface.co")
    refuse_outside(INTERNAL, Publish(hub="directory", private=False))
    for kind in ("open", "agree", "ask"):
        refuse_outside({"x": card("x", corpus={"access": {"kind": kind}})}, EVERYONE)
    withdrawn = {"access": {"kind": "internal"}, "status": "withdrawn"}
    refuse_outside({"x": card("x", corpus=withdrawn)}, EVERYONE)
    variables(HF_ENDPOINT=OWN)
    refuse_outside(INTERNAL, HUB)


def test_the_gate_refuses_before_anything_is_made(
    tmp_path: Path, variables: Variables, inside: Inside
) -> None:
    """`check` and `run` name the key of the recipe; `train` makes nothing that is published."""
    variables(HF_ENDPOINT="https://huggingface.co")
    inside(tmp_path)
    folder = write_small_project(tmp_path)
    words, recipe = folder / "data_cards/words.md", folder / "recipes/r.yaml"
    internal = "  access: {kind: internal}\n  not_established"
    words.write_text(words.read_text("utf-8").replace("  not_established", internal), "utf-8")
    open_project(recipe, purpose="check")
    recipe.write_text(recipe.read_text() + "publish: {hub: huggingface}\n")
    for purpose in ("check", "run"):
        with raises(RecipeError, code="internal-outside", at="publish.hub"):
            open_project(recipe, purpose=purpose)
    assert open_project(recipe, purpose="train").terms.gate
