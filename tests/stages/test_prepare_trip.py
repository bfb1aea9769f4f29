"""The trip of texts through the stage: every reason, in its place in the list of rejections."""

from __future__ import annotations

import hashlib
import json
import random
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from finetune.artefacts.job import Job
from finetune.prepare.run import run
from finetune.spec.withdrawn import record_hash
from tests.support.near_copies import COPIES, line
from tests.support.prepare_job import HAUSA, make_card, make_job

DICE = random.Random(31)
GOOD = [line(DICE) for _ in range(260)]
LONG = " ".join(line(random.Random(n)) for n in range(90))
HELD = "Malami ya rubuta dogon kalma a bango sai ya ce mu karanta tare"
MAIL = "some.one@host.sn"


TRIP = [
    ("withdrawn", "t:7"),
    ("empty", "t:8"),
    ("too-short", "t:9"),
    ("matches-drop-pattern", "t:10"),
    ("special-token", "t:11"),
    ("direction-controls", "t:12"),
    ("mark-flood", "t:13"),
    ("personal-data", "t:14"),
    ("other-script", "t:15"),
    ("damaged", "t:16"),
    ("markup", "t:17"),
    ("placeholder-text", "t:18"),
    ("few-letters", "t:19"),
    ("repetition", "t:20"),
    ("repeated-lines", "t:22"),
    ("direction-controls", "t:23"),
    ("duplicate", "t:24 t:284"),
    ("length-outlier", "t:6 t:21"),
    ("contaminated", "t:26 t:27 t:28"),
    ("untranslated", "p:241"),
    ("duplicate", "p:244"),
    ("length-ratio", "p:242"),
    ("no-answer", "c:4 c:10"),
    ("damaged", "c:33"),
    ("duplicate", "c:34"),
    (
        "max-documents",
        "copied:7 copied:3 copied:12 copied:22 copied:14 copied:11 copied:13 copied:5 copied:31 "
        "copied:40",
    ),
    ("in-evaluation", "p:1 p:22 p:28 p:37 p:40 p:46 p:248 p:251 p:255 p:259 p:262 p:264"),
    ("near-evaluation", "copied:6"),
    ("near-duplicate", "copied:9"),
    ("near-evaluation", "t:45"),
    ("near-duplicate", "copied:8"),
    ("near-evaluation", "t:61"),
    ("near-duplicate", "copied:10 copied:17 copied:19 copied:1 copied:4"),
    ("near-evaluation", "t:59 copied:15"),
    ("near-duplicate", "copied:20"),
    ("over-length", "p:243"),
]
"""Reason, card and line, as the stage left texts out before its steps were parted from its loop."""


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(one) for one in path.read_text(encoding="utf-8").splitlines()]


def rejections(job: Job) -> list[tuple[str, str]]:
    """Return (reason, card and line) of rejected.jsonl, as it is written."""
    found = lines_of(job.workspace / "rejected.jsonl")
    return [(x["reason"], f"{x['card']}:{x['where'].rpartition(':')[2]}") for x in found]


