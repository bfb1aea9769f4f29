"""A withdrawn sentence, followed through everything that was made of it, to zero."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import io
import json
import tarfile
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finetune.artefacts.credits.credit_file import read_credits
from finetune.artefacts.job import Artifact
from finetune.cli import main
from finetune.judge.new_campaign import Wanted, make_campaign
from finetune.verbs.data.cards.erasing import JUDGEMENTS
from tests.support.project import write_project
from tests.support.surroundings import Inside

RECIPE = "recipes/tiny.yaml"
SAID = 'Ƙofar "Zinariya" ta buɗe kafin asubahin Laraba, inji Hajiya & yayanta.'
LEARNED = "Sarkin noma Danjuma ya girbe dawa arba'in a gonar Rijiya jiya da yamma."
TRAINED = "Chief farmer Danjuma harvested forty loads of sorghum at Rijiya last evening."
PARTS = ("test", "train", "train", "train", "train")
ENGLISH = "The Zinariya gate opened before dawn on Wednesday, said Hajiya and her brothers."
TEXTS = (SAID, ENGLISH, LEARNED, TRAINED)


def forms_in_bytes(sentence: str) -> set[bytes]:
    """Return a sentence as bytes in every form that a file may hold it in."""
    forms = {sentence, unicodedata.normalize("NFD", sentence)}
    forms |= {json.dumps(form)[1:-1] for form in forms} | {
        json.dumps(form, ensure_ascii=False)[1:-1] for form in forms
    }
    forms |= {html.escape(form) for form in forms} | {form.replace("&", "&amp;") for form in forms}
    forms |= {form.replace("&", "\\u0026").replace('"', "\\u0022") for form in forms}
    plain = {form.encode() for form in forms} | {sentence.encode("utf-16-le")}
    plain |= {sentence.encode("ascii", "xmlcharrefreplace")}
    whole = sentence.encode()
    # of base64 the letters that do not depend on what stands before and after
    return plain | {base64.b64encode(b"x" * n + whole)[4:-4] for n in range(3)}


def contents(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what is in a file, and in what is packed in it."""
    yield name, data
    if data.startswith(b"\x1f\x8b"):
        yield from contents(f"{name}!", gzip.decompress(data))
    elif data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for inner in archive.namelist():
                yield from contents(f"{name}!{inner}", archive.read(inner))
    elif data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                file = archive.extractfile(member)
                if file is not None:
                    yield from contents(f"{name}!{member.name}", file.read())


def holding(root: Path, *sentences: str) -> set[str]:
    """Return the files below a folder that hold one of the sentences, found without the product."""
    wanted = {form for sentence in sentences for form in forms_in_bytes(sentence)}
    return {
        name
        for path in root.rglob("*")
        if path.is_file()
        for name, data in contents(path.relative_to(root).as_posix(), path.read_bytes())
        if any(form in data for form in wanted)
    }


def tops(names: set[str]) -> set[str]:
    """Return where files are: the folder in the store, or the first part of the path."""
    parts = [name.split("/") for name in names]
    return {p[1] if p[0] == ".finetune" else p[0].partition("!")[0] for p in parts}


