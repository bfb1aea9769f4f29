"""`finetune judge build` of a recipe and store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.judge.campaign import read_campaign
from finetune.pipeline.gate import open_project
from finetune.pipeline.plan import steps_of
from finetune.pipeline.store import Request, Store
from tests.support.judge_job import record
from tests.support.small_project import write_small_project


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(write_small_project(folder))
    return Path("recipes/r.yaml")


def evaluate(recipe: Path, *, card: str = "words", overrides: tuple[str, ...] = ()) -> str:
    """Put an evaluation of a recipe into its store; return its key."""
    project = open_project(recipe, purpose="report", overrides=overrides)
    step = next(one for one in steps_of(project) if one.stage.name == "evaluate")

    def run(folder: Path) -> dict:
        records = [record(n, card=card) for n in range(12)]
        answers = [record(n, card="", direction=None, source=f"Ana {n}?") for n in range(3)]
        for name, lines in (("generations", records), ("answers", answers)):
            text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in lines)
            (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
        return {}

    request = Request("evaluate", step.key, "tiny", step.content, inputs={})
    Store(Path(".finetune").resolve()).build(request, run)
    return step.key


def test_a_page_is_built_from_the_store(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a folder named for the recipe; the lines say what to send and what to keep."""
    key = evaluate(recipe)
    assert main(["judge", "build", str(recipe), "--items", "5"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "judgements/tiny/judge.html: 5 items" in shown
    assert "more than the number of items asked for (--items) (7)" in shown
    assert "show it to no judge" in shown
    made = read_campaign(Path("judgements/tiny/campaign.json"))
    assert (made.evaluation, len(made.items)) == (key, 5)


def test_answers_to_prompts_have_a_campaign_of_their_own(recipe: Path, tmp_path: Path) -> None:
    """With the flag of health where the recipe has it; a set is in the key of the evaluation."""
    Path("p.tsv").write_text("language\tprompt\nwol_Latn\tAna?\n")
    sets = ("evaluate.prompts=[p.tsv]", "intended_use=health")
    keys = [evaluate(recipe, overrides=sets[:number]) for number in range(3)]
    assert len(set(keys)) == 3
    options = [word for one in sets for word in ("--set", one)]
    assert main(["judge", "build", str(recipe), "--prompts", *options]) == 0
    made = read_campaign(Path("judgements/tiny-prompts/campaign.json"))
    assert (made.health, made.task, len(made.items)) == (True, "answer", 3)


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ([], 1, "finetune evaluate"),
        (["--against", "gemma"], 2, "--against"),
        (["--language", "hau_Latn"], 2, "--language"),
        (["--set", "release.judgements=[x.json]"], 2, "release.judgements"),
        (["--set", "evaluate.prompts=[x.tsv]"], 2, "evaluate.prompts"),
    ],
)
def test_what_cannot_be_built_is_a_sentence(
    recipe: Path, capsys: pytest.CaptureFixture[str], options: list[str], code: int, says: str
) -> None:
    """No evaluation yet, no such model, language or file."""
    if options:
        evaluate(recipe)
    assert main(["judge", "build", str(recipe), *options]) == code
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said


def test_texts_that_owners_keep_are_on_no_page(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A card with access on request gives no item, and the message gives the reason."""
    card = Path("data_cards/words.md")
    kept = card.read_text("utf-8").replace("  format:", "  access: {kind: ask}\n  format:")
    card.write_text(kept)
    evaluate(recipe)
    assert main(["judge", "build", str(recipe)]) == 2
    assert "not-shared 12" in capsys.readouterr().err
    assert not Path("judgements").exists()
