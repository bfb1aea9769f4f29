"""A small file of every format, with good, bad and empty text units."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.brought_files import DOCX, PDF, PO, TMX, TOOLBOX, XLIFF, docx, pdf, tmx, xlsx
from tests.support.made.markers import usfm_book, usx_book
from tests.support.made.tiers import textgrid

PAIR: dict[str, Any] = {"kind": "parallel", "languages": ["fra_Latn", "wol_Latn"]}
TEXT: dict[str, Any] = {"columns": {"text": "body"}}
GOOD = [f"Nanga def {n}? Maa ngi fi rekk." for n in range(5)]
PAIRS = [(f"Bonjour {n}", f"Salaam {n}") for n in range(5)]
TURNS = [{"role": "user", "content": "Nanga def?"}, {"role": "assistant", "content": "Jaam rekk."}]
CHATS: list[Any] = [
    *([*TURNS, *TURNS] for _ in range(3)),
    [{"role": "user", "content": "Nanga def?"}],
    [*TURNS, {"role": "tool", "content": "3"}],
    [{"role": "user", "content": [{"type": "image_url"}]}],
    [*TURNS, {"role": "user", "content": ""}, {"role": "assistant", "content": "\u200b"}],
    [{"role": "bishop", "content": "a"}],
    [],
]
CHAT_REASONS = ("no-answer", "unsupported-role", "non-text-part", "empty", "malformed")


@dataclass(frozen=True)
class Sample:
    """A file (or several), its card, and the reasons to reject some of its units."""

    content: Callable[[], Any]
    corpus: dict[str, Any]
    rejected: tuple[str, ...] = ()


def table(separator: str) -> str:
    """Return a table with a row whose text is missing."""
    rows = [("id", "body"), *((str(n), text) for n, text in enumerate([*GOOD, ""]))]
    return "".join(separator.join(row) + "\n" for row in rows)


def parquet() -> bytes:
    """Return a table of conversations."""
    import pyarrow as arrow
    from pyarrow import parquet as library

    stream = io.BytesIO()
    rows = [json.dumps(turns) for turns in CHATS]
    library.write_table(arrow.table({"m": rows}), stream)
    return stream.getvalue()


def eaf(texts: list[tuple[str, str]]) -> str:
    """Return an ELAN file of a tier and its translation, a second each."""
    slots = "".join(
        f'<TIME_SLOT TIME_SLOT_ID="s{n}" TIME_VALUE="{n * 1000}"/>' for n in range(len(texts) + 1)
    )
    tiers = []
    for side, name in enumerate(("fr", "wo")):
        annotations = "".join(
            f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="{name}{n}" TIME_SLOT_REF1="s{n}" '
            f'TIME_SLOT_REF2="s{n + 1}"><ANNOTATION_VALUE>{pair[side]}</ANNOTATION_VALUE>'
            "</ALIGNABLE_ANNOTATION></ANNOTATION>"
            for n, pair in enumerate(texts)
        )
        tiers.append(f'<TIER LINGUISTIC_TYPE_REF="t" TIER_ID="{name}">{annotations}</TIER>')
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ANNOTATION_DOCUMENT AUTHOR="" '
        'DATE="2026-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">'
        f'<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"/><TIME_ORDER>{slots}</TIME_ORDER>'
        f'{"".join(tiers)}<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="t" TIME_ALIGNABLE="true"/>'
        "</ANNOTATION_DOCUMENT>"
    )


def units_of_xliff() -> str:
    """Return an XLIFF file with a unit that is not translated."""
    units = "".join(
        f"<trans-unit id='{n}'><source>{fr}</source><target>{wo}</target></trans-unit>"
        for n, (fr, wo) in enumerate([*PAIRS, ("Non", "")])
    )
    return f"<xliff version='1.2'><file>{units}</file></xliff>"


def units_of_tmx() -> str:
    """Return a translation memory with a unit that lacks a language."""
    units = "".join(
        f'<tu><tuv xml:lang="fr"><seg>{fr}</seg></tuv><tuv xml:lang="wo"><seg>{wo}</seg></tuv></tu>'
        for fr, wo in PAIRS
    )
    return tmx(units + '<tu><tuv xml:lang="fr"><seg>Oui</seg></tuv></tu>')


SAMPLES: dict[str, Sample] = {
    "text": Sample(lambda: "\n".join([*GOOD, "", "\u200b", "\ufeff \u2060"]), {}, ("empty",)),
    "chat-export": Sample(
        lambda: (
            "01/05/2024, 09:12 - Group created\n"
            + "".join(
                f"01/05/2024, 09:{n} - Awa: {text}\n" for n, text in enumerate(GOOD, start=13)
            )
        ),
        {"personal_names": "present"},
        ("chat-notice",),
    ),
    "transcript": Sample(
        lambda: "Radio\n" + "".join(f"Awa: {text}\n" for text in GOOD),
        {"personal_names": "present"},
        ("peripheral",),
    ),
    "csv": Sample(
        lambda: "Tales,\n" + table(",") + "98,#NAME?\n99,N/A\n100,a,b\n",
        TEXT,
        ("empty", "above-header", "error-cell", "missing-value", "malformed"),
    ),
    "tsv": Sample(lambda: table("\t"), TEXT, ("empty",)),
    "jsonl": Sample(
        lambda: "".join(json.dumps({"m": turns}) + "\n" for turns in CHATS[:7]) + "{x}\n",
        {"kind": "chat", "columns": {"messages": "m"}},
        CHAT_REASONS,
    ),
    "json": Sample(
        lambda: json.dumps([{"m": turns} for turns in CHATS]),
        {"kind": "chat", "columns": {"messages": "m"}},
        CHAT_REASONS,
    ),
    "parquet": Sample(parquet, {"kind": "chat", "columns": {"messages": "m"}}, CHAT_REASONS),
    "messages": Sample(
        lambda: {
            "l/fr/m.json": json.dumps(dict(enumerate(fr for fr, _ in PAIRS)) | {"x": "Non"}),
            "l/wo/m.json": json.dumps(dict(enumerate(wo for _, wo in PAIRS))),
        },
        PAIR | {"columns": {"fra_Latn": "fr", "wol_Latn": "wo"}},
        ("empty",),
    ),
    "aligned": Sample(
        lambda: {
            "fr/p.txt": "".join(f"{fr}\n" for fr, _ in [*PAIRS, ("", ""), ("Non", "")]),
            "wo/p.txt": "".join(f"{wo}\n" for _, wo in [*PAIRS, ("", ""), ("Non", "")]),
        },
        PAIR | {"columns": {"fra_Latn": "fr", "wol_Latn": "wo"}},
        ("empty", "blank-line"),
    ),
    "xlsx": Sample(
        lambda: xlsx({"a": [["texte", "qui"], *([t, "x"] for t in GOOD), [None, "y"]]}),
        {"columns": {"text": "texte"}},
        ("empty",),
    ),
    "docx": Sample(lambda: docx([*GOOD, " ", "\u200b"]), DOCX, ("empty",)),
    "pdf": Sample(lambda: pdf(*GOOD, ""), PDF),
    "html": Sample(lambda: "".join(f"<p>{t}</p>" for t in [*GOOD, "", "&#x200b;"]), {}, ("empty",)),
    "subtitles": Sample(
        lambda: "".join(
            f"{n}\n00:00:{10 * n:02d},000 --> 00:00:{10 * n + 1:02d},000\n{text}\n\n"
            for n, text in enumerate(GOOD)
        ),
        {},
    ),
    "tmx": Sample(units_of_tmx, TMX, ("empty",)),
    "po": Sample(
        lambda: (
            'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'
            + "".join(f'msgid "{fr}"\nmsgstr "{wo}"\n\n' for fr, wo in [*PAIRS, ("Non", "")])
        ),
        PO,
        ("empty",),
    ),
    "xliff": Sample(units_of_xliff, XLIFF, ("empty",)),
    "elan": Sample(
        lambda: eaf([*PAIRS, ("Non", "")]),
        PAIR | {"columns": {"fra_Latn": "fr", "wol_Latn": "wo"}},
        ("empty",),
    ),
    "textgrid": Sample(lambda: textgrid(0).data, textgrid(0).block, ("unpaired",)),
    "usfm": Sample(lambda: usfm_book(0).data, {}, ("peripheral", "comment", "note")),
    "usx": Sample(lambda: usx_book(0).data, {}, ("peripheral", "comment", "note", "placeholder")),
    "toolbox": Sample(
        lambda: (
            "\\_sh v3.0  400  Text\n\n"
            + "".join(f"\\ref {n}\n\\tx {wo}\n\\ft {fr}\n\n" for n, (fr, wo) in enumerate(PAIRS))
            + "\\ref 9\n\\tx Waaw.\n"
        ),
        TOOLBOX,
        ("empty",),
    ),
}
"""Name of a format -> its sample. A new format needs one."""
