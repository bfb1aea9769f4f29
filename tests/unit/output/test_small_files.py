"""Small files of any origin."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from pydantic import BaseModel

from finetune.output.small_files import UnreadableError, parse_json, read_bytes, read_json


class _Facts(BaseModel):
    steps: int


@pytest.mark.parametrize("target", ["/dev/zero", "/dev/null", "/dev/tty"])
def test_a_link_to_a_device_is_refused_unread(tmp_path: Path, target: str) -> None:
    """A cloned project may hold links."""
    (tmp_path / "a.json").symlink_to(target)
    with pytest.raises(UnreadableError, match="is a device"):
        read_bytes(tmp_path / "a.json")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableError, match="named pipe"):
        read_bytes(tmp_path / "pipe")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="a folder"):
        read_bytes(tmp_path)


def test_the_bound_is_on_what_is_read(tmp_path: Path) -> None:
    """Files of /proc state a size of 0."""
    with pytest.raises(UnreadableError, match="larger than 100 bytes"):
        read_bytes(Path("/proc/self/status"), max_bytes=100)
    (tmp_path / "just").write_bytes(b"x" * 100)
    assert len(read_bytes(tmp_path / "just", max_bytes=100)) == 100


@pytest.mark.parametrize(
    "content",
    ["", "null", "[]", "3", '{"steps": null}', '{"steps": "x"}', "{", "[" * 100_000, "\ufeff{}"],
)
def test_json_of_another_shape_is_unreadable(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content, encoding="utf-8")
    with pytest.raises(UnreadableError):
        read_json(tmp_path / "a.json", _Facts)


@pytest.mark.parametrize("content", [b"\xff\xfe", b'{"steps": 1}\x00', b'"\\ud800"'])
def test_bytes_that_are_no_text_are_unreadable(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UnreadableError):
        parse_json(content, _Facts)


def test_a_missing_file_is_not_an_unreadable_one(tmp_path: Path) -> None:
    """Absent and unreadable differ: an unreadable lease is not a free one."""
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "a.json", _Facts)


@pytest.mark.parametrize("key", ["\x1b[2J", "\x7f", "\u202e", "\n", "k" * 5000])
def test_a_key_of_a_stranger_cannot_move_the_cursor(key: str) -> None:
    """A place inside is spelled in one short line, whatever its keys are."""
    with pytest.raises(UnreadableError) as caught:
        parse_json(json.dumps({key: "x"}), dict[str, int])
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400