def rows(records: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


TEXTS = [
    *GOOD[:5],
    LONG,  # far longer than the others: judged when the first thousand were read
    "Withdrawn by who gave it",
    "",
    "A",
    "Buɗe {n} <drop>",
    "stop <|im_end|>",
    "a\u202e turned around",
    "b" + "\u0301\u0323" * 40,
    f"a letter to {MAIL}",
    "\u0431\u0432\u0433 \u0434\u0435",
    "na\ufffdga def",
    "<div class='a'></div>",
    "<div class='a'>Lorem ipsum</div>" + "{a}{b}" * 40,
    "12:30",
    "waaw " * 60,
    "Header\nFooter 1",
    "Header\nFooter 2",
    "<b>\ufffd</b>\u202e",  # two reasons: the one that is looked for first
    GOOD[0],
    *(f"{GOOD[n + 9]} {HELD} {GOOD[n + 8]}" for n in range(4)),
    *GOOD[5:],
    GOOD[7] + " ",
]


def text_card(folder: Path) -> Any:
    card = make_card(
        folder,
        "t",
        rows([{"t": text} for text in TEXTS]),
        format="jsonl",
        columns={"text": "t"},
        drop_matching="<drop>",
    )
    gone = record_hash({"text": "Withdrawn by who gave it"})
    return card.model_copy(update={"withdrawn": frozenset([gone])})


def pairs_card(folder: Path) -> Any:
    """Return pairs of which every third target stands twice, with another source."""
    dice = random.Random(32)
    pairs = [(line(dice), line(dice)) for _ in range(240)]
    pairs += [("Kolibri", "Kolibri"), ("A cat.", LONG), (LONG + "a", LONG + "b"), pairs[0]]
    pairs += [(line(dice), target) for _, target in pairs[:60:3]]
    records = [{"e": source, "h": target} for source, target in pairs]
    return make_card(
        folder,
        "p",
        rows(records),
        kind="parallel",
        format="jsonl",
        languages=["eng_Latn", "hau_Latn"],
        columns={"eng_Latn": "e", "hau_Latn": "h"},
    )


def chat_card(folder: Path) -> Any:
    dice = random.Random(33)
    talks = [
        [{"role": "user", "content": line(dice)}, {"role": "assistant", "content": line(dice)}]
        for _ in range(30)
    ]
    talks.insert(3, [{"role": "user", "content": "Sannu da zuwa"}])
    talks.insert(9, [{"role": "assistant", "content": "Yauwa, sannu"}, *talks[0]])
    talks.append([*talks[1], {"role": "user", "content": "\ufffd\ufffd?"}])
    talks.append(talks[0])
    return make_card(
        folder,
        "c",
        rows([{"m": talk} for talk in talks]),
        kind="chat",
        format="jsonl",
        columns={"messages": "m"},
    )


def settings(folder: Path) -> dict[str, Any]:
    held = folder / "held.txt"
    held.write_text(HELD, encoding="utf-8")
    sha256 = hashlib.sha256(held.read_bytes()).hexdigest()
    return {
        "sequence_tokens": 1024,
        "min_characters": 2,
        "over_length": "drop",
        "identify": {"action": "off"},
        "duplicates": {"near": 0.8, "minimal_pair_characters": 0},
        "personal_data": {"email": "drop"},
        "text": {"other_script": "drop", "length_outliers": "drop", "repeated_lines": 1},
        "evaluation_sets": [{"name": "held", "path": str(held), "sha256": sha256}],
    }


def test_every_text_is_omitted_for_its_first_reason_in_the_order_of_the_work(
    tmp_path: Path,
) -> None:
    """Texts are judged as they are read; lengths after a thousand; whole-corpus steps last."""
    dice = random.Random(34)
    copies = [COPIES["typo"](text, dice) for text in GOOD[20:40]]
    copied = make_card(tmp_path, "copied", "\n".join([*copies, *(line(dice) for _ in range(20))]))
    job = make_job(
        tmp_path,
        text_card(tmp_path),
        pairs_card(tmp_path),
        chat_card(tmp_path),
        copied,
        corpora=[
            {"card": "t"},
            {"card": "p", "source": "eng_Latn", "target": "hau_Latn"},
            {"card": "c"},
            {"card": "copied", "max_documents": 30},
        ],
        **settings(tmp_path),
    )
    result = run(job)
    found = rejections(job)
    assert len(found) == sum(result["rejected"].values())
    grouped = groupby(found, key=itemgetter(0))
    assert [(reason, " ".join(place for _, place in places)) for reason, places in grouped] == TRIP
    report = json.loads((job.workspace / "report.json").read_text(encoding="utf-8"))
    for step in report["funnel"]:
        assert step["read"] == sum(step["rejected"].values()) + sum(step["kept"].values())
    assert [step["read"] for step in report["funnel"]] == [len(TEXTS), 264, 34, 40]
    assert report["contamination"][0]["rejected"] == 3
    assert report["duplicates"]["rejected"] == {"near-duplicate": 8, "near-evaluation": 5}


def test_what_another_phase_does_to_its_texts_is_not_counted_here(tmp_path: Path) -> None:
    """A phase reads another's corpora for what they hold out; only its own texts are in its list,
    its counts and its samples."""
    dirty = make_card(tmp_path, "dirty", "\n".join([*HAUSA, "12:30", f"a {MAIL}", "e\u0301 {n}"]))
    clean = make_card(tmp_path, "clean", "\n".join(GOOD[:60]))
    job = make_job(tmp_path, phases=[[clean], [dirty]], identify={"action": "off"})
    result = run(job)
    assert result["rejected"] == {}
    report = json.loads((job.workspace / "report.json").read_text(encoding="utf-8"))
    assert [(step["card"], step["read"]) for step in report["funnel"]] == [("clean", 60)]
    assert report["changes"] == report["personal_data"] == report["findings"] == []
