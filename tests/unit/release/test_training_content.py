"""Summary of the training content: recorded facts, and a blank for all else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from finetune.release.card.training_content import (
    FACTS,
    PAGE,
    TO_FILL,
    training_content,
    write_training_content,
)
from finetune.release.contents import is_of_release
from tests.support.release_job import card, release_job

HUB = {"kind": "hub", "dataset": "masakhane/pairs", "revision": "2" * 40}
HEADINGS = (
    "## 1. General information",
    "### 1.1. Provider identification",
    "### 1.2. Model identification",
    "### 1.3. Modalities, overall training data size and other characteristics",
    "## 2. List of data sources",
    "### 2.1. Publicly available datasets",
    "### 2.2. Private non-publicly available datasets obtained from third parties",
    "### 2.3. Data crawled and scraped from online sources",
    "### 2.4. User data",
    "### 2.5. Synthetic data",
    "### 2.6. Other sources of data",
    "## 3. Data processing aspects",
    "### 3.1. Respect of reservation of rights from text and data mining exception or limitation",
    "### 3.2. Removal of illegal content",
    "### 3.3. Other information (optional)",
)
"""Of the template of the European Commission."""


def facts_of(root: Path, **corpus: Any) -> dict[str, Any]:
    """Return the facts of a release with one card."""
    return training_content(release_job(root, cards={"school-hau": card(corpus=corpus)}))


def test_sections_are_those_of_the_template_and_are_published(tmp_path: Path) -> None:
    """Every heading in its order; both files are of a release."""
    job = release_job(tmp_path)
    write_training_content(job, job.workspace)
    page = (job.workspace / PAGE).read_text("utf-8")
    assert tuple(line for line in page.splitlines() if line.startswith("##")) == HEADINGS
    assert json.loads((job.workspace / FACTS).read_text("utf-8")) == training_content(job)
    assert is_of_release(PAGE)
    assert is_of_release(FACTS)
    assert "Hausa (hau_Latn) | 1,620" in page
    assert "duplicate 12, placeholder 3" in page


def test_what_no_stage_recorded_is_left_to_the_provider(tmp_path: Path) -> None:
    """Provider, dates, crawling, users, synthetic data, measures: none is guessed."""
    facts = facts_of(tmp_path)
    blanks = {
        f"{section}.{name}"
        for section, values in facts.items()
        if isinstance(values, dict)
        for name, value in values.items()
        if value == TO_FILL
    }
    assert blanks == {
        *("1.1.provider", "1.1.authorised_representative", "1.2.date_of_placement"),
        *("1.3.latest_date_of_acquisition", "2.1.used", "2.2.commercially_licensed"),
        *("2.2.private_of_third_parties", "2.3.crawled", "2.4.user_data", "2.5.synthetic"),
        *("2.6.other", "3.1.code_of_practice", "3.1.measures", "3.2.measures"),
    }
    assert facts["1.3"]["size"] == "Less than 1 billion tokens"
    assert facts["1.3"]["tokens"] == 42000


def test_sources_stand_where_their_cards_put_them(tmp_path: Path) -> None:
    """An open data set is publicly available; an owner's files and gated sets are to be assigned,
    and nothing says whether they are private."""
    hub = {"source": HUB, "format": "parquet"}
    is_open = facts_of(tmp_path / "open", **hub)
    assert [one["source"] for one in is_open["2.1"]["sources"]] == ["Hub dataset masakhane/pairs"]
    assert is_open["2.1"]["used"] == "yes"
    asked = facts_of(tmp_path / "ask", **hub, access={"kind": "ask", "conditions": "ask us"})
    files = facts_of(tmp_path / "files")
    for facts in (asked, files):
        assert facts["2.1"]["sources"] == []
        assert [one["card"] for one in facts["2.2"]["sources_to_assign"]] == ["school-hau"]


def test_consent_opt_outs_and_personal_data_are_those_of_the_cards(tmp_path: Path) -> None:
    """As the owner stated them, with the number of withdrawn entries."""
    consent = {"basis": "community", "statement": "agreed", "withdrawal": "write to us"}
    facts = facts_of(
        tmp_path,
        consent=consent,
        personal_data="removed",
        withdrawals={"entries": 2, "sha256": "0" * 64},
    )
    [one] = facts["3.1"]["consent"]
    assert (one["basis"], one["opt_out"], one["withdrawn_entries"]) == (
        *("community", "write to us"),
        2,
    )
    assert facts["3.3"]["personal_data"][0]["personal_data"] == "removed"
    assert facts_of(tmp_path)["3.1"]["consent"][0]["opt_out"] == TO_FILL
