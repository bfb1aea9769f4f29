from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from finetune.artefacts.job import Artifact
from finetune.cards.review import newest_corpus, write_review
from finetune.errors import RecipeError
from finetune.pipeline.store import Request, Store

LEFT_OUT = [
    {"card": "stories", "language": "wol_Latn", "reason": "duplicate", "where": "a.txt:2"},
    {"card": "other", "language": "wol_Latn", "reason": "empty", "where": "b.txt:1"},
    {"card": "stories", "language": "wol_Latn", "reason": "too-short", "where": "a.txt:9"},
]


def prepared(store: Store, *, key: str, texts: list[str]) -> Artifact:
    def build(workspace: Path) -> dict[str, list[str]]:
        lines = [json.dumps(e | {"text": t}) for e, t in zip(LEFT_OUT, texts, strict=True)]
        (workspace / "rejected.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return {"cards": ["stories", "other"]}

    request = Request(
        stage="prepare", key=key, name="r", content={}, inputs={}, lineage=None, resumable=False
    )
    return store.build(request, build)


def table(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.reader(stream))


@pytest.mark.parametrize(("lang", "why"), [("en", "same text"), ("fr", "même texte")])
def test_a_speaker_gets_what_was_left_out_of_the_card(tmp_path: Path, lang, why) -> None:
    """The table holds the card's texts only, with place and reason in words, safe to open."""
    corpus = prepared(Store(tmp_path / "store"), key="k" * 16, texts=["=SUM(A1)", "x", "Nanga"])
    out = tmp_path / "out.csv"
    assert write_review("stories", corpus, out, lang=lang) == 2
    header, *rows = table(out)
    assert header[-1].endswith("?")
    assert [(row[1], row[3], row[4]) for row in rows] == [
        ("a.txt:2", "'=SUM(A1)", ""),
        ("a.txt:9", "Nanga", ""),
    ]
    assert why in rows[0][2]
    assert out.read_bytes().startswith(b"\xef\xbb\xbf")


def test_the_newest_corpus_is_shown(tmp_path: Path) -> None:
    """Of two prepared corpora with the card, the one finished last is taken."""
    store = Store(tmp_path / "store")
    prepared(store, key="b" * 16, texts=["1", "2", "3"])
    newest = prepared(store, key="a" * 16, texts=["4", "5", "6"])
    assert newest_corpus("stories", store).key == newest.key


def test_a_table_is_never_overwritten(tmp_path: Path) -> None:
    """What a speaker has written into a table is not lost to the next call."""
    corpus = prepared(Store(tmp_path / "store"), key="k" * 16, texts=["1", "2", "3"])
    out = tmp_path / "out.csv"
    out.write_text("mine")
    with pytest.raises(RecipeError, match="is there already"):
        write_review("stories", corpus, out, lang="en")
    assert out.read_text() == "mine"


def test_a_card_that_was_never_prepared_says_what_to_do(tmp_path: Path) -> None:
    """Without a prepared corpus the answer names the command that makes one."""
    with pytest.raises(RecipeError, match="finetune prepare"):
        newest_corpus("stories", Store(tmp_path / "store"))
