"""Bars, lines of logs and tables at several widths."""

from __future__ import annotations

import fcntl
import io
import os
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.output.console import Console
from finetune.output.table_layout import blocks, column_widths
from finetune.output.work import LOG_SECONDS, LogLines, Work

PROGRAM = """
import sys, time
sys.path.insert(0, {root!r})
from finetune.output.console import Console
console = Console(verbose=True)
with console.progress("train", total=1200, start=2) as bar:
    bar.update(402, loss=4.78312, tokens_per_second=3412.7, learning_rate=1.5e-4)
    time.sleep(0.3)
    console.say("a note between")
    with console.progress("validation", total=40, unit="sequences") as below:
        below.update(20)
        time.sleep(0.3)
    console.event("validation at step 402: hau_Latn 1.234 bits per byte, best so far")
    bar.update(1200, loss=4.5, tokens_per_second=3000.0, learning_rate=1e-6)
columns = ["card", "declared", "model", "lines", "other language", "unsupported"]
rows = [["kolibri-hausa-school", "hau_Latn", "py3langid, franc", 1200, "fra_Latn 12", 0]] * 2
console.table("language identification", columns, rows)
"""


def on_a_terminal(columns: int, **environment: str) -> str:
    """Return what a program writes to a terminal of so many columns."""
    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    plain = {n: v for n, v in os.environ.items() if n not in ("COLUMNS", "NO_COLOR", "LC_ALL")}
    program = PROGRAM.format(root=str(Path.cwd()))
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=follower,
        stderr=follower,
        env=plain | {"TERM": "xterm"} | environment,
    ) as running:
        os.close(follower)
        written = b""
        try:
            while part := os.read(leader, 65536):
                written += part
        except OSError:  # the terminal ends with the program
            pass
        assert running.wait(60) == 0, written
    os.close(leader)
    return written.decode("utf-8")


def lines_of(written: str) -> list[str]:
    """Return all lines that stood on the terminal at some moment."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\n", written)
    return [line for line in re.split(r"[\r\n]+", text) if line.strip()]


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_bars_and_tables_fit_the_terminal(columns: int) -> None:
    """No line is wider; step, loss and time left stand in the bar, and every word is whole."""
    lines = lines_of(on_a_terminal(columns))
    drawn = [line for line in lines if not line.startswith("validation at")]  # text is wrapped
    assert max(map(len, drawn)) <= columns
    [running, *_] = [line for line in lines if "402/1,200" in line]
    assert "loss 4.783" in running
    assert running.endswith(" left")
    if columns >= 80:
        assert "lr 1.5e-4" in running
        assert "3,413 tokens/s" in running
    assert any(line.startswith("  validation") and "20/40" in line for line in lines)
    assert any(line.startswith("validation at step 402") for line in lines)
    assert "a note between" in lines
    words = " ".join(lines)
    assert all(word in words for word in ("kolibri-hausa-school", "unsupported", "fra_Latn"))


def test_a_terminal_without_colours_gets_none() -> None:
    """NO_COLOR turns colours off; the bar stays."""
    written = on_a_terminal(80, NO_COLOR="1")
    assert not re.search(r"\x1b\[(3|4|9)[0-9]", written)
    assert "402/1,200" in written


def test_a_dumb_terminal_gets_lines() -> None:
    """Nothing is drawn over where the cursor cannot be moved, and lines have the time."""
    written = on_a_terminal(80, TERM="dumb")
    assert "\x1b" not in written
    assert re.search(r"\d\d:\d\d:\d\d train 1,200/1,200 steps", written)


def test_another_encoding_gets_plain_signs() -> None:
    """Signs that the encoding of the terminal lacks are not written."""
    written = on_a_terminal(80, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert "train #" in written
    assert written.isascii()


@given(
    width=st.integers(20, 200),
    done=st.integers(1, 10**6),
    more=st.integers(1, 10**6),
    loss=st.floats(1e-6, 1e6),
    seconds=st.floats(1e-3, 1e6),
)
def test_the_time_left_stands_in_every_line(
    width: int, done: int, more: int, loss: float, seconds: float
) -> None:
    """Whatever the numbers, the line fits, and from 60 columns on the time left is whole."""
    moments = iter([0.0, seconds])
    work = Work("train", done + more, clock=lambda: next(moments, seconds))
    work.update(done, loss=loss, tokens_per_second=1e3 * loss, learning_rate=1e-4 * loss)
    line = work.bar_line(width)
    assert len(line) <= width
    assert width < 60 or line.endswith(" left")


def test_the_time_left_counts_from_this_start_and_runs_down() -> None:
    """Steps of an earlier start took no time now; between updates the time left falls."""
    moments = iter([0.0, 10.0, 10.0, 14.0, 100.0])
    work = Work("train", 100, start=50, clock=lambda: next(moments))
    work.update(60)
    assert work.seconds_left == pytest.approx(40.0)
    assert work.seconds_left == pytest.approx(36.0)
    assert work.seconds_left == 0.0


def test_a_log_has_a_line_each_tenth_and_every_two_minutes() -> None:
    """A long run is no silence of hours, a short one no flood; inside other work only minutes."""
    now = [0.0]

    def clock() -> float:
        return now[0]

    def written(parts: int, seconds_per_step: float) -> int:
        work = Work("train", 1000, clock=clock)
        lines, count = LogLines(work, parts=parts), 0
        for step in range(1, 1001):
            now[0] += seconds_per_step
            work.update(step)
            count += lines.due()
        return count

    assert written(10, 0.01) == 11
    assert written(10, LOG_SECONDS + 1) == 1000
    assert written(1, 0.01) == 0
    assert written(1, LOG_SECONDS / 2 + 1) == 500


def test_lines_of_a_log_have_time_and_time_left() -> None:
    """So that a log of a night shows when what happened."""
    out = io.StringIO()
    console = Console(out=out)
    with console.progress("train", total=4) as bar:
        bar.update(1, loss=2.0)
        console.event("validation at step 1: hau_Latn 1.2 bits per byte")
        bar.update(4, loss=1.0)
    stamped = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "
    first, validation, last = out.getvalue().splitlines()
    assert re.fullmatch(stamped + r"train 1/4 steps  loss 2  .* left", first)
    assert re.fullmatch(stamped + r"validation at step 1: .*", validation)
    assert re.fullmatch(stamped + r"train 4/4 steps  loss 1  in .*", last)


WORDS = st.text("abcdefghijk", min_size=1, max_size=12)
CELLS = st.lists(WORDS, min_size=1, max_size=6).map(" ".join)


@given(
    rows=st.integers(1, 6).flatmap(
        lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=2, max_size=5)
    ),
    width=st.integers(20, 160),
)
def test_tables_break_no_word(rows: list[list[str]], width: int) -> None:
    """Columns are as wide as their longest word, or the table becomes blocks of whole words."""
    widths = column_widths(rows, width=width)
    words = [word for row in rows for cell in row for word in cell.split()]
    if widths is None:
        text = blocks(rows[0], rows[1:], width=width)
        shown = re.findall(r"[a-k]+", text)
        assert all(word in shown for row in rows[1:] for cell in row for word in cell.split())
        return
    assert sum(widths) + 3 * len(widths) + 1 <= width
    assert all(len(w) <= widths[n] for row in rows for n, c in enumerate(row) for w in c.split())
    assert words
