"""`finetune cards new`: a complete card from a file and a few answers. Never overwrites."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune.cards import brought_files as bringing
from finetune.cards.hub_values import size_category
from finetune.cards.languages import languages_in
from finetune.cards.look import Look, look
from finetune.errors import FinetuneError, RecipeError
from finetune.output.yaml import yaml_text
from finetune.sources.fetch import checksum
from finetune.spec.card import DataCard
from finetune.spec.language import bcp47, hub_code, language_name
from finetune.spec.load import load_card

NOT_STATED = "Not stated."


@dataclass(frozen=True, slots=True)
class Answers:
    """What a person said about the texts; an empty answer is an honest one."""

    name: str
    languages: Sequence[str]
    files: Sequence[Path]
    format: str
    kind: str
    columns: Mapping[str, str] = field(default_factory=dict)
    title: str = ""
    licence: str = ""
    """A Hub id, or name and address of a community licence."""
    dialect: str = ""
    orthography: str = ""
    speakers: str = ""
    basis: str = "not-stated"
    consent: str = ""
    withdrawal: str = ""
    contact: str = ""
    personal_data: str = "none-known"
    uses: Sequence[str] = ()
    samples: int = 3
    """How many texts the card shows; 0 for none."""


def name_from(text: str) -> str:
    """Return a name for a card from a file's name.

    >>> name_from("Contes du Sénégal (1).txt")
    'contes-du-s-n-gal-1'
    """
    return re.sub(r"[^a-z0-9._]+", "-", Path(text).stem.lower()).strip("-._") or "texts"


def write_card(answers: Answers, *, cards: Path) -> tuple[DataCard, Look]:
    """Copy the files beside the card, look into them, and write the card.

    Raises RecipeError or DataError, and then leaves nothing behind, if the card is there already,
    an answer cannot stand in a card, or the files cannot be read.
    """
    target = cards / f"{answers.name}.md"
    if target.exists():
        raise RecipeError(f"{target}: already there; nothing was written")
    places = bringing.beside(cards, answers.files, name=answers.name)
    made = bringing.copy(places, cards=cards)
    try:
        sums = [{"path": p, "sha256": checksum(cards / p)} for p in places.values()]
        front = _front(answers, sums)
        card = _loaded(f"---\n{yaml_text(front)}---\n", target)
        seen = look(card, samples=answers.samples)
        front = _counted(front, seen)
        text = f"---\n{yaml_text(front)}---\n{_body(card, answers, seen)}"
        card = _loaded(text, target)
        with target.open("x", encoding="utf-8", newline="\n") as out:
            out.write(text)
    except (FinetuneError, OSError) as error:
        for file in made:
            file.unlink()
        if isinstance(error, OSError):
            raise RecipeError(f"{target}: cannot be written: {error.strerror}") from None
        raise
    return card, seen


def _loaded(text: str, target: Path) -> DataCard:
    """Return the card that a text is, as if it lay at `target` already."""
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / target.name
        draft.write_text(text, encoding="utf-8", newline="\n")
        try:
            card = load_card(draft)
        except RecipeError as error:
            problems = [problem.replace(str(draft), str(target)) for problem in error.problems]
            raise RecipeError(*problems) from None
    return card.model_copy(update={"path": target})


def _front(answers: Answers, sums: list[dict[str, str]]) -> dict[str, Any]:
    languages = list(answers.languages)
    front: dict[str, Any] = {
        "language": list(dict.fromkeys(hub_code(language) for language in languages)),
        "language_details": [bcp47(language) for language in languages],
    }
    front |= _licence(answers.licence)
    front["pretty_name"] = answers.title or f"{_names(languages)} texts"
    front["multilinguality"] = ["translation" if len(languages) > 1 else "monolingual"]
    consent = {"statement": answers.consent, "withdrawal": answers.withdrawal}
    block: dict[str, Any] = {
        "kind": answers.kind,
        "format": answers.format,
        "languages": languages,
        "columns": dict(answers.columns),
        "varieties": _varieties(answers),
        "speakers": answers.speakers,
        "consent": {"basis": answers.basis} | {k: v for k, v in consent.items() if v},
        "permitted_uses": list(answers.uses),
        "contact": answers.contact,
        "personal_data": answers.personal_data,
        "not_established": [] if answers.licence else ["license"],
        "source": {"kind": "files", "files": sums},
    }
    front["corpus"] = {key: value for key, value in block.items() if value}
    return front


def _licence(licence: str) -> dict[str, str]:
    if "://" in licence:
        name, _, link = licence.rpartition(" ")
        return {"license": "other", "license_name": name, "license_link": link}
    if licence:
        return {"license": licence}
    return {"license": "other", "license_name": "not-decided", "license_link": "LICENSE.md"}


def _varieties(answers: Answers) -> list[dict[str, str]]:
    said = {"dialect": answers.dialect, "orthography": answers.orthography}
    known = {key: value for key, value in said.items() if value}
    # of translations the last one is the language that the card is about
    return [{"language": answers.languages[-1], **known}] if known else []


def _counted(front: dict[str, Any], seen: Look) -> dict[str, Any]:
    if not seen.whole:
        return front
    corpus = front.pop("corpus")
    return front | {"size_categories": [size_category(seen.records)], "corpus": corpus}


def _names(languages: Sequence[str]) -> str:
    return " and ".join(language_name(language) for language in languages)


def _body(card: DataCard, answers: Answers, seen: Look) -> str:
    known = [f"{text}." for text in (answers.dialect, answers.orthography) if text]
    variety = " ".join(known) or "Dialect and spelling: not stated."
    said = [f"{language_name(x)} (`{x}`)" for x in answers.languages]
    parts = {
        "Curation rationale": NOT_STATED,
        "Language varieties": f"{', '.join(said)}. {_prose(variety)}",
        "Speaker demographic": _prose(answers.speakers) or NOT_STATED,
        "Annotator demographic": NOT_STATED,
        "Speech situation and text characteristics": _measured(card, seen),
        "Preprocessing and data formatting": NOT_STATED,
        "Capture quality": NOT_STATED,
        "Limitations": NOT_STATED,
        "Personal and sensitive information": _PERSONAL[answers.personal_data],
        "Licence": _prose(answers.licence) or "Not decided yet.",
    }
    prose = "".join(f"\n## {heading}\n\n{text}\n" for heading, text in parts.items())
    return f"# {_prose(card.pretty_name)}\n{prose}"


_PERSONAL = {
    "none-known": "None known.",
    "present": "The texts hold personal data.",
    "removed": "Personal data was removed.",
}


def _prose(text: str) -> str:
    """Return an answer as a paragraph that cannot become a heading, a fence or HTML."""
    return re.sub(r"^([#>`~|=+*-])", r"\\\1", " ".join(text.split())).replace("<", "&lt;")


def _measured(card: DataCard, seen: Look) -> str:
    """Return what was counted in the files, and the first texts in a block of their own."""
    more = "" if seen.whole else f" (the first {seen.records:,}; there are more)"
    rows = [
        "| counted in the files | |",
        "|---|---:|",
        f"| files | {seen.files:,} |",
        f"| bytes | {seen.size_bytes:,} |",
        f"| texts{more} | {seen.records:,} |",
        f"| words (between spaces) in them | {seen.words:,} |",
    ]
    for language, letters in seen.letters.items():
        shares = ", ".join(
            f"{script} {100 * n / letters.total():.1f} %" for script, n in letters.most_common(4)
        )
        rows.append(f"| letters of {language} by script | {shares} |")
    rows += _languages(card, seen)
    if not seen.samples:
        return "\n".join(rows)
    lines = [f"{lang}: {text}" for sample in seen.samples for lang, text in sample.items()]
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", "\n".join(lines))), default=0))
    return "\n".join([*rows, "", "The first texts:", "", f"{fence}text", *lines, fence])


def _languages(card: DataCard, seen: Look) -> Iterator[str]:
    for language, spoken in languages_in(seen, claimed=card.corpus.languages).items():
        told = [f"{found} {count:,}" for found, count in spoken.lines.most_common(4)]
        told += [f"not sure or too short {spoken.silent:,}"] if spoken.silent else []
        by = f" (by {', '.join(spoken.asked)})" if spoken.asked else ""
        said = ", ".join(told) if spoken.covered else "no model knows the language"
        yield f"| lines of {language} by language{by}, first {spoken.texts:,} texts | {said} |"
