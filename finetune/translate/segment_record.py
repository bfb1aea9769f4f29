"""Record of segments that are done, beside the output: a batch per line, each flushed to disk.

A process that is killed loses the batch it was at. A line that a kill tore is dropped when the
record is read again; whole ones are taken as they are, so that the output is the same.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from finetune.errors import StoreError
from finetune.messages import Place, Problem, problem
from finetune.output.console import Console
from finetune.output.durable import flush, make_folder
from finetune.text.counts import count_words
from finetune.translate.translations_made import Made

VERSION = 1
Batch = Callable[[Sequence[str]], Sequence[Made]]


def made_in_batches(
    texts: Sequence[str],
    make: Batch,
    *,
    rows: int,
    record: Path,
    settings: Mapping[str, Any],
    console: Console,
    title: str,
) -> dict[str, Made]:
    """Return what is made of each text, `rows` at a time, the longest first.

    Batches in `record` are not made again. Progress shows the words of sources per second. Raises
    StoreError for a record of other texts or settings.
    """
    order = sorted(dict.fromkeys(texts), key=lambda text: (-len(text), text))
    batches = [order[begin : begin + rows] for begin in range(0, len(order), rows)]
    known = _read(record, {"version": VERSION, **settings})
    done: dict[str, Made] = {}
    for made in known:
        done |= made
    with (
        record.open("ab") as file,
        console.progress(title, total=len(order), unit="segments", start=len(done)) as bar,
    ):
        words, begun = 0, time.monotonic()
        for batch in batches[len(known) :]:
            fresh = dict(zip(batch, make(batch), strict=True))
            line = [[text, asdict(one)] for text, one in fresh.items()]
            file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            done |= fresh
            words += sum(map(count_words, batch))
            speed = words / max(time.monotonic() - begun, 1e-6)
            bar.update(len(done), words_per_second=round(speed, 1))
    return done


def _read(path: Path, settings: Mapping[str, Any]) -> list[dict[str, Made]]:
    """Return the batches of a record; a torn end is cut off, and a new record is begun."""
    make_folder(path.parent)
    data = path.read_bytes() if path.exists() else b""
    whole = data[: data.rfind(b"\n") + 1]
    first, *lines = whole.split(b"\n")[:-1] or [b""]
    if not first:
        path.write_bytes(json.dumps(settings, ensure_ascii=False, sort_keys=True).encode() + b"\n")
        flush(path)
        flush(path.parent)
        return []
    try:
        is_ours = json.loads(first) == json.loads(json.dumps(settings))
        found = [{text: Made(**one) for text, one in json.loads(line)} for line in lines]
    except (ValueError, TypeError) as error:
        raise StoreError(_other(path)) from error
    if not is_ours:
        raise StoreError(_other(path))
    if len(whole) < len(data):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return found


def _other(path: Path) -> Problem:
    return problem(
        "other-record",
        "is the record of a translation of another file, or with other settings; remove it, or "
        "name another output",
        at=Place(path),
    )
