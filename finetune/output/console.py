"""Console output for people (rich) and for programs (`--json`: one JSON object per line)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, Literal

from finetune.messages import ENGLISH, Sentence
from finetune.output import terminal
from finetune.output.folding import width_of, wrapped
from finetune.output.secrets import hidden, hide
from finetune.output.table_layout import blocks, column_widths, text_columns
from finetune.output.work import LOG_PARTS, Bar, LogLines, Work, stamp

SCHEMA = 1
"""Version of the lines of `--json`; their fields are listed in docs/reference/json.md."""
Record = Literal["message", "row", "progress", "error"]


@dataclass(slots=True)
class Console:
    """The output of a command. `json_lines`: for programs; `verbose`: more detail.

    Text is made safe for a terminal (finetune/output/terminal.py); in JSON it is escaped.
    """

    json_lines: bool = False
    verbose: bool = False
    language: str = ENGLISH
    """Language of sentences; text is shown as it is."""
    out: IO[str] = field(default_factory=lambda: sys.stdout)
    _screen: _Screen | None = field(default=None, init=False, repr=False)
    _logged: int = field(default=0, init=False, repr=False)
    """Pieces of work in progress, where there are no bars; those inside others have few lines."""

    def say(self, message: str | Sentence, **facts: Any) -> None:
        """Show one line, folded at words in a terminal.

        `facts`: values that `--json` prints beside the message.
        """
        message = message if isinstance(message, str) else message.in_language(self.language)
        if self.json_lines:
            self._emit("message", hidden({"message": message, **facts}))
        else:
            self._print(wrapped(terminal.message(message), width_of(self.out)))

    def event(self, message: str | Sentence, **facts: Any) -> None:
        """Show one line of something that happened; in logs with the time. `facts` as in `say`."""
        if self.json_lines or self._has_bars:
            self.say(message, **facts)
        else:
            message = message if isinstance(message, str) else message.in_language(self.language)
            self.say(f"{stamp()} {message}")

    def show(self, text: str, *, end: str = "\n", **facts: Any) -> None:
        """Show text of several lines: a script, a log, an answer. `facts` as in `say`."""
        if self.json_lines:
            self._emit("message", {"message": text, **facts})
        else:
            self._print(terminal.safe(text), end=end)

    def answer(self, text: str, *, end: str = "\n") -> None:
        """Print text for a program (a schema, a word for a batch script), unchanged by --json."""
        print(terminal.safe(text), end=end, file=self.out, flush=True)

    def detail(self, message: str) -> None:
        """Show one line only with -v."""
        if self.verbose:
            self.say(message)

    def table(
        self,
        title: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        *,
        name: str = "",
        facts: Iterable[Mapping[str, Any]] | None = None,
        justify: Literal["left", "right"] = "right",
    ) -> None:
        """Show a table; `--json` prints one object per row.

        `name` and `facts`: the table and its rows in JSON, as numbers instead of display strings.
        `justify`: of all columns but the first.
        """
        if self.json_lines:
            if facts is None:
                facts = (dict(zip(columns, row, strict=True)) for row in rows)
            for record in facts:
                self._emit("row", hidden({"table": name or title, **record}))
            return
        from rich.cells import cell_len  # 70 ms, paid only when a table is shown
        from rich.table import Table

        width = None if self.out.isatty() else 160  # a file or pipe has no width to fold at
        rich = self._screen.rich if self._screen else self._rich(width=width)
        cells = [[_cell(value) for value in row] for row in (columns, *rows)]
        widths = column_widths(cells, width=rich.width, measure=cell_len)
        if widths is None:
            text = blocks(cells[0], cells[1:], width=rich.width)
            self._print("\n".join(part for part in (_cell(title), text) if part))
            return
        if title:  # above the table: rich would fold it at the table's width, inside an id
            self._print(wrapped(_cell(title), width_of(self.out)))
        table = Table()
        for index, (column, size) in enumerate(zip(cells[0], widths, strict=True)):
            side: Literal["left", "right"] = "left" if index == 0 else justify
            table.add_column(column, justify=side, overflow="fold", width=size)
        for row in cells[1:]:
            table.add_row(*row)
        rich.print(table)

    def side_by_side(self, texts: Mapping[str, str]) -> None:
        """Show texts in columns of one width, each under its name."""
        self._print("\n".join(self._columns(texts, width=width_of(self.out) or 80)))

    @contextmanager
    def growing(self, texts: Mapping[str, str]) -> Iterator[None]:
        """Show texts that grow side by side while the block runs; `texts` is read again and again.

        Where nothing can be drawn twice (a file, a pipe, `--json`) nothing is shown. What was shown
        is wiped in the end: `side_by_side` or `show` leaves the whole texts.
        """
        if not self._has_bars:
            yield
            return
        from rich.live import Live
        from rich.text import Text

        rich = self._rich()

        def picture() -> Text:
            lines = self._columns(dict(texts), width=rich.width - 1)
            return Text(
                "\n".join(lines[-max(1, rich.height - 2) :]), no_wrap=True, overflow="ignore"
            )

        with Live(get_renderable=picture, console=rich, refresh_per_second=12, transient=True):
            yield

    def _columns(self, texts: Mapping[str, str], *, width: int) -> list[str]:
        encoding = (getattr(self.out, "encoding", None) or "utf-8").lower()
        border = "│" if encoding.startswith("utf") else "|"
        cells = {_cell(name): _cell(text) for name, text in texts.items()}
        return text_columns(cells, width=width, border=border)

    @contextmanager
    def progress(
        self, title: str, *, total: float, unit: str = "steps", start: float = 0
    ) -> Iterator[Bar]:
        """Show a bar with fields beside it while the block runs; bars may stand below others.

        `start`: units done by an earlier start, which the time left does not count.
        """
        work = Work(title, total, unit, start, self.language)
        if not self._has_bars:
            lines = LogLines(work, parts=1 if self._logged else LOG_PARTS)
            self._logged += 1
            try:
                yield _LogBar(self, work, lines)
            finally:
                self._logged -= 1
            return
        if self._screen is not None:  # a bar below another; it leaves no line behind
            self._screen.works.append(work)
            try:
                yield work
            finally:
                self._screen.works.remove(work)
            return
        from rich.live import Live

        rich = self._rich()
        screen = _Screen([work], Live(console=rich, refresh_per_second=4), rich)
        screen.live.get_renderable = screen.picture
        with screen.live:
            self._screen = screen
            try:
                yield work
            finally:
                self._screen = None

    @property
    def _has_bars(self) -> bool:
        """True where bars can be drawn: at a terminal that moves its cursor."""
        moves = os.environ.get("TERM", "") not in ("dumb", "unknown")
        return not self.json_lines and self.out.isatty() and moves

    def _print(self, text: str, *, end: str = "\n") -> None:
        if self._screen is None:
            print(text, end=end, file=self.out, flush=True)
        else:
            self._screen.rich.print(text, end=end, soft_wrap=True)

    def _rich(self, *, width: int | None = None) -> Any:
        """Return what draws tables and bars; it takes no text for markup or for an emoji's name."""
        from rich.console import Console as RichConsole

        plain: dict[str, Any] = {"markup": False, "highlight": False, "emoji": False}
        return RichConsole(file=self.out, width=width, **plain)

    def error(self, kind: str, *, exit_code: int, problems: Sequence[Mapping[str, Any]]) -> None:
        """Print an error as JSON: the name of its class, the exit code, and its problems."""
        facts = {"kind": kind, "exit_code": exit_code, "problems": list(problems)}
        self._emit("error", hidden(facts))

    def advanced(self, message: str, **facts: Any) -> None:
        """Show one line of progress, for logs and pipes; there with the time."""
        if self.json_lines:
            self._emit("progress", {"message": message, **facts})
        else:
            self.say(f"{stamp()} {message}")

    def _emit(self, record: Record, facts: Mapping[str, Any]) -> None:
        fields = {"schema": SCHEMA, "record": record, **facts}
        line = json.dumps(fields, ensure_ascii=False, default=str)
        print(terminal.json_safe(line), file=self.out, flush=True)


