"""Generations of an evaluation to be judged, and judges who answer them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finetune.artefacts.job import Artifact
from finetune.judge.campaign import Campaign
from finetune.judge.new_campaign import Made, Wanted, make_campaign

KEY = "0123456789abcdef"
TEXTS = {
    "wol_Latn": ("Nanga def, sama xarit?", "Mangi fi rekk, jërëjëf."),
    "sat_Olck": ("ᱪᱮᱫ ᱞᱮᱠᱟ ᱢᱮᱱᱟᱢᱟ, ᱜᱟᱛᱮ?", "ᱤᱧ ᱫᱚ ᱵᱮᱥ ᱜᱮ ᱢᱮᱱᱟᱹᱧᱟ᱾"),
    "urd_Arab": ("آپ کیسے ہیں، میرے دوست؟", "میں ٹھیک ہوں، شکریہ۔"),
}
"""Language -> two texts in it, in Latin, Ol Chiki and Perso-Arabic letters."""


def record(number: int, *, language: str = "wol_Latn", **changes: Any) -> dict[str, Any]:
    """Return a line of generations.jsonl: a translation from English."""
    adapter, base = TEXTS.get(language, ("one", "two"))
    facts = {
        **{"id": f"text-{number}", "card": "open", "language": language, "phase": None},
        **{"direction": f"eng_Latn>{language}", "prompt": "Translate:"},
        **{"source": f"How are you, my friend {number}?", "reference": f"{adapter} {number}"},
        **{"adapter": f"{adapter} ({number})", "base": f"{base} ({number})"},
    }
    return facts | changes


def evaluation(folder: Path, records: list[dict[str, Any]] | None = None) -> Artifact:
    """Write the generations of an evaluation (12 items in Wolof) and return it."""
    folder = folder / "evaluate" / KEY
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(one, ensure_ascii=False) for one in records or map(record, range(12))]
    (folder / "generations.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Artifact("evaluate", KEY, folder, {})


def campaign(folder: Path, records: list[dict[str, Any]] | None = None, **wanted: Any) -> Made:
    """Make the campaign of an evaluation in `folder/judgements/w`."""
    asked = Wanted(**{"shared": ["open"]} | wanted)
    return make_campaign(evaluation(folder, records), asked, folder / "judgements" / "w")


def answer(item: str, *, better: str = "a", **changes: Any) -> dict[str, Any]:
    """Return an answer that finds one output better (`a`, `b`, `same`)."""
    good = {"adequacy": 80, "fluency": 70, "language": "yes"}
    bad = {"adequacy": 20, "fluency": 30, "language": "partly"}
    a, b = {"a": (good, bad), "b": (bad, good), "same": (good, good)}[better]
    return {"item": item, "choice": better, "a": a, "b": b, "comment": ""} | changes


def returned(
    made: Campaign,
    *,
    judge: str = "baobab",
    sheet: str = "",
    prefers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return what the page of a judge saves, who prefers the adapter (or by item: `prefers`)."""
    sides = {one.item: one.adapter for one in made.items}
    answers = [answer(item, better=(prefers or sides)[item]) for item in (prefers or sides)]
    sheet = sheet or f"{zlib.crc32(judge.encode()):016x}"
    return signed(
        {
            **{"format": "finetune-judgement", "version": 1, "campaign": made.campaign},
            **{"judge": judge, "sheet": sheet, "answers": answers},
        }
    )


def signed(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a returned file with its count and checksum, as the page has them."""
    said = [content[name] for name in ("campaign", "judge", "sheet", "answers")]
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    return content | {"count": len(content["answers"]), "crc32": f"{zlib.crc32(text):08x}"}


def write(path: Path, content: dict[str, Any]) -> Path:
    """Write a returned file."""
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path
