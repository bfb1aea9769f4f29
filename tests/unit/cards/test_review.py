from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from finetune.artefacts.job import Artifact
from finetune.cards.review import newest_corpus, write_review
from finetune.errors import RecipeError, StoreError
from finetune.messages import available
from finetune.pipeline.store import Request, Store
from finetune.prepare.checking.checks import REASONS
from tests.support.problems import raises
from tests.support.results import prepare_result

LEFT_OUT = [
    {"card": "stories", "language": "wol_Latn", "reason": "duplicate", "where": "a.txt:2"},
    {"card": "other", "language": "wol_Latn", "reason": "empty", "where": "b.txt:1"},
    {"card": "stories", "language": "wol_Latn", "reason": "too-short", "where": "a.txt:9"},
]


def prepared(store: Store, *, key: str, texts: list[str]) -> Artifact:
    def build(workspace: Path) -> dict[str, Any]:
        lines = [json.dumps(e | {"text": t}) for e, t in zip(LEFT_OUT, texts, strict=True)]
        (workspace / "rejected.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return prepare_result(cards=["stories", "other"])

    request = Request(
        stage="prepare", key=key, name="r", content={}, inputs={}, lineage=None, resumable=False
    )
    return store.build(request, build)


def table(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.reader(stream))


@pytest.mark.parametrize("lang", available())
def test_a_speaker_gets_what_was_omitted_of_the_card(tmp_path: Path, lang: str) -> None:
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
    assert rows[0][2] == REASONS["duplicate"].about.in_language(lang)
    assert out.read_bytes().startswith(b"\xef\xbb\xbf")


def test_the_newest_corpus_is_shown(tmp_path: Path) -> None:
    """Of two prepared corpora with the card, the one finished last is taken."""
    store = Store(tmp_path / "store")
    prepared(store, key="b" * 16, texts=["1", "2", "3"])
    newest = prepared(store, key="a" * 16, texts=["4", "5", "6"])
    assert newest_corpus("stories", store).key == newest.key


def test_a_table_is_never_overwritten(tmp_path: Path) -> None:
    """A speaker's entries in a table survive the next call."""
    corpus = prepared(Store(tmp_path / "store"), key="k" * 16, texts=["1", "2", "3"])
    out = tmp_path / "out.csv"
    out.write_text("mine")
    with pytest.raises(RecipeError) as caught:
        write_review("stories", corpus, out, lang="en")
    assert caught.value.codes == ("already-exists",)
    assert out.read_text() == "mine"


def test_a_card_that_was_never_prepared_says_what_to_do(tmp_path: Path) -> None:
    """Without a prepared corpus the answer names the command that makes one."""
    with pytest.raises(RecipeError) as caught:
        newest_corpus("stories", Store(tmp_path / "store"))
    assert caught.value.codes == ("not-prepared",)


def test_a_damaged_list_is_named_and_no_table_is_written(tmp_path: Path) -> None:
    """With the command that makes the corpus again."""
    corpus = prepared(Store(tmp_path / "store"), key="k" * 16, texts=["a", "x", "b"])
    path = corpus.path / "rejected.jsonl"
    path.write_bytes(path.read_bytes().replace(b"stories", b"storiet", 1))
    with raises(StoreError, code="damaged-artefact", at=str(corpus.path)) as caught:
        write_review("stories", corpus, tmp_path / "out.csv", lang="en")
    facts = caught.value.problems[0].facts
    assert str(facts["files"]).startswith("rejected.jsonl: ")
    assert "--remove prepare/k" in str(facts["remedy"])
    assert not (tmp_path / "out.csv").exists()
