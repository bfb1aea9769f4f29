"""Progress of reading the texts of a large card, once it takes a while."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from finetune.cards.look import Watch, is_here, unwatched
from finetune.messages import sentence
from finetune.output.console import Console
from finetune.output.small_files import UnreadableError, open_regular
from finetune.output.work import Bar
from finetune.spec.card import DataCard
from finetune.spec.formats import known_format
from finetune.spec.sections.source import LocalSource

SHOWN_AFTER = 2.0
"""Seconds without a sign."""
LEAST_LINES = 20_000
"""Fewer are read at once."""
HEAD_BYTES = 2**18
"""Beginning of a file that shows how long its lines are."""


@contextmanager
def reading_progress(
    card: DataCard, console: Console | None, *, after: float = SHOWN_AFTER
) -> Iterator[Watch]:
    """Yield a function of the texts read so far, which shows them with the time left.

    `after`: seconds before it shows anything.
    """
    total = _lines(card)
    if console is None or total < LEAST_LINES:
        yield unwatched
        return
    shown: Console = console
    begun = time.monotonic()
    bars: list[Bar] = []
    with ExitStack() as stack:

        def watch(units: int) -> None:
            if not bars and time.monotonic() - begun >= after:
                title = sentence("reading {name}", name=card.name).in_language(shown.language)
                unit = sentence("texts").in_language(shown.language)
                work = shown.progress(title, total=total, unit=unit, start=units)
                bars.append(stack.enter_context(work))
            for bar in bars:
                bar.update(min(units, total))

        yield watch
        for bar in bars:
            bar.update(total)


def _lines(card: DataCard) -> int:
    """Return about how many lines the files of a card have; 0 where lines are not texts."""
    form = known_format(card.corpus.format)
    source = card.corpus.source
    by_line = form is not None and (form.line_per_text or "separator" in form.keys)
    if not by_line or not is_here(card) or not isinstance(source, LocalSource):
        return 0
    lines = 0.0
    try:
        for file in source.files:
            path = card.path.parent / file.path
            with open_regular(path) as stream:
                head = stream.read(HEAD_BYTES)
            lines += path.stat().st_size * head.count(b"\n") / max(1, len(head))
    except (OSError, UnreadableError):  # reported with the texts
        return 0
    return round(lines)
