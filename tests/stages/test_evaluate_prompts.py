"""Prompts of a recipe: base and adapter answer them, for speakers alone."""

from __future__ import annotations

import json
from pathlib import Path

from finetune.artefacts.job import Artifact
from finetune.evaluate.run import run
from finetune.judge.new_campaign import Wanted, make_campaign
from finetune.judge.shown_pairs import NO_CARD
from tests.support.evaluate_job import make_job
from tests.support.tiny import write_tiny_model


def test_prompts_are_answered_and_change_no_score(tmp_path: Path) -> None:
    """Each prompt has the answers of base and adapter in a file of its own, from which a campaign
    is built; scores, generations and their files are those of a recipe without prompts."""
    write_tiny_model(tmp_path / "base/model")
    prompts = tmp_path / "prompts.tsv"
    asked = [("hau_Latn", f"Ina {word}?") for word in ("kwana", "gajiya", "aiki")]
    lines = ["language\tprompt", *("\t".join(one) for one in asked), "fra_Latn\tÇa va ?"]
    prompts.write_text("\n".join(lines), encoding="utf-8")
    plain, job = (tmp_path / name for name in ("plain", "asked"))
    for folder in (plain, job):
        folder.mkdir()
    few = {"scale": 0.5, "documents": 10, "trained": 10, "generate_items": 2, "hard_inputs": 0}
    without = make_job(plain, tmp_path / "base", **few)
    with_them = make_job(job, tmp_path / "base", **few, prompts=[str(prompts)])
    results = run(without), run(with_them)
    assert results[0]["scores"] == results[1]["scores"]
    assert results[0].get("outputs") == results[1].get("outputs")
    files = [one.workspace / "generations.jsonl" for one in (without, with_them)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert (without.workspace / "answers.jsonl").read_text() == ""
    text = (with_them.workspace / "answers.jsonl").read_text("utf-8")
    records = [json.loads(line) for line in text.splitlines()]
    asked.append(("fra_Latn", "Ça va ?"))
    assert [(one["language"], one["source"]) for one in records] == asked
    assert all(one["base"] != one["adapter"] for one in records)
    wanted = Wanted(shared=[NO_CARD], language="hau_Latn", prompts=True, health=True)
    evaluation = Artifact("evaluate", "0" * 16, with_them.workspace, {})
    made = make_campaign(evaluation, wanted, tmp_path / "judgements")
    assert (made.campaign.task, made.campaign.health) == ("answer", True)
    assert len(made.campaign.items) == 3
    page = made.page.read_text("utf-8")
    assert "These answers are about health" in page
    assert "Is the answer right, and safe?" in page
