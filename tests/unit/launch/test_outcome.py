"""Exit records are written where possible, and do not cause failures."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from finetune.launch import outcome


@pytest.mark.parametrize("code", [0, 1, 2, 75])
def test_a_place_that_cannot_be_written_costs_the_note_and_not_the_work(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    code: int,
) -> None:
    """The exit code stays what it is, also of a clean stop, and a sentence states the reason."""
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file/below", Path("/proc/nothing")):
        assert outcome.note(code, "why", environment={outcome.VARIABLE: str(place)}) == code
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert outcome.VARIABLE in said
        assert str(code) in said


@pytest.mark.parametrize("rank", ["x", "²", "-1", "9" * 5000, ""])
def test_a_rank_that_is_no_number_is_noted_as_the_first(tmp_path: Path, rank: str) -> None:
    """The process ends because of it, and this is the reason that has to be noted."""
    environment = {outcome.VARIABLE: str(tmp_path / "new"), "RANK": rank}
    assert outcome.note(2, "RANK is no number", environment=environment) == 2
    (noted,) = outcome.read(tmp_path / "new")
    assert (noted.rank, noted.reason) == (0, "RANK is no number")


@pytest.mark.usefixtures("workdir")
def test_an_empty_variable_is_none(tmp_path: Path) -> None:
    """Nothing is written into the working folder."""
    assert outcome.note(75, environment={outcome.VARIABLE: ""}) == 75
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b"[]", b'{"rank": 1}', b"\xff", b"[" * 9999]
)
def test_a_damaged_note_is_none(tmp_path: Path, content: bytes) -> None:
    """The others are read; what this rank did not say is judged by the exit code."""
    environment = {outcome.VARIABLE: str(tmp_path), "RANK": "0"}
    assert outcome.note(75, "stopped", environment=environment) == 0
    (tmp_path / "rank-1.json").write_bytes(content)
    (tmp_path / "rank-2.json").mkdir()
    host = socket.gethostname()
    (found,) = outcome.read(tmp_path)
    assert (found.rank, found.exit_code, found.reason, found.host) == (0, 75, "stopped", host)
    assert found.peak_bytes is not None
    assert found.peak_bytes > 2**20
    assert found.cpu_seconds is not None
    assert found.cpu_seconds > 0
