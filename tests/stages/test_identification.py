"""Language identification in the stage `prepare`."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import pytest

from finetune.artefacts.job import Job
from finetune.prepare.run import run
from tests.support.fasttext_file import write_model
from tests.support.prepare_job import HAUSA, PAIRS, make_card, make_job, pairs_card

ENGLISH = [
    f"The teacher wrote {n} long words on the wall and asked us to read them." for n in range(120)
]


def report(job: Job) -> dict[str, Any]:
    """Return what report.json says about languages."""
    facts = json.loads((job.workspace / "report.json").read_text("utf-8"))
    found: dict[str, Any] = facts["identification"]
    return found


def said(job: Job) -> str:
    """Return what was shown on the console, line ends as spaces."""
    out = job.console.out
    assert isinstance(out, io.StringIO)
    return " ".join(out.getvalue().split())


def made_up(letters: str, *, lines: int, seed: int) -> list[str]:
    """Return lines of made-up words of the letters."""
    dice = random.Random(seed)
    return [
        " ".join("".join(dice.choices(letters, k=dice.randint(2, 7))) for _ in range(8))
        for _ in range(lines)
    ]


def test_a_planted_english_line_is_found_and_kept(tmp_path: Path) -> None:
    """By default it is counted and shown with its place, and every text stays."""
    planted = ENGLISH[3]
    card = make_card(tmp_path, "hausa", "\n".join([*HAUSA[:60], planted, *HAUSA[60:]]))
    job = make_job(tmp_path, card)
    result = run(job)
    assert result["rejected"] == {}
    [row] = report(job)["table"]
    assert (row["claimed"], row["lines"], row["found"]) == ("hau_Latn", 121, {"eng_Latn": 1})
    [group] = report(job)["samples"]
    [sample] = group["samples"]
    assert sample["text"] == planted
    assert sample["where"].endswith(":61")
    assert "warning: hausa" not in said(job)
    page = (job.workspace / "report.html").read_text("utf-8")
    assert planted in page


def test_drop_leaves_it_out_with_its_reason(tmp_path: Path) -> None:
    """With `drop` the English and the Devanagari line are rejected, each readable, for why."""
    nagari = "".join(chr(code) for code in range(0x0905, 0x0939))
    card = make_card(tmp_path, "hausa", "\n".join([*HAUSA, ENGLISH[3], nagari]))
    job = make_job(tmp_path, card, identify={"action": "drop"})
    result = run(job)
    assert result["rejected"] == {"other-language": 1, "other-script": 1}
    lines = (job.workspace / "rejected.jsonl").read_text("utf-8").splitlines()
    texts = {entry["reason"]: entry["text"] for entry in map(json.loads, lines)}
    assert texts == {"other-language": ENGLISH[3], "other-script": nagari}


def test_a_card_that_is_much_something_else_is_warned_of(tmp_path: Path) -> None:
    """A fifth of English in a Hausa card gives a loud warning with the share."""
    card = make_card(tmp_path, "hausa", "\n".join([*HAUSA, *ENGLISH[:30]]))
    job = make_job(tmp_path, card)
    run(job)
    assert "warning: hausa: 30 of 150 texts (20.0%) declared hau_Latn look like" in said(job)


def test_a_language_that_none_covers_is_said_and_kept(tmp_path: Path) -> None:
    """No model knows Pulaar and nothing contrasts with it: "not covered", and nothing dropped."""
    lines = [*made_up("aɓɗeƴŋojkl", lines=60, seed=1), *ENGLISH[:60]]
    card = make_card(tmp_path, "pulaar", "\n".join(lines), languages=["fuc_Latn"])
    job = make_job(tmp_path, card, identify={"action": "drop"})
    result = run(job)
    assert result["rejected"] == {}
    found = report(job)
    [row] = found["table"]
    assert row["not_covered"] == row["lines"] == 120
    assert found["coverage"]["fuc_Latn"]["covered"] is False
    assert found["without_classifier"] == ["fuc_Latn"]
    assert "fuc_Latn: unsupported: no model covers it" in said(job)
    assert "none of its texts is rejected" in said(job)


def test_what_no_model_knows_is_learned_from_the_cards(tmp_path: Path) -> None:
    """A parallel card contrasts Pulaar with its English side; a stray English line is found."""
    pulaar = made_up("aɓɗeƴŋojkl", lines=120, seed=2)
    pairs = list(zip(ENGLISH, pulaar, strict=True))
    pairs[7] = (ENGLISH[7], "A man came to the door and said that they were all the same to him.")
    card = pairs_card(tmp_path, target="fuc_Latn", pairs=pairs)
    job = make_job(tmp_path, card, identify={"action": "drop"})
    result = run(job)
    assert result["rejected"] == {"other-language": 1}
    found = report(job)
    assert found["own_classifier"]["fuc_Latn"]["share"] > 0.95
    low, high = found["own_classifier"]["fuc_Latn"]["interval"]
    assert low < found["own_classifier"]["fuc_Latn"]["share"] <= high
    assert found["coverage"]["fuc_Latn"]["asked"][0] == "own texts"
    assert "held-out accuracy" in said(job)


def test_both_sides_of_a_pair_are_judged(tmp_path: Path) -> None:
    """Swapped sides are found on each: what claims English is Hausa, and the other way round."""
    pairs = [(h, e) for h, e in zip(HAUSA, ENGLISH, strict=True)]
    job = make_job(tmp_path, pairs_card(tmp_path, pairs=pairs))
    run(job)
    found = {row["claimed"]: row["found"] for row in report(job)["table"]}
    assert found["eng_Latn"]["hau_Latn"] > 100
    assert found["hau_Latn"]["eng_Latn"] > 100


def test_a_document_goes_whole_or_stays_whole(tmp_path: Path) -> None:
    """One English line in five leaves the document as it is; four in five drop all of it."""
    mostly = ["\n".join([*HAUSA[n : n + 4], ENGLISH[n]]) for n in range(0, 100, 4)]
    little = ["\n".join([HAUSA[n], *ENGLISH[n : n + 4]]) for n in range(0, 12, 4)]
    text = "".join(json.dumps({"t": t}) + "\n" for t in [*mostly, *little])
    card = make_card(tmp_path, "web", text, format="jsonl", columns={"text": "t"})
    as_they_are = {"repeated_lines": 0, "max_repetition": 1}
    job = make_job(tmp_path, card, identify={"action": "drop"}, text=as_they_are)
    result = run(job)
    assert result["rejected"] == {"other-language": len(little)}
    [row] = report(job)["table"]
    assert row["found"]["eng_Latn"] == len(mostly) + 4 * len(little)


def test_answers_of_a_conversation_are_judged(tmp_path: Path) -> None:
    """An English answer in a Hausa card is found; English questions are not judged."""
    answers = [*HAUSA[:100], ENGLISH[0]]
    chats = [
        {"m": [{"role": "user", "content": ENGLISH[n]}, {"role": "assistant", "content": a}]}
        for n, a in enumerate(answers)
    ]
    card = make_card(
        tmp_path,
        "chat",
        "".join(json.dumps(c) + "\n" for c in chats),
        kind="chat",
        format="jsonl",
        columns={"messages": "m"},
    )
    job = make_job(tmp_path, card)
    run(job)
    [row] = report(job)["table"]
    assert (row["lines"], row["found"]) == (101, {"eng_Latn": 1})


def test_off_looks_at_nothing(tmp_path: Path) -> None:
    """With `off` no model is loaded, and the report states nothing about languages."""
    job = make_job(tmp_path, pairs_card(tmp_path, pairs=PAIRS), identify={"action": "off"})
    run(job)
    assert report(job) is None
    assert "per line" not in said(job)


def test_phases_hold_out_what_dropping_leaves(tmp_path: Path) -> None:
    """A phase that reads another's corpora drops the same texts, and counts only its own."""
    first = make_card(tmp_path, "first", "\n".join([*HAUSA, ENGLISH[3]]))
    second = pairs_card(tmp_path)
    job = make_job(tmp_path, phases=[[first], [second]], identify={"action": "drop"})
    result = run(job)
    assert result["rejected"]["other-language"] == 1
    assert {row["card"] for row in report(job)["table"]} == {"first"}


def test_a_model_of_the_user_is_named_without_its_path(tmp_path: Path) -> None:
    """The report names the file and the first digits of its checksum, never where it lies."""
    pytest.importorskip("fasttext", reason="the extra `fasttext` is not installed")
    path = tmp_path / "somewhere" / "mine.bin"
    path.parent.mkdir()
    words = {"__label__fuc_Latn": ["jam"], "__label__eng_Latn": ["the", "on", "long"], "??": ["x"]}
    sha256 = write_model(path, words)
    card = make_card(
        tmp_path,
        "pulaar",
        "\n".join([*(f"jam jam jam jam jam jam jam {n}" for n in range(120)), ENGLISH[0]]),
        languages=["fuc_Latn"],
    )
    models = [{"fasttext": str(path), "sha256": sha256}]
    job = make_job(tmp_path, card, identify={"models": models})
    run(job)
    found = report(job)
    [model] = found["models"]
    assert model["name"] == "mine.bin"
    assert model["version"].startswith(sha256[:12])
    assert model["unknown_labels"] == ["??"]
    assert found["table"][0]["found"] == {"eng_Latn": 1}
    assert "somewhere" not in json.dumps(found)
