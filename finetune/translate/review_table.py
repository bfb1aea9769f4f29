"""Table for a reviewer: each segment with its translation and how far to trust it.

As tab-separated values for a spreadsheet, and as a page that opens offline and has no script.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from finetune.messages import Sentence, sentence
from finetune.output.spreadsheet import BYTE_ORDER_MARK, write_rows
from finetune.output.templates import environment
from finetune.spec.language import Named, bcp47
from finetune.spec.script import direction
from finetune.statistics.confidence import Calibration
from finetune.translate.directions import Direction
from finetune.translate.skeleton import Segment
from finetune.translate.translations_made import Made

COLUMNS = (
    *("number", "place", "source", "translation", "state", "placed_marks", "cut"),
    *("trust", "expected_chrf", "chrf_low", "chrf_high", "mean_log_probability"),
)
STATES: Mapping[str, Sentence] = {
    "translated": sentence("translated"),
    "in-parts": sentence("translated in parts, between placeholders"),
    "placeholders": sentence("source kept: placeholders were lost"),
    "signs": sentence("source kept: the file may not have a sign of the translation"),
    "empty": sentence("source kept: no word was written"),
    "too-long": sentence("source kept: too long for the model, or it has a mark of the model"),
}
WORDS: Mapping[str, Sentence] = {
    "source": sentence("source"),
    "translation": sentence("translation"),
    "place": sentence("place"),
    "trust": sentence("trust"),
    "cut": sentence("cut at the most tokens"),
    "placed": sentence("tags and line ends placed by position"),
    "levels": sentence("Levels of trust, from validation texts"),
    "texts": sentence("texts"),
    "range": sentence("80 % of their chrF++"),
    "mean": sentence("mean chrF++"),
    "about": sentence(
        "A level states how translations of validation texts with such a probability agreed with "
        "their references. Texts of another kind may be worse than their level."
    ),
}


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A row of the table."""

    number: int
    segment: Segment
    made: Made
    level: int | None
    """From 1; None without marks, and where the source was kept."""

    @property
    def shown(self) -> str:
        """Return the translation, or the source that was kept."""
        return self.segment.text if self.made.text is None else self.made.text


def reviewed(
    segments: Sequence[Segment], made: Mapping[str, Made], calibration: Calibration | None
) -> list[Reviewed]:
    """Return the rows of the table, in the order of the file."""
    rows = []
    for number, segment in enumerate(segments, start=1):
        one = made[segment.text]
        confidence = one.confidence
        level = None
        if calibration is not None and calibration.levels and confidence is not None:
            level = calibration.level_of(confidence)
        rows.append(Reviewed(number, segment, one, level))
    return rows


def table_of(rows: Sequence[Reviewed], calibration: Calibration | None) -> str:
    """Return the table as tab-separated values, with cells that no spreadsheet computes."""
    stream = io.StringIO()
    cells = (list(_cells(row, calibration)) for row in rows)
    write_rows(stream, COLUMNS, cells, delimiter="\t")
    return BYTE_ORDER_MARK + stream.getvalue()


def _cells(row: Reviewed, calibration: Calibration | None) -> Iterator[object]:
    made, segment = row.made, row.segment
    yield from (row.number, segment.label, segment.text, made.text or "", made.state)
    yield from (segment.placed_joints if made.text else 0, int(made.is_cut))
    if row.level is None or calibration is None:
        yield from ("", "", "", "")
    else:
        level = calibration.levels[row.level - 1]
        yield from (row.level, round(level.mean, 1), round(level.low, 1), round(level.high, 1))
    yield "" if made.confidence is None else round(made.confidence, 4)


def page_of(
    rows: Sequence[Reviewed],
    calibration: Calibration | None,
    *,
    name: str,
    way: Direction,
    said: Sentence,
    language: str,
) -> str:
    """Return the page: least trusted levels stand out, the order is that of the file."""
    template = environment("finetune.translate").get_template("review.html.j2")
    return template.render(
        name=name,
        rows=rows,
        levels=calibration.levels if calibration else (),
        states=STATES,
        counts=counts_of(rows),
        say=WORDS,
        said=said,
        chosen=language,
        heading=sentence(
            "{name}: {source} to {target}",
            name=name,
            source=Named(way.source, "{name}"),
            target=Named(way.target, "{name}"),
        ),
        source_tag=bcp47(way.source),
        target_tag=bcp47(way.target),
        source_direction=direction(way.source),
        target_direction=direction(way.target),
    )


def counts_of(rows: Sequence[Reviewed]) -> dict[str, int]:
    """Return how many segments have each state, in the order of `STATES`."""
    counts: Counter[str] = Counter(row.made.state for row in rows)
    return {state: counts[state] for state in STATES if counts[state]}