def said_by(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    """Run a command with --json; return what it says."""
    capsys.readouterr()
    assert main([*words, "--json", "--lang", "en"]) == 0, capsys.readouterr()
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def write_with_sentence(root: Path) -> None:
    """Write a project in which Amina gave a pair of the test and one that is trained on.

    The catalogue and the judges see texts of a card that may be passed on.
    """
    recipe = write_project(root)
    text = recipe.read_text("utf-8").replace("generate_items: 4", "generate_items: 40")
    recipe.write_text(text.replace("sequence_tokens: 128", "sequence_tokens: 256"), "utf-8")
    rows = [(f"open door {n}", f"bude kofa {n} ƙ", "Musa", PARTS[n % 5]) for n in range(60)]
    rows[0:0] = [(ENGLISH, SAID, "Amina", "test"), (TRAINED, LEARNED, "Amina", "train")]
    text = "english\thausa\twho\tpart\n" + "".join("\t".join(row) + "\n" for row in rows)
    path, card = root / "data_cards/pairs.tsv", root / "data_cards/pairs.md"
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_text(text, "utf-8")
    facts = card.read_text().replace(before, hashlib.sha256(path.read_bytes()).hexdigest())
    facts = facts.replace(
        "hau_Latn: hausa}", "hau_Latn: hausa, contributor: who}\n  quotes: literal"
    )
    stated = "  personal_data: none-known\n  test: {column: part, value: test}\n  format: tsv"
    card.write_text(facts.replace("  format: tsv", stated))


def make_everything(capsys: pytest.CaptureFixture[str]) -> None:
    """Release, publish, judge, catalogue, bundle, publish the data set, report."""
    for words in (
        ("run", RECIPE),
        ("cards", "catalogue", "website"),
        ("cards", "publish", "pairs", "--repo", "org/pairs"),
        ("bundle", RECIPE, "-o", "to-cluster.tar.gz", "--without-wheels"),
        ("bundle", RECIPE, "-o", "to-disk", "--without-wheels"),
    ):
        said_by(capsys, *words)
    make_judge_page(Path.cwd())


def make_judge_page(root: Path) -> None:
    """Write the page for judges with outputs in place of the empty ones of an untrained model."""
    [path] = (root / ".finetune/evaluate").glob("*/generations.jsonl")
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    lines = [one | {"adapter": f"ee {n}", "base": f"ayi {n}"} for n, one in enumerate(lines)]
    copy = root.parent / "evaluate" / path.parent.name
    copy.mkdir(parents=True)
    (copy / path.name).write_text("".join(json.dumps(one) + "\n" for one in lines), "utf-8")
    evaluation = Artifact("evaluate", copy.name, copy, {})
    make_campaign(evaluation, Wanted(shared=["pairs"], with_reference=True), JUDGEMENTS / "tiny")


@pytest.mark.slow
def test_a_withdrawn_sentence_is_nowhere_in_the_end(
    tmp_path: Path, inside: Inside, capsys: pytest.CaptureFixture[str]
) -> None:
    """One person's texts are in corpus, evaluation, release, folder hub, judge page, catalogue,
    bundles and files of the card; after listing, erasing, editing the files and running again they
    are in none of them, in no form, and a file that another person wrote is untouched but named."""
    root = tmp_path / "work"
    root.mkdir()
    inside(root)
    write_with_sentence(root)
    make_everything(capsys)
    theirs = root / "website/notes.txt"
    theirs.write_text(SAID, "utf-8")
    full = holding(root, *TEXTS)
    everywhere = {"prepare", "evaluate", "release", "hub", "judgements", "website"}
    assert everywhere | {"to-cluster.tar.gz", "to-disk", "data_cards"} <= tops(full)

    words = ["cards", "withdraw", "pairs", "--contributor", "Amina"]
    words += ["--in", "website", "--in", "to-cluster.tar.gz", "--in", "to-disk"]
    listed = said_by(capsys, *words, "--dry-run")
    rows = {r["path"]: r for r in listed if r.get("table") == "erasure"}
    assert holding(root, *TEXTS) == full
    uncovered = [
        n for n in full if not any((root / n.partition("!")[0]).is_relative_to(p) for p in rows)
    ]
    assert uncovered == []

    erased = said_by(capsys, *words, "--erase")
    [left] = [r["left"] for r in erased if "left" in r]
    assert set(left) == {str(theirs), str(root / "data_cards/pairs.tsv")}
    assert holding(root, *TEXTS) == {"website/notes.txt", "data_cards/pairs.tsv"}
    step = (root / "data_cards/withdrawn/pairs.hub.md").read_text("utf-8")
    assert "org/tiny-lora" in step
    assert "super_squash_history" in step

    theirs.unlink()  # the person who wrote it
    table = root / "data_cards/pairs.tsv"
    lines = table.read_text("utf-8").splitlines(keepends=True)
    table.write_text("".join(line for line in lines if "Amina" not in line), "utf-8")
    said_by(capsys, "cards", "update", "pairs")
    said_by(capsys, "fetch", RECIPE)  # the lock: the card changed
    make_everything(capsys)
    assert holding(root, *TEXTS) == set()
    [trained] = (root / ".finetune/train").glob("*/manifest.json")
    [credited] = (root / ".finetune/release").glob("*/credits.csv")
    tokens = json.loads(trained.read_text("utf-8"))["result"]["supervised_tokens"]
    for by in ("card", "licence", "contributor"):
        rows_of = [row for row in read_credits(credited) if row.by == by]
        assert sum(row.supervised_tokens for row in rows_of) == tokens
        assert sum(row.hundredths for row in rows_of) == 10_000
