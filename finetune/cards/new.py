"""`finetune cards new`: a complete card from a file and a few answers. Never overwrites."""

from __future__ import annotations

import re
import shlex
import tempfile
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from finetune.cards import brought_files as bringing
from finetune.cards.hub_values import size_category
from finetune.cards.look import ALL_UNITS, Look, look
from finetune.cards.prose import prose_of
from finetune.cards.split_columns import proposed_split
from finetune.errors import FinetuneError, RecipeError
from finetune.messages import ENGLISH, Place, Problem, Sentence, problem, sentence
from finetune.output.failures import not_written
from finetune.output.paths import is_there
from finetune.output.yaml import yaml_text
from finetune.readers.plain.line_shapes import line_shape
from finetune.readers.running_text import proposed_unit, wrapping
from finetune.sources.checksums import checksums
from finetune.sources.files import resolve_files
from finetune.sources.zipped import uncompressed_name
from finetune.spec.card import DataCard
from finetune.spec.formats import PLAIN, find_format
from finetune.spec.language import Named, bcp47, hub_code
from finetune.spec.load import load_card

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of a person about the texts; empty means not stated."""

    name: str
    languages: Sequence[str]
    files: Sequence[Path]
    format: str
    kind: str
    columns: Mapping[str, str] = field(default_factory=dict)
    unit: str = ""
    """One text: a line, paragraph or file; empty: what the lines show."""
    keys: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the format: encoding, separator, header, quotes, sheets."""
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
    personal_data: str = "not-stated"
    personal_names: str = "not-stated"
    uses: Sequence[str] = ()
    samples: int = 3
    """Number of texts that the card shows; 0 for none."""


def name_from(text: str) -> str:
    """Return a name for a card from a file's name.

    >>> name_from("Contes du Sénégal (1).txt")
    'contes-du-senegal-1'
    """
    letters = unicodedata.normalize("NFD", Path(uncompressed_name(text)).stem.lower())
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return re.sub(r"[^a-z0-9._]+", "-", plain).strip("-._") or "texts"


def refuse_name(name: str, *, cards: Path) -> None:
    """Raise RecipeError for a name that no card can have, or that a card has already."""
    if not _NAME.fullmatch(name):
        raise RecipeError(
            problem(
                "card-name",
                "{name!r} is not a name for a card: only small letters, digits and . _ - are "
                "possible, at most 80; e.g. --name {possible}",
                at=Place(key="--name"),
                name=name[:80],
                possible=name_from(name)[:80],
            )
        )
    if is_there(target := cards / f"{name}.md"):
        raise RecipeError(
            problem("already-exists", "already exists; nothing was written", at=Place(target))
        )


def write_card(answers: Answers, *, cards: Path, lang: str = ENGLISH) -> tuple[DataCard, Look]:
    """Copy the files beside the card, examine them, and write the card, its prose in `lang`.

    Raises RecipeError or DataError, and then leaves nothing behind, if the card is there already,
    an answer cannot stand in a card, or the files cannot be read.
    """
    refuse_name(answers.name, cards=cards)
    target = cards / f"{answers.name}.md"
    places = bringing.beside(cards, answers.files, name=answers.name)
    made = bringing.copy(places, cards=cards)
    try:
        by_path = checksums(cards / p for p in places.values())
        sums = [{"path": p, "sha256": by_path[cards / p]} for p in places.values()]
        front = _front(answers, sums, lang=lang)
        card = _loaded(f"---\n{yaml_text(front)}---\n", target)
        if found := wrapping(card, resolve_files(card, inputs={})):
            front["corpus"] = _behind(front["corpus"], "format", unit=proposed_unit(found))
            card = _loaded(f"---\n{yaml_text(front)}---\n", target)
        if split := proposed_split(card, resolve_files(card, inputs={})):
            test = {"column": split.column, "value": split.value}
            front["corpus"] = _behind(front["corpus"], "columns", test=test)
            card = _loaded(f"---\n{yaml_text(front)}---\n", target)
        seen = look(card, units=ALL_UNITS, samples=0 if _names_speakers(card) else answers.samples)
        front = _counted(front, seen)
        prose = prose_of(
            card,
            seen,
            variety=(answers.dialect, answers.orthography),
            speakers=answers.speakers,
            licence=answers.licence,
            personal_data=answers.personal_data,
            lang=lang,
        )
        text = f"---\n{yaml_text(front)}---\n{prose}"
        card = _loaded(text, target)
        with target.open("x", encoding="utf-8", newline="\n") as out:
            out.write(text)
    except (FinetuneError, OSError) as error:
        for file in made:
            file.unlink()
        if isinstance(error, OSError):
            raise RecipeError(not_written(target, error)) from None
        raise
    return card, seen


