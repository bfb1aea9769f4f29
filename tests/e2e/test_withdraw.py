"""Withdrawn texts: artefacts with them are named, and the next run is without them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from finetune.cli import main
from finetune.spec.load import load_card
from finetune.spec.withdrawn import record_hash
from tests.support.project import write_project
from tests.support.surroundings import Inside

RECIPE = "recipes/tiny.yaml"
TEXTS = [
    (f"Ina kwana lafiya {i * 7} ɗan gida.", ("Amina", "Musa", "Binta")[i % 3]) for i in range(60)
]
LEFT = {record_hash({"text": text}) for text, who in TEXTS if who != "Amina"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was run once; one card has a column that says who gave each text."""
    root = tmp_path_factory.mktemp("withdraw")
    write_project(root)
    rows = "text\twho\n" + "".join(f"{text}\t{who}\n" for text, who in TEXTS)
    (root / "data_cards/lines.tsv").write_text(rows, encoding="utf-8")
    card = root / "data_cards/lines.md"
    before = (root / "data_cards/lines.txt").read_bytes()
    text = card.read_text().replace("lines.txt", "lines.tsv").replace("format: text", "format: tsv")
    text = text.replace("columns: {}", "columns: {text: text, contributor: who}")
    text = text.replace(
        hashlib.sha256(before).hexdigest(), hashlib.sha256(rows.encode()).hexdigest()
    )
    card.write_text(text)
    assert run(root) == ["base", "prepare", "train", "baseline", "evaluate", "release"]
    return root


def run(root: Path) -> list[str]:
    """Run the recipe in a process of its own; return the steps that ran."""
    command = [sys.executable, "-m", "finetune", "run", "--json", RECIPE]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    return [r["stage"] for r in records if r.get("state") == "running"]


def withdraw(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    """Run `cards withdraw lines` with --json; return what it says."""
    assert main(["cards", "withdraw", "lines", "--json", "--lang", "en", *arguments]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def ledgers(root: Path) -> dict[str, set[str]]:
    """Return the records of the card `lines` in every prepared corpus, by key."""
    found = {}
    for path in root.glob(".finetune/prepare/*/ledger.jsonl"):
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        found[path.parent.name] = {x["record"] for x in lines if x["card"] == "lines"}
    return found


def keys(root: Path, stage: str) -> set[str]:
    """Return the keys of the finished artefacts of a stage."""
    return {p.parent.name for p in root.glob(f".finetune/{stage}/*/manifest.json")}


@pytest.mark.slow
def test_the_recipe_run_again_gives_an_adapter_without_them(
    folder: Path, inside: Inside, capsys: pytest.CaptureFixture[str]
) -> None:
    """One person's texts, then the whole card: every artefact that holds them is named, with
    counts, the run again leaves them out, and what was made before is untouched."""
    inside(folder)
    [first] = ledgers(folder).values()
    assert len(first - LEFT) == 20
    stages = ("prepare", "train", "baseline", "evaluate", "release")
    before = {stage: keys(folder, stage) for stage in stages}

    said = withdraw(capsys, "--contributor", "Amina")
    assert (folder / "data_cards/withdrawn/lines.txt").read_text().count("\n") == 22
    assert said[0]["records"] == sorted(first - LEFT)
    assert said[1]["places"][:2] == ["lines.tsv:2", "lines.tsv:5"]
    rows = {r["artefact"].partition("/")[0]: r["records"] for r in said if "artefact" in r}
    assert rows == {"prepare": 20} | dict.fromkeys(stages[1:])
    named = {r["artefact"] for r in said if "artefact" in r}
    assert named == {f"{stage}/{key}" for stage in stages for key in before[stage]}
    [published] = [r["published"] for r in said if "published" in r]
    assert published == [str(folder / ".finetune/hub/org/tiny-lora")]
    assert [r["again"] for r in said if "again" in r] == [[f"finetune run {RECIPE}"]]
    assert {v for r in said if "remove" in r for v in r["remove"]} == named

    assert run(folder) == list(stages)
    [new] = keys(folder, "prepare") - before["prepare"]
    assert ledgers(folder)[new] == LEFT
    weights = {
        (folder / ".finetune/train" / key / "adapter/adapter_model.safetensors").read_bytes()
        for key in keys(folder, "train")
    }
    assert len(weights) == 2
    [row] = [r for r in withdraw(capsys, "--contributor", "Amina") if "published" in r] or [None]
    assert row is None  # what is published now was made without them

    said = withdraw(capsys)
    assert load_card(folder / "data_cards/lines.md").is_withdrawn
    assert {r["records"] for r in said if str(r.get("artefact")).startswith("prepare")} == {60, 40}
    assert run(folder) == list(stages)
    [last] = keys(folder, "prepare") - before["prepare"] - {new}
    assert ledgers(folder)[last] == set()
