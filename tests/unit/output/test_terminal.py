"""Printed text moves no cursor, hides or fakes no line, and keeps every script."""

from __future__ import annotations

import ast
import io
import json
import logging
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import finetune
from finetune.errors import MOST_PROBLEMS, RecipeError, StoreError
from finetune.output import terminal
from finetune.output.console import Console
from tests.support.hostile_text import CONTROLS, SCRIPTS, SECRETS
from tests.support.shown_text import shown
from tests.support.syntax import tree_of

PACKAGE = Path(finetune.__file__).parent

MAY_PRINT = {
    "output/console.py": "what verbs show",
    "output/terminal.py": "what goes to standard error",
    "messages/extract.py": "sentences that are not translated, for developers",
    "cluster/doctor/probe.py": "base64 for the doctor, out of a job of its own",
}
"""Modules that write to a stream, and what."""


@pytest.mark.parametrize("name", CONTROLS)
def test_a_console_shows_hostile_text(name: str) -> None:
    """In a line, a table, a bar and an answer alike, in one line where one was meant."""
    text = CONTROLS[name]
    out = io.StringIO()
    console = Console(out=out, verbose=True)
    console.say(f"a {text} b")
    console.detail(text)
    assert out.getvalue().count("\n") == 2
    console.show(text)
    console.answer(text)
    console.table(text, (text, "b"), [(text, 1), ("x", text)])
    console.side_by_side({"base": text, text: "x"})
    with console.progress(text, total=2) as bar:
        bar.update(2, loss=1.0, file=text)
    assert shown(out.getvalue())
    assert "x" in out.getvalue()


@pytest.mark.parametrize("text", SCRIPTS)
def test_every_script_stays(text: str) -> None:
    """Joiners, variation selectors, direction marks and letters beyond the BMP are not touched."""
    assert terminal.safe(text) == terminal.one_line(text) == terminal.message(text) == text
    out = io.StringIO()
    Console(out=out).say(text)
    assert out.getvalue() == f"{text}\n"


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec=None), max_size=40))
def test_any_text_is_safe_and_json_means_the_same(text: str) -> None:
    """Whatever is printed is shown; a machine reads exactly what was meant."""
    assert shown(terminal.safe(text))
    assert "\n" not in terminal.one_line(text)
    out = io.StringIO()
    Console(out=out, json_lines=True).show(text, fact=text)
    line = out.getvalue()
    assert shown(line)
    assert line.count("\n") == 1
    record = json.loads(line)
    assert (record["message"], record["fact"]) == (text, text) or "\ud800" <= max(text) <= "\udfff"
    line.encode("utf-8")


def test_names_of_emoji_and_brackets_are_text() -> None:
    """`:smile:` and `[red]` in a cell stand there as they were written."""
    out = io.StringIO()
    Console(out=out).table("t :smile:", ("a",), [(":smile: [red]x[/red] [link=http://e]y",)])
    assert "t :smile:" in out.getvalue()
    assert ":smile: [red]x[/red] [link=http://e]y" in out.getvalue()


def test_problems_are_a_line_each_and_bounded() -> None:
    """A new line in a value begins no line, 70,000 characters are cut, 200,000 problems counted."""
    error = RecipeError("a.yaml:1:1: x\nb.yaml: fine", f"start {'y' * 70_000} end")
    first, second = terminal.problems_of(error)
    assert first == r"a.yaml:1:1: x\nb.yaml: fine"
    assert second.startswith("start yyy")
    assert second.endswith("yyy end")
    assert len(second) < 5000
    assert "more)" in second
    many = terminal.problems_of(RecipeError(*(f"problem {n}" for n in range(200_000))))
    assert len(many) == MOST_PROBLEMS + 1
    assert many[-1] == f"... and {200_000 - MOST_PROBLEMS:,} more problems"
    assert terminal.problems_of(StoreError("first\nsecond")) == ["first", "second"]


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_is_printed(name: str) -> None:
    """Neither in a message, nor in the one beside a cut, nor in a table."""
    secret = SECRETS[name]
    hidden = terminal.hide(secret)
    assert hidden != secret
    long = f"{'a ' * 1990}{secret}{' b' * 4000}"
    for text in (terminal.message(secret), terminal.message(long)):
        assert secret not in text
    out = io.StringIO()
    console = Console(out=out)
    console.say(secret)
    console.table("t", ("a",), [(secret,)])
    console.json_lines = True
    console.say(secret, places=[{"address": secret}])
    console.table("t", ("a",), [(secret,)])
    assert secret not in out.getvalue()
    assert json.dumps(secret)[1:-1] not in out.getvalue()


def test_logs_and_warnings_of_libraries_are_safe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that quotes a file's name or text writes it as text."""
    before = logging.getLogRecordFactory(), warnings.formatwarning, sys.excepthook
    try:
        terminal.guard_libraries()
        terminal.guard_libraries()
        record = logging.getLogger("x").makeRecord("x", 40, "f", 1, "bad %s", ("\x1b[2J",), None)
        assert record.getMessage() == r"bad \x1b[2J"
        said = warnings.formatwarning("odd \x9b2J", UserWarning, "file\x1b.py", 1, "")
        assert shown(said)
        sys.excepthook(ValueError, ValueError("\x1b]0;t\x07"), None)
        assert shown(capsys.readouterr().err)
    finally:
        logging.setLogRecordFactory(before[0])
        warnings.formatwarning, sys.excepthook = before[1:]


def test_what_none_foresaw_is_safe_too() -> None:
    """The traceback of a bug shows the text of a file as text."""
    code = (
        "import sys; from finetune.cli import main; from finetune.verbs.start import runs\n"
        "def fail(options, console): raise ZeroDivisionError('\\x1b[2J\\u202e')\n"
        "runs.run = fail; sys.exit(main(['runs', '-v']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 70
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError: \\x1b[2J\\u202e" in done.stderr
    assert shown(done.stderr)


def _writes(node: ast.AST) -> bool:
    """Say whether an expression writes to a stream of the process, or draws with rich."""
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").partition(".")[0] == "rich"
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "print"
    if not isinstance(node, ast.Attribute):
        return False
    streams = ("stdout", "stderr", "__stdout__", "__stderr__")
    of_sys = isinstance(node.value, ast.Name) and node.value.id == "sys"
    of_out = isinstance(node.value, ast.Attribute) and node.value.attr == "out"
    return (
        (of_sys and node.attr in streams)
        or (of_out and node.attr == "write")
        or node.attr in ("print_exc", "print_exception")
    )


OTHER_USES = {
    "output/streams.py": "streams that are closed or full are replaced by the null device",
}
"""Modules that name a stream and print nothing."""


def test_only_these_places_print() -> None:
    """No module but these writes to a stream, so that no text reaches a terminal by another way."""
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if any(map(_writes, ast.walk(tree_of(path))))
    }
    assert found <= set(MAY_PRINT) | set(OTHER_USES)
    assert set(MAY_PRINT) <= found
    for name in OTHER_USES:
        assert "print(" not in (PACKAGE / name).read_text("utf-8")


def test_questions_are_the_only_prompts() -> None:
    """input() shows its prompt itself: it is asked with safe text."""
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "input"
    }
    assert found == {"verbs/data/cards/new.py"}
    assert 'input(f"{safe(text)}' in (PACKAGE / "verbs/data/cards/new.py").read_text("utf-8")
