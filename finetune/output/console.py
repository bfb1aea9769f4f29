"""Showing work to a person (rich) or a machine (`--json`: one JSON object a line on stdout)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, Literal, Protocol


class Bar(Protocol):
    """A running progress bar."""

    def update(self, completed: float, **fields: Any) -> None:
        """Show that `completed` units are done; `fields` (loss, tokens_per_second) stand beside."""


@dataclass(slots=True)
class Console:
    """The one place that prints. `json_lines` for machines, `verbose` for more detail."""

    json_lines: bool = False
    verbose: bool = False
    out: IO[str] = field(default_factory=lambda: sys.stdout)

    def say(self, message: str, **facts: Any) -> None:
        """Show one line. `facts` are what a machine gets beside the message."""
        if self.json_lines:
            self._emit({"message": message, **facts})
        else:
            print(message, file=self.out, flush=True)

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
        justify: Literal["left", "right"] = "right",
    ) -> None:
        """Show a table; for machines one object a row. `justify`: of all columns but the first."""
        if self.json_lines:
            for row in rows:
                self._emit({"table": title, **dict(zip(columns, row, strict=True))})
            return
        from rich.console import Console as RichConsole  # 70 ms, paid only when a table is shown
        from rich.table import Table

        table = Table(title=title or None, title_justify="left")
        for index, column in enumerate(columns):
            table.add_column(column, justify="left" if index == 0 else justify, overflow="fold")
        for row in rows:
            table.add_row(*(str(cell) for cell in row))
        width = None if self.out.isatty() else 160  # a file or pipe has no width to fold at
        RichConsole(file=self.out, markup=False, highlight=False, width=width).print(table)

    @contextmanager
    def progress(self, title: str, *, total: float, unit: str = "steps") -> Iterator[Bar]:
        """Show a bar with fields beside it while the block runs."""
        if self.json_lines or not self.out.isatty():
            yield _LineBar(console=self, title=title, total=total, unit=unit)
            return
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} " + unit),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(),
            console=RichConsole(file=self.out),
        )
        with bar:
            task = bar.add_task(title, total=total, facts="")
            yield _RichBar(bar=bar, task=task)

    def _emit(self, record: dict[str, Any]) -> None:
        print(json.dumps(record, ensure_ascii=False, default=str), file=self.out, flush=True)


def _facts(fields: dict[str, Any]) -> str:
    names = {"tokens_per_second": "tokens/s"}
    shown = (
        f"{names.get(k, k)} {v:.4g}" if isinstance(v, float) else f"{names.get(k, k)} {v}"
        for k, v in fields.items()
    )
    return "  ".join(shown)


@dataclass(slots=True)
class _RichBar:
    bar: Any
    task: Any

    def update(self, completed: float, **fields: Any) -> None:
        self.bar.update(self.task, completed=completed, facts=_facts(fields))


@dataclass(slots=True)
class _LineBar:
    """For logs and pipes: a line every tenth of the way, never a control character."""

    console: Console
    title: str
    total: float
    unit: str
    shown: int = -1

    def update(self, completed: float, **fields: Any) -> None:
        tenth = int(10 * completed / max(self.total, 1))
        if tenth == self.shown and not self.console.json_lines:
            return
        self.shown = tenth
        line = f"{self.title} {completed:.0f}/{self.total:.0f} {self.unit}  {_facts(fields)}"
        self.console.say(line.rstrip(), step=completed, total=self.total, **fields)
