"""The README's picture: the terminal output of a run, as an SVG.

    python benchmarks/picture.py            # runs hausa-gemma from an empty store: 16 CPU minutes
    python benchmarks/picture.py --set train.max_steps=8    # a shorter run; the title says so
    python benchmarks/picture.py --recorded FILE

The command runs on a pseudo-terminal of 100 columns. What it prints is kept in `--keep`; the lines
that stand on the screen in the end are drawn, apart from those that `OMITTED` matches.
"""

from __future__ import annotations

import argparse
import io
import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 100
RECIPE = "recipes/hausa-gemma.yaml"
OMITTED = re.compile(
    r"\s*$|converting |personal data: |are not detected|chat\b|publish\b|on a cluster|  finetune "
)
"""Lines that the picture does not show: notes, and commands to copy."""
FURTHER, PATHS = "documents held out as a whole", "corpus report"
"""Beginnings of the further tables, omitted from the picture, and of what follows them."""
CONTROL = re.compile(r"\x1b\[\??(\d*)(?:;\d+)*([A-HJKSTfhl])")


def recorded(command: list[str]) -> str:
    """Run a command on a pseudo-terminal and return everything that it printed."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": str(COLUMNS), "LINES": "50", "TERM": "xterm-256color"}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        chunks = []
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # the other end was closed: the command has ended
                break
            if not chunk:
                break
            chunks.append(chunk)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}")
    return b"".join(chunks).decode("utf-8")


def on_screen(output: str) -> list[str]:
    """Return the lines that stand in the end, colours kept, after cursor movements and erasures.

    >>> on_screen("a\\r\\n10 %\\r\\x1b[2K20 %\\r\\nb\\r\\n\\x1b[1A\\x1b[2Kc\\r\\n")
    ['a', '20 %', 'c', '']
    """
    lines, row = [""], 0
    for part in re.split(r"(\r\n|\n|\r|\x1b\[\??[\d;]*[A-HJKSTfhl])", output):
        control = CONTROL.fullmatch(part)
        if part in ("\r\n", "\n"):
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part == "\r":
            continue  # rich erases a line before it writes it anew
        elif control is None:
            lines[row] += part
        elif control[2] == "A":
            row = max(row - int(control[1] or 1), 0)
        elif control[2] == "K":
            lines[row] = ""
    return lines


def picture(lines: list[str], *, title: str) -> str:
    """Return the lines as an SVG of a terminal window."""
    console = Console(
        record=True,
        width=COLUMNS,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
    )
    for line in lines:
        console.print(Text.from_ansi(line), overflow="fold")
    svg = console.export_svg(title=title, unique_id="run")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # fonts of another server


def folded(lines: list[str]) -> list[str]:
    """Return the lines without the further tables.

    >>> folded(["a", "documents held out as a whole, against", "b", "corpus report  x"])
    ['a', '[2 lines of further tables]', 'corpus report  x']
    """
    plain = [Text.from_ansi(line).plain for line in lines]
    begin = next((n for n, line in enumerate(plain) if line.startswith(FURTHER)), len(lines))
    end = next((n for n, line in enumerate(plain) if line.startswith(PATHS)), begin)
    if end <= begin:
        return lines
    return [*lines[:begin], f"[{end - begin} lines of further tables]", *lines[end:]]


def main() -> None:
    """Record a run, or take a recorded one, and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recorded", type=Path, help="what an earlier call kept")
    parser.add_argument("--keep", type=Path, help="write the raw output there")
    parser.add_argument("--out", type=Path, default=Path("docs/pictures/run.svg"))
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE of the recipe")
    options = parser.parse_args()
    words = ["run", RECIPE, *(word for value in options.set for word in ("--set", value))]
    if options.recorded:
        output = options.recorded.read_bytes().decode("utf-8")
    else:
        with tempfile.TemporaryDirectory() as store:
            finetune = str(Path(sys.executable).with_name("finetune"))
            output = recorded([finetune, *words, "--store", store]).replace(store, ".finetune")
    if options.keep:
        options.keep.write_bytes(output.encode("utf-8"))
    lines = [f"$ finetune {' '.join(words)}"]
    lines += folded([line for line in on_screen(output) if not OMITTED.match(line)])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(picture(lines, title="finetune run"), encoding="utf-8")
    print(f"wrote {options.out}: {len(lines)} lines")


if __name__ == "__main__":
    main()
