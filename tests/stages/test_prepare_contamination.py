"""No text of an evaluation set is trained on, whichever way it got into the corpus."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.cli import main
from finetune.errors import DataError
from finetune.prepare.overlap.fingerprints import (
    Fingerprint,
    fingerprint_of,
    read_fingerprint,
    texts_of_file,
    write_fingerprint,
)
from finetune.prepare.reading.document import split_of, text_id
from finetune.prepare.run import run
from tests.support.near_copies import COPIES, line, word
from tests.support.prepare_job import make_card, make_job, pairs_card
from tests.support.problems import raises

LONG = [pytest.mark.nightly, pytest.mark.timeout(900)]


def entry(path: Path, name: str = "held", **other: Any) -> dict[str, Any]:
    """Return the recipe's lines for an evaluation file."""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"name": name, "path": str(path), "sha256": sha256, **other}


def rejected(workspace: Path, reason: str = "contaminated") -> set[str]:
    lines = (workspace / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(one) for one in lines]
    return {one["text"] for one in found if one["reason"] == reason}


def trained(text: str) -> bool:
    return split_of(text_id(text), validation_share=0.2, test_share=0.2) != "test"


@pytest.fixture(params=["text", "fingerprint"])
def held(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[list[str], dict[str, Any]]:
    """Forty sentences that must not be trained on, as text and as fingerprints."""
    rng = random.Random(11)
    texts = [line(rng) for _ in range(40)]
    file = tmp_path / "held.txt"
    file.write_text("\n".join(texts), encoding="utf-8")
    if request.param == "text":
        return texts, entry(file)
    out = tmp_path / "held.fingerprint"
    write_fingerprint(fingerprint_of(texts_of_file(file, columns=[])), out)
    return texts, entry(out)


def test_held_sentences_are_found_whole_inside_and_in_part(tmp_path: Path, held: Any) -> None:
    """Copies, sentences within a document, with a word changed, and three quarters of one go;
    everything else stays, and sentences met and texts removed are counted."""
    texts, sets = held
    rng = random.Random(12)
    planted = [
        texts[0].upper(),
        f"{line(rng)} {texts[1]} {line(rng)}",
        COPIES["word"](texts[2], rng),
        texts[3][: 3 * len(texts[3]) // 4],
    ]
    planted = [text if trained(text) else f"{text} {word(rng)}" for text in planted]
    planted = [text for text in planted if trained(text)]
    good = [line(rng) for _ in range(200)]
    near = [f"{texts[4][:30]} {line(rng)}" for _ in range(3)]  # three words in common
    card = make_card(tmp_path, "text", "\n".join([*good, *planted, *near]))
    job = make_job(tmp_path, card, evaluation_sets=[sets])
    result = run(job)
    assert len(planted) >= 3
    assert rejected(job.workspace) == set(planted)
    assert result["rejected"]["contaminated"] == len(planted)
    [facts] = json.loads((job.workspace / "report.json").read_text("utf-8"))["contamination"]
    assert (facts["texts"], facts["met"], facts["rejected"]) == (40, len(planted), len(planted))


def test_either_side_of_a_pair_is_enough(tmp_path: Path) -> None:
    """A pair goes if its translation, or only its source, stands in a set: every language side."""
    rng = random.Random(13)
    pairs = [(line(rng), line(rng)) for _ in range(120)]
    file = tmp_path / "sides.tsv"
    first = next(pair for pair in pairs if trained(pair[0]))
    second = next(pair for pair in reversed(pairs) if trained(pair[0]))
    file.write_text(f"eng\thau\n{first[0]}\t{line(rng)}\n{line(rng)}\t{second[1]}\n", "utf-8")
    sets = entry(file, columns=["eng", "hau"])
    job = make_job(tmp_path, pairs_card(tmp_path, pairs=pairs), evaluation_sets=[sets])
    run(job)
    assert rejected(job.workspace) == {"\n".join(first), "\n".join(second)}


def test_a_short_sentence_counts_only_as_a_whole(tmp_path: Path) -> None:
    """`Na gode` in a set takes away the text `NA GODE!`, and no sentence that holds it."""
    rng = random.Random(14)
    file = tmp_path / "short.txt"
    file.write_text("Na gode sosai\n", "utf-8")
    texts = [line(rng) for _ in range(100)] + [f"{line(rng)} na gode sosai {n}" for n in range(9)]
    card = make_card(tmp_path, "text", "\n".join([*texts, "NA gode, sosai!"]))
    job = make_job(
        tmp_path, card, evaluation_sets=[entry(file)], test_share=0.01, validation_share=0.2
    )
    run(job)
    assert rejected(job.workspace) == {"NA gode, sosai!"}


@given(st.lists(st.text(alphabet="ab\u0915\u094d\u0639\U0001e922 .", max_size=40), max_size=8))
def test_a_fingerprint_counts_the_n_grams_of_its_texts(texts: list[str]) -> None:
    """Every n-gram belongs to one text, whatever the script; texts without a letter have none."""
    found = fingerprint_of(iter(texts))
    assert int(found.counts_N.sum()) == len(found.grams_G)
    assert found.texts <= len(texts)


def test_a_fingerprint_file_survives_and_damage_is_noticed(tmp_path: Path) -> None:
    """A written file is read back; a truncated, lengthened or foreign file is refused in words."""
    path = tmp_path / "a.fingerprint"
    found = fingerprint_of(iter([line(random.Random(n)) for n in range(20)]))
    write_fingerprint(found, path)
    again: Fingerprint = read_fingerprint(path)
    assert again.counts_N.tolist() == found.counts_N.tolist()
    assert again.grams_G.tolist() == found.grams_G.tolist()
    data = path.read_bytes()
    header = b'{"format": "finetune-fingerprint", "version": 3, "gram": 16, '
    for broken, code in (
        (data[:-1], "damaged-fingerprint"),
        (data + b"x", "damaged-fingerprint"),
        (b"no\n", "no-fingerprint"),
        (data.replace(b'"version": 3', b'"version": 1'), "fingerprint-of-other-version"),
        (header + b'"texts": 99999999999999, "grams": 1}\n', "damaged-fingerprint"),
        (header + b'"texts": -1, "grams": 0}\n', "damaged-fingerprint"),
    ):
        path.write_bytes(broken)
        with raises(DataError, code=code, at="a.fingerprint"):
            read_fingerprint(path)


@pytest.mark.parametrize(
    ("content", "columns", "at", "code"),
    [
        ("x\ty\n1\t2\n", ["z"], "a.tsv:1", "no-column-of-set"),
        ('{"x": 1}\n[', ["x"], "a.jsonl:2", "not-json"),
        ('{"x": "b"}\n', ["y"], "a.jsonl:1", "no-field"),
        (b"\xff\xfe\xfa", [], "a.txt:1", "wrong-encoding"),
    ],
)
def test_a_set_that_cannot_be_read_says_where(
    tmp_path: Path, content: str | bytes, columns: list[str], at: str, code: str
) -> None:
    """Wrong columns, broken JSON and other encodings are answered with file and line."""
    path = tmp_path / at.partition(":")[0]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with raises(DataError, code=code, at=at):
        list(texts_of_file(path, columns=columns))


@pytest.mark.usefixtures("workdir")
def test_the_verb_makes_a_fingerprint_and_says_how_to_use_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`cards fingerprint` writes a file without any text of the set, prints its checksum, and
    refuses a table without columns."""
    Path("a.tsv").write_text("eng\twol\nthe teacher is here\tjàngalekat baa ngi fi\n", "utf-8")
    out = ["--out", "a.fingerprint"]
    assert main(["cards", "fingerprint", "a.tsv", *out]) == 2
    assert "--column" in capsys.readouterr().err
    assert main(["cards", "fingerprint", "a.tsv", "--column", "eng", "--column", "wol", *out]) == 0
    data = Path("a.fingerprint").read_bytes()
    assert hashlib.sha256(data).hexdigest() in capsys.readouterr().out
    assert b"teacher" not in data
    assert read_fingerprint(Path("a.fingerprint")).texts == 2
    assert main(["cards", "fingerprint", "a.tsv", "--column", "eng", *out]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    "lines_in_all", [pytest.param(2_000, marks=pytest.mark.slow), pytest.param(100_000, marks=LONG)]
)
def test_planted_sentences_are_found_among_many_lines(tmp_path: Path, lines_in_all: int) -> None:
    """Of sentences planted whole, in a document, with a word or a letter changed, all are found,
    and nothing else is removed."""
    rng = random.Random(15)
    texts = [line(rng) for _ in range(max(200, lines_in_all // 50))]
    file = tmp_path / "held.txt"
    file.write_text("\n".join(texts), "utf-8")
    planted = [
        [text.upper(), f"{line(rng)} {text} {line(rng)}", COPIES["word"](text, rng)][n % 3]
        for n, text in enumerate(texts)
    ]
    good = [line(rng) for _ in range(lines_in_all - len(texts))]
    lines = [*good, *planted]
    rng.shuffle(lines)
    job = make_job(
        tmp_path,
        make_card(tmp_path, "text", "\n".join(lines)),
        evaluation_sets=[entry(file)],
        sequence_tokens=1024,
    )
    run(job)
    gone = rejected(job.workspace)
    there = {text for text in planted if trained(text)}
    print(f"found {len(gone & there)} of {len(there)}, wrongly {len(gone - there)}")
    assert len(gone & there) >= 0.999 * len(there)
    assert not gone - there