def _cell(value: Any) -> str:
    """Return what stands in a cell; its lines stay within the borders of the table."""
    return terminal.safe(hide(str(value)))


@dataclass(slots=True)
class _LogBar:
    """Progress for logs and pipes: some lines with a time stamp, without control characters."""

    console: Console
    work: Work
    lines: LogLines

    def update(self, completed: float, **fields: Any) -> None:
        self.work.update(completed, **fields)
        if self.console.json_lines or self.lines.due():
            left = self.work.seconds_left
            self.console.advanced(
                self.work.log_line(),
                title=self.work.title,
                unit=self.work.unit,
                step=completed,
                total=self.work.total,
                **fields | {"seconds_left": None if left is None else round(left, 1)},
            )


@dataclass(slots=True)
class _Screen:
    """The bars at the bottom of a terminal; what is printed meanwhile appears above them."""

    works: list[Work]
    live: Any
    rich: Any

    def picture(self) -> Any:
        """Return the lines of all bars, at the present width."""
        from rich.text import Text

        plain = not self.rich.options.encoding.startswith("utf")
        first, *below = self.works
        lines = [first.bar_line(self.rich.width, plain=plain)]
        lines += [f"  {work.bar_line(self.rich.width - 2, plain=plain)}" for work in below]
        return Text("\n".join(lines), no_wrap=True, overflow="crop")