def _names_speakers(card: DataCard) -> bool:
    """Return whether a text that the card would show begins with the name of a speaker."""
    if find_format(card.corpus.format) is not PLAIN:
        return False
    files = resolve_files(card, inputs={})
    shapes = (line_shape(file, encoding=card.corpus.encoding) for file in files)
    return any(shape is not None and bool(shape.names) for shape in shapes)


def next_commands(card: DataCard) -> list[tuple[Sentence, str]]:
    """Return what to do with a new card: purpose and command, with its names."""
    recipe = f"recipes/{card.name}.yaml"
    return [
        (
            sentence("look through the card again"),
            shlex.join(["finetune", "cards", "check", str(card.path)]),
        ),
        (
            sentence("propose a recipe"),
            shlex.join(["finetune", "advise", "--card", str(card.path), "--output", recipe]),
        ),
        (sentence("train with it"), shlex.join(["finetune", "run", recipe])),
    ]


def _loaded(text: str, target: Path) -> DataCard:
    """Return the card that a text is, as if it lay at `target` already."""
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / target.name
        draft.write_text(text, encoding="utf-8", newline="\n")
        try:
            card = load_card(draft)
        except RecipeError as error:
            raise RecipeError(*(_moved(one, draft, target) for one in error.problems)) from None
    return card.model_copy(update={"path": target})


def _moved(one: Problem, draft: Path, target: Path) -> Problem:
    """Return a problem of the draft as one of the card."""
    if one.place is None or one.place.file != str(draft):
        return one
    return one.at(replace(one.place, file=target))


def _front(answers: Answers, sums: list[dict[str, str]], *, lang: str) -> dict[str, Any]:
    languages = list(answers.languages)
    front: dict[str, Any] = {
        "language": list(dict.fromkeys(hub_code(language) for language in languages)),
        "language_details": [bcp47(language) for language in languages],
    }
    front |= _licence(answers.licence)
    front["pretty_name"] = answers.title or _title(languages).in_language(lang)
    front["multilinguality"] = ["translation" if len(languages) > 1 else "monolingual"]
    consent = {"statement": answers.consent, "withdrawal": answers.withdrawal}
    block: dict[str, Any] = {
        "kind": answers.kind,
        "format": answers.format,
        "unit": answers.unit,
        "languages": languages,
        "columns": dict(answers.columns),
        **answers.keys,
        "varieties": _varieties(answers),
        "speakers": answers.speakers,
        "consent": {"basis": answers.basis} | {k: v for k, v in consent.items() if v},
        "permitted_uses": list(answers.uses),
        "contact": answers.contact,
        "personal_data": answers.personal_data,
        "personal_names": answers.personal_names,
        "not_established": [] if answers.licence else ["license"],
        "source": {"kind": "files", "files": sums},
    }
    front["corpus"] = {key: value for key, value in block.items() if value}
    return front


def _behind(corpus: dict[str, Any], before: str, **added: Any) -> dict[str, Any]:
    """Return a block `corpus` with keys behind another one."""
    at = list(corpus).index(before) + 1
    return dict([*list(corpus.items())[:at], *added.items(), *list(corpus.items())[at:]])


def _title(languages: Sequence[str]) -> Sentence:
    """Return the title of a card whose owner gave none."""
    names = [Named(language, "{name}") for language in languages]
    if len(names) == 1:
        return sentence("{language} texts", language=names[0])
    return sentence("Translations: {languages}", languages=names)


def _licence(licence: str) -> dict[str, str]:
    if "://" in licence:
        name, _, link = licence.rpartition(" ")
        return {"license": "other", "license_name": name, "license_link": link}
    if licence:
        return {"license": licence}
    return {"license": "other", "license_name": "not-decided", "license_link": "LICENSE.md"}


def _varieties(answers: Answers) -> list[dict[str, str]]:
    parts = {"dialect": answers.dialect, "orthography": answers.orthography}
    known = {key: value for key, value in parts.items() if value}
    # of translations the last one is the language that the card is about
    return [{"language": answers.languages[-1], **known}] if known else []


def _counted(front: dict[str, Any], seen: Look) -> dict[str, Any]:
    if not seen.whole:
        return front
    corpus = front.pop("corpus")
    return front | {"size_categories": [size_category(seen.records)], "corpus": corpus}
