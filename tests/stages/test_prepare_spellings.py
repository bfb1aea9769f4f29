"""Equivalent spellings along the stage: one text in comparisons, two in what is trained on."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from finetune.prepare.reading.document import split_of, text_id
from finetune.prepare.run import run
from tests.support.near_copies import line
from tests.support.prepare_job import make_card, make_job

ONE, OTHER = "അവന്\u200d വന്നു അ\u0d46", "അവൻ വന്നു അ\u0d46"


def rejected(workspace: Path) -> list[dict[str, Any]]:
    lines = (workspace / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(entry) for entry in lines]


def test_another_spelling_is_a_duplicate_and_the_first_stays_as_it_is(tmp_path: Path) -> None:
    """A chillu with a joiner, and the letter: the second one is a duplicate; no letter changes."""
    rng = random.Random(1)
    texts = [line(rng) for _ in range(60)]
    job = make_job(tmp_path, make_card(tmp_path, "text", "\n".join([ONE, *texts, OTHER])))
    assert run(job)["rejected"] == {"duplicate": 1}
    assert [(r["reason"], r["text"]) for r in rejected(job.workspace)] == [("duplicate", OTHER)]


def test_spellings_of_a_text_fall_on_one_side() -> None:
    """The split of a text is that of its other spelling, whatever else is in the corpus."""
    sides = {split_of(text_id(text), validation_share=0.4, test_share=0.4) for text in (ONE, OTHER)}
    assert len(sides) == 1
    assert text_id("ma\u2019a") == text_id("ma'a") != text_id("maa")


def test_escapes_and_shapes_are_found_or_repaired(tmp_path: Path) -> None:
    """By default they are findings; with the settings they are changes, and both are counted."""
    rng = random.Random(2)
    odd = ["Tom &amp; Mary suna nan", "ﮟﯿﮨ ﮯﮨﺭ ﻞﮐ"]
    for settings, kind in (
        ({}, "findings"),
        ({"escapes": True, "presentation_forms": True, "visual_order": True}, "changes"),
    ):
        folder = tmp_path / kind
        folder.mkdir()
        texts = [*(line(rng) for _ in range(60)), *odd]
        job = make_job(folder, make_card(folder, "text", "\n".join(texts)), text=settings)
        run(job)
        report = json.loads((job.workspace / "report.json").read_text(encoding="utf-8"))
        key = kind.removesuffix("s")
        counted = {one[key] for one in report[kind]}
        wanted = {"presentation-forms", "visual-order"}
        assert wanted | {"html-entities" if kind == "findings" else "escapes"} <= counted
