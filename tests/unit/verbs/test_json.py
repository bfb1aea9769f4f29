"""Lines of --json are those that docs/reference/json.md describes."""

from __future__ import annotations

import io
import json
import re
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from finetune.cli import main
from finetune.cluster.chain.chain import Submission, append_submission, now
from finetune.output.console import SCHEMA
from finetune.verbs import VERBS
from tests.support.chain_by_hand import KEYS, write_chain_by_hand
from tests.support.every import assert_every
from tests.support.fake_slurm import FakeSlurm
from tests.support.project import write_project

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/reference/json.md").read_text(encoding="utf-8")
TYPES = {
    "text": str,
    "whole": int,
    "number": (int, float),
    "flag": bool,
    "list": list,
    "map": dict,
    "null": type(None),
}
R = "recipes/tiny.yaml"
STAGES = (
    *("fetch", "prepare", "train", "evaluate", "release", "run", "bundle", "report"),
    "reproduce",
)
AGAIN = (
    *(".finetune/hub/org/tiny-lora", "--into", "again"),
    *("--files", "model", "--files", "data_cards"),
)
LINES = [
    ["init", "new", "--language", "wol_Latn", "--text", "t.txt", "--licence", "mit"],
    ["check", R, "--site", "site.yaml"],
    ["plan", R],
    ["fetch", R],
    ["estimate", R],
    ["prepare", R],
    ["train", R],
    ["evaluate", R],
    ["judge", "build", R],
    ["judge", "collect", "t.txt"],
    ["release", R],
    ["run", R],
    ["runs", "--verify"],
    ["runs"],
    ["report", R],
    ["credits", R],
    ["publish", R, "--dry-run"],
    ["publish", R],
    ["reproduce", *AGAIN, "--dry-run"],
    ["reproduce", *AGAIN],
    ["translate", R, "t.txt", "-o", "t.hau.txt"],
    ["export", R, "--format", "merged", "-o", "merged"],
    ["compose", f"one={R}", f"two={R}", "-o", "composed"],
    ["cards", "list"],
    ["cards", "check"],
    ["cards", "catalogue", "pages"],
    ["cards", "review", "lines", "review.csv"],
    ["cards", "fingerprint", "t.txt", "--out", "t.fingerprint"],
    ["cards", "publish", "lines", "--repo", "org/lines", "--dry-run"],
    ["cards", "publish", "lines", "--repo", "org/lines"],
    ["cards", "withdraw", "lines", "--dry-run", "--in", "pages"],
    ["cards", "new", "t.txt", "--language", "wol_Latn"],
    ["cards", "update", "lines"],
    ["tokenizer", "audit", "--text", "t.txt", "--base", "model"],
    ["advise", "--card", "lines", "--base", R],
    ["submit", R, "--site", "site.yaml", "--dry-run"],
    ["submit", R, "--site", "site.yaml", "--sweep", "lora.rank=2,3", "--dry-run"],
    ["doctor"],
    ["bundle", R, "-o", "bundle", "--without-wheels"],
    ["unbundle", "bundle", "--store", "other", "--into", "work"],
    ["status"],
    ["logs", "train"],
    ["cancel"],
    ["report", "--sweep"],
    ["runs", "--remove", "release/none"],
    ["check", "nothing.yaml"],
]
OTHER_OUTPUT = {"attempt", "schema", "chat", "resubmit"}
"""Text for programs, input from a person, and what needs a queue (tests/cluster)."""


def rows_of(heading: str) -> list[list[str]]:
    """Return the rows of the tables under a heading, without code marks."""
    text = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| `") or "| every" in line]
    return [[cell.strip().strip("`") for cell in line.split("|")[1:-1]] for line in lines]


def fits(value: Any, types: str) -> bool:
    named = [TYPES[word] for word in re.split(r", | or ", types)]
    return any(
        isinstance(value, kind) and (kind is bool or not isinstance(value, bool)) for kind in named
    )


