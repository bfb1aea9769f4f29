"""Near duplicates along the stage: what is found, what is kept, and what stays apart."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from finetune.prepare.overlap.shingles import GRAM, comparable
from finetune.prepare.reading.document import split_of, text_id
from finetune.prepare.run import run
from tests.support.near_copies import COPIES, line
from tests.support.prepare_job import make_card, make_job, pairs_card

NEAR = {"near": 0.8}


def rejected(workspace: Path) -> list[dict[str, Any]]:
    lines = (workspace / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(entry) for entry in lines]


def near(one: str, other: str) -> float:
    """Return the Jaccard similarity of two texts by their n-grams, counted in plain Python."""
    first, second = (
        {text[at : at + GRAM] for at in range(max(1, len(text) - GRAM + 1))}
        for text in comparable([one, other])
    )
    return len(first & second) / len(first | second)


def split(text: str) -> str:
    return split_of(text_id(text), validation_share=0.2, test_share=0.2)


def made(rng: random.Random, *, wanted: str) -> str:
    """Return a random line that falls on the wanted split."""
    return next(text for text in iter(lambda: line(rng), None) if split(text) == wanted)


def copy_on(text: str, rng: random.Random, *, wanted: str) -> str:
    """Return a near copy of a line that falls on the wanted side."""
    return next(
        copy for copy in iter(lambda: COPIES["typo"](text, rng), None) if split(copy) == wanted
    )


def test_of_near_copies_the_first_is_kept(tmp_path: Path) -> None:
    """A copy with a typing mistake goes, with its reason; the report shows both texts."""
    rng = random.Random(1)
    texts = [line(rng) for _ in range(60)]
    first = made(rng, wanted="train")
    copy = copy_on(first, rng, wanted="train")
    card = make_card(tmp_path, "text", "\n".join([first, *texts, copy]))
    job = make_job(tmp_path, card, duplicates=NEAR)
    result = run(job)
    assert result["rejected"]["near-duplicate"] == 1
    assert [r["text"] for r in rejected(job.workspace) if r["reason"] == "near-duplicate"] == [copy]
    facts = json.loads((job.workspace / "report.json").read_text(encoding="utf-8"))["duplicates"]
    assert facts["samples"][0]["kept"]["text"] == first
    assert facts["samples"][0]["similarity"] == round(near(first, copy), 3)


@pytest.mark.parametrize("held", ["test", "validation"])
def test_nothing_near_a_held_out_text_is_trained_on(tmp_path: Path, held: str) -> None:
    """A near copy of a held-out text leaves the training texts, wherever in the files it stands."""
    rng = random.Random(2)
    texts = [line(rng) for _ in range(60)]
    kept = made(rng, wanted=held)
    copy = copy_on(kept, rng, wanted="train")
    card = make_card(tmp_path, "text", "\n".join([copy, *texts, kept]))
    job = make_job(tmp_path, card, duplicates=NEAR)
    run(job)
    gone = [r["text"] for r in rejected(job.workspace) if r["reason"] == "near-evaluation"]
    assert gone == [copy]


def test_pairs_with_one_source_and_two_translations_stay(tmp_path: Path) -> None:
    """Two pairs are duplicates only if both their sides are near; other answers teach something."""
    rng = random.Random(3)
    base = [(line(rng), line(rng)) for _ in range(60)]
    source = made(rng, wanted="train")
    pair = (source, line(rng))
    same = (copy_on(source, rng, wanted="train"), COPIES["typo"](pair[1], rng))
    other = (copy_on(source, rng, wanted="train"), line(rng))
    job = make_job(
        tmp_path, pairs_card(tmp_path, pairs=[*base, pair, same, other]), duplicates=NEAR
    )
    run(job)
    gone = [r["text"] for r in rejected(job.workspace) if r["reason"] == "near-duplicate"]
    assert gone == ["\n".join(same)]


def test_short_texts_differ_by_a_word(tmp_path: Path) -> None:
    """`Delete class` and `Delete classes` are two texts; capitals and punctuation make no third."""
    rng = random.Random(4)
    texts = [line(rng) for _ in range(60)]
    short = ["Share ajin yau", "Share ajujin yau", "SHARE ajin yau!"]
    job = make_job(
        tmp_path,
        make_card(tmp_path, "text", "\n".join([*texts, *short])),
        duplicates=NEAR,
        validation_share=0.01,
    )
    run(job)
    gone = {r["text"] for r in rejected(job.workspace) if r["reason"].startswith("near-")}
    assert len(gone & set(short)) == 1
    assert "Share ajujin yau" not in gone


def test_off_keeps_every_copy_that_is_not_exact(tmp_path: Path) -> None:
    """With `near: off` only exact duplicates go."""
    rng = random.Random(5)
    texts = [line(rng) for _ in range(60)]
    copies = [COPIES["typo"](text, rng) for text in texts]
    card = make_card(tmp_path, "text", "\n".join([*texts, *copies]))
    assert run(make_job(tmp_path, card, duplicates={"near": "off"}))["rejected"] == {}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_planted_copies_are_found_in_a_hundred_thousand_lines(tmp_path: Path) -> None:
    """Of the copies that are near by definition 98 % are found in 10^5 lines, and what is left out
    is near something that was kept, always."""
    rng = random.Random(6)
    originals = [line(rng) for _ in range(90_000)]
    planted = {}
    for number, kind in enumerate(sorted(COPIES) * 2_000):
        planted[COPIES[kind](originals[number], rng)] = (kind, originals[number])
    texts = [*originals, *planted]
    random.Random(7).shuffle(texts)
    job = make_job(
        tmp_path,
        make_card(tmp_path, "text", "\n".join(texts)),
        duplicates=NEAR,
        sequence_tokens=1024,
    )
    run(job)
    gone = {r["text"] for r in rejected(job.workspace) if r["reason"].startswith("near-")}
    partner = {copy: original for copy, (_, original) in planted.items()}
    partner |= {original: copy for copy, (_, original) in planted.items()}
    assert all(near(text, partner[text]) >= 0.8 for text in gone)  # precision 1
    there: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for copy, (kind, original) in planted.items():
        if near(copy, original) >= 0.8:
            there[kind] += 1
            found[kind] += (copy in gone) + (original in gone)
    print({kind: (found[kind], there[kind]) for kind in sorted(there)})
    assert sum(found.values()) >= 0.98 * sum(there.values())
    assert found["case"] == there["case"]
