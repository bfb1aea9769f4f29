from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from finetune.artefacts.items import read_items
from finetune.artefacts.packed_split import open_split
from finetune.prepare.run import run
from finetune.spec.load import load_card
from tests.support.prepare_job import make_job

CARDS = Path(__file__).parents[2] / "data_cards"


@pytest.mark.slow
def test_the_shipped_cards_of_two_languages_split_together(tmp_path: Path) -> None:
    """Real Hausa and Yoruba pairs: about 2,000 kept each, and no English text on two sides."""
    try:
        version("kolibri")
    except PackageNotFoundError:
        pytest.skip("the package kolibri is not installed")
    cards = [load_card(CARDS / f"kolibri-{code}.md") for code in ("hau", "yor")]
    job = make_job(tmp_path, *cards, sequence_tokens=1024)
    result = run(job)
    assert min(facts["documents"] for facts in result["per_language"].values()) > 1900
    sources = {}
    for name in ("validation", "test"):
        split = open_split(
            job.workspace / name,
            languages=tuple(result["languages"]),
            cards=tuple(result["cards"]),
        )
        items = read_items(job.workspace / name, split)
        sources[name] = {item.source for item in items}
        assert {item.language for item in items} == {"hau_Latn", "yor_Latn"}
    assert not sources["validation"] & sources["test"]