def is_documented(verb: str, record: dict[str, Any]) -> None:
    """Assert that a record has the fields of the page, with their types."""
    assert record.pop("schema") == SCHEMA
    kind = record.pop("record")
    if kind == "row":
        fields = {f: t for table, f, t, _ in rows_of("Tables") if table == record["table"]}
        assert set(record) - {"table"} == set(fields)
    elif kind == "error":
        fields = {field: types for field, types, _ in rows_of("Errors")}
        assert set(record) <= set(fields)
        for problem in record["problems"]:
            assert set(problem) == set(fields) - {"kind", "exit_code", "problems"}
            assert all(fits(value, fields[name]) for name, value in problem.items())
    elif kind == "progress":
        fields = {field: types for field, types, _ in rows_of("Progress")}
    else:
        known = {verb, "every stage", *(("cards check",) if verb == "cards new" else ())}
        known |= {"prepare", "train", "evaluate", "run"} if verb in STAGES else set()
        fields = {f: t for name, f, t, _ in rows_of("Messages") if name in known}
        fields["message"] = "text"
    patterns = {re.compile(name.replace("METRIC", "[a-z_]+")): t for name, t in fields.items()}
    wrong = {
        name: value
        for name, value in record.items()
        if name != "table"
        and not any(p.fullmatch(name) and fits(value, t) for p, t in patterns.items())
    }
    assert wrong == {}


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """Return (verb, line of JSON) of every verb, run in one small project."""
    lines: list[tuple[str, str]] = []
    folder = tmp_path_factory.mktemp("json")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, value in FakeSlurm(tmp_path_factory.mktemp("slurm")).environment().items():
            patch.setenv(name, value)
        write_project(folder)
        Path("t.txt").write_text("benn ñaar\nñett ñeent\n" * 60, encoding="utf-8")
        Path("site.yaml").write_text("name: here\ndescription: A cluster.\n")
        for words in LINES:
            if words == ["status"]:
                chain = write_chain_by_hand(folder / ".finetune", steps=8)
                for name in KEYS:
                    append_submission(chain, Submission(name, "7", now()))
                chain.log_path("train", "7").write_text("step 1\n")
            if words == ["reproduce", *AGAIN]:  # as if it had been made again already
                Path("again/store").symlink_to(Path(".finetune").resolve())
            verb = " ".join(words[:2]) if words[0] in ("cards", "judge", "tokenizer") else words[0]
            out = io.StringIO()
            with redirect_stdout(out), redirect_stderr(io.StringIO()):
                main([*words, "--json"])
            lines += [(verb, line) for line in out.getvalue().splitlines()]
    return lines


def test_every_line_is_an_object_that_the_page_describes(printed: list[tuple[str, str]]) -> None:
    """Of every verb: fields and types, and nothing that is no JSON."""
    assert_every(
        printed,
        lambda line: is_documented(line[0], json.loads(line[1])),
        name=lambda line: f"{line[0]}: {line[1][:300]}",
    )


def test_every_verb_is_run(printed: list[tuple[str, str]]) -> None:
    """A new verb needs a line above, or a reason why it has none."""
    run = {verb.partition(" ")[0] for verb, _ in printed}
    assert run | OTHER_OUTPUT == set(VERBS)


def test_numbers_are_no_text(printed: list[tuple[str, str]]) -> None:
    """No field but those for people holds digits with a unit or a separator."""
    shown = {"message", "reason", "cost", "why", "found", "source", "error", "advice", "script"}
    values = [
        (verb, name, value)
        for verb, line in printed
        for name, value in json.loads(line).items()
        if isinstance(value, str) and name not in shown
    ]
    units = re.compile(r"^[-+]?\d[\d,. ]*( ?(%|MiB|GiB|kB|MB|s|min|h))?$")
    assert [one for one in values if units.match(one[2]) and one[1] not in ("job_id", "key")] == []
