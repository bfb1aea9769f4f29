"""One file translated with an adapter: batches, marks of trust, and what is written at the end."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.errors import StoreError
from finetune.models.kinds import kind_of
from finetune.output.console import Console
from finetune.output.durable import aside_of, flush, replace_text, write_synced
from finetune.output.failures import not_written
from finetune.statistics.confidence import Calibration
from finetune.text.counts import count_words
from finetune.translate.directions import Direction
from finetune.translate.loaded_translator import Loading, Translator, load_translator
from finetune.translate.review_table import Reviewed, counts_of, page_of, reviewed, table_of
from finetune.translate.segment_record import made_in_batches
from finetune.translate.text_bytes import Opened
from finetune.translate.translations_made import Made, made_of
from finetune.translate.trust_marks import calibration_of, said, validation_pairs

RECORD, TABLE, PAGE = ".segments.jsonl", ".review.tsv", ".review.html"
"""Endings, after the name of the output, of the files beside it."""
Load = Callable[[Loading, Callable[[str], str]], Translator]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file with its direction, its adapter and its output."""

    source: Path
    data: bytes
    """Of the source file."""
    opened: Opened
    output: Path
    way: Direction
    loading: Loading
    adapter_key: str
    """Names the adapter in records: another one's translations are not taken over."""
    prepared: Path | None = None
    """Whose validation texts calibrate the marks; None: no marks."""
    records: Path | None = None
    """Folder for the record of validation texts, shared by all files of the adapter."""


@dataclass(frozen=True, slots=True)
class Translated:
    """Segments with their translations, calibration and speed."""

    rows: Sequence[Reviewed]
    calibration: Calibration | None
    words: int
    """Of the sources that this start translated; 0 where a record had all."""
    seconds: float

    @property
    def counts(self) -> dict[str, int]:
        """Return how many segments have each state."""
        return counts_of(self.rows)

    @property
    def words_per_second(self) -> float | None:
        """Return words of the source per second, without loading; None if nothing was to do."""
        return self.words / self.seconds if self.words and self.seconds > 0 else None


def translate_file(wanted: Wanted, *, console: Console, load: Load = load_translator) -> Translated:
    """Translate a file, and write the output, the table and the page for a reviewer.

    A start that was stopped is resumed from the record beside the output, which is removed at the
    end. `load` returns the translator for what is asked. Raises StoreError for a record of another
    translation, RecipeError for a base that cannot be loaded.
    """
    translator = load(wanted.loading, wanted.way.question)
    opened, segments = wanted.opened, wanted.opened.segments()
    settings = _settings(wanted, translator)
    record = _beside(wanted.output, RECORD)
    words, seconds = 0, 0.0

    def make(texts: Sequence[str]) -> Sequence[Made]:
        nonlocal words, seconds
        begun = time.monotonic()
        found = made_of(texts, translator.translate, allowed=lambda t, s: _may_have(opened, t, s))
        words, seconds = words + sum(map(count_words, texts)), seconds + time.monotonic() - begun
        return found

    made = _recorded(
        [segment.text for segment in segments],
        make,
        translator=translator,
        record=record,
        settings={"file": hashlib.sha256(wanted.data).hexdigest(), **settings},
        console=console,
        title="translate",
    )
    calibration = _calibration(wanted, translator, settings, console=console)
    rows = reviewed(segments, made, calibration)
    _write(wanted, rows, made, calibration, language=console.language)
    record.unlink(missing_ok=True)
    return Translated(rows, calibration, words, seconds)


def _settings(wanted: Wanted, translator: Translator) -> dict[str, Any]:
    """Return what decides a translation besides its text."""
    loading = wanted.loading
    return {
        "adapter": wanted.adapter_key,
        "direction": wanted.way.name,
        "prompt": wanted.way.prompt,
        "format": wanted.opened.format.name,
        "encoding": wanted.opened.encoding,
        "template": loading.template,
        "system_prompt": loading.system_prompt,
        "max_new_tokens": loading.max_new_tokens,
        "device": translator.device,
        "precision": translator.precision,
        "rows": translator.rows,
    }


def _recorded(
    texts: Sequence[str],
    make: Callable[[Sequence[str]], Sequence[Made]],
    *,
    translator: Translator,
    record: Path,
    settings: Mapping[str, Any],
    console: Console,
    title: str,
) -> dict[str, Made]:
    try:
        return made_in_batches(
            texts,
            make,
            rows=translator.rows,
            record=record,
            settings=settings,
            console=console,
            title=title,
        )
    except OSError as error:
        raise StoreError(not_written(record, error)) from error


def _calibration(
    wanted: Wanted, translator: Translator, settings: Mapping[str, Any], *, console: Console
) -> Calibration | None:
    """Return the calibration of the adapter in this direction; its texts are translated once."""
    if wanted.prepared is None:
        return None
    kind = kind_of(wanted.loading.base)
    pairs = validation_pairs(wanted.prepared, direction=wanted.way.name, kind=kind)
    ours = {name: settings[name] for name in settings if name not in ("format", "encoding")}
    ours |= {"prepared": wanted.prepared.name}
    key = hashlib.sha256(json.dumps(ours, sort_keys=True).encode()).hexdigest()[:16]
    folder = wanted.records
    if folder is None or not os.access(next(p for p in folder.parents if p.exists()), os.W_OK):
        folder = wanted.output.parent
    made = _recorded(
        list(pairs),
        lambda texts: made_of(texts, translator.translate, allowed=lambda _t, _s: True),
        translator=translator,
        record=folder / f"calibration-{key}.jsonl",
        settings=ours,
        console=console,
        title="calibrate marks of trust",
    )
    return calibration_of(made, pairs)


def _may_have(opened: Opened, translation: str, source: str) -> bool:
    """Return whether a file can hold what a translation adds to its source."""
    signs = opened.format.refused
    return opened.can_hold(translation) and not any(
        sign in translation and sign not in source for sign in signs
    )


def _write(
    wanted: Wanted,
    rows: Sequence[Reviewed],
    made: Mapping[str, Made],
    calibration: Calibration | None,
    *,
    language: str,
) -> None:
    """Write the table, the page and, last, the output, each as a whole."""
    output = wanted.output
    page = page_of(
        rows,
        calibration,
        name=wanted.source.name,
        way=wanted.way,
        said=said(calibration),
        language=language,
    )
    aside = aside_of(output)
    try:
        replace_text(_beside(output, TABLE), table_of(rows, calibration))
        replace_text(_beside(output, PAGE), page)
        write_synced(aside, wanted.opened.with_translations(lambda text: made[text].text))
        aside.replace(output)
        flush(output.parent)
    except OSError as error:
        raise StoreError(not_written(output, error)) from error
    finally:
        aside.unlink(missing_ok=True)


def _beside(output: Path, ending: str) -> Path:
    return output.with_name(output.name + ending)
