"""The nightly program: its short form, its record, and the page that is made of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.nightly import mutations, page
from tests.nightly.long_tests import FILES
from tests.nightly.parts import PARTS, Part
from tests.nightly.record import ROOT, Failure, Outcome, Record, read_record, write_record
from tests.nightly.verdict import Verdict
from tests.support.every import assert_every


def failing(seed: int, count: int):
    """Every third trial has a problem; seed 5 is a program that fails itself."""
    for number in range(seed, seed + count):
        if number == 5:
            raise RuntimeError("no trial")
        yield Verdict(f"trial {number}", ("bad",) if number % 3 == 0 else ())


def outcome(**changes: object) -> Outcome:
    facts = {"name": "kills", "about": "x", "seed": 1, "commit": "abc", "asked": 9, "tried": 9}
    facts |= {
        "survived": 8,
        "start": "2026-01-01T00:00:00+00:00",
        "end": "2026-01-01T00:30:00+00:00",
    }
    return Outcome.model_validate(facts | changes)


def test_the_page_says_what_the_record_does() -> None:
    """docs/why/reliability.md is what `make reliability` makes of docs/why/reliability.json."""
    assert page.PAGE.read_text(encoding="utf-8") == page.page_of(read_record(page.RECORD))


def test_a_failure_is_on_the_page_with_its_seed() -> None:
    """Parts with problems can be repeated alone; parts not run are reported as such."""
    failure = Failure(seed=17, count=1, case="a|b", problems=("left <b>", "more"))
    made = page.page_of(Record(parts={"kills": outcome(failures=[failure])}))
    assert "| 17 | 1 | a\\|b | left &lt;b> (+1) |" in made
    assert "| 9 | 8 | 1 | `abc` | 1 | 2026-01-01T00:00 | 30 min |" in made
    assert made.count("| not run |") == len(PARTS) - 1


def test_every_part_has_a_function_and_a_number() -> None:
    """A row of the table can be run."""
    for part in PARTS:
        assert callable(part.load())
        assert sum(count for _, count in part.calls(0)) == part.count > 0


def test_every_file_with_nightly_tests_is_a_trial() -> None:
    """Trials that CI skips are run at night."""
    marked = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if "pytest.mark.nightly" in path.read_text("utf-8") and path.name != "test_nightly.py"
    }
    assert marked == set(FILES)


def test_every_mutation_can_be_planted() -> None:
    """Its line stands in its file once, what is planted compiles, and its tests are there."""

    def can_be_planted(name: str) -> None:
        mutation = mutations.MUTATIONS[name]
        compile(mutations.planted(mutation), mutation.file, "exec")
        assert [test for test in mutation.tests if not (ROOT / "tests" / test).exists()] == []

    assert_every(mutations.MUTATIONS, can_be_planted)


def test_calls_cover_every_trial_once() -> None:
    """Calls are of the size that a part wants, and the last one is what is left."""
    part = Part("x", "x", "tests.nightly.test_nightly:failing", count=7, short=0, at_once=3)
    assert part.calls(10) == [(10, 3), (13, 3), (16, 1)]
    assert part.calls(10, 2) == [(10, 2)]


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Nothing is lost on the way to the disk and back."""
    record = Record(parts={"kills": outcome()})
    write_record(record, tmp_path / "record.json")
    assert read_record(tmp_path / "record.json") == record
    assert read_record(tmp_path / "none.json") == Record()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_short_form_finds_nothing(tmp_path: Path) -> None:
    """A few trials of each part, in the program that the long form runs in: all survive."""
    out = tmp_path / "record.json"
    command = [sys.executable, "-m", "tests.nightly", "--out", str(out), "--short", "--jobs", "1"]
    done = subprocess.run(
        [*command, "--seed", "0"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = read_record(out).parts
    assert {n: o.tried for n, o in found.items()} == {p.name: p.short for p in PARTS if p.short}


@pytest.mark.slow
def test_a_trial_with_problems_fails_the_program_and_is_repeated_by_its_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, the problem and its seed in the output and in the record; a part whose program
    fails does not stop the others."""
    from tests.nightly import __main__ as program

    part = Part("failing", "x", "tests.nightly.test_nightly:failing", count=6, short=0, at_once=2)
    out = tmp_path / "record.json"
    assert program.main(["--out", str(out), "--seed", "1", "--jobs", "1"], parts=(part,)) == 1
    found = read_record(out).parts["failing"]
    assert (found.tried, found.survived) == (5, 3)  # one call of two ended early
    assert [(f.seed, f.count, f.case) for f in found.failures] == [
        (3, 2, "trial 3"),
        (5, 2, "the program of the trials failed"),
    ]
    assert "failing, seed 3, count 2: trial 3" in capsys.readouterr().out
