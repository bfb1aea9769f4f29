"""An evaluation with documents that were held out as a whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finetune.artefacts.results import EvaluateResult, parse_result
from finetune.evaluate.run import run
from finetune.evaluate.score_table import show_scores
from tests.support.evaluate_job import make_job
from tests.support.recomputed import recomputed
from tests.support.tiny import write_tiny_model


def test_whole_documents_have_scores_of_their_own(tmp_path: Path) -> None:
    """Claims are about single texts; scores on whole documents are stored, shown, recomputable."""
    base = write_tiny_model(tmp_path / "base/model").parent
    job = make_job(tmp_path, base, scale=0.05, documents=120, generate_items=20)
    path = tmp_path / "prepare/test/items.jsonl"
    items = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for number, item in enumerate(items):
        item["document"] = f"{number % 7}"
        if number % 7 in (2, 5):
            item["held_out"] = "document"
    path.write_text("".join(json.dumps(item) + "\n" for item in items), "utf-8")
    counts = {"card": "toy", "documents": 1, "held_out": 0, "texts": 0, "share": 0.0, "why": "one"}
    job.inputs["prepare"].result["documents"] = [counts]
    written = run(job)
    result = parse_result(written, EvaluateResult, path=job.workspace)
    sizes = {(t.metric, t.language): t.n for t in result.comparisons}
    assert sum(n for (name, _), n in sizes.items() if name == "bits_per_byte") == 120 - 34
    assert sizes["chrf++", "hau_Latn"] == 20
    others = {(one.test.metric, one.test.language): one for one in result.other_documents}
    assert others["chrf++", "hau_Latn"].test.n == 10
    assert {one.documents for one in others.values()} == {2}
    assert {one.resampled for one in others.values()} == {"texts"}
    for one in written["other_documents"]:
        about = one["test"] | {"held_out": "document"}
        found = recomputed(job.workspace, about, resamples=200, seed=0)
        single = recomputed(job.workspace, one["test"], resamples=200, seed=0)
        for drop in one["drops"]:
            assert drop["whole"] == pytest.approx(found["value"][drop["system"]])
            assert drop["single"] == pytest.approx(single["value"][drop["system"]])
            assert drop["drop"] == pytest.approx(drop["whole"] - drop["single"])
    page = (job.workspace / "report.html").read_text("utf-8")
    show_scores(result, console=job.console)
    shown = job.console.out.getvalue()  # type: ignore[attr-defined]
    for text in (page, shown):
        assert "toy: one document each, so nothing can be said" in " ".join(text.split())
        assert "byte n-gram model" in " ".join(text.split())
    assert "Other documents" in page
    assert "documents held out as a whole" in shown
