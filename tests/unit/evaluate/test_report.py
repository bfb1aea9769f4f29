"""The samples of the evaluation report."""

from __future__ import annotations

from pathlib import Path

from finetune.artefacts.items import Item
from finetune.evaluate.generations import Generated
from finetune.evaluate.report import write_report
from finetune.spec.recipe import Evaluate
from tests.support.planted import PLANTED, found


def test_samples_quote_no_personal_data(tmp_path: Path) -> None:
    """Sources and references that a recipe kept, and what a model repeats of its training."""
    data = PLANTED["wol_Latn"]
    planted = ", ".join(data)
    item = Item("id", "card", "wol_Latn", planted, planted, planted, "fra_Latn>wol_Latn")
    write_report(
        tmp_path / "report.html",
        pairs=[],
        generated=[Generated(item, planted, f"na {planted} def")],
        facts={},
        settings=Evaluate(),
        loss_picture=None,
    )
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "name@example.org" in page
    assert found(page, data) == []
