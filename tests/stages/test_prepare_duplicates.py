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
LONG = [pytest.mark.nightly, pytest.mark.timeout(900)]


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


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("To see the next exercise, click on the arrow at the side of the page: left", "right"),
        ("Qui a gagné la coupe du monde de football des hommes en France en 1998", "2002"),
        ("En quelle année le savant et homme politique Cheikh Anta Diop est-il né", "mort"),
    ],
)
def test_minimal_pairs_stay_in_training_and_leave_with_the_test(
    tmp_path: Path, one: str, other: str
) -> None:
    """Both texts of a minimal pair are trained on and counted; beside a held-out twin one goes."""
    other = " ".join([*one.split(" ")[:-1], other])
    rng = random.Random(8)
    texts = [line(rng) for _ in range(60)]
    for side in ("train", "test"):
        number = next(n for n in range(10_000) if split(f"{one}{'.' * n}") == side)
        first = f"{one}{'.' * number}"
        number = next(n for n in range(10_000) if split(f"{other}{'.' * n}") == "train")
        second = f"{other}{'.' * number}"
        folder = tmp_path / side
        folder.mkdir()
        card = make_card(folder, "text", "\n".join([first, *texts, second]))
        job = make_job(folder, card, duplicates=NEAR)
        run(job)
        gone = [(r["reason"], r["text"]) for r in rejected(job.workspace)]
        facts = json.loads((job.workspace / "report.json").read_text(encoding="utf-8"))
        assert gone == ([] if side == "train" else [("near-evaluation", second)])
        assert facts["duplicates"]["minimal_pairs"] == (side == "train")
        if side == "train":
            [sample] = facts["duplicates"]["minimal_pair_samples"]
            assert (sample["one"]["text"], sample["other"]["text"]) == (first, second)


def test_a_pair_is_a_copy_only_if_both_sides_are(tmp_path: Path) -> None:
    """Two near translations of two questions that differ by a word are two pairs."""
    rng = random.Random(9)
    base = [(line(rng), line(rng)) for _ in range(60)]
    source = made(rng, wanted="train")
    target = line(rng)
    near_target = COPIES["typo"](target, rng)
    other = next(
        text
        for text in iter(lambda: COPIES["word"](source, rng), None)
        if split(text) == "train" and near(text, source) >= 0.8
    )
    pairs = [*base, (source, target), (other, near_target)]
    for characters, gone in ((200, 0), (0, 1)):
        folder = tmp_path / str(characters)
        folder.mkdir()
        job = make_job(
            folder,
            pairs_card(folder, pairs=pairs),
            duplicates=NEAR | {"minimal_pair_characters": characters},
        )
        assert run(job)["rejected"].get("near-duplicate", 0) == gone


def test_off_keeps_every_copy_that_is_not_exact(tmp_path: Path) -> None:
    """With `near: off` only exact duplicates go."""
    rng = random.Random(5)
    texts = [line(rng) for _ in range(60)]
    copies = [COPIES["typo"](text, rng) for text in texts]
    card = make_card(tmp_path, "text", "\n".join([*texts, *copies]))
    assert run(make_job(tmp_path, card, duplicates={"near": "off"}))["rejected"] == {}


@pytest.mark.parametrize(
    "lines_in_all", [pytest.param(3_000, marks=pytest.mark.slow), pytest.param(100_000, marks=LONG)]
)
def test_planted_copies_are_found_among_many_lines(tmp_path: Path, lines_in_all: int) -> None:
    """Of the copies that are near by definition 98 % are found (90 % of typing errors, since some
    make another word), each removed text is near something that was kept, and a text with another
    word stays beside the first one in training."""
    rng = random.Random(6)
    originals = [line(rng) for _ in range(lines_in_all * 9 // 10)]
    planted = {}
    for number, kind in enumerate(sorted(COPIES) * (lines_in_all // 50)):
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
    pairs = [(pair, original) for pair, (kind, original) in planted.items() if kind == "word"]
    training = [pair for pair in pairs if {split(text) for text in pair} == {"train"}]
    assert sum(not gone.isdisjoint(pair) for pair in training) <= 0.15 * len(training)
    assert found["typo"] >= 0.9 * there["typo"]
    for kind in ("word", "typo"):
        del found[kind], there[kind]
    assert sum(found.values()) >= 0.98 * sum(there.values())
    assert found["case"] == there["case"]
